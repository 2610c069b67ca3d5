import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optax.assignment import hungarian_algorithm
from scipy.optimize import linear_sum_assignment

from theorylab.errors import InputError
from theorylab.matching import max_weight_matching
from theorylab.matching.assignment import assign
from theorylab.matching.references import best_value

SIZES = ((3, 5), (5, 3), (4, 4))


def check(weights, found):
    n, m = weights.shape
    mate = np.asarray(found.row_to_col)
    rows = np.flatnonzero(mate >= 0)
    assert (
        mate.shape == (n,)
        and len(set(mate[rows])) == len(rows)
        and (mate >= -1).all()
        and (mate < m).all()
    )
    assert (weights[rows, mate[rows]] > 0).all()
    assert found.value == pytest.approx(weights[rows, mate[rows]].sum(), abs=1e-12)


@pytest.mark.parametrize("shape", SIZES)
def test_the_value_is_scipys_on_random_tied_and_negative_weights(shape):
    rng = np.random.default_rng(0)
    for weights in (
        *rng.normal(size=(20, *shape)),
        *rng.integers(-2, 3, (20, *shape)).astype(float),
    ):
        found = max_weight_matching(weights)
        check(weights, found)
        assert found.value == pytest.approx(best_value(weights), abs=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=12, max_size=12))
def test_no_matching_of_small_integers_is_heavier(values):
    weights = np.asarray(values, float).reshape(3, 4)
    assert max_weight_matching(weights).value == best_value(weights)


def test_any_prices_are_a_good_start_and_give_the_same_value():
    rng = np.random.default_rng(1)
    weights = np.maximum(rng.normal(size=(4, 4)), 0.0)
    best = weights[linear_sum_assignment(weights, maximize=True)].sum()
    with jax.enable_x64(True):
        solve = jax.jit(assign)
        for q in rng.normal(size=(20, 4)):
            mate, owner = solve(jnp.asarray(weights), jnp.asarray(q), jnp.ones(4, bool))
            assert weights[np.arange(4), mate].sum() == pytest.approx(best, abs=1e-12)
            np.testing.assert_array_equal(owner[mate], np.arange(4))


def test_optax_agrees_where_everybody_is_worth_matching():
    weights = np.random.default_rng(2).uniform(0.1, 1.0, (4, 4))
    rows, cols = hungarian_algorithm(-jnp.asarray(weights))
    # optax: float32
    assert max_weight_matching(weights).value == pytest.approx(weights[rows, cols].sum(), abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_an_empty_side_leaves_everybody_alone(shape):
    found = max_weight_matching(np.zeros(shape))
    assert found.value == 0 and found.row_to_col.tolist() == [-1] * shape[0]


def test_one_pair_meets_only_if_it_gains():
    assert max_weight_matching(np.array([[0.5]])).row_to_col.tolist() == [0]
    assert max_weight_matching(np.array([[-0.5]])).row_to_col.tolist() == [-1]
    assert max_weight_matching(np.zeros((1, 1))).row_to_col.tolist() == [-1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_every_type_of_number_is_solved_in_float64_and_comes_back_as_numpy(dtype):
    weights = np.array([[3, 1, 2, -4], [2, 2, 2, 0], [0, 1, 5, 1], [1, 1, 1, 1]], dtype)
    found = max_weight_matching(weights)
    assert (
        isinstance(found.value, np.ndarray)
        and found.value.dtype == np.float64
        and found.value == 11
    )


def test_it_runs_under_jit_and_vmap_in_float32_code():
    weights = np.random.default_rng(3).normal(size=(6, 4, 4))
    values = jax.jit(jax.vmap(lambda w: max_weight_matching(w).value))(
        jnp.asarray(weights, jnp.float32)
    )
    np.testing.assert_allclose(
        values, [best_value(w.astype(np.float32)) for w in weights], rtol=1e-6
    )


def test_permuting_agents_changes_nothing_and_scaling_scales():
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(4, 4))
    value = max_weight_matching(weights).value
    assert max_weight_matching(
        weights[rng.permutation(4)][:, rng.permutation(4)]
    ).value == pytest.approx(value)
    assert max_weight_matching(1e6 * weights).value == pytest.approx(1e6 * value)
    assert max_weight_matching(weights.T).value == pytest.approx(value)


def test_bad_weights_are_one_clear_line():
    with pytest.raises(InputError, match=r"weights must be finite, got nan at \(0, 1\)"):
        max_weight_matching(np.array([[1.0, np.nan]]))
    with pytest.raises(InputError, match="must be a matrix"):
        max_weight_matching(np.ones(3))
