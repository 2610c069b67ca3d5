import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))  # the toy paper


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory):
    """The toy paper reproduced: the folder with its `results` and `figures`."""
    import toy

    from theorylab.lab import Runner, Store
    from theorylab.lab.reproduce import reproduce

    folder = tmp_path_factory.mktemp("toy")
    reproduce(
        toy.PAPER, toy.PAPER.preset("quick"), Runner(Store(folder / "results")), folder / "figures"
    )
    return folder


@pytest.fixture
def toy_paper():
    import toy

    return toy.PAPER


@pytest.fixture
def broken_paper(toy_paper):
    """The toy paper with a claim that is false: its bound was moved away from what is measured."""
    from theorylab.lab import Claim, Evidence

    def measure(value):
        return lambda results, preset: [Evidence("x", value, 0.0, 1.0)]

    false = Claim(
        "broken", "2 is at most 1", "nowhere", ("squares",), measure(2.0), {"3": measure(3.0)}
    )
    return replace(toy_paper, claims=(*toy_paper.claims, false))
