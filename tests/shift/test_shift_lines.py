import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, norm

from theorylab.errors import InputError
from theorylab.shift import accuracy_line


def test_a_line_on_probit_axes_is_recovered():
    x = np.linspace(0.6, 0.9, 7)
    y = norm.cdf(0.3 - 0.4 * norm.ppf(x))
    line = accuracy_line(x, y)
    np.testing.assert_allclose(
        [line.corr, line.slope, line.intercept, line.r2], [-1, -0.4, 0.3, 1], atol=1e-12
    )
    assert line.count == 7 and np.isnan(line.group_corr)


@given(st.integers(0, 1000), st.sampled_from(["probit", "logit", "linear"]))
def test_the_fit_is_scipys_regression(seed, transform):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0.1, 0.9, (2, 4, 3))
    f = {"probit": norm.ppf, "logit": lambda p: np.log(p / (1 - p)), "linear": np.asarray}[
        transform
    ]
    line, expected = (
        accuracy_line(x, y, transform=transform),
        linregress(f(x).ravel(), f(y).ravel()),
    )
    np.testing.assert_allclose(
        [line.slope, line.intercept, line.corr],
        [expected.slope, expected.intercept, expected.rvalue],
        atol=1e-9,
    )
    swapped = accuracy_line(y, x, transform=transform)
    assert swapped.corr == pytest.approx(line.corr) and -1 - 1e-12 <= line.corr <= 1 + 1e-12


def test_groups_show_what_pooling_hides():
    # inside a group the luck of a draw moves both up; between groups OOD falls as ID rises
    # (Simpson's paradox)
    luck = np.linspace(-0.1, 0.1, 5)
    x = np.stack([0.7 + luck, 0.75 + luck])
    y = np.stack([0.7 + luck, 0.68 + luck])
    line = accuracy_line(x, y, groups=np.array([[1] * 5, [2] * 5]), transform="linear")
    assert line.corr > 0.8 and line.group_corr == pytest.approx(-1)
    assert np.isnan(accuracy_line(x, y, groups=np.ones((2, 5))).group_corr)


def test_perfect_accuracies_are_clipped_and_constant_ones_have_no_correlation():
    line = accuracy_line([0.9, 1.0], [0.5, 0.6], clip=1e-3)
    assert line.slope == pytest.approx(
        (norm.ppf(0.6) - norm.ppf(0.5)) / (norm.ppf(0.999) - norm.ppf(0.9))
    )
    flat = accuracy_line([0.9, 0.9], [0.5, 0.6])
    assert np.isnan(flat.corr) and np.isnan(flat.slope)
    assert np.isnan(accuracy_line([0.5, 0.6], [0.9, 0.9]).corr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0.5], [0.5]), "2 models or more"),
        (([0.5, 0.6], [0.5]), "one shape"),
        (([0.5, 60.0], [0.5, 0.6]), r"holds 60; .* in \[0, 1\]"),
        (([0.5, np.nan], [0.5, 0.6]), "holds nan"),
    ],
)
def test_bad_accuracies_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        accuracy_line(*arguments)


def test_bad_options_are_refused():
    good = [0.5, 0.6], [0.5, 0.6]
    for options, said in (
        ({"transform": "log"}, "transform"),
        ({"clip": 0.0}, "clip"),
        ({"groups": [1]}, "groups"),
    ):
        with pytest.raises(InputError, match=said):
            accuracy_line(*good, **options)
