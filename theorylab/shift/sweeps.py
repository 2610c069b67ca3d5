"""What the sweeps share: a solver's options, the axes of a grid, padded sizes, and a warning.

Source: the solver of `theorylab.shift.newton`, Rasmussen and Williams (2006), algorithm 3.1.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from theorylab.checks import choice, count, number, positive, real, within


@dataclass(frozen=True)
class NewtonOptions:
    """How the fits of a sweep are solved.

    Attributes:
        tol: gradient norm to reach.
        max_steps: Newton steps per fit.
        precision: "float64"; "float32" for comparison, with a `tol` that it can reach, 1e-6 say.

    Raises:
        InputError: values out of range.
    """

    tol: float = 1e-7
    max_steps: int = 100
    precision: Literal["float64", "float32"] = "float64"

    def __post_init__(self) -> None:
        number("tol", self.tol, 0.0)
        count("max_steps", self.max_steps)
        choice("precision", self.precision, ("float64", "float32"))


SOLVER = NewtonOptions()


class Axes(NamedTuple):
    """The axes of a grid of fits."""

    ns: Int[np.ndarray, " n"]
    etas: Float[np.ndarray, " e"]
    lams: Float[np.ndarray, " l"]


def axes(ns: Any, etas: Any, lams: Any, *, most: int | None = None) -> Axes:
    """Training sizes up to `most`, shares of wrong labels and penalties, each one or many."""
    sizes = np.atleast_1d(np.asarray(real("ns", ns, ndim=(0, 1))))
    for n in sizes:
        count("ns", n, at_most=most)
    noise = np.atleast_1d(np.asarray(within("etas", etas, 0.0, 1.0, ndim=(0, 1))))
    # 1e-6 is nearly none
    penalties = np.atleast_1d(np.asarray(positive("lams", lams, ndim=(0, 1))))
    return Axes(sizes, noise.astype(float), penalties.astype(float))


def padded_size(n: int, smallest: int) -> int:
    """The first of `smallest` times the powers of 2 that holds n: few shapes, few compilations."""
    return smallest * 2 ** max(0, int(np.ceil(np.log2(n / smallest))))


def announce_unconverged(
    gradient_norm: Any, converged: Any, tol: float, max_steps: int, *, above: int = 0
) -> None:
    """Warn of fits that missed their tolerance; `above`: frames from the caller to the user."""
    if np.all(converged):
        return
    warnings.warn(
        f"{np.sum(~converged)} of {converged.size} logistic fits have a gradient norm above tol = "
        f"{tol:g} after at most {max_steps} steps (largest {np.max(gradient_norm):.2g}); raise "
        "max_steps, or tol if this is small enough.",
        RuntimeWarning,
        stacklevel=3 + above,
    )
