"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import dataclasses

import bad_input
import numpy as np
import pytest

from theorylab import safety as sa
from theorylab.errors import InputError


@pytest.fixture(scope="module")
def table():
    import safety_calls  # seconds of work, not to be done while tests are collected

    return safety_calls


@pytest.mark.long
def test_malformed_calls_are_refused_by_name_or_give_finite_numbers(table):
    assert bad_input.faults_in(table.CALLS, table.SKIP) == []


def test_every_export_is_called_or_excused(table):
    assert bad_input.uncovered(sa, table.CALLS, table.EXCUSED) == set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("operators", np.full((3, 2), 7)),
        ("text", np.zeros((3, 8), int)),
        ("branch", np.array([0, 1, 2])),
        ("prefix", np.array([True])),
        ("synonym", np.zeros((3, 1), bool)),
        ("encoding", np.array([0, 5, 0])),
        ("null_slot", np.array([-2, 0, 0])),
        ("opening", np.array([0, 0, -1])),
    ],
)
def test_prompts_with_a_part_out_of_range_are_refused_by_its_name(table, field, value):
    with pytest.raises(InputError, match=field):
        sa.layout(table.WORLD, dataclasses.replace(table.PROMPTS, **{field: value}))
