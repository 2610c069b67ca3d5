import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.data.tables import (
    Column,
    encode_features,
    encode_labels,
    pack_columns,
    parse_csv,
    unpack_columns,
)
from theorylab.errors import DataError


def test_rows_are_stripped_and_headers_and_odd_lines_skipped():
    text = "@relation x\r\n@data\r\n 1, a ,x\r\n\r\n2,b,y\n|remark\n"
    assert parse_csv(text, width=3) == [["1", "a", "x"], ["2", "b", "y"]]


def test_blank_separated_rows():
    assert parse_csv("A11  6 x\nA12 48 y\n", separator=None) == [
        ["A11", "6", "x"],
        ["A12", "48", "y"],
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "1,2\n1,2,3\n"])
def test_empty_or_ragged_tables_are_refused(text):
    with pytest.raises(DataError, match="no rows, or rows of unequal width"):
        parse_csv(text)


def test_words_become_codes_and_missing_cells_nan():
    x, columns = encode_features(
        [["1.5", "b", "?"], ["?", "a", "7"], ["-2", "?", "8"]], ["u", "v", "w"]
    )
    assert columns == (Column("u"), Column("v", ("a", "b")), Column("w"))
    np.testing.assert_array_equal(x, [[1.5, 1, np.nan], [np.nan, 0, 7], [-2, np.nan, 8]])
    assert x.dtype == np.float64 and x.flags.c_contiguous


def test_labels_sort_as_numbers_where_they_are_numbers():
    y, classes = encode_labels(["10", "9", "2", "10"])
    assert classes == ("2", "9", "10") and y.tolist() == [2, 1, 0, 2] and y.dtype == np.int32
    assert encode_labels(["b", "10", "9"])[1] == ("10", "9", "b")


@pytest.mark.long
@given(
    st.lists(
        st.builds(Column, st.text(max_size=5), st.lists(st.text(max_size=3)).map(tuple)), max_size=4
    )
)
def test_columns_survive_packing(columns):
    packed = pack_columns(columns)
    assert packed.shape == () and packed.dtype.kind == "U"
    assert unpack_columns(packed) == tuple(columns)
