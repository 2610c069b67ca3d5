"""Tangent kernels whose samples are spread over several devices, compiled for meshes of devices
that are not here."""

from collections.abc import Callable
from typing import Any

import calls
import jax
import numpy as np
import texts
from jax.sharding import Mesh

from theorylab.aot.build import account
from theorylab.aot.targets import TARGETS

MESHES = {"v5e": ("v5e", 4), "v5e 4x4": ("v5e", 16), "h100 x 4": ("h100", 4)}


def programs(kind: str, reduce: str, mesh: Mesh) -> dict[str, Any]:
    """The compiled programs of an engine on a mesh: features of a tile, and the product of two."""
    from theorylab.ntk.xla import XlaEngine

    f, params, x = calls.network(kind)
    given = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (params, x))
    engine = XlaEngine(f, reduce, True, mesh)  # type: ignore[arg-type]
    engine.layout(*given, None, 8.0)  # judges a tile by compiling what makes it
    return {key[0].strip("_"): compiled for key, compiled in engine._compiled.items()}


def mesh_of(name: str) -> Mesh:
    """A mesh of devices of a topology, with one axis."""
    target, count = MESHES[name]
    return Mesh(np.array(TARGETS[target].devices(count)), ("samples",))


def compiled(
    names: tuple[str, ...] = tuple(MESHES),
    rows: dict[str, dict[str, Any]] | None = None,
    save: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """For every kernel and mesh: memory on each device, or what the compiler said."""
    rows = {} if rows is None else rows
    for kind in ("perceptron", "convolutional"):
        for reduce in calls.REDUCTIONS:
            for name in names:
                label = f"empirical_ntk, {kind}, {reduce}"
                try:
                    for part, made in programs(kind, reduce, mesh_of(name)).items():
                        built = account(made)
                        rows.setdefault(f"{label}: {part}", {})[name] = {
                            "memory": built.program_bytes,
                            "collectives": sorted(texts.collectives(built.text)),
                        } | texts.facts(built.text)
                except Exception as error:
                    said = " ".join(str(error).split())[:300]
                    rows.setdefault(label, {})[name] = {"error": said}
                save()
    return rows
