"""Cells of the theory: margins behind projections, directions of samples and of other
distributions, what the accounting of the paper's settings spends."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab.privacy import pillar, renyi, subspace_bounds
from theorylab.privacy.large_margin import counter_example

Found = Mapping[str, Any]


def counterexample(gamma: float, angle: float, rare: float) -> Found:
    """Four points in the plane: the margin that is promised, and the one that is there."""
    found = counter_example(gamma=gamma, angle=angle, rare=rare)
    moments = (found.records * found.mass[:, None]).T @ found.records
    _, vectors = pillar.spectrum(moments)
    defect = float(pillar.low_rank_defect(found.weights, moments)[0])
    size = pillar.margin(found.records, found.labels, found.weights)
    leading = vectors[:, :1]
    projected = found.records @ leading[:, 0]
    errors = [found.mass[np.sign(s * projected) != found.labels].sum() for s in (1.0, -1.0)]
    scale = pillar.projected_margin(
        found.records, found.labels, found.weights, basis=leading, rescaled=False
    )
    return {
        "records": found.records,
        "labels": found.labels,
        "leading": leading[:, 0],
        "weights": found.weights,
        "gamma": size,
        "defect": defect,
        "measured": pillar.projected_margin(
            found.records, found.labels, found.weights, basis=leading
        ),
        "unscaled": scale,
        "printed": pillar.printed_margin(size, defect),
        "safe": pillar.safe_margin(size, defect, error=0.0),
        "sharp": pillar.sharp_margin(size, defect),
        "least_error": min(errors),
    }


def margins(d: int, rank: int, atoms: int, draws: int, seed: int) -> Found:
    """Random distributions of unit records with a margin: what is left of it, and what is promised.

    The basis comes from a sample, so that it has an error, which is measured. Atoms are drawn near
    the boundary of the margin, where the bounds are met. Arrays (draws,).
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[float]] = {}
    for _ in range(draws):
        weights = rng.standard_normal(d) * np.exp(rng.uniform(0, 2) * rng.standard_normal(d))
        weights /= np.linalg.norm(weights)
        x, y = _atoms(rng, weights, atoms, rng.uniform(0.05, 0.9))
        mass = rng.dirichlet(np.full(atoms, rng.uniform(0.1, 1.0)))
        moments = (x * mass[:, None]).T @ x
        _, vectors = pillar.spectrum(moments)
        away = rng.uniform(0, 0.2) * rng.standard_normal((d, rank)) * rng.integers(0, 2)
        basis = np.linalg.qr(vectors[:, :rank] + away)[0]
        if np.linalg.norm(basis.T @ weights) < 1e-6:
            continue
        given = {
            "gamma": pillar.margin(x, y, weights),
            "defect": float(pillar.low_rank_defect(weights, moments)[rank - 1]),
            "error": pillar.subspace_error(vectors[:, :rank], basis),
        }
        defect, error = given["defect"], given["error"]
        given |= {
            "unscaled": pillar.projected_margin(x, y, weights, basis=basis, rescaled=False),
            "kept": float(np.linalg.norm(basis.T @ weights)),
            "printed": pillar.printed_margin(given["gamma"], defect),
            "safe": pillar.safe_margin(given["gamma"], defect, error=error),
            "sharp": pillar.sharp_margin(given["gamma"], defect, error=error),
        }
        for name, value in given.items():
            rows.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in rows.items()}


