"""Ridge paths side by side with what one would use today: `python benchmarks/ridge.py [--n 4000]`.

Prints a Markdown table and writes benchmarks/results/ridge-<device>.json. Every line is measured in
this run, on the same kernel, targets and penalties; the bare eigendecomposition and the path take
turns. Only a line that says "x" is extrapolated, and it says from what.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import scipy
import scipy.linalg
from record import arguments, keep, timed
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, KFold

from theorylab.ridge import KernelRidgePath, gcv_slq, solve_ridge


def problem(n: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian features with a power-law spectrum (alpha 1.5, P = 2N) and C noisy linear
    targets."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2 * n)) * np.arange(1, 2 * n + 1) ** -0.75
    return X @ X.T, X @ rng.normal(size=(2 * n, c)) + 0.1 * rng.normal(size=(n, c))


def seconds(call: Callable[[], Any]) -> float:
    return timed(call)[0]


def whole_path(K: np.ndarray, Y: np.ndarray, alphas: np.ndarray) -> tuple[np.ndarray, ...]:
    path = KernelRidgePath.fit(K, Y)
    summary = path.summary(alphas)
    return summary.gcv, summary.loo, summary.kappa, summary.dof, summary.dual


def measure(
    n: int, c: int, num_alphas: int, fold_alphas: int, repeats: int
) -> list[dict[str, Any]]:
    K, Y = problem(n, c)
    alphas = np.geomspace(1e-7, 1.0, num_alphas) * np.trace(K) / n
    rows: list[dict[str, Any]] = []

    def line(
        what: str, times: list[float], gflop: float | None = None, gbyte: float | None = None
    ) -> float:
        """Best of the runs: other work on the machine only ever adds."""
        rows.append(
            {
                "what": what,
                "seconds": min(times),
                "runs": times,
                "needs_gflop": gflop,
                "needs_gbyte": gbyte,
            }
        )
        return min(times)

    # LAPACK's counts: reduction 4/3 n³, divide and conquer up to 4/3 n³ (less by deflation),
    # back-transform 2 n³.
    eigh_gflop, matrix_gbyte = 14 / 3 * n**3 / 1e9, 8 * n**2 / 1e9
    first = seconds(lambda: whole_path(K, Y, alphas))
    pairs = [
        (
            seconds(lambda: scipy.linalg.eigh(K, driver="evd", check_finite=False)),
            seconds(lambda: whole_path(K, Y, alphas)),
        )
        for _ in range(repeats)
    ]
    line(
        "scipy.linalg.eigh, driver evd (nothing else)",
        [p[0] for p in pairs],
        eigh_gflop,
        3 * matrix_gbyte,
    )
    path_s = line(
        (
            f"KernelRidgePath: fit + {num_alphas} penalties of GCV, exact LOO, kappa, dof, dual "
            "weights"
        ),
        [p[1] for p in pairs],
        # One diagonal GEMM of 2 N² L and one product U (f * U^T Y) of 2 N² L C, on top of the
        # decomposition.
        eigh_gflop + (2 * n**2 * num_alphas * (1 + c) + 2 * n**2 * c) / 1e9,
        8 * matrix_gbyte + 3 * 8 * n * num_alphas * c / 1e9,
    )
    line("... compiling, once for these shapes", [max(first - path_s, 0.0)])
    path = KernelRidgePath.fit(K, Y)
    for name in ("gcv", "loo", "kappa", "dof", "dual"):
        seconds(lambda name=name: getattr(path, name)(alphas))
        line(
            f"... of which {name}",
            [seconds(lambda name=name: getattr(path, name)(alphas)) for _ in range(2)],
        )
    line(
        "solve_ridge: one penalty with GCV and LOO",
        [seconds(lambda: solve_ridge(K, Y, alphas[-1])) for _ in range(2)],
        2 / 3 * n**3 / 1e9,
    )
    slq = {"key": jax.random.key(0), "num_probes": 16, "depth": 100}
    line("gcv_slq: 16 probes, 100 steps", [seconds(lambda: gcv_slq(K, Y, alphas[-30:], **slq).gcv)])
    # RidgeCV has no kernel form; with features whose Gram matrix is K it takes the same
    # eigendecomposition route.
    features = np.linalg.cholesky(K + 1e-12 * np.trace(K) * np.eye(n))
    ridge_cv = RidgeCV(n * alphas, fit_intercept=False, gcv_mode="eigen")
    line(
        f"sklearn RidgeCV, {num_alphas} penalties, exact LOO alone",
        [seconds(lambda: ridge_cv.fit(features, Y))],
    )
    grid = GridSearchCV(
        KernelRidge(kernel="precomputed"),
        {"alpha": (n * alphas[:: num_alphas // fold_alphas][:fold_alphas]).tolist()},
        cv=KFold(5),
        scoring="neg_mean_squared_error",
        refit=False,
    )
    folds = line(
        f"sklearn KernelRidge grid, 5 folds, {fold_alphas} penalties",
        [seconds(lambda: grid.fit(K, Y))],
    )
    line(
        f"the same x {num_alphas // fold_alphas}: {num_alphas} penalties (each costs the same)",
        [folds * num_alphas / fold_alphas],
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--outputs", type=int, default=10)
    parser.add_argument("--alphas", type=int, default=100)
    parser.add_argument(
        "--fold-alphas", type=int, default=4, help="penalties measured in the 5-fold grid"
    )
    parser.add_argument("--repeats", type=int, default=3)
    options = arguments(
        parser, smoke={"n": 60, "outputs": 2, "alphas": 5, "fold_alphas": 1, "repeats": 1}
    )
    rows = measure(options.n, options.outputs, options.alphas, options.fold_alphas, options.repeats)
    bare = min(row["seconds"] for row in rows if row["what"].startswith("scipy"))
    device = jax.devices()[0].device_kind
    print(
        f"N = {options.n}, C = {options.outputs}, {options.alphas} penalties, float64, on "
        f"{device}\n"
    )
    print("| what | seconds | / bare eigh | needs GFLOP | needs GB |\n|---|---|---|---|---|")
    for row in rows:
        needs = [
            f"{row[key]:.3g}" if row[key] is not None else ""
            for key in ("needs_gflop", "needs_gbyte")
        ]
        print(
            f"| {row['what']} | {row['seconds']:.3g} | {row['seconds'] / bare:.2f} | {needs[0]} | "
            f"{needs[1]} |"
        )
    keep("ridge", vars(options), "scipy", "scikit-learn", rows=rows)


if __name__ == "__main__":
    main()
