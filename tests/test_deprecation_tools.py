"""What keeps an old argument, field or name going, on functions made for it."""

from dataclasses import dataclass

import pytest

from theorylab.deprecation import old_arguments, old_field, old_name, old_options


@old_arguments("a key b", tolerance="tol")
def new_form(a, b=0, *, key=None, tol=1.0):
    return a, b, key, tol


def test_old_arguments_of_every_kind():
    assert new_form(1, 2, key=3, tol=4.0) == (1, 2, 3, 4.0)  # no warning: an error in this suite
    with pytest.warns(DeprecationWarning, match="give key by name"):
        assert new_form(1, 3, 2) == (1, 2, 3, 1.0)
    with pytest.warns(DeprecationWarning, match="tolerance= is tol="):
        assert new_form(1, key=3, tolerance=4.0) == (1, 0, 3, 4.0)
    with pytest.raises(TypeError, match="both are given"):
        new_form(1, tolerance=1.0, tol=2.0)
    with (
        pytest.warns(DeprecationWarning),
        pytest.raises(TypeError, match="multiple values for b"),
    ):
        new_form(1, 3, 2, b=4)


@dataclass(frozen=True)
class Options:
    size: int = 1
    where: str = "here"


@old_options("a b", options=(Options, "n=size where"))
def grouped(options, *, a=0, b=0):
    return options, a, b


def test_old_arguments_that_are_in_a_record_today():
    assert grouped(Options(2), a=3) == (Options(2), 3, 0)  # no warning
    with pytest.warns(DeprecationWarning, match=r"n, where are options=Options\(size=..., where"):
        assert grouped(3, n=2, where="there") == (Options(2, "there"), 3, 0)
    with pytest.raises(TypeError, match="both are given"):
        grouped(options=Options(), n=2)
    with pytest.raises(TypeError, match="multiple values for a"):
        grouped(1, a=1, n=2)


@dataclass
class Record:
    new: int
    old = old_field("old", "new")


def test_an_old_field_is_read_and_is_no_field():
    with pytest.warns(DeprecationWarning, match=r"Record: \.old is \.new now"):
        assert Record(3).old == 3
    assert repr(Record(3)) == "Record(new=3)"


def test_a_name_that_never_was():
    with pytest.raises(AttributeError, match="no attribute 'x'"):
        old_name("theorylab.shift", "x", {})
