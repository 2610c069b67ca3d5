"""Cells that train: success curves of every rule, the validation effect, parity signals,
dominoes."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import rankdata

from theorylab.collective.curves import Curve, selected_success, success_curve
from theorylab.collective.rules import ERM, JTT, Chi2, CVaR, GroupDRO, LfF, Rule
from theorylab.collective.training import fit
from theorylab.collective.weights import cvar_risk
from theorylab.papers.collective_action.worlds import build as build_world
from theorylab.papers.collective_action.worlds import dominoes as build_dominoes

RULES = {"erm": ERM, "jtt": JTT, "lff": LfF, "cvar": CVaR, "chi2": Chi2, "group": GroupDRO}


@cache
def _sgd(rate: float) -> optax.GradientTransformation:
    return optax.sgd(rate)


def _keys(seeds: list[int]) -> Any:
    return jnp.stack([jax.random.key(s) for s in seeds])


def _rule(rule: str, options: Mapping[str, Any]) -> Rule:
    return RULES[rule](**options)


def _arrays(found: Curve) -> Mapping[str, Any]:
    return {name: np.asarray(value) for name, value in vars(found).items()}


def curve(  # noqa: PLR0913
    world: Mapping[str, Any],
    rule: str,
    options: Mapping[str, Any],
    alphas: list[float],
    seeds: list[int],
    rate: float,
    steps: int,
    every: int,
    batch_size: int | None,
) -> Mapping[str, Any]:
    """Success, accuracy and effective size of one rule: arrays (sizes, seeds[, checkpoints])."""
    w = build_world(**world)
    found = success_curve(
        w.f,
        w.init,
        w.sample,
        signal=w.signal,
        y_star=w.y_star,
        alphas=alphas,
        keys=_keys(seeds),
        optimizer=_sgd(rate),
        steps=steps,
        every=every,
        rule=_rule(rule, options),
        batch_size=batch_size,
    )
    return _arrays(found)


def validation(
    n: int, tests: int, size: float, alphas: list[float], seeds: list[int], rate: float, steps: int
) -> Mapping[str, Any]:
    """Success (sizes, seeds) of CVaR stopped by its validation risk: on clean data, with the
    collective, not at all."""
    w = build_world("gaussian", n, tests)
    found = selected_success(
        w.f,
        w.init,
        w.sample,
        criterion=_tail(size),
        signal=w.signal,
        y_star=w.y_star,
        alphas=alphas,
        keys=_keys(seeds),
        optimizer=_sgd(rate),
        steps=steps,
        rule=CVaR(size),
    )
    return {name: np.asarray(value) for name, value in vars(found).items()}


@cache
def _tail(size: float) -> Any:
    return partial(cvar_risk, size=size)


def dominoes(  # noqa: PLR0913
    n: int,
    tests: int,
    source: str,
    half: str,
    pattern: str,
    width: int,
    alphas: list[float],
    seeds: list[int],
    rate: float,
    steps: int,
    every: int,
    batch_size: int,
) -> Mapping[str, Any]:
    """Success of a collective that plants in one half of class-aligned pairs of pictures."""
    w = build_dominoes(n, tests, half, pattern, source, width)
    found = success_curve(
        w.f,
        w.init,
        w.sample,
        signal=w.signal,
        y_star=w.y_star,
        alphas=alphas,
        keys=_keys(seeds),
        optimizer=_sgd(rate),
        steps=steps,
        every=every,
        batch_size=batch_size,
    )
    return _arrays(found)


def reliance(  # noqa: PLR0913
    n: int,
    tests: int,
    source: str,
    width: int,
    seeds: list[int],
    rate: float,
    steps: int,
    every: int,
    batch_size: int,
) -> Mapping[str, Any]:
    """AUC (seeds, checkpoints) on test pairs as they are, and with either half permuted among
    them."""
    w = build_dominoes(n, tests, "simple", "white", source, width)
    found: dict[str, list[Any]] = {"aligned": [], "simple permuted": [], "complex permuted": []}
    for seed in seeds:
        for_data, for_init, for_order = jax.random.split(jax.random.key(seed), 3)
        data = jax.jit(w.sample)(for_data)
        run = fit(
            w.f,
            w.init(for_init),
            data.x,
            data.y,
            key=for_order,
            optimizer=_sgd(rate),
            steps=steps,
            every=every,
            batch_size=batch_size,
        )
        first = _first_half(data.x_test, width, source)
        shuffled = np.asarray(data.x_test)[np.random.default_rng(seed).permutation(tests)]
        scenes = {
            "aligned": data.x_test,
            "simple permuted": np.where(first, shuffled, data.x_test),
            "complex permuted": np.where(first, data.x_test, shuffled),
        }
        for name, x in scenes.items():
            logits = np.asarray(jax.lax.map(lambda p, x=x: w.f(p, jnp.asarray(x)), run.path))
            found[name].append([auc(z[:, 1] - z[:, 0], np.asarray(data.y_test)) for z in logits])
    return {name.replace(" ", "_"): np.array(values) for name, values in found.items()}


def _first_half(x: Any, width: int, source: str) -> np.ndarray:
    """Mask, of the shape of one sample, of the simple half."""
    mask = np.zeros(x.shape[1:], bool)
    mask[: 14 * 14 if width else 32] = True
    return mask


def auc(scores: np.ndarray, y: np.ndarray) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic."""
    ranks, ones = rankdata(scores), y == 1
    return float(
        (ranks[ones].sum() - ones.sum() * (ones.sum() + 1) / 2) / (ones.sum() * (~ones).sum())
    )
