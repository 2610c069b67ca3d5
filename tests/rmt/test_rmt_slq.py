"""Lanczos quadrature against dense eigenvalues."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.rmt import LanczosQuadrature, lanczos_quadrature, slq_trace

P = 200
BASIS = np.linalg.qr(np.random.default_rng(0).standard_normal((P, P)))[0]
EIGENVALUES = np.arange(1, P + 1.0) ** -1.5


def operator(eigenvalues):
    with jax.enable_x64(True):
        matrix = jnp.asarray((BASIS * eigenvalues) @ BASIS.T)
    return lambda v: matrix @ v


@pytest.fixture(scope="module")
def quadrature():
    return lanczos_quadrature(operator(EIGENVALUES), P, jax.random.key(0), probes=16, steps=40)


def test_leading_ritz_values_come_once(quadrature):
    top = np.asarray(quadrature.nodes)[:, ::-1][:, :4]
    np.testing.assert_allclose(top, np.tile(EIGENVALUES[:4], (16, 1)), rtol=1e-8)
    np.testing.assert_allclose(np.asarray(quadrature.weights).sum(axis=1), 1, rtol=1e-12)


@pytest.mark.long
def test_traces_lie_within_their_error_bars(quadrature):
    for f, exact in (
        (lambda x: x, EIGENVALUES.mean()),
        (lambda x: jnp.exp(-x), np.exp(-EIGENVALUES).mean()),
    ):
        mean, error = quadrature.average(f)
        assert abs(float(mean) - exact) < 4 * float(error)  # 16 probes: 4 s.e. is a 0.1 % event
    trace, error = slq_trace(
        operator(EIGENVALUES), P, jnp.square, jax.random.key(1), probes=4, steps=20
    )
    assert abs(float(trace) - np.sum(EIGENVALUES**2)) < 6 * float(error)


def test_error_bar_is_the_variance_of_rademacher_probes(quadrature):
    matrix = (BASIS * EIGENVALUES) @ BASIS.T
    variance = 2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / 16
    error = float(quadrature.average(lambda x: x)[1]) * P
    assert 0.5 < error / np.sqrt(variance) < 1.6  # a s.d. from 16 draws has relative s.d. 0.18


@pytest.mark.long
def test_density_integrates_to_one_and_finds_the_tail(quadrature):
    grid = np.geomspace(1e-6, 10, 2000)
    smooth = quadrature.density(grid, log=True, width=0.3)
    np.testing.assert_allclose(np.trapezoid(np.asarray(smooth.density), grid), 1, atol=2e-3)
    linear = np.linspace(-0.5, 1.5, 800)
    np.testing.assert_allclose(
        np.trapezoid(np.asarray(quadrature.density(linear).density), linear), 1, atol=1e-6
    )
    assert np.isfinite(np.asarray(quadrature.density(grid, log=True).standard_error)).all()
    share, error = quadrature.cdf(np.array([0.01, 2.0]))
    assert abs(float(share[0]) - np.mean(EIGENVALUES <= 0.01)) < 4 * float(
        error[0]
    ) + 0.02 and float(share[1]) == pytest.approx(1)


@pytest.mark.slow
def test_low_rank_and_identity_operators_end_early():
    apply, key = operator(np.where(np.arange(P) < 3, 1.0 + np.arange(P), 0)), jax.random.key(0)
    low = lanczos_quadrature(apply, P, key, probes=8, steps=20)
    with jax.enable_x64(True):
        probes = jax.random.rademacher(key, (8, P), dtype=jnp.float64)
        exact = np.asarray([v @ apply(v) / P for v in probes])
    np.testing.assert_allclose(
        np.sum(np.asarray(low.nodes) * np.asarray(low.weights), axis=1), exact, rtol=1e-10
    )
    same = lanczos_quadrature(lambda v: 2 * v, 30, jax.random.key(0), probes=2, steps=10)
    np.testing.assert_allclose([float(v) for v in same.average(jnp.square)], [4, 0], atol=1e-12)


def test_one_probe_has_no_error_bar():
    one = lanczos_quadrature(operator(EIGENVALUES), P, jax.random.key(0), probes=1, steps=10)
    assert float(one.average(lambda x: x)[1]) == np.inf


@pytest.mark.slow
def test_probes_in_batches_or_one_by_one_give_the_same(quadrature):
    for batch_size in (1, 5):
        found = lanczos_quadrature(
            operator(EIGENVALUES), P, jax.random.key(0), probes=16, steps=40, batch_size=batch_size
        )
        mean = float(found.average(jnp.exp)[0])
        assert mean == pytest.approx(float(quadrature.average(jnp.exp)[0]), rel=1e-12)


def test_bad_parameters_are_refused():
    for kwargs in ({"steps": 31}, {"probes": 0, "steps": 3}, {"batch_size": 0, "steps": 3}):
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            lanczos_quadrature(lambda v: v, 30, jax.random.key(0), **kwargs)


@pytest.mark.long
@pytest.mark.parametrize("steps", [1, 5, 30])
def test_traces_of_operators_whose_krylov_spaces_close(steps):
    """Twice the identity: every probe closes at once, and the trace is exact."""
    for function, exact in ((jnp.log, 30 * np.log(2)), (lambda x: 1 / x, 15.0)):
        trace, error = slq_trace(lambda v: 2 * v, 30, function, jax.random.key(0), steps=steps)
        np.testing.assert_allclose([trace, error], [exact, 0], atol=1e-12)


def test_log_determinant_of_identity_plus_low_rank():
    root = np.random.default_rng(0).normal(size=(P, 10))
    matrix = np.eye(P) + root @ root.T
    trace, error = slq_trace(
        lambda v: matrix @ v, P, jnp.log, jax.random.key(1), probes=40, steps=40
    )
    assert error > 0 and abs(trace - np.linalg.slogdet(matrix)[1]) < 4 * error


def test_what_is_left_of_a_closed_space_does_not_move_the_default_density():
    """All nodes of `low` are 5 and 6: the default width is (6 - 5) / steps, not (6 - 0) / steps."""
    apply = lambda v: 5 * v + v.mean()  # noqa: E731
    low = lanczos_quadrature(apply, 30, jax.random.key(0), probes=4, steps=10)
    grid = np.linspace(4, 7, 400)
    default, given = low.density(grid), low.density(grid, width=0.1)
    np.testing.assert_allclose(default.density, given.density, rtol=1e-9, atol=1e-12)
    share, _ = low.cdf(np.array([4.9, 5.5, 6.1]))
    np.testing.assert_allclose(share, [0, 6 - low.average(lambda x: x)[0], 1], atol=1e-12)


def test_a_node_of_no_weight_takes_no_part():
    quadrature = LanczosQuadrature(np.array([[0.0, 2.0]]), np.array([[0.0, 1.0]]))
    assert float(quadrature.average(lambda x: 1 / x)[0]) == 0.5


def test_a_trace_and_its_error_bear_names():
    found = slq_trace(lambda v: 2 * v, 10, jnp.log, jax.random.key(0), probes=3, steps=5)
    np.testing.assert_allclose(found.trace, 10 * np.log(2), rtol=1e-14)
    assert found == (found.trace, found.standard_error)
