"""Counting under continual observation: the binary-tree mechanism, and learners made of counters.

The number of ones among the first t examples is released for every t. Each dyadic block of rounds
has one noise; a prefix is the sum of at most log2(T) + 1 blocks, one for each binary digit of t.
Source: Dwork, Naor, Pitassi & Rothblum 2010; Chan, Shi & Song 2011; learners made of counters,
Dmitriev, Szabó & Sanyal 2024, proposition 3.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.keys import spend
from theorylab.privacy.online.streams import RunLengthStream

Noise = Literal["laplace", "gaussian"]
LONGEST = 2**24


class TreeCounterState(NamedTuple):
    """Where a counter is.

    Attributes:
        seen: examples so far.
        sums: (levels,) ones in the open block of every level.
        noises: (levels,) that block's noise.
        key: of the next block.
    """

    seen: int
    sums: Float[Array, " levels"]
    noises: Float[Array, " levels"]
    key: Array


@dataclass(frozen=True)
class TreeCounter:
    """The binary mechanism over T rounds: all T counts, private under a change of one example.

    Noise is drawn in floating point, so use it to study mechanisms and not to guard data against
    those who read the last bits of an output.

    Args:
        rounds: T, between 1 and 2^24.
        epsilon: above 0.
        noise: "laplace", which is (epsilon, 0)-private with scale (number of levels) / epsilon a
            block, or "gaussian", (epsilon, delta)-private, with the smallest standard deviation for
            the L2 change sqrt(levels); it has the smaller error for large T.
        delta: above 0 and below 1 for Gaussian noise; None for Laplace noise, which has none.

    Raises:
        InputError: an argument out of range, or a delta that is missing or one too many.

    Source:
        Dwork, Naor, Pitassi & Rothblum 2010; Chan, Shi & Song 2011. Gaussian scale: Balle & Wang
        2018, theorem 8.
    """

    rounds: int
    epsilon: float
    noise: Noise = "laplace"
    delta: float | None = None

    def __post_init__(self) -> None:
        checks.count("rounds", self.rounds, 1, LONGEST)
        checks.number("epsilon", self.epsilon, 0.0, open_low=True)
        checks.choice("noise", self.noise, ("laplace", "gaussian"))
        if self.noise == "gaussian":
            if self.delta is None:
                raise InputError("delta = None; Gaussian noise needs a delta in (0, 1)")
            checks.number("delta", self.delta, 0.0, 1.0, open_low=True, open_high=True)
        elif self.delta is not None:
            raise InputError(f"delta = {self.delta}; Laplace noise has none, leave it out")

    @property
    def levels(self) -> int:
        """Blocks that a round is in, and most blocks of a prefix: floor(log2 T) + 1."""
        return int(self.rounds).bit_length()

    @property
    def scale(self) -> float:
        """Laplace scale, or Gaussian standard deviation, of the noise of one block."""
        if self.noise == "laplace":
            return self.levels / float(self.epsilon)
        return gaussian_noise_scale(math.sqrt(self.levels), self.epsilon, self.delta or 0.0)

    def errors(self, key: Array, runs: int) -> Float[Array, "runs T"]:
        """Draws of the error of all counts, (runs, T), which does not depend on the data.

        A simulation: the key is not spent.
        """
        keys = jax.random.split(checks.key("key", key), checks.count("runs", runs))
        return _errors(keys, self.scale, rounds=self.rounds, noise=self.noise)

    def largest_errors(self, key: Array, runs: int) -> Float[Array, " runs"]:
        """Draws of max_t |error|, (runs,), in batches that fit in the memory."""
        runs = checks.count("runs", runs)
        keys = jax.random.split(checks.key("key", key), runs)
        return _largest_errors(
            keys,
            self.scale,
            rounds=self.rounds,
            noise=self.noise,
            batch=max(1, min(runs, 2**22 // self.rounds)),
        )

    def simulate(self, key: Array, bits: Int[Any, "*batch T"]) -> Float[Array, "*batch T"]:
        """Private counts of streams of zeros and ones, with noise of its own for each, (..., T).

        To study the mechanism: the key is not spent.
        """
        given = self._bits(bits)
        errors = self.errors(key, max(1, math.prod(given.shape[:-1])))
        return jnp.cumsum(given, -1) + errors.reshape(given.shape)

    def release(self, key: Array, bits: Int[Any, " T"]) -> Float[Array, " T"]:
        """The private counts of one stream, (T,). The key is spent: InputError if it was before."""
        given = self._bits(bits)
        if given.ndim != 1:
            raise InputError(f"bits has shape {given.shape}; one stream, (rounds,), is needed")
        return self.simulate(spend(key), given)

    def start(self, key: Array) -> TreeCounterState:
        """The state before any example, to count a stream as it comes.

        The key is spent: InputError if it was before.
        """
        noises = jax.random.split(spend(key))[1]
        return TreeCounterState(0, jnp.zeros(self.levels), jnp.zeros(self.levels), noises)

    def step(self, state: TreeCounterState, bit: int) -> tuple[TreeCounterState, Float[Array, ""]]:
        """The state after one more example, 0 or 1, and the private count so far.

        The state's key is spent: a state that was stepped before is refused. Raises InputError
        after T examples, too. In law the counts are those of `release`.
        """
        checks.instance("state", state, TreeCounterState, "the state of a start or step")
        if state.seen >= self.rounds:
            raise InputError(f"state has seen all {self.rounds} rounds; start a new counter")
        new = checks.count("bit", bit, 0, 1)
        here, following = jax.random.split(spend(state.key))
        seen = state.seen + 1
        level = (seen & -seen).bit_length() - 1  # the block that ends here joins all below it
        joined = state.sums[:level].sum() + new
        sums = state.sums.at[:level].set(0.0).at[level].set(joined)
        drawn = self.scale * _block_noise(here, (), self.noise)
        noises = state.noises.at[:level].set(0.0).at[level].set(drawn)
        return TreeCounterState(seen, sums, noises, following), (sums + noises).sum()

    def _bits(self, bits: Any) -> Array:
        given = jnp.asarray(checks.within("bits", bits, 0, 1, whole=True))
        if given.ndim == 0 or given.shape[-1] != self.rounds:
            raise InputError(
                f"bits has shape {given.shape}; the last axis must be the {self.rounds} rounds"
            )
        return given


def gaussian_noise_scale(sensitivity: float, epsilon: float, delta: float) -> float:
    """The smallest standard deviation for which adding Gaussian noise is (epsilon, delta)-private.

    Args:
        sensitivity: the largest change in L2 norm, above 0.
        epsilon: above 0.
        delta: above 0 and below 1.

    Returns:
        Sigma, to relative precision 1e-10.

    Raises:
        InputError: an argument out of range, or a pair for which sigma over the sensitivity is not
            between 1e-3 and 1e8.

    Source:
        Balle & Wang 2018, theorem 8 (exact, for every epsilon; the textbook formula holds below 1
        only and is larger).
    """
    change = float(checks.number("sensitivity", sensitivity, 0.0, open_low=True))
    level = float(checks.number("epsilon", epsilon, 0.0, open_low=True))
    slack = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))

    def excess(log_scale: float) -> float:
        ratio = math.exp(-log_scale)
        tail = level + log_ndtr(-ratio / 2 - level / ratio)
        return float(ndtr(ratio / 2 - level / ratio) - math.exp(tail) - slack)

    # sensitivity / sigma between 1e-8 and 1e3 covers epsilons from 1e-7 to 1e5
    low, high = math.log(1e-3), math.log(1e8)
    if not excess(low) > 0 > excess(high):
        raise InputError(
            f"epsilon = {level:g} with delta = {slack:g} is out of the range that can be solved for"
        )
    return change * math.exp(brentq(excess, low, high, xtol=1e-11))


@dataclass(frozen=True)
class FirstCrossing:
    """When a learner made of counters commits itself, and to which hypothesis.

    Attributes:
        round: (...) the first round at which a counter exceeds alpha, T + 1 if none does.
        label: (...) the counter that is largest then, -1 if none exceeds alpha.
    """

    round: Int[Array, "..."]
    label: Int[Array, "..."]


def counter_to_learner(counts: Float[Any, "... N T"], alpha: float) -> FirstCrossing:
    """The learner of a class of points that waits for a counter and then keeps to its hypothesis.

    It predicts 0 until some hypothesis' counter exceeds alpha, and that hypothesis for ever after.
    With counters whose error stays below alpha with probability 1 - b it makes at most 2 alpha + b
    (number of ones) mistakes in expectation, and it is 2 epsilon-private for counters that are
    epsilon-private, however many they are: one example touches one counter.

    Args:
        counts: (..., N, T) private counts of N hypotheses over T rounds.
        alpha: at least 0.

    Returns:
        A `FirstCrossing` with the leading shape (...).

    Raises:
        InputError: counts that are not finite or lack an axis, or a negative alpha.

    Source:
        Dmitriev, Szabó & Sanyal 2024, proposition 3; privacy without the factor sqrt(N) is our
        derivation, docs/derivations/dp_online.md, statement 10.
    """
    given = jnp.asarray(checks.finite("counts", counts))
    if given.ndim < 2:
        raise InputError(f"counts has shape {given.shape}; (..., hypotheses, rounds) is needed")
    level = checks.number("alpha", alpha, 0.0)
    over = (given > level).any(-2)
    ever, first = over.any(-1), jnp.argmax(over, -1)
    at = jnp.take_along_axis(given, first[..., None, None], -1)[..., 0]
    return FirstCrossing(
        jnp.where(ever, first + 1, given.shape[-1] + 1), jnp.where(ever, jnp.argmax(at, -1), -1)
    )


def simulate_counter_learner(
    key: Array,
    counter: TreeCounter,
    stream: RunLengthStream,
    *,
    alpha: float,
    hypotheses: int,
    runs: int,
) -> Int[np.ndarray, " runs"]:
    """Mistakes of the learner made of counters on a stream whose ones are all of hypothesis 0.

    Uninformative examples are of a point of which no hypothesis is the indicator. A simulation: the
    key is not spent.

    Args:
        key: typed key.
        counter: its T must be that of the stream.
        stream: the stream.
        alpha: that a counter has to exceed, at least 0.
        hypotheses: N >= 1, each with a counter of its own.
        runs: how many games.

    Returns:
        (runs,) number of mistakes of every run.

    Raises:
        InputError: an argument out of range, or a counter and a stream of different lengths.
    """
    checks.instance("counter", counter, TreeCounter, "a TreeCounter")
    checks.instance("stream", stream, RunLengthStream, "a RunLengthStream")
    checks.count("runs", runs), checks.count("hypotheses", hypotheses)
    if counter.rounds != stream.rounds:
        raise InputError(
            f"stream has {stream.rounds} rounds and counter {counter.rounds}; the same are needed"
        )
    errors = counter.errors(key, runs * hypotheses).reshape(runs, hypotheses, -1)
    bits = jnp.asarray(stream.bits)
    decided = counter_to_learner(errors.at[:, 0].add(jnp.cumsum(bits)), alpha)
    fired, label = np.asarray(decided.round), np.asarray(decided.label)
    ones = np.asarray(stream.ones, np.int64)
    # the prediction of a round knows the counters of the rounds before it
    right = (label == 0)[:, None] & (fired[:, None] < ones)
    return (~right).sum(1)


def _block_noise(key: Array, shape: tuple[int, ...], noise: Noise) -> Array:
    draw = jax.random.laplace if noise == "laplace" else jax.random.normal
    return draw(key, shape)


def _one(key: Array, scale: Array, rounds: int, noise: Noise) -> Array:
    """Errors of the counts of one run.

    A block ends at a left child's round alone, so from the top level down each prefix either has no
    block of this level or one: even and odd digits.
    """
    levels = rounds.bit_length()
    blocks = _block_noise(key, (2**levels - 1,), noise)  # one program of random numbers, not many
    total = jnp.zeros(1)
    for level in range(levels):
        here = blocks[2**level - 1 : 2 ** (level + 1) - 1]
        total = jnp.stack([total, total + here], axis=1).reshape(-1)
    return scale * total[1 : rounds + 1]


@partial(jax.jit, static_argnames=("rounds", "noise"))
def _errors(keys: Array, scale: float, *, rounds: int, noise: Noise) -> Array:
    return jax.vmap(lambda key: _one(key, jnp.asarray(scale), rounds, noise))(keys)


@partial(jax.jit, static_argnames=("rounds", "noise", "batch"))
def _largest_errors(keys: Array, scale: float, *, rounds: int, noise: Noise, batch: int) -> Array:
    return jax.lax.map(
        lambda key: jnp.abs(_one(key, jnp.asarray(scale), rounds, noise)).max(),
        keys,
        batch_size=batch,
    )
