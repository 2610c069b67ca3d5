"""Image corruptions: 20 families x 5 severities, for grey and colour images of any size.

A suite of our own in the manner of Hendrycks and Dietterich (ICLR 2019): not ImageNet-C, CIFAR-10-C
or MNIST-C, and no number measured on it should be compared with theirs. Lengths are in pixels of an
image 28 pixels wide and grow with the image's shorter side.

    corrupt(images, "gaussian_noise", 3, jax.random.key(0))        # (n, h, w) or (n, h, w, c) in
    [0, 1], the same shape
"""

import zlib
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num

from theorylab import checks
from theorylab.errors import InputError

Images = Float[Array, "n h w c"]
Corruption = Callable[[Images, Array, Array], Images]
SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(
    images: Num[Array | np.ndarray, "n h w *c"], name: str, severity: int, key: Key[Array, ""]
) -> Float[Array, "n h w *c"]:
    """Every image corrupted with one family of `CORRUPTIONS` at a severity from 1 to 5.

    Use it for shifted test sets; no number measured on it should be compared with ImageNet-C or
    CIFAR-10-C. Each family is compiled once for a shape, whatever the severity. The noise is drawn
    from `key`, the family and the severity together, so that one key serves a whole suite.

    Args:
        images: (n, h, w) or (n, h, w, c), floats in [0, 1], or uint8 from 0 to 255.
        name: one of `CORRUPTIONS`.
        severity: from 1 (mild) to 5.
        key: typed key.

    Returns:
        Float32 images in [0, 1] of the same shape.

    Raises:
        InputError: an unknown family, a severity out of range, or images of another shape or range.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> images = jnp.full((2, 28, 28), 0.5)
        >>> noisy = corrupt(images, "gaussian_noise", 3, jax.random.key(0))
        >>> noisy.shape, bool(noisy.std() > 0.05)
        ((2, 28, 28), True)
    """
    checks.choice("name", name, tuple(CORRUPTIONS))
    severity = checks.count("severity", severity, SEVERITIES[0], SEVERITIES[-1])
    checks.key("key", key)
    x = _unit_range(images)
    key = jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(name.encode())), severity)
    level = jnp.asarray(CORRUPTIONS[name][severity - 1], jnp.float32)
    return _corrupt(x if x.ndim == 4 else x[..., None], level, key, name=name).reshape(x.shape)


def _unit_range(images: Any) -> Array:
    checks.real("images", images, ndim=(3, 4))
    x = images if isinstance(images, jax.Array) else np.asarray(images)
    if x.dtype == np.uint8:
        return jnp.asarray(x, jnp.float32) / 255
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError(f"images has dtype {x.dtype}; floats in [0, 1] or uint8 are needed")
    if not isinstance(x, jax.core.Tracer) and not (x.min() >= -1e-6 and x.max() <= 1 + 1e-6):
        raise InputError(
            "images holds values outside [0, 1] or NaN; corrupt first and normalise afterwards"
        )
    return jnp.asarray(x, jnp.float32)


@partial(jax.jit, static_argnames="name")
def _corrupt(x: Images, level: Array, key: Array, *, name: str) -> Images:
    return jnp.clip(_FAMILIES[name](x, level, key), 0.0, 1.0)


def _unit(x: Images) -> float:
    """Length of one pixel of a 28-pixel image in pixels of this one."""
    return min(x.shape[1:3]) / 28


# Noise


def _gaussian_noise(x: Images, level: Array, key: Array) -> Images:
    return x + level * jax.random.normal(key, x.shape)


def _shot_noise(x: Images, level: Array, key: Array) -> Images:
    """Photon counts: Poisson with mean level * x."""
    return jax.random.poisson(key, level * x).astype(x.dtype) / level


def _speckle_noise(x: Images, level: Array, key: Array) -> Images:
    return x * (1 + level * jax.random.normal(key, x.shape))


def _impulse_noise(x: Images, level: Array, key: Array) -> Images:
    """A share of the values becomes 0 or 1, each with probability one half."""
    u = jax.random.uniform(key, x.shape)
    return jnp.where(u < level, (u < level / 2).astype(x.dtype), x)


# Blur: linear filters whose weights are renormalised at the border


def _along_axes(x: Images, weights: Callable[[Array], Array]) -> Images:
    """Filter rows and columns by weights(distance in pixels).

    Every row of weights is brought to sum 1.
    """
    for axis in (1, 2):
        x = _filter_axis(x, weights, axis)
    return x


def _filter_axis(x: Images, weights: Callable[[Array], Array], axis: int) -> Images:
    at = jnp.arange(x.shape[axis])
    matrix = weights(jnp.abs(at[:, None] - at).astype(x.dtype))
    matrix = matrix / matrix.sum(1, keepdims=True)
    return jnp.moveaxis(jnp.tensordot(matrix, x, (1, axis)), 0, axis)


