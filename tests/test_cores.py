"""Calls from several threads are what the calls alone are."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.cores import available_cores, parallel_map


def test_results_come_in_order_and_are_those_of_a_loop():
    f = jax.jit(lambda k: jax.random.normal(jax.random.key(k), (3,)).sum())
    np.testing.assert_array_equal(parallel_map(f, range(7), threads=3), [f(k) for k in range(7)])
    assert parallel_map(f, []) == []


def test_calls_overlap():
    both = threading.Barrier(2, timeout=20)  # passes only when two calls are inside at once
    assert sorted(parallel_map(lambda _: both.wait(), range(2), threads=2)) == [0, 1]


@pytest.mark.parametrize("wide", [False, True])
def test_the_settings_of_the_caller_hold_inside(wide):
    def seen(_):
        return jnp.asarray(np.float64(1)).dtype, str(
            jax.make_jaxpr(jnp.dot)(jnp.ones((2, 2)), jnp.ones((2, 2)))
        )

    with jax.enable_x64(wide), jax.default_matmul_precision("highest"):
        alone = seen(0)
        assert parallel_map(seen, range(4), threads=2) == [alone] * 4
    assert alone[0] == (jnp.float64 if wide else jnp.float32) and "HIGHEST" in alone[1]


def test_an_exception_is_raised_and_one_thread_is_a_loop():
    def fail(item):
        raise KeyError(item)

    with pytest.raises(KeyError, match="0"):
        parallel_map(fail, range(3), threads=2)
    names = parallel_map(lambda _: threading.current_thread().name, range(3), threads=1)
    assert names == [threading.current_thread().name] * 3 and available_cores() >= 1
