"""l2-logistic regression beside what one would use today, and exact compression up to a million
nuisance features.

`python benchmarks/shift_linear.py [--n 400]`. Prints a Markdown table and writes
benchmarks/results/shift_linear-<device>.json. Peers are interleaved with ours in the same run,
minima are taken, and the process's CPU time stands beside the wall time. Compilation is timed
apart. GPU: not measured.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from record import arguments, fastest, keep
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from theorylab.shift import NuisanceModel, draw_training_set, fit_logistic_path

LAM, ETA, D_S = 1e-5, 0.1, 50


def explicit(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The training set with every nuisance feature drawn and kept: n k numbers."""
    model, rng = NuisanceModel(d_s=D_S, k=k), np.random.default_rng(seed)
    z = rng.normal(size=(n, D_S))
    y = np.where(z[:, 0] >= 0, 1.0, -1.0)
    z[:, 0] += model.gap * y
    X = np.concatenate([z, model.sigma * rng.standard_normal((n, k))], axis=1)
    return X, np.where(rng.random(n) < ETA, -y, y)


def numpy_newton(X: np.ndarray, y: np.ndarray, tol: float = 1e-7) -> np.ndarray:
    """The same dual Newton iteration written in NumPy and SciPy, with step halving."""
    n = len(y)
    K, a, f = X @ X.T, np.zeros(n), np.zeros(n)

    def objective(a: np.ndarray, f: np.ndarray) -> float:
        return np.logaddexp(0, -y * f).mean() + LAM / 2 * a @ f

    for _ in range(100):
        r = y * expit(-y * f)
        v = LAM * a - r / n
        if np.sqrt(v @ K @ v) <= tol:
            break
        root = np.sqrt(expit(f) * expit(-f) / n)
        factor = cho_factor(np.eye(n) + root[:, None] * K * root / LAM, lower=True)
        step = -(v - root * cho_solve(factor, root * (K @ v)) / LAM) / LAM
        effect, t, now = K @ step, 1.0, objective(a, f)
        while objective(a + t * step, f + t * effect) > now and t > 1e-6:
            t /= 2
        a, f = a + t * step, f + t * effect
    return X.T @ a


def sklearn_fit(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    # scikit-learn's objective is C sum of losses + |w|^2 / 2
    model = LogisticRegression(
        C=1 / (len(y) * LAM), fit_intercept=False, tol=1e-7, max_iter=100_000
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y).coef_[0]


def measure(n: int, ks: list[int], explicit_to: int, repeats: int) -> list[dict[str, Any]]:
    rows = []
    for k in ks:
        model = NuisanceModel(d_s=D_S, k=k)

        def ours(model: NuisanceModel = model) -> Any:
            sample = draw_training_set(jax.random.key(0), model, n, ETA)
            return fit_logistic_path(sample.x, sample.noisy, [LAM], tol=1e-7).coef

        start = time.perf_counter()
        ours()
        compile_s = time.perf_counter() - start
        calls: dict[str, Callable[[], Any]] = {"ours": ours}
        if k <= explicit_to:
            calls["numpy"] = lambda k=k: numpy_newton(*explicit(n, k, 0))
            calls["sklearn"] = lambda k=k: sklearn_fit(*explicit(n, k, 0))
        found = fastest(calls, repeats)
        sample = draw_training_set(jax.random.key(0), model, n, ETA)
        steps = int(fit_logistic_path(sample.x, sample.noisy, [LAM], tol=1e-7).steps[0])
        newton = steps * (n**3 / 3 + 8 * n**2)
        rows.append(
            {
                "k": k,
                "n": n,
                "newton_steps": steps,
                "first_call_s": compile_s,
                "seconds": found,
                # draw, Gram matrix, Newton steps, weights; the explicit Gram matrix is what
                # compression saves
                "gflop_compressed": (2 * n**2 * (n + D_S) + newton) / 1e9,
                "gflop_explicit": (2 * n**2 * (k + D_S) + newton) / 1e9,
                "gbyte_compressed": 8 * n * (n + D_S) / 1e9,
                "gbyte_explicit": 8 * n * (k + D_S) / 1e9,
                "gradient_norm_sklearn": _gradient_norm(n, k) if k <= explicit_to else None,
            }
        )
    return rows


def _gradient_norm(n: int, k: int) -> float:
    X, y = explicit(n, k, 0)
    w = sklearn_fit(X, y)
    return float(np.linalg.norm(LAM * w - X.T @ (y * expit(-y * (X @ w))) / n))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--ks", type=int, nargs="+", default=[2000, 10_000, 50_000, 1_000_000])
    parser.add_argument(
        "--explicit-to", type=int, default=50_000, help="largest k whose features are drawn"
    )
    parser.add_argument("--repeats", type=int, default=3)
    options = arguments(parser, smoke={"n": 30, "ks": [100], "repeats": 1})
    rows = measure(options.n, options.ks, options.explicit_to, options.repeats)
    device = jax.devices()[0].device_kind
    print(f"n = {options.n}, λ = {LAM:g}, draw + fit, seconds wall (CPU), on {device}\n")
    print(
        "| k | compressed (ours) | explicit NumPy | CPU ratio | scikit-learn | CPU ratio | GFLOP "
        "ours / explicit "
        "| GB ours / explicit |\n|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        s = row["seconds"]
        cells = [f"{s['ours'][0]:.3g} ({s['ours'][1]:.3g})"]
        for peer in ("numpy", "sklearn"):
            known = peer in s
            cells.append(f"{s[peer][0]:.3g} ({s[peer][1]:.3g})" if known else "not run")
            cells.append(f"{s[peer][1] / s['ours'][1]:.1f}" if known else "")
        print(
            f"| {row['k']} | {' | '.join(cells)} | {row['gflop_compressed']:.3g} / "
            f"{row['gflop_explicit']:.3g} "
            f"| {row['gbyte_compressed']:.3g} / {row['gbyte_explicit']:.3g} |"
        )
    keep("shift_linear", vars(options), "scipy", "scikit-learn", rows=rows)


if __name__ == "__main__":
    main()
