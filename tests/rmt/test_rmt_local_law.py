"""Local-law residuals: direct inverses, the measured rates, and designs on which the law fails."""

import numpy as np
import pytest

from theorylab.rmt import (
    MarchenkoPastur,
    effective_regularization,
    local_law_residuals,
    resolvent_residuals,
)


@pytest.mark.long
def test_residuals_are_those_of_direct_inverses():
    rng = np.random.default_rng(0)
    n, p, alpha = 8, 12, 0.3
    e, v = np.arange(1, p + 1.0) ** -1.0, rng.standard_normal((p, 2))
    x = rng.standard_normal((n, p)) * np.sqrt(e)
    r = local_law_residuals(x, e, np.array([alpha]), v)
    k = float(effective_regularization(e, n, alpha))
    s = np.trace(np.linalg.inv(x @ x.T / n + alpha * np.eye(n))) / n
    np.testing.assert_allclose(np.asarray(r.averaged), [s * k - 1], rtol=1e-9)
    inverse = np.linalg.inv(x.T @ x / n + alpha * np.eye(p))
    direct = [alpha * u @ inverse @ u / (k * np.sum(u**2 / (e + k))) - 1 for u in v.T]
    np.testing.assert_allclose(np.asarray(r.anisotropic)[0], direct, rtol=1e-9)


def rms(n: int, draws: int, design: str = "iid") -> np.ndarray:
    """rms of (averaged, e_1, e_10) at the moving ridge 0.3 κ(0, n), λ_i = i^-1.5, p = 4n."""
    rng, p = np.random.default_rng(n), 4 * n
    e = np.arange(1, p + 1.0) ** -1.5
    alpha = 0.3 * float(effective_regularization(e, n, 0.0))
    rows = []
    for _ in range(draws):
        z = rng.standard_normal((n, p))
        if design == "duplicated":
            z = np.repeat(z[: n // 2], 2, axis=0)
        if design == "elliptical":
            z = z * np.exp(0.8 * rng.standard_normal((n, 1)) - 0.64)
        r = local_law_residuals(z * np.sqrt(e), e, alpha, np.eye(p)[:, [0, 9]])
        rows.append([float(r.averaged), *np.asarray(r.anisotropic)])
    return np.sqrt(np.mean(np.square(rows), axis=0))


@pytest.mark.slow
def test_iid_residuals_fall_at_the_rates_of_the_theorem():
    small, large = rms(48, 20), rms(192, 10)
    slopes = np.log(large / small) / np.log(4)
    # s.d. of a log rms of k draws is ~ 1/sqrt(2k): ± 0.2 on each slope; the limits are -1 and -1/2,
    # ± 3 s.d. below.
    assert slopes[0] < -0.6
    assert -1.0 < slopes[1] < -0.1 and -1.0 < slopes[2] < 0.0


@pytest.mark.long
@pytest.mark.parametrize("design", ["duplicated", "elliptical"])
def test_dependent_designs_stall(design):
    assert rms(48, 6, design)[0] > 0.4 and rms(192, 2, design)[0] > 0.4


def test_resolvent_residual_of_a_white_sample_is_of_order_one():
    n, p = 400, 200
    x = np.random.default_rng(0).standard_normal((n, p))
    values = np.linalg.eigvalsh(x @ x.T / n)
    z = np.array([0.5, 1.0, 2.0]) + 1j * 20 / n
    residual = np.asarray(
        resolvent_residuals(values, MarchenkoPastur(0.5, companion=True).stieltjes(z), z)
    )
    wrong = np.asarray(
        resolvent_residuals(values, MarchenkoPastur(0.6, companion=True).stieltjes(z), z)
    )
    assert (residual < 2).all() and wrong.max() > 2  # fluctuation of n Im z s(z) is O(1)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="X has shape"):
        local_law_residuals(np.ones((3, 4)), np.ones(5), 0.1, np.ones(5))
    with pytest.raises(ValueError, match="alpha = 0"):
        local_law_residuals(np.ones((3, 4)), np.ones(4), 0.0, np.ones(4))
