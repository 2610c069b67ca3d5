"""Learning algorithms as rules that weigh a batch; `fit` does the rest.

A rule is a hashable record of its hyperparameters with two methods: `init(problem, start) -> state`
and `weigh(problem, state, batch) -> (weights, state)`. The training loop descends along sum_i
weights_i loss_i, so weights of sum 1 keep the scale of a mean loss. Write your own by giving a
class these two methods.

Source: JTT, Liu et al. (2021), algorithm 1; LfF, Nam et al. (2020), algorithm 1; CVaR and chi^2,
D. Levy et al. (2020); group DRO, Sagawa et al. (2020), algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.collective import weights as formulas
from theorylab.nets.descent import descend

Model = Callable[[Any, Any], Float[Array, "n k"]]


class Batch(NamedTuple):
    """What a rule sees of a step.

    Attributes:
        rows: (b,) which rows of the training set.
        x, y, groups: (b, ...) samples, labels and groups.
        losses: (b,) the model's losses on them before the step.
    """

    rows: Int[Array, " b"]
    x: Float[Array, "b ..."]
    y: Int[Array, " b"]
    groups: Int[Array, " b"]
    losses: Float[Array, " b"]


class Start(NamedTuple):
    """What a rule sees before the first step.

    Attributes:
        params: initial parameters.
        x, y, groups: the whole training set.
        key: typed key.
    """

    params: PyTree
    x: Float[Array, "n ..."]
    y: Int[Array, " n"]
    groups: Int[Array, " n"]
    key: Key[Array, ""]


@dataclass(frozen=True)
class Problem:
    """The static part of a run.

    Attributes:
        f: `f(params, x) -> logits`.
        optimizer: an optax optimizer.
        batch_size: samples per step, None for all.
        train: (problem, rule, start, steps) -> parameters; rules with stages call it.
    """

    f: Model
    optimizer: optax.GradientTransformation
    batch_size: int | None
    train: Callable[["Problem", "Rule", Start, int], PyTree]


class Rule(Protocol):
    """What a rule has to have: two methods; see the head of the module."""

    def init(self, problem: Problem, start: Start) -> PyTree:
        """The rule's state before the first step."""

        ...

    def weigh(
        self, problem: Problem, state: PyTree, batch: Batch
    ) -> tuple[Float[Array, " b"], PyTree]:
        """Weights of a batch, and the rule's next state."""

        ...


@dataclass(frozen=True)
class ERM:
    """Empirical risk minimisation: every sample weighs the same."""

    def init(self, problem: Problem, start: Start) -> PyTree:
        """No state."""
        return ()

    def weigh(
        self, problem: Problem, state: PyTree, batch: Batch
    ) -> tuple[Float[Array, " b"], PyTree]:
        """1/b for each of b samples."""
        return jnp.full_like(batch.losses, 1 / batch.losses.size), state


@dataclass(frozen=True)
class JTT:
    """ "Just train twice": ERM for some steps, then once more with its errors weighing `lam`.

    The official code appends `up_weight` copies of every error: lam = 1 + up_weight. A first stage
    that interpolates has no errors, and JTT is then ERM. On a finite space: `population_jtt`.

    Attributes:
        stage1_steps: steps of the first stage.
        lam: weight of its errors.

    Raises:
        InputError: a count below 1, a negative weight.
    """

    stage1_steps: int
    lam: float

    def __post_init__(self) -> None:
        checks.count("stage1_steps", self.stage1_steps)
        checks.number("lam", self.lam, 0, 1e30)

    def init(self, problem: Problem, start: Start) -> PyTree:
        """Train the first stage; its errors are the state."""
        params = problem.train(
            problem, ERM(), start._replace(key=jax.random.fold_in(start.key, 1)), self.stage1_steps
        )
        weights = formulas.jtt_weights(problem.f(params, start.x).argmax(-1) != start.y, self.lam)
        # a batch of the up-sampled set is a mean over copies: divide by their average number
        return weights / jnp.maximum(weights.mean(), jnp.finfo(weights.dtype).tiny)

    def weigh(
        self, problem: Problem, state: PyTree, batch: Batch
    ) -> tuple[Float[Array, " b"], PyTree]:
        """Weigh lam where the first stage erred and 1 elsewhere, over b."""
        return state[batch.rows].astype(batch.losses.dtype) / batch.losses.size, state


