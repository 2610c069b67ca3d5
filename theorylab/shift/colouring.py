"""Coloured images: a palette colour that goes with the label, and noise that goes with nothing.

Source: Coloured MNIST (Arjovsky, Bottou, Gulrajani, Lopez-Paz 2019, section 4), for any grey
images, any labels and any palette.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, Num

from theorylab.checks import finite, number, same_length
from theorylab.checks import key as checked_key
from theorylab.checks import labels as checked_labels
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError
from theorylab.overflow import in_range

RED_GREEN = np.eye(2)  # two channels, one for each colour


class ColouredImages(NamedTuple):
    """Painted images and what they were painted in.

    Attributes:
        images: (n, h, w, ch), float32.
        colours: (n,) index of each one's colour.
    """

    images: Float[Array, "n h w ch"]
    colours: Int[Array, " n"]


@old_arguments("images labels key")
def colour_images(
    images: Num[ArrayLike, "n h w"],
    labels: Int[ArrayLike, " n"],
    *,
    key: Key[Array, ""],
    agree: float,
    palette: Float[ArrayLike, "c ch"] = RED_GREEN,
) -> ColouredImages:
    """Paint each image in the colour of its label, or with some probability in another one.

    Image i gets palette[labels[i]] with probability `agree`.

    Args:
        images: (n, h, w) grey values, 0 for background; uint8 images are brought to [0, 1].
        labels: (n,) integers in [0, c).
        key: typed key.
        agree: probability that the colour is the label's own; 1/c makes it uninformative.
        palette: (c, ch) one colour for each label.

    Returns:
        `ColouredImages` (images, colours).

    Raises:
        InputError: a palette of one colour, labels without a colour, a probability outside [0, 1].
    """
    images, palette = finite("images", images, ndim=3), finite("palette", palette, ndim=2)
    number("agree", agree, 0.0, 1.0)
    colours = len(np.asarray(palette))
    if colours < 2:
        raise InputError("palette has 1 colour; at least 2, one for each label, are needed.")
    labels = jnp.asarray(checked_labels("labels", labels, classes=colours), jnp.int32)
    same_length(images=images, labels=labels)
    key_right, key_other = jax.random.split(checked_key("key", key))
    right = jax.random.uniform(key_right, labels.shape, jnp.float32) < agree
    other = (labels + jax.random.randint(key_other, labels.shape, 1, colours, jnp.int32)) % colours
    chosen = jnp.where(right, labels, other)
    palette = jnp.asarray(palette, jnp.float32)
    return ColouredImages(_grey(images)[..., None] * palette[chosen][:, None, None, :], chosen)


@old_arguments("images key")
@in_range()
def colour_noise(
    images: Float[ArrayLike, "n h w ch"], *, key: Key[Array, ""], scale: float
) -> Float[Array, "n h w ch"]:
    """Add N(0, scale^2) to every channel of every pixel: a nuisance of h w ch coordinates.

    Args:
        images: (n, h, w, ch).
        key: typed key.
        scale: standard deviation, >= 0.

    Returns:
        (n, h, w, ch) images, not clipped.

    Raises:
        InputError: a negative scale, images that are not finite.
    """
    images = jnp.asarray(finite("images", images, ndim=4), jnp.float32)
    number("scale", scale, 0.0)
    return images + scale * jax.random.normal(checked_key("key", key), images.shape, jnp.float32)


@in_range()
def shrink_images(images: Num[ArrayLike, "n h w"]) -> Float[Array, "n h//2 w//2"]:
    """Halve the size of images by 2 x 2 means.

    Args:
        images: (n, h, w) with even height and width.

    Returns:
        (n, h/2, w/2) images.

    Raises:
        InputError: odd sizes, or pixels beyond float32.
    """
    images = finite("images", images, ndim=3)
    n, h, w = np.shape(images)
    if h % 2 or w % 2:
        raise InputError(
            f"images are {h} x {w}; even height and width are needed (crop or pad them)."
        )
    return _grey(images).reshape(n, h // 2, 2, w // 2, 2).mean((2, 4))


def _grey(images: Any) -> Array:
    scale = 255.0 if jnp.asarray(images).dtype == jnp.uint8 else 1.0
    return jnp.asarray(images, jnp.float32) / scale
