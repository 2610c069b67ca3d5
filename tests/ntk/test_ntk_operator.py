"""The operator's products equal products with the dense kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matfree import decomp
from ntk_zoo import ZOO, dense_kernel, reduced

from theorylab.ntk import ntk_operator

F, PARAMS, X = ZOO["pytrees"]()
DENSE = dense_kernel(F, PARAMS, X)


@pytest.mark.long
def test_full_products_equal_dense_products() -> None:
    n, o = DENSE.shape[1:3]
    matrix = DENSE.transpose(0, 2, 1, 3).reshape(n * o, n * o)
    operator = ntk_operator(F, PARAMS, X)
    vectors = np.random.default_rng(0).standard_normal((3, n * o)).astype(np.float32)
    products = jax.jit(jax.vmap(operator.matvec))(vectors)
    assert operator.shape == matrix.shape
    np.testing.assert_allclose(products, vectors @ matrix, atol=1e-5 * np.abs(matrix).sum(1).max())
    np.testing.assert_array_equal(operator @ vectors[0], operator.matvec(vectors[0]))


@pytest.mark.long
def test_sum_logits_operator_plugs_into_conjugate_gradients_and_matfree() -> None:
    matrix = reduced(DENSE, "sum_logits")
    operator = ntk_operator(F, PARAMS, X, reduce="sum_logits")
    y = jnp.arange(5.0)
    solution, _ = jax.scipy.sparse.linalg.cg(lambda v: operator @ v + v, y, tol=1e-6)
    np.testing.assert_allclose(
        solution, np.linalg.solve(matrix + np.eye(5), y), rtol=1e-3, atol=1e-4
    )
    # As many Lanczos steps as there are samples: the spectrum is complete.
    lanczos = decomp.tridiag_sym(5, reortho="full")(operator.matvec, jnp.ones(5) / jnp.sqrt(5.0))
    spectrum = np.linalg.eigvalsh(lanczos.J_small)
    np.testing.assert_allclose(
        spectrum, np.linalg.eigvalsh(matrix), rtol=1e-3, atol=1e-5 * spectrum[-1]
    )


def test_bad_reduction_and_vector_are_named() -> None:
    with pytest.raises(ValueError, match="reduce='trace'"):
        ntk_operator(F, PARAMS, X, reduce="trace")
    with pytest.raises(ValueError, match="takes vectors of shape"):
        ntk_operator(F, PARAMS, X).matvec(jnp.zeros(3))
