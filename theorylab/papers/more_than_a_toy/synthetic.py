"""Cells on random features with a known spectrum: is GCV right, at which rate, and on which designs
must it fail.

Notation of the paper: population eigenvalues i^-alpha, target power i^-delta, ridges `ridges` in
the normalised convention. Everything is float64.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import ridge, rmt
from theorylab.data import synthetic as designs

# stored name: ridge's name
ESTIMATES = {"gcv": "gcv", "loo": "loo", "train": "train_risk", "kappa_hat": "kappa"}


def _draw(design: str, key: Any, n: int, spectrum: Any, beta: Any, noise: float) -> tuple[Any, Any]:
    """n samples of a design and their targets."""
    rows = n // 2 if design in ("duplicated", "augmented") else n
    key_x, key_y, key_copy = jax.random.split(key, 3)
    if design == "elliptical":
        x = designs.elliptical(key_x, rows, spectrum)
    else:
        x = designs.gaussian_design(
            key_x, rows, spectrum, entries="rademacher" if design == "rademacher" else "gaussian"
        )
    y = designs.linear_targets(key_y, x, beta, noise_variance=noise)
    if design == "duplicated":
        return designs.duplicate(x, y)
    return designs.augmented(key_copy, x, y) if design == "augmented" else (x, y)


def gcv(
    design: str,
    n: int,
    population: Mapping[str, Any],
    ridges: list[float],
    seed: int,
    draws: int,
) -> Mapping[str, Any]:
    """GCV, LOO, training risk and true risk (draws, ridges) of independent draws, beside their
    deterministic values.

    population: `p` features, exponents `alpha` and `delta`, variance `noise` of the targets' noise.
    """
    p, alpha, delta, noise = (population[name] for name in ("p", "alpha", "delta", "noise"))
    alphas = np.asarray(ridges)
    found: dict[str, list[Any]] = {name: [] for name in (*ESTIMATES, "risk")}
    with jax.enable_x64(True):
        spectrum = designs.power_law_spectrum(p, alpha)
        power = designs.power_law_spectrum(p, delta)
        # one fixed target, as in the theorem
        beta = designs.teacher(jax.random.key(0), spectrum, power)
        for draw in range(draws):
            key = jax.random.fold_in(jax.random.key(seed), draw)
            x, y = _draw(design, key, n, spectrum, beta, noise)
            path = ridge.KernelRidgePath.fit(x @ x.T, y)
            fit = path.summary(alphas)
            fitted = np.einsum("np,lnc->lp", np.asarray(x), fit.dual, optimize=True)
            for name, field in ESTIMATES.items():
                found[name].append(getattr(fit, field))
            found["risk"].append(jnp.sum(spectrum * (fitted - beta) ** 2, axis=1) + noise)
        exact = rmt.omniscient_risk(spectrum, power, n, alphas, noise=noise)
    arrays = {name: np.stack([np.asarray(v) for v in values]) for name, values in found.items()}
    return arrays | {"kappa": np.asarray(exact.kappa), "omniscient": np.asarray(exact.risk)}


def local_law(
    design: str,
    n: int,
    population: Mapping[str, Any],
    modes: list[int],
    ridge: float,
    share: float,
    seed: int,
    draws: int,
) -> Mapping[str, Any]:
    """Residuals of the averaged law (draws, 2) and of the anisotropic one at population
    eigenvectors (draws, 2, modes).

    population: `p` features, exponent `alpha` of the spectrum. At two ridges: `ridge`, the same for
    every n, and one that moves with n, share * kappa(0, n): at a ridge far above kappa(0, n) even
    bad designs look better and better.
    """
    p, alpha = population["p"], population["alpha"]
    averaged, anisotropic = [], []
    with jax.enable_x64(True):
        spectrum = designs.power_law_spectrum(p, alpha)
        ridges = jnp.stack(
            [jnp.asarray(ridge), share * rmt.effective_regularization(spectrum, n, 0.0)]
        )
        directions = jnp.eye(p)[:, jnp.asarray(modes) - 1]
        for draw in range(draws):
            key = jax.random.fold_in(jax.random.key(seed), draw)
            x, _ = _draw(design, key, n, spectrum, jnp.zeros(p), 0.0)
            residuals = rmt.local_law_residuals(x, spectrum, ridges, directions)
            averaged.append(residuals.averaged)
            anisotropic.append(residuals.anisotropic)
    return {"averaged": np.stack(averaged), "anisotropic": np.stack(anisotropic)}


def exponents(alpha: float, delta: float, p: int, sizes: list[int]) -> Mapping[str, Any]:
    """Deterministic ridgeless risk, kappa and its derivative (sizes,) for power laws truncated at p
    modes."""
    with jax.enable_x64(True):
        spectrum, power = designs.power_law_spectrum(p, alpha), designs.power_law_spectrum(p, delta)
        exact = rmt.omniscient_risk(spectrum, power, np.asarray(sizes, float), 0.0)
        return {name: np.asarray(getattr(exact, name)) for name in ("risk", "kappa", "dkappa")}


def selection(
    n: int, p: int, alpha: float, delta: float, noise: float, seed: int, draws: int
) -> Mapping[str, Any]:
    """Risk at the GCV-selected ridge over the best risk on the grid (draws,), and the same for a
    random pick."""
    grid = np.geomspace(1e-6, 1.0, 40)
    population = {"p": p, "alpha": alpha, "delta": delta, "noise": noise}
    found = gcv("gaussian", n, population, grid.tolist(), seed, draws)
    rows = np.arange(draws)
    best = found["risk"].min(1)
    blind = np.random.default_rng(seed).integers(len(grid), size=draws)
    return {
        "selected": found["risk"][rows, found["gcv"].argmin(1)] / best,
        "by_training": found["risk"][rows, found["train"].argmin(1)] / best,
        "blind": found["risk"][rows, blind] / best,
    }
