"""Cells of the theory: Propositions 1 to 7 and the checks of the tangent features, both sides in
float64."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.flatten_util import ravel_pytree

from theorylab.errors import InputError
from theorylab.federated.algorithms import scaffold
from theorylab.federated.clients import pad_clients
from theorylab.federated.fit import federated_fit
from theorylab.federated.gram import fedavg_gram, gram, scaffold_gram
from theorylab.federated.least_squares import (
    EachRound,
    LeastSquaresState,
    fedavg_least_squares,
    scaffold_least_squares,
)
from theorylab.federated.rates import fedavg_spectral_radius, scaffold_spectral_radius
from theorylab.federated.standardizer import federated_standardizer
from theorylab.federated.step_size import max_curvatures, stable_step_size
from theorylab.federated.theory import (
    fedavg_fixed_point,
    global_optimum,
    least_squares_terms,
    min_norm_interpolator,
)
from theorylab.nets.functional import functional
from theorylab.nets.mlp import MLP
from theorylab.ntk.empirical import empirical_ntk
from theorylab.ntk.surrogates import entk_features, random_head, sample_coordinates

Arrays = Mapping[str, Any]
CLIENTS, DIM, EACH, OUTPUTS = 4, 8, 30, 2


def toy(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """Four dissimilar clients, 30 noisy examples of 8 features of unequal size, eta = 0.5 / max_i
    lambda_max(H_i)."""
    rng = np.random.default_rng([11, seed])
    scale = np.geomspace(1, 0.4, DIM)
    phi = [
        scale * (rng.normal(size=(EACH, DIM)) + 0.3 * rng.normal(size=DIM)) for _ in range(CLIENTS)
    ]
    y = [a @ rng.normal(size=(DIM, OUTPUTS)) + rng.normal(size=(EACH, OUTPUTS)) for a in phi]
    return phi, y, stable_step_size(phi, 0.5)


def _off(a: Any, b: Any) -> float:
    """Largest difference, relative to the largest entry of b."""
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max())


def _linear(theta: Any, x: Any) -> Any:
    return x @ theta


def _half_squares(output: Any, target: Any) -> Any:
    return jnp.square(output - target).sum(-1) / 2


def equivalence(steps: int, rounds: int, seed: int) -> Arrays:
    """Proposition 1: stage 2's update against SCAFFOLD option II as it runs on networks, round by
    round.

    Largest relative difference of the iterates over the rounds, |sum_i h_i|, and the same
    difference for two wrong updates: without the correction, and with the corrections handed to the
    next client.
    """
    phi, y, eta = toy(seed)
    options: dict[str, Any] = {"eta": eta, "local_steps": steps, "rounds": rounds}
    h_form = scaffold_least_squares(phi, y, keep=EachRound(trajectory=True), **options)
    plain = fedavg_least_squares(phi, y, keep=EachRound(trajectory=True), **options)
    thetas: list[np.ndarray] = []
    with jax.enable_x64(True):
        parts = np.split(np.arange(CLIENTS * EACH), CLIENTS)
        federated_fit(
            _linear,
            pad_clients(np.concatenate(phi), np.concatenate(y), parts),
            params=jnp.zeros((DIM, OUTPUTS)),
            algorithm=scaffold(lr=eta, steps=steps),
            rounds=rounds,
            loss=_half_squares,
            key=jax.random.key(0),
            progress=False,
            on_round=lambda number, state: thetas.append(np.asarray(state.params)),
        )
    option_two = np.array(thetas[1:])
    assert h_form.trajectory is not None and plain.trajectory is not None
    return {
        "difference": _off(h_form.trajectory, option_two),
        "invariant": float(np.abs(h_form.state.h.mean(0)).max() / np.abs(h_form.state.h).max()),
        "uncorrected": _off(plain.trajectory, option_two),
        "shuffled": _off(shuffled(phi, y, eta, steps, 5).theta, option_two[4]),
    }


def _next(a: Any) -> Any:
    return np.roll(a, 1, 0)


def shuffled(
    phi: Sequence[np.ndarray], y: Sequence[np.ndarray], eta: float, steps: int, rounds: int
) -> Any:
    """SCAFFOLD in which every client is handed the next one's correction after each round."""
    state: LeastSquaresState | None = None
    for _ in range(rounds):
        run: Any = scaffold_least_squares(phi, y, eta=eta, local_steps=steps, rounds=1, state=state)
        state = replace(
            run.state, h=np.roll(run.state.h, 1, 0), local=np.roll(run.state.local, 1, 0)
        )
    return run


