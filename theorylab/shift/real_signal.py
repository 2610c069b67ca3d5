"""Nuisance features beside a real signal: accuracy lines of data at hand, tests in closed form.

The signal block is what you have, images in their leading principal components say, with labels -1
and 1; the nuisance block of `NuisanceModel` is appended to it, compressed, and labels are flipped
with probability eta. l2-logistic regression sees the blocks through inner products alone, and its
errors follow from w_S on the test points and from ||w_N||.

Source: our model of the setting of Sanyal, Hu, Yu, Ma, Wang, Schölkopf (2025);
docs/derivations/memorisation.md, statements 4 and 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from theorylab.checks import count, finite, instance, number, same_length, signs
from theorylab.checks import key as checked_key
from theorylab.deprecation import old_options
from theorylab.errors import InputError
from theorylab.shift.kernel_logistic import fit_kernel_logistic
from theorylab.shift.nuisance import NuisanceModel, TrainingSet, flip_labels, nuisance_factor
from theorylab.shift.risk import id_ood_error
from theorylab.shift.sweeps import (
    SOLVER,
    NewtonOptions,
    announce_unconverged,
    axes,
    padded_size,
)

PAD = 400  # training sets are padded to this times a power of two: few shapes, few compilations


def draw_on_signal(
    key: Key[Array, ""],
    x: Float[ArrayLike, "N d"],
    y: Float[ArrayLike, " N"],
    model: NuisanceModel,
    n: int,
    eta: float,
) -> TrainingSet:
    """Draw n of these samples without repetition, append a nuisance block, flip labels.

    From one key, all but the observed labels does not depend on eta, and a larger eta flips a
    superset of labels. For a signal that is drawn too use `draw_training_set`.

    Args:
        key: typed key.
        x: (N, d) signal block, d the model's `d_s`.
        y: (N,) clean labels -1 or 1.
        model: a `NuisanceModel`, whose `k` and `energy` are used here; without a shortcut, and its
            `gap` says nothing.
        n: samples, at most N.
        eta: share of wrong labels, in expectation.

    Returns:
        A `TrainingSet`; its direction is NaN: no direction decides the labels.

    Raises:
        InputError: more samples than there are, shapes that do not fit, other labels.
    """
    instance("model", model, NuisanceModel, "a NuisanceModel")
    x, y = _signal("x", x, "y", y, model)
    n = count("n", n, at_most=len(x))
    parts = jax.random.split(checked_key("key", key), 3)
    rows = np.asarray(jax.random.permutation(parts[0], len(x)))[:n]
    noisy, _ = flip_labels(parts[1], y[rows], eta)
    block = nuisance_factor(parts[2], n, model.k, model.sigma)
    nowhere: Any = np.full(x.shape[1], np.nan)
    return TrainingSet(x[rows], block, y[rows], noisy, nowhere)


@dataclass(frozen=True)
class SignalSweep:
    """Fits of S seeds, N sizes, E noise rates and L penalties on one signal; NumPy float64.

    Attributes:
        model: the `NuisanceModel`.
        ns, etas, lams: the axes.
        x_test, y_test: (m, d) and (m,) the test points on which errors are taken.
        w_s: (S, N, E, L, d) weights of the signal block.
        norm_w_n: (S, N, E, L) ||w_N||.
        train_error: (S, N, E, L) on the observed labels.
        gradient_norm: (S, N, E, L) of the fit; compare with `tol`.
        tol: what was asked for.
    """

    model: NuisanceModel
    ns: Int[np.ndarray, " n"]
    etas: Float[np.ndarray, " e"]
    lams: Float[np.ndarray, " l"]
    x_test: Float[np.ndarray, "m d"]
    y_test: Float[np.ndarray, " m"]
    w_s: Float[np.ndarray, "s n e l d"]
    norm_w_n: Float[np.ndarray, "s n e l"]
    train_error: Float[np.ndarray, "s n e l"]
    gradient_norm: Float[np.ndarray, "s n e l"]
    tol: float

    @property
    def converged(self) -> np.ndarray:
        """(S, N, E, L) where the gradient norm is what was asked for."""
        return self.gradient_norm <= self.tol

    @property
    def sensitivity(self) -> np.ndarray:
        """(S, N, E, L) rho = ||w_N|| / ||w_S||."""
        return self.norm_w_n / np.linalg.norm(self.w_s, axis=-1)

    def id_error(self) -> np.ndarray:
        """(S, N, E, L) errors on the test points with nuisance features as in training."""
        return self._errors(self.model.tau)[0]

    def ood_error(self, tau: float | None = None) -> np.ndarray:
        """(S, N, E, L) errors with shifted nuisance features, at the model's scale or another."""
        return self._errors(self.model.tau if tau is None else number("tau", tau, 0.0))[1]

    def _errors(self, tau: float) -> tuple[np.ndarray, np.ndarray]:
        found = [
            id_ood_error(w, norm, self.x_test, self.y_test, sigma=self.model.sigma, tau=tau)
            for w, norm in zip(
                self.w_s.reshape(-1, *self.w_s.shape[-2:]),
                self.norm_w_n.reshape(-1, self.norm_w_n.shape[-1]),
                strict=True,
            )
        ]
        inside, outside = (
            np.reshape(side, self.norm_w_n.shape) for side in zip(*found, strict=True)
        )
        return inside, outside


