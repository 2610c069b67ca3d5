"""Random designs with a known spectrum, targets with a known power, and designs that break GCV.

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
    """Eigenvalues lambda_i = i^-alpha for i = 1 to p.

    It is also a target power, with its own exponent delta for alpha.

    Args:
        p: number of modes.
        alpha: exponent, a number or a traced scalar.

    Returns:
        (p,), falling for alpha > 0.

    Raises:
        InputError: p below 1, or an exponent that is not one finite number.
    """
    checks.count("p", p)
    checks.finite("alpha", alpha, ndim=0)
    return jnp.arange(1, p + 1, dtype=float) ** -jnp.asarray(alpha, float)


def gaussian_design(
    key: Key[Array, ""], n: int, eigenvalues: Float[Array, " p"], *, entries: str = "gaussian"
) -> Float[Array, "n p"]:
    """Rows x = sqrt(lambda) z with independent z_i of mean 0 and variance 1.

    Use it where random-matrix theory holds; `elliptical`, `duplicate` and `augmented` make designs
    where it fails.

    Args:
        key: typed key.
        n: number of rows.
        eigenvalues: (p,) of the population covariance, at least 0.
        entries: law of z: "gaussian" or "rademacher" (signs).

    Returns:
        (n, p).

    Raises:
        InputError: n below 1, negative eigenvalues, or an unknown law.

    Examples:
        >>> import jax
        >>> spectrum = power_law_spectrum(50, 1.5)
        >>> x = gaussian_design(jax.random.key(0), 2000, spectrum)
        >>> x.shape, bool(abs((x[:, 0] ** 2).mean() / spectrum[0] - 1) < 0.1)
        ((2000, 50), True)
    """
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
    """Gaussian rows times a random length that keeps the covariance.

    The length s has log s ~ N(-sigma^2, sigma^2), so that E s^2 = 1. No local random-matrix law
    holds: norms do not concentrate, and GCV underestimates the risk.

    Args:
        key: typed key.
        n: number of rows.
        eigenvalues: (p,) of the population covariance, at least 0.
        sigma: standard deviation of log s, at least 0.

    Returns:
        (n, p).

    Raises:
        InputError: n below 1, negative eigenvalues, or a negative sigma.
    """
    checks.nonnegative("sigma", sigma, ndim=0)
    checks.key("key", key)
    key_rows, key_length = jax.random.split(key)
    x = gaussian_design(key_rows, n, eigenvalues)
    return x * jnp.exp(sigma * jax.random.normal(key_length, (n, 1), x.dtype) - sigma**2)


def teacher(
    key: Key[Array, ""], eigenvalues: Float[Array, " p"], power: Float[Array, " p"]
) -> Float[Array, " p"]:
    """Coefficients beta with a given power in each mode and random signs.

    lambda_i beta_i^2 = b_i, and beta_i = 0 where the eigenvalue is 0.

    Args:
        key: draws the signs.
        eigenvalues: (p,) lambda, at least 0.
        power: (p,) b, at least 0.

    Returns:
        (p,).

    Raises:
        InputError: negative values, or lengths that differ.
    """
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
    """Targets y = x beta + noise of a given variance.

    Args:
        key: draws the noise.
        x: (n, p) design.
        beta: (p,) coefficients.
        noise_variance: at least 0.

    Returns:
        (n,).

    Raises:
        InputError: shapes that do not fit, or a negative variance.
    """
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
    """Every sample several times, label and all, block after block.

    Samples are no longer independent, so GCV fails.

    Args:
        x: (n, p) design.
        y: (n,) targets.
        copies: how often each sample comes.

    Returns:
        (x, y) with n * copies rows.

    Raises:
        InputError: lengths that differ, or copies below 1.
    """
    checks.count("copies", copies)
    x, y = checks.finite("x", x), checks.finite("y", y)
    checks.same_length(x=x, y=y)
    return jnp.concatenate([x] * copies), jnp.concatenate([y] * copies)


def augmented(
    key: Key[Array, ""], x: Float[Array, "n p"], y: Float[Array, " n"], *, noise: float = 0.1
) -> tuple[Float[Array, "2*n p"], Float[Array, " 2*n"]]:
    """Each sample and a noisy copy with the same label.

    Args:
        key: draws the noise.
        x: (n, p) design.
        y: (n,) targets.
        noise: standard deviation of the noise, in units of the column's root mean square.

    Returns:
        (x, y) with 2 n rows.

    Raises:
        InputError: lengths that differ, or negative noise.
    """
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
