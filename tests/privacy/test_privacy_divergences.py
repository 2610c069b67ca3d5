"""Divergences of mixtures by quadrature against another rule, and a closed form."""

import numpy as np
import pytest
from divergences import renyi_of_mixtures as by_hand

from theorylab.errors import InputError
from theorylab.privacy.divergences import renyi_of_mixtures


@pytest.mark.parametrize("order", [1.5, 3.0, 16.0])
def test_one_component_has_the_closed_form(order):
    found = renyi_of_mixtures(order, [1.0], [2.0], [-1.0], noise_std=1.5)
    assert found == pytest.approx(order * 9 / (2 * 1.5**2), rel=1e-9)


def test_mixtures_agree_with_another_quadrature():
    rng = np.random.default_rng(0)
    for _ in range(10):
        order, weights = rng.uniform(1.2, 5), rng.dirichlet(np.ones(3))
        first, second = rng.uniform(-1, 1, (2, 3))
        found = renyi_of_mixtures(order, weights, first, second, noise_std=0.7)
        assert found == pytest.approx(by_hand(order, weights, first, second, 0.7), rel=1e-7)


def test_means_that_the_grid_cannot_resolve_are_refused():
    with pytest.raises(InputError, match=r"at most 2000\.05 are needed"):
        renyi_of_mixtures(50.0, [1.0], [100.0], [0.0], noise_std=1.0)
