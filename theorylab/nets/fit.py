"""One training loop for every network of theorylab.

It is optax in compiled chunks of steps, for many seeds at once, and can be resumed.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.functional import Params, State, bind, functional, split
from theorylab.nets.losses import cross_entropy
from theorylab.nets.runner import History, prepare
from theorylab.nets.steps import Augment
from theorylab.nets.training_inputs import Loss, start_of

Model = nnx.Module | Callable[[Params, Any], Any]


@dataclasses.dataclass(frozen=True)
class Fit:
    """A training run, or S runs at once (`fit_seeds`): then every array has a leading axis S.

    Attributes:
        params: trained parameters, laid out as `functional` gives them.
        state: batch-norm statistics and random-number streams at the end; empty for a plain
            function.
        f: pure eval-mode function `f(params, x)` that holds the final state; of S seeds, params (S,
            ...) -> (S, n, o).
        steps: number of gradient steps.
        loss: (steps,) training loss of every step, before its update.
        eval_steps: (e,) numbers of steps after which the evaluation set was looked at.
        eval_loss: (e,); None without `eval_data`.
        eval_accuracy: (e,); None without `eval_data` or without integer labels.
        model: trained copy of the module in eval mode; None for a plain function and for S seeds.
    """

    params: Params
    state: State
    f: Callable[[Params, Any], Any]
    steps: int
    loss: np.ndarray
    eval_steps: np.ndarray
    eval_loss: np.ndarray | None
    eval_accuracy: np.ndarray | None
    model: nnx.Module | None = None


def fit(  # noqa: PLR0913
    model: Model,
    data: tuple[Any, Any],
    *,
    params: Params | None = None,
    key: Key[Array, ""],
    optimizer: optax.GradientTransformation,
    batch_size: int,
    epochs: int | None = None,
    steps: int | None = None,
    loss: Loss = cross_entropy,
    weights: Float[ArrayLike, "n"] | None = None,
    augment: Augment | None = None,
    eval_data: tuple[Any, Any] | None = None,
    eval_batch_size: int = 500,
    chunk: int | None = None,
    loop: Literal["device", "host"] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    progress: bool | None = None,
) -> Fit:
    """Train a Flax NNX module, or a pure function with its parameters, by minibatch gradient steps.

    Use it for one run; for several seeds use `fit_seeds`. A step lowers the batch mean of weight
    times loss. Batches follow a permutation that `key` draws for every epoch; its last n mod
    batch_size samples are left out. With batch_size = n nothing is shuffled. The model and the
    arrays given are not changed.

    Args:
        model: module (trained in train mode: batch norm and dropout work) or `f(params, x)`.
        data: (x, y), arrays or PyTrees of arrays with leading axis n; integer labels for
            classification.
        params: where to start; needed for a function, optional for a module (default: its own
            parameters).
        key: typed key; draws the batches, the augmentation and the dropout masks.
        optimizer: an optax transformation, such as `optax.adam(1e-3)`. One that asks for the loss
            (`optax.lbfgs`, `optax.polyak_sgd`, `optax.contrib.reduce_on_plateau`) gets that of the
            step's batch; a line search is meant for full batches.
        batch_size: samples per step, at most n.
        epochs: passes over the data of n // batch_size steps each; give this or `steps`.
        steps: exact number of steps; give this or `epochs`.
        loss: (outputs, y) -> one value per sample, (b,) or (b, ...): `cross_entropy`, `mse` or your
            own.
        weights: (n,) per-sample weights; None for 1.
        augment: (key, x of a batch) -> x, with a fresh key in every step.
        eval_data: (x, y), evaluated in eval mode after every chunk.
        eval_batch_size: samples at a time in evaluation.
        chunk: steps between two looks at the run (progress, NaN check, evaluation, checkpoint); by
            default as many whole epochs as make at least 100 steps, and one epoch with `eval_data`.
        loop: "device" runs a chunk as one compiled loop, "host" calls one compiled step. By default
            "device", except for convolutions on CPU, whose gradients XLA runs 3 to 30 times slower
            inside a loop than outside (measured on 2 cores, batch 64: CNN 6 ms per step against 19,
            ResNet-14 .5 s against 6).
        checkpoint: folder; the run is saved there every `checkpoint_every` chunks and at its end,
            and continued from there if it was cut off, to the same result bit by bit. Another run
            is refused: data, start, key, batch size, chunk and every operation of a step (model,
            loss, augmentation, optimizer) must be the same. The number of steps may grow, but a
            learning rate that is scheduled over another number is another optimizer. A damaged
            state is passed over, with a warning, for the one before it.
        checkpoint_every: chunks between two checkpoints.
        progress: a bar on stderr; None shows it on a terminal only.

    Returns:
        A `Fit`.

    Raises:
        InputError: shapes, labels or counts that do not fit together.
        DivergenceError: NaN or infinite loss, with the number of the step.

    Examples:
        >>> import jax
        >>> import numpy as np
        >>> import optax
        >>> from theorylab.nets import mse
        >>> x = np.linspace(-1.0, 1.0, 32, dtype=np.float32)[:, None]
        >>> y = 2.0 * x - 1.0
        >>> start = {"w": np.zeros((1, 1), np.float32), "b": np.zeros(1, np.float32)}
        >>> line = lambda p, x: x @ p["w"] + p["b"]
        >>> options = dict(optimizer=optax.sgd(0.5), batch_size=32, steps=50, loss=mse)
        >>> run = fit(line, (x, y), params=start, key=jax.random.key(0), **options)
        >>> run.loss.shape, round(float(run.params["w"][0, 0]), 3)
        ((50,), 2.0)
    """
    checks.key("key", key)
    functions, params, state = _functions(model, params)
    runner = prepare(
        functions,
        (params, state, key),
        data,
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
        steps=steps,
        loss=loss,
        weights=weights,
        augment=augment,
        eval_data=eval_data,
        eval_batch_size=eval_batch_size,
        chunk=chunk,
        loop=loop,
        checkpoint_every=checkpoint_every,
        progress=progress,
    )
    params, state, history = runner.run(params, state, key, checkpoint)
    if not isinstance(model, nnx.Module):
        return _result(params, state, model, runner.total, history)
    trained = bind(model, params, state)
    return _result(params, state, functional(trained)[0], runner.total, history, trained)


def fit_seeds(
    model: Callable[..., Any],
    data: tuple[Any, Any],
    *,
    keys: Key[Array, "s"],
    params: Params | None = None,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> Fit:
    """Several runs of `fit` that differ in their key alone.

    Use it for error bars over initialisation, batches, augmentation and dropout. Run s equals
    `fit(model(nnx.Rngs(keys[s])), data, key=keys[s], ...)` up to rounding. The runs are one batched
    computation, except where `loop` is "host" (see `fit`): there they follow one another, since
    batching over parameters would turn convolutions into grouped ones, slow on CPU.

    Args:
        model: makes a module from `nnx.Rngs`; or `f(params, x)` when `params` is given.
        data: (x, y), as for `fit`.
        keys: (S,) typed keys.
        params: for a function: parameters with leading axis S, one start for each key.
        checkpoint: folder, as for `fit`.
        **options: as for `fit`.

    Returns:
        A `Fit` whose arrays have leading axis S.

    Raises:
        InputError: as `fit`, or keys that are not a row of typed keys.
        DivergenceError: NaN or infinite loss, with the numbers of the step and the seed.
    """
    checks.key("keys", keys, ndim=1)
    checks.function("model", model)
    if params is None:
        functions = _functions(model(nnx.Rngs(keys[0])), None)[0]
        params, state = jax.vmap(lambda key: split(model(nnx.Rngs(key)), train=True)[1:])(keys)
    else:
        functions, params, state = _functions(model, params)
        if any(leaf.shape[:1] != keys.shape for leaf in jax.tree.leaves(params)):
            raise InputError(
                f"params: a leading axis of {keys.size} is needed in every array, one start for "
                "each key"
            )

    def seed(s: int) -> tuple[Params, State, Array]:
        return jax.tree.map(lambda a: a[s], (params, state, keys))

    runner = prepare(functions, seed(0), data, **options)
    if runner.loop == "device":
        params, state, history = runner.run(params, state, keys, checkpoint)
    else:
        folders = [
            None if checkpoint is None else Path(checkpoint) / f"seed_{s}" for s in range(keys.size)
        ]
        runs = [runner.run(*seed(s), folders[s]) for s in range(keys.size)]
        params, state = jax.tree.map(lambda *a: jax.numpy.stack(a), *[run[:2] for run in runs])
        history = {name: np.stack([run[2][name] for run in runs]) for name in runs[0][2]}
        history["eval_steps"] = history["eval_steps"][0]

    def f(params: Params, x: Any) -> Any:
        return jax.vmap(functions[1], in_axes=(0, 0, None))(params, state, x)

    return _result(params, state, f, runner.total, history)


def _functions(model: Model, params: Params | None) -> tuple[tuple[Any, Any], Params, State]:
    """The functions, parameters and state of a module or of a pure function.

    The functions apply it in train mode and in eval mode.
    """
    if isinstance(model, nnx.Module):
        apply, own, state = split(model, train=True)
        in_eval_mode = split(model, train=False)[0]
        return (apply, lambda p, s, x: in_eval_mode(p, s, x)[0]), start_of(params, own), state
    checks.function("model", model)
    params = start_of(params, None)
    return (lambda p, s, x: (model(p, x), s), lambda p, s, x: model(p, x)), params, {}


def _result(
    params: Params,
    state: State,
    f: Any,
    steps: int,
    history: History,
    model: nnx.Module | None = None,
) -> Fit:
    seen = history.get("eval_loss"), history.get("eval_accuracy")
    return Fit(params, state, f, steps, history["loss"], history["eval_steps"], *seen, model=model)
