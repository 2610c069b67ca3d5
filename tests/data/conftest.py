import pytest
from data_builders import toy_entry

from theorylab.data.catalogue import CATALOGUE
from theorylab.data.digests import DIGESTS


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """An empty cache of this test's own (not made yet)."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("THEORYLAB_DATA", str(folder))
    return folder


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A catalogue entry "toy" of 12 + 6 images, an archive of it, and its arrays."""
    entry, expected, archive, arrays = toy_entry(tmp_path)
    monkeypatch.setitem(CATALOGUE, "toy", entry)
    monkeypatch.setitem(DIGESTS, "toy", expected)
    return entry, archive, arrays
