import numpy as np
import pytest

from theorylab.privacy import online as po


def test_a_quiet_point_exists_on_a_large_domain():
    """Predictions with two ones on 24,000 points, over 20 rounds, beta = 0.1: lemma 1."""
    rounds, K, beta = 20, 2, 0.1
    points = int(po.concentration_domain(rounds, K, beta))
    assert points == 24_000
    rng = np.random.default_rng(0)
    marginals = np.zeros((rounds, points))
    for row in marginals:  # a mixture of random pairs, with weights of many sizes
        weights = rng.dirichlet(np.full(400, 0.05))
        for w in weights:
            row[rng.choice(points, K, replace=False)] += w
    found = po.quiet_point(np.minimum(marginals, 1), beta)
    assert found.most_ones <= K * (1 + 1e-12) and found.loud.max() <= K * rounds / beta
    assert found.point >= 2 and found.probability <= beta
    assert found.probability == pytest.approx(marginals[:, found.point].sum())


def test_a_small_domain_may_be_loud_everywhere():
    found = po.quiet_point(np.full((3, 5), 0.4), 0.1)
    assert found.point == -1 and found.probability == pytest.approx(1.2)


def test_reserved_points_are_not_chosen():
    marginals = np.array([[0.0, 0.01, 0.02, 0.03]])
    assert po.quiet_point(marginals, 0.5, reserved=2).point == 2
    assert po.quiet_point(marginals, 0.5, reserved=0).point == 0
