"""Private gradient descent: DP-SGD with Poisson samples, and DP-GD, as one compiled scan.

Every step sums the clipped gradients of its sample, adds Gaussian noise to the *sum*, and divides
by the *expected* size of a sample, a number that is the same for all data sets. The size of the
sample that was drawn is used nowhere: it is private.

What is proven is proven for Gaussians of real numbers. Here they are float32 from JAX's generator,
which is no cryptographic one: enough to study private training, not to face an adversary who knows
the seed or reads the last bits.
Source: Abadi et al. 2016, algorithm 1, with the noise and the samples as above.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.dp_sgd import calibration
from theorylab.privacy.dp_sgd.gradients import Gradient, PerExample
from theorylab.privacy.dp_sgd.inputs import fitting, mask, presence
from theorylab.privacy.dp_sgd.sampling import Poisson, poisson
from theorylab.privacy.online.keys import spend
from theorylab.pytrees import register


@dataclass(frozen=True)
class Training:
    """How a private descent goes.

    Args:
        steps: number of noisy gradients.
        step_size: above 0: a number, or (steps,) one for each step.
        clip: norm that the gradient of one record is clipped to, above 0.
        noise_multiplier: noise standard deviation on the sum of clipped gradients over `clip`, at
            least 0; 0 is not private. `calibration.noise_multiplier` finds it.
        sampling_rate: probability that a record is in the sample of a step; 1 takes all of them.
        expected: what the noisy sum is divided by; None takes sampling_rate times the number of
            records, which is then held to be public.
        radius: all parameters together stay within this norm, above 0; None for no bound.
        buffer: records that are worked on at once, at most; None takes the sample's expected size
            and six standard deviations, or all records without sampling. It bounds the memory and
            changes nothing else: what is left is worked on in another pass.

    Raises:
        InputError: an argument out of range.
    """

    steps: int
    step_size: Any
    clip: Any
    noise_multiplier: Any
    sampling_rate: float = 1.0
    expected: float | None = None
    radius: float | None = None
    buffer: int | None = None

    def __post_init__(self) -> None:
        checks.count("steps", self.steps)
        checks.positive("step_size", self.step_size)
        checks.positive("clip", self.clip)
        checks.nonnegative("noise_multiplier", self.noise_multiplier)
        checks.number("sampling_rate", self.sampling_rate, 0.0, 1.0, open_low=True)
        for name in ("expected", "radius"):
            if getattr(self, name) is not None:
                checks.number(name, getattr(self, name), 0.0, open_low=True)
        if self.buffer is not None:
            checks.count("buffer", self.buffer)

    def epsilon(
        self, delta: float, *, relation: str = "add-remove", accountant: str = "pld"
    ) -> Any:
        """The epsilon that one descent like this spends, `calibration.spent_epsilon`."""
        return calibration.spent_epsilon(
            self.noise_multiplier,
            delta=delta,
            sampling_rate=self.sampling_rate,
            steps=self.steps,
            relation=relation,
            accountant=accountant,
        )


@register()
@dataclass(frozen=True)
class Descent:
    """What a private descent releases; all of it is paid for.

    Attributes:
        params: the last parameters, a tree.
        average: the mean of the parameters after each step, a tree.
    """

    params: Any
    average: Any


def private_descent(
    gradient: Any,
    params: Any,
    x: Any,
    y: Any,
    *,
    training: Training,
    key: jax.Array,
    weights: Any = None,
    moving: Any = None,
) -> Descent:
    """Train with differential privacy: the parameters that come out may be released.

    Use it once for each key. To study the law of what it releases, `simulate_descents` runs it for
    many keys and settings at once and spends none.

    Args:
        gradient: `LinearHead(...)`, another object of the form of `gradients.Gradient`, or a loss,
            a function of (params, x, y) for one record, which stands for `PerExample(loss)`.
        params: where to start, a tree of floats that was not chosen by the data.
        x: (n, ...) inputs. Records that are not finite are not refused, which would tell of them:
            they add nothing to any sum. Half-precision floats become float32, in which norms are
            clipped.
        y: (n, ...) targets; for a `LinearHead` those that it names.
        training: how to go.
        key: typed key of samples and noise; it is spent, and refused if it was used before.
        weights: (n,) 0 or 1; a record of weight 0 is absent. None takes all.
        moving: a tree of 0 and 1 like `params` (leaves that broadcast will do): where it is 0 the
            parameters stay as they are and take no noise. It must not depend on the data. None
            moves all.

    Returns:
        A `Descent`. Its cost is `training.epsilon(delta)`.

    Raises:
        InputError: an argument out of range, no records, shapes that do not fit the gradient, or a
            key that was used before.

    Source:
        Abadi et al. 2016, algorithm 1; Bassily, Smith & Thakurta 2014.

    Examples:
        >>> from theorylab.privacy.dp_sgd.gradients import LinearHead
        >>> head = LinearHead("logistic")
        >>> training = Training(5, step_size=1.0, clip=1.0, noise_multiplier=2.0, sampling_rate=0.5)
        >>> x, y = jnp.ones((20, 3)), jnp.ones(20)
        >>> key = jax.random.key(1905)
        >>> found = private_descent(head, head.start(3), x, y, training=training, key=key)
        >>> found.params["weights"].shape
        (3,)
    """
    checks.instance("training", training, Training, "a Training")
    for name in ("clip", "noise_multiplier"):
        checks.number(name, getattr(training, name))
    sizes = np.shape(training.step_size)
    if sizes not in ((), (training.steps,)):
        raise InputError(
            f"step_size has shape {sizes}; a number, or {(training.steps,)}, one for each step, is "
            "needed"
        )
    given = _prepared(gradient, params, x, y, training, weights, moving)
    return _descend(*given, _numbers(training), spend(key))


def simulate_descents(
    gradient: Any,
    params: Any,
    x: Any,
    y: Any,
    *,
    training: Training,
    keys: jax.Array,
    weights: Any = None,
    moving: Any = None,
) -> Descent:
    """Many private descents at once, to study them: seeds times settings, in one program.

    No key is spent, and the settings of one seed share samples and noise: to release more than one
    of these costs more than `training.epsilon` says, and so does choosing one of them by the data.

    Args:
        gradient: as in `private_descent`.
        params: where to start, the same for all.
        x: (n, ...) inputs.
        y: (n, ...) targets.
        training: how to go; `clip`, `noise_multiplier` (g,) and `step_size` (g,), or (g, steps),
            may hold one value for each setting. Those that do not hold for all.
        keys: (s,) typed keys.
        weights: (n,) 0 or 1; None takes all.
        moving: as in `private_descent`.

    Returns:
        A `Descent` whose leaves have the leading axes (s, g), or (s,) when no setting is an array.

    Raises:
        InputError: as `private_descent`, or settings of different lengths.
    """
    checks.key("keys", keys, ndim=1)
    checks.instance("training", training, Training, "a Training")
    numbers, axes = _settings(training)
    given = _prepared(gradient, params, x, y, training, weights, moving)
    return _descend_many(*given, numbers, keys, axes=axes)


def _prepared(
    gradient: Any, params: Any, x: Any, y: Any, training: Training, weights: Any, moving: Any
) -> Any:
    """What `_descend` takes before numbers and key, looked at."""
    rule = PerExample(gradient) if not hasattr(gradient, "sums") else gradient
    start, inputs, targets = fitting(rule, params, x, y)
    n = len(inputs)
    present = jnp.ones(n) if weights is None else jnp.asarray(presence(weights, n))
    rate = float(training.sampling_rate)
    fixed = Fixed(
        rule,
        start,
        None if moving is None else mask(moving, start),
        (inputs, targets, present),
        poisson(n, rate, training.buffer) if rate < 1 else None,
        training.steps,
        min(training.buffer or n, n),
    )
    scale = float(training.expected or rate * n)
    radius = math.inf if training.radius is None else float(training.radius)
    return fixed, jnp.float32(scale), jnp.float32(radius)


@register("steps", "buffer")
@dataclass(frozen=True)
class Fixed:
    """What all settings and seeds of a descent share.

    Attributes:
        rule: the gradient, an object of the form of `gradients.Gradient`.
        params: where to start, a tree of arrays.
        moving: a tree of 0 and 1 that broadcasts to `params`; None moves all parameters.
        data: inputs (n, ...), targets (n, ...) and 0 or 1 for each record, (n,): whether it is
            there.
        sampler: what draws a sample for each step; None takes all records.
        steps: number of noisy gradients.
        buffer: records worked on at once where nothing is sampled, at most n.
    """

    rule: Gradient
    params: Any
    moving: Any
    data: Any
    sampler: Poisson | None
    steps: int
    buffer: int


@partial(jax.jit, static_argnames="path")
def _descend(
    fixed: Fixed, scale: Any, radius: Any, numbers: Any, key: Any, *, path: bool = False
) -> Any:
    step_sizes, clip, noise_multiplier = numbers
    sizes = jnp.broadcast_to(step_sizes, (fixed.steps,))

    def step(carry: Any, now: Any) -> Any:
        params, total, context = carry
        number, size = now
        context = fixed.rule.prepare(params, context)
        noisy = _noisy_sum(
            fixed, params, context, clip, noise_multiplier, jax.random.fold_in(key, number)
        )
        way = fixed.rule.direction(params, context, noisy, clip)
        if fixed.moving is not None:
            way = jax.tree.map(lambda m, w: m * w, fixed.moving, way)
        params = jax.tree.map(lambda p, w: p - (size / scale * w).astype(p.dtype), params, way)
        norm = jnp.sqrt(sum(jnp.sum(p**2) for p in jax.tree.leaves(params)))
        shrink = jnp.minimum(1.0, radius / jnp.where(norm > 0, norm, 1.0))
        params = jax.tree.map(lambda p: (shrink * p).astype(p.dtype), params)
        after = params if path else None
        return (params, jax.tree.map(jnp.add, total, params), context), after

    zeros = jax.tree.map(jnp.zeros_like, fixed.params)
    start = fixed.params, zeros, fixed.rule.begin(fixed.params)
    (params, total, _), every = jax.lax.scan(step, start, (jnp.arange(fixed.steps), sizes))
    return every if path else Descent(params, jax.tree.map(lambda t: t / fixed.steps, total))


@partial(jax.jit, static_argnames="axes")
def _descend_many(
    fixed: Fixed, scale: Any, radius: Any, numbers: Any, keys: Any, *, axes: Any
) -> Descent:
    def one(numbers: Any, key: Any) -> Descent:
        return _descend(fixed, scale, radius, numbers, key)

    settings = one if axes is None else jax.vmap(one, (axes, None))
    return jax.vmap(settings, (None, 0))(numbers, keys)


def _noisy_sum(
    fixed: Fixed, params: Any, context: Any, clip: Any, noise_multiplier: Any, key: Any
) -> Any:
    sample_key, noise_key = jax.random.split(key)
    total = _sample_sum(fixed, params, context, clip, sample_key)
    return add_noise(total, noise_multiplier * clip, noise_key)


def _sample_sum(fixed: Fixed, params: Any, context: Any, clip: Any, key: Any) -> Any:
    """The sum of clipped gradients over one sample, pass by pass."""
    x, y, present = fixed.data
    n = x.shape[0]

    def add(total: Any, positions: Any, member: Any) -> Any:
        part = fixed.rule.sums(params, context, x[positions], y[positions], member, clip)
        return jax.tree.map(jnp.add, total, part)

    def whole(member: Any) -> Any:
        return fixed.rule.sums(params, context, x, y, member, clip)

    if fixed.sampler is None and fixed.buffer == n:
        return whole(present)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(whole, present))
    if fixed.sampler is not None:
        return fixed.sampler.passes(
            key, lambda total, at, member: add(total, at, member * present[at]), zeros
        )

    def stretch(total: Any, first: Any) -> Any:
        at = first + jnp.arange(fixed.buffer)
        inside = jnp.minimum(at, n - 1)
        return add(total, inside, jnp.where(at < n, present[inside], 0.0)), None

    return jax.lax.scan(stretch, zeros, jnp.arange(0, n, fixed.buffer))[0]


def add_noise(tree: Any, std: Any, key: jax.Array) -> Any:
    """A tree of arrays with independent Gaussian noise on every entry.

    No key is spent here: who calls it has spent the key that this one was derived from.

    Args:
        key: typed key.
        std: standard deviation of the noise, a number.
        tree: arrays of floats.

    Returns:
        A tree of the same structure, shapes and types.
    """
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    noisy = [
        leaf + (std * jax.random.normal(k, leaf.shape, leaf.dtype)).astype(leaf.dtype)
        for leaf, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noisy)


def _numbers(training: Training) -> Any:
    given = training.step_size, training.clip, training.noise_multiplier
    return tuple(jnp.asarray(value, jnp.float32) for value in given)


def _settings(training: Training) -> Any:
    """The numbers of a grid, and which of their axes go over its settings."""
    sizes, clips, noises = _numbers(training)
    for name, array, most in (("step_size", sizes, 2), ("clip", clips, 1), ("noise", noises, 1)):
        if array.ndim > most:
            raise InputError(f"{name} has shape {array.shape}; at most {most} axes are needed")
    if sizes.ndim == 2 and sizes.shape[1] != training.steps:
        raise InputError(
            f"step_size has shape {sizes.shape}; (settings, {training.steps} steps) is needed"
        )
    lengths = {a.shape[0] for a in (sizes, clips, noises) if a.ndim}
    if len(lengths) > 1:
        raise InputError(
            f"step_size, clip and noise_multiplier have {sorted(lengths)} settings; as many of "
            "each are needed, or a number that holds for all"
        )
    axes = tuple(0 if a.ndim else None for a in (sizes, clips, noises))
    return (sizes, clips, noises), axes if lengths else None
