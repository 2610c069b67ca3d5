import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theorylab import unlearning as u

PARAMS = np.array([1.0, -2.0, 0.5, 3.0, 4.0], np.float32)
FORGET = np.array([4.0, 1.0, 0.2, 0.5, 1.0], np.float32)
RETAIN = np.array([1.0, 1.0, 0.1, 0.0, 0.05], np.float32)

sizes = hnp.arrays(np.float32, 6, elements=st.floats(0, 100, width=32))
trees = st.fixed_dictionaries(
    {"a": hnp.arrays(np.float32, 6, elements=st.floats(-9, 9, width=32)), "b": sizes}
)
importances = st.fixed_dictionaries({"a": sizes, "b": sizes})
positive = st.floats(2.0**-10, 100, width=32)


def dampen(params, forget, retain, alpha, lam):
    return u.selective_synaptic_dampening(params, forget, retain, alpha=alpha, lam=lam)


def test_the_worked_example():
    """alpha = 2, lam = 1: I_f = alpha I_r exactly is not selected, I_r = 0 prunes."""
    found = dampen(PARAMS, FORGET, RETAIN, 2.0, 1.0)
    np.testing.assert_allclose(found, [0.25, -2, 0.5, 0, 0.2], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(trees, importances, importances, positive, positive)
def test_no_parameter_grows_and_none_changes_sign(params, forget, retain, alpha, lam):
    found = dampen(params, forget, retain, alpha, lam)
    for name, before in params.items():
        after = np.asarray(found[name])
        assert (np.abs(after) <= np.abs(before)).all() and (after * before >= 0).all()
        assert (
            after[~(forget[name] > np.float32(alpha) * retain[name])]
            == before[~(forget[name] > np.float32(alpha) * retain[name])]
        ).all()


@settings(max_examples=25, deadline=None)
@given(trees, importances, importances, positive)
def test_infinite_alpha_or_lam_changes_nothing(params, forget, retain, other):
    for alpha, lam in ((np.inf, other), (other, np.inf)):
        found = dampen(params, forget, retain, alpha, lam)
        for name in params:
            np.testing.assert_array_equal(found[name], params[name])


@settings(max_examples=25, deadline=None)
@given(trees, importances, importances, positive)
def test_lam_zero_prunes_what_is_selected(params, forget, retain, alpha):
    found = dampen(params, forget, retain, alpha, 0.0)
    for name in params:
        selected = forget[name] > np.float32(alpha) * retain[name]
        np.testing.assert_array_equal(found[name], np.where(selected, 0, params[name]))


@settings(max_examples=25, deadline=None)
@given(trees, importances, importances, positive, positive, st.sampled_from([0.25, 2.0, 64.0]))
def test_the_scale_of_the_importances_does_not_matter(params, forget, retain, alpha, lam, scale):
    scaled = [{k: v * np.float32(scale) for k, v in tree.items()} for tree in (forget, retain)]
    a, b = dampen(params, forget, retain, alpha, lam), dampen(params, *scaled, alpha, lam)
    for name in params:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-6)


@pytest.mark.parametrize("lam, jump", [(10.0, 0.0), (5.0, 0.5), (20.0, 0.0)])
def test_damping_is_continuous_at_the_threshold_for_lam_equal_to_alpha(lam, jump):
    """Above it the factor starts at min(lam / alpha, 1)."""
    just_above = np.float32(10 * (1 + 1e-6))
    found = dampen(np.ones(1), just_above * np.ones(1), np.ones(1), 10.0, lam)
    assert 1 - float(found[0]) == pytest.approx(jump, abs=1e-5)


def test_between_alpha_and_lam_a_band_is_selected_and_unchanged():
    found = dampen(np.ones(3), np.array([1.5, 3.0, 8.0]), np.ones(3), 2.0, 4.0)
    np.testing.assert_allclose(found, [1, 1, 0.5])


def test_a_grid_is_one_vmap():
    import jax

    alphas, lams = jnp.array([0.5, 2.0, 100.0]), jnp.array([0.1, 1.0, 3.0])
    found = jax.vmap(lambda a, b: dampen(PARAMS, FORGET, RETAIN, a, b))(alphas, lams)
    for i in range(3):
        alone = dampen(PARAMS, FORGET, RETAIN, float(alphas[i]), float(lams[i]))
        np.testing.assert_allclose(found[i], alone, rtol=1e-6)