def _atoms(
    rng: np.random.Generator, weights: np.ndarray, atoms: int, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors at margin gamma or a little more, most of their rest in few directions."""
    d = len(weights)
    scales = np.exp(-rng.uniform(0, 2) * np.arange(d)[rng.permutation(d)] / 2)
    rest = rng.standard_normal((atoms, d)) * scales
    rest -= np.outer(rest @ weights, weights)
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    along = gamma + (1 - gamma) * rng.beta(1, 8, atoms)
    labels = rng.choice([-1.0, 1.0], atoms)
    x = (labels * along)[:, None] * weights + np.sqrt(1 - along**2)[:, None] * rest
    return x, labels


def sampled_directions(d: int, rank: int, share: float, n: int, trials: int, seed: int) -> Found:
    """Errors (trials,) of the leading directions of n records, and lemma 3's bound at 95 %.

    Records are unit vectors with the share of their square in the first `rank` axes.
    """
    rng = np.random.default_rng(seed)
    gap = share / rank - (1 - share) / (d - rank)
    errors = []
    for _ in range(trials):
        x = _two_blocks(rng, n, d, rank, share)
        _, vectors = pillar.second_moments(x)
        errors.append(pillar.subspace_error(np.eye(d)[:, :rank], vectors[:, :rank]))
    bound = subspace_bounds.sampling_bound(n, eigengap=gap, failure=0.05)
    return {"errors": np.array(errors), "bound": bound, "eigengap": gap}


def _two_blocks(rng: np.random.Generator, n: int, d: int, rank: int, share: float) -> np.ndarray:
    x = rng.standard_normal((n, d))
    x[:, :rank] *= np.sqrt(share) / np.linalg.norm(x[:, :rank], axis=1, keepdims=True)
    x[:, rank:] *= np.sqrt(1 - share) / np.linalg.norm(x[:, rank:], axis=1, keepdims=True)
    return x


def shifted_directions(d: int, rank: int, shifts: list[float], draws: int, seed: int) -> Found:
    """How second moments and directions move when a share of the mass is replaced.

    Arrays (shifts, draws): the change of the moments over the share, and the error of the
    directions; `bound` is ours, `printed` the paper's; `corner` the change where it is attained.
    """
    rng = np.random.default_rng(seed)
    change: list[Any] = []
    error: list[Any] = []
    bound: list[Any] = []
    printed: list[Any] = []
    corner = []
    for eta in shifts:
        line: list[list[float]] = [[], [], [], []]
        for _ in range(draws):
            x = _two_blocks(rng, 4 * d, d, rank, 0.9)
            foreign = rng.standard_normal((d, d)) * np.exp(-np.arange(d)[rng.permutation(d)] / 2)
            foreign /= np.linalg.norm(foreign, axis=1, keepdims=True)
            before = x.T @ x / len(x)
            after = (1 - eta) * before + eta * foreign.T @ foreign / d
            values, vectors = pillar.spectrum(before)
            gap = float(values[rank - 1] - values[rank])
            _, moved = pillar.spectrum(after)
            line[0].append(float(np.linalg.norm(after - before, 2)) / eta)
            line[1].append(pillar.subspace_error(vectors[:, :rank], moved[:, :rank]))
            line[2].append(subspace_bounds.shift_bound(eta, eigengap=gap))
            line[3].append(subspace_bounds.shift_bound(eta, eigengap=gap, constant=7.0))
        for into, values_ in zip((change, error, bound, printed), line, strict=True):
            into.append(values_)
        first, second = np.zeros((2, d, d))
        first[0, 0], second[1, 1] = eta, eta
        corner.append(float(np.linalg.norm(first - second, 2)) / eta)
    return {
        "change": np.array(change),
        "error": np.array(error),
        "bound": np.array(bound),
        "printed": np.array(printed),
        "corner": np.array(corner),
    }


def rates(
    dimensions: list[int], rank: int, error: float, epsilon: float, gamma: float, defect: float
) -> Found:
    """Private records that each method needs up to constants, over the dimension."""
    zeta = pillar.sharp_margin(gamma, defect)
    rows = [
        subspace_bounds.private_sample_rates(
            d=d, rank=rank, error=error, epsilon=epsilon, gamma=gamma, zeta=zeta
        )
        for d in dimensions
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def accounted(
    epsilon: float, sampling_rate: float, steps: int, noise_multiplier: float, delta: float
) -> Found:
    """What the paper's steps spend at a noise multiplier, by Rényi accounting."""
    curve = renyi.subsampled_gaussian_curve(
        sampling_rate=sampling_rate, noise_multiplier=noise_multiplier, steps=steps
    )
    return {"epsilon": renyi.to_epsilon(curve, delta=delta).epsilon}
