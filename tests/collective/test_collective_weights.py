"""Weights of the re-weighting learners against optimisation by SciPy, closed forms and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from theorylab import collective
from theorylab.errors import InputError

LOSSES = np.random.default_rng(0).exponential(size=9).astype(np.float32)


@pytest.mark.parametrize("size", [0.05, 1 / 3, 0.5, 0.8, 1.0])
def test_cvar_weights_solve_their_linear_program(size):
    p = np.asarray(collective.cvar_weights(LOSSES, size), float)
    best = scipy.optimize.linprog(
        -LOSSES, A_eq=np.ones((1, 9)), b_eq=1, bounds=(0, min(1, 1 / (9 * size)))
    )
    assert p @ LOSSES == pytest.approx(-best.fun, rel=1e-5) and p.sum() == pytest.approx(
        1, abs=1e-6
    )
    assert collective.cvar_risk(LOSSES, size) == pytest.approx(-best.fun, rel=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("rho", [0.01, 0.3, 1.0, 3.0])
def test_chi2_weights_solve_their_convex_program(rho):
    p = np.asarray(collective.chi2_weights(LOSSES, rho), float)
    ball = {"type": "ineq", "fun": lambda q: rho - 0.5 * np.mean((9 * q - 1) ** 2)}
    simplex = {"type": "eq", "fun": lambda q: q.sum() - 1}
    best = scipy.optimize.minimize(
        lambda q: -q @ LOSSES,
        np.full(9, 1 / 9),
        bounds=[(0, 1)] * 9,
        method="SLSQP",
        constraints=[ball, simplex],
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert p @ LOSSES == pytest.approx(-best.fun, rel=1e-4)
    assert collective.chi2_risk(LOSSES, rho) == pytest.approx(-best.fun, rel=1e-4)
    assert 0.5 * np.mean((9 * p - 1) ** 2) == pytest.approx(rho, rel=1e-4)


@pytest.mark.long
def test_chi2_weights_in_their_limits():
    np.testing.assert_allclose(collective.chi2_weights(LOSSES, 0.0), 1 / 9, rtol=1e-6)
    np.testing.assert_allclose(collective.chi2_weights(jnp.ones(5), 1.0), 0.2)
    # 9 <= 1 + 2 rho: all mass on the largest
    alone = np.asarray(collective.chi2_weights(LOSSES, 10.0))
    assert alone[LOSSES.argmax()] == pytest.approx(1, abs=1e-6)
    positive = collective.chi2_weights(LOSSES, 1e-3)
    expected = (1 + np.sqrt(2e-3) * (LOSSES - LOSSES.mean()) / LOSSES.std()) / 9
    np.testing.assert_allclose(positive, expected, rtol=1e-5)


@given(st.lists(st.integers(0, 100), min_size=6, max_size=6, unique=True), st.floats(0.01, 1))
def test_cvar_weights_are_a_law_that_grows_with_the_loss(losses, size):
    p = np.asarray(collective.cvar_weights(np.float32(losses), size))
    assert p.sum() == pytest.approx(1, abs=1e-5) and p.min() >= 0
    assert (np.diff(p[np.argsort(losses)]) >= -1e-6).all()


@pytest.mark.long
def test_generalised_cross_entropy_has_the_gradient_of_cross_entropy_times_p_to_the_q():
    logits, y = jax.random.normal(jax.random.key(0), (4, 3)), jnp.array([0, 2, 1, 1])
    p = jax.nn.softmax(logits)[jnp.arange(4), y]
    gce = jax.grad(lambda z: collective.gce_loss(z, y, 0.7).sum())(logits)
    ce = jax.grad(lambda z: -jax.nn.log_softmax(z)[jnp.arange(4), y].sum())(logits)
    np.testing.assert_allclose(gce, p[:, None] ** 0.7 * ce, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(collective.gce_loss(logits, y, 1.0), 1 - p, rtol=1e-5)


def test_lff_weights_are_relative_difficulties_within_a_class():
    b, d, y = jnp.array([1.0, 2.0, 8.0]), jnp.array([1.0, 1.0, 1.0]), jnp.array([0, 0, 1])
    np.testing.assert_allclose(
        collective.lff_weights(b, d, y, num_classes=2), [0.5 / 1.5, 0.5, 0.5], rtol=1e-5
    )


def test_jtt_weighs_its_errors():
    np.testing.assert_array_equal(collective.jtt_weights([True, False], 6.0), [6, 1])
    # the rule takes what the formula takes: errors may weigh less than the rest, or nothing
    assert collective.JTT(1, 0.5).lam == 0.5 and collective.JTT(1, 0.0).lam == 0.0


def test_group_weights_move_to_the_group_with_the_larger_loss():
    q, losses, groups = jnp.array([0.5, 0.5]), jnp.array([1.0, 1.0, 3.0]), jnp.array([0, 0, 1])
    w, new = collective.group_weights(q, losses, groups, 0.5)
    expected = np.exp([0.5, 1.5]) / np.exp([0.5, 1.5]).sum()
    np.testing.assert_allclose(new, expected, rtol=1e-6)
    np.testing.assert_allclose(w, [expected[0] / 2, expected[0] / 2, expected[1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: collective.cvar_weights(LOSSES, 0.0), "size = 0"),
        (lambda: collective.cvar_weights(np.zeros((2, 2)), 0.5), "losses has shape"),
        (lambda: collective.chi2_weights(LOSSES, -1.0), "rho"),
        (lambda: collective.CVaR(1.5), "size"),
        (lambda: collective.JTT(0, 2.0), "stage1_steps"),
        (lambda: collective.JTT(1, -1e-9), "lam"),
        (lambda: collective.LfF(q=0.0), "q = 0"),
        (lambda: collective.GroupDRO(num_groups=0), "num_groups"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
