"""Programs compiled for devices that are not here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from theorylab.aot.record import _JIT, Program
from theorylab.aot.targets import Target


@dataclass(frozen=True)
class Built:
    """A compiled program.

    Attributes:
        program_bytes: memory that it takes on a device: arguments, results, and what is between.
        temporary: of these, what is between.
        flops: of the compiler's own count, None where it gives none.
        text: the compiled program.
    """

    program_bytes: int
    temporary: int
    flops: float | None
    text: str


def account(compiled: Any) -> Built:
    """What the compiler says of a compiled program.

    Args:
        compiled: as `jax.jit(f).lower(...).compile()` gives it.

    Returns:
        A `Built`.
    """
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis()
    total = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    flops = (costs or {}).get("flops")
    return Built(total, memory.temp_size_in_bytes, flops, compiled.as_text())


def placed(tree: Any, sharding: Any) -> Any:
    """`tree` with its arrays as shapes on the devices of a sharding; what is no array stays.

    Args:
        tree: of arguments.
        sharding: of all arrays, or a function from a shape to one.
    """

    def place(leaf: Any) -> Any:
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            return leaf
        chosen = sharding(leaf.shape) if callable(sharding) else sharding
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=chosen)

    return jax.tree.map(place, tree)


def build(program: Program, target: Target | None, count: int = 1) -> Built:
    """Compile a recorded program for devices of a kind that need not be here.

    Args:
        program: as a `Recorder` noted it.
        target: the kind of device, whose packages are installed; None: the device that is here.
        count: of devices. Where there are several, each array whose first axis divides among them
            is split along it, and the others are on all.

    Returns:
        A `Built`; its memory is of one device.
    """
    args, kwargs = program.args, program.kwargs
    if target is not None:
        devices = target.devices(count)
        sharding = SingleDeviceSharding(devices[0]) if count == 1 else _first_axis(devices)
        args, kwargs = placed((args, kwargs), sharding)
    with program.settings():
        lowered = _JIT(program.function, **program.options).lower(*args, **kwargs)
        return account(lowered.compile())


def splits(program: Program, count: int) -> bool:
    """Whether an array among a program's arguments divides among this number of devices."""
    leaves = jax.tree.leaves((program.args, program.kwargs))
    return any(_divides(getattr(leaf, "shape", ()), count) for leaf in leaves)


def _divides(shape: tuple[int, ...], count: int) -> bool:
    return len(shape) > 0 and shape[0] > 0 and shape[0] % count == 0


def _first_axis(devices: list[Any]) -> Callable[[tuple[int, ...]], NamedSharding]:
    mesh = Mesh(np.array(devices), ("samples",))

    def of(shape: tuple[int, ...]) -> NamedSharding:
        split = _divides(shape, len(devices))
        return NamedSharding(mesh, PartitionSpec("samples") if split else PartitionSpec())

    return of
