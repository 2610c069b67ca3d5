"""One tile of a kernel, here or on a Dask worker that has this code and this network."""

import contextlib
import functools
import hashlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

import theorylab
from theorylab.cluster import changed, refusal
from theorylab.errors import InputError
from theorylab.ntk.empirical import empirical_ntk
from theorylab.ntk.identity import function_digest

Expected = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Network:
    """A function with its parameters, and how its kernel is wanted, as `empirical_ntk` takes it."""

    f: Callable[[PyTree, PyTree], PyTree]
    params: PyTree
    settings: dict[str, Any]

    def kernel(self, rows: PyTree, columns: PyTree | None) -> np.ndarray:
        """The kernel of these samples; of the rows alone where there are no columns."""
        return empirical_ntk(self.f, self.params, rows, columns, **self.settings)

    def cast(self, tree: PyTree) -> PyTree:
        """The tree with floating-point numbers of the width that is asked for."""
        dtype = self.settings["dtype"]

        def one(leaf: Any) -> Any:
            leaf = jnp.asarray(leaf)
            if dtype is None or not jnp.issubdtype(leaf.dtype, jnp.inexact):
                return leaf
            kind = jnp.promote_types(dtype, jnp.complex64) if jnp.iscomplexobj(leaf) else dtype
            return leaf.astype(kind)

        return jax.tree.map(one, tree)

    def identity(self, x: PyTree) -> str:
        """The digest of what the function computes for samples like these."""
        with self.numbers():
            params, one = (jax.tree.map(jnp.asarray, tree) for tree in (self.params, head(x, 1)))
            return function_digest(self.f, params, one)

    @contextlib.contextmanager
    def numbers(self) -> Any:
        """The widths and the precision of numbers that the settings ask for."""
        dtype = self.settings["dtype"]
        wide = dtype is not None and jnp.dtype(dtype) == np.dtype("float64")
        with (
            jax.enable_x64(True) if wide else contextlib.nullcontext(),
            jax.default_matmul_precision(self.settings["precision"]),
        ):
            yield


def head(x: PyTree, samples: int) -> PyTree:
    """The first samples."""
    return jax.tree.map(lambda leaf: leaf[:samples], x)


def pack(network: Network) -> bytes:
    """The network as bytes that a worker can open."""
    import cloudpickle  # a dependency of distributed

    try:
        return cloudpickle.dumps(network)
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(
            f"f cannot be sent to workers ({said}); define it in a module that they have, or as a "
            "plain function of arrays"
        ) from error


def description() -> dict[str, str]:
    """What must be the same wherever tiles of one kernel are computed."""
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return {"theorylab": theorylab.__version__, **versions, "code": _code()}


def _files() -> dict[str, Path]:
    """The modules whose code a tile depends on."""
    root = Path(theorylab.__file__).parent
    found = [*root.glob("*.py"), *(root / "ntk").glob("*.py"), *(root / "ntk/large").glob("*.py")]
    return {
        ".".join(("theorylab", *path.relative_to(root).with_suffix("").parts)): path
        for path in sorted(found)
    }


@functools.cache
def _code() -> str:
    total = hashlib.sha256()
    for name, path in _files().items():
        total.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


@functools.cache
def objection(expected: Expected) -> str:
    """Why this process must not compute for one with this `description`; "" when it may."""
    ours = description()
    for name, theirs in expected:
        if ours[name] != theirs:
            what = "another code of theorylab" if name == "code" else f"{name} {ours[name]}"
            return f"it has {what}, this is {theirs}"
    name = changed(_files())
    return f"{name} has changed since it started" if name else ""


def device() -> str:
    """The kind of device that computes in this process."""
    return jax.devices()[0].device_kind


def same(value: Any) -> Any:
    """The value: so data become something that the scheduler can hand to any worker again."""
    return value


def remote(
    expected: Expected, identity: str, packed: bytes, rows: PyTree, columns: PyTree | None
) -> tuple[np.ndarray, float] | str:
    """A tile and its seconds, on a worker; a text when the worker is not to compute it."""
    wrong = objection(expected) or _unlike(identity, packed, rows)
    if wrong:
        return refusal(wrong)
    began = time.monotonic()
    block = np.asarray(_opened(packed).kernel(rows, columns))
    return block, time.monotonic() - began


@functools.lru_cache(maxsize=2)
def _opened(packed: bytes) -> Network:
    """The network, once for all tiles: what is compiled belongs to its function object."""
    import cloudpickle

    return cloudpickle.loads(packed)


_ALIKE: set[tuple[str, bytes]] = set()  # networks that were found to be what they were sent as


def _unlike(identity: str, packed: bytes, rows: PyTree) -> str:
    """Why the network that these bytes make here is not the one that was sent."""
    mark = identity, hashlib.sha256(packed).digest()
    if mark in _ALIKE:
        return ""
    try:
        found = _opened(packed).identity(rows)
    except Exception as error:
        return f"it cannot open f ({' '.join(f'{type(error).__name__}: {error}'.split())[:160]})"
    if found != identity:
        return "f computes something else there: its module has another code, or its constants do"
    _ALIKE.add(mark)
    return ""
