"""Cells of theory: the one-neuron network, the worked example, and bounds of random networks
against sampling and linear programming."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.robustness.certify import (
    Certifier,
    activation_bounds,
    certified_margins,
    output_bounds,
)
from theorylab.robustness.networks import dense_network
from theorylab.robustness.one_neuron import (
    TRAININGS,
    OneNeuron,
    corrected_threshold,
    gradient,
    population_gradient,
    printed_threshold,
    proof_function,
    robust_risk,
    sharp_threshold,
    worst_margin,
)
from theorylab.robustness.oracle import exact_minimum, lp_minimum
from theorylab.robustness.threats import LpBall

_METHODS = ("ibp", "coap", "crown", "crown-ibp")


def neuron(norms: list[float], step: float, gamma: float, eps: float) -> Mapping[str, Any]:
    """Population gradients (trainings, norms) and the robust risk after one step, at theta_1 = a =
    1, b = -1."""
    grads, risks = [], []
    for training in TRAININGS:
        here = [OneNeuron(norm=norm, gamma=gamma, eps=eps) for norm in norms]
        found = [population_gradient(n, training) for n in here]  # type: ignore[arg-type]
        grads.append(found)
        risks.append(
            [
                robust_risk(dataclasses.replace(n, theta1=n.theta1 - step * g))
                for n, g in zip(here, found, strict=True)
            ]
        )
    return {"gradient": np.array(grads), "risk": np.array(risks)}


def kinks(count: int, seed: int) -> Mapping[str, Any]:
    """Closed gradients against autodiff of the margin written out, at `count` random neurons; and
    with the sign of eps reversed in the closed form."""
    rng = np.random.default_rng(seed)
    worst = {"adversarial": 0.0, "coap": 0.0, "reversed": 0.0}
    with jax.enable_x64(True):
        for _ in range(count):
            n = OneNeuron(
                theta1=rng.uniform(0.2, 2),
                norm=rng.uniform(1, 20),
                a=rng.choice([-1, 1]) * rng.uniform(0.5, 2),
                b=rng.normal(),
                gamma=rng.uniform(1, 6),
                eps=rng.uniform(0.5, 6),
            )
            s, y = rng.normal() * n.spread, rng.choice([-1.0, 1.0])
            for training in ("adversarial", "coap"):
                exact = float(_autodiff(n, s, y, training))
                closed = float(gradient(n, s, y, training))
                worst[training] = max(worst[training], abs(closed - exact))
            other = gradient(dataclasses.replace(n, eps=n.eps / 2), s, y, "adversarial")
            exact = float(_autodiff(n, s, y, "adversarial"))
            worst["reversed"] = max(worst["reversed"], abs(float(other) - exact))
    return worst


def _autodiff(n: OneNeuron, s: float, y: float, training: str) -> Any:
    def loss(theta: Any) -> Any:
        low, high = (theta * n.gamma * y + s + sign * n.eps * jnp.abs(theta) for sign in (-1, 1))
        value = jnp.maximum(low, 0) if n.a * y > 0 else jnp.maximum(high, 0)
        if training == "coap" and n.a * y > 0 and low < 0 < high:
            value = high * low / (high - low)
        return jnp.logaddexp(0.0, -y * (n.b + n.a * value))

    return jax.grad(loss)(n.theta1)


def thresholds(ratios: list[float], small: list[float]) -> Mapping[str, Any]:
    """Thresholds of r sigma / gamma by eps / gamma: the sharp one of the proof, the corrected one;
    and at the printed threshold of each small gamma the sign of the gap of gradients.

    `gap` is COAP's population gradient minus that of adversarial training at r just above the
    printed threshold, eps = .9 gamma, a = 1, b = -1, theta_1 = 1.
    """
    found = [
        population_gradient(n, "coap") - population_gradient(n)
        for n in (OneNeuron(norm=1.001 * printed_threshold(g), gamma=g, eps=0.9 * g) for g in small)
    ]
    printed = np.array([printed_threshold(g) / g for g in small])
    grid = np.linspace(0.4, 6.0, 300)
    return {
        "sharp": np.array([sharp_threshold(r) for r in ratios]),
        "corrected": np.array([corrected_threshold(r) for r in ratios]),
        "printed": printed,
        "proof": np.array([float(proof_function(p, 1.0, 0.9)) for p in printed]),
        "gap": np.array(found),
        "r": grid,
        "f": np.stack([proof_function(grid, 1.0, r) for r in ratios]),
    }


def risk(draws: int, seed: int) -> Mapping[str, Any]:
    """Share of `draws` samples whose label a search over beta changes, and the closed risk."""
    n, rng = OneNeuron(), np.random.default_rng(seed)
    s, y = rng.normal(size=draws) * n.spread, rng.choice([-1.0, 1.0], size=draws)
    wrong = worst_margin(n, s, y) <= 0
    half = worst_margin(dataclasses.replace(n, eps=n.eps / 2), s, y) <= 0
    return {
        "wrong": int(wrong.sum()),
        "wrong_half": int(half.sum()),
        "draws": draws,
        "closed": robust_risk(n),
    }


_EXAMPLE = [
    {"w": np.array([[1.0, 2.0, -1.0], [-1.0, 1.0, 0.5]]), "b": np.array([0.0, -1.0, 0.5])},
    {"w": np.array([[1.0, -1.0], [-1.0, 1.0], [2.0, 0.5]]), "b": np.array([0.1, -0.1])},
]


def example(threats: list[list[Any]]) -> Mapping[str, Any]:
    """The worked example: bounds (threats, neurons) and margins (threats, methods); `swapped` is
    COAP with CROWN's slopes, `dense` the smallest margin on a fine grid."""
    x, y = np.array([[0.6, 0.2]]), np.array([0])
    lower, upper, margins, swapped, dense = [], [], [], [], []
    with jax.enable_x64(True):
        for kind, eps in threats:
            threat = LpBall(eps, 2 if kind == "l2" else np.inf)
            found = activation_bounds(dense_network, _EXAMPLE, x, threat)
            lower.append(np.ravel(found.lower[0]))
            upper.append(np.ravel(found.upper[0]))
            each = [
                certified_margins(dense_network, _EXAMPLE, x, y, threat, method=m).lower  # type: ignore[arg-type]
                for m in _METHODS
            ]
            margins.append(np.ravel(each))
            other = certified_margins(
                dense_network, _EXAMPLE, x, y, threat, method=Certifier("coap", "adaptive")
            )
            swapped.append(float(other.lower[0, 0]))
            dense.append(_dense_minimum(x[0], threat))
    return {
        "lower": np.stack(lower),
        "upper": np.stack(upper),
        "margins": np.stack(margins),
        "swapped": np.array(swapped),
        "dense": np.array(dense),
    }


