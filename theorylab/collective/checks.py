"""What this package accepts, on top of `theorylab.checks`: worlds, target labels, samples."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.training_inputs import outputs_of
from theorylab.precision import is_traced


def world(P0: Any, g: Any, y_star: Any, phi: Any = None, *, law: str = "P0") -> None:
    """Refuse what is not a law on m points x K labels, with maps and a label to match."""
    m, labels = checks.probabilities(law, P0, ndim=2).shape
    for name, image in (("g", g), ("phi", phi)):
        if image is None and name == "phi":
            continue
        array = checks.real(name, image)
        if array.shape != (m,) or not jnp.issubdtype(array.dtype, jnp.integer):
            raise InputError(
                f"{name} is {array.dtype}{list(array.shape)}; an integer, its image, for each of "
                f"the {m} points of {law} is needed"
            )
        checks.within(name, array, 0, m - 1)
    label("y_star", y_star, labels)


def label(name: str, value: Any, classes: int | None = None) -> None:
    """Refuse what is not one integer label of 0, ..., classes - 1."""
    if not is_traced(value):
        checks.count(name, value, 0, None if classes is None else classes - 1)


def samples(x: Any, y: Any, classes: int | None = None) -> tuple[jax.Array, jax.Array]:
    """Samples and labels; refused are those that are empty, not finite or not of one length."""
    y = checks.labels("y", y, classes=classes)
    x = checks.finite("x", x)
    if not np.ndim(x) or np.shape(x)[0] != np.shape(y)[0]:
        raise InputError(
            f"x has shape {np.shape(x)} and y {np.shape(y)}; one label for each row of x is needed"
        )
    return jnp.asarray(x), jnp.asarray(y)


def classes_of(f: Any, params: Any, x: Any, name: str = "params, x") -> int:
    """Number of outputs K of a model, of which one sample of `x` is a batch."""
    shape = getattr(outputs_of(name, partial(checks.function("f", f), params), x), "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != 1:
        raise InputError(f"f gives shape {shape} for one sample; logits (1, K) are needed")
    return int(shape[1])
