"""One training loop for every federated algorithm: rounds, metrics, progress, checkpoints.

A run that was cut off continues from its checkpoint, to the same result bit by bit.

Source: the loop has none; the algorithms are cited in `theorylab.federated.algorithms`.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jaxtyping import Array, Key

from theorylab import checks
from theorylab.digests import tree_digest
from theorylab.errors import InputError
from theorylab.federated.clients import ClientData, check_clients_given
from theorylab.federated.evaluation import History, append, evaluator, named_sets
from theorylab.federated.execution import ClientAxis
from theorylab.federated.models import as_functions, check_clients
from theorylab.federated.rounds import Algorithm, FederatedState, check_finite
from theorylab.nets.checkpoint import Checkpoints
from theorylab.nets.fit import Model
from theorylab.nets.functional import Params, State, bind
from theorylab.nets.losses import cross_entropy
from theorylab.nets.runner import DivergenceError
from theorylab.nets.training_inputs import Loss


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


def federated_fit(  # noqa: PLR0913
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
        >>> import jax
        >>> import jax.numpy as jnp
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
    _check_options(algorithm, checkpoint, on_round, progress)
    check_clients_given(clients)
    apply, apply_eval, params, state = as_functions(model, params)
    clients = clients.pooled() if algorithm.pooled else clients
    output = lambda x: apply_eval(params, state, x)  # noqa: E731
    check_clients(clients, loss, output)
    federated = algorithm.bind(apply, loss, clients, client_axis=client_axis)
    evaluate = evaluator(apply_eval, loss, named_sets(eval_data, loss, output), eval_batch_size)
    current = federated.init(params, state)
    history: History = {"loss": np.zeros(0), "drift": np.zeros(0), "eval_rounds": np.zeros(0, int)}
    with (
        _open(checkpoint, algorithm, clients, current, key) as store,
        _bar(rounds, algorithm.name, progress) as tick,
    ):
        done, current = _resumed(store, current, history)
        if done > rounds:
            raise InputError(
                f"rounds: {rounds} asked, the run in {checkpoint} has made {done} already; ask "
                "for more"
            )
        if done == 0:
            append(history, evaluate(current, 0))
            if on_round is not None:
                on_round(0, current)
        for number in range(done, rounds):
            current, metrics = federated.round(current, clients, key)
            diverged = check_finite(metrics)
            if diverged is not None:
                raise RoundDivergenceError(number, rounds, diverged)
            done = number + 1
            append(history, {n: np.asarray(getattr(metrics, n))[None] for n in ("loss", "drift")})
            if done % eval_every == 0 or done == rounds:
                append(history, evaluate(current, done))
            if store is not None and (done % checkpoint_every == 0 or done == rounds):
                store.save(done, current, history)
            if on_round is not None:
                on_round(done, current)
            tick(done, history)
    return _result(model, apply_eval, current, history)


def _check_options(algorithm: Any, checkpoint: Any, on_round: Any, progress: Any) -> None:
    need = "fedavg(lr=0.1, epochs=5, batch_size=64) or another of these"
    checks.instance("algorithm", algorithm, Algorithm, need)
    if checkpoint is not None:
        checks.instance("checkpoint", checkpoint, (str, Path), "a folder")
    if on_round is not None:
        checks.function("on_round", on_round)
    if progress is not None:
        checks.flag("progress", progress)


def _resumed(
    store: Checkpoints | None, start: FederatedState, history: History
) -> tuple[int, FederatedState]:
    """Rounds made and the state after them, of a run that was cut off; its history is filled in."""
    found = None if store is None else store.restore(start)
    if found is None:
        return 0, start
    done, state, stored = found
    history.update(stored)
    return done, state


def _result(
    model: Model, apply_eval: Callable[..., Any], last: FederatedState, history: History
) -> FederatedFit:
    trained = bind(model, last.params, last.state) if isinstance(model, nnx.Module) else None
    of_rounds = ("loss", "drift", "eval_rounds")
    return FederatedFit(
        last.params,
        last.state,
        lambda params, x: apply_eval(params, last.state, x),
        len(history["loss"]),
        history["loss"],
        history["drift"],
        history["eval_rounds"],
        {name: values for name, values in history.items() if name not in of_rounds},
        last,
        trained,
    )


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
