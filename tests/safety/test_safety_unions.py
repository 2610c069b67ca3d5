"""Unions of attacks against counting by hand, and intervals against what the paper prints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theorylab import safety as sa
from theorylab.errors import InputError

TABLES = arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 12)))


@given(TABLES)
def test_the_adaptive_rate_is_counted_prompt_by_prompt_and_lies_within_its_bounds(success):
    fallen = sum(any(column) for column in success.T.tolist())
    found = sa.adaptive_rate(success)
    assert found == pytest.approx(fallen / success.shape[1])
    bounds = sa.union_bounds(success.mean(1))
    assert bounds.low - 1e-12 <= found <= bounds.high + 1e-12
    assert bounds.low - 1e-12 <= bounds.independent <= bounds.high + 1e-12


@given(TABLES)
def test_more_attacks_never_lower_the_adaptive_rate_and_their_order_does_not_matter(success):
    assert sa.adaptive_rate(success[:1]) <= sa.adaptive_rate(success)
    assert sa.adaptive_rate(success[::-1]) == sa.adaptive_rate(success)


def test_all_pairs_of_a_product_are_independent():
    """Every combination of two attacks' outcomes once in its share: the excess is 0."""
    one, other = np.meshgrid(np.arange(10) < 3, np.arange(10) < 6)
    assert sa.union_excess(np.array([one.ravel(), other.ravel()])) == pytest.approx(0)


def test_a_prompt_that_falls_to_everything_makes_the_excess_negative():
    easy = np.tile(np.arange(10) < 3, (4, 1))
    assert sa.union_excess(easy) == pytest.approx(0.3 - (1 - 0.7**4))


def test_the_worked_union_and_the_printed_half_widths():
    assert sa.union_bounds([0.34, 0.25, 0.22]).independent == pytest.approx(0.6139)
    found = sa.normal_halfwidth([0.93, 0.87, 0.86, 0.89], 317)
    np.testing.assert_allclose(found, [0.0281, 0.0370, 0.0382, 0.0344], atol=5e-5)


def test_rates_out_of_range_are_refused():
    with pytest.raises(InputError, match="rates"):
        sa.union_bounds([0.5, 1.5])
    with pytest.raises(InputError, match="success"):
        sa.adaptive_rate([[0.5]])
