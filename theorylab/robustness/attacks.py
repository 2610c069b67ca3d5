"""White-box attacks: projected gradient ascent on the loss, and its one-step form.

Both work in the l-inf and the l2 ball. The steps are driven from the host, each one compiled
program: on a CPU, XLA's gradients of convolutions are several times slower inside a compiled loop.

Source: Madry et al. 2018 (`pgd`); Goodfellow et al. 2015 (`fgsm`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.losses import cross_entropy
from theorylab.nets.training_inputs import outputs_of
from theorylab.precision import is_traced
from theorylab.robustness.coupling import refuse_coupled

Norm = Literal["linf", "l2"]
Bounds = tuple[float, float] | None


def pgd(  # noqa: PLR0913
    f: Callable[[PyTree, Array], Array],
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    *,
    eps: float,
    steps: int = 10,
    step_size: float | None = None,
    norm: Norm = "linf",
    bounds: Bounds = (0.0, 1.0),
    key: Key[Array, ""] | None = None,
    targeted: bool = False,
    loss: Callable[[Array, Array], Array] = cross_entropy,
    batch_size: int = 500,
) -> Float[Array, "n ..."]:
    """Samples within `eps` of `x` on which the loss is high, by projected steepest ascent.

    Use it to measure robust accuracy from above; `fgsm` is its one-step form, cheaper and weaker.
    What no attack finds may still exist.

    Args:
        f: logits (n, k) of a batch. Give it the pixels that `bounds` speaks of: normalisation
            belongs inside `f`.
        params: parameters of `f`.
        x: (n, ...) samples.
        y: (n,) the labels to move away from; with `targeted`, those to move to.
        eps: radius of the ball around each sample, in the given norm over all of its entries.
        steps: number of gradient steps.
        step_size: length of a step; None for 2.5 eps / steps.
        norm: "linf" or "l2".
        bounds: smallest and largest value that an entry may take; None for no bounds.
        key: start at a random point of the ball (l-inf: uniform in it; l2: uniform direction,
            uniform radius); without it, at `x`.
        targeted: lower the loss at `y` instead of raising it.
        loss: (logits, y) -> one value per sample.
        batch_size: samples at a time.

    Returns:
        Samples of the shape of `x`, inside the ball and the bounds.

    Raises:
        InputError: samples outside the bounds, labels that `f` has no logit for, or options out of
            range.

    Source:
        Madry et al. 2018.

    Examples:
        >>> import jax.numpy as jnp
        >>> w = jnp.array([[1.0, -1.0], [2.0, -2.0]])
        >>> f = lambda w, x: x @ w
        >>> x, y = jnp.array([[0.5, 0.5]]), jnp.array([0])
        >>> attacked = pgd(f, w, x, y, eps=0.1)  # the logit of class 0 falls with both entries
        >>> [round(float(value), 4) for value in attacked[0]]
        [0.4, 0.4]
    """
    bounds = _bounds(bounds)
    x, y = _checked(f, params, x, y, bounds)
    checks.choice("norm", norm, ("linf", "l2"))
    checks.number("eps", eps, 0), checks.flag("targeted", targeted), checks.function("loss", loss)
    steps, batch_size = checks.count("steps", steps), checks.count("batch_size", batch_size)
    if step_size is not None:
        checks.number("step_size", step_size, 0)
    rate = 2.5 * eps / steps if step_size is None else step_size
    if key is not None:
        checks.key("key", key)
    sign, parts = (-1.0 if targeted else 1.0), []
    for start in range(0, len(x), batch_size):
        centre, labels = x[start : start + batch_size], y[start : start + batch_size]
        at = centre
        if key is not None:
            at = centre + _random_in_ball(jax.random.fold_in(key, start), centre, eps, norm)
            at = project(at, centre, eps, norm=norm, bounds=bounds)
        for _ in range(steps):
            at = _step(
                f, params, at, centre, labels, eps, sign * rate, norm=norm, bounds=bounds, loss=loss
            )
        parts.append(at)
    return jnp.concatenate(parts)


def fgsm(  # noqa: PLR0913
    f: Callable[[PyTree, Array], Array],
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    *,
    eps: float,
    norm: Norm = "linf",
    bounds: Bounds = (0.0, 1.0),
    targeted: bool = False,
    loss: Callable[[Array, Array], Array] = cross_entropy,
    batch_size: int = 500,
) -> Float[Array, "n ..."]:
    """Samples one step of length `eps` from `x`, in the direction that raises the loss most.

    The step goes along the sign of the gradient (l-inf) or the gradient itself (l2). Use `pgd` for
    a stronger attack.

    Args:
        f: logits (n, k) of a batch, as for `pgd`.
        params: parameters of `f`.
        x: (n, ...) samples.
        y: (n,) the labels to move away from; with `targeted`, those to move to.
        eps: length of the step, in the given norm.
        norm: "linf" or "l2".
        bounds: smallest and largest value that an entry may take; None for no bounds.
        targeted: lower the loss at `y` instead of raising it.
        loss: (logits, y) -> one value per sample.
        batch_size: samples at a time.

    Returns:
        Samples of the shape of `x`, inside the ball and the bounds.

    Raises:
        InputError: as `pgd`.

    Source:
        Goodfellow et al. 2015.
    """
    checks.number("eps", eps, 0)
    return pgd(
        f,
        params,
        x,
        y,
        eps=eps,
        steps=1,
        step_size=eps,
        norm=norm,
        bounds=bounds,
        targeted=targeted,
        loss=loss,
        batch_size=batch_size,
    )


def project(
    x: Float[ArrayLike, "n ..."],
    centre: Float[ArrayLike, "n ..."],
    eps: float | Array,
    *,
    norm: Norm = "linf",
    bounds: Bounds = None,
) -> Float[Array, "n ..."]:
    """Samples brought into a ball around given centres, then into the bounds.

    With `centre` inside the bounds the result lies in both; in l2 it need not be the nearest point
    of the two.

    Args:
        x: (n, ...) samples.
        centre: (n, ...) centres of the balls.
        eps: radius; one number, or an array that broadcasts against `x`.
        norm: "linf" or "l2".
        bounds: smallest and largest value that an entry may take; None for no bounds.

    Returns:
        Samples of the shape of `x`.

    Raises:
        InputError: shapes that differ, a negative radius, or an unknown norm.
    """
    bounds = _bounds(bounds)
    x, centre = jnp.asarray(checks.finite("x", x)), jnp.asarray(checks.finite("centre", centre))
    checks.choice("norm", norm, ("linf", "l2"))
    shape = checks.nonnegative("eps", eps).shape
    # a Python number stays one: it takes the precision of x
    eps = jnp.asarray(eps) if shape else eps
    if checks.broadcast(x=x, centre=centre, eps=eps) != x.shape or not x.ndim:
        raise InputError(
            f"centre has shape {centre.shape}, eps {shape}, x {x.shape}; shapes that fit x are "
            "needed"
        )
    away = x - centre
    away = (
        jnp.clip(away, -eps, eps)
        if norm == "linf"
        else away * jnp.minimum(1.0, eps / _length(away))
    )
    return centre + away if bounds is None else jnp.clip(centre + away, *bounds)


@partial(jax.jit, static_argnames=("f", "norm", "bounds", "loss"))
def _step(  # noqa: PLR0913
    f: Any,
    params: PyTree,
    x: Array,
    centre: Array,
    y: Array,
    eps: Array,
    rate: Array,
    *,
    norm: Norm,
    bounds: Bounds,
    loss: Any,
) -> Array:
    gradient = jax.grad(lambda x: loss(f(params, x), y).sum())(x)
    direction = jnp.sign(gradient) if norm == "linf" else gradient / _length(gradient)
    return project(x + rate * direction, centre, eps, norm=norm, bounds=bounds)


def _length(x: Array) -> Array:
    """Euclidean length of each sample, broadcast against it; 1 for zeros.

    Scaled, so that tiny gradients count too.
    """
    axes = tuple(range(1, x.ndim))
    largest = jnp.abs(x).max(axes, keepdims=True)
    unit = jnp.where(largest > 0, largest, 1.0)
    length = unit * jnp.sqrt(jnp.square(x / unit).sum(axes, keepdims=True))
    return jnp.where(largest > 0, length, 1.0)


def _random_in_ball(key: Array, x: Array, eps: float, norm: Norm) -> Array:
    if norm == "linf":
        return jax.random.uniform(key, x.shape, x.dtype, -eps, eps)
    along, radius = jax.random.split(key)
    direction = jax.random.normal(along, x.shape, x.dtype)
    shape = (len(x), *[1] * (x.ndim - 1))
    return eps * jax.random.uniform(radius, shape, x.dtype) * direction / _length(direction)


def _bounds(bounds: Any) -> Bounds:
    if bounds is None:
        return None
    low, high = (float(end) for end in checks.within("bounds", bounds, infinite=True, shape=(2,)))
    if not low < high:
        raise InputError(
            f"bounds = ({low:g}, {high:g}); the smallest value below the largest, or None, is "
            "needed"
        )
    return low, high


def _checked(f: Any, params: PyTree, x: Any, y: Any, bounds: Bounds) -> tuple[Array, Array]:
    x = jnp.asarray(checks.finite("x", x))
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError(
            f"x has dtype {x.dtype}; floats are needed; scale the pixels: x.astype('float32') / 255"
        )
    if x.ndim < 2:
        raise InputError(f"x has shape {x.shape}; a batch of samples (n, ...) is needed")
    output = outputs_of("params, x", partial(checks.function("f", f), params), x)
    classes = output.shape[-1] if getattr(output, "ndim", 0) == 2 else None
    if checks.real("y", y).shape != x.shape[:1]:
        raise InputError(
            f"x, y: shapes {x.shape}, {np.shape(y)} given; one label for each sample is needed"
        )
    y = jnp.asarray(checks.labels("y", y, classes=classes))
    refuse_coupled(f, params, x)
    if (
        not is_traced(x)
        and bounds is not None
        and (float(x.min()) < bounds[0] or float(x.max()) > bounds[1])
    ):
        raise InputError(
            f"x: values from {float(x.min()):.3g} to {float(x.max()):.3g} given, outside bounds = "
            f"{bounds}; put the normalisation into f, or give other bounds (None for none)"
        )
    return x, y
