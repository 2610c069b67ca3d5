"""What is done to a training set that must later be undone: triggers, swapped and permuted labels.

Poisoning with a patch (BadNets), interclass confusion, and the random label swap of the
accompanying code. The manipulated samples are a mask of fixed shape, so that programs compiled for
one draw serve all others.
Source: Goel, Prabhu, Torr, Kumaraguru & Sanyal 2024 (arXiv 2402.14015), and their code.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register

Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right"]
_CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
Augment = Callable[[Key[Array, ""], Array], Array]


@dataclass(frozen=True)
class BackdoorPatch:
    """Poisoning: a square of one value in a corner of the image, and the label `target`.

    Args:
        size: side of the square in pixels; 3 in the benchmark.
        value: what all channels of the square are set to; in the benchmark the largest number of
            the normalised training images.
        target: the label that poisoned samples are given.
        corner: where the square lies.

    Raises:
        InputError: an argument out of range, or another corner.
    """

    size: int = 3
    value: float = 1.0
    target: int = 0
    corner: Corner = "bottom_right"

    def __post_init__(self) -> None:
        checks.count("size", self.size)
        checks.number("value", self.value)
        checks.count("target", self.target, 0)
        checks.choice("corner", self.corner, _CORNERS)

    def apply(self, x: Float[ArrayLike, "n h w *c"]) -> Float[Array, "n h w *c"]:
        """All images with the trigger.

        Raises:
            InputError: no images, or images smaller than the square.
        """
        x = jnp.asarray(checks.finite("x", x, ndim=(3, 4)))
        if min(x.shape[1:3]) < self.size:
            raise InputError(
                f"x: images of {x.shape[1]} x {x.shape[2]} are smaller than the patch of "
                f"{self.size}; give a smaller size"
            )
        rows = slice(0, self.size) if "top" in self.corner else slice(-self.size, None)
        columns = slice(0, self.size) if "left" in self.corner else slice(-self.size, None)
        return x.at[:, rows, columns].set(self.value)


@dataclass(frozen=True)
class InterclassConfusion:
    """The labels of samples of two classes are swapped.

    Of the n samples that `manipulate` is asked for, half are of each class: in data order, its
    first n / 2.

    Args:
        a: one class.
        b: the other.

    Raises:
        InputError: a negative label, or twice the same class.
    """

    a: int = 3
    b: int = 5

    def __post_init__(self) -> None:
        checks.count("a", self.a, 0), checks.count("b", self.b, 0)
        if self.a == self.b:
            raise InputError(f"a = b = {self.a}; two different classes are needed")


@dataclass(frozen=True)
class RandomLabelPermutation:
    """The labels of n samples, drawn without replacement, are permuted among them."""


Manipulation = BackdoorPatch | InterclassConfusion | RandomLabelPermutation


@register("trigger", "augment", "order")
@dataclass(frozen=True)
class TrainingSet:
    """A training set as the trainer receives it. `batch` gives what a step sees.

    Attributes:
        x: (n, ...) inputs without a trigger.
        y: (n,) labels as the model is trained on.
        clean: (n,) labels before the manipulation.
        manipulated: (n,) which samples were manipulated.
        patched: (n,) which of them carry the trigger.
        trigger: the patch; None without one.
        augment: (key, x of a batch) -> x, drawn again at every step; None for none.
        order: "augment_first" sets the patch into the augmented image, always in the same place,
            as the benchmark does; "patch_first" lets the augmentation move and mirror it.
    """

    x: Float[Array, "n ..."]
    y: Int[Array, " n"]
    clean: Int[Array, " n"]
    manipulated: Bool[Array, " n"]
    patched: Bool[Array, " n"]
    trigger: BackdoorPatch | None = None
    augment: Augment | None = None
    order: Literal["augment_first", "patch_first"] = "augment_first"

    def batch(
        self, index: Int[Array, " b"], *, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, "b ..."], Int[Array, " b"]]:
        """Inputs and labels of the samples `index`, augmented where a key is given."""
        x = self.x[index]
        if self.order == "patch_first":
            x = self._patch(x, index)
        if self.augment is not None and key is not None:
            x = self.augment(key, x)
        if self.order == "augment_first":
            x = self._patch(x, index)
        return x, self.y[index]

    def _patch(self, x: Array, index: Array) -> Array:
        if self.trigger is None:
            return x
        wide = self.patched[index].reshape(-1, *(1,) * (x.ndim - 1))
        return jnp.where(wide, self.trigger.apply(x), x)


def manipulate(
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, "n"],
    manipulation: Manipulation,
    size: int,
    *,
    key: Key[Array, ""],
    augment: Augment | None = None,
) -> TrainingSet:
    """The training set with `size` of its samples manipulated.

    Poisoned samples are drawn uniformly without replacement from all of them, so that a share of
    them had the target's label before. Interclass confusion draws nothing.

    Args:
        x: (n, ...) inputs; images (n, h, w) or (n, h, w, c) for a patch.
        y: (n,) integer labels.
        manipulation: `BackdoorPatch`, `InterclassConfusion` or `RandomLabelPermutation`.
        size: how many samples are manipulated; even for interclass confusion.
        key: draws the samples, and the permutation of labels.
        augment: kept for training; see `TrainingSet`.

    Returns:
        A `TrainingSet` of n samples, in their order.

    Raises:
        InputError: more samples than there are, an odd size or too small a class for interclass
            confusion, labels that are none.
    """
    checks.key("key", key)
    kinds = (BackdoorPatch, InterclassConfusion, RandomLabelPermutation)
    checks.instance("manipulation", manipulation, kinds, "BackdoorPatch(), say,")
    x = jnp.asarray(checks.finite("x", x))
    y = checks.labels("y", y)
    n = checks.same_length(x=x, y=y)
    size = checks.count("size", size, 1, n)
    if augment is not None:
        checks.function("augment", augment)
    if isinstance(manipulation, BackdoorPatch):
        jax.eval_shape(manipulation.apply, x)  # says early what is wrong with the images
    y = jnp.asarray(y)
    none = jnp.zeros(n, bool)
    found = TrainingSet(x, y, y, none, none, augment=augment)
    if isinstance(manipulation, InterclassConfusion):
        return _confuse(found, manipulation, size)
    who, how = jax.random.split(key)
    chosen = jax.random.permutation(who, n)[:size]
    mask = none.at[chosen].set(True)
    if isinstance(manipulation, BackdoorPatch):
        poisoned = jnp.where(mask, manipulation.target, y)
        return replace(found, y=poisoned, manipulated=mask, patched=mask, trigger=manipulation)
    permuted = y.at[chosen].set(y[jax.random.permutation(how, chosen)])
    return replace(found, y=permuted, manipulated=mask)


def _confuse(data: TrainingSet, manipulation: InterclassConfusion, size: int) -> TrainingSet:
    if size % 2:
        raise InputError(f"size = {size}; interclass confusion needs an even number of samples")
    mask = jnp.zeros(data.y.shape, bool)
    for name in ("a", "b"):
        members = data.y == getattr(manipulation, name)
        if not is_traced(members) and np.asarray(members).sum() < size // 2:
            raise InputError(
                f"size = {size} takes {size // 2} samples of class {name} = "
                f"{getattr(manipulation, name)}, which has {int(np.asarray(members).sum())}"
            )
        mask |= members & (jnp.cumsum(members) <= size // 2)
    swapped = jnp.where(data.y == manipulation.a, manipulation.b, manipulation.a)
    return replace(data, y=jnp.where(mask, swapped, data.y), manipulated=mask)
