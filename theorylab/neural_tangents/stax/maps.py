"""Fixed linear maps of positions: `Index`, `ImageResize`, `DotGeneral`."""

import string
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Bool, Diagonal, Layer, finished
from theorylab.neural_tangents.states import on_positions
from theorylab.neural_tangents.stax.common import kernel_of
from theorylab.ntk.infinite.state import State

ALL = slice(None)


class _Slice:
    """`Slice[1, :, 2:8]` is the tuple that `Index` takes."""

    def __getitem__(self, idx: Any) -> Any:
        return idx


Slice = _Slice()


def full_index(idx: Any, ndim: int) -> tuple[Any, ...]:
    """The index of every axis, one by one."""
    idx = idx if isinstance(idx, tuple) else (idx,)
    if Ellipsis in idx:
        at = idx.index(Ellipsis)
        idx = idx[:at] + (ALL,) * (ndim - len(idx) + 1) + idx[at + 1 :]
    return idx + (ALL,) * (ndim - len(idx))


class _Index:
    """An index of samples and positions."""

    def __init__(self, idx: Any) -> None:
        self.idx = idx

    def shape(self, input_shape: Any) -> tuple[int, ...]:
        """The shape of what it picks; -1 stays."""
        shape = []
        for size, one in zip(input_shape, full_index(self.idx, len(input_shape)), strict=True):
            if isinstance(one, slice):
                if size < 0 and one != ALL:
                    raise InputError(f"Index: {one} of an axis of unknown size; give the size")
                shape.append(size if one == ALL else len(range(*one.indices(size))))
        return tuple(shape)

    def parts(self, k: Kernel) -> tuple[slice, tuple[Any, ...], list[int]]:
        """(index of samples, of positions, axes that go)."""
        index = full_index(self.idx, len(k.shape1))
        rows, channels = index[k.batch_axis], index[k.channel_axis]
        if not isinstance(rows, slice) or channels != ALL:
            raise NotImplementedError(
                "Index: a single sample, or some of the channels, have no kernel at infinite "
                "width; index samples by slices, and channels by ':'"
            )
        gone = [a for a, one in enumerate(index) if not isinstance(one, slice)]
        ends = (k.batch_axis, k.channel_axis)
        return rows, tuple(one for a, one in enumerate(index) if a not in ends), gone

    def state(self, state: State, k: Kernel) -> State:
        """The covariances of what it picks."""
        rows, places, _ = self.parts(k)
        if places:
            state = on_positions(state, lambda c, lead: c[(ALL,) * lead + places])
        return replace(state.linear(lambda c, lead: c[(rows,) * lead]), mask1=None, mask2=None)

    def changes(self, k: Kernel) -> dict[str, Any]:
        """Where samples and channels are afterwards."""
        gone = self.parts(k)[2]
        ends = {"batch_axis": k.batch_axis, "channel_axis": k.channel_axis}
        return {name: axis - sum(a < axis for a in gone) for name, axis in ends.items()}


def Index(idx: Any, batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """`x[idx]` of samples and positions."""
    index = _Index(idx)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        return index.shape(input_shape), ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return inputs[idx]

    kernel_fn = kernel_of(
        index.state, changes=index.changes, batch_axis=batch_axis, channel_axis=channel_axis
    )

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        shape = list(input_shape)
        shape[channel_axis] = mask.shape[channel_axis]
        return jnp.broadcast_to(mask, shape)[idx]

    return finished("Index", *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=False))


