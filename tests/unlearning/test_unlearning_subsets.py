import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab import unlearning as u

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "size, gamma, count",
    [
        (28, 0.1, 3),  # 2.8
        (28, 0.25, 7),
        (10, 0.25, 3),  # halves up
        (10, 0.35, 4),  # 3.5, which binary fractions put below the half
        (120, 0.1, 12),
        (4, 0.1, 1),  # at least one
        (28, 1.0, 28),
        (28, 0.0, 0),
    ],
)
def test_shares_are_rounded_to_the_nearest_count_and_never_to_none(size, gamma, count):
    assert int(u.identified_count(size, gamma)) == count
    manipulated = np.arange(200) % 7 < 1
    assert int(u.identified_subset(manipulated, gamma, key=KEY).sum()) == int(
        u.identified_count(int(manipulated.sum()), gamma)
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_subsets_lie_in_the_manipulated_samples_and_are_nested_in_gamma(seed, gammas):
    manipulated = np.arange(60) % 3 == 0
    masks = np.array(
        [u.identified_subset(manipulated, g, key=jax.random.key(seed)) for g in sorted(gammas)]
    )
    assert not masks[:, ~manipulated].any()
    assert (masks[1:] >= masks[:-1]).all()


def test_one_program_serves_all_shares():
    manipulated = jnp.arange(60) % 3 == 0
    gammas = jnp.array([0.1, 0.5, 1.0])
    together = jax.jit(jax.vmap(lambda g: u.identified_subset(manipulated, g, key=KEY)))(gammas)
    alone = [u.identified_subset(manipulated, float(g), key=KEY) for g in gammas]
    np.testing.assert_array_equal(together, alone)
    assert together.sum(1).tolist() == [2, 10, 20]


def test_every_manipulated_sample_is_as_likely_to_be_found():
    manipulated = np.arange(20) < 10
    draws = jax.vmap(lambda key: u.identified_subset(manipulated, 0.3, key=key))(
        jax.random.split(KEY, 2000)
    )
    rate = np.asarray(draws)[:, :10].mean(0)  # standard error .0102
    assert np.abs(rate - 0.3).max() < 0.05


@pytest.mark.parametrize(
    "t, rate", [(0, 0.0022727), (5, 0.0136364), (9, 0.0227273), (10, 0.025), (500, 0.0152)]
)
def test_the_schedule_is_that_of_the_benchmark(t, rate):
    assert float(u.linear_budget_schedule(1000, 0.025)(t)) == pytest.approx(rate, rel=1e-4)


def test_the_schedule_ends_at_a_fifth_and_short_runs_have_no_warm_up():
    assert float(u.linear_budget_schedule(1000, 0.025)(999)) == pytest.approx(0.00522, rel=1e-3)
    assert float(u.linear_budget_schedule(50, 1.0)(0)) == 1.0
