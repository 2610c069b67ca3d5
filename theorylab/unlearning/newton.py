"""Unlearning with the tangent kernel: one Newton step of the linearised network.

The network is linearised at the original model, and the step goes towards what retraining without
the deletion set would give. The linearised network f(p0, x) + J (p - p0) has a convex loss, whose
Hessian at p0 is the Gauss-Newton matrix J^T S J of the network itself; one Newton step, solved by
conjugate gradients, is influence-function unlearning (Koh and Liang 2017, arXiv 1703.04730) without
the assumption that the training had converged. For the squared loss the step is exact: kernel ridge
regression with the empirical tangent kernel on the retain set.
Source: our derivation, docs/derivations/tangent_unlearning.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, PyTree

from theorylab import checks
from theorylab.nets import cross_entropy, mse
from theorylab.ntk import linearize
from theorylab.pytrees import register
from theorylab.unlearning.manipulations import TrainingSet
from theorylab.unlearning.network import Model, Network, require
from theorylab.unlearning.retrain import deletion_set

Target = Literal["retain", "influence"]
Loss = Literal["cross_entropy", "mse"]


@register()
@dataclass(frozen=True)
class NewtonStep:
    """A Newton step and how well its linear system was solved.

    Attributes:
        model: the model after the step; its running statistics are the original ones.
        residual: ||H step + gradient|| / ||gradient|| after the conjugate-gradient steps.
    """

    model: Model
    residual: Float[Array, ""]


def tangent_newton_step(
    network: Network,
    model: Model,
    data: TrainingSet,
    forget: Bool[ArrayLike, "n"],
    *,
    damping: float | Float[Array, ""],
    steps: int = 50,
    target: Target = "retain",
    loss: Loss = "cross_entropy",
) -> NewtonStep:
    """One Newton step towards the minimum of the retain loss of the linearised network.

    The loss is the mean over samples outside `forget`, plus damping / 2 ||p - p0||^2. It removes
    what retraining removes, at the cost of `steps` passes over the data, and so it keeps what
    retraining keeps: a trigger whose other samples were not identified.

    Args:
        network: from `network(...)`.
        model: the original model.
        data: the training set, taken without augmentation and as one batch.
        forget: (n,) mask of the deletion set.
        damping: above 0; the smaller, the further the step.
        steps: conjugate-gradient steps, each one pass forward and back over the training set.
        target: "retain" takes the gradient of the retain loss as it is; "influence" that of the
            removed samples, sum over S_f of grad loss_i / |retain|, as if the original model were a
            minimum of its training loss.
        loss: "cross_entropy", or "mse" for one-hot labels, mean over outputs.

    Returns:
        A `NewtonStep`.

    Raises:
        InputError: a damping that is not positive, or a mask that does not fit.
    """
    require(network, model)
    steps = checks.count("steps", steps)
    damping = jnp.asarray(checks.positive("damping", damping, ndim=0))
    checks.choice("target", target, ("retain", "influence"))
    checks.choice("loss", loss, ("cross_entropy", "mse"))
    chosen = deletion_set(data, forget)
    return _newton(network, loss, target, steps, model, data, chosen, damping)


@partial(jax.jit, static_argnames=("network", "loss", "target", "steps"))
def _newton(
    network: Network,
    loss: Loss,
    target: Target,
    steps: int,
    model: Model,
    data: TrainingSet,
    chosen: Array,
    damping: Array,
) -> NewtonStep:
    each = {"cross_entropy": cross_entropy, "mse": mse}[loss]
    x, y = data.batch(jnp.arange(len(data.y)))

    def f(params: PyTree, x: Array) -> Array:
        return network.evaluate(params, model.state, x)

    kept = (~chosen).sum()
    linear, at = linearize(f, model.params), model.params

    def objective(weight: Array, params: PyTree) -> Float[Array, ""]:
        return (weight * each(linear(params, x), y)).sum() / jnp.maximum(kept, 1)

    retain = jax.grad(lambda p: objective((~chosen).astype(x.dtype), p))
    # as grad of the whole loss is taken to be 0, that of the rest is minus that of what is removed
    removed = jax.grad(lambda p: -objective(chosen.astype(x.dtype), p))

    def curvature(v: PyTree) -> PyTree:
        return jax.tree.map(lambda h, a: h + damping * a, jax.jvp(retain, (at,), (v,))[1], v)

    gradient = (retain if target == "retain" else removed)(at)
    step = conjugate_gradients(curvature, jax.tree.map(jnp.negative, gradient), steps)
    left = jax.tree.map(jnp.add, curvature(step), gradient)
    size = jnp.sqrt(_dot(gradient, gradient))
    residual = jnp.sqrt(_dot(left, left)) / jnp.where(size > 0, size, 1.0)
    return NewtonStep(Model(jax.tree.map(jnp.add, at, step), model.state), residual)


def conjugate_gradients(matrix: Callable[[PyTree], PyTree], b: PyTree, steps: int) -> PyTree:
    """`steps` steps for matrix x = b, from 0; at the solution they stay where they are."""

    def body(_: int, carry: tuple[PyTree, PyTree, PyTree, Array]) -> tuple:
        x, r, p, squared = carry
        product = matrix(p)
        curved = _dot(p, product)
        size = jnp.where(curved > 0, squared / jnp.where(curved > 0, curved, 1.0), 0.0)
        x, r = _axpy(size, p, x), _axpy(-size, product, r)
        new = _dot(r, r)
        turn = jnp.where(squared > 0, new / jnp.where(squared > 0, squared, 1.0), 0.0)
        return x, r, _axpy(turn, p, r), new

    zero = jax.tree.map(jnp.zeros_like, b)
    return jax.lax.fori_loop(0, steps, body, (zero, b, b, _dot(b, b)))[0]


def _dot(a: PyTree, b: PyTree) -> Float[Array, ""]:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jnp.stack([jnp.vdot(u, v) for u, v in pairs]).sum()


def _axpy(scale: Array, a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(lambda u, v: scale * u + v, a, b)
