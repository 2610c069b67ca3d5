"""The helpers of this folder, and whether the compilers for accelerators are there."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def pytest_collection_modifyitems(items):
    from theorylab.aot.targets import TARGETS, available

    absent = [target.title for target in TARGETS.values() if not available(target)]
    if absent:
        why = f"nothing here compiles for {' or '.join(absent)}: pip install 'theorylab[aot]'"
        for item in items:
            if HERE in item.path.parents and item.get_closest_marker("aot"):
                item.add_marker(pytest.mark.skip(reason=why))
