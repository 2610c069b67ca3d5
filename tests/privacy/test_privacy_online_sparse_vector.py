"""The exact law of AboveThreshold against brute force in other arithmetic, limits and reference
values."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab.privacy import online as po

EPS = np.log(1.5)
# theta, E[M] of the adversary, p and q before the last insertion, E[M] of ones alone, for T =
# 2^k - 1, b1 = b2 = 2 / log(3/2), beta = 0.1: an independent prototype's
TABLE = {
    6: (31.699, 5.453, 0.8673, "2.85e-03", 24.40),
    10: (45.436, 8.911, 0.8612, "3.88e-04", 37.92),
    20: (79.630, 17.515, 0.8601, "2.86e-06", 72.09),
    40: (148.011, 34.717, 0.8601, "1.6e-10", 140.47),
    60: (216.391, 51.919, 0.8601, "9e-15", 208.85),
}


def exact(learner, counts):
    """P[no test fires] with 30 digits, by mpmath's adaptive quadrature."""
    b1, b2, theta = (
        mpmath.mpf(v) for v in (learner.threshold_scale, learner.test_scale, learner.threshold)
    )

    def cdf(x):
        return mpmath.exp(x / b2) / 2 if x < 0 else 1 - mpmath.exp(-x / b2) / 2

    def integrand(r):
        silent = mpmath.mpf(1)
        for c in counts:
            silent *= cdf(theta + r - c)
        return mpmath.exp(-abs(r) / b1) / (2 * b1) * silent

    kinks = sorted({mpmath.mpf(0), *(mpmath.mpf(c) - theta for c in counts)})
    return float(mpmath.quad(integrand, [-80 * b1, *kinks, 80 * b1]))


@pytest.mark.long
@pytest.mark.parametrize("theta, b1, b2", [(3.0, 1.5, 2.0), (-1.0, 1.0, 0.4), (6.5, 0.5, 2.0)])
def test_survival_agrees_with_thirty_digits(theta, b1, b2):
    stream = po.RunLengthStream(8, (2, 3, 7))
    counts = [0, 1, 2, 2, 2, 2, 3, 3]
    learner = po.AboveThreshold(theta, b1, b2)
    got = learner.survival(stream, [1, 4, 8])
    expected = [exact(learner, counts[:t]) for t in (1, 4, 8)]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_a_small_mass_keeps_its_digits():
    learner = po.AboveThreshold(45.0, 1.0, 1.0)
    with mpmath.workdps(40):
        theta = mpmath.mpf(45)

        def fires(r):  # at the first test
            x = theta + r
            cdf = mpmath.exp(x) / 2 if x < 0 else 1 - mpmath.exp(-x) / 2
            return mpmath.exp(-abs(r)) / 2 * (1 - cdf)

        expected = float(mpmath.quad(fires, [-90, -45, 0, 90]))
    mass = learner.masses(po.RunLengthStream(1), [1])[0]
    assert expected < 1e-18
    np.testing.assert_allclose(mass, expected, rtol=1e-12, atol=1e-26)  # what is out of reach


@pytest.mark.long
def test_the_last_mass_of_the_table_agrees_with_thirty_digits():
    """The adversary's last interval of T = 2^60 - 1: one test after 59 ones and 10^18 others."""
    rounds = 2**60 - 1
    learner = po.calibrate(rounds, 0.1, threshold_scale=2 / EPS, test_scale=2 / EPS)
    attack = po.adversary_for(EPS)(learner, rounds)
    at = attack.lower[-2]
    assert at == attack.upper[-2] == rounds
    before = po.pieces(po.RunLengthStream(rounds, attack.stream.ones[:-1]), [at - 1])
    with mpmath.workdps(30):
        b, theta = mpmath.mpf(learner.test_scale), mpmath.mpf(learner.threshold)

        def tail(x):  # of the Laplace law, at x > 0
            return mpmath.exp(-x / b) / 2

        def integrand(r):
            log_silent = sum(
                n * mpmath.log1p(-tail(theta + r - c))
                for c, n in zip(before.counts, before.lengths, strict=True)
            )
            fires = tail(theta + r - before.counts[-1])
            return mpmath.exp(-abs(r) / b) / (2 * b) * mpmath.exp(log_silent) * fires

        # below -100 the silence of 10^18 tests has probability e^(-10^7)
        expected = float(mpmath.quad(integrand, [-100, -40, -20, -10, 0, 10, 20, 40, 100, 300]))
    np.testing.assert_allclose(attack.mass[-2], expected, rtol=1e-11)


