import gzip

import numpy as np
import pytest
from data_builders import deb_archive, idx_bytes, tgz_archive, zip_archive
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theorylab.data.archives import read_idx, read_members
from theorylab.errors import DataError

FILES = {
    "package/a/one.bin": b"first " * 50,
    "package/two.txt.gz": gzip.compress(b"second"),
    "package/three": b"third",
}
MAKERS = {"x.whl": zip_archive, "x.tgz": tgz_archive, "x.deb": deb_archive}


@pytest.mark.parametrize("name", MAKERS)
def test_members_are_found_by_the_end_of_their_path_and_unzipped(name, tmp_path):
    path = MAKERS[name](tmp_path / name, FILES)
    assert read_members(path, ["a/one.bin", "two.txt", "absent"]) == {
        "a/one.bin": b"first " * 50,
        "two.txt": b"second",
    }


@pytest.mark.parametrize("compression", ["gz", "xz", "bz2"])
def test_debian_payload_may_be_compressed_in_any_way(compression, tmp_path):
    path = deb_archive(tmp_path / "x.deb", FILES, compression)
    assert read_members(path, ["three"]) == {"three": b"third"}


def test_a_name_matches_whole_path_components_only(tmp_path):
    path = zip_archive(tmp_path / "x.zip", {"imbalanced/raw/iris.dat": b"wrong"})
    assert read_members(path, ["balanced/raw/iris.dat"]) == {}


def test_a_folder_and_a_bare_file_are_archives_too(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one").write_bytes(b"1")
    (tmp_path / "two.gz").write_bytes(gzip.compress(b"2"))
    assert read_members(tmp_path, ["one", "two"]) == {"one": b"1", "two": b"2"}
    assert read_members(tmp_path / "two.gz", ["two"]) == {"two": b"2"}
    (tmp_path / "empty").write_bytes(b"")
    assert read_members(tmp_path / "empty", ["empty"]) == {"empty": b""}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.97])
def test_a_truncated_archive_is_refused_in_one_line(name, kept, tmp_path):
    incompressible = {"package/noise": np.random.default_rng(0).bytes(20_000)}
    path = MAKERS[name](tmp_path / name, incompressible)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match="truncated or damaged") as caught:
        read_members(path, ["noise"])
    assert "\n" not in str(caught.value)


# gzip's check comes after the last member: see fetching's test
@pytest.mark.parametrize("name", ["x.whl", "x.deb"])
def test_a_flipped_byte_in_a_member_is_detected(name, tmp_path):
    path = MAKERS[name](tmp_path / name, {"package/noise": np.random.default_rng(0).bytes(20_000)})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        read_members(path, ["noise"])


def test_an_ar_archive_without_payload_is_refused(tmp_path):
    (tmp_path / "x.deb").write_bytes(b"!<arch>\n" + b"x" * 60)
    with pytest.raises(DataError, match="bad ar header"):
        read_members(tmp_path / "x.deb", ["a"])
    (tmp_path / "x.deb").write_bytes(b"!<arch>\n")
    with pytest.raises(DataError, match=r"no data\.tar"):
        read_members(tmp_path / "x.deb", ["a"])


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no archive at .*nowhere"):
        read_members(tmp_path / "nowhere", ["a"])


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)))
def test_idx_round_trip_is_exact(array):
    decoded = read_idx(idx_bytes(array))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, array)


@given(st.binary(max_size=40))
def test_idx_reader_refuses_foreign_bytes(data):
    if data[:3] == b"\x00\x00\x08":
        return
    with pytest.raises(DataError, match="not an IDX file"):
        read_idx(data)


@pytest.mark.parametrize("cut", [5, 11, -1])
def test_truncated_idx_is_refused(cut):
    with pytest.raises(DataError, match="IDX file"):
        read_idx(idx_bytes(np.ones((2, 3), np.uint8))[:cut])


def test_idx_with_a_tail_is_refused():
    with pytest.raises(DataError, match="7 numbers"):
        read_idx(idx_bytes(np.ones((2, 3), np.uint8)) + b"x")
