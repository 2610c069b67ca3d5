"""One training loop for pre-training and for every method that trains.

SGD over batches of fixed shape. Nothing in it depends on which samples are left out, so one
compiled program serves all deletion sets, and `vmap` over seeds, data sets and deletion sets makes
one program of all of them.
Source: the optimizer and the schedule of the code of Goel et al. 2024 (arXiv 2402.14015).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets import cross_entropy
from theorylab.ntk.convolutions import has_convolutions
from theorylab.precision import is_traced
from theorylab.pytrees import register
from theorylab.unlearning.batches import Batches
from theorylab.unlearning.manipulations import TrainingSet
from theorylab.unlearning.network import Model, Network, belongs, require
from theorylab.unlearning.schedule import linear_budget_schedule

Loop = Literal["device", "host"] | None


@dataclass(frozen=True)
class Budget:
    """How a run is trained: SGD with momentum and weight decay on the linear budget schedule.

    Args:
        steps: gradient steps.
        batch_size: samples in each.
        learning_rate: the peak of `linear_budget_schedule`, above 0.
        momentum: as PyTorch's SGD takes it, at least 0 and below 1.
        weight_decay: as PyTorch's SGD takes it: the decay is added to the gradient; at least 0.
        loop: "device" runs all steps as one compiled scan, which `vmap` can batch; "host" calls one
            compiled step. None: "device", but "host" for convolutions on a CPU, whose gradients XLA
            runs several times slower inside a loop.

    Raises:
        InputError: an argument out of range.
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    loop: Loop = None

    def __post_init__(self) -> None:
        checks.count("steps", self.steps), checks.count("batch_size", self.batch_size)
        checks.positive("learning_rate", self.learning_rate, ndim=0)
        checks.number("momentum", self.momentum, 0, 1, open_high=True)
        checks.number("weight_decay", self.weight_decay, 0)
        checks.choice("loop", self.loop, ("device", "host", None))


# (what else it needs, logits, x, y, slot is of the deletion set, uphill) -> loss of every sample
Objective = Callable[[PyTree, Array, Array, Array, Array, Array], Float[Array, " b"]]


@dataclass(frozen=True)
class CrossEntropy:
    """The loss of pre-training, retraining and fine-tuning."""

    def __call__(
        self, extra: PyTree, logits: Array, x: Array, y: Array, member: Array, ascend: Array
    ) -> Float[Array, " b"]:
        """Cross-entropy of every sample, (b,), of which `logits` and `y` alone decide."""
        return cross_entropy(logits, y)


@register("objective")
@dataclass(frozen=True)
class Goal:
    """What training lowers.

    Attributes:
        objective: (extra, logits, x, y, member, ascend) -> (b,) losses, compared by value: a frozen
            dataclass or a module-level function.
        extra: arrays that the objective needs, such as a teacher's weights.
        forget: (n,) mask; `member` says of every slot whether its sample is in it. None: no sample.
    """

    objective: Objective = CrossEntropy()
    extra: PyTree = None
    forget: Bool[Array, " n"] | None = None


def train(
    network: Network,
    data: TrainingSet,
    model: Model,
    batches: Batches,
    budget: Budget,
    *,
    key: Key[Array, ""],
    goal: Goal | None = None,
    layers: int | None = None,
) -> Model:
    """Train `model` on these batches; a step lowers the mean loss over its slots of weight 1.

    Use the methods (`fine_tune`, `scrub`, ...) for what has a name; this is for objectives of your
    own. It can be jitted and vmapped when `budget.loop` is not "host".

    Args:
        network: from `network(...)`.
        data: the training set.
        model: where to start.
        batches: what every step sees (steps, batch).
        budget: steps, as many as batches, step sizes and the loop; its batch size is not looked at.
        key: draws the augmentation.
        goal: the objective and what it needs. None: cross-entropy.
        layers: number of last layers that are trained; the others stay as they are to the last bit,
            running statistics included. None: all.

    Returns:
        The model after the last step.

    Raises:
        InputError: things that do not fit together.
    """
    require(network)
    checks.instance("data", data, TrainingSet, "a TrainingSet, made by manipulate(...),")
    checks.instance("model", model, Model, "a Model, such as network.init(key) gives,")
    checks.instance("budget", budget, Budget, "a Budget(steps=...)")
    checks.key("key", key)
    checks.instance("batches", batches, Batches, "a Batches of index, weight and ascend")
    network.last(layers)
    goal = checks.instance("goal", goal or Goal(), Goal, "a Goal(objective, extra, forget)")
    if batches.index.shape[0] != budget.steps:
        raise InputError(
            f"batches has {batches.index.shape[0]} steps and budget {budget.steps}; the same "
            f"number is needed"
        )
    n = data.y.shape[0]
    member = jnp.zeros(n, bool) if goal.forget is None else jnp.asarray(goal.forget)
    rates = linear_budget_schedule(budget.steps, budget.learning_rate)(jnp.arange(budget.steps))
    program = _Program(network, goal.objective, budget.momentum, budget.weight_decay, layers)
    course = _Course(batches, rates, member, goal.extra, key)
    loop = budget.loop or best_loop(network, model, data, jax.tree.leaves((model, batches, key)))
    if loop == "device":
        return _scan(program, data, model, course)
    carry = jax.tree.map(jnp.copy, _start(program, model))
    for t in range(budget.steps):
        carry = _advance(program, data, model.params, carry, t, course)
    return _end(program, model, carry)


