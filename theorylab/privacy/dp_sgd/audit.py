"""Is the epsilon that is printed the epsilon that was spent? Audits of whole descents.

Two ways, both through the code that trains:

- `one_step_law` enumerates all samples that a step may draw, and so has the law of the released
  parameters along a direction: a mixture of Gaussians. `epsilon_between` two of them, for data with
  and without a record, is exact where all centres lie on one line and a lower bound elsewhere.
- `canary_readings` runs descents with and without a canary, a record made to be seen, and reads
  what the released iterates say of it; `lower_epsilon` turns the readings into a lower bound on
  epsilon that is wrong with a probability of at most 1 - confidence.

For pipelines that are broken on purpose there are `FixedSizeSampler` (batches of one size,
accounted for as Poisson samples) and `UnclippedBias` (a bias outside of the clipped norm).
Source: canaries of Jagielski, Ullman & Oprea 2020 and Nasr et al. 2021; the hockey stick as in
Balle, Barthe & Gaboardi 2018; going through all samples is ours.
"""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import log_ndtr, logsumexp
from scipy.stats import beta

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.dp_sgd.descent import Training, _descend, _numbers, _prepared
from theorylab.privacy.dp_sgd.gradients import LinearHead, clip_factor
from theorylab.pytrees import register

QUANTILES = np.linspace(0, 1, 401)[1:-1]  # of the scores, tried as thresholds
TOGETHER = 1e-6  # of the clipping norm: centres so close differ by rounding alone
REACH = 12.0  # standard deviations beyond the centres: what lies there is less than 1e-32
ENUMERATED = 14  # records of which all samples are gone through, at most


@dataclass(frozen=True)
class MixtureLaw:
    """A mixture of Gaussians on the line, all with one standard deviation.

    Args:
        centres: (m,) means.
        chances: (m,) probabilities.
        std: standard deviation, above 0.

    Raises:
        InputError: arrays of different lengths, chances that do not sum to 1, or std not above 0.
    """

    centres: Any
    chances: Any
    std: float

    def __post_init__(self) -> None:
        checks.same_length(centres=self.centres, chances=self.chances)
        checks.finite("centres", self.centres, ndim=1)
        checks.probabilities("chances", self.chances, ndim=1)
        checks.number("std", self.std, 0.0, open_low=True)

    def log_density(self, z: Any) -> Any:
        """Log density at each z, (...)."""
        gap = (np.asarray(z, np.float64)[..., None] - self.centres) / self.std
        return logsumexp(-(gap**2) / 2, b=self.chances, axis=-1) - np.log(
            self.std * np.sqrt(2 * np.pi)
        )

    def log_above(self, z: Any, *, below: bool = False) -> Any:
        """Log probability of values above (or below) each z, (...)."""
        gap = (np.asarray(z, np.float64)[..., None] - self.centres) / self.std
        return logsumexp(log_ndtr(gap if below else -gap), b=self.chances, axis=-1)


def hockey_stick(one: MixtureLaw, other: MixtureLaw, *, epsilon: float) -> float:
    """The smallest delta for which one <= e^epsilon other + delta on every event.

    Args:
        one: a law.
        other: the law that it is compared with.
        epsilon: at least 0.

    Returns:
        The integral of the positive part of one - e^epsilon other: the sum of exact probabilities
        over the intervals between the signs' changes, which are sought on a fine grid.

    Raises:
        InputError: a negative epsilon.
    """
    level = float(checks.number("epsilon", epsilon, 0.0))
    spread = max(one.std, other.std)
    ends = np.concatenate([one.centres, other.centres])
    low, high = ends.min() - REACH * spread, ends.max() + REACH * spread
    grid = np.linspace(low, high, min(100_001, 101 + int(40 * (high - low) / spread)))

    def gap(z: Any) -> Any:
        return one.log_density(z) - other.log_density(z) - level

    values = gap(grid)
    turns = np.flatnonzero(np.diff(np.sign(values)) != 0)
    roots = [brentq(lambda z: float(gap(z)), grid[i], grid[i + 1], xtol=1e-13) for i in turns]
    cuts = np.array([-np.inf, *roots, np.inf])
    middles = np.clip(cuts, low, high)
    inside = gap((middles[1:] + middles[:-1]) / 2) > 0
    mass = [_between(law, cuts[:-1], cuts[1:]) for law in (one, other)]
    return float(max(np.sum((mass[0] - np.exp(level) * mass[1])[inside]), 0.0))


def _between(law: MixtureLaw, low: Any, high: Any) -> Any:
    """Probabilities of intervals, from the tail in which they are small."""
    above = np.exp(law.log_above(low)) - np.exp(law.log_above(high))
    below = np.exp(law.log_above(high, below=True)) - np.exp(law.log_above(low, below=True))
    centre = float(np.sum(np.asarray(law.centres) * law.chances))
    return np.where(low > centre, above, below)


