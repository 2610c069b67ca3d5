import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theorylab.data import Column, Dataset, encode, load
from theorylab.data.dataset import table_statistics
from theorylab.data.one_hot import quantile_edges
from theorylab.errors import InputError

COLUMNS = (Column("age"), Column("sex", ("f", "m")), Column("flat"))
X = np.array([[1.0, 0, 5], [2, 1, 5], [np.nan, 1, 5], [3, np.nan, 5], [2, 0, 7]])


def table(x=X, columns=COLUMNS, n_test=1):
    y = np.zeros(len(x), np.int32)
    mean, std = table_statistics(x[:-n_test])
    return Dataset(
        "t",
        x[:-n_test],
        y[n_test:],
        x[-n_test:],
        y[:n_test],
        ("a",),
        mean,
        std,
        "",
        "",
        "",
        "",
        columns=columns,
    )


def test_words_become_one_column_each_and_numbers_are_standardised():
    arrays, names = encode(table())
    assert names == ("age", "sex=f", "sex=m", "flat") and arrays.x_train.dtype == np.float32
    age = np.array([-1, 0, 0, 1]) / np.std([1, 2, 3])  # the missing age is at the mean
    np.testing.assert_allclose(
        arrays.x_train, np.c_[age, [1, 0, 0, 0], [0, 1, 1, 0], np.zeros(4)], atol=1e-7
    )
    # a column constant in training has no scale: its shift is kept in its own units
    np.testing.assert_allclose(arrays.x_test, [[0, 1, 0, 2]], atol=1e-7)


def test_normalised_tables_are_the_standardised_encoding():
    np.testing.assert_array_equal(table().normalised().x_train, encode(table()).arrays.x_train)


def test_bins_are_cut_at_training_quantiles():
    x = np.arange(1.0, 12).reshape(-1, 1)  # 1..10 for training, 11 for test
    arrays, names = encode(table(x, (Column("u"),)), bins=5)
    assert len(names) == 5
    np.testing.assert_array_equal(arrays.x_train, np.repeat(np.eye(5), 2, axis=0))
    np.testing.assert_array_equal(arrays.x_test, [[0, 0, 0, 0, 1]])


def test_a_value_that_fills_quantiles_gets_its_own_bin():
    # two quintiles are 9, as in Adult's years of schooling
    x = np.array([4, *[9] * 7, *[10] * 4, 11, 12, 13, 13, 14, 15.0])
    np.testing.assert_allclose(np.quantile(x, [0.2, 0.4, 0.6, 0.8]), [9, 9, 10, 12.6])
    edges = quantile_edges(x, 5)
    assert np.unique(np.searchsorted(edges, [4, 9, 10, 12, 13])).tolist() == [0, 1, 2, 3, 4]


def test_mostly_zero_columns_have_two_bins():
    x = np.r_[np.zeros(19), 5.0, 0.0].reshape(-1, 1)
    arrays, names = encode(table(x, (Column("gain"),)), bins=5)
    assert (
        len(names) == 2
        and arrays.x_train[-1].tolist() == [0, 1]
        and arrays.x_test.tolist() == [[1, 0]]
    )


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 30), st.just(1)),
        elements=st.integers(-3, 3).map(float),
    ),
    st.integers(2, 6),
)
def test_every_present_cell_is_in_exactly_one_bin(x, bins):
    x[0, 0] = np.nan
    train = encode(table(np.r_[x, x[:1]], (Column("u"),)), bins=bins).arrays.x_train
    np.testing.assert_array_equal(train.sum(1), ~np.isnan(x[:, 0]))
    assert (train.sum(0) > 0).all() and train.shape[1] <= 2 * bins - 1
    assert len({tuple(row) for row in train[1:]}) <= len(np.unique(x[1:]))


def test_an_empty_column_has_no_edges():
    assert quantile_edges(np.full(3, np.nan), 5).size == 0


def test_images_and_silly_bins_are_refused():
    with pytest.raises(InputError, match="normalised"):
        encode(load("fashion_mnist", sample=True))
    with pytest.raises(InputError, match="bins=1 must be a whole number of at least 2"):
        encode(table(), bins=1)
