"""SCRUB: steps away from the teacher on the deletion set, and steps towards it elsewhere, in turn.

Source: Kurmanji et al. 2023 (arXiv 2302.09880), and the variant in the code of Goel et al. 2024.
"""

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
from theorylab.unlearning.retrain import deletion_set
from theorylab.unlearning.training import Budget, Goal, train

Ascend = Literal["loss", "kl"]


@dataclass(frozen=True)
class ScrubOptions:
    """How SCRUB takes its turns.

    Args:
        ascent_steps: a round starts uphill before this step, counted over steps of both directions;
            100 in the benchmark, where a pass over the rest takes 98, so that there are two passes
            uphill.
        ascend: "loss" takes the whole loss uphill, as the benchmark does; "kl" the divergence
            alone, as the original SCRUB does.
        temperature: T, of both softmaxes in the divergence, above 0.

    Raises:
        InputError: an argument out of range.
    """

    ascent_steps: int = 100
    ascend: Ascend = "loss"
    temperature: float = 4.0

    def __post_init__(self) -> None:
        checks.count("ascent_steps", self.ascent_steps, 0)
        checks.choice("ascend", self.ascend, ("loss", "kl"))
        checks.positive("temperature", self.temperature, ndim=0)


def scrub(
    network: Network,
    data: TrainingSet,
    model: Model,
    forget: Bool[ArrayLike, "n"],
    budget: Budget,
    *,
    weight: float | Float[Array, ""],
    options: ScrubOptions | None = None,
    key: Key[Array, ""],
) -> Model:
    """SCRUB: passes uphill over `forget` and downhill over the rest take turns, then only downhill.

    Turns go on while a round starts before step `options.ascent_steps`. The loss of a sample is
    CE(z_s, y) + weight * T^2 KL(softmax(z_t / T) || softmax(z_s / T)), the teacher z_t being the
    original model in eval mode. `y` are the labels trained on, manipulated ones included.

    Uphill on cross-entropy is not stable when `forget` is small: keep `options.ascent_steps` small.

    Args:
        network: from `network(...)`.
        data: the training set.
        model: the original model: the start, and the teacher.
        forget: (n,) mask of the deletion set.
        budget: of all steps; a tenth of the other methods' learning rate in the benchmark.
        weight: of the divergence, at least 0; `a` in the benchmark's grid, .001 to 10.
        options: a `ScrubOptions`; None for its defaults, which are the benchmark's.
        key: draws the batches and the augmentation.

    Returns:
        The model after the last step.

    Raises:
        InputError: a negative weight, options of another kind, a mask that does not fit.
    """
    checks.key("key", key)
    options = options or ScrubOptions()
    checks.instance("options", options, ScrubOptions, "a ScrubOptions()")
    checks.instance("budget", budget, Budget, "a Budget(steps=...)")
    weight = checks.nonnegative("weight", weight, ndim=0)
    require(network, model)
    batch_key, step_key = jax.random.split(key)
    chosen = deletion_set(data, forget)
    ascents = jnp.asarray(options.ascent_steps)
    batches = alternating(chosen, budget.steps, budget.batch_size, ascents, batch_key)
    return train(
        network,
        data,
        model,
        batches,
        budget,
        key=step_key,
        goal=Goal(_Scrub(network, options), (model, jnp.asarray(weight, jnp.float32)), chosen),
    )


@dataclass(frozen=True)
class _Scrub:
    network: Network
    options: ScrubOptions

    def __call__(
        self, extra: PyTree, logits: Array, x: Array, y: Array, member: Array, ascend: Array
    ) -> Float[Array, " b"]:
        teacher, weight = extra
        target = jax.lax.stop_gradient(self.network.logits(teacher, x))
        divergence = weight * distillation(logits, target, self.options.temperature)
        whole = cross_entropy(logits, y) + divergence
        uphill = whole if self.options.ascend == "loss" else divergence
        return jnp.where(ascend, -uphill, whole)


def distillation(
    student: Float[Array, "b c"], teacher: Float[Array, "b c"], temperature: float
) -> Float[Array, " b"]:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) of every sample."""
    p, q = (jax.nn.log_softmax(z / temperature) for z in (teacher, student))
    return temperature**2 * (jnp.exp(p) * (p - q)).sum(-1)