def epsilon_between(one: MixtureLaw, other: MixtureLaw, *, delta: float) -> float:
    """The smallest epsilon at which two laws are (epsilon, delta)-close, both ways.

    Args:
        one: a law.
        other: another.
        delta: above 0 and below 1.

    Returns:
        Epsilon, at least 0.

    Raises:
        InputError: delta out of range.
    """
    chance = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))

    def worst(epsilon: float) -> float:
        both = ((one, other), (other, one))
        return max(hockey_stick(p, q, epsilon=epsilon) for p, q in both) - chance

    if worst(0.0) <= 0:
        return 0.0
    top = 1.0
    while worst(top) > 0:
        top *= 2
        if top > 1e6:
            return np.inf
    return float(brentq(worst, 0.0, top, xtol=1e-10))


@register("n", "size")
@dataclass(frozen=True)
class FixedSizeSampler:
    """Batches of one size, drawn without replacement: what Poisson accounting does not cover.

    Args:
        n: number of records.
        size: of a batch.
    """

    n: int
    size: int

    def passes(self, key: jax.Array, visit: Any, start: Any) -> Any:
        """Visit the batch of one step, as `sampling.Poisson` does."""
        order = jnp.argsort(jax.random.uniform(key, (self.n,)))
        return visit(start, order[: self.size], jnp.ones(self.size))


@register()
@dataclass(frozen=True)
class UnclippedBias(LinearHead):
    """A linear head whose bias was forgotten when its gradient is clipped: not private."""

    kind: str = field(metadata={"static": True})
    scale: float = field(default=1.0, metadata={"static": True})

    def sums(self, params: Any, context: Any, x: Any, y: Any, member: Any, clip: Any) -> Any:
        """The sum of gradients, with clipped weights and the bias as it is."""
        each = self.each(params, x, y)
        rows = each["weights"].reshape(len(x), -1)
        factor, _ = clip_factor(jnp.sqrt(jnp.sum(rows**2, axis=1)), member, clip)
        weights = (factor @ rows).reshape(params["weights"].shape)
        return {"weights": weights, "bias": jnp.tensordot(member, each["bias"], 1)}


def one_step_law(
    gradient: Any,
    params: Any,
    x: Any,
    y: Any,
    *,
    training: Training,
    direction: Any,
    weights: Any = None,
    fixed_size: int | None = None,
) -> MixtureLaw:
    """The exact law of the parameters after one step, along a direction.

    Args:
        gradient: as in `private_descent`.
        params: where to start.
        x: (n, ...) inputs, 14 at most where samples are drawn.
        y: (n, ...) targets.
        training: how to go; its first step is what is looked at, and its noise is above 0.
        direction: a tree like `params`, of norm 1.
        weights: (n,) 0 or 1, which records are there; None takes all.
        fixed_size: of batches that are broken on purpose; None has Poisson samples.

    Returns:
        A `MixtureLaw`: one Gaussian at a sampling rate of 1.

    Raises:
        InputError: an argument out of range, too many records to go through all samples, or a
            radius, outside of which the law is no mixture of Gaussians.
    """
    checks.instance("training", training, Training, "a Training")
    if training.radius is not None:
        raise InputError("training.radius is set; the law of one step needs None")
    fixed, scale, _ = _prepared(gradient, params, x, y, training, weights, None)
    inputs, targets, present = fixed.data
    n, rate = len(inputs), float(training.sampling_rate)
    whole = fixed_size is None and rate == 1
    if n > ENUMERATED and not whole:
        raise InputError(f"x holds {n} records; at most {ENUMERATED} are needed to try all samples")
    subsets = np.ones((1, n)) if whole else np.array([*itertools.product([0.0, 1.0], repeat=n)])
    if fixed_size is not None:
        subsets = subsets[subsets.sum(1) == checks.count("fixed_size", fixed_size, 1, n)]
        chances = np.full(len(subsets), 1 / len(subsets))
    else:
        size = subsets.sum(1)
        chances = np.ones(1) if whole else rate**size * (1 - rate) ** (n - size)
    context = fixed.rule.prepare(fixed.params, fixed.rule.begin(fixed.params))
    clip, noise = float(training.clip), float(training.noise_multiplier)

    def centre(member: Any) -> Any:
        sums = fixed.rule.sums(fixed.params, context, inputs, targets, member * present, clip)
        way = fixed.rule.direction(fixed.params, context, sums, clip)
        return sum(
            jnp.vdot(d, w)
            for d, w in zip(jax.tree.leaves(direction), jax.tree.leaves(way), strict=True)
        )

    centres = np.asarray(jax.vmap(centre)(jnp.asarray(subsets, jnp.float32)), np.float64)
    move = float(np.ravel(training.step_size)[0]) / float(scale)
    start = sum(
        float(jnp.vdot(d, p))
        for d, p in zip(jax.tree.leaves(direction), jax.tree.leaves(fixed.params), strict=True)
    )
    apart = TOGETHER * clip
    places, back = np.unique(np.round(centres / apart) * apart, return_inverse=True)
    together = np.bincount(back, weights=chances, minlength=len(places))
    return MixtureLaw(start - move * places, together, move * noise * clip)