@dataclass(frozen=True)
class _Program:
    """What a compiled program is compiled for."""

    network: Network
    objective: Objective
    momentum: float
    weight_decay: float
    layers: int | None


@register()
@dataclass(frozen=True)
class _Course:
    """What the steps of a run are given: by time, by sample and by key, and what stays."""

    batches: Batches
    rates: Float[Array, " steps"]
    member: Bool[Array, " n"]
    extra: PyTree
    key: Key[Array, ""]


_Carry = tuple[list[Array], list[Array], PyTree]


def _trained(program: _Program, params: PyTree) -> list[bool]:
    return jax.tree.leaves(belongs(params, program.network.last(program.layers)))


def _start(program: _Program, model: Model) -> _Carry:
    """Trained arrays, their velocities, and the state; arrays that stay are no part of it."""
    chosen = _trained(program, model.params)
    weights = [w for w, c in zip(jax.tree.leaves(model.params), chosen, strict=True) if c]
    return weights, [jnp.zeros_like(w) for w in weights], model.state


def _end(program: _Program, model: Model, carry: _Carry) -> Model:
    """The model with its trained arrays replaced, and of the state what lies in trained layers."""
    weights, _, state = carry
    part = belongs(model.state, program.network.last(program.layers))
    state = jax.tree.map(lambda mine, new, old: new if mine else old, part, state, model.state)
    return Model(_join(program, model.params, weights), state)


def _join(program: _Program, params: PyTree, weights: list[Array]) -> PyTree:
    leaves, tree = jax.tree.flatten(params)
    new = iter(weights)
    chosen = _trained(program, params)
    merged = [next(new) if c else w for w, c in zip(leaves, chosen, strict=True)]
    return jax.tree.unflatten(tree, merged)


def _step(
    program: _Program,
    data: TrainingSet,
    params: PyTree,
    carry: _Carry,
    t: Array,
    course: _Course,
) -> _Carry:
    weights, velocity, state = carry
    index, slots = course.batches.index[t], course.batches.weight[t]
    x, y = data.batch(index, key=jax.random.fold_in(course.key, t))
    member, ascend = course.member[index], course.batches.ascend[t]

    def loss(weights: list[Array]) -> tuple[Array, PyTree]:
        logits, new = program.network.apply(program.layers)(
            _join(program, params, weights), state, x
        )
        each = program.objective(course.extra, logits, x, y, member, ascend)
        # an empty slot may hold an infinite loss, and 0 times that is no number
        return jnp.where(slots > 0, each, 0.0).sum() / jnp.maximum(slots.sum(), 1), new

    gradient, new_state = jax.grad(loss, has_aux=True)(weights)
    velocity = [
        program.momentum * v + g + program.weight_decay * w
        for v, g, w in zip(velocity, gradient, weights, strict=True)
    ]
    weights = [w - course.rates[t] * v for w, v in zip(weights, velocity, strict=True)]
    new_state = jax.tree.map(lambda new, old: new.astype(old.dtype), new_state, state)
    return weights, velocity, new_state


@partial(jax.jit, static_argnames="program")
def _scan(program: _Program, data: TrainingSet, model: Model, course: _Course) -> Model:
    def body(carry: _Carry, t: Array) -> tuple[_Carry, None]:
        return _step(program, data, model.params, carry, t, course), None

    carry, _ = jax.lax.scan(body, _start(program, model), jnp.arange(len(course.rates)))
    return _end(program, model, carry)


_advance = jax.jit(_step, static_argnames="program", donate_argnames="carry")


def best_loop(network: Network, model: Model, data: TrainingSet, arrays: list[Any]) -> Loop:
    """Where a loop over batches runs fastest; on the device wherever it must, inside a trace."""
    if jax.default_backend() != "cpu" or any(is_traced(a) for a in arrays):
        return "device"
    given = jax.eval_shape(lambda *a: a, model.params, model.state, data.x)
    leaves, tree = jax.tree.flatten(given)
    return "host" if _convolves(network, tree, tuple(leaves)) else "device"


@lru_cache(maxsize=32)  # tracing a network takes as long as a batch of importances
def _convolves(network: Network, tree: Any, shapes: tuple[jax.ShapeDtypeStruct, ...]) -> bool:
    params, state, x = jax.tree.unflatten(tree, shapes)
    one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
    return has_convolutions(network.evaluate, params, state, one)
