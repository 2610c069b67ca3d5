import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.matching import auction_assignment, dual_gap, soft_assignment, soft_assignment_duals
from theorylab.matching.references import best_value


def value(weights, mate):
    return weights[mate >= 0, mate[mate >= 0]].sum()


@pytest.mark.long
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_the_auctions_certificate_is_kept_and_the_matching_is_within_it(shape):
    for weights in np.random.default_rng(0).normal(size=(8, *shape)):
        found = auction_assignment(weights, tol=1e-3)
        assert 0 <= found.gap <= 1e-3 + 1e-12
        assert best_value(weights) - value(weights, found.row_to_col) <= found.gap + 1e-12
        assert min(found.p.min(), found.q.min()) >= 0
        assert (found.p[:, None] + found.q >= weights - 1e-12).all()


def test_the_auction_is_exact_on_integers():
    for weights in np.random.default_rng(1).integers(-4, 9, (8, 6, 4)).astype(float):
        assert value(weights, auction_assignment(weights, tol=0.9).row_to_col) == best_value(
            weights
        )


@pytest.mark.long
@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0), (1, 1)])
def test_empty_and_single_markets_are_solved(shape):
    weights = np.full(shape, 0.5)
    for found in (auction_assignment(weights), soft_assignment(weights, eps=1e-3)):
        assert value(weights, found.row_to_col) == (0.5 if shape == (1, 1) else 0.0)
        assert abs(found.gap) < 1e-2


def test_soft_prices_are_dual_feasible_at_every_temperature_and_tighten_as_it_falls():
    weights = np.random.default_rng(2).uniform(-1, 1, (6, 4))
    above = []
    for eps in (1.0, 0.1, 0.01, 0.001):
        p, q = soft_assignment_duals(weights, eps=eps)
        assert min(p.min(), q.min()) >= 0 and (p[:, None] + q >= weights - 1e-12).all()
        above.append(p.sum() + q.sum() - best_value(weights))
    assert (np.diff(above) < 0).all() and 0 <= above[-1] < 0.02


def test_soft_prices_solve_their_fixed_point_equations():
    weights = np.random.default_rng(3).uniform(-1, 1, (6, 4))
    p, q = soft_assignment_duals(weights, eps=0.2, sweeps=200)
    np.testing.assert_allclose(p, 0.2 * np.log1p(np.exp((weights - q) / 0.2).sum(1)), atol=1e-10)
    np.testing.assert_allclose(
        q, 0.2 * np.log1p(np.exp((weights - p[:, None]) / 0.2).sum(0)), atol=1e-10
    )


@pytest.mark.long
def test_soft_prices_have_the_gradient_of_a_finite_difference():
    weights = np.random.default_rng(4).uniform(-1, 1, (3, 3))

    def total(w):
        p, q = soft_assignment_duals(w, eps=0.3, phases=1, sweeps=60)
        return (p**2).sum() + q.sum()

    with jax.enable_x64(True):
        gradient = np.asarray(jax.grad(total)(weights))
    step = np.zeros((3, 3))
    step[1, 2] = 1e-6
    slope = (total(weights + step) - total(weights - step)) / 2e-6
    assert gradient[1, 2] == pytest.approx(slope, rel=1e-5)


def test_the_rounded_soft_matching_keeps_its_certificate():
    for weights in np.random.default_rng(5).uniform(-1, 1, (6, 6, 4)):
        found = soft_assignment(weights, eps=1e-3)
        assert best_value(weights) - value(weights, found.row_to_col) <= found.gap + 1e-12
        assert found.gap == pytest.approx(
            dual_gap(weights, found.row_to_col, found.p, found.q), abs=1e-12
        )


def test_senseless_options_are_refused():
    ones = np.ones((2, 2))
    for call in (
        lambda: auction_assignment(ones, tol=0.0),
        lambda: soft_assignment(ones, eps=0),
        lambda: soft_assignment_duals(ones, sweeps=0),
        lambda: auction_assignment([[np.nan]]),
    ):
        with pytest.raises(InputError):
            call()
