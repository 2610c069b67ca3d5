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

from theorylab.collective.curves import Curve, success_curve
from theorylab.collective.rules import ERM, JTT, Chi2, CVaR, GroupDRO, LfF, Rule
from theorylab.collective.selection import selected_success
from theorylab.collective.training import Training, fit
from theorylab.collective.weights import cvar_risk
from theorylab.papers.collective_action.worlds import build as build_world
from theorylab.papers.collective_action.worlds import dominoes as build_dominoes

RULES = {"erm": ERM, "jtt": JTT, "lff": LfF, "cvar": CVaR, "chi2": Chi2, "group": GroupDRO}


@cache
def _sgd(rate: float) -> optax.GradientTransformation:
    return optax.sgd(rate)


def _keys(seeds: list[int]) -> Any:
    return jnp.stack([jax.random.key(s) for s in seeds])


def _training(training: Mapping[str, Any], rule: Rule | None = None) -> Training:
    """How a cell trains: rate, steps, every (steps between two measurements) and batch_size."""
    options = dict(training)
    return Training(_sgd(options.pop("rate")), rule=rule or ERM(), **options)


def _arrays(found: Curve) -> Mapping[str, Any]:
    return {name: np.asarray(value) for name, value in vars(found).items()}


def curve(
    world: Mapping[str, Any],
    rule: str,
    options: Mapping[str, Any],
    alphas: list[float],
    seeds: list[int],
    training: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Success, accuracy and effective size of one rule: arrays (sizes, seeds[, checkpoints])."""
    how = _training(training, RULES[rule](**options))
    return _arrays(success_curve(build_world(**world), how, alphas=alphas, keys=_keys(seeds)))


def validation(
    n: int, tests: int, size: float, alphas: list[float], seeds: list[int], rate: float, steps: int
) -> Mapping[str, Any]:
    """Success (sizes, seeds) of CVaR stopped by its validation risk: on clean data, with the
    collective, not at all."""
    found = selected_success(
        build_world("gaussian", n, tests),
        Training(_sgd(rate), steps=steps, rule=CVaR(size)),
        criterion=_tail(size),
        alphas=alphas,
        keys=_keys(seeds),
    )
    return {name: np.asarray(value) for name, value in vars(found).items()}


@cache
def _tail(size: float) -> Any:
    return partial(cvar_risk, size=size)


def dominoes(
    world: Mapping[str, Any],
    half: str,
    pattern: str,
    alphas: list[float],
    seeds: list[int],
    training: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Success of a collective that plants in one half of class-aligned pairs of pictures."""
    setting = build_dominoes(**world, half=half, pattern=pattern)
    return _arrays(success_curve(setting, _training(training), alphas=alphas, keys=_keys(seeds)))


def reliance(
    world: Mapping[str, Any], seeds: list[int], training: Mapping[str, Any]
) -> Mapping[str, Any]:
    """AUC (seeds, checkpoints) on test pairs as they are, and with either half permuted among
    them."""
    w = build_dominoes(**world, half="simple", pattern="white")
    how = _training(training)
    found: dict[str, list[Any]] = {"aligned": [], "simple permuted": [], "complex permuted": []}
    for seed in seeds:
        for_data, for_init, for_order = jax.random.split(jax.random.key(seed), 3)
        data = jax.jit(w.sample)(for_data)
        run = fit(w.f, w.init(for_init), data.x, data.y, how, key=for_order)
        first = _first_half(data.x_test, world["width"])
        shuffled = np.asarray(data.x_test)[np.random.default_rng(seed).permutation(world["tests"])]
        scenes = {
            "aligned": data.x_test,
            "simple permuted": np.where(first, shuffled, data.x_test),
            "complex permuted": np.where(first, data.x_test, shuffled),
        }
        for name, x in scenes.items():
            logits = np.asarray(jax.lax.map(lambda p, x=x: w.f(p, jnp.asarray(x)), run.path))
            found[name].append([auc(z[:, 1] - z[:, 0], np.asarray(data.y_test)) for z in logits])
    return {name.replace(" ", "_"): np.array(values) for name, values in found.items()}


def _first_half(x: Any, width: int) -> np.ndarray:
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
