import pytest

from theorylab import papers
from theorylab.errors import InputError
from theorylab.lab import Preset
from theorylab.lab.values import require_like

PAIR = ["mnist", False, 1]


@pytest.mark.parametrize(
    ("value", "models"),
    [
        (3, [5]),
        (0, [0, 4]),
        (-1, [-2]),
        (0.5, [1, 0.1]),
        (True, [False]),
        ("a", ["b"]),
        ([1, 2, 3], [[4]]),
        ([], [[], [1]]),
        ([["cifar10", True, 9]], [[PAIR]]),
        ({"a": 1}, [{"a": 2, "b": 1}, {"a": 3}]),
        (None, [None]),
        ([[2, 3], [4]], [[[1, 2]]]),
        ([0.5, 1], [[0, 50], [0.0, 25.0]]),
    ],
)
def test_values_of_the_kind_are_taken(value, models):
    require_like("n", value, models)


@pytest.mark.parametrize(
    ("value", "models", "says"),
    [
        (0, [5], "above 0"),
        (-1, [0, 4], "not negative"),
        (0.5, [1, 2], "whole"),
        (1, [True], "true or false"),
        (True, [1], "a number"),
        ("", ["b"], "a text that is not empty"),
        (float("inf"), [0.5], "finite"),
        (2**70, [1], "at most"),
        ("x", [[1]], "a list"),
        ([], [[1]], "not empty"),
        ([1, "x"], [[4]], "element 1"),
        ([["cifar10", True]], [[PAIR]], "element 0: give a list of 3 elements"),
        ([["cifar10", 3, 9]], [[PAIR]], "element 0: element 1: give true or false"),
        ({}, [{"a": 1}], "lacks the key"),
        ({"a": 1, "c": 2}, [{"a": 2}], "key 'c' that is unknown"),
        ({"a": "x"}, [{"a": 2}], "key 'a': give a number"),
        (None, [1], "a number"),
        ([0.5], [[0, 50]], "element 0: give a whole number"),
    ],
)
def test_other_values_are_refused_with_what_is_needed(value, models, says):
    with pytest.raises(InputError, match=f"^n=.*{says}.*the preset has n="):
        require_like("n", value, models)


def test_every_paper_takes_the_values_of_its_own_presets():
    for paper in papers.rooms().values():
        every = list(paper.presets.values())
        for preset in every:
            for values in every:
                assert isinstance(preset.with_values(values.values, every), Preset)