def canary_readings(
    gradient: Any,
    params: Any,
    x: Any,
    y: Any,
    *,
    training: Training,
    keys: jax.Array,
    direction: Any,
    sampler: Any = None,
) -> Float[np.ndarray, "runs steps"]:
    """What the noisy sums of many descents say along a direction, in units of the clipping norm.

    All iterates are released, so that the noisy sum of every step can be read off them. No key is
    spent: this is to study descents on data that is not private.

    Args:
        gradient: as in `private_descent`.
        params: where to start.
        x: (n, ...) inputs. Without the canary: a record of zeros in its place, or one record less
            and the same `training.expected`.
        y: (n, ...) targets.
        training: how to go, without a radius.
        keys: (runs,) typed keys.
        direction: a tree like `params`, of norm 1.
        sampler: in place of Poisson samples, to break it on purpose.

    Returns:
        (runs, steps) noisy sums along the direction over the clipping norm.

    Raises:
        InputError: as `private_descent`.
    """
    checks.key("keys", keys, ndim=1)
    checks.instance("training", training, Training, "a Training")
    fixed, scale, radius = _prepared(gradient, params, x, y, training, None, None)
    if sampler is not None:
        fixed = replace(fixed, sampler=sampler)
    numbers = _numbers(training)

    @jax.jit
    def run(key: Any) -> Any:
        path = _descend(fixed, scale, radius, numbers, key, path=True)
        leaves = zip(
            jax.tree.leaves(direction),
            jax.tree.leaves(fixed.params),
            jax.tree.leaves(path),
            strict=True,
        )
        return sum(
            jnp.tensordot(jnp.concatenate([p[None], w]) - p, d, d.ndim) for d, p, w in leaves
        )

    places = np.asarray(jax.lax.map(run, keys, batch_size=1024), np.float64)
    sizes = np.broadcast_to(np.asarray(training.step_size, np.float64), (training.steps,))
    return -np.diff(places, axis=1) * float(scale) / (sizes * float(training.clip))


@dataclass(frozen=True)
class LowerBound:
    """A lower bound on the epsilon that was spent.

    Attributes:
        epsilon: the bound, at least 0.
        hits: how many runs with the canary were told to have it.
        false_alarms: how many runs without it were told to have it.
        runs: of each kind.
    """

    epsilon: float
    hits: int
    false_alarms: int
    runs: int


def lower_epsilon(
    with_canary: Any, without: Any, *, delta: float, confidence: float = 0.95
) -> LowerBound:
    """A lower bound on epsilon from scores of runs with and without a canary.

    The threshold and the side are chosen on the first half of the runs, and judged on the second by
    Clopper-Pearson limits, so that the bound is wrong with probability 1 - confidence at most
    whatever the scores are.

    Args:
        with_canary: (runs,) scores, larger where a canary seems to be there.
        without: (runs,) scores without it.
        delta: that goes with epsilon, at least 0 and below 1.
        confidence: above 0 and below 1.

    Returns:
        A `LowerBound`.

    Raises:
        InputError: an argument out of range, or fewer than 20 runs.

    Source:
        Jagielski, Ullman & Oprea 2020; Nasr et al. 2021.
    """
    present, absent = (
        np.asarray(checks.finite(name, a, ndim=1), np.float64)
        for name, a in (("with_canary", with_canary), ("without", without))
    )
    n = checks.same_length(with_canary=present, without=absent)
    checks.count("runs", n, 20)
    chance = float(checks.number("delta", delta, 0.0, 1.0, open_high=True))
    sure = float(checks.number("confidence", confidence, 0.0, 1.0, open_low=True, open_high=True))
    half = n // 2
    learnt, judged = (present[:half], absent[:half]), (present[half:], absent[half:])
    tried = np.unique(np.quantile(np.concatenate(learnt), QUANTILES))
    limits = [_limits(_counts(*learnt, tried, up), half, chance, sure) for up in (True, False)]
    above = bool(limits[0].max() >= limits[1].max())
    threshold = tried[np.argmax(limits[0 if above else 1])]
    counts = _counts(*judged, threshold, above)
    bound = max(float(_limits(counts, n - half, chance, sure)), 0.0)
    return LowerBound(bound, int(counts[0]), int(counts[1]), n - half)


def _counts(present: Any, absent: Any, threshold: Any, above: bool) -> tuple[Any, Any]:
    """Right and false alarms of "the canary is there" above, or of "it is not" below."""
    below = [np.searchsorted(np.sort(scores), threshold) for scores in (present, absent)]
    if above:
        return len(present) - below[0], len(absent) - below[1]
    return below[1], below[0]


def _limits(counts: tuple[Any, Any], runs: int, delta: float, confidence: float) -> Any:
    hits, alarms = (np.asarray(c, np.float64) for c in counts)
    tail = (1 - confidence) / 2
    low = np.where(hits > 0, beta.ppf(tail, np.maximum(hits, 1), runs - hits + 1), 0.0)
    high = np.where(
        alarms < runs, beta.ppf(1 - tail, alarms + 1, np.maximum(runs - alarms, 1)), 1.0
    )
    return np.where(low > delta, np.log(np.maximum(low - delta, 1e-300) / high), -np.inf)
