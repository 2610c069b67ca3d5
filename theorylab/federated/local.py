"""What a client does in a round: gradient steps on its own examples, shared by every algorithm.

A step from v, with g the gradient of the client's loss at a batch, w the model that the round
started from and s the shift that the algorithm adds (SCAFFOLD: c - c_i):

    m <- rho m + (g + decay v + mu (v - w) + s),  v <- v - lr m
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.federated.clients import ClientData
from theorylab.nets.functional import Params, State
from theorylab.pytrees import register

Augment = Callable[[Key[Array, ""], Any], Any]
# What a client's key is folded with for each of its uses.
_ORDER, _AUGMENT, _STREAMS = 0xFED0001, 0xFED0002, 0xFED0003


@dataclass(frozen=True, kw_only=True)
class LocalSGD:
    """Local training of one round, by exactly one of `epochs` and `steps`.

    Attributes:
        lr: step size, or a function of the number of the round (an optax schedule).
        epochs: passes over the client's examples, each of ceil(n_i / batch_size) steps, the last
            batch shorter.
        steps: gradient steps, the same number at every client.
        batch_size: examples per step, drawn by a new permutation every epoch; None for all of the
            client's examples.
        momentum: rho, the buffer starting at zero every round (`carry_momentum` of the algorithm
            keeps it).
        weight_decay: of the L2 kind, added to the gradient.
        prox_mu: FedProx's mu.
        augment: (key, x of a batch) -> x, drawn again at every step.

    Raises:
        InputError: none or both of `epochs` and `steps`; numbers out of range.

    Source:
        the plain steps of McMahan et al. (2017), algorithm 1, ClientUpdate; the proximal term of
        Li et al. (2020).
    """

    lr: float | Callable[[Any], Any]
    epochs: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    prox_mu: float = 0.0
    augment: Augment | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise InputError("epochs, steps: give exactly one of the two")
        for name in ("epochs", "steps", "batch_size"):
            value = getattr(self, name)
            if value is not None:
                checks.count(name, value)
        if not callable(self.lr):
            checks.number("lr", self.lr, 0, open_low=True)
        checks.number("momentum", self.momentum, 0, 1, open_high=True)
        for name in ("weight_decay", "prox_mu"):
            checks.number(name, getattr(self, name), 0)
        if self.augment is not None:
            checks.function("augment", self.augment)

    def batches(self, counts: Any) -> Any:
        """Steps of one epoch at clients with this number of examples."""
        counts = checks.within("counts", counts, 1, whole=True)
        return counts // counts if self.batch_size is None else -(-counts // self.batch_size)

    def step_counts(self, counts: Any) -> Any:
        """tau_i: steps of one round."""
        counts = checks.within("counts", counts, 1, whole=True)
        return (
            counts * 0 + self.steps if self.epochs is None else self.epochs * self.batches(counts)
        )

    def effective_steps(self, tau: Any) -> Any:
        """a_i: displacement of tau steps along a constant gradient, in units of lr times it.

        tau without momentum, (tau - rho (1 - rho^tau) / (1 - rho)) / (1 - rho) with it (Wang et al.
        2020, FedNova).
        """
        rho, tau = self.momentum, checks.nonnegative("tau", tau)
        return (tau - rho * (1 - rho**tau) / (1 - rho)) / (1 - rho) if rho else 1.0 * tau


class Start(NamedTuple):
    """What the server sends to all: the model, and the step size of the round."""

    params: Params
    state: State
    lr: Float[Array, ""]


class Mine(NamedTuple):
    """What one client takes along into a round.

    The shift of its gradients and its momentum buffer; () where there is none.
    """

    shift: PyTree[Array]
    momentum: PyTree[Array]


@register()
@dataclass(frozen=True)
class LocalResult:
    """What a client sends back; of S clients, with a leading axis S.

    Attributes:
        params, state: its model.
        momentum: its momentum buffer, or ().
        loss: mean training loss over its steps, each before its update.
        steps: tau_i, the number of its steps.

    Source:
        McMahan et al. (2017), algorithm 1.
    """

    params: Params
    state: State
    momentum: PyTree[Array]
    loss: Float[Array, "*S"]
    steps: Int[Array, "*S"]


class _Carry(NamedTuple):
    params: Params
    state: State
    momentum: PyTree[Array]
    loss: Float[Array, ""]


@dataclass(frozen=True)
class Client:
    """The client primitive, taken apart into begin, step and finish.

    So whoever runs the clients also drives the loop.

    Attributes:
        apply: train-mode (params, state, x) -> (output, state).
        loss: (output, y) -> one value per example.
        orders: epochs of a round for which an order is drawn, enough for every client.
    """

    local: LocalSGD
    apply: Callable[[Params, State, Any], tuple[Any, State]]
    loss: Callable[[Any, Any], Array]
    orders: int

    @classmethod
    def of(cls, local: LocalSGD, apply: Any, loss: Any, clients: ClientData) -> "Client":
        """The primitive of these clients, with orders of batches enough for the largest."""
        counts = np.asarray(clients.counts)
        orders = int(np.max(-(-local.step_counts(counts) // local.batches(counts))))
        return cls(local, apply, loss, 0 if local.batch_size is None else orders)

    def steps(self, i: Int[Array, ""], clients: ClientData) -> Int[Array, ""]:
        """Steps that client i takes in a round."""
        return self.local.step_counts(clients.mask[i].sum(dtype=jnp.int32))

    def begin(
        self, start: Start, mine: Mine, i: Int[Array, ""], key: Key[Array, ""], clients: ClientData
    ) -> tuple[_Carry, Int[Array, "e n"]]:
        """Where the steps start from, and the order of the examples in every epoch."""
        momentum = mine.momentum
        if self.local.momentum and not jax.tree.leaves(momentum):
            momentum = jax.tree.map(jnp.zeros_like, start.params)
        loss = jnp.zeros((), clients.weights.dtype)
        orders = epoch_orders(key, self.orders, clients.mask[i])
        return _Carry(start.params, reseed(start.state, key), momentum, loss), orders

    def step(
        self,
        t: Int[Array, ""],
        carry: _Carry,
        orders: Int[Array, "e n"],
        start: Start,
        mine: Mine,
        i: Int[Array, ""],
        key: Key[Array, ""],
        clients: ClientData,
    ) -> _Carry:
        """Take one gradient step on one batch."""
        local = self.local
        if local.batch_size is None:
            x, y, inside = jax.tree.map(lambda a: a[i], (clients.x, clients.y, clients.mask))
        else:
            n = clients.mask[i].sum(dtype=jnp.int32)
            per_epoch = local.batches(n)
            places = t % per_epoch * local.batch_size + jnp.arange(local.batch_size)
            # a short last batch is filled up with the client's first ones, which count in batch
            # statistics alone
            picked = orders[t // per_epoch, places % n]
            x, y = jax.tree.map(lambda a: a[i, picked], (clients.x, clients.y))
            inside = places < n
        if local.augment is not None:
            x = local.augment(jax.random.fold_in(jax.random.fold_in(key, _AUGMENT), t), x)

        def objective(params: Params) -> tuple[Float[Array, ""], State]:
            output, state = self.apply(params, carry.state, x)
            value = self.loss(output, y)
            value = value.reshape(value.shape[0], -1).mean(1)
            return jnp.where(inside, value, 0).sum() / inside.sum(), state

        (value, state), gradient = jax.value_and_grad(objective, has_aux=True)(carry.params)
        if local.weight_decay:
            gradient = jax.tree.map(lambda g, v: g + local.weight_decay * v, gradient, carry.params)
        if local.prox_mu:
            gradient = jax.tree.map(
                lambda g, v, w: g + local.prox_mu * (v - w), gradient, carry.params, start.params
            )
        if jax.tree.leaves(mine.shift):
            gradient = jax.tree.map(jnp.add, gradient, mine.shift)
        momentum = carry.momentum
        if local.momentum:
            gradient = momentum = jax.tree.map(
                lambda m, g: local.momentum * m + g, momentum, gradient
            )
        params = jax.tree.map(
            lambda v, g: (v - start.lr * g).astype(v.dtype), carry.params, gradient
        )
        # batch norm may promote its statistics; a loop needs the same types in and out
        state = jax.tree.map(lambda new, old: new.astype(old.dtype), state, carry.state)
        return _Carry(params, state, momentum, carry.loss + value.astype(carry.loss.dtype))

    def finish(self, carry: _Carry, i: Int[Array, ""], clients: ClientData) -> LocalResult:
        """What the client sends back after its last step."""
        tau = self.steps(i, clients)
        return LocalResult(carry.params, carry.state, carry.momentum, carry.loss / tau, tau)

    def __call__(
        self, start: Start, mine: Mine, i: Int[Array, ""], key: Key[Array, ""], clients: ClientData
    ) -> LocalResult:
        """A whole round of client `i` as one compiled loop.

        It ends after the client's own number of steps.
        """
        carry, orders = self.begin(start, mine, i, key, clients)
        body = lambda t, carry: self.step(t, carry, orders, start, mine, i, key, clients)  # noqa: E731
        return self.finish(jax.lax.fori_loop(0, self.steps(i, clients), body, carry), i, clients)


def epoch_orders(key: Key[Array, ""], epochs: int, mask: Bool[Array, " n"]) -> Int[Array, "e n"]:
    """Draw for every epoch a random order of a client's own examples, the padding after them."""
    draws = jax.random.uniform(jax.random.fold_in(key, _ORDER), (epochs, mask.size))
    return jnp.argsort(jnp.where(mask, draws, 2.0)).astype(jnp.int32)


def reseed(state: State, key: Key[Array, ""]) -> State:
    """Draw dropout streams from the client's key.

    So clients and rounds drop different units.
    """
    leaves, layout = jax.tree.flatten(state)
    for j, leaf in enumerate(leaves):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaves[j] = jax.random.split(
                jax.random.fold_in(jax.random.fold_in(key, _STREAMS), j), leaf.shape
            )
    return jax.tree.unflatten(layout, leaves)


def with_local(local: LocalSGD | None, options: dict[str, Any]) -> LocalSGD:
    """`LocalSGD` from itself, from its options, or with some of them replaced."""
    if local is not None:
        checks.instance(
            "local",
            local,
            LocalSGD,
            "LocalSGD(lr=0.1, epochs=5, batch_size=64), or its options one by one,",
        )
    if local is None:
        if "lr" not in options:
            raise InputError(
                "local, lr: the step size of the clients is needed, as in fedavg(lr=0.1, "
                "epochs=5, batch_size=64)"
            )
        return LocalSGD(**options)
    return replace(local, **options)
