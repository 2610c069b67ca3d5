"""A function with its convolutions computed as matrix products, for training loops on CPU.

XLA's CPU backend runs the gradients of a convolution 3 to 30 times slower inside a compiled loop
(`scan`, `map`) than outside. A convolution is also a product: gather the k^2 shifted slices of the
padded input as columns, multiply by the kernel as a matrix. Slices and products keep their speed in
loops, under `vmap` over kernels too, where a convolution would become a grouped one. Large ones do
not gain (a ResNet is a fifth slower by products).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from theorylab import checks
from theorylab.ntk.graph import Op, read, trace

_PAYS = 1 << 20  # patches of a batch above this many numbers (4 MiB, a core's cache) do not pay


def convolutions_as_products(
    f: Callable[..., Any], *, largest: int | None = None
) -> Callable[..., Any]:
    """The same function with its ungrouped 2-d convolutions replaced by matrix products.

    Use it for gradients inside compiled loops on a CPU, where XLA's convolutions are 3 to 30 times
    slower than outside. On accelerators, and outside of loops, keep `f` as it is. Values agree to
    rounding, and so do derivatives. Grouped, transposed and other convolutions stay as they are; so
    do those inside loops and branches of `f`. `f` is traced at every call: use the result inside
    `jax.jit`.

    Args:
        f: any JAX function of PyTrees of arrays.
        largest: a convolution whose patches of one batch hold more numbers than this stays as it
            is; None for no limit.

    Returns:
        A function of the same signature as `f`.

    Raises:
        InputError: `f` is no function, or `largest` is no whole number of at least 0.

    Source:
        Our measurements on two CPU cores; a convolution as a product of patches is folklore
        ("im2col").
    """

    checks.function("f", f)
    if largest is not None:
        checks.count("largest", largest, 0)

    def products(*args: Any) -> Any:
        leaves, layout = jax.tree.flatten(args)
        shape: list[Any] = []

        def flat(*leaves: Any) -> list[Any]:
            out, structure = jax.tree.flatten(f(*jax.tree.unflatten(layout, leaves)))
            shape.append(structure)
            return out

        graph = trace(flat, *leaves)
        values = dict(zip((ref.id for ref in graph.inputs), leaves, strict=True))
        for op in graph.ops:
            inputs = [read(values, atom) for atom in op.inputs]
            outputs = [_product(op, *inputs)] if _replaceable(op, largest) else op(*inputs)
            values.update(zip((ref.id for ref in op.outputs), outputs, strict=True))
        return jax.tree.unflatten(shape[0], [read(values, atom) for atom in graph.outputs])

    return products


def small_products(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a training loop on this device runs it fastest.

    On CPU its small convolutions become products (`convolutions_as_products`); on accelerators this
    is `f` itself.
    """
    return convolutions_as_products(f, largest=_PAYS) if jax.default_backend() == "cpu" else f


def has_convolutions(f: Callable[..., Any], *args: Any) -> bool:
    """Whether the program of `f` at arguments of these shapes convolves."""
    return "conv_general_dilated" in str(jax.make_jaxpr(f)(*args))


def _replaceable(op: Op, largest: int | None) -> bool:
    if op.name != "conv_general_dilated":
        return False
    p = op.eqn.params
    plain = p["feature_group_count"] == p["batch_group_count"] == 1 and set(p["lhs_dilation"]) == {
        1
    }
    if not (
        plain and len(p["window_strides"]) == 2 and min(min(pair) for pair in p["padding"]) >= 0
    ):
        return False
    avals: list[Any] = [op.eqn.invars[1].aval, op.eqn.outvars[0].aval]
    kernel, out = (aval.shape for aval in avals)
    numbers = p["dimension_numbers"]
    patches = (
        math.prod(out)
        // out[numbers.out_spec[1]]
        * math.prod(kernel)
        // kernel[numbers.rhs_spec[0]]
    )
    return largest is None or patches <= largest


def _product(op: Op, x: Array, kernel: Array) -> Array:
    p = op.eqn.params
    numbers = p["dimension_numbers"]
    # n h w c
    x = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    # k1 k2 c o
    kernel = jnp.transpose(
        kernel, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0])
    )
    x = jnp.pad(x, ((0, 0), *p["padding"], (0, 0)))
    strides, dilation = p["window_strides"], p["rhs_dilation"]
    rows, columns = (
        (x.shape[a + 1] - dilation[a] * (kernel.shape[a] - 1) - 1) // strides[a] + 1
        for a in range(2)
    )
    # Pixels of one phase of the stride lie together: slices, and the sums of their gradient, are
    # then contiguous.
    x = jnp.pad(x, ((0, 0), *((0, -x.shape[a + 1] % strides[a]) for a in range(2)), (0, 0)))
    phases = x.reshape(
        x.shape[0],
        x.shape[1] // strides[0],
        strides[0],
        x.shape[2] // strides[1],
        strides[1],
        x.shape[3],
    )
    slices = []
    for i in range(0, kernel.shape[0] * dilation[0], dilation[0]):
        for j in range(0, kernel.shape[1] * dilation[1], dilation[1]):
            top, left = i // strides[0], j // strides[1]
            slices.append(
                phases[:, top : top + rows, i % strides[0], left : left + columns, j % strides[1]]
            )
    patches = jnp.concatenate(slices, axis=-1)
    out = jnp.matmul(
        patches.reshape(-1, patches.shape[-1]),
        kernel.reshape(-1, kernel.shape[-1]),
        precision=p["precision"],
        preferred_element_type=p["preferred_element_type"],
    ).reshape(*patches.shape[:-1], -1)
    order = (numbers.out_spec[0], numbers.out_spec[2], numbers.out_spec[3], numbers.out_spec[1])
    return jnp.moveaxis(out, (0, 1, 2, 3), order)
