"""Cells of the linear theory: each proposition's two sides, computed in different ways."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.flatten_util import ravel_pytree
from scipy.linalg import expm

from theorylab.nets.functional import functional
from theorylab.nets.mlp import MLP
from theorylab.shift.projection_gram import projection_norm_gram
from theorylab.shift.projection_linear import (
    isotropic_expectations,
    linear_projection_norm,
    linear_test_loss,
    min_norm_fit,
    projection_parts,
)
from theorylab.shift.projection_stopped import projection_norm_descent, projection_norm_flow

Arrays = Mapping[str, np.ndarray]


def _designs(rng: np.random.Generator, n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian rows whose scales fall along the coordinates, slower for the test set."""
    scales = np.arange(1, d + 1)
    return rng.normal(size=(n, d)) * scales**-0.3, rng.normal(size=(m, d)) * scales**-0.1


def bounds(n: int, m: int, d: int, draws: int, seed: int) -> Arrays:
    """Propositions 1 to 4 and their counter-example, on one pair of designs.

    Signals on the unit sphere (draws,): pn, missed, loss, lower, upper, kappa. `fit` holds
    Projection Norm and test loss of the least-squares fits of one signal, `closed` those of
    Proposition 1, `no_start` the same with theta_0 forgotten; `expected` is from the trace formulas
    (pn^2, missed^2, loss, lower, upper); `hidden` holds norm and loss of a signal that the training
    set does not see.
    """
    rng = np.random.default_rng(seed)
    X, Xt = _designs(rng, n, m, d)
    theta = rng.normal(size=(draws, d))
    theta /= np.linalg.norm(theta, axis=1, keepdims=True)
    start, star = rng.normal(size=(2, d))
    hat = start + np.linalg.lstsq(X, X @ (star - start), rcond=None)[0]
    tilde = start + np.linalg.lstsq(Xt, Xt @ (hat - start), rcond=None)[0]
    hidden = star - X.T @ np.linalg.lstsq(X.T, star, rcond=None)[0]
    with jax.enable_x64(True):  # under vmap, results come in the caller's precision
        parts = jax.vmap(lambda t: projection_parts(X, Xt, t))(
            jnp.asarray([*theta, star - start, star, hidden])
        )
    found = {
        name: np.asarray(getattr(parts, name))
        for name in ("pn", "missed", "loss", "lower", "upper", "kappa")
    }
    exact = isotropic_expectations(X, Xt, 1.0)
    return {name: values[:draws] for name, values in found.items()} | {
        "expected": np.array(
            [float(getattr(exact, k)) for k in ("pn2", "missed2", "loss", "lower", "upper")]
        ),
        "fit": np.array([np.linalg.norm(hat - tilde), ((Xt @ (hat - star)) ** 2).mean()]),
        "closed": np.array([found["pn"][draws], found["loss"][draws]]),
        "no_start": np.array([found["pn"][-2], found["loss"][-2]]),
        "hidden": np.array([found["pn"][-1], found["loss"][-1]]),
    }


def hidden_shift(d1: int, d2: int, n: int, m: int, scales: list[float], seed: int) -> Arrays:
    """Proposition 5: test inputs (z1, s z2), training inputs (z, 0). Arrays (scales,).

    closed: the proposition's formula for PN^2. output: mean |output| of the fit on the test set,
    all that an output-based score can see. limit: what PN saturates at.
    """
    rng = np.random.default_rng(seed)
    star = rng.normal(size=d1 + d2)
    star /= np.linalg.norm(star)
    X = np.concatenate([rng.normal(size=(n, d1)), np.zeros((n, d2))], 1)
    Z1, Z2 = rng.normal(size=(m, d1)), rng.normal(size=(m, d2))
    hat = min_norm_fit(X, X @ star)
    u, a = Z1 @ hat[:d1], hat[:d1]
    found: dict[str, list[Any]] = {name: [] for name in ("pn", "loss", "output", "closed")}
    for s in scales:
        Xt = np.concatenate([Z1, s * Z2], 1)
        found["pn"].append(linear_projection_norm(X, Xt, star))
        found["loss"].append(linear_test_loss(X, Xt, star))
        found["output"].append(np.abs(Xt @ hat).mean())
        found["closed"].append(
            np.sqrt(a @ a - u @ np.linalg.solve(Z1 @ Z1.T + s**2 * Z2 @ Z2.T, u))
        )
    return {name: np.array(values) for name, values in found.items()} | {
        "limit": np.asarray(np.linalg.norm(a))
    }


