"""Drives a training run chunk by chunk: progress, NaN check, evaluation, checkpoints."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Key, PyTree

from theorylab import checks
from theorylab.digests import program_digest, tree_digest
from theorylab.errors import InputError
from theorylab.nets.checkpoint import Checkpoints
from theorylab.nets.functional import Params, State
from theorylab.nets.losses import accuracy, cross_entropy
from theorylab.nets.steps import Augment, Carry, Training, advance_in_chunks, best_loop
from theorylab.nets.training_inputs import (
    Loss,
    check_targets,
    outputs_of,
    pair,
    sample_count,
    sample_weights,
)

History = dict[str, np.ndarray]


class DivergenceError(InputError, FloatingPointError):
    """The training loss, or the parameters after the last step, became NaN or infinite.

    Args:
        step: number of the step, counted from 0.
        steps: number of steps in all.
        seed: number of the run, of several; None for one.
    """

    def __init__(self, step: int, steps: int, seed: int | None = None) -> None:
        which = "" if seed is None else f" for seed number {seed}"
        super().__init__(
            f"the loss is not finite at step {step} of {steps}{which}; use a smaller learning "
            "rate, or clip the gradient: optax.chain(optax.clip_by_global_norm(1.0), optimizer)"
        )
        self.step, self.seed = step, seed


@dataclasses.dataclass(frozen=True)
class Runner:
    """A checked training job.

    `run` starts it from parameters and a key, or from S of each at once.
    """

    training: Training
    apply_eval: Callable[[Params, State, Any], Any]
    arrays: PyTree  # x, y, weights
    eval_arrays: tuple[Any, Any] | None
    eval_batch_size: int
    total: int
    chunk: int
    loop: Literal["device", "host"]
    checkpoint_every: int
    progress: bool | None

    def run(
        self, params: Params, state: State, key: Key[Array, "*s"], folder: str | Path | None
    ) -> tuple[Params, State, History]:
        """Train to the end, from the start or from the newest checkpoint in `folder`."""
        batched = key.ndim == 1
        carry = (jax.vmap(self.training.init) if batched else self.training.init)(
            params, state, key
        )
        advance = advance_in_chunks(self.training, self.chunk, self.loop, batched=batched)
        evaluate = self._evaluator(batched)
        history: History = {
            "loss": np.zeros((*key.shape, 0), np.float32),
            "eval_steps": np.zeros(0, int),
        }
        done = 0
        with (
            self._open(folder, params, state, key, carry) as store,
            _bar(self.total, self.progress) as tick,
        ):
            found = None if store is None else store.restore(carry)
            if found is not None:
                done, carry, stored = found
                history.update(stored)
            if done > self.total:
                raise InputError(
                    f"steps: {self.total} asked, the run in {folder} has made {done} already; ask "
                    "for more"
                )
            tick(done, history)
            while done < self.total:
                end = min(done - done % self.chunk + self.chunk, self.total)
                carry, losses = advance(carry, done, end, key, self.arrays)
                _stop_if_diverged(np.asarray(losses), carry[0], done, self.total)
                _append(history, loss=np.asarray(losses), **evaluate(carry, end))
                done = end
                if store is not None and (
                    done == self.total or done // self.chunk % self.checkpoint_every == 0
                ):
                    store.save(done, carry, history)
                tick(done, history)
        params, _, state, _ = carry
        return params, state, history

    def _open(self, folder: Any, params: Params, state: State, key: Array, carry: Carry) -> Any:
        if folder is None:
            return nullcontext()
        step = jax.vmap(self.training.step, (0, None, 0, None)) if key.ndim else self.training.step
        identity = {
            "data": tree_digest(self.arrays),
            "start": tree_digest((params, state)),
            "key": tree_digest(key),
            "batch size": self.training.batch_size,
            "chunk": self.chunk,
            "eval_data": tree_digest(self.eval_arrays),
            "step (model, loss, augmentation, optimizer, version of JAX)": program_digest(
                step, carry, 0, key, self.arrays
            ),
        }
        return Checkpoints(folder, identity)

    def _evaluator(self, batched: bool) -> Callable[[Carry, int], History]:
        """(carry, step) -> what to append to the history, nothing without an evaluation set."""
        if self.eval_arrays is None:
            return lambda carry, step: {}
        x, y = self.eval_arrays
        n, size, loss = sample_count("eval_data", x), self.eval_batch_size, self.training.loss

        def sums(params: Params, state: State, x: Any, y: Any) -> tuple[Array, ...]:
            output = self.apply_eval(params, state, x)
            value = loss(output, y)
            value = value.reshape(value.shape[0], -1).mean(1).sum()
            return (value, _hits(output, y)) if _classifies(output, y) else (value,)

        compiled = jax.jit(jax.vmap(sums, in_axes=(0, 0, None, None)) if batched else sums)

        def evaluate(carry: Carry, step: int) -> History:
            params, _, state, _ = carry
            parts = []
            for i in range(0, n, size):
                parts.append(
                    compiled(params, state, *jax.tree.map(lambda a, i=i: a[i : i + size], (x, y)))
                )
            means = [np.asarray(sum(part))[..., None] / n for part in zip(*parts, strict=True)]
            return {
                "eval_steps": np.array([step]),
                **dict(zip(("eval_loss", "eval_accuracy"), means, strict=False)),
            }

        return evaluate


def prepare(  # noqa: C901, PLR0913
    functions: tuple[Callable[..., Any], Callable[..., Any]],
    start: tuple[Params, State, Key[Array, ""]],
    data: tuple[Any, Any],
    *,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    epochs: int | None = None,
    steps: int | None = None,
    loss: Loss = cross_entropy,
    weights: ArrayLike | None = None,
    augment: Augment | None = None,
    eval_data: tuple[Any, Any] | None = None,
    eval_batch_size: int = 500,
    chunk: int | None = None,
    loop: Literal["device", "host"] | None = None,
    checkpoint_every: int = 1,
    progress: bool | None = None,
) -> Runner:
    """Check the options of `fit` and make a `Runner`; `start` shows the shapes of one run."""
    apply, apply_eval = functions
    params, state, key = start

    def output(name: str, x: Any) -> Any:
        return outputs_of(f"params, {name}", lambda one: apply_eval(params, state, one), x)

    if not all(callable(getattr(optimizer, method, None)) for method in ("init", "update")):
        raise InputError(f"optimizer = {checks.shown(optimizer)}; an optax optimizer is needed")
    for name, function in (("augment", augment), ("loss", loss)):
        if function is not None or name == "loss":
            checks.function(name, function)
    if progress is not None:
        checks.flag("progress", progress)
    checks.choice("loop", loop, ("device", "host", None))
    x, y = pair("data", data)
    n = sample_count("data", (x, y))
    batch_size = checks.count("batch_size", batch_size, at_most=n)
    check_targets("data", loss, output("data", x), y)
    arrays = (x, y, sample_weights(weights, n))
    if eval_data is not None:
        eval_data = pair("eval_data", eval_data)
        sample_count("eval_data", eval_data)
        check_targets("eval_data", loss, output("eval_data", eval_data[0]), eval_data[1])
    if (epochs is None) == (steps is None):
        raise InputError("epochs, steps: give exactly one of the two")
    per_epoch = n // batch_size
    total = (
        checks.count("epochs", epochs, 0) * per_epoch
        if steps is None
        else checks.count("steps", steps, 0)
    )
    (
        checks.count("eval_batch_size", eval_batch_size),
        checks.count("checkpoint_every", checkpoint_every),
    )
    if chunk is not None:
        checks.count("chunk", chunk)
    if chunk is None:
        chunk = per_epoch if eval_data is not None else per_epoch * -(-100 // per_epoch)
    training = Training(apply, loss, optimizer, augment, n, int(batch_size))
    if loop is None:
        loop = best_loop(training, jax.eval_shape(training.init, *start), key, arrays)
    return Runner(
        training,
        apply_eval,
        arrays,
        eval_data,
        eval_batch_size,
        total,
        chunk,
        loop,
        checkpoint_every,
        progress,
    )


def _classifies(output: Any, y: Any) -> bool:
    arrays = isinstance(output, jax.Array) and isinstance(y, jax.Array)
    if not arrays or not jnp.issubdtype(y.dtype, jnp.integer):
        return False
    return output.shape[:-1] == y.shape and output.shape[-1] > 1


def _hits(output: Array, y: Array) -> Array:
    hits = accuracy(output, y)
    return hits.reshape(hits.shape[0], -1).mean(1).sum()


def _append(history: History, **new: np.ndarray) -> None:
    for name, values in new.items():
        history[name] = (
            np.concatenate([history[name], values], axis=-1) if name in history else values
        )


def _stop_if_diverged(losses: np.ndarray, params: Params, done: int, total: int) -> None:
    finite = np.isfinite(losses)
    for leaf in jax.tree.leaves(params):  # the update after the last loss of the chunk
        ok = jnp.isfinite(leaf)
        finite[..., -1] &= np.asarray(ok.reshape(*losses.shape[:-1], -1).all(-1))
    if finite.all():
        return
    step = int(np.argmin(finite.reshape(-1, finite.shape[-1]).all(0)))
    seed = int(np.argmin(finite[:, step])) if losses.ndim == 2 else None
    raise DivergenceError(done + step, total, seed)


@contextmanager
def _bar(total: int, show: bool | None) -> Iterator[Callable[[int, History], None]]:
    """A progress bar on stderr, by default on a terminal alone; yields (step, history) -> None."""
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda step, history: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=total)

        def tick(step: int, history: History) -> None:
            loss = f"loss {history['loss'][..., -1].mean():.4g}" if history["loss"].size else ""
            seen = (
                f", accuracy {history['eval_accuracy'][..., -1].mean():.3f}"
                if "eval_accuracy" in history
                else ""
            )
            progress.update(task, completed=step, description=f"training: {loss}{seen}")

        yield tick
