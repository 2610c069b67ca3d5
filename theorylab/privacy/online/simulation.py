"""Games played with drawn noise, which exact laws are checked against, and the mechanism on data.

Source: our simulations of AboveThreshold (Dwork & Roth 2014, section 3.6) and of uniform firing
learners (Dmitriev, Szabó & Sanyal 2024, definition 5).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from theorylab import checks
from theorylab.privacy.online.keys import spend
from theorylab.privacy.online.sparse_vector import (
    AboveThreshold,
    log_laplace_cdf,
    padded_pieces,
)
from theorylab.privacy.online.streams import RunLengthStream, pieces
from theorylab.privacy.online.uniform import UniformFiring

Learner = AboveThreshold | UniformFiring
BATCH = 2**14  # runs that are simulated side by side


@dataclass(frozen=True)
class Games:
    """Simulated games.

    Attributes:
        mistakes: (runs,) of every run.
        round: (runs,) at which the learner fired, T + 1 if it did not.
    """

    mistakes: Int[np.ndarray, " runs"]
    round: Int[np.ndarray, " runs"]

    @property
    def mean(self) -> float:
        """The mean number of mistakes."""
        return float(self.mistakes.mean())

    @property
    def standard_error(self) -> float:
        """The standard error of the mean number of mistakes, 0 for a single run."""
        runs = len(self.mistakes)
        return float(self.mistakes.std(ddof=1) / np.sqrt(runs)) if runs > 1 else 0.0


def simulate_online_game(key: Array, learner: Learner, stream: RunLengthStream, runs: int) -> Games:
    """Play the game round by round, with fresh noise in every test, many runs side by side.

    Nothing here uses the exact law, nor run lengths; for T beyond 2^24 use `simulate_mistakes`. A
    simulation: the key is not spent.

    Args:
        key: typed key.
        learner: `AboveThreshold` or `UniformFiring`.
        stream: realisable, T <= 2^24.
        runs: how many games.

    Returns:
        The `Games`.

    Raises:
        InputError: an argument out of range, or of another kind.
    """
    checks.instance(
        "learner",
        learner,
        (AboveThreshold, UniformFiring),
        "an AboveThreshold or UniformFiring learner",
    )
    checks.instance("stream", stream, RunLengthStream, "a RunLengthStream")
    checks.count("rounds", stream.rounds, 1, 2**24)
    keys = jax.random.split(checks.key("key", key), -(-checks.count("runs", runs) // BATCH))
    rule = learner.fires if isinstance(learner, UniformFiring) else learner
    noise = tuple(float(a) for a in (rule.threshold, rule.threshold_scale, rule.test_scale))
    feedback = learner.feedback if isinstance(learner, UniformFiring) else None
    size = min(runs, BATCH)
    bits = jnp.asarray(stream.bits)
    played = [_play(k, bits, noise, runs=size, feedback=feedback) for k in keys]
    mistakes, fired = (np.concatenate([np.asarray(p[i]) for p in played])[:runs] for i in (0, 1))
    return Games(mistakes, fired)


def simulate_mistakes(
    key: Array, learner: AboveThreshold, stream: RunLengthStream, runs: int
) -> Int[np.ndarray, " runs"]:
    """Draw numbers of mistakes, stretch by stretch: exact in law for any T, 2^60 too.

    Given the noise of the threshold, the silence of a stretch has a known probability; one uniform
    number decides in which stretch the learner fires. The key is not spent.

    Args:
        key: typed key.
        learner: an `AboveThreshold`; for `UniformFiring` use `simulate_online_game`.
        stream: any.
        runs: how many.

    Returns:
        (runs,) numbers of mistakes.

    Raises:
        InputError: an argument out of range, or of another kind.
    """
    checks.instance("learner", learner, AboveThreshold, "an AboveThreshold learner")
    checks.instance("stream", stream, RunLengthStream, "a RunLengthStream")
    checks.key("key", key), checks.count("runs", runs)
    stretches = pieces(stream, [stream.rounds])
    counts, lengths = padded_pieces(stretches)
    with jax.enable_x64(True):
        fired = _draw_pieces(
            key,
            counts,
            lengths,
            tuple(float(a) for a in (learner.threshold, learner.threshold_scale)),
            float(learner.test_scale),
            runs=runs,
        )
        # a one is missed if the learner was silent before: all up to the stretch in which it fires
        seen = np.append(np.asarray(stretches.counts), len(stream.ones))
        return seen[np.minimum(np.asarray(fired), len(seen) - 1)]


class SparseVectorState(NamedTuple):
    """Where the mechanism is.

    Attributes:
        threshold_noise: noise of the threshold.
        ones: seen so far.
        fired: whether it fired, the one output that is private.
        key: of the next test.
    """

    threshold_noise: Float[Array, ""]
    ones: Int[Array, ""]
    fired: Bool[Array, ""]
    key: Array


@dataclass(frozen=True)
class SparseVector:
    """AboveThreshold as it runs on data, example by example, with keys that pay once.

        mechanism = SparseVector(calibrate(1000, 0.1, threshold_scale=1.0, test_scale=1.0))
        state = mechanism.start(key)
        state = mechanism.step(state, one=True)     # state.fired is the private output

    To study the learner, use its exact law or `simulate_online_game`. Noise is drawn in floating
    point: a model of the mechanism, no guard against those who read the last bits of an output.

    Args:
        learner: the `AboveThreshold` learner.

    Raises:
        InputError: another learner.
    """

    learner: AboveThreshold

    def __post_init__(self) -> None:
        checks.instance("learner", self.learner, AboveThreshold, "an AboveThreshold learner")

    def start(self, key: Array) -> SparseVectorState:
        """The state before any example. The key is spent: InputError if it was before."""
        noise, tests = jax.random.split(spend(key))
        drawn = jax.random.laplace(noise) * self.learner.threshold_scale
        return SparseVectorState(drawn, jnp.asarray(0), jnp.asarray(False), tests)

    def step(self, state: SparseVectorState, one: bool) -> SparseVectorState:
        """The state after one more example.

        The state's key is spent: a state that was stepped before is refused, so nobody draws the
        same test twice with another example.
        """
        checks.instance("state", state, SparseVectorState, "the state of a start or step")
        new = checks.flag("one", one)
        here, following = jax.random.split(spend(state.key))
        rule = self.learner
        count = state.ones + int(new)
        noise = jax.random.laplace(here) * rule.test_scale
        over = count + noise >= rule.threshold + state.threshold_noise
        return state._replace(ones=count, fired=state.fired | over, key=following)


@partial(jax.jit, static_argnames=("runs", "feedback"))
def _play(
    key: Array, bits: Array, noise: tuple[Any, Any, Any], *, runs: int, feedback: str | None
) -> tuple[Array, Array]:
    threshold, b1, b2 = noise
    start, rounds = jax.random.split(key)
    level = threshold + b1 * jax.random.laplace(start, (runs,))
    zero = jnp.zeros(runs, jnp.int32)
    state = (zero, zero, jnp.zeros(runs, bool), zero)

    def play(state: Any, example: tuple[Array, Array, Array]) -> tuple[Any, None]:
        count, mistakes, fired, at = state
        t, one, here = example
        test, coin = jax.random.split(here)
        silent_wrong = (
            jnp.ones(runs, bool) if feedback is None else jax.random.bernoulli(coin, 0.5, (runs,))
        )
        wrong = (one > 0) & ~fired & silent_wrong
        count = count + jnp.where(wrong, 1, 0) if feedback == "mistakes" else count + one
        over = count + b2 * jax.random.laplace(test, (runs,)) >= level
        at = jnp.where(over & ~fired, t, at)
        return (count, mistakes + wrong, fired | over, at), None

    horizon = bits.shape[0]
    each = (jnp.arange(1, horizon + 1), bits, jax.random.split(rounds, horizon))
    _, mistakes, fired, at = jax.lax.scan(play, state, each)[0]
    return mistakes, jnp.where(fired, at, horizon + 1)


@partial(jax.jit, static_argnames=("runs",))
def _draw_pieces(
    key: Array, counts: Array, lengths: Array, start: tuple[Any, Any], scale: Any, *, runs: int
) -> Array:
    """The stretch in which each run fires; one past the last if in none."""
    noise, luck = jax.random.split(key)
    level = start[0] + start[1] * jax.random.laplace(noise, (runs,), jnp.float64)
    # P[silent up to here] falls below a uniform number
    limit = jnp.log(jax.random.uniform(luck, (runs,), jnp.float64, minval=1e-300))

    def step(state: tuple[Array, Array], piece: tuple[Array, Array]) -> Any:
        silent, passed = state
        count, length = piece
        silent = silent + length * log_laplace_cdf(level - count, scale)
        return (silent, passed + (silent >= limit)), None

    zero = jnp.zeros(runs)
    state = (zero, jnp.zeros(runs, jnp.int32))
    return jax.lax.scan(step, state, (counts, lengths))[0][1]
