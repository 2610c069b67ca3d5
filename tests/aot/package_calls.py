"""Calls of public functions of the packages that neither the examples of their documentation nor
the cells of the papers make, or make at other sizes.

256 of whatever is many: it divides among the 16 chips of a mesh. Names begin with the package.
"""

from collections.abc import Callable

import jax
import numpy as np

ALPHAS = np.geomspace(1e-3, 1.0, 16)


def _problem(features: int = 64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, features))
    return x, x @ rng.normal(size=(features, 2)) + rng.normal(size=(256, 2))


def _quantities(path) -> None:
    for name in ("train_risk", "gcv", "loo", "kappa", "dkappa", "dof", "leverage", "norm2", "dual"):
        getattr(path, name)(ALPHAS)
    path.summary(ALPHAS)
    path._evaluate(_kfold(), ALPHAS, np.arange(256).reshape(16, 16))


def _kfold():
    from theorylab.ridge import modes

    return modes.kfold


def kernel_ridge() -> None:
    from theorylab.ridge import KernelRidgePath

    x, y = _problem()
    _quantities(KernelRidgePath.fit(x @ x.T, y, check=False))


def small_kernel_ridge() -> None:
    """Small enough to be computed, so that checks between the programs see true numbers."""
    from theorylab.ridge import KernelRidgePath

    x, y = (a[:32] for a in _problem(48))
    path = KernelRidgePath.fit(x @ x.T, y, center=True)
    path.predict(x[:16] @ x.T, ALPHAS)
    path.kfold(ALPHAS, 4, jax.random.key(0))


def linear_ridge() -> None:
    from theorylab.ridge import RidgePath

    x, y = (a[:64] for a in _problem(32))
    path = RidgePath.fit(x, y)
    path.coef(ALPHAS)
    path.predict(x, ALPHAS)


def equivalents() -> None:
    from theorylab import rmt

    decay = np.arange(1.0, 257.0) ** -1.5
    n = np.arange(16.0, 272.0, 16.0)
    rmt.degrees_of_freedom(decay, n / 100)
    rmt.covariate_shift_risk(decay, decay, decay[::-1], n, 0.01)
    rmt.random_features_risk(decay, decay, n, 64.0, 0.01)


def laws() -> None:
    from theorylab import rmt

    x = np.linspace(0.1, 4.0, 256)
    for law in (rmt.SilversteinLaw(np.array([1.0, 8.0]), None, 0.1), rmt.DeformedWigner(x[:16])):
        law.solve(x + 0.1j)
        law.stieltjes(x + 0.1j)
        law.density(x)
        law.cdf(x)


def adversaries() -> None:
    from theorylab import online

    policy = online.TwoStage(0.5)
    online.proof_adversary(policy, 4)
    online.worst_case_search(policy, 4, key=jax.random.key(0), instances=256, climbers=256, steps=1)


def matchings() -> None:
    from theorylab import matching

    weights = np.random.default_rng(0).uniform(size=(32, 32))
    matching.auction_assignment(weights)
    matching.soft_assignment(weights)
    matching.soft_assignment_duals(weights)
    market = matching.Market(weights, weights.T[::-1])
    outcome = matching.Outcome(np.arange(32), np.zeros(32), np.zeros(32))
    matching.minimal_subsidies(market, outcome)


CALLS: dict[str, Callable[[], None]] = {
    "ridge.paths of a kernel": kernel_ridge,
    "ridge.paths of a small kernel": small_kernel_ridge,
    "ridge.paths of features": linear_ridge,
    "rmt.equivalents on a grid": equivalents,
    "rmt.laws on a grid": laws,
    "online.adversaries": adversaries,
    "matching.approximations": matchings,
}