def _dense_minimum(x: np.ndarray, threat: LpBall) -> float:
    at = np.linspace(-threat.eps, threat.eps, 801)
    delta = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)
    if threat.p == 2:
        delta = delta[np.linalg.norm(delta, axis=1) <= threat.eps]
    logits = np.asarray(dense_network(_EXAMPLE, jnp.asarray(x + delta)))  # type: ignore[arg-type]
    return float((logits[:, 0] - logits[:, 1]).min())


def random_networks(
    count: int, programs: int, points: int, widths: list[int], threat: str, seed: int
) -> Mapping[str, Any]:
    """Bounds of `count` random networks with eps in [.05, .6] against `points` sampled ones; of the
    first `programs` also the LP and the exact minimum.

    Arrays (networks, classes - 1): `low_<method>`, `sampled`, `lp`, `exact`, and the bound that
    takes half of eps, which must be broken.
    """
    rng = np.random.default_rng(seed)
    classes = widths[-1]
    spec = np.eye(classes)[0] - np.eye(classes)[1:]
    names = [*(f"low_{m}" for m in _METHODS), "low_half", "sampled", "lp", "exact"]
    found: dict[str, list[Any]] = {name: [] for name in names}
    with jax.enable_x64(True):
        for i in range(count):
            params = [
                {
                    "w": jnp.asarray(rng.standard_normal((a, b))),
                    "b": jnp.asarray(0.5 * rng.standard_normal(b)),
                }
                for a, b in itertools.pairwise(widths)
            ]
            x, eps = rng.standard_normal(widths[0]), float(rng.uniform(0.05, 0.6))
            ball = LpBall(jnp.asarray(eps), 2 if threat == "l2" else np.inf)
            for m in _METHODS:
                low = output_bounds(dense_network, params, x[None], ball, spec=spec, method=m)  # type: ignore[arg-type]
                found[f"low_{m}"].append(np.asarray(low.lower[0]))
            half = LpBall(jnp.asarray(eps / 2), ball.p)
            low = output_bounds(dense_network, params, x[None], half, spec=spec, method="crown")
            found["low_half"].append(np.asarray(low.lower[0]))
            delta = rng.uniform(-1, 1, (points, widths[0]))
            delta[: points // 2] = np.sign(delta[: points // 2])
            if threat == "l2":
                delta /= np.linalg.norm(delta, axis=1, keepdims=True)
            logits = np.asarray(dense_network(params, jnp.asarray(x + eps * delta)))
            found["sampled"].append((logits @ spec.T).min(0))
            if i < programs and threat == "linf":
                ball = LpBall(eps)
                found["lp"].append(lp_minimum(dense_network, params, x, spec, ball))
                found["exact"].append(exact_minimum(dense_network, params, x, spec, ball))
    width = classes - 1
    return {name: np.reshape(values, (-1, width)) for name, values in found.items()}
