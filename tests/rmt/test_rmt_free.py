"""Free convolutions: golden transforms, laws known in closed form, simulation."""

import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.rmt import (
    DeformedWigner,
    DiscreteLaw,
    FreeConvolution,
    MarchenkoPastur,
    Semicircle,
    SilversteinLaw,
    free_additive,
    free_multiplicative,
)


def test_golden_transform_of_a_sum():
    law = free_additive(DiscreteLaw(np.array([-1.0, 2.0])), MarchenkoPastur(0.5))
    cauchy = -np.asarray(law.stieltjes(np.array([0.3 + 0.05j, 2.5 + 0.05j])))
    golden = np.array([0.294616 - 0.753404j, -0.387314 - 1.090412j])
    assert (
        np.abs((cauchy - golden).real).max() < 6e-7 and np.abs((cauchy - golden).imag).max() < 6e-7
    )


def test_sum_of_semicircles_is_a_semicircle_and_commutes():
    x = np.linspace(-3, 3, 13) + 0.02j
    both = free_additive(Semicircle(0.5), Semicircle(1.0))
    np.testing.assert_allclose(
        np.asarray(both.stieltjes(x)), np.asarray(Semicircle(1.5).stieltjes(x)), rtol=1e-9
    )


@pytest.mark.long
def test_sum_with_a_semicircle_is_the_deformed_law():
    atoms, x = np.array([-1.0, 2.0]), np.linspace(-3, 4, 29)
    law, exact = (
        free_additive(DiscreteLaw(atoms), Semicircle(0.49)),
        DeformedWigner(atoms, None, 0.49),
    )
    solution = law.solve(x + 1e-6j)
    assert np.asarray(solution.converged).all() and np.asarray(solution.residual).max() < 1e-9
    # Smoothing by 1e-7 costs its square root at most, near an edge.
    np.testing.assert_allclose(np.asarray(law.density(x)), np.asarray(exact.density(x)), atol=3e-4)


@pytest.mark.long
@pytest.mark.parametrize("swap", [False, True])
def test_product_with_marchenko_pastur_is_silverstein(swap):
    atoms, weights = np.array([1.0, 8.0]), np.array([0.7, 0.3])
    laws = (DiscreteLaw(atoms, weights), MarchenkoPastur(0.4))
    z = np.concatenate([np.linspace(0.1, 16, 21) + 1e-3j, [2.0 - 0.1j]])
    law, exact = (
        free_multiplicative(*(laws[::-1] if swap else laws)),
        SilversteinLaw(atoms, weights, 0.4),
    )
    np.testing.assert_allclose(
        np.asarray(law.stieltjes(z)), np.asarray(exact.stieltjes(z)), rtol=1e-7
    )


def test_random_matrices_agree():
    n, rng = 400, np.random.default_rng(0)
    x = rng.standard_normal((2 * n, n))
    wishart = x.T @ x / (2 * n)
    signs = np.repeat([-1.0, 2.0], n // 2)
    z = np.array([0.3 + 0.1j, 2.5 + 0.1j])
    values = np.linalg.eigvalsh(np.diag(signs) + wishart)
    law = free_additive(DiscreteLaw(np.array([-1.0, 2.0])), MarchenkoPastur(0.5))
    empirical = np.mean(1 / (values - z[:, None]), axis=1)
    # linear statistics fluctuate as 1/(n Im z)
    assert np.abs(empirical - np.asarray(law.stieltjes(z))).max() < 3 / (n * 0.1)


@pytest.mark.parametrize("product", [2, "yes", None])
def test_a_law_is_of_a_sum_or_of_a_product(product):
    """Whatever else is true would be taken for a product without a word."""
    with pytest.raises(InputError, match=r"^product = "):
        FreeConvolution(MarchenkoPastur(0.2), MarchenkoPastur(0.5), product).stieltjes(1 + 1j)
