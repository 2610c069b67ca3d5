import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from theorylab.mixtures import moments

MORE = [pytest.param(*c, marks=pytest.mark.slow) for c in ((30, 4, 0.8), (1, 4, 1.0), (50, 2, 0.3))]


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_the_top_eigenpair_is_lapacks(dtype):
    rng = np.random.default_rng(0)
    diagonal, beside = (
        rng.uniform(1, 5, (40, 12)).astype(dtype),
        rng.uniform(0, 2, (40, 11)).astype(dtype),
    )
    beside[0] = 0  # a diagonal matrix
    with jax.enable_x64(dtype is np.float64):
        values, vectors = jax.jit(jax.vmap(moments.top_eigenpair))(diagonal, beside)
    for a, b, value, vector in zip(diagonal, beside, values, vectors, strict=True):
        full = np.diag(a.astype(float)) + np.diag(b.astype(float), 1) + np.diag(b.astype(float), -1)
        exact, basis = np.linalg.eigh(full)
        tolerance = 3e-6 if dtype is np.float32 else 1e-13
        assert value == pytest.approx(exact[-1], rel=tolerance)
        assert (np.asarray(vector) >= 0).all()
        gap = exact[-1] - exact[-2]
        np.testing.assert_allclose(
            np.abs(basis[:, -1]), vector, atol=10 * tolerance * exact[-1] / gap
        )


def test_chi_variates_have_their_law():
    freedom = jnp.array([0, 1, 2, 3, 7, 4000])

    def one(key):
        return moments.chi_variates(
            key, freedom, jax.random.normal(jax.random.fold_in(key, 1), freedom.shape)
        )

    found = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 20_000)))
    assert (found[:, 0] == 0).all()
    for k, column in zip((1, 2, 3, 7, 4000), found.T[1:], strict=True):
        assert stats.kstest(column.astype(float), stats.chi(k).cdf).pvalue > 1e-3


@pytest.mark.long
@pytest.mark.parametrize(
    ("n_u", "d", "s"),
    [
        (3, 6, 0.5),
        *(
            pytest.param(*c, marks=pytest.mark.slow)
            for c in ((30, 4, 0.8), (1, 4, 1.0), (50, 2, 0.3))
        ),
    ],
)
def test_the_short_law_of_the_spectral_estimate_is_that_of_explicit_samples(n_u, d, s):
    """Kolmogorov-Smirnov on the eigenvalue and on the component along theta*, 4,000 draws each."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, n_u, d))
    x[:, :, 0] += s
    values, vectors = np.linalg.eigh(np.swapaxes(x, 1, 2) @ x / n_u)

    def short(key):
        draws = moments.draw(key, jnp.array([n_u]), d)
        ul, unit = moments.ul_parts(draws, s, float(n_u), 0)
        return ul.along, ul.across, unit.along, unit.across

    along, across, cos, sin = jax.jit(jax.vmap(short))(jax.random.split(jax.random.key(2), 4000))
    np.testing.assert_allclose(np.hypot(cos, sin), 1, rtol=1e-5)
    for mine, explicit in (
        (cos, np.abs(vectors[:, 0, -1])),
        (np.hypot(along, across), _lengths(values[:, -1])),
    ):
        assert stats.ks_2samp(np.asarray(mine, float), explicit).pvalue > 1e-3


def _lengths(eigenvalue):
    return np.sqrt(np.maximum(eigenvalue - 1, 0))


def test_sl_has_its_law():
    def one(key):
        parts = moments.sl_parts(moments.draw(key, jnp.array([5]), 7), 0.5, 4.0)
        return parts.along, parts.across_squared

    along, square = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), 20_000))
    assert stats.kstest(np.asarray(along, float), stats.norm(0.5, 0.5).cdf).pvalue > 1e-3
    assert stats.kstest(4 * np.asarray(square, float), stats.chi2(6).cdf).pvalue > 1e-3
