"""`Kernel`: what is known between two layers, field by field as in neural-tangents."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from theorylab.errors import InputError
from theorylab.pytrees import register

STATIC = {"static": True, "pytree_node": False}


@register()
@dataclass(frozen=True)
class Kernel:
    """Covariances of two batches of signals, and how they are laid out.

    With S the spatial axes, `nngp` and `ntk` are (n1, n2, *S) where only equal positions are held,
    else (n1, n2, h, h, w, w, ...): the two positions of a pair stand side by side.

    Attributes:
        nngp: covariance of the outputs at initialisation.
        ntk: tangent kernel, or None where it was not asked for.
        cov1: the covariance of each sample of the first batch with itself, (n1, ...), or of all
            pairs of them, (n1, n1, ...), where `diagonal_batch` is False.
        cov2: the same for the second batch; None where it is the first.
        x1_is_x2: whether the two batches are the same samples.
        is_gaussian: whether the signal is Gaussian, so that a nonlinearity may follow.
        is_reversed: always False: no axes are reversed here.
        is_input: whether this is the input.
        diagonal_batch: see `cov1`.
        diagonal_spatial: whether equal positions alone are held.
        shape1: shape of the first batch of signals.
        shape2: shape of the second.
        batch_axis: their axis of samples.
        channel_axis: their axis of channels.
        mask1: True where the first batch is padding; of a shape that broadcasts to `shape1`.
        mask2: the same for the second batch.

    Source:
        Novak et al. 2020 (neural-tangents), whose fields these are.
    """

    nngp: Float[Array, "n1 n2 ..."]
    ntk: Float[Array, "n1 n2 ..."] | None

    cov1: Float[Array, "n1 ..."]
    cov2: Float[Array, "n2 ..."] | None
    x1_is_x2: Any

    is_gaussian: bool = field(metadata=STATIC)
    is_reversed: bool = field(metadata=STATIC)
    is_input: bool = field(metadata=STATIC)

    diagonal_batch: bool = field(metadata=STATIC)
    diagonal_spatial: bool = field(metadata=STATIC)

    shape1: Any = field(metadata=STATIC)
    shape2: Any = field(metadata=STATIC)

    batch_axis: int = field(metadata=STATIC)
    channel_axis: int = field(metadata=STATIC)

    mask1: Bool[Array, "..."] | None = None
    mask2: Bool[Array, "..."] | None = None

    def replace(self, **changes: Any) -> "Kernel":
        """A copy with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def asdict(self) -> dict[str, Any]:
        """The fields by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def astuple(self) -> tuple[Any, ...]:
        """The fields in their order."""
        return tuple(self.asdict().values())

    def slice(self, rows: slice, columns: slice) -> "Kernel":
        """The block of these rows and columns; samples have to be on the first axis."""
        if not self.diagonal_batch or self.batch_axis != 0:
            raise InputError(
                "Kernel.slice: needs diagonal_batch=True and samples on axis 0, got "
                f"diagonal_batch={self.diagonal_batch}, batch_axis={self.batch_axis}"
            )
        cov2 = self.cov1 if self.cov2 is None else self.cov2
        mask2 = self.mask1 if self.cov2 is None else self.mask2
        ntk = self.ntk
        if ntk is not None and jnp.ndim(ntk):
            ntk = ntk[rows, columns]

        def shape(shape: tuple[int, ...], part: slice) -> tuple[int, ...]:
            return (len(range(*part.indices(shape[0]))), *shape[1:])

        def rows_of(mask: Any, part: slice) -> Any:
            return mask if mask is None or mask.shape[0] == 1 else mask[part]

        return self.replace(
            nngp=self.nngp[rows, columns],
            ntk=ntk,
            cov1=self.cov1[rows],
            cov2=cov2[columns],
            shape1=shape(self.shape1, rows),
            shape2=shape(self.shape2, columns),
            mask1=rows_of(self.mask1, rows),
            mask2=rows_of(mask2, columns),
        )


def is_kernel(x: Any) -> bool:
    """Whether this is a `Kernel`; the leaf of trees of them."""
    return isinstance(x, Kernel)


def tree(fn: Any, *trees: Any) -> Any:
    """`fn` of the kernels of trees of one structure."""
    return jax.tree.map(fn, *trees, is_leaf=is_kernel)
