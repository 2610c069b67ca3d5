"""Factorisations against NumPy's, derivatives against JAX's own; no batched LAPACK call is left
that could wait."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theorylab
from theorylab import linalg

AFFECTED = pytest.mark.skipif(
    not linalg.BATCHES_WAIT, reason="this jaxlib does not split LAPACK's batches"
)


@pytest.fixture(autouse=True)
def _wide():
    with jax.enable_x64(True):
        yield


def _matrices(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def _definite(shape, seed=0):
    a = _matrices(shape, seed)
    return a @ a.mT + jnp.eye(shape[-1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("batch", "n", "k"),
    [((), 1, 1), ((), 6, 3), ((1,), 2, 4), ((3,), 5, 1), ((2, 2), 3, 2)],
)
def test_factorisations_give_back_the_matrix_and_solutions_solve(batch, n, k):
    a, s, b = _matrices((*batch, n, n)), _definite((*batch, n, n)), _matrices((*batch, n, k), 1)
    factor = linalg.cholesky(s)
    np.testing.assert_allclose(factor @ factor.mT, s, atol=1e-12)
    np.testing.assert_array_equal(factor, jnp.tril(factor))
    values, vectors = linalg.eigh(s)
    np.testing.assert_allclose(vectors * values[..., None, :] @ vectors.mT, s, atol=1e-11)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(s), rtol=1e-10)
    np.testing.assert_allclose(
        linalg.cho_solve(factor, b), np.linalg.solve(s, b), rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(a @ linalg.solve(a, b), b, atol=1e-7)
    left, singular, right = linalg.svd(b)
    np.testing.assert_allclose(left * singular[..., None, :] @ right, b, atol=1e-12)
    r = linalg.qr_r(b)
    np.testing.assert_allclose(r.mT @ r, b.mT @ b, atol=1e-11)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("trans", [0, 1])
def test_triangular_solves_read_one_triangle(lower, trans):
    a, b = _definite((3, 4, 4)), _matrices((3, 4, 2), 1)
    triangle = np.tril(a) if lower else np.triu(a)
    expected = np.linalg.solve(np.swapaxes(triangle, 1, 2) if trans else triangle, b)
    np.testing.assert_allclose(
        linalg.solve_triangular(a, b, lower=lower, trans=trans), expected, atol=1e-11
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("ours", "jaxs", "shape"),
    [
        (linalg.cholesky, jnp.linalg.cholesky, (4, 4)),
        (linalg.eigvalsh, jnp.linalg.eigvalsh, (4, 4)),
        (lambda a: linalg.eigh(a)[1] ** 2, lambda a: jnp.linalg.eigh(a)[1] ** 2, (4, 4)),
        (lambda a: linalg.solve(a, a[:, :2]), lambda a: jnp.linalg.solve(a, a[:, :2]), (4, 4)),
        (
            lambda a: linalg.svd(a)[0] ** 2,
            lambda a: jnp.linalg.svd(a, full_matrices=False)[0] ** 2,
            (5, 3),
        ),
        (
            lambda a: linalg.svd(a)[2] ** 2,
            lambda a: jnp.linalg.svd(a, full_matrices=False)[2] ** 2,
            (3, 5),
        ),
        (lambda a: linalg.svd(a)[1], lambda a: jnp.linalg.svd(a, full_matrices=False)[1], (3, 5)),
    ],
)
def test_gradients_and_their_gradients_are_those_of_jax(ours, jaxs, shape):
    a = (_definite if shape[0] == shape[1] else _matrices)((3, *shape))

    def gradient(f):
        return jax.vmap(jax.grad(lambda x: jnp.cos(f(x)).sum()))

    def twice(f):
        return jax.vmap(jax.grad(lambda x: (jax.grad(lambda z: jnp.cos(f(z)).sum())(x) ** 2).sum()))

    for order in (gradient, twice):
        np.testing.assert_allclose(jax.jit(order(ours))(a), order(jaxs)(a), rtol=1e-8, atol=1e-9)


@pytest.mark.long
@AFFECTED
def test_no_batched_call_is_left_in_a_program_however_it_is_transformed():
    a, b = _definite((2, 3, 4, 4)), _matrices((2, 3, 4, 2))

    def everything(s, b):
        left, values, right = linalg.svd(b)
        solved = linalg.solve(s, b) + linalg.cho_solve(linalg.cholesky(s), b)
        return solved.sum() + (linalg.eigh(s)[1] ** 2).sum() + (left @ right).sum() + values.sum()

    each = jax.vmap(jax.vmap(everything))
    one = b[0, 0]
    programs = [
        (each, (a, b)),
        (jax.jit(everything), (a, b)),
        (jax.vmap(jax.vmap(jax.grad(everything))), (a, b)),
        (jax.grad(lambda a, b: each(a, b).sum()), (a, b)),
        (jax.vmap(jax.hessian(lambda s: everything(s, one))), (a[0],)),
    ]
    for program, args in programs:
        assert linalg.waiting_calls(program, *args) == set()
    assert linalg.waiting_calls(jnp.linalg.cholesky, a) == {"cholesky"}
    assert "lu" in linalg.waiting_calls(jax.vmap(jnp.linalg.solve), a[0], b[0])
    assert linalg.waiting_calls(jnp.linalg.cholesky, a[0, 0]) == set()
    loop = jax.jit(lambda x: jax.lax.fori_loop(0, 2, lambda _, y: jnp.linalg.cholesky(y), x))
    assert linalg.waiting_calls(loop, a) == {"cholesky"}


@pytest.mark.long
def test_nothing_else_in_the_package_calls_lapack_from_compiled_programs():
    root = Path(theorylab.__file__).parent
    modules = tuple(
        f"{name}.linalg" for name in ("jnp", "jax.numpy", "jax.scipy", "lax", "jax.lax")
    )
    harmless = {"norm", "block_diag"}
    found = []
    for path in sorted(set(root.rglob("*.py")) - {root / "linalg.py"}):
        for node in ast.walk(ast.parse(path.read_text())):
            module = str(node.module) if isinstance(node, ast.ImportFrom) else ""
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            used = (
                text.startswith(tuple(f"{m}." for m in modules))
                and text.split(".")[-1] not in harmless
            )
            if used or module in modules:
                found.append(f"{path.relative_to(root)}:{node.lineno} {text or module}")
    assert found == []


STRESS = """
import os, sys, threading
import jax, jax.numpy as jnp, numpy as np
from theorylab import linalg
from theorylab.cores import parallel_map
factor = {"ours": linalg.cholesky, "jax": jnp.linalg.cholesky}[sys.argv[1]]
a = np.random.default_rng(0).normal(size=(80, 50, 50)).astype(np.float32)
a = jnp.asarray(a @ a.swapaxes(1, 2) + 50 * np.eye(50, dtype=np.float32))

