"""A federated algorithm as an `init` / `round` pair over a state, on one client primitive.

A round from the model w: the chosen clients S, drawn uniformly without replacement, each come back
with v_i after tau_i local steps (`local`). With p_i renormalised over S, the server optimizer gets
the pseudo-gradient

    D = sum_i p_i (w - v_i),    FedNova: D = (sum_i p_i a_i) sum_i p_i (w - v_i) / a_i

(a_i: `LocalSGD.effective_steps`), and plain averaging is the server optimizer `optax.sgd(1.0)`.

Source: as `algorithms`, which has one function for each of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.federated.clients import ClientData, check_clients_given
from theorylab.federated.execution import ClientAxis, best_axis, check_axis, remembered, run_clients
from theorylab.federated.local import Client, LocalResult, LocalSGD, Mine, Start
from theorylab.nets.functional import Params, State
from theorylab.pytrees import register

# what a round's key is folded with to choose clients; theirs, with their small numbers
_SAMPLING = 0xFED0011
AVERAGING = optax.sgd(1.0)


@register()
@dataclass(frozen=True)
class FederatedState:
    """Everything that a round reads and replaces.

    Attributes:
        params, state: the averaged model; `state` holds batch statistics and random streams.
        server: state of the server optimizer.
        control, controls: SCAFFOLD's c and, with leading axis N, its c_i; () elsewhere.
        momenta: (N, ...) local momentum buffers if they are carried, else ().
        round: number of rounds made.
    """

    params: Params
    state: State
    server: optax.OptState
    control: PyTree[Array]
    controls: PyTree[Array]
    momenta: PyTree[Array]
    round: Int[Array, ""]


@register()
@dataclass(frozen=True)
class RoundMetrics:
    """What one round tells of its clients.

    Attributes:
        loss: mean training loss along the local steps, averaged with p.
        drift: root-mean-square distance of the clients' models from the round's start, averaged
            with p.
        finite: (s,) which of the chosen clients' models are finite.
        chosen: (s,) the chosen clients' numbers.
    """

    loss: Float[Array, ""]
    drift: Float[Array, ""]
    finite: Bool[Array, " s"]
    chosen: Int[Array, " s"]


class Federated(NamedTuple):
    """An algorithm bound to a model and to clients.

    Use it to drive rounds by hand; `federated_fit` does so with metrics and checkpoints.

    Attributes:
        init: (params, state) -> the first `FederatedState`.
        round: (federated state, clients, key) -> the next state and its `RoundMetrics`. `key` is
            the run's: rounds take theirs from it by their number.
        local: (federated state, clients, key) -> the chosen clients' models before they are
            averaged.
    """

    init: Callable[[Params, State], FederatedState]
    round: Callable[
        [FederatedState, ClientData, Key[Array, ""]], tuple[FederatedState, RoundMetrics]
    ]
    local: Callable[[FederatedState, ClientData, Key[Array, ""]], LocalResult]


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What tells one federated algorithm from another.

    Use `fedavg`, `scaffold`, `fednova`, ... to make one.

    Attributes:
        name: what it is called in errors and checkpoints.
        local: what a client does.
        server: optax optimizer of the server, fed with the pseudo-gradient.
        controls: SCAFFOLD's control variates.
        normalised: FedNova's average.
        carry_momentum: local momentum buffers survive from round to round instead of restarting at
            zero.
        clients_per_round: chosen uniformly without replacement; None for all.
        pooled: all examples in one place.

    Raises:
        InputError: values of another kind; momentum to be carried where there is none, or where it
            would not fit the division by the effective number of steps.
    """

    name: str
    local: LocalSGD
    server: optax.GradientTransformation = AVERAGING
    controls: bool = False
    normalised: bool = False
    carry_momentum: bool = False
    clients_per_round: int | None = None
    pooled: bool = False

    def __post_init__(self) -> None:
        checks.instance("name", self.name, str, "a string")
        checks.instance("local", self.local, LocalSGD, "LocalSGD(lr=0.1, epochs=5, batch_size=64)")
        if not (
            callable(getattr(self.server, "init", None))
            and callable(getattr(self.server, "update", None))
        ):
            raise InputError(
                f"server = {checks.shown(self.server)}; an optax optimizer (of server_optimizer) "
                "is needed"
            )
        for name in ("controls", "normalised", "carry_momentum", "pooled"):
            checks.flag(name, getattr(self, name))
        if self.clients_per_round is not None:
            checks.count("clients_per_round", self.clients_per_round)
        if self.carry_momentum and not self.local.momentum:
            raise InputError("carry_momentum: there is no momentum to carry; give momentum > 0")
        if self.carry_momentum and (self.normalised or self.controls):
            raise InputError(
                f"carry_momentum: {self.name} divides displacements by the effective number of "
                "steps of a momentum that starts at zero; leave carry_momentum out"
            )

    def bind(
        self,
        apply: Callable[[Params, State, Any], tuple[Any, State]],
        loss: Callable[[Any, Any], Array],
        clients: ClientData,
        *,
        client_axis: ClientAxis | None = None,
    ) -> Federated:
        """Bind it to a model in train mode, a loss and clients: the `init` / `round` pair.

        Args:
            apply: (params, state, x) -> (output, state), as `nets.functional_train` gives it.
            loss: (output, y) -> one value per example.
            clients: made by `pad_clients`; the pair serves clients of these sizes.
            client_axis: "map" (one client after the other), "vmap" (all at once), a
                `jax.sharding.Mesh` (spread over its devices), "threads" (one compiled loop per
                client, as many at a time as there are cores), "host" (the same, each step driven
                from Python); by default "vmap" on an accelerator, "threads" on CPU, and "host"
                there for large convolutions. Results agree up to rounding.

        Returns:
            A `Federated` pair.

        Raises:
            InputError: more clients per round than there are.
        """
        checks.function("apply", apply), checks.function("loss", loss)
        check_clients_given(clients)
        check_axis(client_axis)
        n = clients.n_clients
        if self.clients_per_round is not None:
            checks.count("clients_per_round", self.clients_per_round, at_most=n)
        return remembered(
            _federated, _Rule(self, n), Client.of(self.local, apply, loss, clients), client_axis
        )


