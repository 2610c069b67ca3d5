"""Float64 inside, and what is handed back to float32 code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.precision import as_float64, float64_inside, input_epsilon


@float64_inside
def third(x):
    x = as_float64(x)
    return {"third": x / 3, "root": jax.lax.complex(x, x) / 3, "count": x.size}


def test_concrete_results_are_numpy_arrays_of_full_precision():
    out = third([1.0, 2.0])
    assert type(out["third"]) is np.ndarray and out["count"] == 2
    np.testing.assert_array_equal(out["third"], np.array([1.0, 2.0]) / 3)
    np.testing.assert_array_equal(out["root"], np.array([1 + 1j, 2 + 2j]) / 3)
    # of a float64 JAX array this raises where 64-bit types are off
    assert int(jnp.argmin(out["third"])) == 0


@pytest.mark.parametrize(
    ("wide", "real", "complexed"),
    [(False, "float32", "complex64"), (True, "float64", "complex128")],
)
def test_traced_results_have_the_callers_types(wide, real, complexed):
    with jax.enable_x64(wide):
        out = jax.jit(lambda x: {k: v for k, v in third(x).items() if k != "count"})(jnp.ones(2))
        assert (out["third"].dtype, out["root"].dtype) == (real, complexed)
        assert jax.grad(lambda x: third(x)["third"].sum())(jnp.ones(2)).dtype == real


def test_epsilon_is_that_of_the_numbers_given():
    assert input_epsilon(np.float32([1])) == 2**-23
    assert input_epsilon([1.0]) == input_epsilon(np.array([1])) == 2**-52