def fixed_points(steps: list[int], rounds: int, seed: int) -> Arrays:
    """Propositions 2, 3 and 5 for every M: limits of both methods against the formulas, biases,
    spectral radii.

    `rate` is the contraction per round seen late in the run of SCAFFOLD, `radius` the spectral
    radius that foretells it.
    """
    phi, y, eta = toy(seed)
    H, b, counts = least_squares_terms(phi, y)
    optimum = global_optimum(H, b, counts=counts)
    minimisers = np.mean([np.linalg.solve(h, c) for h, c in zip(H, b, strict=True)], 0)
    stacked, targets, sizes = np.concatenate(phi), np.concatenate(y), [EACH] * CLIENTS
    G = gram(stacked)
    found: dict[str, list[float]] = {}
    for m in steps:
        options: dict[str, Any] = {"eta": eta, "local_steps": m}
        fixed = fedavg_fixed_point(H, b, counts=counts, **options)
        ours, theirs = (
            stacked.T @ solver(G, targets, sizes, rounds=rounds, **options).dual
            for solver in (scaffold_gram, fedavg_gram)
        )
        row = {
            "fedavg_to_formula": _off(theirs, fixed),
            "fedavg_to_optimum": _off(theirs, optimum),
            "bias": float(np.linalg.norm(fixed - optimum) / np.linalg.norm(optimum)),
            "to_minimisers": float(np.linalg.norm(fixed - minimisers) / np.linalg.norm(optimum)),
            "scaffold_to_optimum": _off(ours, optimum),
            "radius": scaffold_spectral_radius(H, counts=counts, **options),
            "fedavg_radius": fedavg_spectral_radius(H, counts=counts, **options),
            "rate": _rate(phi, y, eta, m, seed),
        }
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def _state(theta: Any, h: Any, local: Any) -> LeastSquaresState:
    return LeastSquaresState(theta, h, local)


