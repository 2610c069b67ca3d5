"""Hypergeometric tails against SciPy quadrature and brute sums."""

import itertools

import jax
import numpy as np
import pytest
from scipy.integrate import quad

from theorylab.errors import InputError
from theorylab.rmt import PowerLawTail
from theorylab.rmt.tails import hyp1, hyp2, tail_dof, tail_unlearned


@pytest.mark.parametrize("b", [0.05, 0.5, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("v", [1e-8, 0.3, 1.0, 1.0001, 40.0, 1e6])
def test_hypergeometric_integrals(b, v):
    # σ = τ^b removes the singularity at 0; the split point helps quad at large v.
    for function, power in ((hyp1, 1), (hyp2, 2)):
        f = lambda s, power=power: (1 + v * s ** (1 / b)) ** -power  # noqa: E731
        knee = min(1.0, v**-b)
        parts = np.concatenate([[0], np.geomspace(0.1 * knee, 1.0, 40)])
        exact = sum(
            quad(f, lo, hi, epsabs=0, epsrel=1e-12)[0]
            for lo, hi in itertools.pairwise(parts)
            if hi > lo
        )
        with jax.enable_x64(True):
            value = float(function(np.float64(b), np.float64(v)))
        # hyp2 = (1-b) hyp1 + b/(1+v) cancels for b > 1 and large v: absolute error ~ eps * hyp1.
        np.testing.assert_allclose(value, exact, rtol=2e-10, atol=1e-15)


def test_tail_sums_are_sums():
    tail, kappa = PowerLawTail(1.8, 100, 2.0), 3e-4
    i = np.arange(101, 4_000_001.0)
    values = 2.0 * i**-1.8
    learnt = values / (values + kappa)
    with jax.enable_x64(True):
        dof1, gap = (float(x) for x in tail_dof(tail, np.float64(kappa)))
        missed = float(tail_unlearned(PowerLawTail(1.6, 100, 0.5), tail, np.float64(kappa)))
        total = float(tail.total())
    rest = 2.0 * 4_000_000.5**-0.8 / 0.8  # modes beyond the sum, where L = λ/κ
    np.testing.assert_allclose(total, values.sum() + rest, rtol=1e-5)
    np.testing.assert_allclose(dof1, learnt.sum() + rest / kappa, rtol=1e-5)
    np.testing.assert_allclose(gap, (learnt * (1 - learnt)).sum() + rest / kappa, rtol=1e-5)
    power_rest = 0.5 * 4_000_000.5**-0.6 / 0.6
    np.testing.assert_allclose(
        missed, (0.5 * i**-1.6 * (1 - learnt) ** 2).sum() + power_rest, rtol=1e-5
    )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"alpha": 1.0, "start": 5},
        {"alpha": 2.0, "start": -1},
        {"alpha": 2.0, "start": 5, "scale": 0},
    ],
)
def test_divergent_tails_are_refused(kwargs):
    with pytest.raises(ValueError, match="PowerLawTail"):
        PowerLawTail(**kwargs)


def test_a_tail_is_summed_in_float64_whatever_the_callers_precision():
    tail = PowerLawTail(alpha=2.0, start=3, scale=1e300)  # beyond float32
    assert float(tail.total()) == pytest.approx(1e300 / 3.5, rel=1e-12)
    assert float(tail.last()) == pytest.approx(1e300 / 3.5**2, rel=1e-12)
    with pytest.raises(InputError, match=r"^scale holds"):
        PowerLawTail(alpha=3.0, start=np.nextafter(-0.5, 0), scale=1e300).total()