def test_with_a_fixed_threshold_tests_are_independent():
    """In the limit b1 -> 0 the survival is a plain product."""
    learner = po.AboveThreshold(2.0, 1e-7, 1.0)
    silent = 1 - np.exp(-(2.0 - np.array([0, 1, 1]))) / 2
    got = learner.survival(po.RunLengthStream(3, (2,)), [1, 2, 3])
    np.testing.assert_allclose(got, np.cumprod(silent), rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("k", TABLE)
def test_the_reference_table_is_met_up_to_sixty_doublings(k):
    rounds = 2**k - 1
    learner = po.calibrate(rounds, 0.1, threshold_scale=2 / EPS, test_scale=2 / EPS)
    attack = po.adversary_for(EPS)(learner, rounds)
    theta, mistakes, p, q, front = TABLE[k]
    got = (learner.threshold, attack.mistakes, attack.survival[-2])
    np.testing.assert_allclose(got, (theta, mistakes, p), rtol=1e-3)
    digits = q.index("e") - ("." in q) - 1  # as many as were written down
    assert f"{attack.mass[-2]:.{digits}e}" == q
    np.testing.assert_allclose(learner.expected_front_loaded(rounds), front, rtol=1e-3)


def test_calibration_gives_the_concentration_asked_for():
    for rounds, beta in ((1, 0.3), (50, 0.6), (2**50, 1e-6), (3, 0.999)):
        learner = po.calibrate(rounds, beta, threshold_scale=1.0, test_scale=0.5)
        np.testing.assert_allclose(learner.concentration(rounds), beta, rtol=1e-10)


streams = st.integers(1, 60).flatmap(
    lambda n: st.tuples(st.just(n), st.sets(st.integers(1, n), max_size=8))
)


@pytest.mark.long
@settings(max_examples=15, deadline=None)
@given(streams, st.floats(-3, 15), st.floats(0.3, 4), st.floats(0.3, 4))
def test_the_law_is_a_law_and_more_ones_fire_earlier(made, theta, b1, b2):
    rounds, ones = made
    learner, stream = (
        po.AboveThreshold(theta, b1, b2),
        po.RunLengthStream(rounds, tuple(sorted(ones))),
    )
    pmf = learner.firing_pmf(stream)
    assert pmf.shape == (rounds + 1,) and (pmf >= 0).all()
    np.testing.assert_allclose(pmf.sum(), 1, rtol=1e-11)
    silent = learner.survival(stream, range(rounds + 1))
    np.testing.assert_allclose(silent, 1 - np.concatenate([[0], np.cumsum(pmf[:-1])]), atol=1e-11)
    more = learner.survival(stream.flipped(1), range(rounds + 1))
    assert (more <= silent + 1e-12).all() if 1 not in ones else (more >= silent - 1e-12).all()


@pytest.mark.long
def test_finer_quadrature_changes_nothing():
    fine = po.Quadrature(reach=80.0, panels=12, nodes=20)
    for rounds in (100, 2**55):
        coarse = po.calibrate(rounds, 0.1, threshold_scale=2.0, test_scale=2.0)
        stream = po.adversary_for(0.4)(coarse, rounds).stream
        other = po.AboveThreshold(coarse.threshold, 2.0, 2.0, fine)
        cuts = stream.ones[1:]
        np.testing.assert_allclose(
            coarse.masses(stream, cuts), other.masses(stream, cuts), rtol=1e-10
        )


def test_ones_left_out_of_a_front_loaded_stream_do_not_count():
    learner = po.calibrate(500, 0.1, threshold_scale=1.0, test_scale=1.0)
    whole = learner.expected_mistakes(po.front_loaded(500, 500))
    np.testing.assert_allclose(learner.expected_front_loaded(500), whole, rtol=1e-12)
