import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from theorylab import mixtures
from theorylab.errors import InputError

SNR = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0]
# the dossier's table
Q = [0.009902, 0.038497, 0.082896, 0.204054, 0.345026, 0.550400, 0.802757, 0.931403, 0.995849]


def quadrature(f, mean, std):
    return integrate.quad(
        lambda z: f(mean + std * z) * stats.norm.pdf(z), -12, 12, epsabs=1e-13, limit=400
    )[0]


def test_information_is_the_table_of_the_dossier_and_adaptive_quadrature():
    np.testing.assert_allclose(mixtures.unlabelled_information(SNR), Q, atol=6e-7)
    brute = [quadrature(lambda x: np.tanh(x) ** 2, s**2, s) for s in (0.01, 0.7, 4.0, 8.0)]
    np.testing.assert_allclose(
        mixtures.unlabelled_information([0.01, 0.7, 4.0, 8.0]), brute, rtol=1e-10
    )
    assert float(mixtures.unlabelled_information(0.0)) == 0


@given(st.floats(0.001, 8.0))
def test_an_unlabelled_point_is_worth_at_most_a_label_and_at_least_the_spectral_estimate(s):
    q = float(mixtures.unlabelled_information(s))
    assert float(mixtures.spectral_information(s)) - 1e-12 <= q <= min(1, s**2) + 1e-12
    assert abs(float(mixtures.nishimori_gap(s))) < 1e-10


def test_the_identity_fails_off_the_models_drift():
    assert abs(float(mixtures.nishimori_gap(0.5, drift=0.5))) > 0.01


def test_kl_is_the_dossiers_value_and_that_of_two_dimensional_quadrature():
    assert float(mixtures.mixture_kl(1.0, 0.5)) == pytest.approx(0.0639294, abs=5e-8)
    assert float(mixtures.labelled_kl(1.0, 0.5)) == pytest.approx(0.1224174, abs=5e-8)
    s, angle = 1.3, 0.9

    def integrand(y, x):
        a, b = s * x, s * (np.cos(angle) * x + np.sin(angle) * y)
        density = np.exp(-(x**2 + y**2 + s**2) / 2) / (2 * np.pi)
        return density * np.cosh(a) * (np.log(np.cosh(a)) - np.log(np.cosh(b)))

    brute = integrate.dblquad(integrand, -9, 9, -9, 9, epsabs=1e-9)[0]
    assert float(mixtures.mixture_kl(s, angle)) == pytest.approx(brute, rel=1e-6)


@pytest.mark.long
@pytest.mark.parametrize(
    ("s", "angle"),
    [(1e-3, 1e-9), (0.1, 1e-4), (1.0, 1e-8), (1.0, 3.1415926), (3.0, 1e-12), (3.0, 2)],
)
def test_kl_has_all_its_digits_at_every_angle(s, angle):
    with mpmath.workdps(40):
        length, cos = mpmath.mpf(s), mpmath.cos(mpmath.mpf(angle))

        def height(mean):
            def f(z):
                x = abs(mean + length * z)
                return mpmath.npdf(z) * (x + mpmath.log1p(mpmath.exp(-2 * x)))

            return mpmath.quad(f, mpmath.linspace(-13, 13, 14))

        wanted = float(height(length**2) - height(length**2 * cos))
    assert float(mixtures.mixture_kl(s, angle)) == pytest.approx(wanted, rel=1e-13)


def test_kl_of_centres_far_out_is_finite_and_that_of_labelled_points():
    # the components do not meet: the label is seen in the point
    found, labelled = (
        mixtures.mixture_kl([20.0, 60.0], 1.0),
        mixtures.labelled_kl([20.0, 60.0], 1.0),
    )
    np.testing.assert_allclose(found, labelled, rtol=1e-12)


@given(st.floats(0.05, 4), st.floats(-12, 0.49).map(lambda e: float(10.0**e)))
def test_kl_is_at_most_the_information_times_the_labelled_one_and_even_in_sign(s, angle):
    kl = float(mixtures.mixture_kl(s, angle))
    bound = float(mixtures.unlabelled_information(s) * mixtures.labelled_kl(s, angle))
    assert 0 < kl <= bound * (1 + 1e-13)
    assert kl == pytest.approx(float(mixtures.mixture_kl(s, np.pi - angle)), abs=1e-12)


@pytest.mark.parametrize(
    ("setting", "estimation", "excess"),
    [
        ((1.0, 20, 400, 1000), 2.9617e-3, 3.5832e-4),
        ((0.5, 20, 400, 4000), 2.3144e-3, 8.1482e-4),
        ((0.3, 50, 20, 200), 6.6672e-2, 4.2380e-2),
    ],
)
def test_the_bound_is_the_dossiers(setting, estimation, excess):
    found = mixtures.assouad_bound(*setting)
    assert float(found.estimation) == pytest.approx(estimation, rel=3e-5)
    assert float(found.excess) == pytest.approx(excess, rel=3e-5)


@given(st.floats(0.1, 4), st.integers(2, 200), st.integers(0, 10**5), st.integers(0, 10**6))
def test_the_bound_is_at_least_its_closed_form_and_falls_with_either_sample(s, d, n_l, n_u):
    found = float(mixtures.assouad_bound(s, d, n_l, n_u).estimation)
    points = n_l + float(mixtures.unlabelled_information(s)) * n_u
    assert found >= min(4 / 27 * (d - 1) / max(points, 1e-300), s**2 / 3) * (1 - 1e-9)
    assert float(mixtures.assouad_bound(s, d, n_l + 7, n_u).estimation) <= found * (1 + 1e-12)
    assert float(mixtures.assouad_bound(s, d, n_l, 2 * n_u).estimation) <= found * (1 + 1e-12)


def test_it_is_float64_under_any_setting_and_traces():
    assert mixtures.unlabelled_information(jnp.float32(1.0)).dtype == np.float64
    with jax.enable_x64(True):
        assert mixtures.unlabelled_information(jnp.asarray(1.0)).dtype == np.float64
    traced = jax.jit(jax.vmap(mixtures.unlabelled_information))(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(traced, [0.204054, 0.550400], atol=1e-6)
    slope = jax.grad(lambda s: mixtures.unlabelled_information(s))(0.5)
    step = (mixtures.unlabelled_information(0.501) - mixtures.unlabelled_information(0.499)) / 0.002
    assert float(slope) == pytest.approx(float(step), rel=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mixtures.unlabelled_information(-1.0),
        lambda: mixtures.unlabelled_information(np.nan),
        lambda: mixtures.mixture_kl(np.inf, 1.0),
        lambda: mixtures.assouad_bound(0.0, 5, 1, 1),
        lambda: mixtures.assouad_bound(1.0, 1, 1, 1),
        lambda: mixtures.assouad_bound(1.0, 5, -1, 1),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InputError):
        call()
