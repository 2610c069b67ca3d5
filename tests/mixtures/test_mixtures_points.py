import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from scipy import stats

from theorylab.mixtures import points


def test_the_cipher_is_jaxs_own():
    key, counter = jnp.array([7, 2**31 + 5], jnp.uint32), jnp.arange(6, dtype=jnp.uint32)
    expected = threefry_2x32(key, jnp.concatenate([counter, jnp.zeros_like(counter)]))
    np.testing.assert_array_equal(jnp.concatenate(points.threefry(key, counter)), expected)


def test_blocks_are_standard_normal_and_do_not_depend_on_how_many_follow():
    few = np.asarray(points.draw_blocks(jax.random.key(0), 2, 3, 5))
    assert (few[:, -1] == 1).all() and (few[2] == 1).all()  # the third was not drawn
    assert stats.kstest(few[:2, :-1].ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(few[0, :-1]) - np.eye(5)).max() < 5 / 1000**0.5
    np.testing.assert_array_equal(few[:1], points.draw_blocks(jax.random.key(0), 1, 1, 5))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_arrows_eigenpair_is_lapacks(dtype):
    rng = np.random.default_rng(0)
    values = np.sort(rng.uniform(0.5, 2, (6, 7)), axis=1).astype(dtype)
    corner, beside = (
        rng.uniform(0.5, 4, 6).astype(dtype),
        (rng.normal(size=(6, 7)) / 10).astype(dtype),
    )
    # hardly coupled: the eigenvalue is next to the last of `values`, or to the corner
    beside[0] /= 1e3
    with jax.enable_x64(dtype is np.float64):
        value, vector = points.top_of_arrow(
            jnp.asarray(corner), jnp.asarray(beside), jnp.asarray(values)
        )
    for i in range(6):
        matrix = np.diag(np.append(corner[i], values[i])).astype(float)
        matrix[0, 1:] = matrix[1:, 0] = beside[i]
        exact, basis = np.linalg.eigh(matrix)
        assert value[i] == pytest.approx(exact[-1], rel=float(20 * np.finfo(dtype).eps))
        mine = np.append(1, vector[i]) / np.linalg.norm(np.append(1, vector[i]))
        gap = exact[-1] - exact[-2]
        assert abs(mine @ basis[:, -1]) == pytest.approx(
            1, abs=(50 * np.finfo(dtype).eps * exact[-1] / gap) ** 2 + 1e-6
        )


@pytest.mark.long
def test_the_spectral_estimate_at_any_s_is_that_of_the_shifted_points():
    noise = points.draw_blocks(jax.random.key(1), 2, 2, 4)
    s, sizes = np.array([0.4, 1.5], np.float32), np.array([300, 1500])
    found = points.spectral_at(points.spectra(noise, sizes, 2), jnp.asarray(s), np.array([1, 0]))
    flat = np.asarray(noise)[:, :-1].transpose(1, 0, 2).reshape(4, -1)
    for j, n in enumerate((1500, 300)):
        X = flat[:, :n] + s[j] * np.eye(4)[:, :1]
        np.testing.assert_allclose(found.moment[j], X @ X.T / n, atol=2e-5)
        values, vectors = np.linalg.eigh(X @ X.T / n)
        top = vectors[:, -1] * np.sign(vectors[0, -1])
        np.testing.assert_allclose(found.direction[j], top, atol=2e-4)
        assert found.length[j] == pytest.approx(np.sqrt(values[-1] - 1), rel=1e-4)
        assert found.along[j] ** 2 + found.across[j] ** 2 == pytest.approx(1, abs=1e-5)


def test_groups_hold_every_setting_among_their_like():
    n_u = np.array([50, 5000, 1000, 1001, *[200] * 20])
    groups = points.grouped(n_u)
    assert set(groups.ravel()) == set(range(24)) and groups.shape[1] == points.TOGETHER
    assert all(len(set(points.blocks_of(n_u[g]))) == 1 for g in groups)
