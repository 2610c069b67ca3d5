"""The Projection Norm: how far a network moves when it is retrained on its own predictions.

Pseudo-label the unlabelled test set with the classifier theta_hat, fine-tune the common
initialisation theta_0 (head included) on these labels for T steps to theta~, and report
||theta_ref - theta~||, where theta_ref was fine-tuned from theta_0 on the training set in the same
way. Larger means a larger error. Only differences between test sets of one size, at one T, batch
size and optimiser, mean anything.

Source: Yu, Yang, Wei, Ma, Steinhardt (ICML 2022), algorithm 1, and its public code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, PyTree

from theorylab import linalg
from theorylab.checks import choice, count, flag, function, instance, number, real
from theorylab.checks import key as checked_key
from theorylab.cores import parallel_map
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError
from theorylab.nets.functional import Apply, Params, State
from theorylab.nets.losses import cross_entropy
from theorylab.nets.training_inputs import explained
from theorylab.ntk.convolutions import has_convolutions, small_products
from theorylab.precision import is_traced
from theorylab.shift.checks import arrays, check_like, labelled_pair, logits, stacked

Classifier = Callable[[Params, Any], Array]
SetAxis = Literal["threads", "host", "map", "vmap"]
Loss = Callable[[Array, Array], Array]
TrainMode = tuple[Apply, State]
Carry = tuple[Params, Params, State]  # parameters, velocity, statistics


@dataclass(frozen=True)
class FineTuning:
    """T steps of SGD with momentum, the learning rate falling to 0 along half a cosine.

    Defaults are those of the paper's code. The cosine falls over exactly T steps.

    Attributes:
        steps: T.
        lr: learning rate at the start.
        momentum: of SGD.
        batch_size: samples per step.
        schedule: "cosine" or "constant".
        period: that of the cosine: another one than `steps` is a mistake that changes the norm by
            more than a shift does, and is there to be shown.

    Raises:
        InputError: counts below 1, numbers out of range.
    """

    steps: int = 500
    lr: float = 1e-3
    momentum: float = 0.9
    batch_size: int = 128
    schedule: Literal["cosine", "constant"] = "cosine"
    period: int | None = None

    def __post_init__(self) -> None:
        count("steps", self.steps)
        count("batch_size", self.batch_size)
        if self.period is not None:
            count("period", self.period)
        number("lr", self.lr, 0.0, open_low=True)
        number("momentum", self.momentum, 0.0, 1.0, open_high=True)
        choice("schedule", self.schedule, ("cosine", "constant"))

    def rates(self) -> Float[np.ndarray, " t"]:
        """Learning rate of every step."""
        return _rates(self)


@lru_cache(maxsize=32)
def _rates(recipe: FineTuning) -> Float[np.ndarray, " t"]:
    cosine = optax.cosine_decay_schedule(recipe.lr, recipe.period or recipe.steps)
    schedule = cosine if recipe.schedule == "cosine" else optax.constant_schedule(recipe.lr)
    return np.asarray(jax.vmap(schedule)(jnp.arange(recipe.steps)), np.float32)


class PseudoTraining:
    """`FineTuning` of a classifier: one compiled program for all data sets of one size.

    Use it where many data sets are fine-tuned on; `finetune` serves one.

    Args:
        f: logits `f(params, x)` of a batch. Give the same function object again and nothing is
            compiled again.
        recipe: a `FineTuning`.
        train_mode: `(apply, state)` of `nets.functional_train` for a network with batch norm or
            dropout: it is trained in train mode from that state; statistics are no parameters and
            do not enter the norm.
        loss: (logits, labels) -> one value per sample.
        set_axis: how data sets are run. "threads": each one compiled loop, as many at a time as
            there are cores; "host": the same, each step driven from Python, so that one compiled
            step serves every size of data set and number of steps; "map": one after the other in
            one compiled loop; "vmap": at once, which stacks all parameters. By default "vmap" on an
            accelerator, "threads" on CPU, and "host" there for large convolutions, whose gradients
            XLA runs several times slower inside loops (small ones are computed as products).
        mesh: devices over which "vmap" spreads the data sets, along the mesh's first axis.

    Raises:
        InputError: values of another kind; a mesh with another axis than "vmap".
    """

    def __init__(
        self,
        f: Classifier,
        recipe: FineTuning,
        *,
        train_mode: TrainMode | None = None,
        loss: Loss = cross_entropy,
        set_axis: SetAxis | None = None,
        mesh: Mesh | None = None,
    ) -> None:
        function("f", f)
        instance("recipe", recipe, FineTuning, "a FineTuning")
        function("loss", loss)
        choice("set_axis", set_axis, ("threads", "host", "map", "vmap", None))
        instance("mesh", mesh, (Mesh, type(None)), "a jax.sharding.Mesh, or None,")
        if train_mode is not None and not (isinstance(train_mode, tuple) and len(train_mode) == 2):
            raise InputError(
                "train_mode is no pair (apply, state); take it from nets.functional_train"
            )
        if mesh is not None and set_axis not in ("vmap", None):
            raise InputError(f"mesh: devices are used with set_axis='vmap', not {set_axis!r}")
        self.recipe, self.mesh, self.set_axis = recipe, mesh, set_axis
        self._state = train_mode[1] if train_mode else {}
        apply = _in_train_mode(train_mode[0]) if train_mode else _stateless(f)
        self._outputs: dict[Any, int] = {}  # by batch and kind of parameters: number of outputs
        # by batch: whether convolutions remain in the network
        self._large: dict[jax.ShapeDtypeStruct, bool] = {}
        self._static: dict[str, Any] = {"apply": apply, "loss": loss, "momentum": recipe.momentum}

    @old_arguments("self theta0 x y key")
    def __call__(
        self,
        theta0: Params,
        x: Float[ArrayLike, "n ..."],
        y: Int[ArrayLike, " n"],
        *,
        key: Key[Array, ""],
    ) -> Params:
        """Parameters after T steps from `theta0` on one labelled data set.

        `key` fixes the order of the batches.
        """
        x, y, order = self._prepared(theta0, x, y, key, 1)
        if self._axis(theta0, x) != "host":
            return _finite(
                _train(theta0, self._state, x, y, *self._schedule(order), **self._static)
            )
        carry = theta0, jax.tree.map(jnp.zeros_like, theta0), self._state
        for rows, rate in zip(np.asarray(order), self.recipe.rates(), strict=True):
            carry = _one_step(carry, *_batch(x, y, rows), rate, **self._static)
        return _finite(carry[0])

    def _schedule(self, order: Array) -> tuple[Array, np.ndarray, int]:
        """Batches, learning rates and their number, filled up to a power of 2.

        So few programs serve many lengths.
        """
        steps = self.recipe.steps
        fill = (1 << (steps - 1).bit_length()) - steps
        return jnp.pad(order, ((0, fill), (0, 0))), np.pad(self.recipe.rates(), (0, fill)), steps

    def _axis(self, theta0: Params, x: Array) -> SetAxis:
        if self.set_axis is not None:
            return self.set_axis
        if self.mesh is not None or jax.default_backend() != "cpu":
            return "vmap"
        batch = jax.ShapeDtypeStruct((self.recipe.batch_size, *x.shape[1:]), x.dtype)
        if batch not in self._large:
            self._large[batch] = has_convolutions(self._static["apply"], theta0, self._state, batch)
        return "host" if self._large[batch] else "threads"

    @old_arguments("self theta0 x y key")
    def many(
        self,
        theta0: Params,
        x: Float[ArrayLike, "s n ..."],
        y: Int[ArrayLike, "s n"],
        *,
        key: Key[Array, ""],
    ) -> Params:
        """Fine-tune on S data sets of one size, all with the same order of batches.

        Arrays get a leading axis S.
        """
        x, y, order = self._prepared(theta0, x, y, key, 2)
        axis = self._axis(theta0, x[0])
        if axis in ("threads", "host"):
            batch = jax.ShapeDtypeStruct((self.recipe.batch_size, *x.shape[2:]), x.dtype)
            alone = linalg.waiting_calls(self._static["apply"], theta0, self._state, batch)
            pairs = list(zip(x, y, strict=True))
            runs = parallel_map(
                lambda pair: self(theta0, *pair, key=key), pairs, threads=1 if alone else None
            )
            return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
        train = _train_in_turn if axis == "map" else _train_at_once
        rest = self._schedule(order)
        if self.mesh is None:
            return _finite(train(theta0, self._state, x, y, *rest, **self._static))
        count = len(x)
        # what fills the last round is dropped
        filled = jnp.arange(count + -count % self.mesh.devices.shape[0]) % count
        along = NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names[0]))
        x, y = (jax.device_put(a[filled], along) for a in (x, y))
        return _finite(
            jax.tree.map(
                lambda leaf: leaf[:count], train(theta0, self._state, x, y, *rest, **self._static)
            )
        )

    def _prepared(
        self, theta0: Any, x: Any, y: Any, key: Any, axes: int
    ) -> tuple[Array, Array, Array]:
        checked_key("key", key)
        x, y = (jnp.asarray(arrays(name, real(name, a))) for name, a in (("x", x), ("y", y)))
        if (
            y.ndim != axes
            or x.shape[:axes] != y.shape
            or not jnp.issubdtype(y.dtype, jnp.integer)
            or 0 in y.shape
        ):
            need = "(S, m, ...) and (S, m)" if axes == 2 else "(m, ...) and (m,)"
            raise InputError(
                f"x, y: shapes {x.shape}, {y.shape}, labels {y.dtype} given; {need}, integers, "
                "are needed"
            )
        if y.shape[-1] < self.recipe.batch_size:
            raise InputError(
                f"batch_size: {self.recipe.batch_size} given for {y.shape[-1]} samples; give a "
                "smaller batch size, the same for every data set and the reference"
            )
        outputs = self._width(theta0, x[0] if axes == 2 else x)
        low, high = int(np.asarray(y).min()), int(np.asarray(y).max())
        if low < 0 or (high >= outputs and self._static["loss"] is cross_entropy):
            raise InputError(
                f"y: labels {low} to {high} given for {outputs} outputs of f; 0 to {outputs - 1} "
                "are needed"
            )
        return x, y, batch_order(key, y.shape[-1], self.recipe.steps, self.recipe.batch_size)

    def _width(self, theta0: Any, x: Array) -> int:
        """How many outputs the network has for samples like these; refuses what it cannot take."""
        batch = jax.ShapeDtypeStruct((self.recipe.batch_size, *x.shape[1:]), x.dtype)
        leaves, tree = jax.tree.flatten(arrays("theta0", theta0))
        kind = batch, tree, tuple((np.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)
        if kind not in self._outputs:
            try:
                outputs = jax.eval_shape(self._static["apply"], theta0, self._state, batch)[0]
            except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
                said = " ".join(str(error).split())[:120]
                raise InputError(
                    f"f(theta0, x) fails for x of shape {batch.shape}: {said}"
                ) from error
            if getattr(outputs, "ndim", 0) < 2:
                raise InputError(
                    f"f(theta0, x) gives {outputs}; a row of outputs for each sample is needed"
                )
            self._outputs[kind] = outputs.shape[-1]
        return self._outputs[kind]


# Compiled functions are found again by the identity of `apply`, so these remember what they made.
@lru_cache(maxsize=32)
def _stateless(f: Classifier) -> Apply:
    g = small_products(f)
    return lambda params, state, x: (g(params, x), state)


@lru_cache(maxsize=32)
def _in_train_mode(apply: Apply) -> Apply:
    return small_products(apply)


def _step(
    carry: Carry, x: Array, y: Array, rate: Array, *, apply: Apply, loss: Loss, momentum: float
) -> Carry:
    params, velocity, state = carry

    def objective(params: Params) -> tuple[Array, State]:
        output, new = apply(params, state, x)
        return loss(output, y).mean(), new

    gradient, new = jax.grad(objective, has_aux=True)(params)
    velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, gradient)
    params = jax.tree.map(lambda p, v: p - (rate * v).astype(p.dtype), params, velocity)
    return params, velocity, jax.tree.map(lambda a, b: a.astype(b.dtype), new, state)


def _steps(
    theta0: Params,
    state: State,
    x: Array,
    y: Array,
    order: Array,
    rates: Array,
    steps: Any,
    **static: Any,
) -> Params:
    def body(t: Any, carry: Carry) -> Carry:
        return _step(carry, x[order[t]], y[order[t]], rates[t], **static)

    return jax.lax.fori_loop(0, steps, body, (theta0, jax.tree.map(jnp.zeros_like, theta0), state))[
        0
    ]


@jax.jit
def _batch(x: Array, y: Array, rows: Array) -> tuple[Array, Array]:
    return x[rows], y[rows]


_compile = partial(jax.jit, static_argnames=("apply", "loss", "momentum"))
_one_step = _compile(_step)
_train = _compile(_steps)


@_compile
def _train_in_turn(
    theta0: Params,
    state: State,
    x: Array,
    y: Array,
    order: Array,
    rates: Array,
    steps: Any,
    **static: Any,
) -> Params:
    return jax.lax.map(
        lambda s: _steps(theta0, state, s[0], s[1], order, rates, steps, **static), (x, y)
    )


@_compile
def _train_at_once(
    theta0: Params,
    state: State,
    x: Array,
    y: Array,
    order: Array,
    rates: Array,
    steps: Any,
    **static: Any,
) -> Params:
    return jax.vmap(lambda x, y: _steps(theta0, state, x, y, order, rates, steps, **static))(x, y)


def batch_order(key: Key[Array, ""], n: int, steps: int, batch_size: int) -> Int[Array, "t b"]:
    """Row numbers of every batch: a new permutation every epoch, what is left of an epoch dropped.

    Args:
        key: typed key.
        n: samples.
        steps: batches.
        batch_size: rows per batch.

    Returns:
        (steps, batch_size) row numbers.

    Raises:
        InputError: counts below 1.
    """
    n, steps, batch_size = count("n", n), count("steps", steps), count("batch_size", batch_size)
    if batch_size > n:
        raise InputError(
            f"batch_size = {batch_size} exceeds n = {n}; give a smaller one, or more samples"
        )
    return _batch_order(checked_key("key", key), n, steps, batch_size)


@partial(jax.jit, static_argnames=("n", "steps", "batch_size"))
def _batch_order(key: Array, n: int, steps: int, batch_size: int) -> Array:
    batches = n // batch_size
    epochs = -(-steps // batches)
    keys = jax.random.split(key, epochs)
    order = jax.vmap(lambda k: jax.random.permutation(k, n)[: batches * batch_size])(keys)
    return order.reshape(-1, batch_size)[:steps]


@old_arguments("f theta0 x y key recipe")
def finetune(
    f: Classifier,
    theta0: Params,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    recipe: FineTuning,
    *,
    key: Key[Array, ""],
    **options: Any,
) -> Params:
    """Fine-tune from `theta0` on one labelled data set by a recipe.

    Args:
        f: logits `f(params, x)`.
        theta0: parameters to start from.
        x: (n, ...) samples.
        y: (n,) integer labels.
        recipe: a `FineTuning`.
        key: fixes the order of the batches.
        options: of `PseudoTraining`.

    Returns:
        Parameters after the steps.

    Raises:
        InputError: labels that do not fit the outputs, values that are not finite.
    """
    return PseudoTraining(f, recipe, **options)(theta0, x, y, key=key)


def pseudo_labels(
    f: Classifier, params: Params, x: Any, *, batch_size: int = 500
) -> Int[Array, " m"]:
    """Classes that the classifier predicts, in eval mode.

    Never recomputed while training: that is self-training.

    Args:
        f: logits `f(params, x)`.
        params: its parameters.
        x: (m, ...) samples.
        batch_size: samples at once.

    Returns:
        (m,) class numbers.

    Raises:
        InputError: outputs that are not finite.
    """
    return logits(f, params, x, count("batch_size", batch_size)).argmax(-1).astype(jnp.int32)


def projection_norm(theta_ref: PyTree, theta_tilde: PyTree) -> Float[Array, ""] | np.float64:
    """Euclidean distance between two trees of parameters, over all their entries.

    Use `projection_norms` to train the two as the method wants it. Concrete trees are subtracted
    and summed in float64, whatever their own precision.

    Args:
        theta_ref, theta_tilde: parameters of one network.

    Returns:
        The distance: a NumPy float64; under `jit` and `vmap` a number in the precision of the
        trees.

    Raises:
        InputError: trees of different structure or shapes.

    Examples:
        >>> a = {"w": np.array([0.0, 3.0]), "b": np.array([0.0])}
        >>> b = {"w": np.array([0.0, 0.0]), "b": np.array([4.0])}
        >>> float(projection_norm(a, b))
        5.0
    """
    arrays("theta_ref", theta_ref)
    arrays("theta_tilde", theta_tilde)
    traced = is_traced(theta_ref, theta_tilde)
    measure = _square if traced else _length
    try:
        parts = jax.tree.leaves(jax.tree.map(measure, theta_ref, theta_tilde))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        message = (
            "theta_ref, theta_tilde: two different trees; parameters of one network are needed"
        )
        raise InputError(message) from None
    if traced:
        return jnp.sqrt(sum(parts, start=jnp.zeros(())))
    return _length(np.asarray(parts), 0.0 * np.asarray(parts))


def _same_shape(a: Any, b: Any) -> None:
    if np.shape(a) != np.shape(b):
        raise InputError(
            f"theta_ref, theta_tilde: arrays {np.shape(a)} and {np.shape(b)}; equal shapes are "
            "needed"
        )


def _square(a: Any, b: Any) -> Array:
    _same_shape(a, b)
    return jnp.sum(jnp.square(jnp.asarray(a) - jnp.asarray(b)))


def _length(a: Any, b: Any) -> np.float64:
    """The length of one array's change; its square would underflow below 1e-160."""
    _same_shape(a, b)
    change = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    largest = np.abs(change).max(initial=0.0)
    return largest * np.linalg.norm(change / largest) if largest > 0 else np.float64(0.0)


