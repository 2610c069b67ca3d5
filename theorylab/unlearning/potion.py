"""Potion: dampening by importances, strengthened until the identified poison no longer acts.

From the public description and code of Schoepf, Foster, Brintrup 2024 (arXiv 2406.09173; repository
if-loops/towards_poison_unlearning): the importances, which resist outliers, the threshold as a
percentile of the ratios, the search and its start. Ours: all thresholds from one sort, and the
search as a loop of fixed shape, which `vmap` runs for many deletion sets at once.
Source: Schoepf, Foster & Brintrup 2024.
"""

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PyTree

from theorylab import checks
from theorylab.pytrees import register
from theorylab.unlearning.importance import ImportanceOptions, gradient_importance
from theorylab.unlearning.manipulations import TrainingSet
from theorylab.unlearning.metrics import deletion_agreement
from theorylab.unlearning.network import Model, Network
from theorylab.unlearning.retrain import deletion_set
from theorylab.unlearning.ssd import selective_synaptic_dampening
from theorylab.unlearning.training import Loop, best_loop


@register()
@dataclass(frozen=True)
class Potion:
    """What the search found.

    Attributes:
        model: the dampened model.
        alpha: the threshold on the ratio of importances that was used.
        tries: how many thresholds were tried.
        agreement: share of the deletion set still predicted as its manipulated labels.
    """

    model: Model
    alpha: Float[Array, ""]
    tries: Int[Array, ""]
    agreement: Float[Array, ""]


@dataclass(frozen=True)
class TriggerSearch:
    """Poison trigger neutralisation: how the threshold is searched.

    Args:
        stop: the search ends when agreement with the manipulated labels on the deletion set has
            fallen to this share of what it was, in [0, 1].
        start: q at first, as a share of |S_f| / n, above 0; the threshold is the percentile 100 -
            ln(1 + 100 q) of the ratios I_f / I_r.
        factor: q grows by it from try to try, above 1.
        tries: at most this number; the last is kept when none satisfies.

    Raises:
        InputError: an argument out of range.
    """

    stop: float = 0.2
    start: float = 1 / 25
    factor: float = 1.1
    tries: int = 200

    def __post_init__(self) -> None:
        checks.number("stop", self.stop, 0, 1)
        checks.positive("start", self.start, ndim=0)
        checks.number("factor", self.factor, 1, open_low=True)
        checks.count("tries", self.tries)


def potion(
    network: Network,
    model: Model,
    data: TrainingSet,
    forget: Bool[ArrayLike, "n"],
    *,
    batch_size: int = 512,
    search: TriggerSearch | None = None,
    most: int | None = None,
    loop: Loop = None,
) -> Potion:
    """Dampen what stands out for `forget`, with the weakest threshold that neutralises its trigger.

    Importances are mean absolute gradients of the batch-mean norm of the outputs: no labels, and
    outliers weigh less than squared. The dampening is that of `selective_synaptic_dampening` with
    lam = 1. No retraining, and no hyperparameter that clean data would have to choose.

    Args:
        network: from `network(...)`.
        model: the original model.
        data: the training set.
        forget: (n,) mask of the deletion set.
        batch_size: of the importances; see `gradient_importance`.
        search: a `TriggerSearch`; None for its defaults.
        most: an upper bound on the samples in `forget`, when it is traced.
        loop: as for `Budget`.

    Returns:
        A `Potion`.

    Raises:
        InputError: a mask that does not fit, or options out of range.
    """
    search = search or TriggerSearch()
    checks.instance("search", search, TriggerSearch, "a TriggerSearch()")
    chosen = deletion_set(data, forget)
    options = ImportanceOptions(of="output_norm", power=1, loop=loop)
    important, rest = (
        gradient_importance(
            network, model, data, mask, batch_size=batch_size, most=bound, options=options
        )
        for mask, bound in ((chosen, most), (~chosen, None))
    )
    where = loop or best_loop(network, model, data, [chosen, *jax.tree.leaves(model)])
    if most is None and where == "host":
        most = max(1, int(chosen.sum()))
    alphas = thresholds(important, rest, chosen.mean(), search)
    before = deletion_agreement(network, model, data, chosen, most=most)
    goal = search.stop * before
    if where == "device":
        return _search(network, most, model, data, chosen, (important, rest), alphas, goal)
    for t in range(search.tries):
        tried = _dampened(network, most, model, data, chosen, (important, rest), alphas[t])
        if tried[1] <= goal:
            break
    return Potion(tried[0], alphas[t], jnp.asarray(t + 1), tried[1])


def thresholds(
    forget_importance: PyTree,
    retain_importance: PyTree,
    share: Float[ArrayLike, ""],
    search: TriggerSearch,
) -> Float[Array, " tries"]:
    """The threshold of every try: a percentile of the ratios of importances that are finite."""
    ratios = jnp.concatenate(
        [
            (jnp.asarray(f) / jnp.asarray(r)).ravel()
            for f, r in zip(
                jax.tree.leaves(forget_importance), jax.tree.leaves(retain_importance), strict=True
            )
        ]
    )
    ratios = jnp.where(jnp.isfinite(ratios), ratios, jnp.nan)
    growth = jnp.exp(math.log(search.factor) * jnp.arange(search.tries))
    percentile = 100 - jnp.log1p(100 * search.start * share * growth)
    return jnp.nanpercentile(ratios, jnp.clip(percentile, 0, 100))


@partial(jax.jit, static_argnames=("network", "most"))
def _dampened(
    network: Network,
    most: int | None,
    model: Model,
    data: TrainingSet,
    forget: Array,
    importances: tuple[PyTree, PyTree],
    alpha: Array,
) -> tuple[Model, Array]:
    params = selective_synaptic_dampening(model.params, *importances, alpha=alpha, lam=1.0)
    new = Model(params, model.state)
    return new, deletion_agreement(network, new, data, forget, most=most)


@partial(jax.jit, static_argnames=("network", "most"))
def _search(
    network: Network,
    most: int | None,
    model: Model,
    data: TrainingSet,
    forget: Array,
    importances: tuple[PyTree, PyTree],
    alphas: Array,
    goal: Array,
) -> Potion:
    def advance(found: Potion) -> Potion:
        alpha = alphas[found.tries]
        new, agreement = _dampened(network, most, model, data, forget, importances, alpha)
        return Potion(new, alpha, found.tries + 1, agreement)

    def going_on(found: Potion) -> Array:
        return (found.agreement > goal) & (found.tries < len(alphas))

    start = Potion(model, jnp.zeros_like(alphas[0]), jnp.asarray(0), jnp.full_like(goal, jnp.inf))
    return jax.lax.while_loop(going_on, advance, start)
