"""Every public function of `theorylab.data` but `fetch` refuses malformed arguments by name."""

from itertools import chain

import bad_input
import jax
import numpy as np
import pytest

from theorylab import data
from theorylab.data import synthetic
from theorylab.data.dataset import table_statistics
from theorylab.errors import InputError

KEY = jax.random.key(0)
E = np.array([4.0, 2.0, 1.0])
X = np.random.default_rng(0).normal(size=(4, 3))
Y = X[:, 0]
TABLE = np.array([[1.0, 0], [2, 1], [3, 1]])
DATASET = data.Dataset(
    *(
        "t",
        TABLE,
        np.zeros(3, np.int32),
        TABLE[:1],
        np.zeros(1, np.int32),
        ("a",),
        *table_statistics(TABLE),
    ),
    *("", "", "", ""),
    columns=(data.Column("age"), data.Column("sex", ("f", "m"))),
)

# Name: valid calls, each a function and its arguments.
CALLS = {
    "Dataset": [(DATASET.normalised, {"flat": False})],
    "corrupt": [
        (
            data.corrupt,
            {"images": np.full((2, 8, 8), 0.5), "name": "contrast", "severity": 2, "key": KEY},
        ),
    ],
    "digest": [(data.digest, {"arrays": {"x": X}})],
    "encode": [(data.encode, {"dataset": DATASET, "bins": 2})],
    "load": [(data.load, {"name": "fashion_mnist", "sample": True})],
    "status": [(data.status, {"name": "mnist"})],
    "synthetic": [
        (synthetic.power_law_spectrum, {"p": 3, "alpha": 1.5}),
        (
            synthetic.gaussian_design,
            {"key": KEY, "n": 4, "eigenvalues": E, "entries": "rademacher"},
        ),
        (synthetic.elliptical, {"key": KEY, "n": 4, "eigenvalues": E, "sigma": 0.5}),
        (synthetic.teacher, {"key": KEY, "eigenvalues": E, "power": E}),
        (synthetic.linear_targets, {"key": KEY, "x": X, "beta": E, "noise_variance": 0.1}),
        (synthetic.duplicate, {"x": X, "y": Y, "copies": 2}),
        (synthetic.augmented, {"key": KEY, "x": X, "y": Y, "noise": 0.1}),
    ],
}
OTHERS = {
    *("Arrays", "Column", "Encoded", "Entry", "Status"),  # records that the functions return
    *("CATALOGUE", "CORRUPTIONS"),  # constants
    *("available", "cache_dir"),  # no arguments
    "reviews",  # a module: what it gives is read by `load` and `pretrained`
    "fetch",  # its malformed archives have tests of their own
    *("pretrained", "verify"),  # need a fetched file for a valid call: below
}


def test_every_public_name_is_attacked():
    assert CALLS.keys() | OTHERS == set(data.__all__)


def test_malformed_arguments_are_refused_by_name(cache_folder):
    assert bad_input.faults_in(chain.from_iterable(CALLS.values())) == []


@pytest.mark.parametrize("function", [data.pretrained, data.verify, data.load, data.status])
@pytest.mark.parametrize("name", [3, ["mnist"], np.array(["mnist", "adult"]), "no such set"])
def test_what_is_no_name_is_refused(function, name, cache_folder):
    with pytest.raises(InputError, match="name"):
        function(name)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: synthetic.teacher(KEY, E, np.array([1.0, -1.0, 1.0])), "power"),
        (lambda: synthetic.gaussian_design(KEY, 2, -E), "eigenvalues"),
        (lambda: synthetic.elliptical(KEY, 2, E, sigma=-0.1), "sigma"),
        (lambda: synthetic.linear_targets(KEY, X, E, noise_variance=-1.0), "noise_variance"),
        (lambda: synthetic.augmented(KEY, X, Y, noise=-0.1), "noise"),
        (lambda: synthetic.duplicate(X, Y[:3]), "y"),
    ],
)
def test_negative_powers_and_noises_and_unequal_lengths_are_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()


def test_whole_numbers_are_features_too():
    x = np.array([[1, 2, 3], [4, 5, 6]])
    y = synthetic.linear_targets(KEY, x, np.array([1, 0, 0]))
    np.testing.assert_array_equal(y, [1.0, 4.0])
    doubled, labels = synthetic.duplicate([[1.0], [2.0]], [0, 1])
    np.testing.assert_array_equal(doubled, [[1.0], [2.0], [1.0], [2.0]])
    np.testing.assert_array_equal(labels, [0, 1, 0, 1])
