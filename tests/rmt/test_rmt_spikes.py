"""BBP: golden values, thresholds, inverses, simulation."""

import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.rmt import MarchenkoPastur, Semicircle, bbp_covariance, bbp_wigner, spike_from_sample


def test_golden_spike():
    spike = bbp_covariance(4.0, 0.5)
    np.testing.assert_allclose(
        [float(spike.eigenvalue), float(spike.overlap)], [4.66667, 0.80952], atol=5.1e-6
    )


def test_below_the_threshold_the_spike_sticks_to_the_edge():
    for gamma in (0.3, 2.0):
        lost = bbp_covariance(1 + 0.99 * np.sqrt(gamma), gamma, s2=1.0)
        assert not bool(lost.detected) and float(lost.overlap) == 0
        np.testing.assert_allclose(
            float(lost.eigenvalue), float(MarchenkoPastur(gamma).edges()[1]), rtol=1e-14
        )
        just = bbp_covariance(1 + 1.000001 * np.sqrt(gamma), gamma)
        np.testing.assert_allclose(float(just.eigenvalue), float(lost.eigenvalue), rtol=1e-9)
    np.testing.assert_allclose(float(bbp_wigner(0.5).eigenvalue), float(Semicircle().edges()[1]))


def test_sample_eigenvalue_is_inverted():
    spikes = np.array([2.5, 4.0, 9.0])
    x = bbp_covariance(2 * spikes, 0.5, s2=2.0).eigenvalue
    np.testing.assert_allclose(
        np.asarray(spike_from_sample(x, 0.5, s2=2.0)), 2 * spikes, rtol=1e-12
    )
    assert np.isnan(float(spike_from_sample(1.0, 0.5)))


@pytest.mark.long
def test_simulated_spikes_agree():
    rng, n, p = np.random.default_rng(0), 600, 300
    x = rng.standard_normal((n, p))
    x[:, 0] *= 2.0
    values, vectors = np.linalg.eigh(x.T @ x / n)
    spike = bbp_covariance(4.0, 0.5)
    # the eigenvalue fluctuates as sqrt(2/n) ℓ sqrt(1 - γ/(ℓ-1)²) = .22, the overlap as O(n^-1/2)
    assert abs(values[-1] - float(spike.eigenvalue)) < 3 * 0.22
    assert abs(vectors[0, -1] ** 2 - float(spike.overlap)) < 3 / np.sqrt(n)
    w = rng.standard_normal((n, n))
    w = (w + w.T) / np.sqrt(2 * n)
    w[0, 0] += 2.0
    values, vectors = np.linalg.eigh(w)
    exact = bbp_wigner(2.0)
    assert float(exact.eigenvalue) == 2.5 and float(exact.overlap) == 0.75
    assert abs(values[-1] - 2.5) < 3 * np.sqrt(2 * 0.75 / n) and abs(
        vectors[0, -1] ** 2 - 0.75
    ) < 3 / np.sqrt(n)


@pytest.mark.parametrize("kwargs", [{"spike": -1.0, "gamma": 0.5}, {"spike": 2.0, "gamma": 0.0}])
def test_bad_parameters_are_refused(kwargs):
    with pytest.raises(ValueError, match="finite numbers"):
        bbp_covariance(**kwargs)


def test_shapes_that_do_not_broadcast_are_told():
    pair, three = np.array([5.0, 6.0]), np.ones(3)
    for call in (
        lambda: bbp_covariance(pair, 0.5, s2=three),
        lambda: bbp_covariance(pair, three / 2),
        lambda: bbp_wigner(pair, s2=three),
        lambda: spike_from_sample(pair, 0.5, s2=three),
        lambda: spike_from_sample(pair, three / 2),
    ):
        with pytest.raises(InputError, match="shapes that broadcast are needed"):
            call()