def _rate(
    phi: Sequence[np.ndarray], y: Sequence[np.ndarray], eta: float, steps: int, seed: int
) -> float:
    """Contraction per round of SCAFFOLD on the problem with optimum 0, between two windows of ten
    rounds.

    Complex eigenvalues make the error oscillate, hence maxima over windows; rounding leaves a floor
    near 1e-16, hence windows where the error is well above.
    """
    rng = np.random.default_rng([13, seed])
    h = rng.normal(size=(CLIENTS, DIM, OUTPUTS))
    theta = rng.normal(size=(DIM, OUTPUTS))
    start = _state(theta, h - h.mean(0), np.tile(theta, (CLIENTS, 1, 1)))
    run = scaffold_least_squares(
        phi,
        [0 * a for a in y],
        eta=eta,
        local_steps=steps,
        rounds=400,
        state=start,
        keep=EachRound(trajectory=True),
    )
    assert run.trajectory is not None
    errors = np.linalg.norm(run.trajectory, axis=(1, 2))
    windows = np.array([errors[i : i + 10].max() for i in range(len(errors) - 10)])
    last = int(np.flatnonzero(windows > 1e-11 * windows[0])[-1])
    return float((windows[last] / windows[last // 2]) ** (1 / (last - last // 2)))


def interpolation(steps: list[int], rounds: list[int], seed: int) -> Arrays:
    """Proposition 4 (p > n): relative distances of both methods to the minimum-norm interpolator,
    (steps, rounds).

    `outside`: of SCAFFOLD started outside the row span, which keeps what it started with there.
    """
    rng = np.random.default_rng([17, seed])
    phi = [rng.normal(size=(5, 60)) for _ in range(4)]
    y = [rng.normal(size=(5, 1)) for _ in range(4)]
    limit, eta = min_norm_interpolator(phi, y), stable_step_size(phi)
    stacked, sizes = np.concatenate(phi), [5] * 4
    found: dict[str, Any] = {}
    for name, solver in (("fedavg", fedavg_gram), ("scaffold", scaffold_gram)):
        runs = [
            solver(
                gram(stacked), np.concatenate(y), sizes, eta=eta, local_steps=m, rounds=max(rounds)
            )
            for m in steps
        ]
        thetas = [[stacked.T @ run.trajectory[t - 1] for t in rounds] for run in runs]
        found[name] = np.array(
            [[np.linalg.norm(t - limit) / np.linalg.norm(limit) for t in row] for row in thetas]
        )
    start = rng.normal(size=(60, 1))
    start -= np.linalg.pinv(stacked) @ (stacked @ start)
    state = _state(start, np.zeros((4, 60, 1)), np.tile(start, (4, 1, 1)))
    run = scaffold_least_squares(
        phi, y, eta=eta, local_steps=steps[0], rounds=max(rounds), state=state
    )
    found["outside"] = np.linalg.norm(run.theta - limit) / np.linalg.norm(limit)
    return found


def gram_form(steps: list[int], rounds: int, seed: int) -> Arrays:
    """Proposition 7 for every M: the Gram form's predictions against the primal loop's; and against
    M + 1 steps'."""
    phi, y, _ = toy(seed)
    stacked = np.concatenate(phi)
    found: dict[str, list[float]] = {"difference": [], "one_more": []}
    G, sizes, eta = gram(stacked), [EACH] * CLIENTS, stable_step_size(phi, 1.9)
    for m in steps:
        options: dict[str, Any] = {"eta": eta, "rounds": rounds}
        dual, more = (
            scaffold_gram(G, np.concatenate(y), sizes, local_steps=k, **options) for k in (m, m + 1)
        )
        primal = scaffold_least_squares(phi, y, keep=EachRound(stacked), local_steps=m, **options)
        found["difference"].append(_off(dual.fitted, primal.predictions))
        found["one_more"].append(_off(more.fitted, primal.predictions))
    return found


def step_size(factors: list[float], seed: int) -> Arrays:
    """Proposition 6: whether a step of c / lambda_max is accepted, and what gradient descent with
    it does to |theta| in 200 steps; lambda_max by Lanczos against LAPACK."""
    phi, y, _ = toy(seed)
    H = least_squares_terms(phi, y).H
    largest = np.linalg.eigvalsh(H).max()
    accepted, growth = [], []
    for c in factors:
        try:
            scaffold_least_squares(phi, y, eta=c / largest, local_steps=5, rounds=1)
            accepted.append(True)
        except InputError:
            accepted.append(False)
        i = int(np.argmax(np.linalg.eigvalsh(H).max(1)))
        step = np.linalg.matrix_power(np.eye(DIM) - c / largest * H[i], 200)
        growth.append(np.linalg.norm(step, 2))
    return {
        "accepted": np.array(accepted),
        "growth": np.array(growth),
        "curvature": float(max_curvatures(phi).max() / largest - 1),
    }


def tangent(draws: int, seed: int) -> Arrays:
    """Checks N1 to N4 of the features, on a tanh network 6-20-1.

    linearisation: log-log slope of |f(w + t u) - f(w) - t <phi, u>| in t, with phi in its own order
    and in a wrong one;
    kernel: Phi Phi^T against the empirical NTK, with the same head and with another; subsampling:
    mean and variance of the kernel entry over `draws` subsets, in standard errors and relative;
    standardiser: trace against live columns, federated against pooled statistics, and the same for
    the mean of the clients' variances.
    """
    rng = np.random.default_rng([19, seed])
    with jax.enable_x64(True):
        hidden, params = functional(
            MLP((6, 20, 1), activation=jnp.tanh, rngs=nnx.Rngs(seed)), method="features"
        )
        params = jax.tree.map(lambda a: a.astype(jnp.float64), params)
        x = jnp.asarray(rng.normal(size=(12, 6)))
        g, w = random_head(hidden, params, x, jax.random.key(seed))
        flat, unravel = ravel_pytree(w)
        phi = entk_features(hidden, params, x, head="random", key=jax.random.key(seed))
        live = np.flatnonzero(np.abs(phi).max(0) > 0)
        kernel = np.asarray(empirical_ntk(g, w, x, reduce="trace"))
        v = random_head(hidden, params, x, jax.random.key(seed + 1))[1]
        wrong_kernel = np.asarray(empirical_ntk(g, v, x, reduce="trace"))
        u = jnp.asarray(rng.normal(size=flat.size))
        value = lambda t: np.asarray(g(unravel(flat + t * u), x))[:, 0]  # noqa: E731
        slopes = []
        for direction in (np.asarray(u), np.asarray(u)[::-1]):
            errors = [
                np.abs(value(t) - value(0.0) - t * (phi @ direction)).max()
                for t in (1e-2, 1e-3, 1e-4)
            ]
            slopes.append(np.log10(errors[0] / errors[2]) / 2)
    size, p = len(live), len(live) // 3
    products = phi[0, live] * phi[1, live]
    picks = np.argsort(rng.random((draws, size)), 1)[:, :p]
    estimates = size / p * products[picks].sum(1)
    expected = size**2 * (1 - p / size) * products.var(ddof=1) / p
    blocks = [1000 + phi[:5].astype(np.float64), 1000 + phi[5:].astype(np.float64)]
    both = np.concatenate(blocks)
    standardizer = federated_standardizer(blocks)
    done = standardizer.apply(both)
    std = np.where(both.std(0) > 1e-12, both.std(0), 1.0)
    split = np.sqrt(sum(len(a) * a.var(0) for a in blocks) / len(both))
    return {
        "slope": slopes[0],
        "wrong_slope": slopes[1],
        "kernel": _off(phi @ phi.T, kernel),
        "other_head": _off(phi @ phi.T, wrong_kernel),
        "mean": (estimates.mean() - products.sum()) / np.sqrt(expected / draws),
        "variance": estimates.var() / expected,
        "variance_with_replacement": estimates.var() / (expected / (1 - p / size)),
        "coordinates": len(sample_coordinates(w, p, jax.random.key(seed))) / p,
        "trace": np.square(done).sum() / len(both) / standardizer.live - 1,
        "statistics": _off(standardizer.scale, std),
        "raw_trace": np.square(both).sum() / len(both) / standardizer.live - 1,
        "split_statistics": _off(split, std),
    }
