"""Cells on the two-Gaussian mixture itself: closed forms, replicate sweeps, and the estimators run
explicitly."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import mixtures
from theorylab.mixtures import METHODS


def closed(snrs: list[float], pairs: list[list[float]], draws: int, seed: int) -> Mapping[str, Any]:
    """The information of one unlabelled point over `snrs`, and the mixture's KL divergence over (s,
    angle) `pairs`.

    `kl_mc` is its plain Monte Carlo estimate in two dimensions, the log ratio of densities at
    `draws` samples.
    """
    s = np.asarray(snrs)
    found: dict[str, Any] = {
        "q": mixtures.unlabelled_information(s),
        "spectral": mixtures.spectral_information(s),
        "gap": mixtures.nishimori_gap(s),
        # the drift of a model with ||theta*||^2 = s
        "gap_wrong": mixtures.nishimori_gap(s, drift=s),
    }
    snr, angle = np.asarray(pairs).T
    rng = np.random.default_rng(seed)
    mean, error = [], []
    for length, turn in pairs:
        x = rng.standard_normal((draws, 2))
        x[:, 0] += length  # (x and -x have the same density)
        near, far = x[:, 0] * length, length * (x @ np.array([np.cos(turn), np.sin(turn)]))
        ratio = np.logaddexp(near, -near) - np.logaddexp(far, -far)
        mean.append(ratio.mean())
        error.append(ratio.std() / np.sqrt(draws))
    return found | {
        "kl": mixtures.mixture_kl(snr, angle),
        "kl_labelled": mixtures.labelled_kl(snr, angle),
        "kl_bound": mixtures.unlabelled_information(snr) * mixtures.labelled_kl(snr, angle),
        "kl_mc": np.stack(mean),
        "kl_se": np.stack(error),
    }


def heat(s: float, n_l: list[float], n_u: list[float], d: int) -> Mapping[str, Any]:
    """Leading-order excess risks (n_l, n_u) of every method, and the regime by name."""
    grid = np.meshgrid(np.asarray(n_l), np.asarray(n_u), indexing="ij")
    found: dict[str, Any] = {m: mixtures.predicted_excess(m, s, d, *grid) for m in METHODS}
    found["regime"] = np.array([[mixtures.regime(s, d, a, b) for b in n_u] for a in n_l])
    return found


def risks(
    s: list[float],
    n_l: list[int],
    n_u: list[int],
    d: int,
    replicates: int,
    methods: list[str],
    seed: int,
    dtype: str = "float32",
) -> Mapping[str, Any]:
    """Mean excess risk and its standard error (methods, settings), estimation errors, wrong-sign
    rates; the lower bounds, exact risk of SL and leading-order predictions at the same settings."""
    swept = mixtures.sweep_mixture(
        jax.random.key(seed),
        s,
        n_l,
        n_u,
        d=d,
        replicates=replicates,
        methods=tuple(methods),
        simulation=mixtures.Simulation(dtype=np.dtype(dtype)),
    )
    wrong = [
        mixtures.assouad_bound(s, d, n_l, n_u, **k).excess
        for k in ({"information": 0.0}, {"factor": 8.0})
    ]
    bound = mixtures.assouad_bound(s, d, n_l, n_u)
    predicted = [mixtures.predicted_excess(m, s, d, n_l, n_u) for m in methods if m in METHODS]
    return {
        "mean": np.stack([swept.mean(m) for m in methods]),
        "se": np.stack([swept.standard_error(m) for m in methods]),
        "estimation": np.stack([e.mean(1, dtype=np.float64) for e in swept.estimation.values()]),
        "wrong_sign": swept.wrong_sign.mean(1),
        "predicted": np.stack(predicted),
        "sl_exact": mixtures.sl_excess_exact(s, d, n_l),
        "bound": bound.excess,
        "bound_estimation": bound.estimation,
        "bound_labels_only": wrong[0],
        "bound_times_8": wrong[1],
    }


def explicit(s: float, d: int, n_l: int, n_u: int, replicates: int, seed: int) -> Mapping[str, Any]:
    """Excess risks (replicates,) of the public estimators on explicit samples with a random centre
    each.

    No sufficient statistic, no rotation: what the sweeps must agree with. "shuffled" is SL with
    permuted labels.
    """

    def one(key: Any) -> dict[str, Any]:
        keys = jax.random.split(key, 4)
        centre = mixtures.random_center(keys[0], d, s)
        X_l, y_l = mixtures.sample_2gmm(keys[1], centre, n_l)
        X_u, _ = mixtures.sample_2gmm(keys[2], centre, n_u)
        sl, ulp = mixtures.sl_estimator(X_l, y_l), mixtures.ul_plus(X_l, y_l, X_u)
        both = mixtures.ssl_weighted(sl, ulp, weight)
        thetas = {
            "sl": sl,
            "ul_plus": ulp,
            "vote": mixtures.ul_plus(X_l, y_l, X_u, sign_rule="vote"),
            "ssl_switch": mixtures.ssl_switch(X_l, y_l, X_u, s),
            "ssl_weighted": both,
            "ssl_em": mixtures.ssl_em(X_l, y_l, X_u, both),
            "shuffled": mixtures.sl_estimator(X_l, jax.random.permutation(keys[3], y_l)),
        }
        return {name: mixtures.excess_risk(theta, centre) for name, theta in thetas.items()}

    weight = float(mixtures.optimal_weight(s, n_l, n_u))
    found = jax.jit(lambda keys: jax.lax.map(one, keys))(
        jax.random.split(jax.random.key(seed), replicates)
    )
    return {name: np.asarray(value) for name, value in found.items()}


def cancellation(s: float, d: int, sizes: list[int], draws: int, seed: int) -> Mapping[str, Any]:
    """Mean excess risk (sizes,) of SL with n labels by the stable and by the naive formula, in
    float32 and float64."""
    rng = np.random.default_rng(seed)
    centre = np.zeros(d)
    centre[0] = s
    thetas = (
        centre
        + rng.standard_normal((len(sizes), draws, d)) / np.sqrt(np.asarray(sizes))[:, None, None]
    ).astype(np.float32)  # the same vectors in both precisions
    found: dict[str, Any] = {}
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            arrays = (
                jnp.asarray(thetas.astype(dtype)),
                jnp.asarray(centre.astype(np.float32).astype(dtype)),
            )
            for name, risk in (
                ("stable", mixtures.excess_risk),
                ("naive", mixtures.naive_excess_risk),
            ):
                found[f"{name} {dtype}"] = np.asarray(jax.jit(risk)(*arrays), np.float64).mean(1)
    return found
