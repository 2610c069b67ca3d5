"""Programs found without running them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.aot.record import Recorder


@pytest.fixture
def recorder():
    return Recorder("gpu", "cuda")  # not installed: its functions are made by hand


def programs(recorder):
    return [(p.name, p.calls) for p in recorder.programs.values()]


def test_a_large_program_is_noted_and_not_run(recorder):
    ran = []

    @recorder.jit
    def square(x):
        jax.debug.callback(lambda: ran.append(1))
        return x @ x

    with recorder.on():
        result = square(jnp.ones((2000, 2000)))
        square(result)
    jax.effects_barrier()
    assert result.shape == (2000, 2000) and not ran
    assert programs(recorder) == [("square", 2)]
    (program,) = recorder.programs.values()
    assert program.total.flops == pytest.approx(2 * 2 * 2000**3)


def test_a_small_program_is_noted_and_run(recorder):
    double = recorder.jit(lambda x: 2 * x)
    with recorder.on():
        assert double(21) == 42
    assert programs(recorder) == [("<lambda>", 1)]


def test_nothing_is_noted_while_it_is_off_nor_what_is_part_of_another_program(recorder):
    inner = recorder.jit(lambda x: x @ x)
    outer = recorder.jit(lambda x: inner(x) + inner(jnp.ones((800, 800))))
    outer(jnp.ones((800, 800)))
    assert not recorder.programs
    with recorder.on():
        outer(jnp.ones((800, 800)))
        jax.make_jaxpr(inner)(jnp.ones((800, 800)))
    assert programs(recorder) == [("<lambda>", 1)]


def test_shapes_types_and_static_arguments_make_programs_and_numbers_do_not(recorder):
    @functools.partial(recorder.jit, static_argnames="times")
    def power(x, n, times):
        return x * n * times

    with recorder.on():
        for n in (1, 2, 3):
            power(jnp.ones(4), n, times=2)
        power(jnp.ones(4), 1, times=3)
        power(jnp.ones(5), 1, 2)
        power(jnp.ones(4, jnp.int32), 1, times=2)
    assert sorted(calls for _, calls in programs(recorder)) == [1, 1, 1, 3]


def test_the_length_of_a_loop_is_read_from_every_call(recorder):
    @recorder.jit
    def loop(x, steps):
        return jax.lax.fori_loop(0, steps, lambda _, y: y @ y, x)

    with recorder.on():
        for steps in (1000, 2000):
            loop(jnp.ones((100, 100)), steps)
    (program,) = recorder.programs.values()
    assert program.total.bounded
    assert program.total.flops == pytest.approx(3000 * 2 * 100**3, rel=0.001)


def test_what_is_compiled_ahead_of_time_is_noted_when_it_is_called(recorder):
    f = recorder.jit(lambda x: x @ x)
    x = jnp.ones((1500, 1500))
    with recorder.on():
        compiled = f.lower(x).compile()
        assert programs(recorder) == [("<lambda>", 0)]
        assert compiled.memory_analysis().temp_size_in_bytes > 0
        assert compiled(x).shape == (1500, 1500)
    assert programs(recorder) == [("<lambda>", 1)]


def test_large_made_up_results_take_no_memory_and_keys_are_keys(recorder):
    @recorder.jit
    def much(key):
        return jnp.zeros((40_000, 40_000)), jax.random.split(key, 3), jnp.zeros(2, bool)

    with recorder.on():
        array, keys, flags = much(jax.random.key(0))
    assert array.nbytes == 4 * 40_000**2 and float(array[7, 7]) == 0
    assert jnp.issubdtype(keys.dtype, jax.dtypes.prng_key) and np.asarray(flags).all()