class _Resize:
    """`jax.image.resize` to a shape in which -1 keeps an axis."""

    def __init__(self, shape: Any, ends: tuple[int, int], method: Any, options: Any) -> None:
        self.shape, self.method, self.options = tuple(shape), method, options
        self.batch, self.channel = (axis % len(self.shape) for axis in ends)
        axes = range(len(self.shape))
        self.spatial = [a for a in axes if a not in (self.batch, self.channel)]

    def after(self, input_shape: Any) -> tuple[int, ...]:
        """The shape that comes out."""
        return tuple(n if s == -1 else s for s, n in zip(self.shape, input_shape, strict=True))

    def resize(self, x: Any, new: tuple[int, ...]) -> Any:
        """The array at another size."""
        return jax.image.resize(x, new, self.method, **self.options)

    def state(self, state: State, k: Kernel) -> State:
        """The covariances at another size."""
        method = self.method
        kind = jax.image.ResizeMethod.from_string(method) if isinstance(method, str) else method
        if kind not in (jax.image.ResizeMethod.LINEAR, jax.image.ResizeMethod.NEAREST):
            raise NotImplementedError(
                f"ImageResize: method={method!r} has no kernel here; 'linear' and 'nearest' have"
            )
        if self.shape[self.channel] != -1:
            raise InputError("ImageResize: channels are infinitely many; leave -1 in their place")
        if any(self.shape[a] != -1 for a in self.spatial):
            new = tuple(self.after(k.shape1)[a] for a in self.spatial)
            state = on_positions(state, lambda c, lead: self.resize(c, (*c.shape[:lead], *new)))
        n = self.shape[self.batch]
        if n != -1:
            state = state.linear(lambda c, lead: self.resize(c, ((n,) * lead + c.shape[lead:])))
        return replace(state, mask1=None, mask2=None)

    def mask(self, mask: Any) -> Any:
        """What nothing that is seen reaches."""
        new = tuple(
            n if s == -1 or n == 1 else s for s, n in zip(self.shape, mask.shape, strict=True)
        )
        return ~(self.resize((~mask).astype(jnp.float32), new) != 0)


def ImageResize(
    shape: Any,
    method: Any,
    antialias: bool = True,
    precision: Any = jax.lax.Precision.HIGHEST,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """`jax.image.resize` of positions; -1 in `shape` keeps an axis."""
    options = {"antialias": antialias, "precision": precision}
    one = _Resize(shape, (batch_axis, channel_axis), method, options)
    needs_full = any(one.shape[a] != -1 for a in one.spatial)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        return one.after(input_shape), ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return one.resize(inputs, one.after(inputs.shape))

    kernel_fn = kernel_of(
        one.state,
        batch_axis=batch_axis,
        channel_axis=channel_axis,
        diagonal_batch=one.shape[one.batch] == -1,
        diagonal_spatial=Diagonal(input=Bool.NO if needs_full else Bool.YES),
    )

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        return one.mask(mask)

    return finished(
        "ImageResize", *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=True)
    )


def DotGeneral(
    *,
    lhs: Any = None,
    rhs: Any = None,
    dimension_numbers: Any = (((), ()), ((), ())),
    precision: Any = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """`jax.lax.dot_general` of the inputs with a constant, on the left or on the right."""
    if lhs is not None and rhs is not None:
        raise InputError("DotGeneral: both lhs and rhs; the inputs are one of the two")
    one = _Contraction(lhs, rhs, dimension_numbers, precision)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        shape = tuple(max(s, 1) for s in input_shape)
        return one.shape(shape), ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return one.dot(inputs)

    over = () if one.nothing else one.contracted[0]
    inner = [a for a in over if a != batch_axis]
    kernel_fn = kernel_of(
        one.state,
        changes=one.changes,
        batch_axis=batch_axis,
        channel_axis=channel_axis,
        diagonal_batch=batch_axis not in over,
        diagonal_spatial=Diagonal(input=Bool.NO if inner else Bool.YES),
    )

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        shape = list(input_shape)
        shape[channel_axis] = mask.shape[channel_axis]
        return one.mask(jnp.broadcast_to(mask, shape))

    return finished(
        "DotGeneral", *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=False)
    )


