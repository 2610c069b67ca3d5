import hashlib
import http.server
import importlib.util
import os
import subprocess
import threading

import pytest

from theorylab.data import clients
from theorylab.data.catalogue import Package, Upstream
from theorylab.data.clients import check_sha256, download_package, download_upstream, writable
from theorylab.errors import DataError

BODY = b"the archive"
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script of a given name on a PATH that has nothing else of ours; returns the log
    of its calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "log"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")

    def make(name, script):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "$@" >> {log}\n{script}\n')
        path.chmod(0o755)
        return log

    return make


def test_npm_packs_without_scripts(program, tmp_path):
    log = program("npm", "printf 'the archive' > toy-1.0.tgz")
    path = download_package(Package("npm", "toy@1.0", "toy-", SHA), tmp_path)
    assert path.read_bytes() == BODY and path.name == "toy-1.0.tgz"
    assert log.read_text() == "pack --silent --ignore-scripts toy@1.0\n"


def test_pip_downloads_wheels_only_and_no_dependencies(program, tmp_path, monkeypatch):
    # an environment of uv's has no pip in it
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    log = program("pip", "printf 'the archive' > toy-1.0-py3.whl")
    assert (
        download_package(Package("pip", "toy==1.0", "toy-1.0", SHA), tmp_path).name
        == "toy-1.0-py3.whl"
    )
    words = log.read_text().split()
    assert (
        words[0] == "download"
        and {"--no-deps", "--only-binary=:all:"} <= set(words)
        and words[-1] == "toy==1.0"
    )


def test_pip_of_this_interpreter_is_preferred(monkeypatch, tmp_path):
    calls = []

    def run(command, **options):
        calls.append((command, options["cwd"]))
        (tmp_path / "toy-1.0.whl").write_bytes(BODY)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    download_package(Package("pip", "toy==1.0", "toy-1.0", SHA), tmp_path)
    assert calls[0][0][:3] == [clients.sys.executable, "-m", "pip"] and calls[0][1] == tmp_path


def test_apt_downloads_with_the_lists_of_the_machine(program, tmp_path):
    log = program("apt-get", "printf 'the archive' > toy_1_all.deb")
    download_package(Package("apt", "toy=1", "toy_", SHA), tmp_path)
    assert log.read_text() == "-qq download toy=1\n"


def test_apt_fetches_lists_of_its_own_where_the_machine_has_none(program, tmp_path):
    script = (
        'case "$*" in *"lists"*"download"*) printf "the archive" > toy_1_all.deb;; *update*) '
        ";; *) exit 100;; esac"
    )
    log = program("apt-get", script)
    download_package(Package("apt", "toy=1", "toy_", SHA), tmp_path)
    first, second, third = log.read_text().splitlines()
    assert (
        "Dir::State::Lists" not in first
        and second.endswith("update")
        and third.endswith("download toy=1")
    )
    assert f"Dir::State::Lists={tmp_path}/apt/lists" in second


@pytest.mark.parametrize(
    ("client", "hint"), [("npm", "Node.js"), ("apt", "Debian"), ("pip", "ensurepip")]
)
def test_a_missing_client_is_named_with_the_mend(client, hint, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=hint):
        download_package(Package(client, "toy", "toy", SHA), tmp_path)


def test_a_failing_client_is_quoted_in_one_line(program, tmp_path):
    program("npm", "echo 'npm warn' >&2; echo 'npm error 404 no such package' >&2; exit 1")
    with pytest.raises(
        DataError, match=r"^npm could not get toy@1: npm error 404 no such package$"
    ):
        download_package(Package("npm", "toy@1", "toy", SHA), tmp_path)
    program("npm", "exit 3")
    with pytest.raises(DataError, match="exit status 3"):
        download_package(Package("npm", "toy@1", "toy", SHA), tmp_path)


def test_a_hanging_client_is_stopped(program, tmp_path, monkeypatch):
    program("npm", "exec sleep 30")
    monkeypatch.setattr(clients, "_CLIENT_SECONDS", 0.2)
    with pytest.raises(DataError, match="took more than"):
        download_package(Package("npm", "toy@1", "toy", SHA), tmp_path)


def test_a_client_that_cannot_run_is_said(program, tmp_path, monkeypatch):
    def run(*args, **options):
        raise PermissionError(13, "Permission denied")

    program("npm", "")
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DataError, match="cannot be run"):
        download_package(Package("npm", "toy@1", "toy", SHA), tmp_path)


def test_a_client_that_delivers_nothing_is_an_error(program, tmp_path):
    program("npm", "")
    with pytest.raises(DataError, match="delivered 0 files"):
        download_package(Package("npm", "toy@1", "toy-", SHA), tmp_path)


def test_a_wrong_checksum_is_an_error(program, tmp_path):
    program("npm", "printf 'the archivf' > toy-1.0.tgz")
    with pytest.raises(
        DataError, match=rf"toy-1\.0\.tgz has the wrong checksum.*expected {SHA[:12]}"
    ):
        download_package(Package("npm", "toy@1", "toy-", SHA), tmp_path)


def test_check_sha256_accepts_the_right_file(tmp_path):
    (tmp_path / "x").write_bytes(BODY)
    check_sha256(tmp_path / "x", SHA)


@pytest.fixture
def mirror(tmp_path):
    """A web server on this machine that serves /good/a and answers 404 elsewhere; its address."""
    (tmp_path / "www" / "good").mkdir(parents=True)
    (tmp_path / "www" / "good" / "a").write_bytes(BODY)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "www")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_second_mirror_serves_what_the_first_lacks(mirror, tmp_path):
    upstream = Upstream((f"{mirror}/bad/", f"{mirror}/good/"), {"a": f"sha256:{SHA}"})
    assert (download_upstream(upstream, tmp_path) / "a").read_bytes() == BODY


def test_a_wrong_upstream_checksum_leaves_no_file(mirror, tmp_path):
    upstream = Upstream((f"{mirror}/good/",), {"a": "md5:" + 32 * "0"})
    with pytest.raises(DataError, match="wrong checksum"):
        download_upstream(upstream, tmp_path)
    assert not (tmp_path / "a").exists()


def test_no_network_is_said_quickly(tmp_path):
    # port 9 of this machine refuses at once
    with pytest.raises(DataError, match=r"not to be had upstream \(127.0.0.1:9: no connection\)"):
        download_upstream(Upstream(("http://127.0.0.1:9/",), {"a": "md5:0"}), tmp_path)


def test_a_folder_that_cannot_be_made_or_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        writable(tmp_path / "file" / "cache")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataError, match="cannot be written: set THEORYLAB_DATA"):
        writable(tmp_path)
