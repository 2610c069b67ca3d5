"""The driver of CI's jobs, with jobs of a moment in place of its own."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CI = Path(__file__).parents[1] / ".ci"
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="there is no bash")


def run(folder, *jobs, **environment):
    return subprocess.run(
        [BASH, str(folder / ".ci" / "run"), *jobs],
        env={**os.environ, "THEORYLAB_CI_WORK": str(folder / "work"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(tmp_path):
    """A copy of the driver whose jobs say their name."""
    shutil.copytree(CI, tmp_path / ".ci")
    for job in (tmp_path / ".ci" / "jobs").iterdir():
        job.write_text(f"echo this is {job.stem}\n")
    (tmp_path / ".ci" / "jobs" / "tests.sh").write_text("echo 7 passed in 1.00s\n")
    return tmp_path


def test_every_job_is_in_the_list_and_every_script_is_well_formed():
    listed = re.search(r"^all=\((.*)\)$", (CI / "run").read_text(), re.MULTILINE)[1].split()
    by_name = {"aot"}  # what it installs is too large for every run
    assert sorted({*listed, *by_name}) == sorted(path.stem for path in (CI / "jobs").iterdir())
    assert not by_name & set(listed)
    for script in (CI / "run", *CI.glob("*/*.sh")):
        assert subprocess.run([BASH, "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize("at_once", ["1", "3"])
def test_all_jobs_run_and_the_last_line_is_that_of_the_tests(copy, at_once):
    done = run(copy, THEORYLAB_CI_JOBS=at_once)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[-1] == "7 passed in 1.00s"
    assert {"this is lint", "this is papers", "this is newest"} <= set(lines)
    assert len([line for line in lines if re.fullmatch(r"\w+ +\d+ s  passed", line)]) == 7


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_a_failing_job_fails_the_run_and_does_not_stop_the_others(copy, at_once):
    (copy / ".ci" / "jobs" / "lint.sh").write_text("exit 3\n")
    done = run(copy, "lint", "papers", THEORYLAB_CI_JOBS=at_once)
    assert done.returncode == 1 and "this is papers" in done.stdout
    assert re.search(r"^lint +\d+ s  FAILED \(3\)$", done.stdout, re.MULTILINE)
    assert "this is report" not in done.stdout


def test_an_unknown_job_is_refused_with_the_list(copy):
    done = run(copy, "lnt")
    assert done.returncode == 2 and "there is no job 'lnt'" in done.stderr
    assert "papers   a smoke run of every paper" in done.stderr


def test_the_newest_jax_is_skipped_only_on_request(tmp_path):
    for tool in ("mktemp", "rm"):  # and no Python
        (tmp_path / tool).symlink_to(shutil.which(tool))
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path)}

    def newest(**more):
        return subprocess.run(
            [BASH, str(CI / "jobs" / "newest.sh")],
            cwd=CI.parent,
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    assert newest().returncode == 1 and "needs Python 3.12" in newest().stderr
    skipped = newest(THEORYLAB_CI_NEWEST="skip")
    assert skipped.returncode == 0 and "is not tested" in skipped.stdout
