"""Random crops and flips of image batches, as small-image classifiers train with them."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from theorylab import checks


@dataclass(frozen=True)
class CropFlip:
    """A random crop and a random flip of each image.

    The crop has the original size and is taken from the image with `pad` zero pixels around it;
    where `flip` is set, a left-right flip follows with probability 1/2.

    `augment = CropFlip(4)`, then `augment(key, x)`. Two with equal values are equal, so a compiled
    training step that was given one serves the other.

    Raises InputError unless `pad` is a whole number of at least 0 and `flip` True or False.
    """

    pad: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        checks.count("pad", self.pad, 0)
        checks.flag("flip", self.flip)

    def __call__(
        self, key: Key[Array, ""], x: Float[ArrayLike, "n h w *c"]
    ) -> Float[Array, "n h w *c"]:
        """The images (n, h, w) or (n, h, w, c), augmented."""
        checks.key("key", key)
        x = jnp.asarray(checks.real("x", x, ndim=(3, 4)))
        n, (h, w), pad = x.shape[0], x.shape[1:3], self.pad
        place, side = jax.random.split(key)
        offsets = jax.random.randint(place, (n, 2), 0, 2 * pad + 1)
        wide = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), *(((0, 0),) * (x.ndim - 3))))
        rows = offsets[:, :1] + jnp.arange(h)
        columns = offsets[:, 1:] + jnp.arange(w)
        if self.flip:
            mirrored = jax.random.bernoulli(side, 0.5, (n, 1))
            columns = jnp.where(mirrored, columns[:, ::-1], columns)
        return wide[jnp.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
