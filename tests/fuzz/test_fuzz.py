"""Every public function, with one or two arguments of a valid call changed, ends in an answer or in
an `InputError`: never in NaN or infinity, another exception, or another value for the same numbers.

How many examples: THEORYLAB_FUZZ_EXAMPLES (3 in the quick run, 5 in the long one). Which ones:
THEORYLAB_FUZZ_SEED, always the same by default, so that a test that failed fails again and one that
passed says what it passed. The big run, with new ones:

    THEORYLAB_FUZZ_SEED=$RANDOM THEORYLAB_FUZZ_EXAMPLES=200 pytest -n 2 -m long tests/fuzz

`python tests/fuzz/fuzz_campaign.py PACKAGE EXAMPLES` goes on after a fault and lists all of them.
"""

import os

import fuzz_register as register
import hypothesis
import ml_dtypes
import numpy as np
import pytest
from fuzz_trial import Base, one
from hypothesis import strategies as st

from theorylab import mixtures, rmt
from theorylab.errors import InputError

MINE = ("ntk", "infinite", "ridge", "rmt", "mixtures", "shift", "matching", "online")
MINE += ("collective", "federated")
EXAMPLES = os.environ.get("THEORYLAB_FUZZ_EXAMPLES")
SEED = int(os.environ.get("THEORYLAB_FUZZ_SEED", 0))


def attempts(base, examples):
    """Fuzz one call: raises AssertionError with the smallest change that fails."""

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=int(EXAMPLES or examples),
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.data())
    def attempt(data):
        said, verdict = one(base, lambda options: data.draw(st.sampled_from(options)))
        assert verdict in ("value", "refused"), f"{base.entry.name}({said}) ends in {verdict}"

    attempt()


def faults(entries, examples):
    """The smallest failing call of every entry that has one, in words."""
    found = []
    for entry in entries:
        try:
            attempts(Base(entry), examples)
        except AssertionError as error:
            found.append(str(error).partition("\n")[0])
    return found


@pytest.mark.parametrize("package", register.QUICK)
def test_what_compiles_little_answers_or_refuses(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a name may become a file
    entries = [e for e in register.entries(package, lazy=False) if e.quick]
    assert entries
    assert faults(entries, 3) == []


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*logistic fits:RuntimeWarning")
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("package", MINE)
def test_everything_answers_or_refuses(package, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert faults(register.entries(package)[part::4], 5) == []


@pytest.mark.parametrize("package", register.TABLES)
def test_every_public_function_is_fuzzed_or_exempt_by_name(package):
    assert register.uncovered(package) == set()


def test_exemptions_and_documented_answers_are_of_functions_that_there_are():
    packages = (*MINE, "privacy", "privacy_online")
    names = {e.name.partition("#")[0] for p in packages for e in register.entries(p, lazy=False)}
    assert set(register.DOCUMENTED) <= names
    assert {name.partition(".")[0] for name in register.EXEMPT} <= set(register.TABLES)


def test_a_fault_is_found():
    """Of the harness itself: a function that gives NaN for one argument in three."""

    def reckless(x):
        return np.log(np.asarray(x, float) - 1)

    entry = register.Entry("none", "none.reckless", reckless, {"x": 3.0})
    assert "reckless" in faults([entry], 50)[0]


# of FITS files, old archives and extended sums: JAX knows none of them
FOREIGN = {
    "long double": lambda x: x.astype(np.longdouble),
    "big endian": lambda x: x.astype(">f8"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("function", [rmt.degrees_of_freedom, rmt.effective_regularization])
def test_floats_that_jax_does_not_know_are_converted(function, kind):
    spectrum = np.array([4.0, 2.0, 1.0])
    more = (0.5,) if function is rmt.degrees_of_freedom else (2, 0.5)
    np.testing.assert_allclose(function(FOREIGN[kind](spectrum), *more), function(spectrum, *more))


def test_bfloat16_is_a_float():
    found = mixtures.sl_estimator(np.ones((2, 2), ml_dtypes.bfloat16), [1.0, -1.0])
    np.testing.assert_array_equal(found, [0.0, 0.0])
    with pytest.raises(InputError, match="X_l"):
        mixtures.sl_estimator(np.full((2, 2), np.nan, ml_dtypes.bfloat16), [1.0, -1.0])
