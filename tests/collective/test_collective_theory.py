"""Bounds, exact success on finite worlds and re-weighted learners, against brute force in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab import collective
from theorylab.errors import InputError

P0 = np.array([[0.5, 0.3], [0.15, 0.05]])
G = np.array([1, 1])


def random_world(seed, points=6, labels=3):
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(points * labels, 0.5)).reshape(points, labels)
    return law, rng.choice(rng.permutation(points)[:2], points), int(rng.integers(labels))


def brute_force(law, g, y, alpha, weights=None, strategy="feature_label"):
    """Success computed point by point from the definition."""
    planted = np.zeros_like(law)
    for x in range(len(law)):
        for label in range(law.shape[1]):
            if strategy == "feature_only" and label != y:
                planted[x, label] += law[x, label]
            else:
                planted[g[x], y] += law[x, label]
    mixture = (alpha * planted + (1 - alpha) * law) * (1 if weights is None else weights)
    won = 0.0
    for x in range(len(law)):
        others = np.delete(mixture[g[x]], y)
        won += law[x].sum() * (mixture[g[x], y] > others.max())
    return won


@pytest.mark.long
def test_the_example_of_two_points_is_solved_by_hand():
    assert collective.uniqueness(P0, G) == pytest.approx(0.2, abs=1e-15)
    # (.15 - .05) / .2
    assert collective.suboptimality_gap(P0, G, 1) == pytest.approx(0.5, abs=1e-14)
    np.testing.assert_allclose(collective.thresholds(P0, G, 1), [np.nan, 1 / 11])
    np.testing.assert_array_equal(collective.success_staircase(P0, G, 1, [0.09, 0.092]), [0.0, 1.0])
    assert collective.label_floor(P0, 1) == pytest.approx(0.25)
    assert collective.critical_mass(0.9, 0.5, 0.2) == pytest.approx(0.1 / 0.2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_success_is_that_of_brute_force(seed):
    law, g, y = random_world(seed)
    alphas = np.linspace(0.03, 0.97, 7)
    found = collective.success_staircase(law, g, y, alphas)
    np.testing.assert_allclose(found, [brute_force(law, g, y, a) for a in alphas], atol=1e-14)
    for strategy in ("feature_label", "feature_only"):
        planted = collective.planted_law(law, g, y, strategy=strategy)
        mixture = 0.4 * planted + 0.6 * law
        assert planted.sum() == pytest.approx(1, abs=1e-14)
        won = collective.success_of(mixture, law, g, y)
        assert won == pytest.approx(brute_force(law, g, y, 0.4, strategy=strategy), abs=1e-14)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_no_bound_is_violated_and_a_wrong_one_is_caught(seed):
    law, g, y = random_world(seed, 5, 2)
    xi, gap = collective.uniqueness(law, g), collective.suboptimality_gap(law, g, y)
    alphas = np.linspace(0.02, 0.98, 9)
    assert (
        collective.success_staircase(law, g, y, alphas)
        >= collective.base_bound(alphas, gap, xi) - 1e-12
    ).all()
    jtt = collective.population_jtt(law, g, y, alphas, 20.0)
    for i, a in enumerate(alphas):
        w = jtt.weights[i]
        assert jtt.success[i] == pytest.approx(brute_force(law, g, y, a, w), abs=1e-14)
        assert collective.reweighted_success(law, g, y, a, w) == pytest.approx(jtt.success[i])
        assert jtt.success[i] >= collective.reweighted_bound(law, g, y, a, w) - 1e-12
        assert collective.reweighted_size(law, g, y, a, w) == pytest.approx(jtt.alpha_eff[i])


@pytest.mark.long
def test_putting_the_effective_size_into_the_base_bound_is_refuted_by_a_world():
    short = []
    for seed in range(20):
        law, g, y = random_world(seed, 3, 2)
        found = collective.population_jtt(law, g, y, [0.3, 0.6], 40.0)
        for a, success, w in zip((0.3, 0.6), found.success, found.weights, strict=True):
            short.append(success - collective.reweighted_bound(law, g, y, a, w, corrected=False))
    assert min(short) < -1e-3


@pytest.mark.long
def test_jtt_collapses_when_its_first_stage_learns_the_signal():
    sizes = [0.05, 0.0909, 0.0910, 0.2, 0.35, 0.36, 0.6]
    found = collective.population_jtt(P0, G, 1, sizes, 4.0)
    np.testing.assert_array_equal(found.success, [1, 1, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(
        found.alpha_eff, [0.0931, 0.1633, 0.0409, 0.0962, 0.1864, 0.1931, 0.3896], atol=5.1e-5
    )
    closed = collective.effective_size(sizes, found.e_c, found.e_0, 4.0)
    np.testing.assert_allclose(found.alpha_eff, closed, rtol=1e-12)


@given(st.floats(0.001, 0.999), st.floats(0, 1), st.floats(0, 1), st.floats(1.01, 50))
def test_jtt_amplifies_exactly_if_its_first_stage_errs_more_on_the_collective(alpha, e_c, e_0, lam):
    size = collective.effective_size(alpha, e_c, e_0, lam)
    if abs(e_c - e_0) > 1e-9:
        assert (size > alpha) == (e_c > e_0)
    assert collective.effective_size(alpha, e_c, e_0, 1.0) == pytest.approx(alpha)


@given(st.floats(0, 0.99), st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_critical_mass_is_where_the_bound_reaches_the_wanted_success(wanted, gap, xi):
    mass = collective.critical_mass(wanted, gap, xi)
    assert collective.base_bound(mass, gap, xi) == pytest.approx(wanted, abs=1e-9)


def test_limits_of_the_bounds():
    assert (
        collective.base_bound(0.0, 0.5, 0.1) == -np.inf and collective.base_bound(1.0, 1, 1) == 1.0
    )
    assert collective.feature_only_bound(0.5, 0.0, 0.1) == -np.inf
    assert collective.feature_only_bound(0.5, 0.5, 0.1) == pytest.approx(0.8)
    assert collective.base_bound(0.5, 0.2, 0.1, 0.1) == pytest.approx(1 - 0.02 - 1 / 9)
    assert (
        collective.critical_mass(1.0, 0.0, 0.0) == 0
        and collective.critical_mass(0.95, 0.5, 0.1, 0.1) == np.inf
    )


@pytest.mark.long
def test_a_learner_that_cannot_see_the_signal_has_uniqueness_one():
    law = np.array([[0.3, 0.1], [0.2, 0.05], [0.2, 0.15], [0, 0]])
    g, merged = np.array([3, 3, 3, 3]), np.array([0, 0, 0, 0])
    assert collective.uniqueness(law, g) == 0 and collective.uniqueness(
        law, g, phi=merged
    ) == pytest.approx(1)
    gap = 0.7 - 0.3
    np.testing.assert_allclose(collective.thresholds(law, g, 1, phi=merged)[0], gap / (1 + gap))
    # a signal never seen wins at any size
    assert collective.success_staircase(law, g, 1, 0.01) == pytest.approx(1)


def test_erasure_gives_every_point_the_label_of_its_signalled_version():
    law = np.array([[0.6, 0.0], [0.1, 0.3]])
    planted = collective.planted_law(law, np.array([1, 1]), 0, strategy="erasure")
    np.testing.assert_allclose(planted, [[0, 0.6], [0, 0.4]])
    assert collective.success_of(planted, law, [1, 1], 0, goal="erasure") == pytest.approx(1)
    assert collective.success_of(law, law, [1, 1], 0, goal="erasure") == pytest.approx(0.4)
    np.testing.assert_array_equal(collective.bayes_labels(law, 0), [0, 1])


@pytest.mark.long
def test_theory_is_float64_for_float32_callers_and_under_x64_alike():
    single = jnp.asarray(P0, jnp.float32)
    assert collective.uniqueness(single, jnp.asarray(G)).dtype == np.float64
    with jax.enable_x64(True):
        assert collective.success_staircase(P0, G, 1, 0.1) == 1.0
    batch = jax.vmap(lambda a: collective.success_staircase(P0, G, 1, a))(jnp.array([0.05, 0.2]))
    np.testing.assert_array_equal(batch, [0, 1])


def test_weights_give_the_effective_size():
    mask = np.array([True, False, True, False])
    assert collective.effective_size_from_weights([2.0, 1.0, 2.0, 5.0], mask) == pytest.approx(0.4)
    assert np.isnan(collective.effective_size_from_weights(np.zeros(4), mask))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: collective.uniqueness(P0 * 2, G), "sum to 1"),
        (lambda: collective.uniqueness(np.full((2, 2), np.nan), G), "P0 holds nan"),
        (lambda: collective.uniqueness(np.zeros((0, 2)), G), "P0 has shape .* is empty"),
        (lambda: collective.uniqueness(P0, [0, 2]), "g holds 2"),
        (lambda: collective.uniqueness(P0, [0.0, 1.0]), "an integer"),
        (lambda: collective.suboptimality_gap(P0, G, 2), "y_star = 2"),
        (lambda: collective.success_staircase(P0, G, 1, 1.2), "alpha = 1.2"),
        (lambda: collective.success_staircase(P0, G, 1, np.nan), "alpha = nan"),
        (lambda: collective.planted_law(P0, G, 1, strategy="bribe"), "choose one of"),
        (lambda: collective.population_jtt(P0, G, 1, 0.1, -1.0), "lam"),
        (lambda: collective.reweighted_bound(P0, G, 1, 0.1, np.ones(3)), "weights has shape"),
        (lambda: collective.reweighted_bound(P0, G, 1, 0.1, np.zeros((2, 2))), "weights are all 0"),
        (lambda: collective.base_bound(0.1, 0.2, 0.3, 1.0), "eps = 1"),
        (lambda: collective.base_bound("a", 0.2, 0.3), "alpha = 'a'"),
        (
            lambda: collective.effective_size_from_weights([1.0, -1.0], np.ones(2, bool)),
            "weights holds -1",
        ),
        (
            lambda: collective.effective_size_from_weights([1.0, 1.0], [1, 0]),
            "a bool for each sample",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
