"""The count of a program's arithmetic, against counts by hand and by XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.aot.work import work_of


def count(f, *args, **options):
    return work_of(jax.make_jaxpr(f)(*args), **options)


def test_a_product_is_two_operations_for_every_triple_of_indices():
    a, b = jnp.ones((3, 5, 7)), jnp.ones((3, 7, 11))
    assert count(jnp.matmul, a, b).flops == 2 * 3 * 5 * 7 * 11


def test_a_convolution_is_that_of_its_windows():
    x, k = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 4))

    def f(x, k):
        return jax.lax.conv_general_dilated(
            x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    assert count(f, x, k).flops == 2 * 2 * 6 * 6 * 4 * 3 * 3 * 3


def test_a_network_counts_as_xla_counts_it():
    def f(params, x):
        for w in params:
            x = jnp.tanh(x @ w)
        return (x**2).sum()

    params = [jnp.ones((64, 128)), jnp.ones((128, 256)), jnp.ones((256, 32))]
    x = jnp.ones((100, 64))
    step = jax.grad(f)
    seen = jax.jit(step).lower(params, x).cost_analysis()["flops"]
    # XLA counts elementwise operations in other ways: they are a hundredth of the products here
    assert count(step, params, x).flops == pytest.approx(seen, rel=0.05)


@pytest.mark.parametrize("end", [0, 1, 17])
def test_a_loop_is_as_long_as_its_arguments_say(end):
    def f(x, end):
        return jax.lax.fori_loop(0, end, lambda _, y: y @ y, x)

    x = jnp.ones((10, 10))
    known = count(f, x, end, known={1: end})
    assert known.bounded and known.flops // (2 * 10**3) == end
    unknown = count(f, x, end)
    assert not unknown.bounded and unknown.flops // (2 * 10**3) == 1


def test_a_scan_inside_of_a_loop_inside_of_a_compiled_function_is_multiplied_through():
    @jax.jit
    def inner(x):
        return jax.lax.scan(lambda y, _: (y @ y, None), x, length=5)[0]

    def f(x):
        return jax.lax.fori_loop(2, 6, lambda _, y: inner(y), x)

    assert count(f, jnp.ones((4, 4))).flops // (2 * 4**3) == 4 * 5


def test_of_the_branches_of_a_program_that_differs_by_platform_one_counts():
    def f(x):
        return jax.lax.platform_dependent(x, cpu=lambda x: x @ x @ x, default=lambda x: x @ x)

    x = jnp.ones((4, 4))
    products = {p: count(f, x, platform=p).flops // (2 * 4**3) for p in ("cpu", "tpu")}
    assert products == {"cpu": 2, "tpu": 1}


def test_an_eigendecomposition_is_cubic():
    a = np.eye(30)
    assert count(lambda a: jnp.linalg.eigh(a), a).flops == pytest.approx(9 * 30**3, rel=0.1)
