"""100,000 triples (network, input, method) against sampling and gradient steps, and a part against
branch and bound: no bound may be violated. Minutes: `pytest -m slow`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks as small

from theorylab import robustness as rb
from theorylab.robustness import LpBall, Recipe, Schedule

pytestmark = pytest.mark.slow

METHODS = ("ibp", "crown", "alpha-crown", "crown-ibp", "coap")
THREATS = {"linf": np.inf, "l2": 2, "l1": 1}
NETWORKS, INPUTS, POINTS = 340, 20, 100  # 340 x 20 x 5 x 3 = 102,000 triples
WIDTHS = ((2, 5, 5, 3), (4, 8, 8, 3))


def networks():
    """Random ones of two shapes, and trained ones: on spheres, by standard, adversarial and COAP
    training."""
    for seed in range(NETWORKS - 20):
        yield "random", small.random_mlp(seed, WIDTHS[seed % 2], 0.7 + 0.3 * (seed % 3))[0]
    keys = jax.random.split(jax.random.key(0), 20)
    data = [rb.concentric_spheres(k, 60, 4, 1.0, 4.0) for k in keys]
    starts = [rb.dense_params(k, (4, 8, 8, 2)) for k in keys]
    kinds = ("standard", "adversarial", "coap", "ibp")
    for i, kind in enumerate(kinds):
        part = slice(5 * i, 5 * i + 5)
        found = rb.train_robust_many(
            rb.dense_network,
            jax.tree.map(lambda *a: jnp.stack(a), *starts[part]),
            tuple(jnp.stack(a) for a in zip(*data[part], strict=True)),
            LpBall(0.3, 2),
            Recipe(kind),
            Schedule(60, 60, optimizer="sgd", momentum=0.9),
            runs=rb.Runs(keys[part], np.full(5, 0.3), np.full(5, 0.05)),
        )
        for j in range(5):
            yield "trained", [(a["w"][j], a["b"][j]) for a in found.params]


def worst_seen(params, x, threat, spec, rng):
    """The smallest spec . f over random points and 30 signed-gradient steps from the worst one."""
    points = np.stack([small.perturbed(rng, one, threat, POINTS) for one in x])
    values = small.dense_numpy(params, points) @ spec.T
    lowest, at = values.min(1), values.argmin(1)
    if threat.p == 1:
        return lowest
    first, rest = params[0], params[1:]
    for c in range(len(spec)):
        here = points[np.arange(len(x)), at[:, c]]
        for _ in range(30):
            gradient = _gradient(first, rest, here, spec[c])
            if threat.p == np.inf:
                here = np.clip(
                    here - 0.1 * threat.eps * np.sign(gradient), x - threat.eps, x + threat.eps
                )
            else:
                length = np.linalg.norm(gradient, axis=1, keepdims=True) + 1e-30
                away = here - 0.1 * threat.eps * gradient / length - x
                size = np.linalg.norm(away, axis=1, keepdims=True) + 1e-30
                here = x + away * np.minimum(1, threat.eps / size)
            lowest[:, c] = np.minimum(lowest[:, c], small.dense_numpy(params, here) @ spec[c])
    return lowest


def _gradient(first, rest, x, row):
    """d(row . f)/dx by hand, in NumPy."""
    masks, z = [], x
    for w, b in (first, *rest[:-1]):
        z = z @ np.asarray(w, np.float64) + np.asarray(b, np.float64)
        masks.append(z > 0)
        z = np.maximum(z, 0)
    back = np.tile(np.asarray(rest[-1][0], np.float64) @ row, (len(x), 1))
    for (w, _), mask in zip(reversed((first, *rest[:-1])), reversed(masks), strict=True):
        back = (back * mask) @ np.asarray(w, np.float64).T
    return back


def test_no_bound_is_violated_in_a_hundred_thousand_triples():
    rng = np.random.default_rng(0)
    counts = {"triples": 0, "violations": 0, "float32": 0, "exact": 0, "above exact": 0}
    with jax.enable_x64(True):
        for number, (_, raw) in enumerate(networks()):
            params = [(jnp.asarray(w, float), jnp.asarray(b, float)) for w, b in raw]
            classes, d = params[-1][0].shape[1], params[0][0].shape[0]
            spec = np.eye(classes)[0] - np.eye(classes)[1:]
            x = rng.standard_normal((INPUTS, d))
            for p in THREATS.values():
                eps = float(rng.uniform(0.05, 0.6))
                threat = LpBall(jnp.asarray(eps), p)
                seen = worst_seen(params, x, LpBall(eps, p), spec, rng)
                for method in METHODS:
                    found = rb.output_bounds(
                        small.dense, params, x, threat, spec=spec, method=method
                    )
                    low = np.asarray(found.lower)
                    counts["triples"] += INPUTS
                    counts["violations"] += int((low > seen + 1e-7).any(1).sum())
                    # optimised slopes differ between precisions: those bounds cannot be ordered
                    if number % 20 == 0 and method != "alpha-crown":
                        narrow = jax.tree.map(lambda a: a.astype(jnp.float32), params)
                        exact = jax.tree.map(lambda a: a.astype(float), narrow)
                        args = (narrow, np.float32(x), LpBall(jnp.float32(eps), p))
                        wide = LpBall(jnp.asarray(np.float32(eps), float), p)
                        inside = rb.output_bounds(
                            small.dense, *args, spec=spec, method=method, outward=True
                        )
                        outside = rb.output_bounds(
                            small.dense,
                            exact,
                            np.asarray(np.float32(x), float),
                            wide,
                            spec=spec,
                            method=method,
                        )
                        counts["float32"] += int(
                            (np.asarray(inside.lower, float) > np.asarray(outside.lower)).sum()
                        )
                    if number % 20 == 0 and p == np.inf:
                        true = rb.exact_minimum(small.dense, params, x[0], spec, LpBall(eps))
                        slack = 1e-6 * (1 + np.abs(true))
                        counts["exact"] += 1
                        counts["above exact"] += int((low[0] > true + slack).sum())
            if number % 20 == 0:
                print(f"{number + 1} networks: {counts}", flush=True)
    print(counts)
    assert counts["triples"] >= 100_000
    assert counts["violations"] == counts["float32"] == counts["above exact"] == 0


def test_no_bound_is_violated_where_neurons_share_rows():
    """Convolutions with a stride and a skipped layer: 20 networks, 10 inputs, 5 methods, 3 balls,
    against random points, and signed-gradient steps from the worst one."""
    rng, counts = np.random.default_rng(1), {"triples": 0, "violations": 0}
    spec = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda x, p, row: (small.strided(p, x) @ row).sum()))
        for seed in range(20):
            params, x = small.strided_params(seed), rng.uniform(size=(10, 16, 16, 1))
            for p in THREATS.values():
                eps = float(rng.uniform(0.02, 0.1)) * {np.inf: 1, 2: 10, 1: 30}[p]
                points = np.stack([small.perturbed(rng, one, LpBall(eps, p), 60) for one in x])
                values = np.asarray(small.strided(params, points.reshape(-1, 16, 16, 1))) @ spec.T
                values = values.reshape(10, 60, 2)
                seen, at = values.min(1), values.argmin(1)
                for c in range(2 if p != 1 else 0):
                    here = points[np.arange(10), at[:, c]]
                    for _ in range(20):
                        g = np.asarray(slope(jnp.asarray(here), params, jnp.asarray(spec[c])))
                        if p == np.inf:
                            here = np.clip(here - eps / 5 * np.sign(g), x - eps, x + eps)
                            continue
                        size = np.linalg.norm(g.reshape(10, -1), axis=1).reshape(10, 1, 1, 1)
                        away = here - eps / 5 * g / size - x
                        size = np.linalg.norm(away.reshape(10, -1), axis=1).reshape(10, 1, 1, 1)
                        here = x + away * np.minimum(1, eps / size)
                    found = np.asarray(small.strided(params, jnp.asarray(here))) @ spec[c]
                    seen[:, c] = np.minimum(seen[:, c], found)
                for method in METHODS:
                    threat = LpBall(jnp.asarray(eps), p)
                    low = rb.output_bounds(
                        small.strided, params, x, threat, spec=spec, method=method
                    ).lower
                    counts["triples"] += len(x)
                    counts["violations"] += int((np.asarray(low) > seen + 1e-7).any(1).sum())
    print(counts)
    assert counts == {"triples": 3000, "violations": 0}
