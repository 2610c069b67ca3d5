"""Layer-wise Kronecker projections: unbiased, with at most the stated variance, for every kind of
layer."""

import functools

import jax
import numpy as np
import pytest
from ntk_zoo import ZOO, dense_kernel, reduced

from theorylab.ntk import sketch_ntk
from theorylab.ntk.kronecker import factors, kronecker_projection, relative_variance
from theorylab.ntk.sketches import _projected

K, KEYS = 16, 600


@pytest.mark.long
@pytest.mark.parametrize("name", ["grouped_conv", "tied_embedding", "mlp"])
def test_kronecker_projection_is_unbiased_with_at_most_the_stated_variance(name: str) -> None:
    """Over 600 keys: means within 4.5 of the stated standard errors; variances, themselves known to
    some 30 % for such heavy tails, below 1.5 times the bound and above a tenth of 2/k, the least
    that an even spread over layers gives."""
    f, params, x = ZOO[name]()
    whole = functools.partial(_projected, k=K, kind="rademacher", nonzeros=1)
    project = kronecker_projection(f, params, x, K, whole)
    both = jax.tree.map(lambda leaf: leaf[:2], x)
    keys = jax.random.split(jax.random.key(3), KEYS)
    draws = jax.jit(jax.vmap(lambda key: jax.vmap(lambda one: project(one, key))(both)))(keys)
    kernels = np.einsum("snk,smk->snm", np.float64(draws), np.float64(draws))
    exact = reduced(dense_kernel(f, params, both), "sum_logits")
    norms = np.outer(exact.diagonal(), exact.diagonal())
    bound = relative_variance(K) * norms
    assert np.all(np.abs(kernels.mean(0) - exact) < 4.5 * np.sqrt(bound / KEYS))
    spread = kernels.var(0, ddof=1)
    assert np.all(spread < 1.5 * bound) and np.all(spread.diagonal() > 0.2 / K * norms.diagonal())


def test_rank_one_gradients_of_one_layer_reach_the_stated_variance() -> None:
    """The kernel of x @ w on one sample: G = x 1^T has rank one. Signs in the place of
    Gaussian numbers make the variance of each factor smaller by 1/64: within 25 % of the bound,
    sampled to 8 %."""
    x = np.ones((1, 64), np.float32)
    w = np.zeros((64, 64), np.float32)
    f = lambda w, x: x @ w  # noqa: E731
    project = kronecker_projection(f, w, x, K, lambda g, key: g)
    draws = jax.jit(jax.vmap(lambda key: project(x[0], key)))(
        jax.random.split(jax.random.key(0), 4000)
    )
    squares = np.square(np.float64(draws)).sum(1)
    # x x^T, f summed over 64 outputs and divided by sqrt(64)
    assert squares.mean() == pytest.approx(64, rel=0.08)
    assert squares.var() == pytest.approx(relative_variance(K) * 64**2, rel=0.25)


@pytest.mark.long
def test_kronecker_sketch_states_its_error_and_repeats_with_its_key() -> None:
    f, params, x = ZOO["mlp"]()
    sketch = sketch_ntk(f, params, x, 1024, jax.random.key(0), kind="kronecker", batch_size=2)
    assert sketch.relative_error == pytest.approx(np.sqrt((1 + 2 / 32) ** 2 - 1))
    exact = reduced(dense_kernel(f, params, x), "sum_logits")
    assert np.all(np.abs(sketch.kernel() - exact) < 4.5 * sketch.standard_error())
    again = sketch_ntk(f, params, x, 1024, jax.random.key(0), kind="kronecker")
    np.testing.assert_allclose(
        again.features, sketch.features, atol=1e-5 * np.abs(sketch.features).max()
    )


@pytest.mark.parametrize(("k", "pair"), [(1, (1, 1)), (7, (1, 7)), (48, (6, 8)), (64, (8, 8))])
def test_sizes_are_the_most_even_factors(k: int, pair: tuple[int, int]) -> None:
    assert factors(k) == pair