@dataclass(frozen=True)
class Signal:
    """A real signal: blocks and labels -1 and 1, for training and for tests.

    Attributes:
        x, y: (N, d) and (N,), from which training sets are drawn.
        x_test, y_test: (m, d) and (m,).

    Raises:
        InputError: shapes that do not fit, other labels.
    """

    x: Float[np.ndarray, "N d"]
    y: Float[np.ndarray, " N"]
    x_test: Float[np.ndarray, "m d"]
    y_test: Float[np.ndarray, " m"]

    def __post_init__(self) -> None:
        for x, y in (("x", "y"), ("x_test", "y_test")):
            block, labels = _signal(x, getattr(self, x), y, getattr(self, y), None)
            object.__setattr__(self, x, block)
            object.__setattr__(self, y, labels)
        if np.shape(self.x)[1] != np.shape(self.x_test)[1]:
            raise InputError(
                f"x_test has {np.shape(self.x_test)[1]} columns but x has {np.shape(self.x)[1]}; "
                "the same features are needed"
            )


@old_options(solver=(NewtonOptions, "tol max_steps"))
def sweep_signal(
    signal: Signal,
    model: NuisanceModel,
    *,
    keys: Key[Array, "s"],
    ns: Int[ArrayLike, " n"] | Sequence[int],
    etas: Float[ArrayLike, " e"] | Sequence[float],
    lams: Float[ArrayLike, " l"] | Sequence[float],
    solver: NewtonOptions = SOLVER,
) -> SignalSweep:
    """Fit l2-logistic regression on a real signal with nuisance features, on whole grids.

    The experiment on real data beside `sweep`, whose signal is drawn. Training sets are those of
    `draw_on_signal` for `jax.random.fold_in(key, n)`; noise rates share samples. A fit that misses
    `tol` is announced by a RuntimeWarning.

    Args:
        signal: a `Signal`. One global scale for all its columns keeps their proportions; a mean
            variance of 1 makes it comparable with `sweep`.
        model: a `NuisanceModel` without shortcut; its `d_s` must be the signal's d.
        keys: (S,) typed keys, one for each seed.
        ns: (N,) training sizes.
        etas: (E,) shares of wrong labels, in [0, 1].
        lams: (L,) penalties > 0 of the mean loss plus (lam/2) ||w||^2.
        solver: tolerance and steps of the fits, which are in float64 here.

    Returns:
        A `SignalSweep`.

    Raises:
        InputError: sizes beyond the samples at hand, values out of range, shapes that do not fit.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.choice([-1.0, 1.0], 60)
        >>> x = 2 * y[:, None] * np.array([1.0, 0.0]) + rng.normal(size=(60, 2))
        >>> signal = Signal(x[:40], y[:40], x[40:], y[40:])
        >>> model = NuisanceModel(d_s=2, k=1000, energy=1.0)
        >>> keys = jax.random.split(jax.random.key(0), 1)
        >>> found = sweep_signal(signal, model, keys=keys, ns=[30], etas=[0.0, 0.2], lams=[1e-3])
        >>> found.id_error().shape, bool((found.ood_error() >= found.id_error()).all())
        ((1, 1, 2, 1), True)
    """
    instance("signal", signal, Signal, "a Signal")
    instance("model", model, NuisanceModel, "a NuisanceModel")
    _signal("x", signal.x, "y", signal.y, model)
    checked_key("keys", keys, ndim=1)
    instance("solver", solver, NewtonOptions, "a NewtonOptions")
    if solver.precision != "float64":
        raise InputError(f"solver has precision {solver.precision!r}; 'float64' is needed here")
    grid = axes(ns, etas, lams, most=len(signal.x))
    parts = [
        [
            _fits(signal, model, jax.random.fold_in(key, n), int(n), grid.etas, grid.lams, solver)
            for n in grid.ns
        ]
        for key in keys
    ]
    names = ("w_s", "norm_w_n", "train_error", "gradient_norm")
    arrays = {name: np.stack([np.stack([p[name] for p in row]) for row in parts]) for name in names}
    found = SignalSweep(model, *grid, signal.x_test, signal.y_test, tol=solver.tol, **arrays)
    announce_unconverged(
        found.gradient_norm, found.converged, solver.tol, solver.max_steps, above=1
    )
    return found


