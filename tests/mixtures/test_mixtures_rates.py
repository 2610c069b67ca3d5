import numpy as np
import pytest
from scipy import special, stats

from theorylab import mixtures
from theorylab.errors import InputError


def test_the_exact_risk_of_sl_is_the_dossiers():
    found = mixtures.sl_excess_exact([1, 0.5, 1, 1], 20, [400, 400, 100, 3200])
    np.testing.assert_allclose(found, [0.00564018, 0.01499912, 0.02133881, 0.00071667], atol=6e-9)


@pytest.mark.parametrize(
    ("s", "d", "n"), [(1.0, 2, 1), (0.3, 3, 5), (3.0, 100, 10), (0.1, 5, 2), (1.0, 20, 1)]
)
def test_the_exact_risk_of_sl_is_that_of_its_law_at_tiny_samples(s, d, n):
    rng = np.random.default_rng(0)
    along = s + rng.standard_normal(400_000) / np.sqrt(n)
    cos = along / np.sqrt(along**2 + rng.chisquare(d - 1, along.size) / n)
    excess = stats.norm.cdf(-s * cos) - stats.norm.cdf(-s)
    error = excess.std() / np.sqrt(excess.size)
    assert float(mixtures.sl_excess_exact(s, d, n)) == pytest.approx(excess.mean(), abs=4 * error)


@pytest.mark.long
def test_the_exact_risk_of_sl_tends_to_leading_order():
    exact = mixtures.sl_excess_exact(0.8, 30, [10**6, 10**9])
    leading = mixtures.predicted_excess("sl", 0.8, 30, [10**6, 10**9], 1)
    np.testing.assert_allclose(exact / leading, 1, atol=2e-4)


def test_the_estimation_error_of_sl_is_a_chi_mean():
    assert float(mixtures.sl_estimation_exact(20, 400)) == pytest.approx(0.22083026, abs=6e-9)
    assert float(mixtures.sl_estimation_exact(3, 7)) == pytest.approx(
        stats.chi(3).mean() / np.sqrt(7)
    )


def test_predictions_are_the_dossiers():
    setting = (1.0, 20, 400, 1000)
    found = [
        float(mixtures.predicted_excess(m, *setting))
        for m in ("ul", "ul_plus", "ssl_weighted", "ssl_em")
    ]
    np.testing.assert_allclose(found, [0.00460, 0.00460, 0.00255, 0.00242], atol=6e-6)
    assert float(mixtures.optimal_weight(1.0, 400, 1000)) == pytest.approx(400 / 900)
    switch = mixtures.predicted_excess("ssl_switch", 0.5, 20, [100, 1000], 1000)
    sl, ul = (mixtures.predicted_excess(m, 0.5, 20, [100, 1000], 1000) for m in ("sl", "ul"))
    np.testing.assert_allclose(switch, [ul[0], sl[1]])


def test_switching_loses_at_most_the_factor_of_the_dossier():
    s = np.linspace(0.05, 6, 200)
    loss = 1 + mixtures.unlabelled_information(s) / mixtures.spectral_information(s)
    # flat there
    assert loss.max() == pytest.approx(2.17, abs=0.005) and 1.6 < s[loss.argmax()] < 2.0


def test_the_wrong_sign_is_a_normal_tail():
    assert float(mixtures.wrong_sign_probability(0.3, 20, 0.5)) == pytest.approx(
        stats.norm.cdf(-0.15 * 20**0.5)
    )
    assert float(mixtures.wrong_sign_probability(2.0, 0)) == 0.5


def test_rates_and_regimes_are_the_papers():
    table = mixtures.rate_table(0.5, 20, 400, 4000)
    factor = np.exp(-0.125)
    assert float(table["SL"].excess) == pytest.approx(factor * 20 / 200)
    assert float(table["UL+"].excess) == pytest.approx(factor * 20 / 500)
    assert float(table["SSL"].excess) == pytest.approx(factor * 20 / (0.5 * 1400))
    assert float(table["UL+"].estimation) == pytest.approx(np.sqrt(20 / 1000))
    assert float(mixtures.rate_table(0.01, 20, 10, 10)["SSL"].estimation) == pytest.approx(0.01)
    assert mixtures.regime(0.3, 50, 20, 200) == "trivial"
    assert mixtures.regime(1.0, 20, 4000, 40) == "SL" and mixtures.regime(1.0, 20, 40, 4000) == "UL"
    assert mixtures.regime(1.0, 20, 400, 1000) == "mixed"


def test_the_boundaries_of_the_regimes_belong_to_the_trivial_and_the_mixed_one():
    """By hand, in numbers that are exact: sqrt(d/n_l) = (d/n_u)^(1/4) = 1, and s^2 n_u/n_l = 8."""
    assert mixtures.regime(1.0, 16, 16, 16) == "trivial"
    assert mixtures.regime(np.nextafter(1.0, 2.0), 16, 16, 16) == "mixed"
    assert mixtures.regime(2.0, 16, 64, 128, factor=8.0) == "mixed"
    assert mixtures.regime(2.0, 16, 64, 128, factor=7.9) == "UL"
    assert mixtures.regime(2.0, 16, 128, 4, factor=8.0) == "mixed"
    assert mixtures.regime(2.0, 16, 128, 4, factor=7.9) == "SL"


def test_the_limits_never_vanish_together():
    found = mixtures.gain_limits([0, 3, np.inf], 0.25)
    np.testing.assert_allclose(found.over_sl, [1, 4 / 7, 0])
    np.testing.assert_allclose(found.over_ul, [0, 3 / 7, 1])
    # relative digits where the ratio is small or large
    small, large = mixtures.gain_limits(1e-20, 0.5), mixtures.gain_limits(1e20, 0.5)
    assert float(small.over_ul) == pytest.approx(5e-21, rel=1e-15)
    assert float(large.over_sl) == pytest.approx(2e-20, rel=1e-15)


def test_a_normalising_constant_is_right():
    # the density of the angle integrates to one: with s -> 0 the risk is that of a random
    # direction, 1/2 - Phi(-s)
    found = float(mixtures.sl_excess_exact(1e-4, 6, 1))
    assert found == pytest.approx(0.5 - special.ndtr(-1e-4), rel=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mixtures.sl_excess_exact(1.0, 1, 5),
        lambda: mixtures.sl_excess_exact(1.0, 5, 0),
        lambda: mixtures.predicted_excess("magic", 1.0, 5, 5, 5),
        lambda: mixtures.rate_table(1.0, 5, 0, 5),
        lambda: mixtures.regime(1.0, 5, 1, -1),
        lambda: mixtures.regime("x", 5, 1, 1),
        lambda: mixtures.gain_limits(1.0, -0.1),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InputError):
        call()


def test_far_centres_are_worth_a_label_each():
    """s^2 / (1 + s^2) tends to 1; its squares overflowed, and no unlabelled point is worth 0."""
    for method, expected in {"ul": 5.0, "ssl_weighted": 8.0, "ssl_switch": 5.0}.items():
        assert float(mixtures.method_information(method, 1e300, 3, 5)) == expected
    assert float(mixtures.method_information("ssl_switch", 1e300, 3, 0)) == 3.0
    assert float(mixtures.optimal_weight(1e300, 3, 5)) == pytest.approx(3 / 8)
    assert mixtures.regime(1e300, 20, 3, 5) == "UL"
    with pytest.raises(InputError, match=r"^s holds"):
        mixtures.predicted_excess("sl", 5e-324, 20, 3, 5)
    with pytest.raises(InputError, match=r"^std holds"):
        mixtures.gaussian_expect(np.tanh, 0.0, 1e300)
