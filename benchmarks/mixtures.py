"""Replicate sweeps side by side with the NumPy and scikit-learn loop one would write:
`python benchmarks/mixtures.py`.

Prints a Markdown table and writes benchmarks/results/mixtures-<device>.json. Both sides estimate
the same mean excess risks on the same grid; a replicate is one draw of one setting. Ours and the
peer take turns on the same cores, minima are taken, and process CPU time stands beside wall time:
other work on the machine only ever adds. Compilation is reported apart. Ours runs on all cores, a
chunk of replicates on each; NumPy's loop has one, its BLAS the others. FLOPs and bytes are for one
replicate at one setting, on average over the grid.
"""

import argparse
import resource
from functools import partial
from typing import Any

import jax
import numpy as np
from record import arguments, fastest, keep, timed
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression

from theorylab import mixtures

D = 20
GRID = [(s, n_l, n_u) for s in (0.5, 1.0) for n_l in (50, 400, 1600) for n_u in (1000, 4000)]
CLOSED = ("sl", "ul_plus", "ssl_switch", "ssl_weighted")
# The peer stops when EM moves by less than 1e-5, which leaves it within 1e-4 of the fixed point;
# ours estimates that.
ROUNDS, FRACTION, TOLERANCE, ERROR = 10, 0.1, 1e-5, 5e-5
# over all points, in the 11 fits of self-training, mean over the grid
PASSES = {"gradient": 51, "Hessian": 5}
EVALUATIONS = {"peer": 22, "ours": 4}  # of the likelihood's gradient until then, mean over the grid


def excess(theta: np.ndarray, s: float) -> float:
    return float(ndtr(-s * theta[0] / np.linalg.norm(theta)) - ndtr(-s))


def draw(rng: np.random.Generator, s: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    y = rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, D))
    X[:, 0] += s * y
    return X, y


def one_replicate(
    rng: np.random.Generator, s: float, n_l: int, n_u: int, method: str
) -> dict[str, float]:
    """The loop's body: explicit data, LAPACK's eigh, EM to the same tolerance, scikit-learn's
    logistic regression."""
    (X_l, y_l), (X_u, _) = draw(rng, s, n_l), draw(rng, s, n_u)
    sl = y_l @ X_l / n_l
    values, vectors = np.linalg.eigh(X_u.T @ X_u / n_u)
    ulp = np.sqrt(max(values[-1] - 1, 0)) * vectors[:, -1]
    ulp *= 1 if ulp @ sl >= 0 else -1
    information = n_u * s**2 / (1 + s**2)
    both = (n_l * sl + information * ulp) / (n_l + information)
    if method == "closed":
        return {
            "sl": excess(sl, s),
            "ul_plus": excess(ulp, s),
            "ssl_weighted": excess(both, s),
            "ssl_switch": excess(sl if n_l >= s**2 * n_u else ulp, s),
        }
    if method == "ssl_em":
        return {"ssl_em": excess(em(X_u, n_l * sl, n_l, both), s)}
    X, labels = np.concatenate([X_l, X_u]), np.concatenate([y_l, np.zeros(n_u)])
    fit = LogisticRegression(C=1.0, fit_intercept=False)
    for _ in range(ROUNDS):
        fit.fit(X[labels != 0], labels[labels != 0])
        rest = np.flatnonzero(labels == 0)
        score = fit.decision_function(X[rest])
        sure = np.argsort(-np.abs(score))[: round(FRACTION * n_u)]
        labels[rest[sure]] = np.where(score[sure] >= 0, 1, -1)
    return {"self_training": excess(fit.fit(X[labels != 0], labels[labels != 0]).coef_[0], s)}


def em(X_u: np.ndarray, labelled_sum: np.ndarray, n_l: int, theta: np.ndarray) -> np.ndarray:
    for _ in range(1000):
        step = (labelled_sum + np.tanh(X_u @ theta) @ X_u) / (n_l + len(X_u))
        theta, before = step, theta
        if np.linalg.norm(theta - before) < TOLERANCE:
            break
    return theta


def largest_difference() -> float:
    """Between our fixed points and the loop's, on the same points at three settings."""
    rng, found = np.random.default_rng(1), 0.0
    for s, n_l, n_u in ((0.5, 50, 1000), (0.5, 400, 4000), (1.0, 400, 1000)):
        (X_l, y_l), (X_u, _) = draw(rng, s, n_l), draw(rng, s, n_u)
        start = y_l @ X_l / n_l
        mine = mixtures.ssl_em(*(a.astype(np.float32) for a in (X_l, y_l, X_u, start)), tol=ERROR)
        found = max(found, float(np.abs(mine - em(X_u, y_l @ X_l, n_l, start)).max()))
    return found


def loop(replicates: int, method: str) -> np.ndarray:
    """Mean excess risks (settings, methods)."""
    rng = np.random.default_rng(0)
    return np.array(
        [
            np.mean(
                [list(one_replicate(rng, *setting, method).values()) for _ in range(replicates)],
                axis=0,
            )
            for setting in GRID
        ]
    )


def ours(replicates: int, methods: tuple[str, ...], **options: Any) -> np.ndarray:
    s, n_l, n_u = zip(*GRID, strict=True)
    found = mixtures.sweep_mixture(
        jax.random.key(0),
        s,
        n_l,
        n_u,
        d=D,
        replicates=replicates,
        methods=mixtures.Learners(
            methods, tol=ERROR, schedule=mixtures.SelfTrainingSchedule(ROUNDS, FRACTION)
        ),
        **options,
    )
    return np.stack([found.mean(m) for m in methods], axis=1)