def _gaussian_blur(x: Images, level: Array, key: Array) -> Images:
    sigma = level * _unit(x)
    return _along_axes(x, lambda d: jnp.exp(-((d / sigma) ** 2) / 2))


def _motion_blur(x: Images, level: Array, key: Array) -> Images:
    """Horizontal box of the given length."""
    half = level * _unit(x) / 2
    return _filter_axis(x, lambda d: jnp.clip(half + 0.5 - d, 0.0, 1.0), 2)


def _defocus_blur(x: Images, level: Array, key: Array) -> Images:
    """A disk of the given radius."""
    radius = level * _unit(x)
    reach = int(np.ceil(max(CORRUPTIONS["defocus_blur"]) * _unit(x)))
    at = jnp.arange(-reach, reach + 1)
    disk = jnp.clip(radius + 0.5 - jnp.hypot(at[:, None], at), 0.0, 1.0)

    def spread(y: Array) -> Array:
        planes = jnp.moveaxis(y, 3, 1).reshape(-1, 1, *y.shape[1:3])
        out = jax.lax.conv(planes, disk[None, None], (1, 1), "SAME")
        return jnp.moveaxis(out.reshape(y.shape[0], y.shape[3], *y.shape[1:3]), 1, 3)

    return spread(x) / spread(jnp.ones((1, *x.shape[1:3], 1), x.dtype))


# Light


def _contrast(x: Images, level: Array, key: Array) -> Images:
    """Towards each image's mean."""
    mean = x.mean((1, 2, 3), keepdims=True)
    return mean + level * (x - mean)


def _brightness(x: Images, level: Array, key: Array) -> Images:
    return x + level


def _gamma(x: Images, level: Array, key: Array) -> Images:
    return jnp.clip(x, 0.0, 1.0) ** level


def _negative(x: Images, level: Array, key: Array) -> Images:
    """Blend with the negative."""
    return (1 - level) * x + level * (1 - x)


def _posterize(x: Images, level: Array, key: Array) -> Images:
    """Fewer grey values per channel, this many."""
    return jnp.round(x * (level - 1)) / (level - 1)


def _fog(x: Images, level: Array, key: Array) -> Images:
    """Blend with bright noise that varies slowly over the image."""
    n, h, w, _ = x.shape
    coarse = [jax.random.uniform(jax.random.fold_in(key, s), (n, s, s, 1)) for s in (3, 6)]
    smooth = sum(jax.image.resize(u, (n, h, w, 1), "linear") for u in coarse) / 2
    return (1 - level) * x + level * (0.4 + 0.6 * smooth)


# Geometry: bilinear, black outside


def _read(image: Float[Array, "h w c"], rows: Array, columns: Array) -> Array:
    """The image at real-valued positions."""
    top, left = jnp.floor(rows), jnp.floor(columns)
    value = jnp.zeros((), image.dtype)
    for r, along in ((top, 1 - (rows - top)), (top + 1, rows - top)):
        for c, across in ((left, 1 - (columns - left)), (left + 1, columns - left)):
            inside = (r >= 0) & (r < image.shape[0]) & (c >= 0) & (c < image.shape[1])
            weight = jnp.where(inside, along * across, 0.0)[..., None]
            value = value + weight * image[r.astype(int), c.astype(int)]
    return value


def _positions(x: Images) -> tuple[Array, Array]:
    """Row and column of every pixel, from the centre."""
    _, h, w, _ = x.shape
    rows, columns = jnp.arange(h) - (h - 1) / 2, jnp.arange(w) - (w - 1) / 2
    return jnp.broadcast_to(rows[:, None], (h, w)), jnp.broadcast_to(columns, (h, w))


def _warp(x: Images, rows: Array, columns: Array) -> Images:
    """Every pixel takes the value at a position, which is measured from the centre.

    One field (h, w) serves all images.
    """
    _, h, w, _ = x.shape
    return jax.vmap(_read, (0, None, None))(x, rows + (h - 1) / 2, columns + (w - 1) / 2)


def _rotation(x: Images, level: Array, key: Array) -> Images:
    """About the centre, degrees, counter-clockwise."""
    r, c = _positions(x)
    angle = jnp.deg2rad(level)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return _warp(x, cos * r + sin * c, cos * c - sin * r)


def _translation(x: Images, level: Array, key: Array) -> Images:
    """Down and to the right."""
    r, c = _positions(x)
    shift = jnp.round(level * _unit(x))
    return _warp(x, r - shift, c - shift)


def _shear(x: Images, level: Array, key: Array) -> Images:
    r, c = _positions(x)
    return _warp(x, r, c + level * r)


def _elastic(x: Images, level: Array, key: Array) -> Images:
    """Smooth random displacements with the given root mean square.

    Every image has a field of its own.
    """
    n, h, w, _ = x.shape
    sigma = 4 * _unit(x)
    field = _along_axes(
        jax.random.normal(key, (n, h, w, 2)), lambda d: jnp.exp(-((d / sigma) ** 2) / 2)
    )
    field = level * _unit(x) * field / jnp.sqrt((field**2).mean((1, 2), keepdims=True))
    rows, columns = (
        p[None] + f for p, f in zip(_positions(x), (field[..., 0], field[..., 1]), strict=True)
    )
    return jax.vmap(_read)(x, rows + (h - 1) / 2, columns + (w - 1) / 2)


