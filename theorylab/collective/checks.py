"""Refusals of this package: one line that names the argument, what was given, what is needed and how to mend it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.precision import is_traced


def require_between(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> None:
    """Refuse numbers (a scalar or an array of them) outside [low, high], or ]low, high] for `open_low`."""
    if is_traced(value):
        return
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} = {value!r} is not a number; give one between {low:g} and {high:g}") from None
    inside = (values > low if open_low else values >= low) & (values <= high)
    if not values.size or not inside.all():
        shown = f"{values.ravel()[~inside.ravel()][0]:g}" if values.size else "nothing"
        bracket = "]" if open_low else "["
        raise InputError(f"{name} holds {shown}; numbers in {bracket}{low:g}, {high:g}] are needed")


def require_count(name: str, value: Any, *, at_least: int = 1) -> None:
    """Refuse what is not a whole number of at least `at_least`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < at_least:
        raise InputError(f"{name} = {value!r}; a whole number of at least {at_least} is needed")


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name} = {value!r}; choose one of: {', '.join(choices)}")


def require_key(name: str, key: Any, *, ndim: int = 0) -> None:
    """Refuse what is not a typed key, or an array of them for `ndim` 1."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.ndim != ndim or key.size == 0:
        given = f"{key.dtype}{list(key.shape)}" if isinstance(key, jax.Array) else type(key).__name__
        needed = "jax.random.key(0)" if ndim == 0 else "jax.random.split(jax.random.key(0), 4)"
        raise InputError(
            f"{name} is {given}; {'a typed key' if ndim == 0 else 'a row of typed keys'}, {needed}, is needed"
        )


def require_samples(x: Any, y: Any) -> None:
    """Refuse samples and labels that are empty, not finite, not integers (labels), or not of one length."""
    require_labels("y", y)
    if not np.ndim(x) or np.shape(x)[0] != np.shape(y)[0]:
        raise InputError(f"x has shape {np.shape(x)} and y {np.shape(y)}; one label for each row of x is needed")
    dtype = np.dtype(x.dtype) if hasattr(x, "dtype") else np.asarray(x).dtype
    if not is_traced(x) and jnp.issubdtype(dtype, jnp.floating) and not bool(jnp.isfinite(jnp.asarray(x)).all()):
        raise InputError("x holds NaN or infinity; remove these samples first")


def require_labels(name: str, y: Any) -> None:
    """Refuse what is not a non-empty row of integers of at least 0."""
    dtype = y.dtype if hasattr(y, "dtype") else np.asarray(y).dtype
    if np.ndim(y) != 1 or not np.size(y) or not jnp.issubdtype(dtype, jnp.integer):
        raise InputError(f"{name} is {dtype}{list(np.shape(y))}; a non-empty row of integer labels is needed")
    if not is_traced(y) and np.asarray(y).min() < 0:
        raise InputError(f"{name} holds {np.asarray(y).min()}; labels 0, 1, ... are needed")


def require_world(P0: Any, g: Any, y_star: Any, phi: Any = None) -> None:
    """Refuse what is not a law on m points x K labels, with maps of the points and a label to match."""
    if np.ndim(P0) != 2 or 0 in np.shape(P0):
        raise InputError(f"P0 has shape {np.shape(P0)}; probabilities of (points, labels) are needed")
    m, labels = np.shape(P0)
    if not is_traced(P0):
        law = np.asarray(P0, dtype=np.float64)
        if not np.isfinite(law).all() or law.min() < 0 or abs(law.sum() - 1) > 1e-5:
            raise InputError(
                f"P0 sums to {law.sum():g}, least entry {law.min():g}; probabilities that sum to 1 are needed"
            )
    for name, image in (("g", g), ("phi", phi)):
        if image is None:
            continue
        dtype = image.dtype if hasattr(image, "dtype") else np.asarray(image).dtype
        if np.shape(image) != (m,) or not jnp.issubdtype(dtype, jnp.integer):
            raise InputError(
                f"{name} is {dtype}{list(np.shape(image))}; the image of each of the {m} points, an integer, is needed"
            )
        if not is_traced(image) and not (np.min(image) >= 0 and np.max(image) < m):
            raise InputError(f"{name} maps to {np.min(image)}..{np.max(image)}; points 0..{m - 1} are needed")
    require_label("y_star", y_star, labels)


def require_label(name: str, label: Any, count: int | None = None) -> None:
    """Refuse what is not one integer label of 0, ..., count - 1."""
    if is_traced(label):
        return
    whole = np.ndim(label) == 0 and jnp.issubdtype(np.asarray(label).dtype, jnp.integer)
    if not whole or label < 0 or (count is not None and label >= count):
        top = "" if count is None else f" to {count - 1}"
        raise InputError(f"{name} = {label!r}; one of the labels 0{top} is needed")
