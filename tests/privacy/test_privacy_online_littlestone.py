"""Dimensions against a brute-force search for mistake trees, and SOA on every stream."""

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab.privacy import online as po


def shatters(rows, points, depth):
    """Whether a complete tree of this depth is shattered, by trying every point at its root: every
    leaf needs a hypothesis."""
    if depth == 0:
        return len(rows) > 0
    return any(
        shatters([r for r in rows if r[x]], points, depth - 1)
        and shatters([r for r in rows if not r[x]], points, depth - 1)
        for x in range(points)
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda n: st.tuples(
            st.just(n), st.sets(st.tuples(*[st.booleans()] * n), min_size=1, max_size=12)
        )
    )
)
def test_the_dimension_is_the_depth_of_the_deepest_mistake_tree(made):
    points, rows = made
    brute = max(d for d in range(6) if shatters(list(rows), points, d))
    assert po.littlestone_dimension(np.array(sorted(rows))) == brute


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 15, 40])
def test_known_families(n):
    assert po.littlestone_dimension(po.threshold_class(n)) == int(np.log2(n + 1))
    assert po.littlestone_dimension(po.point_class(n)) == (1 if n > 1 else 0)


@pytest.mark.parametrize("n, k", [(1, 1), (4, 2), (5, 0), (6, 3), (7, 7), (7, 9)])
def test_functions_with_few_ones(n, k):
    assert po.littlestone_dimension(po.k_point_class(n, k)) == min(n, k)


def test_equal_hypotheses_count_once():
    rows = po.point_class(3)
    assert po.littlestone_dimension(np.concatenate([rows, rows])) == 1


@pytest.mark.parametrize(
    "rows", [po.threshold_class(4), po.point_class(4), po.k_point_class(3, 2), np.eye(4, 3) > 0]
)
def test_soa_never_errs_more_often_than_the_dimension(rows):
    soa, most = po.standard_optimal_algorithm(rows), po.littlestone_dimension(rows)
    worst = 0
    for points in product(range(rows.shape[1]), repeat=5):
        for row in rows:
            worst = max(worst, soa.mistakes(points, [int(row[x]) for x in points]))
    assert worst == most


def test_soa_on_a_stream_that_nothing_explains_goes_on():
    soa = po.standard_optimal_algorithm(po.point_class(2))
    assert soa.mistakes([0, 1, 0], [1, 1, 0]) <= 3
    assert soa.hypotheses.dimension(0) == -1 and not soa.predict(0, 1)


def test_name_and_shame_is_soa_on_a_random_subset():
    """Exact expectation against all subsets of the examples."""
    rows, delta = po.threshold_class(5), 0.3
    points, row = [2, 4, 0, 2, 3, 1], rows[3]
    labels = [int(row[x]) for x in points]
    soa = po.standard_optimal_algorithm(rows)

    @lru_cache
    def predicted(kept, x):
        state = soa.init()
        for i in kept:
            state = soa.update(state, points[i], bool(labels[i]))
        return soa.predict(state, x)

    by_hand = 0.0
    for kept in product((0, 1), repeat=6):
        weight = np.prod([delta if k else 1 - delta for k in kept])
        inside = [tuple(i for i in range(t) if kept[i]) for t in range(6)]
        by_hand += weight * sum(predicted(inside[t], points[t]) != labels[t] for t in range(6))
    got = po.name_and_shame_mistakes(rows, points, labels, delta=delta)
    assert got == pytest.approx(by_hand, rel=1e-12)
    assert got <= po.littlestone_dimension(rows) / delta


def test_on_points_name_and_shame_is_a_geometric_sum():
    game = po.name_and_shame_mistakes(po.point_class(4), [1] * 50, [1] * 50, delta=0.1)
    assert game == pytest.approx(po.name_and_shame_expected_mistakes(0.1, 50), rel=1e-12)
    assert po.name_and_shame_expected_mistakes(0.01, 100) == pytest.approx(63.397, rel=1e-5)
    assert po.name_and_shame_expected_mistakes(0.01, 1000) == pytest.approx(99.996, rel=1e-5)
    assert po.name_and_shame_expected_mistakes(0.5, 0) == 0
    law = po.NameAndShame(0.1).expected_mistakes(po.front_loaded(50, 50))
    assert law == pytest.approx(game, rel=1e-12)
