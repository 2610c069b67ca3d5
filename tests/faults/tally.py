"""Counts what becomes of faults: right, refused in one line, silently wrong, a traceback, or a
hang."""

import contextlib
import re
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))  # the toy paper

GOOD = ("right", "refused")
SECONDS = 60


class Hang(BaseException):
    """Something took longer than `SECONDS`."""


@contextlib.contextmanager
def in_time(seconds=SECONDS):
    def late(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Tally:
    def __init__(self):
        self.counts, self.bad = Counter(), []

    def add(self, kind, outcome, detail=""):
        self.counts[kind, outcome] += 1
        if outcome not in GOOD:
            self.bad.append(f"{kind}: {outcome}: {detail}")

    def judge(self, kind, work, refusals, detail=""):
        """Run `work`; it says whether its result is right. `refusals`: the exceptions that are told
        in one line."""
        try:
            with in_time():
                outcome = "right" if work() else "silently wrong"
        except refusals as error:
            outcome = "refused" if str(error) and "\n" not in str(error) else "traceback"
            detail = f"{detail} {error}"
        except Hang:
            outcome = "hang"
        except Exception:
            outcome, detail = "traceback", f"{detail} {traceback.format_exc()}"
        self.add(kind, outcome, detail)
        return outcome

    def command(self, kind, arguments, capsys, right=lambda out: True, code=None):
        """Run the command line; what it does not refuse must be `right`, and `code`, if given, must
        be its answer."""
        from theorylab.cli.app import run

        capsys.readouterr()
        try:
            with in_time():
                found = run(arguments)
        except Hang:
            return self.add(kind, "hang", arguments)
        except BaseException:
            return self.add(kind, "traceback", f"{arguments} {traceback.format_exc()}")
        told = capsys.readouterr()
        progress = re.compile(r"\S+ \(\S+\): \d+ of \d+ cells done")
        lines = [line for line in told.err.splitlines() if not progress.match(line)]
        if "Traceback" in told.err + told.out:
            outcome = "traceback"
        elif code is not None and found != code:
            outcome = f"exit code {found}, not {code}"
        elif found == 0:
            outcome = "right" if right(told.out) else "silently wrong"
        else:
            named = lines and all(
                line.startswith("theorylab: ") or "damaged result" in line for line in lines
            )
            outcome = "refused" if named else "without a line"
        self.add(kind, outcome, f"{arguments} {lines[-3:]}")

    def report(self, title, at_least):
        kinds = sorted({kind for kind, _ in self.counts})
        outcomes = sorted({outcome for _, outcome in self.counts})
        print(f"\n{title}: {sum(self.counts.values())} faults")
        for kind in kinds:
            print(
                f"  {kind:42s}"
                + "  ".join(f"{o} {self.counts[kind, o]}" for o in outcomes if self.counts[kind, o])
            )
        totals = Counter()
        for (_, outcome), n in self.counts.items():
            totals[outcome] += n
        print(
            f"  all: {dict(totals)}; silently wrong {totals['silently wrong']}, tracebacks "
            f"{totals['traceback']}, hangs {totals['hang']}"
        )
        assert not self.bad, "\n".join(self.bad[:5])
        assert sum(self.counts.values()) >= at_least