class _Contraction:
    """`dot_general` of something with a constant."""

    def __init__(self, lhs: Any, rhs: Any, dimension_numbers: Any, precision: Any) -> None:
        self.nothing = lhs is None and rhs is None
        self.on_left = rhs is None
        self.other = jnp.asarray(1.0 if self.nothing else lhs if self.on_left else rhs)
        self.numbers, self.precision = dimension_numbers, precision
        # ((axes of inputs, axes of the constant), ...)
        self.contracted, self.paired = (
            tuple(tuple(int(a) for a in side) for side in (pair[::-1] if self.on_left else pair))
            for pair in dimension_numbers
        )

    def dot(self, x: Any) -> Any:
        """The product."""
        other = self.other.astype(x.dtype)
        left, right = (other, x) if self.on_left else (x, other)
        return jax.lax.dot_general(left, right, self.numbers, precision=self.precision)

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Its shape."""
        return jax.eval_shape(self.dot, jax.ShapeDtypeStruct(shape, jnp.float32)).shape

    def mask(self, mask: Any) -> Any:
        """What nothing that is seen enters."""
        seen, ones = (~mask).astype(jnp.float32), jnp.ones(self.other.shape, jnp.float32)
        left, right = (ones, seen) if self.on_left else (seen, ones)
        return ~(jax.lax.dot_general(left, right, self.numbers) > 0)

    def order(self, ndim: int) -> list[tuple[str, int]]:
        """The axes of the result: ("x", axis of inputs) or ("o", axis of the constant)."""
        gone = (*self.contracted[0], *self.paired[0])
        used = (*self.contracted[1], *self.paired[1])
        own = [("x", a) for a in range(ndim) if a not in gone]
        more = [("o", a) for a in range(self.other.ndim) if a not in used]
        paired = [("x", a) for a in self.paired[0]]
        return paired + (more + own if self.on_left else own + more)

    def changes(self, k: Kernel) -> dict[str, Any]:
        """Where samples and channels are afterwards."""
        axes = self.order(len(k.shape1))
        if ("x", k.channel_axis) not in axes or ("x", k.batch_axis) not in axes:
            raise NotImplementedError(
                "DotGeneral: contraction of the axis of samples or of channels leaves no kernel of "
                "two batches; contract spatial axes only"
            )
        return {
            "batch_axis": axes.index(("x", k.batch_axis)),
            "channel_axis": axes.index(("x", k.channel_axis)),
        }

    def state(self, state: State, k: Kernel) -> State:
        """The covariances of the product."""
        self.changes(k)
        if self.nothing:
            return state
        order = self.order(len(k.shape1))
        found = _Dot(state, k, self.contracted, self.paired, self.other.ndim, order)
        return found.through(state, self.other)


class _Dot:
    """The contraction on both sides, written as one einsum."""

    def __init__(
        self,
        state: State,
        k: Kernel,
        contracted: Any,
        paired: Any,
        other_ndim: int,
        order: list[tuple[str, int]],
    ) -> None:
        letters = iter(string.ascii_letters)
        ends = (k.batch_axis, k.channel_axis)
        self.batch = k.batch_axis
        self.full = state.full or (state.spatial == () and state.wanted)
        names = {}
        for a in range(len(k.shape1)):
            if a != k.channel_axis:
                names["x", a] = (next(letters), next(letters))
        for o in range(other_ndim):
            names["o", o] = (next(letters), next(letters))
        for inputs, constant in (contracted, paired):
            for a, o in zip(inputs, constant, strict=True):
                names["o", o] = names["x", a]
        self.names = names
        self.before = [("x", a) for a in range(len(k.shape1)) if a not in ends]
        self.constant = [("o", o) for o in range(other_ndim)]
        self.after = [axis for axis in order if axis not in {("x", a) for a in ends}]
        shape = {("x", a): k.shape1[a] for a in range(len(k.shape1))}
        self.sizes = shape

    def _letters(self, axes: list[tuple[str, int]], side: int, *, one_sample: bool) -> str:
        batch = self.names["x", self.batch]
        out = ""
        for axis in axes:
            first, second = self.names[axis]
            split = not one_sample if (first, second) == batch else self.full
            out += second if side and split else first
        return out

    def through(self, state: State, other: Any) -> State:
        def contract(cov: Any, lead: int) -> Any:
            one = lead == 1
            batch = [("x", self.batch)]
            sides = range(2) if self.full else range(1)
            rows = "".join(self._letters(batch, s, one_sample=one) for s in range(lead))
            inputs = rows
            if state.spatial:
                inputs += "".join(self._letters(self.before, s, one_sample=one) for s in sides)
            outputs = rows
            outputs += "".join(self._letters(self.after, s, one_sample=one) for s in sides)
            constants = [self._letters(self.constant, s, one_sample=one) for s in range(2)]
            how = f"{inputs},{constants[0]},{constants[1]}->{outputs}"
            constant = other.astype(cov.dtype)
            return jnp.einsum(how, cov, constant, constant, optimize=True)

        spatial = tuple(
            self.sizes[axis] if axis in self.sizes else np.shape(other)[axis[1]]
            for axis in self.after
        )
        found = state.linear(contract, spatial=spatial, full=self.full and spatial != ())
        return replace(found, mask1=None, mask2=None)