@dataclass(frozen=True)
class LfF:
    """ "Learning from failure": a biased twin learns the easy samples, the model the other ones.

    The twin starts from the same parameters, descends along the generalised cross-entropy of
    exponent `q`. Samples weigh L_b / (L_b + L_d), from losses smoothed over a sample's visits and
    divided by the largest of their class. The weights of a batch are divided by their sum, so that
    the model learns at the rate of the other rules; the official code leaves them as they are, at
    about half that rate.

    Attributes:
        q: exponent of the generalised cross-entropy, in ]0, 1].
        ema: smoothing of the losses (0: not at all, as for full batches).
        twin_rate: the twin's updates are this many times the optimizer's.

    Raises:
        InputError: numbers out of range.
    """

    q: float = 0.7
    ema: float = 0.7
    twin_rate: float = 1.0

    def __post_init__(self) -> None:
        checks.number("q", self.q, 0, 1, open_low=True)
        checks.number("ema", self.ema, 0, 1)
        checks.number("twin_rate", self.twin_rate, 0, 1e30)

    def init(self, problem: Problem, start: Start) -> PyTree:
        """The twin, its optimizer and the smoothed losses."""
        never = jnp.full(start.y.shape, jnp.nan, jnp.result_type(float))
        return start.params, problem.optimizer.init(start.params), never, never, start.y

    def weigh(
        self, problem: Problem, state: PyTree, batch: Batch
    ) -> tuple[Float[Array, " b"], PyTree]:
        """Train the twin one step and weigh the batch by relative difficulty."""
        twin, opt_state, biased, debiased, labels = state

        def objective(params: PyTree) -> tuple[Array, Array]:
            logits = problem.f(params, batch.x)
            return formulas.gce_loss(logits, batch.y, self.q).mean(), logits

        (value, logits), gradient = jax.value_and_grad(objective, has_aux=True)(twin)
        twin, opt_state = descend(
            problem.optimizer,
            gradient,
            opt_state,
            twin,
            value=value,
            value_fn=lambda params: objective(params)[0],
            rate=self.twin_rate,
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.y)
        biased, debiased = (
            smoothed.at[batch.rows].set(
                _smooth(self.ema, smoothed[batch.rows], new).astype(smoothed.dtype)
            )
            for smoothed, new in ((biased, losses), (debiased, batch.losses))
        )
        # the largest of a class is over the whole training set, as far as it has been visited: not
        # over the batch
        ratio = formulas.lff_weights(
            jnp.nan_to_num(biased), jnp.nan_to_num(debiased), labels, num_classes=logits.shape[-1]
        )
        w = ratio[batch.rows].astype(losses.dtype)
        w = w / jnp.maximum(w.sum(), jnp.finfo(w.dtype).tiny)
        return w, (twin, opt_state, biased, debiased, labels)


def _smooth(ema: float, old: Array, new: Array) -> Array:
    """The first value of a sample is the raw loss."""
    return jnp.where(jnp.isnan(old), new, ema * old + (1 - ema) * new)


@dataclass(frozen=True)
class CVaR:
    """Distributionally robust optimisation over the worst fraction of each batch.

    Attributes:
        size: the fraction, in ]0, 1]; 1 is ERM.

    Raises:
        InputError: a fraction out of range.
    """

    size: float

    def __post_init__(self) -> None:
        checks.number("size", self.size, 0, 1, open_low=True)

    def init(self, problem: Problem, start: Start) -> PyTree:
        """No state."""
        return ()

    def weigh(
        self, problem: Problem, state: PyTree, batch: Batch
    ) -> tuple[Float[Array, " b"], PyTree]:
        """`cvar_weights` of the batch."""
        return formulas.cvar_weights(batch.losses, self.size), state


@dataclass(frozen=True)
class Chi2:
    """Distributionally robust optimisation over a chi^2 ball around each batch.

    Attributes:
        rho: radius, >= 0; 0 is ERM.

    Raises:
        InputError: a negative radius.
    """

    rho: float

    def __post_init__(self) -> None:
        checks.number("rho", self.rho, 0, 1e30)

    def init(self, problem: Problem, start: Start) -> PyTree:
        """No state."""
        return ()

    def weigh(
        self, problem: Problem, state: PyTree, batch: Batch
    ) -> tuple[Float[Array, " b"], PyTree]:
        """`chi2_weights` of the batch."""
        return formulas.chi2_weights(batch.losses, self.rho), state


@dataclass(frozen=True)
class GroupDRO:
    """Group DRO: exponentiated weights of the groups.

    Groups are those given to `fit`, the labels by default.

    Attributes:
        step: rate of the weights.
        num_groups: by default the number of classes.

    Raises:
        InputError: a negative rate, a count below 1.
    """

    step: float = 0.01
    num_groups: int | None = None

    def __post_init__(self) -> None:
        checks.number("step", self.step, 0, 1e30)
        if self.num_groups is not None:
            checks.count("num_groups", self.num_groups)

    def init(self, problem: Problem, start: Start) -> PyTree:
        """Equal weights of the groups."""
        count = self.num_groups or jax.eval_shape(problem.f, start.params, start.x[:1]).shape[-1]
        return jnp.full(count, 1 / count)

    def weigh(
        self, problem: Problem, state: PyTree, batch: Batch
    ) -> tuple[Float[Array, " b"], PyTree]:
        """`group_weights` of the batch."""
        return formulas.group_weights(state, batch.losses, batch.groups, self.step)