def cost(method: str) -> dict[str, float]:
    """FLOPs of the peer: Gram matrix and eigh; two products and a tanh (taken as 10) an evaluation
    of EM; 11 logistic fits of 15 steps on half of the points. FLOPs and bytes of ours: what all
    settings share is divided by their number; a random normal number is taken as 80, a point's
    share of an evaluation as 4 (d + 1) + 20."""
    peer = shared = own = moved = 0.0
    most = max(n_u for *_, n_u in GRID)
    for _, n_l, n_u in GRID:
        peer += 2 * D * (n_l + n_u) + 2 * n_u * D**2 + 9 * D**3
        if method == "ssl_em":
            peer += EVALUATIONS["peer"] * n_u * (4 * D + 10)
            own += EVALUATIONS["ours"] * n_u * (4 * (D + 1) + 20)
            # six settings read the points together
            moved += EVALUATIONS["ours"] * n_u * 2 * 4 * (D + 1) / 6
        if method == "self_training":
            peer += 11 * 15 * (n_l + n_u / 2) * (4 * D + 20)
            own += (n_l + n_u) * (
                PASSES["gradient"] * (4 * D + 20) + PASSES["Hessian"] * (2 * D**2 + 3 * D + 10)
            )
            moved += (n_l + n_u) * sum(PASSES.values()) * 4 * (D + 3)
    if method == "closed":
        own = len(GRID) * 40 * (6 * D + 200.0)
    else:
        shared = most * D * 80 + 2 * most * D**2
        moved += most * 4 * D * 3
    return {
        "flop_peer": peer / len(GRID),
        "flop_ours": (own + shared) / len(GRID),
        "byte_ours": moved / len(GRID),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times the replicates of every line"
    )
    options = arguments(parser, smoke={"repeats": 1, "scale": 0.01})
    plan = {
        "closed": (
            CLOSED,
            4000,
            20,
            "SL, UL+, SSL-S, SSL-W: exact O(d) laws against explicit data",
        ),
        "ssl_em": (("ssl_em",), 64, 4, "SSL-EM on explicit data"),
        "self_training": (
            ("self_training",),
            32,
            2,
            "self-training on explicit data (peer: scikit-learn)",
        ),
    }
    rows = []
    for method, (methods, mine, theirs, what) in plan.items():
        mine, theirs = max(1, round(mine * options.scale)), max(1, round(theirs * options.scale))
        calls = {"ours": partial(ours, mine, methods), "peer": partial(loop, theirs, method)}
        compile_s = timed(calls["ours"])[0]
        best = fastest(calls, options.repeats)
        mean, peer_mean = calls["ours"](), calls["peer"]()
        rows.append(
            {
                "what": what,
                **cost(method),
                "first_call_s": compile_s,
                "ours_us": 1e6 * best["ours"][0] / mine / len(GRID),
                "peer_us": 1e6 * best["peer"][0] / theirs / len(GRID),
                "ours_cpu_us": 1e6 * best["ours"][1] / mine / len(GRID),
                "peer_cpu_us": 1e6 * best["peer"][1] / theirs / len(GRID),
                "risk_ratio": float(np.median(mean / peer_mean)),
            }
        )
        rows[-1] |= {
            "times": rows[-1]["peer_us"] / rows[-1]["ours_us"],
            "cpu_times": rows[-1]["peer_cpu_us"] / rows[-1]["ours_cpu_us"],
        }
    memory = []
    for replicates in (4096, 16_384, 65_536):
        ours(replicates, ("ssl_weighted",))
        memory.append(
            {
                "replicates": replicates,
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "results_mb": 2 * 4 * replicates * len(GRID) / 1e6,
            }
        )
    device = jax.devices()[0].device_kind
    difference = largest_difference()
    print(
        f"{len(GRID)} settings, d = {D}, float32, on {jax.device_count()} x {device}; GPU not "
        "measured"
    )
    print(f"EM's fixed points differ from the loop's by at most {difference:.2g}\n")
    print(
        "| what | us a replicate | peer | times | times, CPU | MFLOP ours / peer | KB ours | "
        "first call, s | risks, ours / peer |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['what']} | {r['ours_us']:.3g} | {r['peer_us']:.4g} | {r['times']:.0f} | "
            f"{r['cpu_times']:.0f} | {r['flop_ours'] / 1e6:.3g} / {r['flop_peer'] / 1e6:.3g} | "
            f"{r['byte_ours'] / 1e3:.3g} | {r['first_call_s']:.1f} | {r['risk_ratio']:.3f} |"
        )
    print(
        "\n| replicates | peak resident MB of the process so far | of which results "
        "|\n|---|---|---|"
    )
    for m in memory:
        print(f"| {m['replicates']} | {m['peak_rss_mb']:.0f} | {m['results_mb']:.0f} |")
    keep(
        "mixtures",
        vars(options),
        "scipy",
        "scikit-learn",
        devices=jax.device_count(),
        grid=GRID,
        rows=rows,
        memory=memory,
        largest_difference=difference,
    )


if __name__ == "__main__":
    main()
