"""What a private mechanism costs behind pre-processing that looks at all of the data.

A pre-processing (imputation, projection, ...) makes the image of one record depend on the others,
so replacing one record moves many. The *smooth* curve of a mechanism says what a total movement
costs; this module joins it with the ordinary curve. Guarantees hold over a collection of data sets
on which the movement is bounded (`theorylab.privacy.propose_test_release` lifts that), and cover
what the mechanism releases: the pre-processing itself (the means, the basis, ...) stays secret.
Source: the framework is Hu, Sanyal & Schölkopf 2024; statements and proofs as used here are in
docs/derivations/private_preprocessing.md.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.renyi import Curve, checked_orders

EDGE = 1e-9  # how near 1/p goes to 0 and 1
GRID = 33


@dataclass(frozen=True)
class PreprocessedCost:
    """Rényi divergences of a mechanism behind a pre-processing.

    Attributes:
        orders: (k,) the Rényi orders.
        divergences: (k,) the smaller bound of the two hybrids at its best p.
        p: (k,) the parameter of the weak triangle inequality where it was found.
        smooth_first: (k,) whether the hybrid that moves first and replaces then was the better.
    """

    orders: Float[np.ndarray, " k"]
    divergences: Float[np.ndarray, " k"]
    p: Float[np.ndarray, " k"]
    smooth_first: Bool[np.ndarray, " k"]


def weak_triangle(order: float, *, p: float, first: Curve, second: Curve) -> float:
    """A bound on D_order(P | Q) by way of a third law R.

    Args:
        order: the Rényi order, above 1.
        p: any number above 1.
        first: the curve of D(P | R).
        second: the curve of D(R | Q).

    Returns:
        (order - 1/p) / (order - 1) first(p order) + second(q (order - 1/p)), with 1/p + 1/q = 1.

    Raises:
        InputError: an argument out of range.

    Source:
        Mironov 2017, proposition 11.
    """
    a = float(checks.number("order", order, 1.0, open_low=True))
    weight = 1 / float(checks.number("p", p, 1.0, open_low=True))
    checks.function("first", first)
    checks.function("second", second)
    return _joined(a, weight, first, second)


def preprocessed_cost(renyi: Curve, smooth: Curve, *, orders: Any) -> PreprocessedCost:
    """The Rényi cost of a mechanism behind a pre-processing: the better hybrid at its best p.

    Use `preprocessed_zcdp` when both curves are straight lines: it is the closed form of this.

    Args:
        renyi: the mechanism's curve when one record is replaced.
        smooth: its curve when all records together move by the sensitivity of the pre-processing.
        orders: (k,) Rényi orders, above 1.

    Returns:
        The bounds, and where they were found.

    Raises:
        InputError: an order that is not above 1, or something that is no function.

    Source:
        docs/derivations/private_preprocessing.md, statements 1 and 2.
    """
    checks.function("renyi", renyi)
    checks.function("smooth", smooth)
    every = np.atleast_1d(checked_orders(orders))
    rows = []
    for a in every.ravel():
        hybrids = [_least(a, smooth, renyi), _least(a, renyi, smooth)]
        rows.append((*min(hybrids), hybrids[0] <= hybrids[1]))
    value, p, first = (np.array(column) for column in zip(*rows, strict=True))
    return PreprocessedCost(every.ravel(), value, p, first)


def preprocessed_zcdp(rho: float, smooth_rho: float) -> float:
    """The zCDP parameter of a mechanism behind a pre-processing: square roots add.

    Use it for straight lines; `preprocessed_cost` finds the least cost of any two curves.

    Args:
        rho: the mechanism's parameter when one record is replaced, at least 0.
        smooth_rho: its parameter when all records together move by the sensitivity, at least 0.

    Returns:
        (√rho + √smooth_rho)².

    Raises:
        InputError: a negative argument.

    Source:
        docs/derivations/private_preprocessing.md, statement 2.

    Examples:
        >>> round(preprocessed_zcdp(0.25, 0.01), 12)
        0.36
    """
    ordinary = float(checks.number("rho", rho, 0.0))
    moved = float(checks.number("smooth_rho", smooth_rho, 0.0))
    return (math.sqrt(ordinary) + math.sqrt(moved)) ** 2


def cost_factor(movement: float, *, replacement: float = 2.0) -> float:
    """How much more zCDP budget a mechanism costs behind a pre-processing.

    Args:
        movement: what the movement of all other records changes, in the unit of `replacement`: the
            sensitivity for a mean of records, mu times it for gradient descent.
        replacement: what replacing one record changes: 2 for records in the unit ball, 2L for
            gradients of length L at most.

    Returns:
        (1 + movement / replacement)².

    Raises:
        InputError: a negative movement, a replacement that is not above 0, or a factor beyond
            float64.

    Source:
        docs/derivations/private_preprocessing.md, statement 2.
    """
    moved = float(checks.number("movement", movement, 0.0))
    replaced = float(checks.number("replacement", replacement, 0.0, open_low=True))
    ratio = moved / replaced
    if not ratio < 1e154:
        raise InputError(
            f"movement = {moved:g} is {ratio:.2g} times replacement = {replaced:g}, and the cost "
            "is beyond float64; less movement is needed"
        )
    return (1 + ratio) ** 2


def group_cost_factor(records: int) -> float:
    """How much more zCDP budget group privacy asks for when this many other records change.

    It is the fallback that needs no smoothness, and nearly always the dearer one.

    Args:
        records: how many records change beside the replaced one, at least 0.

    Returns:
        (1 + records)².

    Raises:
        InputError: not a whole number, a negative one, or one above 2^511.

    Source:
        Bun & Steinke 2016, proposition 27.
    """
    # float64 holds no square of 2^512, and nobody counts half as far
    return float((1 + checks.count("records", records, at_least=0, at_most=2**511)) ** 2)


def _joined(order: float, weight: float, first: Curve, second: Curve) -> float:
    """The weak triangle inequality at 1/p = weight."""
    last = (order - weight) / (1 - weight)
    outer = (order - weight) / (order - 1)
    return float(outer * first(order / weight) + second(last))


def _least(order: float, first: Curve, second: Curve) -> tuple[float, float]:
    """The least bound over p, and that p: a grid, then Brent's method around its best point."""

    def bound(weight: float) -> float:
        return _joined(order, weight, first, second)

    grid = np.concatenate([[EDGE], np.linspace(0, 1, GRID + 1)[1:-1], [1 - EDGE]])
    values = np.array([bound(weight) for weight in grid])
    values = np.where(np.isfinite(values), values, np.inf)
    best = int(values.argmin())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    found = minimize_scalar(bound, bounds=(low, high), method="bounded", options={"xatol": 1e-11})
    if np.isfinite(found.fun) and found.fun < values[best]:
        return float(found.fun), 1 / float(found.x)
    return float(values[best]), 1 / float(grid[best])
