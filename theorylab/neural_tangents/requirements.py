"""What layers ask of the kernel before them, and how a layer becomes callable on arrays.

A layer is a triple (init_fn, apply_fn, kernel_fn). `kernel_fn` maps a `Kernel` to a `Kernel`; the
decorator `layer` lets it take arrays too, of which it makes the first `Kernel`.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from theorylab.errors import InputError
from theorylab.neural_tangents.inputs import input_kernel
from theorylab.neural_tangents.kernel import Kernel, is_kernel, tree
from theorylab.neural_tangents.masks import MaskedArray, supports_masking, unmask_fn
from theorylab.neural_tangents.trees import (
    any_ranks,
    compiled_by_value,
    nothing,
    select,
    wanted,
)

Layer = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]
DEFAULTS = {
    "diagonal_batch": True,
    "diagonal_spatial": False,
    "batch_axis": 0,
    "use_dropout": False,
    "channel_axis": -1,
    "mask_constant": None,
}


class Bool(enum.IntEnum):
    """No, yes, or maybe: "where other entries are zero".

    Source:
        neural-tangents, `stax.Bool`.
    """

    NO = 0
    MAYBE = 1
    YES = 2

    def __and__(self, other: "Bool") -> "Bool":  # type: ignore[override]
        """The weaker of two permissions."""
        return min(self, other)

    __rand__ = __and__  # type: ignore[assignment]


@dataclass(frozen=True)
class Diagonal:
    """Whether a layer is content with covariances at equal positions alone.

    `a >> b` is the requirement of a followed by b, `a & b` that of both side by side.

    Args:
        input: whether the layer's input may hold equal positions alone; MAYBE if other entries are
            zero.
        output: whether everything from here on can do with them: YES if it has, MAYBE up to here.

    Source:
        neural-tangents, `stax.Diagonal`.
    """

    input: Bool = Bool.YES
    output: Bool = Bool.NO

    def __rshift__(self, other: "Diagonal") -> "Diagonal":
        """This layer, followed by another."""
        if self.output is Bool.YES:
            return self
        # what this one makes of equal positions: other entries are zero (MAYBE), or are not (NO)
        enough = other.input is Bool.YES or (other.input is Bool.MAYBE and self.output > Bool.NO)
        if enough:
            needed = self.input
        elif self.output is Bool.NO:
            needed = Bool.NO
        else:
            needed = self.input & other.input
        return Diagonal(needed, other.output)

    def __lshift__(self, other: "Diagonal") -> "Diagonal":
        """This layer, after another."""
        return other >> self

    def __and__(self, other: "Diagonal") -> "Diagonal":
        """Two branches side by side."""
        return Diagonal(self.input & other.input, self.output & other.output)

    def __bool__(self) -> bool:
        """Whether equal positions are all that is needed."""
        return self.input is Bool.YES and self.output > Bool.NO


def requirements(kernel_fn: Callable[..., Any]) -> dict[str, Any]:
    """What a `kernel_fn` asks of its input."""
    return getattr(kernel_fn, "requirements", {})


def requires(**static: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a `kernel_fn` that says what its input has to be, and checks it.

    Args:
        **static: `diagonal_batch` and `diagonal_spatial` (a bool or a `Diagonal`), `batch_axis`,
            `channel_axis`, or other arguments of the first kernel.

    Returns:
        The decorator.

    Source:
        neural-tangents, `stax.requires`.
    """

    def decorate(kernel_fn: Callable[..., Any]) -> Callable[..., Any]:
        def checked(k: Any, **kwargs: Any) -> Any:
            if is_kernel(k):
                _check(_fused(static, {}, kwargs), k)
            return kernel_fn(k, **kwargs)

        checked.requirements = dict(static)  # type: ignore[attr-defined]
        return checked

    return decorate


def _refuses(need: Any) -> bool:
    return need is False or (isinstance(need, Diagonal) and need.input is Bool.NO)


def _check(needs: dict[str, Any], k: Kernel) -> None:
    for name, need in needs.items():
        if need is None:
            continue
        if name in ("diagonal_batch", "diagonal_spatial"):
            if getattr(k, name) is True and _refuses(need):
                raise InputError(
                    f"{name}=True: this layer needs covariances of all pairs; compute the kernel "
                    f"before it with {name}=False"
                )
        elif name in ("batch_axis", "channel_axis"):
            axis = need % len(k.shape1)
            if getattr(k, name) != axis:
                raise InputError(
                    f"{name} = {axis}: but the kernel before has {name} = {getattr(k, name)}; "
                    "give this layer the same"
                )


