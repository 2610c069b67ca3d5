"""How much every parameter matters to a set of samples: mean powers of gradients.

Means are over batches or over samples.
Source: the code of Goel et al. 2024 (arXiv 2402.14015) and of Foster et al. 2024 (arXiv
2308.07707).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Key, PyTree

from theorylab import checks
from theorylab.nets import cross_entropy
from theorylab.unlearning.batches import Batches, consecutive
from theorylab.unlearning.lowering import for_reverse_mode
from theorylab.unlearning.manipulations import TrainingSet
from theorylab.unlearning.network import Model, Network, require
from theorylab.unlearning.per_sample import powers, powers_by_vmap
from theorylab.unlearning.retrain import mask_of
from theorylab.unlearning.training import Loop, best_loop

Of = Literal["loss", "output_norm"]


@dataclass(frozen=True)
class ImportanceOptions:
    """Of what the gradients are, and how they are computed.

    Args:
        of: "loss" is cross-entropy; "output_norm" the Euclidean norm of the outputs, which needs no
            labels (the importance of Potion, with power=1).
        power: 2, or 1.
        chunk: samples whose gradients are formed together, for batch_size=1.
        structured: gradients of single samples from the factors that `theorylab.ntk` finds; False
            takes `vmap(grad)`, several times slower on networks with convolutions.
        loop: as for `Budget`.

    Raises:
        InputError: another choice, or a chunk below 1.
    """

    of: Of = "loss"
    power: int = 2
    chunk: int = 64
    structured: bool = True
    loop: Loop = None

    def __post_init__(self) -> None:
        checks.choice("of", self.of, ("loss", "output_norm"))
        checks.choice("power", self.power, (1, 2))
        checks.count("chunk", self.chunk)
        checks.flag("structured", self.structured)
        checks.choice("loop", self.loop, ("device", "host", None))


def gradient_importance(
    network: Network,
    model: Model,
    data: TrainingSet,
    mask: Bool[ArrayLike, "n"],
    *,
    batch_size: int = 1,
    most: int | None = None,
    key: Key[Array, ""] | None = None,
    options: ImportanceOptions | None = None,
) -> PyTree:
    """The mean over mini-batches of |gradient of the batch-mean loss|^power, for every parameter.

    With `batch_size=1` it is the mean over samples of the squared gradient of each: the diagonal of
    the empirical Fisher matrix, and never smaller than what larger batches give, by Jensen's
    inequality, if all of them are full: every batch has the same weight, a short last one too.
    Values for different batch sizes do not compare: gradients of opposite sign cancel within a
    batch. The model is in eval mode; labels and triggers are those of training.

    Args:
        network: from `network(...)`.
        model: where the gradients are taken.
        data: the training set.
        mask: (n,) the samples that count, in data order.
        batch_size: 1, or the size of the batches whose mean loss is differentiated; 512 in the
            benchmark. The last batch may have fewer.
        most: an upper bound on the samples in `mask`, which bounds the work when it is traced; by
            default their number, or n inside a trace.
        key: draws the augmentation of training; None for none.
        options: an `ImportanceOptions`; None for squared gradients of cross-entropy.

    Returns:
        A PyTree as `model.params`.

    Raises:
        InputError: a mask that does not fit, a size out of range, options of another kind.

    Source:
        The code of Goel et al. 2024 and of Foster et al. 2024 (batch_size above 1); Kirkpatrick et
        al. 2017 (arXiv 1612.00796) for the diagonal Fisher matrix.
    """
    require(network, model)
    chosen = mask_of(data, mask, "mask")
    batch_size = checks.count("batch_size", batch_size)
    o = options or ImportanceOptions()
    checks.instance("options", o, ImportanceOptions, "an ImportanceOptions()")
    if key is not None:
        checks.key("key", key)
    n = data.y.shape[0]
    most = _bound(chosen, n) if most is None else checks.count("most", most, 1, n)
    each = batch_size == 1
    program = _Program(network, o.of, o.power, each, o.structured)
    batches = consecutive(chosen, most, o.chunk if each else batch_size)
    where = o.loop or best_loop(network, model, data, [chosen, *jax.tree.leaves(model)])
    # NumPy's: operations dispatched leaf by leaf take as long as a batch of a small network
    total: PyTree = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), model.params)
    if where == "device":
        total = _scan(program, model, data, batches, key, total)
    else:
        for t in range(len(batches.weight)):
            total = _add(program, model, data, batches, key, t, total)
    return total


@dataclass(frozen=True)
class _Program:
    network: Network
    of: Of
    power: int
    each: bool
    structured: bool

    def losses(self, state: PyTree, params: PyTree, samples: PyTree) -> Float[Array, " n"]:
        x, y = samples
        logits = self.network.evaluate(params, state, x)
        if self.of == "loss":
            return cross_entropy(logits, y)
        squares = jnp.square(logits).sum(-1)
        # the root has no gradient at 0, where an output that is 0 throughout would make it NaN
        return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)


def _bound(mask: Array, n: int) -> int:
    return n if isinstance(mask, jax.core.Tracer) else max(1, int(mask.sum()))


def _batch(
    program: _Program,
    model: Model,
    data: TrainingSet,
    now: tuple[Array, Array],
    key: Key[Array, ""] | None,
) -> PyTree:
    """What one batch adds to the sum over batches, or over samples."""
    index, weight = now
    samples = data.batch(index, key=key)

    def loss(params: PyTree, samples: PyTree) -> Float[Array, " n"]:
        return program.losses(model.state, params, samples)

    if program.each:
        sums = powers if program.structured else powers_by_vmap
        return sums(loss, model.params, samples, weight, program.power)
    losses = for_reverse_mode(loss, weight.shape[0])
    mean = lambda p: (weight * losses(p, samples)).sum() / jnp.maximum(weight.sum(), 1)  # noqa: E731
    return jax.tree.map(lambda g: jnp.abs(g) ** program.power, jax.grad(mean)(model.params))


@partial(jax.jit, static_argnames="program")
def _scan(
    program: _Program,
    model: Model,
    data: TrainingSet,
    batches: Batches,
    key: Key[Array, ""] | None,
    total: PyTree,
) -> PyTree:
    def body(total: PyTree, t: Array) -> tuple[PyTree, None]:
        return _advance(program, model, data, batches, key, t, total), None

    return jax.lax.scan(body, total, jnp.arange(len(batches.weight)))[0]


def _advance(
    program: _Program,
    model: Model,
    data: TrainingSet,
    batches: Batches,
    key: Key[Array, ""] | None,
    t: Any,
    total: PyTree,
) -> PyTree:
    here = None if key is None else jax.random.fold_in(key, t)
    added = _batch(program, model, data, (batches.index[t], batches.weight[t]), here)
    weight = batches.weight
    parts = jnp.maximum(weight.sum() if program.each else (weight.sum(1) > 0).sum(), 1)
    return jax.tree.map(lambda a, b: a + (b / parts).astype(a.dtype), total, added)


_add = jax.jit(_advance, static_argnames="program", donate_argnames="total")
