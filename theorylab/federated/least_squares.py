"""SCAFFOLD and FedAvg on least squares, the convex problem of TCT's second stage: the primal loops.

Client i holds features Phi_i (n_i, p) and targets Y_i (n_i, K), with the loss F_i(theta) = |Phi_i
theta - Y_i|^2 / (2 n_i); its Hessian is H_i = Phi_i^T Phi_i / n_i and b_i = Phi_i^T Y_i / n_i. A
round takes M full-batch gradient steps of size eta at every client, from theta:

    h_i   <-  h_i + (theta - theta_i) / (M eta)     theta_i: the client's result of the last round
    v     <-  v - eta (H_i v - b_i - h_i), M times  from v = theta; FedAvg has h_i = 0
    theta <-  sum_i p_i theta_i

With full participation this is SCAFFOLD's option II with h_i = c_i - c. The number of operations
grows with M and p; that of `scaffold_gram` does not.

Source: Karimireddy et al. (2020), algorithm 1, option II; the form is that of Yu et al. (2022,
TCT), stage 2, and of our derivation, docs/derivations/federated_least_squares.md, statement 1.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.deprecation import old_options
from theorylab.errors import InputError
from theorylab.federated.clients import Weights, client_weights
from theorylab.federated.step_size import Blocks, blocks, check_step_size
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class LeastSquaresState:
    """Where a run of SCAFFOLD or FedAvg on least squares stands.

    Attributes:
        theta: (p, K) the averaged model.
        h: (N, p, K) the corrections.
        local: (N, p, K) the clients' own results of the last round.
    """

    theta: Float[Array, "p K"]
    h: Float[Array, "N p K"]
    local: Float[Array, "N p K"]


@dataclass(frozen=True)
class LeastSquaresRun:
    """Rounds of SCAFFOLD or FedAvg on least squares: NumPy arrays in the features' precision.

    Attributes:
        theta: (p, K) after the last round.
        state: to go on from.
        trajectory: (rounds, p, K) theta after every round, if asked for, else None.
        predictions: (rounds, m, K) at `EachRound.Phi_eval` after every round, else None.
    """

    theta: Float[np.ndarray, "p K"]
    state: LeastSquaresState
    trajectory: Float[np.ndarray, "T p K"] | None
    predictions: Float[np.ndarray, "T m K"] | None


@dataclass(frozen=True, eq=False)
class EachRound:
    """What is kept of every round.

    Attributes:
        Phi_eval: (m, p) features at which to predict after every round, None for none.
        trajectory: keep theta after every round, rounds p K numbers.

    Raises:
        InputError: a trajectory that is no flag.
    """

    Phi_eval: Float[ArrayLike, "m p"] | None = None
    trajectory: bool = False

    def __post_init__(self) -> None:
        checks.flag("trajectory", self.trajectory)


_NOTHING = EachRound()


@old_options(keep=(EachRound, "Phi_eval keep_trajectory=trajectory"))
def scaffold_least_squares(
    Phi: Blocks,
    Y: Blocks,
    *,
    eta: float,
    local_steps: int,
    rounds: int,
    weights: Weights = "size",
    state: LeastSquaresState | None = None,
    keep: EachRound = _NOTHING,
) -> LeastSquaresRun:
    """Run SCAFFOLD on least squares with full participation, from theta = 0 or from a state.

    Use it where p is small or n beyond 20,000; `scaffold_gram` costs the same for any M and p.

    Args:
        Phi, Y: (N, n, p) and (N, n, K), or one (n_i, p) and (n_i, K) array per client; float64
            arrays are computed in float64, also where JAX is in its float32 mode.
        eta: local step size below 2 / lambda_max(H_i) for every i; `stable_step_size` gives one.
        local_steps: M, gradient steps per round.
        rounds: number of rounds.
        weights: p_i of the average, as for `pad_clients`.
        state: where to go on from; by default from 0.
        keep: what is kept of every round, `EachRound(Phi_eval, trajectory)`; nothing by default.

    Returns:
        A `LeastSquaresRun`.

    Raises:
        InputError: eta of 2 / lambda_max or above, with both numbers; a client without examples or
            with NaN; shapes that do not fit.
    """
    steps = _Steps(eta, local_steps, rounds, correct=True)
    return _run(Phi, Y, steps, weights, state, keep)


@old_options(keep=(EachRound, "Phi_eval keep_trajectory=trajectory"))
def fedavg_least_squares(
    Phi: Blocks,
    Y: Blocks,
    *,
    eta: float,
    local_steps: int,
    rounds: int,
    weights: Weights = "size",
    state: LeastSquaresState | None = None,
    keep: EachRound = _NOTHING,
) -> LeastSquaresRun:
    """Run FedAvg on least squares: the same loop without corrections.

    Its limit is biased for M > 1 where clients differ (`fedavg_fixed_point`).

    Args:
        Phi, Y: (N, n, p) and (N, n, K), or one (n_i, p) and (n_i, K) array per client.
        eta: local step size below 2 / lambda_max(H_i) for every i.
        local_steps: M, gradient steps per round.
        rounds: number of rounds.
        weights: p_i of the average, as for `pad_clients`.
        state: where to go on from; by default from 0.
        keep: what is kept of every round, `EachRound(Phi_eval, trajectory)`; nothing by default.

    Returns:
        A `LeastSquaresRun`.

    Raises:
        InputError: as `scaffold_least_squares`.
    """
    steps = _Steps(eta, local_steps, rounds, correct=False)
    return _run(Phi, Y, steps, weights, state, keep)


class _Steps(NamedTuple):
    """Step size, steps per round, rounds, and whether drift is corrected (SCAFFOLD)."""

    eta: Any
    local_steps: Any
    rounds: int
    correct: bool


class _Clients(NamedTuple):
    """Features and targets padded by rows of zeros, which add nothing to H_i and b_i."""

    phi: Float[Array, "N n p"]
    y: Float[Array, "N n K"]
    counts: Float[Array, " N"]
    weights: Float[Array, " N"]


def _run(
    Phi: Blocks,
    Y: Blocks,
    steps: _Steps,
    weights: Weights,
    state: LeastSquaresState | None,
    keep: EachRound,
) -> LeastSquaresRun:
    phi, y = blocks("Phi", Phi), blocks("Y", Y)
    check_blocks(phi, y)
    local_steps = checks.count("local_steps", steps.local_steps)
    rounds = checks.count("rounds", steps.rounds, 0)
    checks.instance("keep", keep, EachRound, "EachRound(Phi_eval, trajectory)")
    check_step_size(steps.eta, phi)
    counts = np.array([len(a) for a in phi])
    dtype = np.result_type(*phi, *y)
    p, k = phi[0].shape[1], y[0].shape[1]
    Phi_eval = keep.Phi_eval
    if Phi_eval is not None:
        Phi_eval = checks.finite("Phi_eval", Phi_eval, shape=(None, p))
    _check_state(state, len(phi), p, k)
    with float64_if(dtype):
        clients = _Clients(
            pad_zeros(phi, dtype),
            pad_zeros(y, dtype),
            jnp.asarray(counts, dtype),
            jnp.asarray(client_weights(weights, counts), dtype),
        )
        if state is None:
            each = jnp.zeros((len(phi), p, k), dtype)
            state = LeastSquaresState(each[0], each, each)
        evaluation = None if Phi_eval is None else jnp.asarray(Phi_eval, dtype)
        state, (trajectory, predictions) = _scan(
            state,
            clients,
            jnp.asarray(steps.eta, dtype),
            evaluation,
            local_steps,
            rounds=rounds,
            correct=steps.correct,
            keep=keep.trajectory,
        )
    # NumPy arrays: in JAX's float32 mode a float64 JAX array would lose half its digits at the next
    # operation
    state, trajectory, predictions = jax.device_get((state, trajectory, predictions))
    return LeastSquaresRun(np.asarray(state.theta), state, trajectory, predictions)


@partial(jax.jit, static_argnames=("rounds", "correct", "keep"))
def _scan(
    state: LeastSquaresState,
    clients: _Clients,
    eta: Float[Array, ""],
    phi_eval: Float[Array, "m p"] | None,
    local_steps: int | Array,
    *,
    rounds: int,
    correct: bool,
    keep: bool,
) -> tuple[LeastSquaresState, tuple[Any, Any]]:
    phi, y, counts, weights = clients

    def client(theta: Array, h: Array, phi: Array, y: Array, n: Array) -> Float[Array, "p K"]:
        def step(_: int, v: Array) -> Array:
            return v - eta * (_dot(phi.T, _dot(phi, v) - y) / n - h)

        return jax.lax.fori_loop(0, local_steps, step, theta)

    def one_round(s: LeastSquaresState, _: None) -> tuple[LeastSquaresState, tuple[Any, Any]]:
        h = s.h + (s.theta - s.local) / (local_steps * eta) if correct else s.h
        local = jax.lax.map(lambda a: client(s.theta, *a), (h, phi, y, counts))
        theta = jnp.tensordot(weights, local, 1, precision="highest")
        seen = None if phi_eval is None else _dot(phi_eval, theta)
        return LeastSquaresState(theta, h, local), (theta if keep else None, seen)

    return jax.lax.scan(one_round, state, None, length=rounds)


_dot = partial(jnp.dot, precision="highest")


def _check_state(state: Any, n: int, p: int, k: int) -> None:
    if state is None:
        return
    checks.instance("state", state, LeastSquaresState, "the state of an earlier run, or None,")
    for name, shape in (("theta", (p, k)), ("h", (n, p, k)), ("local", (n, p, k))):
        checks.finite(f"state.{name}", getattr(state, name), shape=shape)


def check_blocks(phi: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> None:
    """Refuse features and targets of different numbers of clients or rows."""
    if len(phi) != len(y):
        raise InputError(f"Y: {len(y)} clients given, Phi has {len(phi)}")
    for i, (a, b) in enumerate(zip(phi, y, strict=True)):
        if len(a) != len(b):
            raise InputError(f"Y: {len(b)} rows at client {i}, Phi has {len(a)}")


def float64_if(dtype: Any) -> Any:
    """A float64 context where the numbers are float64, else the caller's own."""
    return jax.enable_x64(True) if np.dtype(dtype) == np.float64 else nullcontext()


def pad_zeros(arrays: Sequence[np.ndarray], dtype: Any) -> Float[Array, "N n c"]:
    """Stack arrays of different lengths, padded by rows of zeros."""
    longest = max(map(len, arrays))
    return jnp.stack(
        [jnp.asarray(np.pad(a.astype(dtype), ((0, longest - len(a)), (0, 0)))) for a in arrays]
    )
