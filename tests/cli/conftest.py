import importlib
import os
import sys
from pathlib import Path

import pytest

# Rich keeps for good the width that COLUMNS tells when a console is made; tests set another one,
# and workers of pytest-xdist begin with one.
os.environ.pop("COLUMNS", None)
importlib.import_module("theorylab.cli.layout")

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))  # the toy paper


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty working folder and a registry that holds the toy paper alone."""
    import toy

    from theorylab import papers

    rooms = {"toy": toy.PAPER}
    monkeypatch.setattr(papers, "rooms", lambda: rooms)
    monkeypatch.setattr(papers, "PLANNED", {"tct": papers.Planned("Not there yet", "Soon.")})
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("THEORYLAB_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
