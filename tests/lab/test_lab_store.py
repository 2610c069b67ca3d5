from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.files import require_writable, write_atomically
from theorylab.lab import DamagedResult, Row, Store

PLACE = ("paper", "experiment", "key")
ROW = Row(
    {"n": 3, "kind": "a"},
    {"x": np.arange(6.0).reshape(2, 3), "name": np.array("é")},
    {"seconds": 0.5},
)


def test_a_row_comes_back_as_it_was_written(tmp_path):
    store = Store(tmp_path)
    assert store.read(*PLACE) is None
    store.write(*PLACE, ROW)
    back = store.read(*PLACE)
    assert back.cell == ROW.cell and back.meta == ROW.meta
    np.testing.assert_array_equal(back["x"], ROW["x"])
    assert str(back["name"]) == "é"


@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_flipped_byte_is_detected(tmp_path_factory, where, flip):
    store = Store(tmp_path_factory.mktemp("store"))
    store.write(*PLACE, ROW)
    path = store.path(*PLACE)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= flip
    path.write_bytes(content)
    with pytest.raises(DamagedResult):
        store.read(*PLACE)


@given(where=st.floats(0, 1, exclude_max=True))
def test_any_truncation_is_detected(tmp_path_factory, where):
    store = Store(tmp_path_factory.mktemp("store"))
    store.write(*PLACE, ROW)
    path = store.path(*PLACE)
    path.write_bytes(path.read_bytes()[: int(where * path.stat().st_size)])
    with pytest.raises(DamagedResult, match=str(path)):
        store.read(*PLACE)


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_refused_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"--out .*is a file"):
        require_writable(tmp_path / "file" / "sub", "--out")
    with pytest.raises(InputError, match="cannot write"):
        require_writable(Path("/proc/none"), "--out")
    require_writable(tmp_path / "new" / "deep", "--out")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
