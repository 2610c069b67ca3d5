"""Cells without data: the two hybrids, cost factors, mechanisms, quadrature, conversions."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import binom, norm

from theorylab.privacy import (
    calibration,
    divergences,
    meta_theorem,
    naive_accounting,
    preprocessing,
    renyi,
    sensitivity,
    smooth,
)

Found = Mapping[str, Any]


def closed_form(cases: list[list[float]], count: int, seed: int) -> Found:
    """The least bound over p by this package and by scalar minimisation, beside the closed form.

    cases: [rho, smooth rho, order]; `count` random ones are added.
    """
    generator = np.random.default_rng(seed)
    drawn = [
        [*(10.0 ** generator.uniform(-5, 0.5, 2)), 1 + 10.0 ** generator.uniform(-0.7, 1.8)]
        for _ in range(count)
    ]
    every = np.array([*cases, *drawn])
    package, scalar = [], []
    for rho, moved, order in every:
        cost = meta_theorem.preprocessed_cost(
            renyi.zcdp_curve(rho), renyi.zcdp_curve(moved), orders=[order]
        )
        package.append(float(cost.divergences[0]))

        def bound(u: float, pair: Any = (moved, rho), a: float = order) -> float:
            return float((a - u) / (a - 1) * a / u * pair[0] + (a - u) / (1 - u) * pair[1])

        scalar.append(
            min(
                minimize_scalar(
                    lambda u, pair=pair: bound(u, pair),
                    bounds=(1e-9, 1 - 1e-9),
                    method="bounded",
                    options={"xatol": 1e-13, "maxiter": 2000},
                ).fun
                for pair in ((moved, rho), (rho, moved))
            )
        )
    rho, moved, order = every.T
    return {
        "cases": every,
        "closed": order
        * np.array([meta_theorem.preprocessed_zcdp(r, s) for r, s in zip(rho, moved, strict=True)]),
        "package": np.array(package),
        "scalar": np.array(scalar),
        "added": order * (rho + moved),
        "halves": 2 * (order - 0.5) / (order - 1) * order * moved + (2 * order - 1) * rho,
    }


def hybrids(rho: float, moved: float, order: float, points: int) -> Found:
    """Both hybrids over p, the exact divergence of Gaussian means that they bound, and the same
    with the orders of the curves not raised."""
    p = 1 + np.geomspace(0.02, 60, points)
    common, replaced = renyi.zcdp_curve(moved), renyi.zcdp_curve(rho)

    def along(first: Any, second: Any) -> Any:
        return np.array(
            [meta_theorem.weak_triangle(order, p=x, first=first, second=second) for x in p]
        )

    shift = np.sqrt(2 * rho) + np.sqrt(2 * moved)  # both movements in one direction
    return {
        "p": p,
        "smooth_first": along(common, replaced),
        "smooth_last": along(replaced, common),
        "exact": divergences.renyi_of_mixtures(order, [1.0], [shift], [0.0], noise_std=1.0),
        "closed": order * meta_theorem.preprocessed_zcdp(rho, moved),
        "forgotten": (order - 1 / p) / (order - 1) * order * moved + order * rho,
    }


def imputation(n: int, missing: list[int], radius: float) -> Found:
    """Cost factors of mean imputation over the number that is missing, and the exact attack."""
    mu = smooth.logistic_smoothness(radius)
    rows = []
    for m in missing:
        moved = sensitivity.mean_imputation(n, missing=m)
        pair = naive_accounting.missing_neighbours(n, missing=m)
        attack = naive_accounting.attack_noisy_mean(
            preprocessing.impute_mean, *pair, noise_std=0.01
        )
        mean = smooth.gaussian_mechanism(lipschitz=1 / n, noise_std=0.01)
        behind = mean.behind(moved, orders=[3.0]).divergences[0]
        rows.append(
            {
                "full": float(behind / mean.renyi(3.0)),
                "closed": (n / (n - m)) ** 2,
                "attack": attack.exact_rho / attack.claimed_rho,
                "descent": meta_theorem.cost_factor(mu * moved.total),
                "group": meta_theorem.group_cost_factor(m),
                "careless": meta_theorem.cost_factor(2 * m / n),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def mechanisms(n: int, missing: list[int], epsilon: float, delta: float, kind: str) -> Found:
    """The overall epsilon of a mechanism that is epsilon-private by itself, behind an imputation.

    kind: "mean", "Laplace mean", "descent", "sampled descent" or "one pass".
    """
    orders = np.concatenate([np.arange(1.25, 10, 0.5), np.arange(10, 40, 3.0)])
    mu = smooth.logistic_smoothness(2.0)

    def build(noise: float) -> smooth.SmoothMechanism:
        descent: dict[str, Any] = {"gradient_norm": 1.0, "smoothness": mu, "noise_std": noise}
        if kind == "mean":
            return smooth.gaussian_mechanism(lipschitz=1 / n, noise_std=noise / n)
        if kind == "Laplace mean":
            return smooth.laplace_mechanism(lipschitz=1 / n, scale=noise / n)
        if kind == "descent":
            return smooth.dp_gradient_descent(n, steps=20, **{**descent, "noise_std": noise / n})
        if kind == "sampled descent":
            return smooth.dp_sgd(sampling_rate=0.05, batch_size=1.0, steps=100, **descent)
        return smooth.one_pass_descent(n, step_size=0.5, **descent)

    noise = calibration.calibrated_noise(
        lambda s: build(s).renyi, epsilon=epsilon, delta=delta, orders=orders, rtol=1e-2
    )
    mechanism = build(noise)
    spent = []
    for m in missing:
        moved = sensitivity.mean_imputation(n, missing=m)
        cost = mechanism.behind(moved, orders=orders).divergences
        # nothing lies between the orders that were computed
        curve = partial(np.interp, xp=orders, fp=cost)
        spent.append(renyi.to_epsilon(curve, delta=delta, orders=orders).epsilon)
    return {"epsilon": np.array(spent), "noise": noise}


def steps(n: int, missing: int, counts: list[int], noise_std: float, delta: float) -> Found:
    """Epsilon of descent on imputed records over its steps: naive, in full, and by groups."""
    mu = smooth.logistic_smoothness(2.0)
    moved = sensitivity.mean_imputation(n, missing=missing)
    found: dict[str, list[float]] = {"naive": [], "full": [], "group": []}
    for count in counts:
        rho = renyi.gaussian_zcdp(sensitivity=2 * np.sqrt(count) / n, noise_std=noise_std)
        for name, factor in (
            ("naive", 1.0),
            ("full", meta_theorem.cost_factor(mu * moved.total)),
            ("group", meta_theorem.group_cost_factor(moved.records)),
        ):
            curve = renyi.zcdp_curve(rho * factor)
            found[name].append(renyi.to_epsilon(curve, delta=delta).epsilon)
    return {name: np.array(values) for name, values in found.items()}


def sampled_sums(rate: float, noise: float, order: float, records: int, moved: float) -> Found:
    """One Poisson-sampled Gaussian sum whose records move: the exact divergence where they lie at
    0 and at the worst place of a grid, and the bounds.

    `averaged` moves the sum by what it moves on average, which is no bound.
    """
    sampled = np.arange(records + 1)
    weights = binom.pmf(sampled, records, rate)
    exact = [
        divergences.renyi_of_mixtures(
            order, weights, sampled * (at + moved), sampled * at, noise_std=noise
        )
        for at in np.linspace(0, 3, 13)
    ]
    whole = sensitivity.Sensitivity(records, moved, records * moved)
    bound = smooth.coupling_curve(whole, sampling_rate=rate, scale=1 / noise)
    total = records * moved / noise
    return {
        "at_zero": exact[0],
        "worst": max(exact),
        "bound": float(bound(order)),
        "unsampled": order * total**2 / 2,
        "averaged": order * (rate * total) ** 2 / 2,
    }


def last_iterate(length: int, count: int, seed: int) -> Found:
    """The best spread of random shifts, against the convex minorant and two exact divergences.

    `forgets` is the exact cost where one step maps everything to one point, so that only noise
    after it counts; `even` spreads the shifts over all steps.
    """
    generator = np.random.default_rng(seed)
    every = generator.exponential(size=(count, length)) * (
        generator.random((count, length)) < generator.uniform(0.2, 1, (count, 1))
    )
    every[0] = np.eye(length)[length // 2]
    every[every.sum(1) == 0, 0] = 1.0  # some shift there must be
    spread, hull, forgets, even, unspread = [], [], [], [], []
    for s in every:
        found = smooth.iteration_cost(s, noise_std=1.0)
        spread.append(found.rho)
        hull.append(_minorant_cost(s))
        left = np.arange(length, 0, -1)
        forgets.append(float((s[::-1].cumsum()[::-1] ** 2 / left).max()) / 2)
        even.append(float(s.sum() ** 2 / length / 2))
        unspread.append(float((s**2).sum() / 2))
    names = ("spread", "hull", "forgets", "even", "unspread")
    columns = (spread, hull, forgets, even, unspread)
    return {name: np.array(column) for name, column in zip(names, columns, strict=True)}


def _minorant_cost(shifts: Any) -> float:
    """Half the sum of squared slopes of the greatest convex minorant of the cumulative shifts."""
    total = np.concatenate([[0.0], np.cumsum(shifts)])
    hull = [0]
    for t in range(1, len(total)):
        while len(hull) > 1 and (total[hull[-1]] - total[hull[-2]]) * (t - hull[-1]) >= (
            total[t] - total[hull[-1]]
        ) * (hull[-1] - hull[-2]):
            hull.pop()
        hull.append(t)
    widths, rises = np.diff(hull), np.diff(total[hull])
    return float((rises**2 / widths).sum() / 2)


def gaussian_conversions(shifts: list[float], levels: list[float], delta: float) -> Found:
    """Epsilon of a Gaussian: exactly, by its curve, and by the closed form of zCDP; and back."""
    orders = np.concatenate([np.arange(1.05, 40, 0.05), np.arange(40, 1200, 2.0)])
    curves = [renyi.gaussian_curve(sensitivity=s, noise_std=1.0) for s in shifts]
    return {
        "exact": np.array([renyi.gaussian_epsilon(s, delta=delta) for s in shifts]),
        "curve": np.array(
            [renyi.to_epsilon(c, delta=delta, orders=orders).epsilon for c in curves]
        ),
        "zcdp": np.array([renyi.zcdp_to_epsilon(s**2 / 2, delta=delta) for s in shifts]),
        "rho": np.array([renyi.epsilon_to_zcdp(e, delta=delta) for e in levels]),
    }


def sampled_accounting(
    rate: float, noise: float, steps: int, orders: list[int], delta: float
) -> Found:
    """Poisson-sampled Gaussians: the curve of one step, and epsilon of all by curves, by loss
    distributions and by the central limit theorem, which promises too much."""
    one = renyi.subsampled_gaussian_curve(sampling_rate=rate, noise_multiplier=noise)
    every = renyi.subsampled_gaussian_curve(sampling_rate=rate, noise_multiplier=noise, steps=steps)
    shift = rate * np.sqrt(steps * np.expm1(1 / noise**2))
    low, high = 0.0, 50.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        found = norm.cdf(shift / 2 - middle / shift) - np.exp(middle) * norm.cdf(
            -shift / 2 - middle / shift
        )
        low, high = (middle, high) if found > delta else (low, middle)
    return {
        "curve": np.asarray(one(np.array(orders, np.float64))),
        "epsilon": renyi.to_epsilon(every, delta=delta).epsilon,
        "loss": calibration.sampled_gaussian_epsilon(
            sampling_rate=rate, noise_multiplier=noise, steps=steps, delta=delta
        ),
        "limit": high,
    }