def more_data(n: int, d: int, sizes: list[int], seed: int) -> Arrays:
    """Proposition 6: PN and test loss (sizes,) of the first m rows of a growing test set."""
    rng = np.random.default_rng(seed)
    X, rows = _designs(rng, n, max(sizes), d)
    star = rng.normal(size=d)
    return {
        "pn": np.array([linear_projection_norm(X, rows[:m], star) for m in sizes]),
        "loss": np.array([linear_test_loss(X, rows[:m], star) for m in sizes]),
    }


def early_stopping(
    d1: int, d2: int, n: int, m: int, times: list[float], steps: list[int], seed: int
) -> Arrays:
    """Proposition 7: PN_ref and PN_base over time (2, times), beside matrix exponentials; over
    steps of descent (2, steps), beside the iteration; without shift; and the limit."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(size=(n, d1)), np.zeros((n, d2))], 1)
    Xt = rng.normal(size=(m, d1 + d2))
    star, start = rng.normal(size=(2, d1 + d2)) / np.sqrt(d1 + d2)
    hat = min_norm_fit(X, X @ star, start)
    C, Ct, v = X.T @ X / n, Xt.T @ Xt / m, hat - start
    integrated = np.array(
        [
            [np.linalg.norm((expm(-t * Ct) - expm(-t * C)) @ v) for t in times],
            [np.linalg.norm(expm(-t * Ct) @ v) for t in times],
        ]
    )
    eta = float(1 / max(np.linalg.norm(C, 2), np.linalg.norm(Ct, 2)))
    iterated, tilde, reference = [], start.copy(), start.copy()
    for k in range(max(steps) + 1):
        if k in steps:
            iterated.append([np.linalg.norm(reference - tilde), np.linalg.norm(hat - tilde)])
        tilde, reference = tilde - eta * Ct @ (tilde - hat), reference - eta * C @ (reference - hat)
    fine = np.geomspace(1e-2, 1e4, 60)
    both = np.concatenate([times, fine])
    flow, still = (np.stack(projection_norm_flow(X, test, hat, start, both)) for test in (Xt, X))
    return {
        "flow": flow[:, : len(times)],
        "integrated": integrated,
        "descent": np.stack(
            projection_norm_descent(X, Xt, hat, start, np.asarray(steps), step_size=eta)
        ),
        "iterated": np.array(iterated).T,
        "unshifted": still[:, : len(times)],
        "limit": linear_projection_norm(X, Xt, star, start),
        "fine": np.stack([fine, *flow[:, len(times) :]]),
    }


def floor(d: int, sizes: list[int], draws: int, seed: int) -> Arrays:
    """Proposition 8: PN_ref(1) (draws, sizes) between independent samples without shift; `shifted`
    has scaled rows."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {"pn": [], "shifted": []}
    for _ in range(draws):
        theta = rng.normal(size=d)
        theta /= np.linalg.norm(theta)
        pairs = [rng.normal(size=(2, n, d)) for n in sizes]
        found["pn"].append([projection_norm_flow(X, Xt, theta, 0.0, 1.0)[0] for X, Xt in pairs])
        found["shifted"].append(
            [projection_norm_flow(X, 1.5 * Xt, theta, 0.0, 1.0)[0] for X, Xt in pairs]
        )
    return {name: np.array(values) for name, values in found.items()}


def kernel(n: int, m: int, width: int, seed: int) -> Arrays:
    """The Gram form on the tangent features of a network at its start, beside the primal form; and
    with targets in place of residuals."""
    rng = np.random.default_rng(seed)
    x, xt = (
        rng.normal(size=(n, 5)).astype(np.float32),
        1.5 * rng.normal(size=(m, 5)).astype(np.float32),
    )
    f, params = functional(MLP((5, width, 1), activation=jnp.tanh, rngs=nnx.Rngs(seed)))
    flat, unravel = ravel_pytree(params)

    def features(points: np.ndarray) -> np.ndarray:
        gradient = jax.vmap(jax.grad(lambda p, z: f(unravel(p), z[None])[0, 0]), (None, 0))
        return np.asarray(gradient(flat, points), np.float64)

    phi, phit = features(x), features(xt)
    star = rng.normal(size=phi.shape[1]) / np.sqrt(phi.shape[1])
    grams = phi @ phi.T, phit @ phi.T, phit @ phit.T
    return {
        "primal": linear_projection_norm(phi, phit, star),
        "gram": projection_norm_gram(*grams, phi @ star),
        "raw_targets": projection_norm_gram(*grams, phi @ star + np.asarray(f(params, x))[:, 0]),
    }
