"""Worlds to act in: Gaussian classes, parity data, random finite worlds.

Source: our constructions; the uniqueness of parity signals is derived in
docs/derivations/collective_success.md, statement 7.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from theorylab import checks
from theorylab.overflow import in_range


class LabelledPoints(NamedTuple):
    """Points and their labels.

    Attributes:
        x, y: (n, d) and (n,).
    """

    x: Float[Array, "n d"]
    y: Int[Array, " n"]


class World(NamedTuple):
    """A finite space: its law, what the signal does to its points, and the target.

    Attributes:
        P0: (m, K) probabilities of points and labels.
        g: (m,) the point that each becomes with the signal.
        y_star: target label.
    """

    P0: Float[Array, "m k"]
    g: Int[Array, " m"]
    y_star: Int[Array, ""]


@in_range()
def gaussian_classes(
    key: Key[Array, ""],
    n: int,
    *,
    classes: int = 5,
    dim: int = 20,
    separation: float = 2.5,
    xi: float = 0.05,
) -> LabelledPoints:
    """Draw Gaussian classes and one feature more that a signal can use.

    x = separation e_y + N(0, I) in `dim` dimensions; the last feature is 1 with probability xi,
    else 0. `coordinate_trigger(dim, 1.0)` then has uniqueness xi.

    Args:
        key: typed key.
        n: samples.
        classes: K.
        dim: dimensions of the classes, at least K.
        separation: length of the classes' means.
        xi: how often the base population shows the signal.

    Returns:
        `LabelledPoints`: x (n, dim + 1) and y (n,).

    Raises:
        InputError: counts below 1, more classes than dimensions, a probability outside [0, 1].
    """
    checks.key("key", key)
    n, classes = checks.count("n", n), checks.count("classes", classes)
    dim = checks.count("dim", dim, at_least=classes)
    checks.number("separation", separation), checks.number("xi", xi, 0, 1)
    for_label, for_noise, for_signal = jax.random.split(key, 3)
    y = jax.random.randint(for_label, (n,), 0, classes)
    x = separation * jax.nn.one_hot(y, dim) + jax.random.normal(for_noise, (n, dim))
    signal = jax.random.bernoulli(for_signal, xi, (n, 1)).astype(x.dtype)
    return LabelledPoints(jnp.concatenate([x, signal], axis=1), y)


def parity_data(
    key: Key[Array, ""], n: int, *, bits: int = 3, dim: int = 10, margin: float = 0.3
) -> LabelledPoints:
    """Draw two balanced classes and independent bits that `parity_signal` can use.

    The first feature tells the classes apart, (2y - 1)(margin + |N|); noise in the other `dim` - 1,
    and then `bits` independent uniform +-1 features.

    Args:
        key: typed key.
        n: samples.
        bits: number of bits.
        dim: other features.
        margin: between the classes.

    Returns:
        `LabelledPoints`: x (n, dim + bits) and y (n,).

    Raises:
        InputError: counts below 1, a negative margin.
    """
    checks.key("key", key)
    n, bits, dim = checks.count("n", n), checks.count("bits", bits), checks.count("dim", dim)
    checks.number("margin", margin)
    for_label, for_noise, for_bits = jax.random.split(key, 3)
    y = jax.random.permutation(for_label, jnp.arange(n) % 2)
    x = jax.random.normal(for_noise, (n, dim))
    x = x.at[:, 0].set((2 * y - 1) * (margin + jnp.abs(x[:, 0])))
    drawn = jax.random.rademacher(for_bits, (n, bits), x.dtype)
    return LabelledPoints(jnp.concatenate([x, drawn], axis=1), y)


@in_range()
def random_world(
    key: Key[Array, ""], *, points: int, labels: int, concentration: float = 0.5
) -> World:
    """Draw a finite world (P0, g, y*).

    A Dirichlet law on points x labels, and a random signal onto a third of the points, or fewer.

    Args:
        key: typed key.
        points, labels: m and K.
        concentration: of the Dirichlet law.

    Returns:
        `World` (P0, g, y_star).

    Raises:
        InputError: counts below 1, a concentration that is not positive.
    """
    checks.key("key", key)
    points, labels = checks.count("points", points), checks.count("labels", labels)
    checks.number("concentration", concentration, 0, open_low=True)
    for_law, for_image, for_map, for_label = jax.random.split(key, 4)
    law = jax.random.dirichlet(for_law, jnp.full(points * labels, concentration)).reshape(
        points, labels
    )
    image = jax.random.permutation(for_image, points)[: max(1, points // 3)]
    return World(
        law,
        image[jax.random.randint(for_map, (points,), 0, len(image))],
        jax.random.randint(for_label, (), 0, labels),
    )
