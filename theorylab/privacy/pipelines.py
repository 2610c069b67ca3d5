"""Private learners to put behind a pre-processing: gradient descent and private directions.

`private_logistic_regression` is what `smooth.dp_gradient_descent` accounts for;
`private_directions` is the alternative that pays for its directions instead of for their movement.
What they release is what the accounting covers. A model of reduced, imputed or scaled records
cannot be used without releasing the basis, the means or the scales as well, which costs extra;
`private_directions` releases its basis, and has paid for it.
Source: Bassily, Smith & Thakurta 2014 (noisy gradients), accounted for as in
docs/derivations/private_preprocessing.md, statement 3.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import require_answer
from theorylab.privacy.online.keys import spend
from theorylab.privacy.preprocessing import BALL


def private_logistic_regression(
    records: Any,
    labels: Any,
    *,
    steps: int,
    step_size: float,
    radius: float,
    noise_std: float,
    key: jax.Array,
    clip: float = 1.0,
) -> Float[Array, " d"]:
    """Logistic regression by projected gradient descent with noise on every mean gradient.

    Each record's gradient is clipped, which changes nothing at the default: records of the unit
    ball have gradients of norm at most 1.

    Args:
        records: (n, d) in the unit ball.
        labels: (n,) -1 and 1.
        steps: number of gradients.
        step_size: above 0.
        radius: the weights stay within this norm, above 0.
        noise_std: standard deviation of the noise on the mean gradient, at least 0: 0 is not
            private. `gradient_noise_std` calibrates it.
        key: typed key of the noise; it is spent, and refused if it was used before.
        clip: the largest norm of a record's gradient, above 0; the `gradient_norm` of
            `smooth.dp_gradient_descent`. Clipping does not make a gradient less smooth in the data.

    Returns:
        (d,) the last weights.

    Raises:
        InputError: an argument out of range, records outside the ball, a key used before, or steps
            or noise with which the weights leave the records' precision.
    """
    path = private_logistic_path(
        records,
        labels,
        steps=steps,
        step_size=step_size,
        radius=radius,
        noise_std=noise_std,
        key=key,
        clip=clip,
    )
    return path[-1]


def private_logistic_path(
    records: Any,
    labels: Any,
    *,
    steps: int,
    step_size: float,
    radius: float,
    noise_std: float,
    key: jax.Array,
    clip: float = 1.0,
) -> Float[Array, "steps d"]:
    """All iterates of `private_logistic_regression`, which the same budget pays for.

    Their mean scatters less than the last, and costs nothing more.

    Args:
        records: (n, d) in the unit ball.
        labels: (n,) -1 and 1.
        steps: number of gradients.
        step_size: above 0.
        radius: bound on the norm of the weights.
        noise_std: of the noise on the mean gradient.
        key: typed key, which is spent.
        clip: the largest norm of a record's gradient.

    Returns:
        (steps, d) the weights after every step.

    Raises:
        InputError: an argument out of range, records outside the ball, a key used before, or steps
            or noise with which the weights leave the records' precision.
    """
    rows = _in_ball(records)
    signs = checks.signs("labels", labels)
    if signs.shape != rows.shape[:1]:
        raise InputError(
            f"labels has shape {signs.shape} and records {rows.shape}; one label for each record "
            "is needed"
        )
    many = checks.count("steps", steps)
    sizes = (
        checks.number("step_size", step_size, 0.0, open_low=True),
        checks.number("radius", radius, 0.0, open_low=True),
        checks.number("noise_std", noise_std, 0.0),
        checks.number("clip", clip, 0.0, open_low=True),
    )
    inputs = jnp.asarray(rows), jnp.asarray(signs, rows.dtype)
    path = _descend(*inputs, *(jnp.asarray(s, rows.dtype) for s in sizes), spend(key), steps=many)
    # a step or its noise may leave the range of the records' precision
    named = {"step_size": sizes[0], "radius": sizes[1], "noise_std": sizes[2]}
    require_answer(path, named)
    return path


def gradient_noise_std(
    n: int, *, steps: int, rho: float, factor: float = 1.0, clip: float = 1.0
) -> float:
    """The noise on mean logistic gradients that spends a zCDP budget in this number of steps.

    Args:
        n: number of records, in the unit ball.
        steps: number of gradients.
        rho: the zCDP budget, above 0.
        factor: cost factor of the pre-processing, `meta_theorem.cost_factor`, at least 1.
        clip: the largest norm of a record's gradient, above 0.

    Returns:
        (2 clip / n) √(steps factor / (2 rho)).

    Raises:
        InputError: an argument out of range.

    Source:
        docs/derivations/private_preprocessing.md, statements 2 and 3.
    """
    size, many = checks.count("n", n), checks.count("steps", steps)
    budget = float(checks.number("rho", rho, 0.0, open_low=True))
    dearer = float(checks.number("factor", factor, 1.0))
    length = float(checks.number("clip", clip, 0.0, open_low=True))
    std = 2 * length / size * math.sqrt(many * dearer / (2 * budget))
    require_answer(std, {"rho": budget, "factor": dearer, "clip": length})
    return std


def private_directions(
    records: Any, *, rank: int, rho: float, key: jax.Array
) -> Float[Array, "d rank"]:
    """Leading principal directions of a covariance with Gaussian noise on every entry.

    Args:
        records: (n, d) in the unit ball; they are not centred.
        rank: how many directions, below d.
        rho: what they cost in zCDP, above 0.
        key: typed key of the noise; it is spent, and refused if it was used before.

    Returns:
        (d, rank) an orthonormal basis, which is private and may be released.

    Raises:
        InputError: an argument out of range, records outside the ball, or a key used before.

    Source:
        Dwork, Talwar, Thakurta & Zhang 2014 (Analyze Gauss); one replacement moves the covariance
        by at most √2 / n in the Frobenius norm.
    """
    rows = _in_ball(records)
    n, d = rows.shape
    k = checks.count("rank", rank, at_most=d - 1)
    budget = float(checks.number("rho", rho, 0.0, open_low=True))
    noise = np.asarray(jax.random.normal(spend(key), (d, d), rows.dtype)) / (n * math.sqrt(budget))
    upper = np.triu(noise)
    noisy = rows.T @ rows / n + upper + np.triu(upper, 1).T
    return jnp.asarray(np.linalg.eigh(noisy)[1][:, -k:])


@partial(jax.jit, static_argnames="steps")
def _descend(
    records: Any,
    labels: Any,
    step_size: Any,
    radius: Any,
    noise_std: Any,
    clip: Any,
    key: Any,
    *,
    steps: int,
) -> Any:
    lengths = jnp.linalg.norm(records, axis=1)

    def step(weights: Any, step_key: Any) -> tuple[Any, Any]:
        slope = jax.nn.sigmoid(-labels * (records @ weights))
        pull = labels * jnp.minimum(slope, clip / jnp.where(lengths > 0, lengths, 1))
        noise = noise_std * jax.random.normal(step_key, weights.shape, weights.dtype)
        moved = weights + step_size * (pull @ records / records.shape[0] + noise)
        norm = jnp.linalg.norm(moved)
        inside = moved * jnp.minimum(1, radius / jnp.where(norm > 0, norm, 1))
        return inside, inside

    start = jnp.zeros(records.shape[1], records.dtype)
    return jax.lax.scan(step, start, jax.random.split(key, steps))[1]


def _in_ball(records: Any) -> Any:
    array = np.asarray(checks.finite("records", records, ndim=2))
    wide = array.dtype == np.float64 and jax.config.read("jax_enable_x64")
    rows = array.astype(np.float64 if wide else np.float32)
    longest = float(np.linalg.norm(rows, axis=1).max())
    if longest > BALL:
        raise InputError(
            f"records holds one of norm {longest:.4g}; norms of at most 1 are needed (divide by a "
            "bound that was chosen without the data, or clip)"
        )
    return rows
