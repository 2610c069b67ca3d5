import os
import subprocess
import sys

import pytest

from theorylab.errors import InputError
from theorylab.lab.watchdog import patience, watched

STUCK = """
import ctypes, sys, time
from theorylab.lab.watchdog import watched
# This holds the interpreter, as a stuck kernel may.
native = lambda: ctypes.PyDLL(None).usleep(int(1.5e6))
watched('toy/squares {"x":1}', native if sys.argv[1] == "native" else lambda: time.sleep(1.5))
watched("toy/quick", lambda: None)
"""


def run(kind, seconds):
    environment = {**os.environ, "THEORYLAB_WATCHDOG": seconds}
    done = subprocess.run(
        [sys.executable, "-c", STUCK, kind], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stdout
    return done.stderr


def test_a_cell_that_is_stuck_in_native_code_is_named_in_the_dump_of_its_stack():
    told = run("native", "0.4")
    assert (
        told.count("Timeout (0:00:00.4") >= 2
        and 'in toy/squares {"x":1}' in told
        and "toy/quick" not in told
    )


def test_a_cell_that_waits_is_named_in_a_line_before_its_stack():
    told = run("python", "0.4")
    line = told.index(
        'theorylab: toy/squares {"x":1} has been computing for 0.4 s (THEORYLAB_WATCHDOG)'
    )
    assert line < told.index("Timeout (0:00:00.4") and 'in toy/squares {"x":1}' in told


@pytest.mark.long
def test_zero_is_never_and_what_ends_in_time_is_not_told_of():
    assert run("python", "0") == "" and run("python", "60") == ""


@pytest.mark.parametrize("bad", ["soon", "-1", "nan", "inf", "1e30"])
def test_a_patience_that_is_no_time_is_refused(monkeypatch, bad):
    monkeypatch.setenv("THEORYLAB_WATCHDOG", bad)
    with pytest.raises(InputError, match=f"THEORYLAB_WATCHDOG={bad}: give seconds"):
        patience()


def test_work_under_watch_gives_what_it_returns_and_what_it_raises(monkeypatch):
    monkeypatch.delenv("THEORYLAB_WATCHDOG", raising=False)
    assert patience() == 600 and watched("a", lambda: 7) == 7
    with pytest.raises(KeyError):
        watched("a", lambda: {}["x"])