Sent = tuple[Start, Mine, Int[Array, " s"], Key[Array, " s"]]


@dataclass(frozen=True)
class _Rule:
    """The server's part: what is sent to the clients, and what becomes of their answers."""

    algorithm: Algorithm
    n: int

    def init(self, params: Params, state: State) -> FederatedState:
        params = jax.tree.map(jnp.asarray, params)
        zeros = jax.tree.map(jnp.zeros_like, params)
        each = jax.tree.map(lambda a: jnp.zeros((self.n, *a.shape), a.dtype), params)
        a = self.algorithm
        control, controls = (zeros, each) if a.controls else ((), ())
        momenta = each if a.carry_momentum else ()
        return FederatedState(
            params,
            state,
            _server_state(a.server, params),
            control,
            controls,
            momenta,
            jnp.zeros((), jnp.int32),
        )

    def prepare(self, state: FederatedState, key: Key[Array, ""]) -> Sent:
        key = jax.random.fold_in(key, state.round)
        few = self.algorithm.clients_per_round
        chosen = jnp.arange(self.n)
        if few is not None and few < self.n:
            chosen = jnp.sort(
                jax.random.permutation(jax.random.fold_in(key, _SAMPLING), self.n)[:few]
            )
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(chosen)
        shift = jax.tree.map(lambda c, ci: c - ci[chosen], state.control, state.controls)
        momenta = jax.tree.map(lambda m: m[chosen], state.momenta)
        return (
            Start(state.params, state.state, self.lr(state.round)),
            Mine(shift, momenta),
            chosen,
            keys,
        )

    def lr(self, number: Int[Array, ""]) -> Float[Array, ""]:
        lr = self.algorithm.local.lr
        return jnp.asarray(lr(number) if callable(lr) else lr, float)

    def conclude(
        self, state: FederatedState, sent: Sent, result: LocalResult, weights: Float[Array, " N"]
    ) -> tuple[FederatedState, RoundMetrics]:
        a, (start, _, chosen, _) = self.algorithm, sent
        p = weights[chosen] / weights[chosen].sum()
        moved = jax.tree.map(lambda w, v: w - v, start.params, result.params)  # (S, ...)
        scale = a.local.effective_steps(result.steps.astype(weights.dtype))
        direction = _mean(p * (p @ scale) / scale if a.normalised else p, moved)
        updates, server = a.server.update(direction, state.server, state.params)
        control, controls = state.control, state.controls
        if a.controls:
            # option II: c_i+ - c_i = (w - v_i) / (a_i lr) - c
            change = jax.tree.map(
                lambda c, d: d / (_along(scale, d) * start.lr) - c, control, moved
            )
            controls = jax.tree.map(
                lambda c, d: c.at[chosen].add(d.astype(c.dtype)), controls, change
            )
            control = jax.tree.map(jnp.add, control, _mean(weights[chosen], change))
        momenta = state.momenta
        if a.carry_momentum:
            momenta = jax.tree.map(
                lambda old, new: old.at[chosen].set(new), momenta, result.momentum
            )
        finite = jax.tree.map(
            lambda v: jnp.isfinite(v.reshape(len(chosen), -1)).all(1), result.params
        )
        squares = [jnp.square(d.reshape(len(chosen), -1)).sum(1) for d in jax.tree.leaves(moved)]
        metrics = RoundMetrics(
            p @ result.loss,
            jnp.sqrt(p @ sum(squares)),
            jnp.all(jnp.stack(jax.tree.leaves(finite)), 0),
            chosen,
        )
        new = FederatedState(
            optax.apply_updates(state.params, updates),
            _mean_state(p, state.state, result.state),
            server,
            control,
            controls,
            momenta,
            state.round + 1,
        )
        return new, metrics


