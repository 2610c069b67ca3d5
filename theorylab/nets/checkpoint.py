"""Checkpoints of a training run: sealed files, written atomically.

They are read back only into the run they belong to.
"""

import contextlib
import json
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from theorylab.errors import InputError
from theorylab.files import held, in_one_line, seal, sweep_temporaries, unseal, write_atomically

_KEPT = 2  # should the newest be damaged, the one before it is there


class Checkpoints:
    """Folder with the two newest states of one run, which `identity` (plain JSON values) describes.

    A context, in which the folder is held against other processes. A state is one file,
    `<step>.checkpoint`: the SHA-256 of the rest, a line of JSON (the run, the step, types and
    shapes of the arrays), then the bytes of the arrays. Folders that cannot be read or written
    raise `InputError`.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any]) -> None:
        self._folder, self._identity = (
            Path(folder).expanduser(),
            json.loads(json.dumps(dict(identity))),
        )
        self._whole: list[int] = []  # steps whose files were written or verified here
        self._held = contextlib.ExitStack()

    def __enter__(self) -> "Checkpoints":
        with in_one_line("checkpoint", self._folder):
            self._held.enter_context(held(self._folder, "checkpoint"))
            sweep_temporaries(self._folder, older_than=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def save(self, step: int, carry: PyTree, history: Mapping[str, np.ndarray]) -> None:
        """Keep this state and the whole one before it; nothing else stays."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(_to_numpy(carry))]
        series = {name: np.asarray(values) for name, values in history.items()}
        head = {
            "run": self._identity,
            "step": step,
            "carry": list(map(_kind, leaves)),
            "history": {name: _kind(values) for name, values in series.items()},
        }
        arrays = [np.ascontiguousarray(array).tobytes() for array in (*leaves, *series.values())]
        with in_one_line("checkpoint", self._folder):
            write_atomically(
                self._path(step), seal(b"".join([json.dumps(head).encode(), b"\n", *arrays]))
            )
            self._whole = [*(known for known in self._whole if known != step), step][-_KEPT:]
            for other in self._steps():
                if other not in self._whole:
                    self._path(other).unlink()

    def restore(self, carry: PyTree) -> tuple[int, PyTree, dict[str, np.ndarray]] | None:
        """The newest whole state (step, carry, history), laid out as `carry`.

        None where there is none yet.

        Warns of damaged files that are newer. Raises `InputError` where all are damaged or the run
        is another.
        """
        steps = self._steps()
        for step in steps:
            with in_one_line("checkpoint", self._folder):
                body = unseal(self._path(step).read_bytes())
            if body is None:
                continue
            head, _, raw = body.partition(b"\n")
            found: dict[str, Any] = json.loads(head)
            if found["step"] != step:  # a whole file under another's name
                continue
            newer = [f"{damaged}.checkpoint" for damaged in steps if damaged > step]
            if newer:
                warnings.warn(
                    (
                        f"checkpoint: {', '.join(newer)} in {self._folder} damaged; going on from "
                        f"step {step}"
                    ),
                    RuntimeWarning,
                    stacklevel=2,
                )
            like, layout = jax.tree.flatten(carry)
            self._require_same_run(found, like)
            arrays = iter(_split(raw, [*found["carry"], *found["history"].values()]))
            leaves = [_as(leaf, next(arrays)) for leaf in like]
            self._whole = [step]
            return (
                step,
                jax.tree.unflatten(layout, leaves),
                {name: next(arrays) for name in found["history"]},
            )
        if steps:
            raise InputError(
                f"checkpoint: every file in {self._folder} is damaged; delete the folder to train "
                "from the start"
            )
        return None

    def _require_same_run(self, found: Mapping[str, Any], like: list[Any]) -> None:
        stored: dict[str, Any] = {**found["run"], "state": found["carry"]}
        given: dict[str, Any] = {
            **self._identity,
            "state": json.loads(json.dumps(list(map(_kind, _to_numpy(like))))),
        }
        for name, value in given.items():
            if stored.get(name) != value:
                was: Any = stored.get(name)
                now: Any = value
                # of all parameters and all that the optimizer keeps: the first that differs
                if name == "state":
                    alike = (f"{len(was)} arrays", f"{len(now)} arrays")
                    was, now = next(
                        (pair for pair in zip(was, now, strict=False) if pair[0] != pair[1]), alike
                    )
                raise InputError(
                    f"checkpoint: {self._folder} belongs to another run ({name} was {was!r}, now "
                    f"{now!r}); give another folder or delete this one"
                )

    def _path(self, step: int) -> Path:
        return self._folder / f"{step}.checkpoint"

    def _steps(self) -> list[int]:
        """Steps of all files, newest first."""
        found = (
            re.fullmatch(r"(0|[1-9]\d*)\.checkpoint", path.name) for path in self._folder.iterdir()
        )
        return sorted((int(match[1]) for match in found if match), reverse=True)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_numpy(tree: PyTree) -> PyTree:
    return jax.device_get(
        jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)
    )


def _kind(array: Any) -> tuple[str, list[int]]:
    return np.asarray(array).dtype.name, list(np.shape(array))


def _split(raw: bytes, kinds: list[tuple[str, list[int]]]) -> list[np.ndarray]:
    """The arrays whose bytes follow one another."""
    arrays, start = [], 0
    for name, shape in kinds:
        count = math.prod(shape)
        arrays.append(np.frombuffer(raw, jnp.dtype(name), count, start).reshape(shape).copy())
        start += arrays[-1].nbytes
    return arrays


def _as(like: Any, value: np.ndarray) -> Any:
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(like))
    return jnp.asarray(value, like.dtype)
