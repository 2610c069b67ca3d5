import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theorylab.data import available, cache_dir, digest, fetch, load, status, verify
from theorylab.data.cache import read_npz, write_npz
from theorylab.errors import DataError, InputError


def test_the_folder_is_the_environments_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("THEORYLAB_DATA", "~/x")
    assert cache_dir() == Path.home() / "x"
    monkeypatch.setenv("THEORYLAB_DATA", "")
    assert cache_dir().name == "theorylab" and cache_dir().is_absolute()


def test_digest_is_the_documented_hash():
    arrays = {"b": np.array([1, 2], "<i4"), "a": np.array(3.0)}
    text = (
        b"a <f8 ()\n"
        + np.float64(3).tobytes()
        + b"b <i4 (2,)\n"
        + np.array([1, 2], "<i4").tobytes()
    )
    assert digest(arrays) == hashlib.sha256(text).hexdigest()


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4))))
def test_digest_sees_values_shape_dtype_and_name_but_not_memory_order(x):
    assert digest({"x": np.asfortranarray(x)}) == digest({"x": x})
    changed = x.copy()
    changed[0, 0] ^= 1
    others = [
        {"x": changed},
        {"x": x.reshape(-1)},
        {"x": x.view(np.int8)},
        {"y": x},
        {"x": x, "y": x},
    ]
    assert digest({"x": x}) not in [digest(other) for other in others]


def test_npz_round_trip_keeps_sets_apart(tmp_path):
    sets = {"k/a": {"x": np.ones(3)}, "k/b": {"x": np.zeros(2), "file": np.array(["é", "b"])}}
    write_npz(tmp_path / "k.npz", sets, "here", compress=False)
    read = read_npz(tmp_path / "k.npz", "k/b", digest(sets["k/b"]))
    assert list(read) == ["x", "file"] and read["file"].tolist() == ["é", "b"]
    with pytest.raises(ValueError, match="checksum"):
        read_npz(tmp_path / "k.npz", "k/a", digest(sets["k/b"]))


def test_status_and_available_follow_the_cache(cache_folder, toy):
    _, archive, _ = toy
    assert not status("toy").cached and available() == () and verify() == ()
    fetch("toy", archive=archive, progress=False)
    found = status("toy")
    assert (
        found.cached
        and found.size == found.path.stat().st_size
        and found.origin == f"local file {archive.name}"
    )
    assert available() == ("toy",) and verify() == ("toy",) == verify("toy")


def test_looking_makes_no_folder(cache_folder):
    status("mnist"), available(), verify()
    with pytest.raises(DataError, match="theorylab data fetch mnist"):
        verify("mnist")
    assert not cache_folder.exists()


def test_damage_anywhere_never_yields_other_data(cache_folder, toy):
    """Flip one byte in each of 120 places, and cut at each of 20: refused in one line, or the
    arrays are intact."""
    _, archive, arrays = toy
    path = fetch("toy", archive=archive, progress=False)
    good = path.read_bytes()
    refused = 0
    for k in range(140):
        bad = bytearray(good)
        if k < 120:
            bad[k * len(good) // 120] ^= 0x55
        else:
            bad = bad[: (k - 120) * len(good) // 20]
        path.write_bytes(bad)
        try:
            np.testing.assert_array_equal(load("toy").x_train, arrays["x_train"])
        except DataError as error:
            refused += 1
            assert (
                "corrupted" in str(error)
                and "theorylab data fetch toy" in str(error)
                and "\n" not in str(error)
            )
            with pytest.raises(DataError, match="corrupted"):
                verify()
    # the few bytes that may change unseen are dates and flags in the container, less than a tenth
    # of this small file
    assert refused >= 126
    assert status("toy").cached


def test_a_file_that_is_no_archive_is_refused(cache_folder, toy):
    cache_folder.mkdir()
    np.save(cache_folder / "toy.npy", np.ones(3))
    (cache_folder / "toy.npy").rename(cache_folder / "toy.npz")
    assert status("toy").origin == "unreadable"
    with pytest.raises(DataError, match="corrupted"):
        load("toy")


def test_verify_names_every_corrupted_set(cache_folder, toy):
    cache_folder.mkdir()
    for name in ("toy", "mnist"):
        (cache_folder / f"{name}.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"mnist\.npz is corrupted.*toy\.npz is corrupted"):
        verify()


def test_unknown_names_get_the_nearest(cache_folder):
    for call in (status, verify, fetch, load):
        with pytest.raises(InputError, match="did you mean mnist"):
            call("mnits")