@lru_cache(maxsize=16)
def _federated(rule: _Rule, client: Client, client_axis: ClientAxis | None) -> Federated:
    started: dict[str, Any] = {}

    def compiled(state: FederatedState, clients: ClientData, key: Array) -> Any:
        """(round, local), made at the first call.

        The choice of the axis looks at the model's program.
        """
        checks.instance(
            "state", state, FederatedState, "the state that init(params, state) or a round gives"
        )
        checks.instance("clients", clients, ClientData, "clients made by pad_clients(x, y, parts)")
        checks.key("key", key)
        if not started:
            start, mine, *_ = jax.eval_shape(rule.prepare, state, key)
            axis = best_axis(client, start, mine, clients) if client_axis is None else client_axis
            run = run_clients(client, axis)
            host = isinstance(axis, str) and axis in ("threads", "host")
            prepare, conclude = (
                (jax.jit(rule.prepare), jax.jit(rule.conclude))
                if host
                else (rule.prepare, rule.conclude)
            )

            def one_local(state: FederatedState, clients: ClientData, key: Array) -> LocalResult:
                start, mine, chosen, keys = prepare(state, key)
                return run(start, mine, chosen, keys, clients)

            def one_round(state: FederatedState, clients: ClientData, key: Array) -> Any:
                sent = prepare(state, key)
                start, mine, chosen, keys = sent
                result = run(start, mine, chosen, keys, clients)
                return conclude(state, sent, result, clients.weights)

            pair = (one_round, one_local)
            started["pair"] = pair if host else tuple(map(jax.jit, pair))
        return started["pair"]

    return Federated(
        rule.init,
        lambda state, clients, key: compiled(state, clients, key)[0](state, clients, key),
        lambda state, clients, key: compiled(state, clients, key)[1](state, clients, key),
    )


def _server_state(server: optax.GradientTransformation, params: Params) -> optax.OptState:
    """The server optimizer's first state; one that asks for the loss is refused."""
    state = server.init(params)
    try:
        jax.eval_shape(server.update, params, state, params)
    except TypeError as error:
        if "value" not in str(error):
            raise
        raise InputError(
            "server: this optimizer asks for the loss, which a server does not know; take one of "
            "the pseudo-gradient alone, such as optax.adam(0.1)"
        ) from error
    return state


def _along(p: Float[Array, " s"], a: Float[Array, "s ..."]) -> Float[Array, "s ..."]:
    return p.reshape(-1, *(1,) * (a.ndim - 1))


def _mean(p: Float[Array, " s"], tree: PyTree[Float[Array, "s ..."]]) -> PyTree[Array]:
    return jax.tree.map(lambda a: jnp.tensordot(p, a, 1, precision="highest").astype(a.dtype), tree)


def _mean_state(p: Float[Array, " s"], old: State, new: State) -> State:
    """Batch statistics are averaged like weights; counters and random streams stay the server's."""

    def one(before: Array, after: Array) -> Array:
        return _mean(p, after) if jnp.issubdtype(before.dtype, jnp.floating) else before

    return jax.tree.map(one, old, new)


def check_finite(metrics: RoundMetrics) -> int | None:
    """The first chosen client whose model is not finite, or None."""
    finite = np.asarray(metrics.finite)
    return None if finite.all() else int(np.asarray(metrics.chosen)[np.argmin(finite)])