@dataclass(frozen=True)
class ProjectionNorms:
    """Projection Norms of S test sets.

    Attributes:
        values: (S,) distance of theta~ to the reference, or to theta_hat with `use_base_model`. The
            two have different scales: never mix them. Zero is no natural floor: take the value of a
            clean held-out set as the zero point.
        labels: (S, m) pseudo-labels.
        target: the parameters that distances are measured to.
    """

    values: Float[np.ndarray, " s"]
    labels: Int[np.ndarray, "s m"]
    target: Params


@old_arguments("f theta0 theta_hat train test_sets key recipe")
def projection_norms(  # noqa: PLR0913
    f: Classifier,
    theta0: Params,
    theta_hat: Params,
    train: tuple[Any, Any],
    test_sets: Sequence[Any] | Float[Array, "s m ..."],
    recipe: FineTuning,
    *,
    key: Key[Array, ""],
    use_base_model: bool = False,
    target: Params | None = None,
    eval_batch_size: int = 500,
    **options: Any,
) -> ProjectionNorms:
    """Compute the Projection Norms of unlabelled test sets of one size.

    Use it to rank shifts, or with `calibrate` to predict their errors. Scores of the outputs
    (`conf_score`, `atc_score`, ...) cost nothing more than predictions, but do not see directions
    that the outputs do not use.

    Args:
        f: logits `f(params, x)`, in eval mode.
        theta0: the initialisation from which `theta_hat` was trained, head included. Another head
            alone would add a constant that swamps the signal.
        theta_hat: parameters of the classifier under study.
        train: its labelled training set (x, y), for the reference.
        test_sets: (S, m, ...).
        recipe: a `FineTuning`.
        key: fixes the order of the batches, for the reference and all test sets alike.
        use_base_model: measure the distance to `theta_hat`; no reference is trained.
        target: parameters to measure to, such as `target` of an earlier call: saves training the
            reference again.
        eval_batch_size: samples of which pseudo-labels are computed at once.
        options: of `PseudoTraining`.

    Returns:
        `ProjectionNorms`.

    Raises:
        InputError: test sets of several sizes, parameters of different networks, labels that do not
            fit.

    Examples:
        >>> f = lambda w, x: x @ w
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0]] * 8)
        >>> y = np.array([0, 1] * 8)
        >>> recipe = FineTuning(steps=20, lr=0.5, batch_size=16)
        >>> start = np.zeros((2, 2))
        >>> key = jax.random.key(0)
        >>> hat = finetune(f, start, x, y, recipe, key=key)
        >>> norms = projection_norms(f, start, hat, (x, y), [x, 0.2 * x], recipe, key=key)
        >>> [round(float(v), 2) for v in norms.values]  # without shift, and with one
        [0.0, 2.79]
    """
    flag("use_base_model", use_base_model)
    if target is None and not use_base_model:
        train = labelled_pair("train", train)
    elif target is not None:
        check_like("target", target, theta_hat)
    sets = stacked("test_sets", test_sets)
    program = PseudoTraining(f, recipe, **options)
    if target is None:
        target = theta_hat if use_base_model else program(theta0, *train, key=key)
    size, m = sets.shape[:2]
    merged = sets.reshape(size * m, *sets.shape[2:])
    eval_batch_size = count("eval_batch_size", eval_batch_size)
    with explained("theta_hat, test_sets", merged):
        outputs = logits(f, theta_hat, merged, eval_batch_size, ("theta_hat", "test_sets"))
    labels = outputs.argmax(-1).astype(jnp.int32).reshape(size, m)
    tilde = program.many(theta0, sets, labels, key=key)
    values = jax.vmap(lambda t: projection_norm(target, t))(tilde)
    return ProjectionNorms(np.asarray(values), np.asarray(labels), target)


def _finite(params: Params) -> Params:
    for leaf in jax.tree.leaves(params):
        if not bool(jnp.isfinite(leaf).all()):
            raise InputError(
                "recipe: fine-tuning diverged (NaN or infinite parameters); use a smaller lr"
            )
    return params
