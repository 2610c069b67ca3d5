"""What must hold exactly: dampening, importances, frozen layers, the schedule."""

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import unlearning as u
from theorylab.nets.resnet9 import ResNet9
from theorylab.unlearning.network import belongs

SCHEDULE_AT = (0, 5, 9, 10, 500, 999)


def identities(seed: int, draws: int) -> dict[str, np.ndarray]:
    """Both sides of the identities, and the wrong variants that their controls use."""
    key = jax.random.key(seed)
    rate = u.linear_budget_schedule(1000, 0.025)
    return {
        **_dampening(np.random.default_rng(seed), draws),
        **_importances(jax.random.fold_in(key, 1)),
        **_frozen(jax.random.fold_in(key, 2)),
        "schedule": np.asarray(rate(np.array(SCHEDULE_AT))),
    }


def _dampening(rng: np.random.Generator, draws: int) -> dict[str, np.ndarray]:
    theta = np.array([1.0, -2.0, 0.5, 3.0, 4.0])
    forget, retain = np.array([4.0, 1.0, 0.2, 0.5, 1.0]), np.array([1.0, 1.0, 0.1, 0.0, 0.05])
    found = {
        "example": u.selective_synaptic_dampening(theta, forget, retain, alpha=2.0, lam=1.0),
        # what "at least alpha" in place of "more than" would give
        "example_at_least": u.selective_synaptic_dampening(
            theta, forget, retain, alpha=2.0 * (1 - 1e-6), lam=1.0
        ),
    }
    growth, unclipped, moved, scaled = [], [], [], []
    for _ in range(draws):
        params, f, r = rng.normal(size=200), rng.gamma(1, size=200), rng.gamma(1, size=200)
        alpha, lam = rng.uniform(0.1, 3, 2)
        out = np.asarray(u.selective_synaptic_dampening(params, f, r, alpha=alpha, lam=lam))
        again = u.selective_synaptic_dampening(params, 8 * f, 8 * r, alpha=alpha, lam=lam)
        growth.append((np.abs(out) - np.abs(params.astype("f"))).max())
        factor = np.where(f > alpha * r, lam * r / f, 1.0)
        unclipped.append((np.abs(factor * params) - np.abs(params)).max())
        scaled.append(np.abs(np.asarray(again) - out).max())
        for pair in ((np.inf, lam), (alpha, np.inf)):
            still = u.selective_synaptic_dampening(params, f, r, alpha=pair[0], lam=pair[1])
            moved.append(np.abs(np.asarray(still) - params.astype("f")).max())
    return {k: np.asarray(v, np.float64) for k, v in found.items()} | {
        "growth": np.max(growth),
        "growth_unclipped": np.max(unclipped),
        "moved_at_infinity": np.max(moved),
        "scale": np.max(scaled),
    }


def _linear() -> u.Network:
    return u.of_function(lambda p, x: x @ p["w"], lambda key: {"w": jax.random.normal(key, (6, 2))})


def _importances(key: jax.Array) -> dict[str, np.ndarray]:
    """Entries of the batch-mean importance over those of the single samples, at growing batches."""
    net = _linear()
    model = net.init(key)
    rng = np.random.default_rng(int(jax.random.randint(key, (), 0, 1000)))
    x, y = rng.normal(size=(64, 6)).astype("f"), rng.integers(0, 2, 64)
    data = u.manipulate(x, y, u.RandomLabelPermutation(), 4, key=key)
    ones = np.ones(64, bool)

    def importance(size: int) -> np.ndarray:
        return np.asarray(u.gradient_importance(net, model, data, ones, batch_size=size)["w"])

    by_gradient = np.mean(
        [
            np.square(jax.grad(lambda p, i=i: _loss(net, p, data, i))(model.params)["w"])
            for i in range(64)
        ],
        0,
    )
    each = importance(1)
    ratios = np.stack([importance(size) / each for size in (2, 4, 16, 64)])
    return {"single": np.abs(each / by_gradient - 1).max(), "ratios": ratios}


def _loss(net: u.Network, params: dict, data: u.TrainingSet, i: int) -> jax.Array:
    x, y = data.batch(jnp.array([i]))
    return -jax.nn.log_softmax(net.evaluate(params, {}, x))[0, y[0]]


def _frozen(key: jax.Array) -> dict[str, np.ndarray]:
    """Numbers in frozen layers that change, running statistics included: with the last three layers
    trained, and with all."""
    net = u.network(lambda rngs: ResNet9(3, in_channels=1, width=2, rngs=rngs))
    x = jax.random.normal(key, (24, 12, 12, 1))
    data = u.manipulate(x, np.arange(24) % 3, u.BackdoorPatch(2, 3.0), 4, key=key)
    budget = u.Budget(2, 8, 0.05)
    original = u.pretrain(net, data, budget, key=key)
    trained = [
        *jax.tree.leaves(belongs(original.params, net.last(3))),
        *jax.tree.leaves(belongs(original.state, net.last(3))),
    ]

    def changed(model: u.Model, frozen: bool) -> int:
        pairs = zip(
            jax.tree.leaves((model.params, model.state)),
            jax.tree.leaves((original.params, original.state)),
            trained,
            strict=True,
        )
        return int(sum((np.asarray(a) != np.asarray(b)).sum() for a, b, t in pairs if t != frozen))

    forget = data.manipulated
    runs = {
        "cf": u.fine_tune(net, data, original, forget, budget, layers=3, key=key),
        "eu": u.exact_unlearn(net, data, original, forget, budget, layers=3, key=key),
        "all": u.fine_tune(net, data, original, forget, budget, key=key),
    }
    return {f"frozen_changed_{k}": np.asarray(changed(m, True)) for k, m in runs.items()} | {
        f"trained_changed_{k}": np.asarray(changed(m, False)) for k, m in runs.items()
    }