# Loss of detail


def _pixelate(x: Images, level: Array, key: Array) -> Images:
    """Blocks of about level x level pixels take their mean."""
    for axis in (1, 2):
        size = x.shape[axis]
        count = jnp.round(size / (level * _unit(x)))
        block = jnp.floor(jnp.arange(size) * count / size)
        same = (block[:, None] == block).astype(x.dtype)
        x = jnp.moveaxis(jnp.tensordot(same / same.sum(1, keepdims=True), x, (1, axis)), 0, axis)
    return x


def _occlusion(x: Images, level: Array, key: Array) -> Images:
    """A black square of the given side, at a random place of every image."""
    n, h, w, _ = x.shape
    side = jnp.round(level * _unit(x))
    corner = jnp.floor(jax.random.uniform(key, (n, 2)) * (jnp.asarray([h, w]) - side + 1))
    r, c = (
        jnp.arange(h)[None, :, None] - corner[:, 0, None, None],
        jnp.arange(w)[None, None] - corner[:, 1, None, None],
    )
    hidden = (r >= 0) & (r < side) & (c >= 0) & (c < side)
    return jnp.where(hidden[..., None], 0.0, x)


# ISO/IEC 10918-1, table K.1: quantisation of luminance
_QUANTA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_DCT = np.sqrt(np.where(np.arange(8) == 0, 1 / 8, 2 / 8))[:, None] * np.cos(
    np.pi * (2 * np.arange(8) + 1) * np.arange(8)[:, None] / 16
)


def _jpeg(x: Images, level: Array, key: Array) -> Images:
    """Quantised cosine transform of 8 x 8 blocks, every channel as luminance.

    The level is the quality, below 50.
    """
    n, h, w, c = x.shape
    padded = jnp.pad(x, ((0, 0), (0, -h % 8), (0, -w % 8), (0, 0)), mode="edge")
    blocks = 255 * padded.reshape(n, padded.shape[1] // 8, 8, padded.shape[2] // 8, 8, c) - 128
    dct = jnp.asarray(_DCT, x.dtype)
    step = (_QUANTA * 50 / level)[:, None, :, None]
    spectrum = jnp.einsum("ua,vb,nraqbc->nruqvc", dct, dct, blocks)
    spectrum = jnp.round(spectrum / step) * step
    out = jnp.einsum("ua,vb,nruqvc->nraqbc", dct, dct, spectrum)
    return (out.reshape(padded.shape)[:, :h, :w] + 128) / 255


_FAMILIES: dict[str, Corruption] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "speckle_noise": _speckle_noise,
    "gaussian_blur": _gaussian_blur,
    "defocus_blur": _defocus_blur,
    "motion_blur": _motion_blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "gamma": _gamma,
    "negative": _negative,
    "posterize": _posterize,
    "fog": _fog,
    "rotation": _rotation,
    "translation": _translation,
    "shear": _shear,
    "elastic": _elastic,
    "pixelate": _pixelate,
    "occlusion": _occlusion,
    "jpeg": _jpeg,
}
# Family -> level at severities 1 to 5, see the family's docstring for its meaning.
CORRUPTIONS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "gaussian_noise": (0.08, 0.16, 0.25, 0.35, 0.5),
        "shot_noise": (60, 25, 12, 6, 3),
        "impulse_noise": (0.03, 0.07, 0.13, 0.2, 0.3),
        "speckle_noise": (0.2, 0.35, 0.5, 0.75, 1.0),
        "gaussian_blur": (0.5, 0.8, 1.2, 1.7, 2.4),
        "defocus_blur": (0.8, 1.3, 2.0, 3.0, 4.0),
        "motion_blur": (3, 5, 7, 10, 14),
        "contrast": (0.7, 0.5, 0.35, 0.2, 0.1),
        "brightness": (0.1, 0.2, 0.3, 0.4, 0.55),
        "gamma": (0.7, 0.5, 0.35, 0.25, 0.15),
        "negative": (0.1, 0.2, 0.3, 0.4, 0.55),
        "posterize": (8, 5, 4, 3, 2),
        "fog": (0.15, 0.3, 0.45, 0.6, 0.75),
        "rotation": (8, 16, 25, 40, 60),
        "translation": (1, 2, 3, 5, 7),
        "shear": (0.1, 0.2, 0.3, 0.45, 0.65),
        "elastic": (0.5, 1.0, 1.5, 2.2, 3.0),
        "pixelate": (1.25, 1.6, 2.2, 3, 4),
        "occlusion": (4, 7, 10, 13, 17),
        "jpeg": (25, 15, 10, 6, 3),
    }
)
