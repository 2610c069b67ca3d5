"""Digests of arrays tell apart whatever differs."""

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.digests import tree_digest


def test_arrays_are_told_apart_by_place_shape_type_and_every_bit() -> None:
    ones = np.ones((2, 3), np.float32)
    flipped = ones.copy()
    flipped.view(np.uint8)[0, 0] ^= 1
    trees = [
        ones,
        ones.T,
        ones.reshape(6),
        ones.view(np.int32),
        flipped,
        [ones],
        {"a": ones},
        {"b": ones},
        (ones, ones),
        jax.random.key(0),
        jax.random.key(1),
        jax.random.key_data(jax.random.key(0)),
    ]
    assert len({tree_digest(tree) for tree in trees}) == len(trees)
    assert (
        tree_digest(ones) == tree_digest(jnp.asarray(ones)) == tree_digest(np.asfortranarray(ones))
    )
