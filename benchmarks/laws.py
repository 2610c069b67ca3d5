"""Random matrices against every law that predicts them: `python benchmarks/laws.py [--n 1500]`.

Prints a Markdown table and writes results/laws-<device>.json. Bulks: the Kolmogorov distance
between the eigenvalues of one n-row matrix and the law, which rigidity bounds by 2 log(n) / n, and
how far the density's integral (atoms counted) is from 1. Edges: the distance between the largest
eigenvalues of many draws and Tracy-Widom, with the 1 % Kolmogorov-Smirnov quantile and the n^-2/3
bias as bound. Spikes: position and overlap, with three standard deviations.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.integrate
import scipy.linalg
from record import arguments, keep

from theorylab.rmt import (
    DeformedWigner,
    DiscreteLaw,
    FreeConvolution,
    MarchenkoPastur,
    Semicircle,
    SilversteinLaw,
    TracyWidom,
    bbp_covariance,
    bbp_wigner,
    free_additive,
    free_multiplicative,
    kolmogorov_distance,
)

DRAWS = 500  # of the largest eigenvalue


@dataclass(frozen=True)
class Row:
    """One prediction: |measured - predicted| or a Kolmogorov distance, its bound, and |mass - 1| of
    a density."""

    law: str
    deviation: float
    bound: float
    mass_error: float | None = None


def rows(n: int, seed: int = 0) -> Iterator[Row]:
    """All predictions, on matrices with n rows."""
    rng = np.random.default_rng(seed)
    for name, values, law, edges, atom in _bulks(n, rng):
        cdf, mass = (law.cdf, _mass(law, edges)) if hasattr(law, "cdf") else _integrated(law, edges)
        yield Row(
            name, float(kolmogorov_distance(values, cdf)), 2 * math.log(n) / n, abs(mass + atom - 1)
        )
    for beta in (1, 2, 4):
        tops = np.array([_largest(n, beta, rng) for _ in range(DRAWS)])
        distance = float(kolmogorov_distance(tops, TracyWidom(beta).cdf))
        yield Row(
            f"Tracy-Widom, beta {beta}, {DRAWS} draws", distance, 1.63 / DRAWS**0.5 + n ** (-2 / 3)
        )
    yield from _spikes(n, rng)


def _wigner(n: int, rng: np.random.Generator) -> np.ndarray:
    w = rng.standard_normal((n, n))
    return (w + w.T) / np.sqrt(2 * n)


def _covariance(n: int, population: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Eigenvalues of XᵀX/n, the zeros exact."""
    x = rng.standard_normal((n, len(population))) * np.sqrt(population)
    gram = x.T @ x if len(population) <= n else x @ x.T
    return np.concatenate([np.zeros(max(len(population) - n, 0)), np.linalg.eigvalsh(gram / n)])


