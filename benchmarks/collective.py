"""Success curves against a NumPy loop of the same work:
`python benchmarks/collective.py [--repeats 3]`.

Softmax regression on Gaussian classes (4,000 samples, 21 features, 5 classes), full-batch descent,
one run for each size and seed. Writes benchmarks/results/collective-<device>.json; GPU not
measured. Compilation is timed apart; data are drawn and judged in ours and not in the peer, which
is the harder comparison for ours.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax
from record import arguments, fastest, keep, timed

from theorylab.collective import (
    ERM,
    CVaR,
    Sample,
    Setting,
    Training,
    coordinate_trigger,
    gaussian_classes,
    success_curve,
)

N, FEATURES, CLASSES, RATE = 4000, 21, 5, 0.5
# rows that may be slower than their peer, and why, in operations
BELOW_PEER = [
    "CVaR(.2): both take 1.68 MFLOP of products a step; ours sorts all 4,000 losses, some 48,000 "
    "comparisons, where NumPy parts them, some 12,000"
]


def f(params, x):
    return x @ params[0] + params[1]


def init(key):
    return jnp.zeros((FEATURES, CLASSES)), jnp.zeros(CLASSES)


def sample(key):
    for_train, for_test = jax.random.split(key)
    return Sample(*gaussian_classes(for_train, N), *gaussian_classes(for_test, N))


def numpy_run(x, y, steps, tail):
    """Gradient descent in float32; `tail` 1 is ERM, below it the CVaR weights of each step."""
    w, b, hot = (
        np.zeros((FEATURES, CLASSES), np.float32),
        np.zeros(CLASSES, np.float32),
        np.eye(CLASSES)[y],
    )
    rows, worst = np.arange(N), round(tail * N)
    for _ in range(steps):
        z = x @ w + b
        z -= z.max(1, keepdims=True)
        p = np.exp(z)
        p /= p.sum(1, keepdims=True)
        weights = np.full(N, 1 / N, np.float32)
        if tail < 1:
            weights[:] = 0
            weights[np.argpartition(p[rows, y], worst)[:worst]] = 1 / worst
        residual = ((p - hot) * weights[:, None]).astype(np.float32)
        w -= RATE * x.T @ residual
        b -= RATE * residual.sum(0)
    return w, b


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    options = arguments(parser, smoke={"repeats": 1, "steps": 5})
    alphas, keys = [0.005, 0.02, 0.1, 0.4], jax.random.split(jax.random.key(0), 4)
    runs, optimizer = len(alphas) * len(keys), optax.sgd(RATE)
    setting = Setting(f, init, sample, coordinate_trigger(20, 1.0), y_star=0)
    x, y, *_ = (np.asarray(a) for a in sample(keys[0])[:4])
    rows = []
    for name, rule, tail in (("ERM", ERM(), 1.0), ("CVaR(.2)", CVaR(0.2), 0.2)):

        def ours(rule=rule):
            training = Training(optimizer, steps=options.steps, rule=rule)
            return success_curve(setting, training, alphas=alphas, keys=keys).success

        def peer(tail=tail):
            for _ in range(runs):
                numpy_run(x, y, options.steps, tail)

        first = timed(ours)
        best = [*fastest({"ours": ours, "numpy": peer}, options.repeats).values()]
        gflop = runs * options.steps * 2 * 2 * N * FEATURES * CLASSES / 1e9
        rows.append(
            {
                "rule": name,
                "runs": runs,
                "steps": options.steps,
                "needs_gflop": gflop,
                "ours_wall_s": best[0][0],
                "ours_cpu_s": best[0][1],
                "numpy_wall_s": best[1][0],
                "numpy_cpu_s": best[1][1],
                "first_call_wall_s": first[0],
                "first_call_cpu_s": first[1],
                "runs_per_minute": 60 * runs / best[0][0],
                "wall_ratio": best[1][0] / best[0][0],
                "cpu_ratio": best[1][1] / best[0][1],
            }
        )
        print(rows[-1], flush=True)
    keep("collective", vars(options), rows=rows, below_peer=BELOW_PEER)


if __name__ == "__main__":
    main()
