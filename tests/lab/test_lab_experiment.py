import pytest

from theorylab.errors import InputError
from theorylab.lab import Preset, Results, Row
from theorylab.lab.experiment import canonical

ROWS = Results(tuple(Row({"n": n, "seed": s}, {"x": n * 10 + s}) for n in (1, 2) for s in (0, 1)))


def test_equal_cells_have_equal_text_whatever_the_order_and_the_sequence_type():
    assert (
        canonical({"b": (1, 2), "a": 0.1})
        == canonical({"a": 0.1, "b": [1, 2]})
        != canonical({"a": 0.1, "b": [2, 1]})
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1, 2}, b"x"])
def test_a_cell_that_is_not_json_is_refused(bad):
    with pytest.raises((ValueError, TypeError)):
        canonical({"a": bad})


def test_seeds_of_different_base_seeds_are_disjoint():
    runs = [set(Preset("quick", {}, seed=s).seeds(1000)) for s in range(3)]
    assert not (runs[0] & runs[1] or runs[1] & runs[2] or runs[0] & runs[2])


def test_changing_a_value_says_so_and_an_unknown_one_is_refused():
    changed = Preset("quick", {"n": 1}, seed=3, omits="Small.").with_values({"n": 2})
    assert (changed["n"], changed.seed, changed.omits) == (2, 3, "Small. Changed by hand: n=2.")
    with pytest.raises(InputError, match="no value 'm'; it has: n"):
        changed.with_values({"m": 1})


def test_rows_are_found_by_their_parameters():
    assert ROWS.where(n=2).stack("x").tolist() == [20, 21]
    assert ROWS.unique("n") == [1, 2] and ROWS.unique("n", "seed") == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]
    with pytest.raises(KeyError, match="no cell"):
        ROWS.where(n=3)
