import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.lab import Table


def filled():
    table = Table("kind", "n", "risk")
    for kind in ("a", "b"):
        for n in (1, 2):
            table.add(kind=kind, n=n, risk=np.float64(n) / 3)
    return table


def test_columns_groups_and_conditions():
    table = filled()
    assert len(table) == 4 and table.columns == ("kind", "n", "risk")
    assert table.where(kind="b", n=2)["risk"].tolist() == [2 / 3]
    assert [(key, len(group)) for key, group in table.groups("kind")] == [(("a",), 2), (("b",), 2)]


def test_a_row_with_other_columns_is_refused():
    with pytest.raises(ValueError, match="row has"):
        filled().add(kind="a", n=1)


def test_the_csv_is_what_is_read_back():
    back = Table.from_csv(filled().to_csv())
    assert back["kind"].tolist() == ["a", "a", "b", "b"]
    np.testing.assert_allclose(back["risk"], filled()["risk"], rtol=1e-7)
    assert back.to_csv() == filled().to_csv()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=5))
def test_numbers_survive_to_eight_digits(values):
    table = Table("x")
    for v in values:
        table.add(x=v)
    np.testing.assert_allclose(Table.from_csv(table.to_csv())["x"], values, rtol=1e-7)
