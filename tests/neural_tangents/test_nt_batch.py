"""Blocks and means over networks: the whole does not depend on how it is cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import neural_tangents as nt
from theorylab.errors import InputError
from theorylab.neural_tangents import stax

X1 = np.random.default_rng(0).normal(size=(7, 4, 3)).astype(np.float32)
X2 = np.random.default_rng(1).normal(size=(5, 4, 3)).astype(np.float32)
INIT, APPLY, KERNEL = stax.serial(
    stax.Dense(16), stax.Relu(), stax.Dropout(0.8), stax.Aggregate(), stax.Flatten(), stax.Dense(2)
)
PLAIN = stax.serial(stax.Dense(64), stax.Erf(), stax.Flatten(), stax.Dense(2))
PATTERNS = tuple(
    np.random.default_rng(2).random(size=(len(x), 4, 4)).astype(np.float32) for x in (X1, X2)
)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.mark.parametrize("size", [0, 2, 3, 10])
@pytest.mark.parametrize("store", [True, False])
def test_blocks_join_to_the_whole(size, store):
    batched = nt.batch(KERNEL, size, store_on_device=store)
    for other, pattern in ((X2, PATTERNS), (None, (PATTERNS[0],) * 2)):
        whole = KERNEL(X1, other, pattern=pattern)
        parts = batched(X1, other, pattern=pattern)
        for name in ("nngp", "ntk", "cov1", "cov2"):
            a, b = getattr(whole, name), getattr(parts, name)
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, **CLOSE)
        assert isinstance(parts.nngp, jax.Array) == store
        assert parts.shape1 == whole.shape1 and parts.shape2 == whole.shape2
        assert bool(parts.x1_is_x2) == (other is None)


def test_blocks_of_kernels_join_too():
    first, second = stax.serial(stax.Dense(8), stax.Erf()), stax.serial(stax.Dense(8), stax.Relu())
    for other in (X2, None):
        k = first[2](X1, other)
        whole, parts = second[2](k), nt.batch(second[2], 2)(k)
        np.testing.assert_allclose(whole.ntk, parts.ntk, **CLOSE)
        np.testing.assert_allclose(whole.cov1, parts.cov1, **CLOSE)


def test_blocks_of_empirical_kernels_and_trees():
    both = stax.serial(
        stax.FanOut(2), stax.parallel(PLAIN, stax.serial(stax.Flatten(), stax.Dense(3)))
    )
    params = both[0](jax.random.key(0), X1.shape)[1]
    kernel_fn = nt.empirical_kernel_fn(both[1], trace_axes=())
    whole = kernel_fn(X1, X2, None, params)
    parts = nt.batch(kernel_fn, 3)(X1, X2, None, params)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_means_over_networks_come_closer_and_begin_alike():
    exact = PLAIN[2](X1, X2, ("nngp", "ntk"))
    counts = [4, 64]
    generator = nt.monte_carlo_kernel_fn(PLAIN[0], PLAIN[1], jax.random.key(1), counts)
    few, many = generator(X1, X2)
    alone = nt.monte_carlo_kernel_fn(PLAIN[0], PLAIN[1], jax.random.key(1), 4)
    again = alone(X1, X2, ("nngp", "ntk"))
    np.testing.assert_allclose(few.ntk, again.ntk, rtol=1e-5)
    np.testing.assert_allclose(few.nngp, alone(X1, X2, "nngp"), rtol=1e-5)
    scale = np.abs(np.asarray(exact.ntk)).max()
    # 64 networks of width 64 and two outputs: a spread of about 1/(8 √128), and the bias of 1/64
    assert np.abs(np.asarray(many.ntk - exact.ntk)).max() < 0.1 * scale


def test_dropout_of_a_batch_that_meets_itself_has_the_same_masks():
    net = stax.serial(
        stax.Flatten(), stax.Dense(256), stax.Relu(), stax.Dropout(0.6), stax.Dense(2)
    )
    kernel_fn = nt.monte_carlo_kernel_fn(net[0], net[1], jax.random.key(3), 300, vmap_axes=None)
    for other in (None, X1):
        exact = np.asarray(net[2](X1, other, "nngp"))
        found = np.asarray(kernel_fn(X1, other, "nngp"))
        np.testing.assert_allclose(found, exact, atol=0.25 * exact.max())
        # masks that do not meet themselves would give 0.6 of it; 600 outputs spread by 1/√300
        assert np.abs(np.diag(found) / np.diag(exact) - 1).max() < 0.2


@pytest.mark.parametrize(
    "use",
    [
        lambda: nt.batch(KERNEL, -1),
        lambda: nt.batch(KERNEL, 2, 10_000),
        lambda: nt.monte_carlo_kernel_fn(*PLAIN[:2], jax.random.key(0), 0),
        lambda: nt.monte_carlo_kernel_fn(*PLAIN[:2], jax.random.key(0), [3, -1]),
    ],
)
def test_bad_sizes_are_refused(use):
    with pytest.raises(InputError):
        use()


def test_kernels_compile_into_larger_programs():
    whole = jax.jit(lambda a, b: PLAIN[2](a, b, "ntk").sum())
    np.testing.assert_allclose(whole(X1, X2), PLAIN[2](X1, X2, "ntk").sum(), rtol=1e-5)
    slope = jax.grad(lambda a: PLAIN[2](a, X2, "ntk").sum())(jnp.asarray(X1))
    moved = X1 + 1e-2 * np.sign(slope)
    change = float(PLAIN[2](moved, X2, "ntk").sum() - PLAIN[2](X1, X2, "ntk").sum())
    np.testing.assert_allclose(change, 1e-2 * np.abs(slope).sum(), rtol=0.1)