def _fits(
    signal: Signal,
    model: NuisanceModel,
    key: Array,
    n: int,
    etas: np.ndarray,
    lams: np.ndarray,
    solver: NewtonOptions,
) -> dict[str, np.ndarray]:
    """All noise rates and penalties on one training set."""
    samples = [draw_on_signal(key, signal.x, signal.y, model, n, float(eta)) for eta in etas]
    x_s, factor = np.asarray(samples[0].x_s), np.asarray(samples[0].nuisance)
    fill = (0, padded_size(n, PAD) - n)
    labels = np.pad(np.stack([s.noisy for s in samples]), ((0, 0), fill), constant_values=1.0)
    gram = np.pad(x_s @ x_s.T + factor @ factor.T, (fill, fill))
    counted = np.arange(gram.shape[0]) < n
    tol, max_steps = solver.tol, solver.max_steps
    fit = fit_kernel_logistic(gram, labels, lams, mask=counted, tol=tol, max_steps=max_steps)
    dual = fit["dual"][..., :n]
    return {
        "w_s": dual @ x_s,
        "norm_w_n": np.linalg.norm(dual @ factor, axis=-1),
        "train_error": fit["train_error"],
        "gradient_norm": fit["gradient_norm"],
    }


def _signal(
    name_x: str, x: ArrayLike, name_y: str, y: ArrayLike, model: NuisanceModel | None
) -> tuple[np.ndarray, np.ndarray]:
    """Signal block and labels in float64, checked against each other and the model."""
    block = np.asarray(finite(name_x, x, ndim=2), np.float64)
    labels = np.asarray(signs(name_y, y), np.float64)
    same_length(**{name_x: block, name_y: labels})
    if model is not None:
        if model.shortcut:
            raise InputError(
                f"model has a shortcut of {model.shortcut:g}; a real signal has its own, give 0"
            )
        if model.d_s != block.shape[1]:
            raise InputError(
                f"model has d_s = {model.d_s} but {name_x} has {block.shape[1]} columns; give "
                f"NuisanceModel(d_s={block.shape[1]}, ...)"
            )
    return block, labels
