"""Sums of clipped per-example gradients: the only place where a descent touches its records.

A *gradient* here is an object that `private_descent` takes: `PerExample` of any loss, or
`LinearHead`, where norms have a closed form and no per-example gradient is ever made. What they sum
has norm at most the clipping norm for every record, whatever the record is: the norm that is
clipped to is smaller by one part in 1e5, which covers the rounding of float32, and a record whose
gradient is not finite (or has a norm beyond the range of float32) adds nothing. That it was left
out is not said anywhere, since who was left out is private.
Source: clipping as in Abadi et al. 2016, algorithm 1; norms of linear models in closed form as in
Goodfellow 2015.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from theorylab import checks
from theorylab.pytrees import register

Loss = Callable[[Any, Any, Any], Any]
HEADS = ("softmax", "logistic", "hinge")
SLACK = 1e-5  # by which the norm is clipped below what is accounted for


class Gradient(Protocol):
    """What a private descent needs to know of the loss."""

    def begin(self, params: Any) -> Any:
        """The context before the first step, a tree: what is known of public data, say."""

    def prepare(self, params: Any, context: Any) -> Any:
        """The context of a step at these parameters. It knows none of the private records."""

    def sums(self, params: Any, context: Any, x: Any, y: Any, member: Any, clip: Any) -> Any:
        """The sum over records of member * clipped gradient, a tree of arrays.

        Replacing `member` of one record by 0 moves it by at most `clip` in Euclidean norm.
        """

    def direction(self, params: Any, context: Any, noisy: Any, clip: Any) -> Any:
        """From the noisy sum to a tree like the parameters."""


class Plain:
    """A gradient that has no context, and whose sum is its direction."""

    def begin(self, params: Any) -> Any:
        """Nothing."""
        return None

    def prepare(self, params: Any, context: Any) -> Any:
        """Nothing."""
        return None

    def direction(self, params: Any, context: Any, noisy: Any, clip: Any) -> Any:
        """The noisy sum itself."""
        return noisy


@register()
@dataclass(frozen=True)
class PerExample(Plain):
    """Clipped gradients of any loss, by the gradient of every record.

    Args:
        loss: function of (params, x, y), one record, to a number.

    Raises:
        InputError: no function.
    """

    loss: Loss = field(metadata={"static": True})

    def __post_init__(self) -> None:
        checks.function("loss", self.loss)

    def each(self, params: Any, x: Any, y: Any) -> Any:
        """The gradients of all records: like the parameters, with an axis in front."""
        return jax.vmap(jax.grad(self.loss), (None, 0, 0))(params, x, y)

    def sums(self, params: Any, context: Any, x: Any, y: Any, member: Any, clip: Any) -> Any:
        """The sum of member * clipped gradient, like the parameters."""
        return clipped_sum(self.each(params, x, y), member, clip)


@register()
@dataclass(frozen=True)
class LinearHead(Plain):
    """Clipped gradients of a linear model, with norms in closed form.

    Parameters are a dictionary: "weights" (d, classes) for "softmax" with labels 0, 1, ..., or (d,)
    for "logistic" and "hinge" with labels -1 and 1; and "bias" (classes,) or (), which may be left
    out. The gradient of a record is (outputs' derivative) ⊗ (x, 1), so that its norm is a product
    of two norms.

    Args:
        kind: "softmax" (cross entropy), "logistic" (log(1 + e^-margin)) or "hinge"
            (max(1 - margin / scale, 0)).
        scale: of the hinge, above 0.

    Raises:
        InputError: an unknown kind, or a scale that is not above 0.
    """

    kind: str = field(metadata={"static": True})
    scale: float = field(default=1.0, metadata={"static": True})

    def __post_init__(self) -> None:
        checks.choice("kind", self.kind, HEADS)
        checks.number("scale", self.scale, 0.0, open_low=True)

    def start(self, d: int, classes: int | None = None, *, bias: bool = True) -> dict[str, Any]:
        """Parameters of zeros for d features."""
        shape = (checks.count("classes", classes, 2),) if self.kind == "softmax" else ()
        zeros = {"weights": jnp.zeros((checks.count("d", d), *shape))}
        return zeros | ({"bias": jnp.zeros(shape)} if bias else {})

    def loss(self, params: Any, x: Any, y: Any) -> Any:
        """The loss of one record, whose clipped gradients these are."""
        out = self.outputs(params, x)
        if self.kind == "softmax":
            return jax.nn.logsumexp(out) - out[y]
        if self.kind == "logistic":
            return jax.nn.softplus(-y * out)
        return jnp.maximum(1 - y * out / self.scale, 0.0)

    def known_targets(self, params: Any, y: Any) -> None:
        """Refuse labels of another kind: they would count as no class, or as no sign, unseen."""
        if self.kind == "softmax":
            checks.labels("y", y, classes=params["weights"].shape[1])
        else:
            checks.signs("y", y)

    def outputs(self, params: Any, x: Any) -> Any:
        """Logits (..., classes) or margins without their sign (...), of records (..., d)."""
        return x @ params["weights"] + params.get("bias", 0.0)

    def derivative(self, params: Any, x: Any, y: Any) -> Any:
        """The derivative of each record's loss by its outputs."""
        out = self.outputs(params, x)
        if self.kind == "softmax":
            return jax.nn.softmax(out) - jax.nn.one_hot(y, out.shape[-1], dtype=out.dtype)
        signs = y.astype(out.dtype)
        if self.kind == "logistic":
            return -signs * jax.nn.sigmoid(-signs * out)
        return jnp.where(signs * out < self.scale, -signs / self.scale, 0.0)

    def each(self, params: Any, x: Any, y: Any) -> Any:
        """The gradients of all records: like the parameters, with an axis in front."""
        pull = self.derivative(params, x, y)
        wide = pull if pull.ndim == 2 else pull[:, None]
        weights = (x[:, :, None] * wide[:, None, :]).reshape(len(x), *params["weights"].shape)
        return {"weights": weights} | ({"bias": pull} if "bias" in params else {})

    def sums(self, params: Any, context: Any, x: Any, y: Any, member: Any, clip: Any) -> Any:
        """The sum of member * clipped gradient, like the parameters."""
        pull = self.derivative(params, x, y)
        wide = pull if pull.ndim == 2 else pull[:, None]
        length = jnp.sum(x**2, axis=1) + ("bias" in params)
        norm = jnp.sqrt(jnp.sum(wide**2, axis=1) * length)
        factor, good = clip_factor(norm, member, clip)
        wide = jnp.where(good[:, None], factor[:, None] * wide, 0.0)
        # the small factor is transposed, not the records, of which a CPU would make a copy a step
        weights = (wide.T @ jnp.where(good[:, None], x, 0.0)).T
        total = {"weights": weights.reshape(params["weights"].shape)}
        return total | ({"bias": wide.sum(0).reshape(pull.shape[1:])} if "bias" in params else {})


def clip_factor(norm: Any, member: Any, clip: Any) -> tuple[Any, Any]:
    """What to multiply gradients of these norms by, and which of them are finite.

    Args:
        norm: (n,) norms of gradients.
        member: (n,) 1 where a record is in the sample and 0 where it is not.
        clip: norm to clip to; the factor clips to (1 - 1e-5) times it.

    Returns:
        (n,) factors, finite everywhere, and (n,) whether the norm is finite. A gradient whose norm
        is not finite has to be left out by the caller: its factor is not 0.
    """
    good = jnp.isfinite(norm)
    within = clip * (1 - SLACK) / jnp.where(good & (norm > 0), norm, 1.0)
    return member * jnp.where(norm > 0, jnp.minimum(within, 1.0), 1.0), good


def clipped_sum(each: Any, member: Any, clip: Any) -> Any:
    """The sum over records of a tree of gradients, each clipped as a whole.

    Args:
        each: a tree of arrays (n, ...), the gradients of n records.
        member: (n,) 1 where a record is in the sample and 0 where it is not.
        clip: norm that the gradient of one record, over all leaves together, is clipped to.

    Returns:
        A tree of arrays (...), without the axis of the records. Records whose gradient is not
        finite add nothing.
    """
    leaves, structure = jax.tree.flatten(each)
    rows = [leaf.reshape(leaf.shape[0], -1) for leaf in leaves]
    norm = jnp.sqrt(sum(jnp.sum(row**2, axis=1) for row in rows))
    factor, good = clip_factor(norm, member, clip)
    sums = [
        (factor @ jnp.where(good[:, None], row, 0.0)).reshape(leaf.shape[1:])
        for row, leaf in zip(rows, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, sums)
