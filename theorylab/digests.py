"""Digests of trees of arrays: what a file on disk belongs to."""

import hashlib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree


def tree_digest(tree: PyTree) -> str:
    """SHA-256 of the arrays of a tree: where they stand in it, their shapes, types and bytes."""
    return joint_digest(
        piece
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        for piece in (jax.tree_util.keystr(path), *array_pieces(leaf))
    )


def joint_digest(pieces: Iterable[str | bytes]) -> str:
    """SHA-256 of texts and bytes in order; another for every other way to cut the same bytes."""
    total = hashlib.sha256()
    for piece in pieces:
        raw = piece.encode() if isinstance(piece, str) else piece
        total.update(b"%d:" % len(raw) + raw)
    return total.hexdigest()


def array_pieces(leaf: Any) -> tuple[str, bytes]:
    """An array, or typed keys, as its type with its shape, and its bytes."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind, raw = str(leaf.dtype), np.asarray(jax.random.key_data(leaf))
    else:
        raw = np.asarray(leaf)
        kind = raw.dtype.name
    return f"{kind}{raw.shape}", np.ascontiguousarray(raw).tobytes()
