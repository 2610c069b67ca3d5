import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.federated import (
    consecutive_pairs_partition,
    dirichlet_partition,
    iid_partition,
    label_partition,
)
from theorylab.federated.partitions import generator

KEY = jax.random.key(0)
LABELS = np.random.default_rng(0).integers(0, 10, 1000)


def classes_of(parts, labels=LABELS):
    return [set(labels[part].tolist()) for part in parts]


def covers(parts, n):
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))


@given(st.integers(1, 40), st.integers(0, 5))
def test_iid_parts_cover_everything_once_and_differ_by_one_in_size(n_clients, seed):
    parts = iid_partition(LABELS, n_clients, key=jax.random.key(seed))
    covers(parts, 1000)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.integers(10, 25), st.integers(1, 10), st.integers(0, 5))
def test_label_skew_gives_class_i_mod_k_and_c_classes_each(n_clients, c, seed):
    parts = label_partition(LABELS, n_clients, c, key=jax.random.key(seed))
    covers(parts, 1000)
    held = classes_of(parts)
    assert all(len(own) == c and i % 10 in own for i, own in enumerate(held))
    for label in range(10):  # a class is split evenly among its holders
        sizes = [
            (LABELS[part] == label).sum()
            for part, own in zip(parts, held, strict=True)
            if label in own
        ]
        assert max(sizes) - min(sizes) <= 1


def test_further_classes_are_drawn_evenly():
    labels = np.repeat(np.arange(4), 4000)
    counts = np.zeros(4)
    for own in classes_of(label_partition(labels, 1000, 2, key=KEY), labels):
        for label in own:
            counts[label] += 1
    # client i holds i mod 4 (250 each) and one of the 3 others: 250 more, binomial of 750 draws
    # with p = 1/3
    np.testing.assert_allclose(counts, 500, atol=4 * np.sqrt(750 * 2 / 9))


def test_consecutive_pairs_are_disjoint_and_keep_all():
    parts = consecutive_pairs_partition(LABELS)
    covers(parts, 1000)
    assert classes_of(parts) == [{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}]


def test_overlapping_classes_are_shared_out_evenly():
    parts = consecutive_pairs_partition(LABELS, classes_per_client=3, stride=2, key=KEY)
    covers(parts, 1000)
    assert classes_of(parts) == [{0, 1, 2}, {2, 3, 4}, {4, 5, 6}, {6, 7, 8}, {8, 9, 0}]
    halves = [(LABELS[parts[i]] == 2).sum() for i in (0, 1)]
    assert abs(halves[0] - halves[1]) <= 1
    with pytest.raises(InputError, match="shuffle what they share"):
        consecutive_pairs_partition(LABELS, classes_per_client=3, stride=2)


@pytest.mark.parametrize("alpha", [0.05, 0.5])
def test_dirichlet_parts_cover_everything_and_respect_the_least_size(alpha):
    parts = dirichlet_partition(LABELS, 8, alpha, key=KEY)
    covers(parts, 1000)
    assert min(map(len, parts)) >= 10


def test_dirichlet_follows_the_published_procedure_step_by_step():
    # NIID-Bench's law written out again with the same generator: shares, full clients closed, cut
    # at the cumulated sum
    rng, n, clients = generator(KEY), 1000, 5
    while True:
        held = [[] for _ in range(clients)]
        for label in range(10):
            q = rng.dirichlet(np.repeat(0.5, clients))
            q = np.array(
                [share * (len(own) < n / clients) for share, own in zip(q, held, strict=True)]
            )
            members = rng.permutation(np.nonzero(label == LABELS)[0])
            cuts = (np.cumsum(q / q.sum()) * len(members)).astype(int)[:-1]
            held = [
                own + piece.tolist()
                for own, piece in zip(held, np.split(members, cuts), strict=True)
            ]
        if min(map(len, held)) >= 10:
            break
    for ours, theirs in zip(dirichlet_partition(LABELS, clients, 0.5, key=KEY), held, strict=True):
        np.testing.assert_array_equal(ours, sorted(theirs))


def test_small_alpha_makes_clients_more_dissimilar():
    def share_of_largest_class(alpha):
        parts = dirichlet_partition(LABELS, 5, alpha, key=KEY)
        return np.mean([np.bincount(LABELS[part]).max() / len(part) for part in parts])

    assert share_of_largest_class(100.0) < 0.2 < 0.4 < share_of_largest_class(0.1)


def test_partitions_depend_on_the_key_alone():
    for law in (
        lambda k: label_partition(LABELS, 12, 2, key=k),
        lambda k: dirichlet_partition(LABELS, 5, 1.0, key=k),
    ):
        one, again, other = law(KEY), law(KEY), law(jax.random.key(1))
        assert all(map(np.array_equal, one, again))
        assert not all(map(np.array_equal, one, other))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: label_partition(LABELS, 3, 1, key=KEY),
            "class 3, 4, 5, 6, 7, 8, 9 held by none of the 3 clients",
        ),
        (
            lambda: label_partition(LABELS, 10, 11, key=KEY),
            "classes_per_client = 11; .* at most 10",
        ),
        (
            lambda: label_partition(np.array([0, 0, 1]), 8, 1, key=KEY),
            "client 3, 4, 5, 6, 7 of 8 got no examples",
        ),
        (lambda: label_partition(LABELS.astype(float), 3, 1, key=KEY), "labels has dtype float64"),
        (lambda: label_partition(LABELS, 0, 1, key=KEY), "n_clients = 0"),
        (lambda: label_partition(LABELS, 10, 1, key=0), "key = 0"),
        (lambda: iid_partition(np.arange(3), 5, key=KEY), "client 3, 4 of 5 got no examples"),
        (lambda: dirichlet_partition(LABELS, 5, 0.0, key=KEY), "alpha = 0"),
        (
            lambda: dirichlet_partition(LABELS, 5, 1.0, key=KEY, min_size=300),
            "min_size = 300; .* at most 200",
        ),
        (
            lambda: dirichlet_partition(np.zeros(20, int), 10, 0.01, key=KEY, min_size=2),
            "raise alpha or lower min_size",
        ),
        (
            lambda: consecutive_pairs_partition(LABELS, classes_per_client=3),
            "10 classes cannot be dealt out 3",
        ),
        (
            lambda: consecutive_pairs_partition(LABELS, classes_per_client=0),
            "classes_per_client = 0",
        ),
        (lambda: consecutive_pairs_partition(LABELS, 2), "held by none of the 2 clients"),
    ],
)
def test_impossible_partitions_are_refused(call, message, monkeypatch):
    monkeypatch.setattr("theorylab.federated.partitions._TRIES", 100)
    with pytest.raises(InputError, match=message):
        call()


def test_missing_classes_can_be_accepted():
    parts = label_partition(LABELS, 3, 1, key=KEY, allow_missing=True)
    assert classes_of(parts) == [{0}, {1}, {2}]
