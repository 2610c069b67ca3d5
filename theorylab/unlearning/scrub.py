"""SCRUB: steps away from the teacher on the deletion set take turns with steps towards it on the
rest."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Key, PyTree

from theorylab import checks
from theorylab.nets import cross_entropy
from theorylab.unlearning.batches import alternating
from theorylab.unlearning.manipulations import TrainingSet
from theorylab.unlearning.network import Model, Network, require
from theorylab.unlearning.retrain import mask_of
from theorylab.unlearning.training import Budget, train

Ascend = Literal["loss", "kl"]


def scrub(  # noqa: PLR0913
    network: Network,
    data: TrainingSet,
    model: Model,
    forget: Bool[ArrayLike, "n"],
    budget: Budget,
    *,
    weight: float | Float[Array, ""],
    ascent_steps: int,
    temperature: float = 4.0,
    ascend: Ascend = "loss",
    key: Key[Array, ""],
) -> Model:
    """SCRUB: passes uphill over `forget` and downhill over the rest take turns while a round starts
    before step `ascent_steps`; then only downhill.

    The loss of a sample is CE(z_s, y) + weight * T^2 KL(softmax(z_t / T) || softmax(z_s / T)), the
    teacher z_t being the original model in eval mode. `y` are the labels trained on, manipulated
    ones included.

    Uphill on cross-entropy is not stable when `forget` is small: keep `ascent_steps` small.

    Args:
        model: the original model: the start, and the teacher.
        budget: of all steps; a tenth of the other methods' learning rate in the benchmark.
        weight: of the divergence; `a` in the benchmark's grid, .001 to 10.
        ascent_steps: counted over steps of both directions; 100 in the benchmark, where a pass over
            the rest takes 98, so that there are two passes uphill.
        temperature: T.
        ascend: "loss" takes the whole loss uphill, as the benchmark does; "kl" the divergence
            alone, as the original SCRUB does.

    Raises:
        InputError: a negative weight, a temperature that is not positive, a mask that does not fit.

    Source: Kurmanji et al. 2023 (arXiv 2302.09880), and the variant in the code of Goel et al.
    2024.
    """
    checks.key("key", key)
    checks.choice("ascend", ascend, ("loss", "kl"))
    checks.instance("budget", budget, Budget, "a Budget(steps=...)")
    weight = checks.nonnegative("weight", weight, ndim=0)
    ascent_steps = checks.count("ascent_steps", ascent_steps, 0)
    temperature = float(checks.positive("temperature", temperature, ndim=0))
    require(network, model)
    batch_key, step_key = jax.random.split(key)
    chosen = mask_of(data, forget)
    batches = alternating(
        chosen, budget.steps, budget.batch_size, jnp.asarray(ascent_steps), batch_key
    )
    return train(
        network,
        data,
        model,
        batches,
        budget,
        key=step_key,
        objective=_Scrub(network, temperature, ascend),
        extra=(model, jnp.asarray(weight, jnp.float32)),
        forget=chosen,
    )


@dataclass(frozen=True)
class _Scrub:
    network: Network
    temperature: float
    ascend: Ascend

    def __call__(
        self, extra: PyTree, logits: Array, x: Array, y: Array, member: Array, ascend: Array
    ) -> Float[Array, " b"]:
        teacher, weight = extra
        target = jax.lax.stop_gradient(self.network.logits(teacher, x))
        divergence = weight * distillation(logits, target, self.temperature)
        whole = cross_entropy(logits, y) + divergence
        return jnp.where(ascend, -(whole if self.ascend == "loss" else divergence), whole)


def distillation(
    student: Float[Array, "b c"], teacher: Float[Array, "b c"], temperature: float
) -> Float[Array, " b"]:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) of every sample."""
    p, q = (jax.nn.log_softmax(z / temperature) for z in (teacher, student))
    return temperature**2 * (jnp.exp(p) * (p - q)).sum(-1)
