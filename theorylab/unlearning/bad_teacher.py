"""Bad teacher: on the deletion set the student imitates a network that knows nothing.

Source: Chundawat et al. 2023 (arXiv 2205.08096), as in the code of Goel et al. 2024.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Key, PyTree

from theorylab import checks
from theorylab.unlearning.batches import descending
from theorylab.unlearning.manipulations import TrainingSet
from theorylab.unlearning.network import Model, Network, require
from theorylab.unlearning.retrain import mask_of
from theorylab.unlearning.training import Budget, Goal, train

Reduction = Literal["mean", "batchmean"]


def bad_teacher(
    network: Network,
    data: TrainingSet,
    model: Model,
    forget: Bool[ArrayLike, "n"],
    budget: Budget,
    *,
    reduction: Reduction = "mean",
    key: Key[Array, ""],
) -> Model:
    """Bad teacher (BadT): on `forget` the student imitates a fresh network, elsewhere the original.

    It goes over the whole training set. The loss of a sample is KL(p || p_student) with p the
    softmax of the teacher that is its due.

    Args:
        network: from `network(...)`.
        data: the training set.
        model: the original model: the start, and the good teacher.
        forget: (n,) mask of the deletion set.
        budget: steps, batch size and step sizes.
        reduction: "mean" divides by the number of classes as well as by the batch, as PyTorch's
            `kl_div` does by default and the benchmark with it: its learning rate is smaller by that
            factor. "batchmean" is the divergence itself.
        key: draws the bad teacher, the batches and the augmentation.

    Returns:
        The student after the last step.

    Raises:
        InputError: another reduction, or a mask that does not fit.
    """
    checks.key("key", key)
    checks.choice("reduction", reduction, ("mean", "batchmean"))
    checks.instance("budget", budget, Budget, "a Budget(steps=...)")
    require(network, model)
    bad_key, batch_key, step_key = jax.random.split(key, 3)
    chosen = mask_of(data, forget)
    batches = descending(jnp.ones_like(chosen), budget.steps, budget.batch_size, batch_key)
    return train(
        network,
        data,
        model,
        batches,
        budget,
        key=step_key,
        goal=Goal(_Imitate(network, reduction), (model, network.init(bad_key)), chosen),
    )


@dataclass(frozen=True)
class _Imitate:
    network: Network
    reduction: Reduction

    def __call__(
        self, extra: PyTree, logits: Array, x: Array, y: Array, member: Array, ascend: Array
    ) -> Float[Array, " b"]:
        good, bad = (jax.nn.softmax(self.network.logits(teacher, x)) for teacher in extra)
        target = jax.lax.stop_gradient(jnp.where(member[:, None], bad, good))
        student = jax.nn.log_softmax(logits)
        # p log p is 0 where p is
        each = (jax.scipy.special.xlogy(target, target) - target * student).sum(-1)
        return each / logits.shape[-1] if self.reduction == "mean" else each
