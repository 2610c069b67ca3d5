import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab.records import record_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=30,
)


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=9), VALUES))
def test_a_record_is_read_back_as_it_was_in_the_same_order(record):
    text = record_text(record)
    assert json.loads(text) == record and json.dumps(json.loads(text)) == json.dumps(record)
    assert text.endswith("\n") and "\n\n" not in text


def test_a_measurement_stands_on_one_line_and_what_holds_measurements_on_several():
    measurement = {"label": "x" * 90, "measured": 0.5, "interval": [0.25, 0.75], "low": None}
    lines = record_text({"id": "c", "evidence": [measurement, measurement]}).splitlines()
    assert len(lines) == 7 and lines[0] == "{" and lines[1] == ' "id": "c",'
    assert json.loads(lines[3].rstrip(",")) == json.loads(lines[4]) == measurement
    assert record_text({"a": {"b": [1, 2]}}) == '{"a": {"b": [1, 2]}}\n'
