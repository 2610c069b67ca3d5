"""Sparse designs and kernels are refused in one line that says how to go on."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental import sparse

from theorylab import ntk, ridge
from theorylab.errors import InputError

X = np.random.default_rng(0).normal(size=(6, 3))
K = X @ X.T + np.eye(6)
Y = X[:, :1]
FORMS = {
    "csr": scipy.sparse.csr_array,
    "coo": scipy.sparse.coo_matrix,
    "bcoo": lambda a: sparse.BCOO.fromdense(jnp.asarray(a)),
}
CALLS = {
    "RidgePath.fit": lambda form: ridge.RidgePath.fit(form(X), Y),
    "RidgePath.predict": lambda form: ridge.RidgePath.fit(X, Y).predict(form(X), [0.1]),
    "KernelRidgePath.fit": lambda form: ridge.KernelRidgePath.fit(form(K), Y),
    "KernelRidgePath.predict": lambda form: ridge.KernelRidgePath.fit(K, Y).predict(form(K), [0.1]),
    "targets": lambda form: ridge.RidgePath.fit(X, form(Y)),
    "solve_ridge": lambda form: ridge.solve_ridge(form(K), Y, 0.1),
    "gradient_flow": lambda form: ntk.gradient_flow(form(K), Y),
}


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("call", CALLS)
def test_sparse_arrays_are_refused_by_name_in_one_line(call, form):
    with pytest.raises(InputError, match="sparse") as told:
        CALLS[call](FORMS[form])
    assert "\n" not in str(told.value)
