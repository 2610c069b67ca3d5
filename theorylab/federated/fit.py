"""One training loop for every federated algorithm: rounds, metrics, progress, checkpoints.

A run that was cut off continues from its checkpoint, to the same result bit by bit.

Source: the loop has none; the algorithms are cited in `theorylab.federated.algorithms`.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Key

from theorylab import checks
from theorylab.digests import tree_digest
from theorylab.errors import InputError
from theorylab.federated.algorithms import Algorithm, FederatedState, check_finite
from theorylab.federated.clients import ClientData, check_clients_given
from theorylab.federated.execution import ClientAxis, remembered
from theorylab.nets.checkpoint import Checkpoints
from theorylab.nets.fit import Model
from theorylab.nets.functional import Params, State, bind, split
from theorylab.nets.losses import accuracy, cross_entropy
from theorylab.nets.runner import DivergenceError
from theorylab.nets.training_inputs import (
    Loss,
    check_targets,
    outputs_of,
    pair,
    sample_count,
    start_of,
)
from theorylab.ntk.convolutions import small_products

History = dict[str, np.ndarray]


class RoundDivergenceError(DivergenceError):
    """The model of a client became NaN or infinite in a round.

    Args:
        step: number of the round, counted from 0.
        rounds: rounds that were asked for.
        client: number of the client.
    """

    def __init__(self, step: int, rounds: int, client: int) -> None:
        FloatingPointError.__init__(
            self,
            f"the model of client {client} is not finite after round {step} of {rounds} (counted "
            "from 0); use a smaller lr or fewer local steps",
        )
        self.step, self.seed, self.client = step, None, client


@dataclass(frozen=True)
class FederatedFit:
    """A federated training run.

    Attributes:
        params, state: the averaged model.
        f: its pure eval-mode function `f(params, x)`.
        rounds: number of rounds made.
        loss, drift: (rounds,) see `RoundMetrics`.
        eval_rounds: (e,) numbers of rounds after which the evaluation sets were looked at, 0 for
            the start.
        evaluations: "<set>_loss" and "<set>_accuracy" of the averaged model, each (e,).
        federated_state: to go on with by hand: `algorithm.bind(...).round(federated_state, ...)`.
        model: trained copy of the module in eval mode; None for a plain function.
    """

    params: Params
    state: State
    f: Callable[[Params, Any], Any]
    rounds: int
    loss: np.ndarray
    drift: np.ndarray
    eval_rounds: np.ndarray
    evaluations: dict[str, np.ndarray]
    federated_state: FederatedState
    model: nnx.Module | None = None

    @property
    def accuracy(self) -> np.ndarray:
        """(e,) accuracy on the first evaluation set."""
        for name, values in self.evaluations.items():
            if name.endswith("_accuracy"):
                return values
        raise InputError(
            "eval_data: no accuracy was measured; give federated_fit labelled eval_data"
        )


def federated_fit(  # noqa: C901, PLR0913
    model: Model,
    clients: ClientData,
    *,
    algorithm: Algorithm,
    rounds: int,
    key: Key[Array, ""],
    params: Params | None = None,
    loss: Loss = cross_entropy,
    eval_data: tuple[Any, Any] | Mapping[str, tuple[Any, Any]] | None = None,
    eval_every: int = 1,
    eval_batch_size: int = 500,
    client_axis: ClientAxis | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    on_round: Callable[[int, FederatedState], None] | None = None,
    progress: bool | None = None,
) -> FederatedFit:
    """Train one model over many clients, round by round.

    The model and the arrays given are not changed. For rounds of your own, `Algorithm.bind` gives
    the `init` / `round` pair that this loops over.

    Args:
        model: Flax NNX module, trained in train mode, or `f(params, x)` with `params`.
        clients: made by `pad_clients`; the algorithm `centralized` pools them itself.
        algorithm: `fedavg(lr=0.1, epochs=5, batch_size=64)` or another of this package.
        rounds: number of rounds.
        key: typed key; draws the participants, the batches, the augmentation and the dropout masks.
        params: where to start; needed for a function, optional for a module (default: its own
            parameters).
        loss: (outputs, y) -> one value per example.
        eval_data: (x, y), or several of them by name; the averaged model is evaluated on them in
            eval mode before the first round, after every `eval_every` rounds and after the last.
        eval_every: rounds from one evaluation to the next.
        eval_batch_size: examples evaluated at once.
        client_axis: how clients are run, see `Algorithm.bind`; it does not change the result beyond
            rounding.
        checkpoint: folder; the run is saved there every `checkpoint_every` rounds and at its end,
            and continued from there if it was cut off, to the same result bit by bit. Data, start,
            key and options must be the same; the number of rounds may grow. Functions (model, loss,
            server optimizer, schedule of lr) cannot be compared: take a new folder when you change
            them.
        checkpoint_every: rounds from one checkpoint to the next.
        on_round: called with the number of rounds made and the state after them, for every round
            made in this call and for the start (0): to keep models on the way, or to stop by
            raising.
        progress: a bar on stderr; by default only on a terminal.

    Returns:
        A `FederatedFit`.

    Raises:
        InputError: shapes, labels or counts that do not fit together, naming the client where there
            is one.
        RoundDivergenceError: NaN or infinity in a client's model, naming client and round.

    Source:
        the algorithms are cited in `theorylab.federated.algorithms`.

    Examples:
        >>> from theorylab.federated import fedavg, iid_partition, pad_clients
        >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]] * 10)
        >>> y = (x[:, 0] > 0).astype(int)
        >>> clients = pad_clients(x, y, iid_partition(y, 4, key=jax.random.key(0)))
        >>> logits = lambda w, x: x * w
        >>> run = federated_fit(logits, clients, algorithm=fedavg(lr=0.5, epochs=1, batch_size=5),
        ...                     rounds=3, key=jax.random.key(1), params=jnp.zeros(2),
        ...                     eval_data=(x, y), progress=False)
        >>> run.accuracy.tolist()
        [0.5, 1.0, 1.0, 1.0]
    """
    checks.key("key", key)
    rounds, eval_every = checks.count("rounds", rounds, 0), checks.count("eval_every", eval_every)
    eval_batch_size = checks.count("eval_batch_size", eval_batch_size)
    checkpoint_every = checks.count("checkpoint_every", checkpoint_every)
    checks.instance(
        "algorithm",
        algorithm,
        Algorithm,
        "fedavg(lr=0.1, epochs=5, batch_size=64) or another of these",
    )
    check_clients_given(clients)
    if checkpoint is not None:
        checks.instance("checkpoint", checkpoint, (str, Path), "a folder")
    if on_round is not None:
        checks.function("on_round", on_round)
    if progress is not None:
        checks.flag("progress", progress)
    apply, apply_eval, params, state = as_functions(model, params)
    clients = clients.pooled() if algorithm.pooled else clients
    output = lambda x: apply_eval(params, state, x)  # noqa: E731
    check_clients(clients, loss, output)
    federated = algorithm.bind(apply, loss, clients, client_axis=client_axis)
    evaluate = _evaluator(apply_eval, loss, _named(eval_data, loss, output), eval_batch_size)
    current = federated.init(params, state)
    history: History = {"loss": np.zeros(0), "drift": np.zeros(0), "eval_rounds": np.zeros(0, int)}
    done = 0
    with (
        _open(checkpoint, algorithm, clients, current, key) as store,
        _bar(rounds, algorithm.name, progress) as tick,
    ):
        found = None if store is None else store.restore(current)
        if found is not None:
            done, current, stored = found
            history.update(stored)
        if done > rounds:
            raise InputError(
                f"rounds: {rounds} asked, the run in {checkpoint} has made {done} already; ask "
                "for more"
            )
        if done == 0:
            _append(history, evaluate(current, 0))
            if on_round is not None:
                on_round(0, current)
        while done < rounds:
            current, metrics = federated.round(current, clients, key)
            diverged = check_finite(metrics)
            if diverged is not None:
                raise RoundDivergenceError(done, rounds, diverged)
            done += 1
            _append(
                history,
                {"loss": np.asarray(metrics.loss)[None], "drift": np.asarray(metrics.drift)[None]},
            )
            if done % eval_every == 0 or done == rounds:
                _append(history, evaluate(current, done))
            if store is not None and (done % checkpoint_every == 0 or done == rounds):
                store.save(done, current, history)
            if on_round is not None:
                on_round(done, current)
            tick(done, history)
    f = lambda params, x: apply_eval(params, current.state, x)  # noqa: E731
    trained = bind(model, current.params, current.state) if isinstance(model, nnx.Module) else None
    seen = {
        name: values
        for name, values in history.items()
        if name not in ("loss", "drift", "eval_rounds")
    }
    return FederatedFit(
        current.params,
        current.state,
        f,
        done,
        history["loss"],
        history["drift"],
        history["eval_rounds"],
        seen,
        current,
        trained,
    )


@dataclass(frozen=True)
class _Pure:
    """A model's pure function, equal for modules of one architecture.

    So what was compiled for one serves the others.
    """

    identity: Any
    function: Callable[..., Any] = field(compare=False)

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


def as_functions(
    model: Model, params: Params | None
) -> tuple[Callable[..., Any], Callable[..., Any], Params, State]:
    """Two pure functions of a model, in train and in eval mode, with its parameters and state.

    Returns train-mode (params, state, x) -> (output, state), eval-mode (params, state, x) ->
    output, params and state.
    """
    if isinstance(model, nnx.Module):
        graph = nnx.split(model)[0]
        apply, own, state = split(model, train=True)
        in_eval_mode = split(model, train=False)[0]
        evaluate = lambda p, s, x: in_eval_mode(p, s, x)[0]  # noqa: E731
        return (
            _Pure(("train", graph), small_products(apply)),
            _Pure(("eval", graph), evaluate),
            start_of(params, own),
            state,
        )
    checks.function("model", model)
    params = start_of(params, None)
    apply = small_products(lambda p, s, x: (model(p, x), s))
    return (
        _Pure(("train", model), apply),
        _Pure(("eval", model), lambda p, s, x: model(p, x)),
        params,
        {},
    )


def check_clients(clients: ClientData, loss: Loss, output: Callable[[Any], Any]) -> None:
    """Refuse what must not reach the model: numbers that are not finite, targets that do not fit.

    The error names the client.
    """
    for leaf in jax.tree.leaves((clients.x, clients.y)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            finite = np.asarray(jnp.isfinite(leaf).reshape(clients.n_clients, -1).all(1))
            if not finite.all():
                raise InputError(
                    f"clients: NaN or infinite entries at client {int(np.argmin(finite))}; remove "
                    "them"
                )
    counts = np.asarray(clients.counts)
    if not counts.all():
        raise InputError(f"clients: client {int(np.argmin(counts))} has no examples; drop it")
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), clients.x)
    outputs = outputs_of("params, clients", output, one)
    for i in range(clients.n_clients):
        check_targets(
            f"clients, client {i}", loss, outputs, jax.tree.map(lambda a, i=i: a[i], clients.y)
        )


def _named(eval_data: Any, loss: Loss, output: Callable[[Any], Any]) -> dict[str, tuple[Any, Any]]:
    if eval_data is None:
        return {}
    named = eval_data if isinstance(eval_data, Mapping) else {"eval": eval_data}
    checked = {name: pair(f"eval_data {name}", value) for name, value in named.items()}
    for name, value in checked.items():
        sample_count(f"eval_data {name}", value)
        check_targets(
            f"eval_data {name}",
            loss,
            outputs_of(f"params, eval_data {name}", output, value[0]),
            value[1],
        )
    return checked


def _evaluator(
    apply: Callable[..., Any], loss: Loss, sets: Mapping[str, tuple[Any, Any]], size: int
) -> Callable[[FederatedState, int], History]:
    sums = remembered(_sums, apply, loss)

    def evaluate(current: FederatedState, number: int) -> History:
        seen: History = {"eval_rounds": np.array([number])} if sets else {}
        for name, data in sets.items():
            n = sample_count(name, data)
            parts = [
                sums(
                    current.params,
                    current.state,
                    *jax.tree.map(lambda a, i=i: a[i : i + size], data),
                )
                for i in range(0, n, size)
            ]
            for what in parts[0]:
                seen[f"{name}_{what}"] = np.array([float(sum(part[what] for part in parts)) / n])
        return seen

    return evaluate


@lru_cache(maxsize=16)
def _sums(apply: Callable[..., Any], loss: Loss) -> Callable[..., dict[str, Array]]:
    @jax.jit
    def sums(params: Params, state: State, x: Any, y: Any) -> dict[str, Array]:
        output = apply(params, state, x)
        value = loss(output, y)
        found = {"loss": value.reshape(value.shape[0], -1).mean(1).sum()}
        arrays = (
            isinstance(output, jax.Array)
            and isinstance(y, jax.Array)
            and jnp.issubdtype(y.dtype, jnp.integer)
        )
        if arrays and y.shape in (output.shape, output.shape[:-1]):
            hits = accuracy(output, y)
            found["accuracy"] = hits.reshape(hits.shape[0], -1).mean(1).sum()
        return found

    return sums


def _append(history: History, new: History) -> None:
    for name, values in new.items():
        history[name] = np.concatenate([history[name], values]) if name in history else values


def _open(
    folder: Any, algorithm: Algorithm, clients: ClientData, start: FederatedState, key: Array
) -> Any:
    if folder is None:
        return nullcontext()
    local = algorithm.local
    options = {k: v for k, v in vars(local).items() if isinstance(v, int | float | None)}
    identity = {
        "algorithm": (
            f"{algorithm.name} {options} {algorithm.clients_per_round} {algorithm.carry_momentum}"
        ),
        "data": tree_digest(clients),
        "start": tree_digest(start),
        "key": tree_digest(key),
    }
    return Checkpoints(folder, identity)


@contextmanager
def _bar(total: int, name: str, show: bool | None) -> Iterator[Callable[[int, History], None]]:
    """A progress bar on stderr, by default on a terminal alone; yields (round, history) -> None."""
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda done, history: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)

        def tick(done: int, history: History) -> None:
            seen = [f"{k} {v[-1]:.3f}" for k, v in history.items() if k.endswith("accuracy")][:1]
            text = ", ".join([f"loss {history['loss'][-1]:.4g}", *seen])
            progress.update(task, completed=done, description=f"{name}: {text}")

        yield tick
