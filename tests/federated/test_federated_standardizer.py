import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from theorylab.errors import InputError
from theorylab.federated import client_moments, combine_moments, federated_standardizer

RNG = np.random.default_rng(0)
# a large mean beside a small spread, which sums of squares in float32 lose; a constant; a dead unit
F = np.c_[
    1e4 + RNG.normal(size=(60, 2)), RNG.normal(size=(60, 3)), np.full(60, 0.1), np.zeros(60)
].astype(np.float32)
BLOCKS = [F[:7], F[7:8], F[8:40], F[40:]]


def test_federated_statistics_are_scikit_learns_on_the_pooled_features():
    ours, theirs = federated_standardizer(BLOCKS), StandardScaler().fit(F.astype(np.float64))
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(ours.scale, theirs.scale_, rtol=1e-10)
    np.testing.assert_allclose(
        ours.apply(F[:5].astype(float)), theirs.transform(F[:5].astype(float)), atol=1e-9
    )
    assert ours.varies.tolist() == [True] * 5 + [False] * 2


def test_the_mean_squared_norm_counts_the_live_coordinates():
    standardizer = federated_standardizer(BLOCKS)
    phi = np.concatenate([standardizer.apply(block.astype(float)) for block in BLOCKS])
    assert standardizer.live == 5
    np.testing.assert_allclose(np.square(phi).sum() / 60, 5, rtol=1e-12)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_moments_do_not_depend_on_who_holds_what(cuts):
    parts = [part for part in np.split(F, sorted(cuts)) if len(part)]
    whole, combined = client_moments(F), combine_moments([client_moments(part) for part in parts])
    assert combined.n == 60
    np.testing.assert_allclose(combined.mean, whole.mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(combined.m2, whole.m2, rtol=1e-9, atol=1e-12)


def test_features_keep_their_precision():
    standardizer = federated_standardizer(BLOCKS)
    assert standardizer.apply(F).dtype == np.float32
    assert standardizer.apply(np.ones((2, 7), int)).dtype == np.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: federated_standardizer([F, F[:0]]), "client 1"),
        (lambda: federated_standardizer([F, F * np.nan]), "client 1 holds nan"),
        (lambda: federated_standardizer([F, F[:, :2]]), "2 columns at client 1, 7 at 0"),
        (lambda: federated_standardizer([]), "no clients"),
        (lambda: federated_standardizer(BLOCKS).apply(F[:, :2]), r"\(n, 7\) is needed"),
    ],
)
def test_bad_features_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
