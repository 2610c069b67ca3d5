"""A key pays for one release: a ledger that refuses a random key that was used before.

Two private releases with the same key share their noise, and the difference of two outputs shows
the data bare. Every mechanism here that is *run on data* (`TreeCounter.release`, and `start` and
`step` of it and of `SparseVector`) therefore spends its key, and refuses one that was spent before.
Simulations, which draw from a mechanism's law to study it, spend nothing: there a key given twice
is a run repeated on purpose.

What is caught, by the value of the key: the same key twice, a copy of it, a key made again from the
same seed, the same child of a split or `fold_in`, in any order, in all threads of one process.
(JAX's own `jax.debug_key_reuse` follows key *objects*, and lets `jax.random.key(0)` made twice
pass.)
What cannot be caught: keys of other processes or of an earlier one; a key that other code
(`jax.random.normal(key)`) draws from; a key and another that is derived from it; keys inside a
compiled function, whose values are not known: releases refuse traced keys.
Source: our own ledger.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced


class KeyLedger:
    """The keys that were spent: 16 bytes of memory for each, nothing of their values."""

    def __init__(self) -> None:
        self._spent: set[bytes] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._spent)

    def spend(self, key: jax.Array) -> jax.Array:
        """Take note of the key and hand it back.

        Raises InputError for a key that was spent before, one that is traced, or anything else than
        one typed key.
        """
        if is_traced(key):
            raise InputError(
                "key is traced, so that it cannot be known whether it was used before; call the "
                "release outside of jit, vmap and scan"
            )
        checks.key("key", key)
        mark = _mark(key)
        with self._lock:
            if mark in self._spent:
                raise InputError(
                    "key was used by a private release before, and the same noise twice shows the "
                    "data; give each release a key of its own, jax.random.split(key)"
                )
            self._spent.add(mark)
        return key

    def spent(self, key: jax.Array) -> bool:
        """Whether the key was spent."""
        return _mark(checks.key("key", key)) in self._spent


_PROCESS = KeyLedger()
_CURRENT: ContextVar[KeyLedger] = ContextVar("ledger", default=_PROCESS)


def spend(key: jax.Array) -> jax.Array:
    """Spend a key in the ledger in force (that of the process, by default) and hand it back.

    Call it first in every routine of your own that releases something private.

    Args:
        key: typed key.

    Returns:
        The same key.

    Raises:
        InputError: a key that was spent before, one that is traced, or anything else than one typed
            key.
    """
    return _CURRENT.get().spend(key)


@contextmanager
def separate_ledger() -> Iterator[KeyLedger]:
    """A block with an empty ledger of its own: to repeat a release on data that is not private.

    The ledger outside knows nothing of what the block spends.

    Returns:
        A context manager that gives the block's `KeyLedger`.
    """
    ledger = KeyLedger()
    token = _CURRENT.set(ledger)
    try:
        yield ledger
    finally:
        _CURRENT.reset(token)


def _mark(key: jax.Array) -> bytes:
    data = np.asarray(jax.random.key_data(key)).tobytes()
    return hashlib.blake2b(f"{key.dtype}".encode() + data, digest_size=16).digest()
