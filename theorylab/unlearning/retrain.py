"""Training, and the methods that train again on what was not identified.

Retraining without the deletion set, exact unlearning and catastrophic forgetting of the last
layers. The retain set still holds the manipulated samples that nobody identified, with their wrong
labels and triggers: what these methods see is the training set without S_f, not without S_m. It
must not be empty: that is not looked at.
Source: Goel, Prabhu, Torr, Kumaraguru & Sanyal 2024 (arXiv 2402.14015).
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.unlearning.batches import descending
from theorylab.unlearning.manipulations import TrainingSet
from theorylab.unlearning.network import Model, Network, belongs, require
from theorylab.unlearning.training import Budget, train


def pretrain(network: Network, data: TrainingSet, budget: Budget, *, key: Key[Array, ""]) -> Model:
    """The original model: trained from a fresh start on the whole training set.

    Manipulated samples are included.

    Args:
        network: from `network(...)`.
        data: from `manipulate(...)`.
        budget: steps, batch size and step sizes.
        key: draws the start, the batches and the augmentation.

    Returns:
        The model after the last step.

    Raises:
        InputError: arguments of another kind.
    """
    none = jnp.zeros(_size(data), bool)
    return retrain_without_deletion(network, data, none, budget, key=key)


def retrain_without_deletion(
    network: Network,
    data: TrainingSet,
    forget: Bool[ArrayLike, "n"],
    budget: Budget,
    *,
    key: Key[Array, ""],
) -> Model:
    """Retraining without the deletion set (RewoD): a fresh start, trained on all but `forget`.

    The gold standard of privacy unlearning, and not of corrective unlearning: manipulated samples
    outside `forget` are learnt from new values.

    Args:
        network: from `network(...)`.
        data: the training set.
        forget: (n,) mask of the samples left out, such as `identified_subset` gives.
        budget: that of pre-training in the benchmark.
        key: draws the start, the batches and the augmentation.

    Returns:
        The model after the last step.

    Raises:
        InputError: a mask that does not fit or leaves no sample, or arguments of another kind.

    Source:
        Goel et al. 2024 (arXiv 2402.14015), section 4; exact unlearning of all layers there.
    """
    checks.key("key", key)
    require(network)
    start, rest = jax.random.split(key)
    return _on_the_rest(network, data, network.init(start), forget, budget, rest, None)


def exact_unlearn(
    network: Network,
    data: TrainingSet,
    model: Model,
    forget: Bool[ArrayLike, "n"],
    budget: Budget,
    *,
    layers: int,
    key: Key[Array, ""],
) -> Model:
    """Exact unlearning (EU-k): the last layers start again and are trained on all but `forget`.

    The other layers stay as they are, in eval mode.

    Args:
        network: from `network(...)`.
        data: the training set.
        model: the original model.
        forget: (n,) mask of the samples left out.
        budget: steps, batch size and step sizes.
        layers: how many entries of `network.layers`, counted from the end. The benchmark counts
            weight layers: of a ResNet-9 its k = 2 is 2 here, its k = 4 is 3, a residual pair being
            one entry.
        key: draws the start, the batches and the augmentation.

    Returns:
        The model after the last step.

    Raises:
        InputError: more layers than there are, or a mask that does not fit or leaves no sample.

    Source:
        Goel, Prabhu, Sanyal et al. 2022 (arXiv 2201.06640), EU-k.
    """
    checks.key("key", key)
    require(network, model)
    start, rest = jax.random.split(key)
    fresh, last = network.init(start), network.last(layers)
    mixed = [
        jax.tree.map(lambda new, a, b: a if new else b, belongs(old, last), young, old)
        for young, old in ((fresh.params, model.params), (fresh.state, model.state))
    ]
    return _on_the_rest(network, data, Model(*mixed), forget, budget, rest, layers)


def fine_tune(
    network: Network,
    data: TrainingSet,
    model: Model,
    forget: Bool[ArrayLike, "n"],
    budget: Budget,
    *,
    layers: int | None = None,
    key: Key[Array, ""],
) -> Model:
    """Catastrophic forgetting (CF-k): the last layers are trained further on all but `forget`.

    With all layers it is plain fine-tuning. Frozen arrays, running statistics among them, come out
    as they went in, bit by bit.

    Args:
        network: from `network(...)`.
        data: the training set.
        model: the original model.
        forget: (n,) mask of the samples left out.
        budget: steps, batch size and step sizes.
        layers: see `exact_unlearn`; None trains all.
        key: draws the batches and the augmentation.

    Returns:
        The model after the last step.

    Raises:
        InputError: more layers than there are, or a mask that does not fit or leaves no sample.

    Source:
        Goel, Prabhu, Sanyal et al. 2022 (arXiv 2201.06640), CF-k.
    """
    checks.key("key", key)
    return _on_the_rest(network, data, model, forget, budget, key, layers)


def mask_of(data: TrainingSet, forget: ArrayLike, name: str = "forget") -> Bool[Array, " n"]:
    """Samples as a mask of the training set's size."""
    wanted = (_size(data),)
    return jnp.asarray(checks.within(name, forget, 0, 1, shape=wanted)).astype(bool)


def deletion_set(data: TrainingSet, forget: ArrayLike) -> Bool[Array, " n"]:
    """The mask `forget`, which must leave something to learn from."""
    mask = mask_of(data, forget)
    if not is_traced(mask) and bool(mask.all()):
        raise InputError(
            f"forget names all {mask.size} samples; at least one must be left to learn from"
        )
    return mask


def _size(data: TrainingSet) -> int:
    return checks.instance(
        "data", data, TrainingSet, "a TrainingSet, made by manipulate(...),"
    ).y.shape[0]


def _on_the_rest(
    network: Network,
    data: TrainingSet,
    start: Model,
    forget: ArrayLike,
    budget: Budget,
    key: Key[Array, ""],
    layers: int | None,
) -> Model:
    checks.instance("budget", budget, Budget, "a Budget(steps=...)")
    batch_key, step_key = jax.random.split(key)
    batches = descending(~deletion_set(data, forget), budget.steps, budget.batch_size, batch_key)
    return train(network, data, start, batches, budget, key=step_key, layers=layers)
