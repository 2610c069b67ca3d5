"""Cells of propose-test-release: how probable a release is, and whether margins are 1-Lipschitz."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab.privacy import propose_test_release as ptr
from theorylab.privacy import worst_case_spectral as spectral
from theorylab.privacy.preprocessing import eigengaps
from theorylab.privacy.sensitivity import TURN

Found = Mapping[str, Any]


def probabilities(epsilon: float, delta: float, margins: list[float]) -> Found:
    """Threshold, P[release] at these margins, and the largest loss between margins that differ by
    one; `plain` has a threshold of log(1/delta)/epsilon less 1."""
    test = ptr.MarginTest(epsilon, delta)
    grid = np.arange(0.0, 2 * test.threshold, 0.25)
    here = np.array([test.release_probability(m) for m in grid])
    there = np.array([test.release_probability(m + 1) for m in grid])
    losses = [np.log(there / here), np.log1p(-here) - np.log1p(-there)]
    low = ptr.MarginTest(epsilon, min(np.e * delta, 0.49))  # type: ignore[misc, unused-ignore]
    return {
        "threshold": test.threshold,
        "release": np.array([test.release_probability(m) for m in margins]),
        "loss": float(np.max(losses)),
        "outside": test.release_probability(1.0) / test.failure_probability,
        "outside_low": low.release_probability(1.0) / test.failure_probability,
        "needed": np.array(
            [1 - test.release_probability(test.margin_needed(f)) for f in (0.1, 0.01)]
        ),
    }


def sizes(gaps: list[float], counts: list[int], epsilon: float, delta: float) -> Found:
    """P[release] over n for data of these eigengaps, where half of the gap is proposed."""
    test = ptr.MarginTest(epsilon, delta)
    return {
        "release": np.array(
            [[test.release_probability(n * (g / 2) / 2) for n in counts] for g in gaps]
        ),
        "needed": np.array([4 * test.margin_needed(0.01) / g for g in gaps]),
    }


def margins(kind: str, pairs: int, seed: int) -> Found:
    """The largest change of a margin on one replacement, over adversarial neighbours."""
    generator = np.random.default_rng(seed)
    change = {
        "eigengap": _eigengap,
        "eigengap, centred": _centred,
        "standard deviation": _deviation,
        "median gap": _median,
        "missing": _missing,
    }[kind](generator, pairs)
    return {"change": float(change.max())}


def _eigengap(generator: np.random.Generator, pairs: int) -> Any:
    """Records along the axes, and one that leaves the leading axis for the next."""
    n = 40
    study = spectral.projection_study(n=n)
    data, place, _ = study.draw(generator, pairs)
    other = data.copy()
    turn = generator.uniform(0, 2 * np.pi, (2, pairs))
    turn = np.where(generator.random(pairs) < 0.5, turn, np.array([[0.0], [np.pi / 2]]))
    for rows, at in zip((data, other), turn, strict=True):
        rows[np.arange(pairs), place] = np.stack([np.cos(at), np.sin(at)], 1)
    return n * np.abs(eigengaps(data, rank=1) - eigengaps(other, rank=1)) / (2 * TURN["none"])


def _centred(generator: np.random.Generator, pairs: int) -> Any:
    """Records on a short line near the sphere, and one that turns around their opposite."""
    n, size = 200, min(pairs, 4000)
    depth = generator.uniform(0.85, 0.97, (size, 1))
    along = generator.uniform(0, np.pi, (size, 1))
    reach = (1 - depth) * generator.choice([-1.0, 1.0], (size, n))
    data = np.stack([reach * np.cos(along), reach * np.sin(along) - depth], -1)
    other = data.copy()
    turn = np.array([[-1.0], [1.0]]) * generator.normal(np.pi / 3, 0.1, (2, size))
    for rows, at in zip((data, other), turn, strict=True):
        rows[:, 0] = np.stack([np.sin(at), np.cos(at)], 1)
    gaps = [eigengaps(x, rank=1, centred=True) for x in (data, other)]
    return n * np.abs(gaps[0] - gaps[1]) / (2 * TURN["covariance"])


def _columns(generator: np.random.Generator, pairs: int, n: int) -> tuple[Any, Any]:
    column = np.clip(
        generator.normal(size=(pairs, n)) * 10 ** generator.uniform(-2, 0, (pairs, 1)), -1, 1
    )
    column = np.where(generator.random((pairs, 1)) < 0.5, column, np.where(column > 0.1, 1.0, -1.0))
    other = column.copy()
    other[:, 0] = generator.choice([-1.0, 0.0, 1.0], pairs)
    return column, other


def _deviation(generator: np.random.Generator, pairs: int) -> Any:
    column, other = _columns(generator, pairs, 40)
    return 40 * np.abs(column.var(1) - other.var(1)) / 4


def _median(generator: np.random.Generator, pairs: int) -> Any:
    column, other = _columns(generator, min(pairs, 2000), 15)
    here, there = (
        np.array([ptr.median_margin(x, gap=0.1) for x in rows]) for rows in (column, other)
    )
    return np.abs(here - there)


def _missing(generator: np.random.Generator, pairs: int) -> Any:
    column, other = _columns(generator, min(pairs, 2000), 15)
    for rows in (column, other):
        rows[:, 1:] = np.where(column[:, 1:] > 0.5, np.nan, column[:, 1:])
        rows[:, 0] = np.where(generator.random(len(rows)) < 0.5, np.nan, rows[:, 0])
    here, there = (
        np.array([ptr.missing_margin(x, missing=9) for x in rows]) for rows in (column, other)
    )
    return np.abs(here - there)
