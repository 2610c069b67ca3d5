"""Sealed bytes, swept temporaries, folders that one process holds."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from theorylab.errors import InputError
from theorylab.files import (
    digest,
    held,
    in_one_line,
    seal,
    sweep_temporaries,
    unseal,
    write_atomically,
)


def test_digest_is_that_of_the_standard() -> None:
    # FIPS 180-2, B.1
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("body", [b"", b"abc\n\0"])
def test_no_bit_of_what_is_sealed_can_change(body: bytes) -> None:
    whole = seal(body)
    assert unseal(whole) == body
    for place in range(8 * len(whole)):
        other = bytearray(whole)
        other[place // 8] ^= 1 << place % 8
        assert unseal(bytes(other)) is None
    for end in range(len(whole)):
        assert unseal(whole[:end]) is None
    assert unseal(whole + b"x") is None


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from theorylab.files import write_atomically\n"
    )
    script += (
        "os.replace = lambda *a: os.kill(os.getpid(), 9); "
        "write_atomically(Path(sys.argv[1]), b'new')"
    )
    (tmp_path / "a.txt").write_bytes(b"old")
    assert (
        subprocess.run([sys.executable, "-c", script, tmp_path / "a.txt"], check=False).returncode
        == -9
    )
    mine = {"a.txt", ".hidden.tmp", "b.12345678.tmp", ".a.txt"}
    for name in mine - {"a.txt"}:
        (tmp_path / name).write_bytes(b"mine")
    assert len(list(tmp_path.iterdir())) == 5
    sweep_temporaries(tmp_path)  # its writer may be alive: it is young
    assert len(list(tmp_path.iterdir())) == 5
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 4000,) * 2)
    sweep_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == mine
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    sweep_temporaries(tmp_path / "none")


def test_who_waits_says_for_whom_and_goes_on_when_the_holder_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = "import sys, time; from pathlib import Path; from theorylab.files import held\n"
    script += "with held(Path(sys.argv[1]), 'out'): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"

        class Kills(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                holder.kill()

        handler = Kills()
        logging.getLogger("theorylab.files").addHandler(handler)
        try:
            with held(tmp_path, "out", patience=0.1):
                assert (tmp_path / ".holder").read_text() == str(os.getpid())
        finally:
            logging.getLogger("theorylab.files").removeHandler(handler)
    [message] = caplog.messages
    assert message == (
        f"out={str(tmp_path)!r}: waiting for process {holder.pid}, which works there; Ctrl-C stops"
    )


def test_errors_of_the_file_system_are_one_line_that_names_option_and_folder(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(InputError, match=f"^out='{tmp_path}': Is a directory .*another folder"),
        in_one_line("out", tmp_path),
    ):
        write_atomically(tmp_path, b"content")
    assert not list(tmp_path.parent.glob(".*.tmp"))