def _bulks(
    n: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, Any, np.ndarray, float]]:
    """Name, eigenvalues, law, its bulks and its mass at zero."""
    half = np.repeat([-1.0, 2.0], [n - n // 2, n // 2])
    share = np.array([n - n // 2, n // 2]) / n
    semicircle = Semicircle()
    yield (
        "semicircle",
        np.linalg.eigvalsh(_wigner(n, rng)),
        semicircle,
        np.array([semicircle.edges()]),
        0.0,
    )
    deformed = DeformedWigner(np.array([-1.0, 2.0]), share, 0.49)
    values = np.linalg.eigvalsh(np.diag(half) + 0.7 * _wigner(n, rng))
    yield "deformed Wigner, {-1, 2} and 0.7 noise", values, deformed, deformed.edges(), 0.0
    for gamma in (0.5, 2.0):
        white = MarchenkoPastur(gamma)
        values = _covariance(n, np.ones(round(gamma * n)), rng)
        yield (
            f"Marchenko-Pastur, p/n = {gamma:g}",
            values,
            white,
            np.array([white.edges()]),
            float(white.atom()),
        )
    spectra = {
        "generalised Marchenko-Pastur, {1, 8}": np.repeat(
            [1.0, 8.0], [round(0.28 * n), round(0.12 * n)]
        ),
        "generalised Marchenko-Pastur, log-normal": np.exp(0.7 * rng.standard_normal(n // 2)),
        "generalised Marchenko-Pastur, i^-1.5, p = 2n": np.arange(1, 2 * n + 1.0) ** -1.5 * n,
    }
    for name, population in spectra.items():
        law = SilversteinLaw(population, None, len(population) / n)
        yield name, _covariance(n, population, rng), law, law.edges(), float(law.atom())
    x = rng.standard_normal((2 * n, n))
    total = free_additive(DiscreteLaw(np.array([-1.0, 2.0]), share), MarchenkoPastur(0.5))
    values = np.linalg.eigvalsh(np.diag(half) + x.T @ x / (2 * n))
    yield "free sum, {-1, 2} + Marchenko-Pastur", values, total, _support(total, values), 0.0
    first, second = np.array([1.0, 3.0]), np.array([1.0, 2.0, 6.0])
    counts = np.diff(np.round(np.linspace(0, n, 4))).astype(int)
    rotation, _ = np.linalg.qr(rng.standard_normal((n, n)))
    root = np.sqrt(np.repeat(first, [n - n // 2, n // 2]))
    values = np.linalg.eigvalsh(
        root[:, None] * ((rotation * np.repeat(second, counts)) @ rotation.T) * root
    )
    product = free_multiplicative(DiscreteLaw(first, share), DiscreteLaw(second, counts / n))
    yield "free product, {1, 3} x {1, 2, 6}", values, product, _support(product, values), 0.0


def _support(law: FreeConvolution, values: np.ndarray) -> np.ndarray:
    """Bulks of a law that knows its density alone: a grid around the eigenvalues, its ends
    sharpened by bisection."""
    margin = 0.2 * np.ptp(values)
    grid = np.linspace(values.min() - margin, values.max() + margin, 3001)

    def inside(x: np.ndarray) -> np.ndarray:
        return np.asarray(law.density(x)) > 1e-4

    flips = np.flatnonzero(np.diff(inside(grid)))
    low, high, rising = grid[flips], grid[flips + 1], ~inside(grid[flips])
    for _ in range(40):
        middle = (low + high) / 2
        beyond = inside(middle) == rising
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return ((low + high) / 2).reshape(-1, 2)


def _nodes(edges: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """x = a + (b - a) sin² φ on every bulk, (bulks, count), and dx/dφ: square-root edges become
    smooth."""
    phi = np.linspace(0, np.pi / 2, count)
    a, width = edges[:, :1], np.diff(edges, axis=1)
    return a + width * np.sin(phi) ** 2, width * np.sin(2 * phi)


def _mass(law: Any, edges: np.ndarray, count: int = 501) -> float:
    x, slope = _nodes(edges, count)
    density = np.nan_to_num(np.asarray(law.density(x.ravel())).reshape(x.shape), posinf=0.0)
    return float(scipy.integrate.simpson(density * slope, dx=np.pi / 2 / (count - 1)).sum())


def _integrated(
    law: Any, edges: np.ndarray, count: int = 2001
) -> tuple[Callable[[Any], np.ndarray], float]:
    """Distribution function by integrating the density, and its total."""
    x, slope = _nodes(edges, count)
    integrand = np.asarray(law.density(x.ravel())).reshape(x.shape) * slope
    steps = scipy.integrate.cumulative_simpson(integrand, dx=np.pi / 2 / (count - 1), initial=0)
    before = np.concatenate([[0.0], np.cumsum(steps[:, -1])[:-1]])
    xs, ys = x.ravel(), (steps + before[:, None]).ravel()
    return lambda at: np.interp(np.asarray(at), xs, ys), float(ys[-1])


def _largest(n: int, beta: int, rng: np.random.Generator) -> float:
    """Scaled largest eigenvalue of the beta-Hermite ensemble, by its tridiagonal model (Dumitriu,
    Edelman 2002)."""
    diagonal = rng.standard_normal(n) / np.sqrt(beta)
    off = np.sqrt(rng.chisquare(beta * np.arange(n - 1, 0, -1.0)) / (2 * beta))
    top = scipy.linalg.eigvalsh_tridiagonal(diagonal, off, select="i", select_range=(n - 1, n - 1))[
        0
    ]
    scaled = (top - np.sqrt(2 * n)) * np.sqrt(2) * n ** (1 / 6)
    # the usual table of beta 4 is in these units
    return float(scaled * (2 ** (1 / 6) if beta == 4 else 1.0))


def _spikes(n: int, rng: np.random.Generator) -> Iterator[Row]:
    gamma, size = 0.5, 4.0
    x = rng.standard_normal((n, n // 2))
    x[:, 0] *= np.sqrt(size)
    seen = bbp_covariance(size, gamma)
    place, overlap = _top(x.T @ x / n)
    deviation = math.sqrt(2 / n) * size * math.sqrt(1 - gamma / (size - 1) ** 2)
    yield Row(
        "BBP position, spike 4 in a covariance", abs(place - float(seen.eigenvalue)), 3 * deviation
    )
    yield Row(
        "BBP overlap, spike 4 in a covariance", abs(overlap - float(seen.overlap)), 3 / math.sqrt(n)
    )
    w = _wigner(n, rng)
    w[0, 0] += 2.0
    known = bbp_wigner(2.0)
    place, overlap = _top(w)
    yield Row(
        "BBP position, spike 2 in noise",
        abs(place - float(known.eigenvalue)),
        3 * math.sqrt(1.5 / n),
    )
    yield Row(
        "BBP overlap, spike 2 in noise", abs(overlap - float(known.overlap)), 3 / math.sqrt(n)
    )


def _top(matrix: np.ndarray) -> tuple[float, float]:
    n = len(matrix)
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=(n - 1, n - 1))
    return float(values[0]), float(vectors[0, 0] ** 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = arguments(parser, smoke={"n": 200})
    start = time.perf_counter()
    found = list(rows(options.n, options.seed))
    print(f"n = {options.n}\n\n| law | deviation | bound | integral - 1 |\n|---|---|---|---|")
    for row in found:
        mass = "" if row.mass_error is None else f"{row.mass_error:.1e}"
        print(f"| {row.law} | {row.deviation:.2g} | {row.bound:.2g} | {mass} |")
    keep(
        "laws",
        vars(options),
        seconds={"all": time.perf_counter() - start},
        rows=[asdict(row) for row in found],
    )


if __name__ == "__main__":
    main()