def _fused(needs: dict[str, Any], defaults: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    """Requirements, overridden by the user's wishes where these demand more."""
    fused = {**defaults, **needs}
    for name, value in user.items():
        if value is None:
            continue
        if value is True and name in needs and _refuses(needs[name]):
            raise InputError(
                f"{name}=True: a layer here needs covariances of all pairs; leave {name} out, or "
                "give False"
            )
        fused[name] = value
    return fused


def combined(kernel_fns: list[Callable[..., Any]], fold: Callable[[Any, Any], Any]) -> dict:
    """Requirements of layers in a row (`fold` >>) or side by side (&)."""
    needs: dict[str, Any] = {}
    for kernel_fn in kernel_fns:
        for name, need in requirements(kernel_fn).items():
            if name not in needs:
                needs[name] = need
            elif isinstance(need, Diagonal) or isinstance(needs[name], Diagonal):
                needs[name] = fold(_diagonal(needs[name]), _diagonal(need))
            elif name == "diagonal_batch":
                needs[name] = needs[name] and need
    return needs


def _diagonal(need: Any) -> Diagonal:
    if isinstance(need, Diagonal):
        return need
    return Diagonal(Bool.YES) if need is not False else Diagonal(Bool.NO)


def layer(layer_fn: Callable[..., Any]) -> Callable[..., Layer]:
    """Decorator of a function that returns a layer: its `kernel_fn` takes arrays too.

    Args:
        layer_fn: a function that returns (init_fn, apply_fn, kernel_fn).

    Returns:
        The function, whose `kernel_fn(x1, x2, get, *, pattern, mask_constant, diagonal_batch,
        diagonal_spatial)` starts from two batches, or goes on from a `Kernel`.

    Source:
        neural-tangents, `stax.layer`.
    """

    def made(*args: Any, **kwargs: Any) -> Layer:
        return finished(layer_fn.__name__, *layer_fn(*args, **kwargs))

    made.__name__ = layer_fn.__name__
    made.__qualname__ = layer_fn.__qualname__
    made.__doc__ = layer_fn.__doc__
    made.__module__ = layer_fn.__module__
    made.__wrapped__ = layer_fn  # type: ignore[attr-defined]
    return made


def finished(
    name: str,
    init_fn: Callable[..., Any],
    apply_fn: Callable[..., Any],
    kernel_fn: Callable[..., Any],
) -> Layer:
    """The triple with its names, and a `kernel_fn` for arrays and kernels."""
    init_fn, apply_fn = any_ranks(init_fn), any_ranks(apply_fn)
    found = _for_arrays(init_fn, kernel_fn)
    for fn in (init_fn, apply_fn, found):
        fn.__name__ = name
    return init_fn, apply_fn, found


def _for_arrays(init_fn: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    needs = requirements(inner)

    def traced(x1_or_kernel: Any, x2: Any, get: Any, mask_constant: Any, options: Any) -> Any:
        leaves = jax.tree.leaves(x1_or_kernel, is_leaf=is_kernel)
        if leaves and all(map(is_kernel, leaves)) and x2 is None:
            before = x1_or_kernel
        else:
            user = {**options, "mask_constant": mask_constant}
            before = _first(x1_or_kernel, x2, needs, get, user)
            options = {**options, "from_data": True}  # every layer's requirement is met
        given = {n: v for n, v in options.items() if n != "pattern" or v is not None}
        return with_shapes(init_fn, before, inner(before, **given))

    # one program for the whole network; inside of another program, a part of that
    whole = compiled_by_value(traced)

    @any_ranks
    def kernel_fn(
        x1_or_kernel: Any,
        x2: Any = None,
        get: Any = None,
        *,
        pattern: Any = None,
        mask_constant: float | None = None,
        diagonal_batch: bool | None = None,
        diagonal_spatial: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """The kernel of this layer between two batches, or after a kernel.

        Args:
            x1_or_kernel: first batch (or a tree of them), or the `Kernel` of what comes before.
            x2: second batch; None for the first.
            get: a name ("nngp", "ntk", "cov1", ...), a tuple of names, or None for the `Kernel`.
            pattern: pair of adjacency arrays, for `Aggregate`.
            mask_constant: the value of inputs that stands for padding.
            diagonal_batch: whether `cov1` and `cov2` hold each sample with itself alone.
            diagonal_spatial: whether equal positions alone are held.
            **kwargs: further requirements of the first kernel.

        Returns:
            One array, a named tuple of them, or a `Kernel`.
        """
        options = {
            "pattern": pattern,
            "diagonal_batch": diagonal_batch,
            "diagonal_spatial": diagonal_spatial,
            **kwargs,
        }
        args = (x1_or_kernel, x2, get, mask_constant, options)
        inside = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        out = traced(*args) if inside else whole(args, {})
        return select("AnalyticKernel", out, get)

    kernel_fn.requirements = needs  # type: ignore[attr-defined]
    return kernel_fn


def with_shapes(init_fn: Callable[..., Any], before: Any, after: Any) -> Any:
    """Kernels with the shapes of the signals after a layer."""

    def shapes(side: str) -> Any:
        found: list[Any] = []
        given = tree(lambda k: getattr(k, side), before)

        def draw(key: Any) -> None:
            found.append(init_fn(key, given)[0])

        jax.eval_shape(draw, jax.eval_shape(lambda: jax.random.key(0)))
        return found[0]

    first = shapes("shape1")
    same = tree(lambda k: k.cov2 is None and k.shape1 == k.shape2, before)
    second = first if all(jax.tree.leaves(same)) else shapes("shape2")
    return _with(after, first, second)


def _with(k: Any, shape1: Any, shape2: Any) -> Any:
    if is_kernel(k):
        return k.replace(shape1=tuple(shape1), shape2=tuple(shape2))
    return type(k)([_with(*each) for each in zip(k, shape1, shape2, strict=True)])


def _first(x1: Any, x2: Any, needs: dict[str, Any], get: Any, user: dict[str, Any]) -> Any:
    fused = _fused(needs, DEFAULTS, user)
    names = wanted(get)[1]
    with_ntk = names is None or "ntk" in names
    if nothing(x2):
        x2 = jax.tree.map(lambda x: None, x1)

    def one(a: Any, b: Any) -> Kernel:
        return input_kernel(
            a,
            b,
            with_ntk=with_ntk,
            diagonal_batch=bool(fused["diagonal_batch"]),
            diagonal_spatial=bool(fused["diagonal_spatial"]),
            batch_axis=fused["batch_axis"],
            channel_axis=fused["channel_axis"],
            mask_constant=fused["mask_constant"],
        )

    return jax.tree.map(one, x1, x2)


__all__ = [
    "Bool",
    "Diagonal",
    "MaskedArray",
    "layer",
    "requires",
    "supports_masking",
    "unmask_fn",
]
