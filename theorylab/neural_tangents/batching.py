"""`batch`: a kernel block by block, over several devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel, is_kernel, tree
from theorylab.neural_tangents.trees import (
    compiled_by_value,
    is_array,
    is_pair,
    nothing,
    same_inputs,
)

OWN = {"cov1": 0, "mask1": 0, "cov2": 1, "mask2": 1}  # fields that belong to one batch alone


def batch(
    kernel_fn: Callable[..., Any],
    batch_size: int = 0,
    device_count: int = -1,
    store_on_device: bool = True,
) -> Callable[..., Any]:
    """The kernel function, block by block, so that its working memory stays small.

    Args:
        kernel_fn: `kernel_fn(x1, x2, *args, **kwargs)`, or of a `Kernel`; it is compiled here.
        batch_size: rows and columns of a block; 0 for all at once, or a share for each device.
        device_count: devices that take rows of blocks in turn; -1 for all there are, 0 or 1 for
            none but the one where the data are.
        store_on_device: whether blocks stay on devices until they are joined on the first; else
            they come to the host, as NumPy arrays.

    Returns:
        A function of the same arguments.

    Raises:
        InputError: a negative batch size, or more devices than there are.

    Source:
        neural-tangents, `batch`.
    """
    checks.count("batch_size", batch_size, 0)
    devices = (
        len(jax.devices()) if device_count == -1 else checks.count("device_count", device_count, 0)
    )
    if devices > len(jax.devices()):
        raise InputError(f"device_count = {device_count}; there are {len(jax.devices())} devices")
    compiled = compiled_by_value(kernel_fn)

    def batched(x1: Any, x2: Any = None, *args: Any, **kwargs: Any) -> Any:
        homes = _homes(devices, (x1, x2, args, kwargs))
        blocks = _Blocks(x1, x2, kwargs, batch_size, len(homes))
        rows = []
        for number, i in enumerate(blocks.rows):
            row = []
            for j in blocks.columns:
                a, b, named = blocks.block(i, j)
                first = (a,) if is_input_kernel(a) else (a, b)
                given = _moved(((*first, *args), named), homes[number % len(homes)])
                row.append(compiled(*given))
            rows.append(row)
            if not store_on_device and number >= len(homes):  # one row of blocks a device is ahead
                rows[number - len(homes)] = jax.device_get(rows[number - len(homes)])
        return blocks.joined(_moved(rows, homes[0]) if store_on_device else jax.device_get(rows))

    return batched


def is_input_kernel(x: Any) -> bool:
    """Whether this is a tree of kernels."""
    leaves = jax.tree.leaves(x, is_leaf=is_kernel)
    return bool(leaves) and all(map(is_kernel, leaves))


def _homes(devices: int, given: Any) -> list[Any]:
    """The devices that take rows of blocks in turn; [None] where there is no choice.

    Each runs a program of its own. One program for all, over rows that are sharded, is not taken:
    JAX 0.10 and 0.12 then give wrong gradients of convolutions.
    """
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(given))
    return [None] if devices < 2 or traced else jax.devices()[:devices]


def _moved(x: Any, device: Any) -> Any:
    """The arrays of a tree on this device; None leaves them where they are."""
    if device is None:
        return x
    return jax.tree.map(lambda leaf: jax.device_put(leaf, device) if is_array(leaf) else leaf, x)


class _Blocks:
    """The blocks of one call, and how their results are joined."""

    def __init__(
        self, x1: Any, x2: Any, kwargs: dict[str, Any], batch_size: int, devices: int
    ) -> None:
        self.x1, self.x2, self.kwargs = x1, None if nothing(x2) else x2, kwargs
        self.kernels = is_input_kernel(x1)
        if self.kernels:
            first = jax.tree.leaves(x1, is_leaf=is_kernel)[0]
            n1, n2 = first.nngp.shape[:2]
        else:
            n1 = jax.tree.leaves(x1)[0].shape[0]
            n2 = n1 if self.x2 is None else jax.tree.leaves(x2)[0].shape[0]
        self.n = (n1, n2)
        rows = batch_size or -(-n1 // devices)
        self.rows = _slices(n1, rows)
        self.columns = _slices(n2, rows if self.symmetric else batch_size)

    @property
    def symmetric(self) -> bool:
        """Whether a batch meets itself."""
        if self.kernels:
            return all(k.cov2 is None for k in jax.tree.leaves(self.x1, is_leaf=is_kernel))
        return self.x2 is None

    def block(self, i: slice, j: slice) -> tuple[Any, Any, dict[str, Any]]:
        """(rows, columns, keyword arguments) of one block."""
        named = {name: self._part(name, value, i, j) for name, value in self.kwargs.items()}
        if self.kernels:
            return tree(lambda k: _sliced(k, i, j), self.x1), None, named
        a = jax.tree.map(lambda x: x[i], self.x1)
        if self.x2 is None:
            return a, None if i == j else jax.tree.map(lambda x: x[j], self.x1), named
        return a, jax.tree.map(lambda x: x[j], self.x2), named

    def _part(self, name: str, value: Any, i: slice, j: slice) -> Any:
        """A pair of arrays over samples is cut; anything else stays."""
        if not is_pair(name, value):
            return value
        return tuple(
            v[s] if is_array(v) and v.ndim > 1 and v.shape[0] == n else v
            for v, s, n in zip(value, (i, j), self.n, strict=True)
        )

    def joined(self, rows: list[list[Any]]) -> Any:
        """The whole from its blocks."""
        first = rows[0][0]
        if is_kernel(first):
            return self._kernel(rows)
        if isinstance(first, dict):
            return {k: self.joined([[b[k] for b in row] for row in rows]) for k in first}
        if hasattr(first, "_fields"):
            return type(first)(
                *(
                    self._field(name, [[b[n] for b in row] for row in rows])
                    for n, name in enumerate(first._fields)
                )
            )
        if isinstance(first, (list, tuple)):
            parts = [self.joined([[b[n] for b in row] for row in rows]) for n in range(len(first))]
            return type(first)(parts)
        return self._field("", rows)

    def _field(self, name: str, rows: list[list[Any]]) -> Any:
        first = rows[0][0]
        if first is None or not is_array(first):
            return first
        xp: Any = np if isinstance(first, np.ndarray) else jnp
        if name in OWN:
            parts = [row[0] for row in rows] if OWN[name] == 0 else rows[0]
            return xp.concatenate(parts, 0)
        if first.ndim < 2:
            return first
        if len(rows) == 1 and len(rows[0]) == 1:
            return first
        return xp.concatenate([xp.concatenate(row, 1) for row in rows], 0)

    def _kernel(self, rows: list[list[Kernel]]) -> Kernel:
        first = rows[0][0]
        fields = {
            name: self._field(name, [[getattr(k, name) for k in row] for row in rows])
            for name in ("nngp", "ntk", "cov1", "cov2", "mask1", "mask2")
        }
        if self.symmetric:
            fields["cov2"] = None
            fields["mask2"] = fields["mask1"]
        if self.kernels:
            same = jax.tree.leaves(self.x1, is_leaf=is_kernel)[0].x1_is_x2
        else:
            same = same_inputs(self.x1, self.x2)
        return first.replace(
            **fields,
            x1_is_x2=same,
            shape1=_longer(first, "shape1", self.n[0]),
            shape2=_longer(first, "shape2", self.n[1]),
        )


def _longer(k: Kernel, name: str, n: int) -> tuple[int, ...]:
    shape = list(getattr(k, name))
    shape[k.batch_axis] = n
    return tuple(shape)


def _sliced(k: Kernel, i: slice, j: slice) -> Kernel:
    part = k.slice(i, j)
    if k.cov2 is None and i == j:
        return part.replace(cov2=None, mask2=part.mask1)
    same = k.x1_is_x2 if i == j else False
    return part.replace(x1_is_x2=same)


def _slices(n: int, size: int) -> list[slice]:
    if size == 0 or size >= n:
        return [slice(0, n)]
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
