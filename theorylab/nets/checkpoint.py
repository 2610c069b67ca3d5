"""Checkpoints of a training run (orbax): written atomically, read back only into the run they belong to."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from theorylab.errors import InputError


def checksum(tree: PyTree) -> int:
    """CRC-32 of the bytes of all leaves, in order."""
    value = 0
    for leaf in jax.tree.leaves(_to_numpy(tree)):
        value = zlib.crc32(np.ascontiguousarray(leaf).data, value)
    return value


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_numpy(tree: PyTree) -> PyTree:
    return jax.device_get(jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree))


class Checkpoints:
    """Folder with the two newest states of one run, which `identity` (plain JSON values) describes."""

    def __init__(self, folder: str | Path, identity: Mapping[str, Any]) -> None:
        import orbax.checkpoint as ocp  # a second to import: only for those who use it

        self._ocp, self._identity, self._folder = ocp, dict(identity), Path(folder).expanduser().resolve()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def save(self, step: int, carry: PyTree, history: Mapping[str, np.ndarray]) -> None:
        leaves = {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(_to_numpy(carry)))}
        save = self._ocp.args
        tree = {"carry": leaves, "history": {k: np.asarray(v) for k, v in history.items()}}
        tree = jax.tree.map(np.atleast_1d, tree)  # orbax stores arrays; 0-d ones come back as Python numbers
        self._manager.save(
            step, args=save.Composite(arrays=save.StandardSave(tree), identity=save.JsonSave(self._identity))
        )

    def restore(self, carry: PyTree) -> tuple[int, PyTree, dict[str, np.ndarray]] | None:
        """(step, carry, history) of the newest state, laid out as `carry`; None where there is none yet."""
        step = self._manager.latest_step()
        if step is None:
            return None
        load = self._ocp.args
        found = self._manager.restore(
            step, args=load.Composite(identity=load.JsonRestore(), arrays=load.StandardRestore())
        )
        for name, given in self._identity.items():
            if found.identity.get(name) != given:
                raise InputError(
                    f"checkpoint: {self._folder} belongs to another run ({name} was {found.identity.get(name)!r}, now "
                    f"{given!r}); give another folder or delete this one"
                )
        like, layout = jax.tree.flatten(carry)
        stored = found.arrays["carry"]
        leaves = [_as(leaf, stored[str(i)]) for i, leaf in enumerate(like)]
        return step, jax.tree.unflatten(layout, leaves), {k: np.asarray(v) for k, v in found.arrays["history"].items()}


def _as(like: Any, value: Any) -> Any:
    if _is_key(like):
        data = jnp.asarray(np.reshape(value, jax.random.key_data(like).shape), jnp.uint32)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(like))
    return jnp.asarray(np.reshape(value, like.shape), like.dtype)
