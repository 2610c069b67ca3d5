"""Random designs with a known spectrum, targets with a known power in each mode, and designs on
which GCV must fail.

Everything is pure in its key, runs under `jit`, and maps over draws with `jax.vmap`; sizes and
names are static. The precision is that of the eigenvalues, so under `jax.enable_x64(True)` all is
float64. Notation of Wei, Hu, Steinhardt 2022, "More than a toy": eigenvalues lambda_i of the
population covariance, target power b_i = lambda_i beta_i^2.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.errors import InputError


def power_law_spectrum(p: int, alpha: float | Float[Array, ""]) -> Float[Array, " p"]:
    """Eigenvalues lambda_i = i^-alpha, i = 1..p. Also a target power, with its own exponent delta
    for alpha."""
    checks.count("p", p)
    checks.finite("alpha", alpha, ndim=0)
    return jnp.arange(1, p + 1, dtype=float) ** -jnp.asarray(alpha, float)


def gaussian_design(
    key: Key[Array, ""], n: int, eigenvalues: Float[Array, " p"], *, entries: str = "gaussian"
) -> Float[Array, "n p"]:
    """Rows x = sqrt(lambda) z with independent z_i of mean 0 and variance 1: "gaussian" or
    "rademacher" (signs)."""
    checks.key("key", key)
    checks.count("n", n)
    checks.choice("entries", entries, ("gaussian", "rademacher"))
    eigenvalues = _spectrum(eigenvalues)
    shape, dtype = (n, eigenvalues.size), eigenvalues.dtype
    draw = jax.random.normal if entries == "gaussian" else jax.random.rademacher
    return draw(key, shape, dtype) * jnp.sqrt(eigenvalues)


def elliptical(
    key: Key[Array, ""], n: int, eigenvalues: Float[Array, " p"], *, sigma: float = 0.8
) -> Float[Array, "n p"]:
    """Gaussian rows times a random length s, log s ~ N(-sigma^2, sigma^2), so that E s^2 = 1 keeps
    the covariance.

    No local random-matrix law holds: norms do not concentrate, and GCV underestimates the risk.
    """
    checks.nonnegative("sigma", sigma, ndim=0)
    checks.key("key", key)
    key_rows, key_length = jax.random.split(key)
    x = gaussian_design(key_rows, n, eigenvalues)
    return x * jnp.exp(sigma * jax.random.normal(key_length, (n, 1), x.dtype) - sigma**2)


def teacher(
    key: Key[Array, ""], eigenvalues: Float[Array, " p"], power: Float[Array, " p"]
) -> Float[Array, " p"]:
    """Coefficients beta with lambda_i beta_i^2 = b_i (`power`) and random signs; 0 where the
    eigenvalue is 0."""
    checks.key("key", key)
    eigenvalues, power = _spectrum(eigenvalues), jnp.asarray(checks.nonnegative("power", power))
    if power.shape != eigenvalues.shape:
        raise InputError(
            f"power has shape {power.shape}, eigenvalues {eigenvalues.shape}: they must agree"
        )
    size = jnp.sqrt(power / jnp.where(eigenvalues > 0, eigenvalues, jnp.inf))
    return size * jax.random.rademacher(key, size.shape, size.dtype)


def linear_targets(
    key: Key[Array, ""],
    x: Float[Array, "n p"],
    beta: Float[Array, " p"],
    *,
    noise_variance: float = 0.0,
) -> Float[Array, " n"]:
    """y = x beta + noise of the given variance."""
    checks.key("key", key)
    checks.nonnegative("noise_variance", noise_variance, ndim=0)
    x, beta = jnp.asarray(checks.finite("x", x)), jnp.asarray(checks.finite("beta", beta))
    if x.ndim != 2 or beta.shape != x.shape[1:]:
        raise InputError(
            f"beta has shape {beta.shape} and x {x.shape}: they must be (p,) and (n, p)"
        )
    y = _floating(x @ beta)
    return y + jnp.sqrt(jnp.asarray(noise_variance, y.dtype)) * jax.random.normal(
        key, y.shape, y.dtype
    )


def duplicate(
    x: Float[Array, "n p"], y: Float[Array, " n"], *, copies: int = 2
) -> tuple[Float[Array, "n*copies p"], Float[Array, " n*copies"]]:
    """Every sample `copies` times, label and all, block after block: samples are no longer
    independent."""
    checks.count("copies", copies)
    x, y = checks.finite("x", x), checks.finite("y", y)
    checks.same_length(x=x, y=y)
    return jnp.concatenate([x] * copies), jnp.concatenate([y] * copies)


def augmented(
    key: Key[Array, ""], x: Float[Array, "n p"], y: Float[Array, " n"], *, noise: float = 0.1
) -> tuple[Float[Array, "2*n p"], Float[Array, " 2*n"]]:
    """Each sample and a noisy copy with the same label; the noise is `noise` times the column's
    root mean square."""
    checks.key("key", key)
    checks.nonnegative("noise", noise, ndim=0)
    x, y = _floating(jnp.asarray(checks.finite("x", x, ndim=2))), jnp.asarray(checks.finite("y", y))
    checks.same_length(x=x, y=y)
    scale = noise * jnp.sqrt(jnp.mean(x**2, axis=0))
    return jnp.concatenate(
        [x, x + scale * jax.random.normal(key, x.shape, x.dtype)]
    ), jnp.concatenate([y, y])


def _floating(x: Array) -> Array:
    """Whole numbers as floats; floats as they are."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def _spectrum(eigenvalues: Float[Array, " p"]) -> Float[Array, " p"]:
    eigenvalues = jnp.asarray(checks.nonnegative("eigenvalues", eigenvalues))
    if eigenvalues.ndim != 1 or not jnp.issubdtype(eigenvalues.dtype, jnp.floating):
        raise InputError(
            f"eigenvalues must be a vector of floats, not {eigenvalues.dtype}{eigenvalues.shape}"
        )
    return eigenvalues
