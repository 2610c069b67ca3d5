"""Every statement of the page of derivations is followed by a check that runs."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "derivations" / "dp_online.md"


@pytest.mark.long
def test_the_checks_of_the_derivations_pass():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)
    assert len(blocks) == 11
    scope = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), scope)