@jax.jit
def program(shift):  # independent branches, each with a batch
    branches = [factor(a + (shift + i) * jnp.eye(50)) for i in range(4)]
    return sum(jnp.trace(b, axis1=1, axis2=2).sum() for b in branches)

expected = [float(program(float(i))) for i in range(8)] if sys.argv[1] == "ours" else None
for run in range(int(sys.argv[2]) // 8):
    got = parallel_map(lambda i: program(float(i)), range(8), threads=int(sys.argv[3]))
    if expected is None:
        continue
    np.testing.assert_allclose([float(g) for g in got], expected, rtol=1e-6)
print("done")
"""


def _stress(which, runs, threads, timeout):
    env = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(Path(theorylab.__file__).parents[1])}
    command = [sys.executable, "-c", STRESS, which, str(runs), str(threads)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return "hangs"
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.long
def test_programs_with_batches_end_side_by_side_on_more_threads_than_cores():
    assert _stress("ours", 160, 8, 300) == "done"


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 8])
def test_two_thousand_programs_end_side_by_side_on_as_many_threads_as_cores_and_on_more(threads):
    assert _stress("ours", 2000, threads, 1800) == "done"


@AFFECTED
@pytest.mark.slow
@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="one thread in the pool: no batch is split"
)
def test_the_same_programs_with_the_factorisation_of_jax_hang():
    assert _stress("jax", 2000, 2, 120) == "hangs"


# -- float64 on a TPU --------------------------------------------------------------------


@pytest.fixture
def as_on_a_tpu(monkeypatch):
    """Programs take the way of a TPU where there is one, and that of an accelerator elsewhere."""

    def taken(*arrays, default, cpu=None, tpu=None):
        return (tpu or default)(*arrays)

    monkeypatch.setattr(jax.lax, "platform_dependent", taken)


def _calls(function, *args):
    return str(jax.make_jaxpr(function)(*args)).count("pure_callback")


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
def test_a_tpu_hands_float64_to_its_host_and_gets_the_same_back(as_on_a_tpu, batch):
    a, b = _definite((*batch, 4, 4)), _matrices((*batch, 4, 2), 1)
    assert _calls(linalg.eigh, a) == _calls(linalg.svd, b) == _calls(linalg.qr_r, b) == 1
    values, vectors = jax.jit(linalg.eigh)(a)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a), rtol=1e-12)
    np.testing.assert_allclose(vectors * values[..., None, :] @ vectors.mT, a, atol=1e-12)
    left, singular, right = jax.jit(linalg.svd)(b)
    np.testing.assert_allclose(left * singular[..., None, :] @ right, b, atol=1e-12)
    r = jax.jit(linalg.qr_r)(b)
    np.testing.assert_allclose(r.mT @ r, b.mT @ b, atol=1e-12)
    np.testing.assert_allclose(jax.jit(linalg.solve)(a, b), np.linalg.solve(a, b), rtol=1e-10)
    gradient = jax.grad(lambda a: linalg.eigvalsh(a)[..., 0].sum())(a)
    lowest = vectors[..., 0]
    np.testing.assert_allclose(gradient, lowest[..., None] * lowest[..., None, :], atol=1e-10)


def test_a_tpu_keeps_float32_and_what_it_does_fast(as_on_a_tpu):
    a = _definite((4, 4))
    assert not _calls(linalg.eigh, a.astype(jnp.float32))
    assert not _calls(lambda a: linalg.cho_solve(linalg.cholesky(a), a), a)


def test_what_has_no_decomposition_is_nan_on_the_host_too(as_on_a_tpu):
    assert np.isnan(jax.jit(linalg.eigh)(jnp.full((2, 3, 3), jnp.nan))[0]).all()
    assert np.isnan(jax.jit(linalg.solve)(jnp.zeros((2, 2)), jnp.ones((2, 1)))).all()
