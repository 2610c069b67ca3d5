"""Many training sets, noise rates and penalties of the data model in few compiled programs.

One for each padded size. Source: our model of the setting of Sanyal et al. (2025), figure 1; errors
and bounds are those of `risk` and `memorisation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from theorylab.checks import count, instance, number
from theorylab.checks import key as checked_key
from theorylab.deprecation import old_field, old_options
from theorylab.precision import float64_inside
from theorylab.shift.memorisation import memorisation_bound
from theorylab.shift.newton import gram, newton_path, pad_penalties
from theorylab.shift.nuisance import NuisanceModel, bartlett
from theorylab.shift.risk import half_normal_error
from theorylab.shift.sweeps import SOLVER, NewtonOptions, axes, padded_size

Grid = Float[np.ndarray, "s n e l"]


@dataclass(frozen=True)
class NuisanceSweep:
    """What logistic regression does over S seeds, N training sizes, E noise rates, L penalties.

    All arrays but the axes are (S, N, E, L), float64.

    Attributes:
        model: the data model.
        ns, etas, lams: the axes.
        tol: the gradient norm that was asked for.
        along, across: <w_S, u> and the length of the rest of w_S; with the next two they give every
            error exactly.
        spurious: weight times strength of the shortcut, 0 without one.
        norm_w_n: ||w_N||.
        train_error: on the observed labels.
        gradient_norm, steps: of the fit; compare with `tol`.
        min_margin: smallest margin on the observed labels; w interpolates where it is positive.
        memorised: the lower bound on ||w_N|| / min_margin; NaN where w does not interpolate.
        approximation: its value for k >> n.
    """

    model: NuisanceModel
    ns: Int[np.ndarray, " n"]
    etas: Float[np.ndarray, " e"]
    lams: Float[np.ndarray, " l"]
    tol: float
    along: Grid
    across: Grid
    spurious: Grid
    norm_w_n: Grid
    train_error: Grid
    gradient_norm: Grid
    steps: Grid
    min_margin: Grid
    memorised: Grid
    approximation: Grid

    norm_n = old_field("norm_n", "norm_w_n")
    iterations = old_field("iterations", "steps")

    @property
    def sensitivity(self) -> Grid:
        """Rho = ||w_N|| / ||w_S||."""
        return self.norm_w_n / np.hypot(self.along, self.across)

    def id_error(self) -> Grid:
        """Population error in distribution, exact."""
        return self.error(self.model.sigma, self.model.agree)

    def ood_error(self, tau: float | None = None) -> Grid:
        """Population error out of distribution, exact.

        At the model's shift scale or at another one.
        """
        tau = self.model.tau if tau is None else number("tau", tau, 0.0)
        return self.error(float(np.hypot(self.model.sigma, tau)), 1 - self.model.agree)

    @float64_inside
    def error(self, scale: float, agree: float) -> Grid:
        """Population error at any nuisance scale.

        The shortcut agrees with the label in a share `agree`.
        """
        number("scale", scale, 0.0)
        number("agree", agree, 0.0, 1.0)
        width = jnp.hypot(self.across, scale * self.norm_w_n)
        along, gap = jnp.asarray(self.along), self.model.gap
        if not self.model.shortcut:
            return half_normal_error(along, width, gap, 0.0)
        right, wrong = (
            half_normal_error(along, width, gap, sign * self.spurious) for sign in (1.0, -1.0)
        )
        return agree * right + (1 - agree) * wrong


@old_options(solver=(NewtonOptions, "tol max_steps precision"))
def sweep_nuisance(
    model: NuisanceModel,
    *,
    keys: Key[Array, "s"],
    ns: Int[ArrayLike, " n"] | Sequence[int],
    etas: Float[ArrayLike, " e"] | Sequence[float],
    lams: Float[ArrayLike, " l"] | Sequence[float],
    solver: NewtonOptions = SOLVER,
    smallest_pad: int = 400,
    batch_size: int | None = None,
) -> NuisanceSweep:
    """Fit l2-logistic regression on fresh training sets of every size, noise rate and penalty.

    A training set depends on its key and its size alone; noise rates share its samples. Sizes are
    padded by masks to `smallest_pad` times a power of two, one compiled program each. For one data
    set use `draw_training_set` and `fit_logistic_path`.

    Args:
        model: a `NuisanceModel`.
        keys: (S,) typed keys, one for each seed.
        ns: (N,) training sizes.
        etas: (E,) shares of wrong labels, in [0, 1].
        lams: (L,) penalties > 0.
        solver: tolerance, steps and precision of the fits.
        smallest_pad: smallest padded size.
        batch_size: training sets held at once; by default one on CPU, all seeds elsewhere. Memory
            grows with it and not with the number of seeds.

    Returns:
        A `NuisanceSweep`.

    Raises:
        InputError: empty axes, sizes below 1, noise outside [0, 1], penalties that are not
            positive.

    Examples:
        >>> model = NuisanceModel(d_s=5, k=2000)
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> found = sweep_nuisance(
        ...     model, keys=keys, ns=[40], etas=[0.0, 0.2], lams=[1e-4], smallest_pad=40
        ... )
        >>> found.sensitivity.shape, bool((found.train_error == 0).all())
        ((2, 1, 2, 1), True)
        >>> noisy, clean = found.sensitivity[:, 0, 1, 0], found.sensitivity[:, 0, 0, 0]
        >>> bool((noisy > clean).all())  # memorised labels need nuisance weights
        True
    """
    instance("model", model, NuisanceModel, "a NuisanceModel")
    instance("solver", solver, NewtonOptions, "a NewtonOptions")
    sizes, noise, penalties = axes(ns, etas, lams)
    checked_key("keys", keys, ndim=1)
    smallest_pad = count("smallest_pad", smallest_pad)
    if batch_size is None:
        batch_size = 1 if jax.default_backend() == "cpu" else keys.size
    batch_size = count("batch_size", batch_size)
    columns = []
    for n in sizes:
        pad = padded_size(n, smallest_pad)
        folded = jax.vmap(lambda key, n=n: jax.random.fold_in(key, n))(keys)
        chunks = [folded[i : i + batch_size] for i in range(0, keys.size, batch_size)]
        parts = [_grid(chunk, int(n), pad, noise, penalties, model, solver) for chunk in chunks]
        columns.append(jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts))
    found = {name: np.stack([c[name] for c in columns], axis=1) for name in columns[0]}
    return NuisanceSweep(model, sizes, noise, penalties, solver.tol, **found)


@float64_inside
def _grid(
    keys: Any,
    n: int,
    pad: int,
    etas: Any,
    lams: Any,
    model: NuisanceModel,
    solver: NewtonOptions,
) -> dict[str, Any]:
    """All noise rates and penalties of a chunk of training sets of one size.

    Arrays (chunk, E, L).
    """
    samples = _draw(keys, n, pad, min(pad, model.k), model, solver.precision)
    descending, count = pad_penalties(np.sort(lams)[::-1])
    tol, max_steps = solver.tol, solver.max_steps
    found = [_solve(samples, eta, descending, count, tol, model.energy, max_steps) for eta in etas]
    back = np.argsort(np.argsort(-lams))
    whole = jax.tree.map(
        lambda *arrays: np.stack([np.asarray(a, np.float64)[:, back] for a in arrays], 1), *found
    )
    return whole | {"spurious": model.shortcut * whole["spurious"]}


def _draw(
    keys: Array, n: int, pad: int, m: int, model: NuisanceModel, precision: str
) -> dict[str, Array]:
    # Every number of the model is data: one compilation serves all models of one signal size.
    numbers = {
        "gap": model.gap,
        "k": model.k,
        "sigma": model.sigma,
        "shortcut": model.shortcut,
        "agree": model.agree,
    }
    data = {name: jnp.asarray(value, jnp.float64) for name, value in numbers.items()}
    return _draw_padded(keys, jnp.asarray(n), data, pad, m, model.d_s, precision)


@partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _draw_padded(
    keys: Array, n: Array, model: dict[str, Array], pad: int, m: int, d_s: int, precision: str
) -> dict[str, Array]:
    """The samples of `draw_training_set`, padded.

    The shortcut's column is always there, of zeros without one.
    """

    def one(key: Array) -> dict[str, Array]:
        key_signal, key_flip, key_nuisance, key_shortcut = jax.random.split(key, 4)
        z = jax.random.normal(key_signal, (pad, d_s), jnp.float64)
        y = jnp.where(z[:, 0] >= 0, 1.0, -1.0)
        deceived = jax.random.uniform(key_shortcut, (pad,), jnp.float64) < 1 - model["agree"]
        spurious = model["shortcut"] * jnp.where(deceived, -y, y)
        x_s = jnp.concatenate([z.at[:, 0].add(model["gap"] * y), spurious[:, None]], axis=1)
        nuisance = bartlett(key_nuisance, pad, m, model["k"], model["sigma"])
        mask = jnp.arange(pad) < n
        X = jnp.concatenate([x_s, nuisance], axis=1).astype(precision)
        uniform = jax.random.uniform(key_flip, (pad,), jnp.float64)
        return {
            "x_s": x_s,
            "nuisance": nuisance,
            "y": y,
            "uniform": uniform,
            "mask": mask,
            "X": X,
            "K": gram(X, mask),
        }

    return jax.lax.map(one, keys) if keys.size == 1 else jax.vmap(one)(keys)


@partial(jax.jit, static_argnums=6)
def _solve(
    samples: dict[str, Array],
    eta: Any,
    lams: Array,
    count: Any,
    tol: Any,
    energy: Any,
    max_steps: int,
) -> Any:
    def one(s: dict[str, Array]) -> dict[str, Array]:
        noisy = jnp.where(s["uniform"] < eta, -s["y"], s["y"])
        X, K, mask = s["X"], s["K"], s["mask"]
        fit = newton_path(
            X, K, noisy.astype(X.dtype), mask, lams.astype(X.dtype), tol, max_steps, count=count
        )
        fit = {name: value.astype(jnp.float64) for name, value in fit.items()}
        return jax.vmap(partial(_summary, s, noisy, energy))(fit)

    return jax.lax.map(one, samples) if samples["y"].shape[0] == 1 else jax.vmap(one)(samples)


def _summary(
    s: dict[str, Array], noisy: Array, energy: Any, fit: dict[str, Array]
) -> dict[str, Array]:
    w, columns = fit["coef"], s["x_s"].shape[1]
    signal = w[: columns - 1]
    bound = memorisation_bound(
        w, s["x_s"], s["nuisance"], s["y"], noisy, mask=s["mask"], energy=energy
    )
    return {
        "along": signal[0],  # the label's direction is the first axis
        "across": jnp.linalg.norm(signal[1:]),
        "spurious": w[columns - 1],
        "norm_w_n": jnp.linalg.norm(w[columns:]),
        "train_error": fit["train_error"],
        "gradient_norm": fit["gradient_norm"],
        "steps": fit["steps"],
        "min_margin": bound.min_margin,
        "memorised": bound.bound,
        "approximation": bound.approximation,
    }
