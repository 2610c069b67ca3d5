"""A seeded campaign against everything the laboratory keeps on disk, its writers and its
workers."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tally import Tally

import toy  # isort: skip, `tally` puts it on the path
from toy_store import PRESET, ROOT, quiet

from theorylab.errors import InputError, OperationError
from theorylab.lab import Store
from theorylab.lab.gallery import papers_table, write_gallery
from theorylab.lab.reproduce import reproduce
from theorylab.lab.runner import make_task
from theorylab.report.verdicts import read_records, verify, write_records

pytestmark = pytest.mark.slow
REFUSALS = (InputError, OperationError)
NAMES = ["totals", "squares"]


def numbers(results):
    return {name: [dict(row.arrays) for row in group] for name, group in results.items()}


def same(a, b):
    np.testing.assert_equal(a, b)
    return True


def equal(a, b):
    try:
        return same(a, b)
    except AssertionError:
        return False


def damage(kind, content, rng):
    """The bytes of a file after a fault; None: the file is gone."""
    raw = bytearray(content)
    at = rng.randrange(len(raw))
    if kind == "truncated":
        return bytes(raw[:at])
    if kind == "flipped":
        raw[at] ^= 1 << rng.randrange(8)
        return bytes(raw)
    if kind == "garbage appended":
        return bytes(raw) + rng.randbytes(rng.randrange(1, 50))
    if kind == "block zeroed":
        raw[at : at + 64] = bytes(len(raw[at : at + 64]))
        return bytes(raw)
    if kind == "piece cut out":
        return bytes(raw[:at] + raw[at + 1 + rng.randrange(40) :])
    return None if kind == "deleted" else b"" if kind == "emptied" else rng.randbytes(len(raw))


KINDS = [
    "truncated",
    "flipped",
    "garbage appended",
    "block zeroed",
    "piece cut out",
    "deleted",
    "emptied",
    "replaced",
]


def restore(pristine):
    """Give every file its content again, whatever has taken its place."""
    for file, content in pristine.items():
        if file.is_symlink() or (file.exists() and not file.is_file()):
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)


def exchange(kind, a, b, pristine):
    """Put another file, or something that is no file, in the place of `a`."""
    a.unlink()
    if kind == "swapped":
        a.write_bytes(pristine[b]), b.write_bytes(pristine[a])
    elif kind == "copied over another":
        a.write_bytes(pristine[a]), b.write_bytes(pristine[a])
    elif kind == "a folder":
        a.mkdir()
    elif kind == "a pipe":
        os.mkfifo(a)
    else:
        a.symlink_to(b if kind == "a link to another" else a.with_name("nothing"))


def test_no_damage_to_results_is_believed(tmp_path):
    rng, tally, store = random.Random(1), Tally(), tmp_path / "store"
    reference = numbers(quiet(store).run(toy.PAPER, PRESET, NAMES))
    files = sorted(store.rglob("*.result"))
    pristine = {file: file.read_bytes() for file in files}
    kinds = [
        *KINDS,
        "swapped",
        "copied over another",
        "a folder",
        "a pipe",
        "a link to nothing",
        "a link to another",
    ]
    for turn in range(25 * len(kinds)):
        kind = kinds[turn % len(kinds)]
        restore(pristine)
        a, b = rng.sample(files, 2)
        if kind in KINDS:
            after = damage(kind, pristine[a], rng)
            a.unlink() if after is None else a.write_bytes(after)
        else:
            exchange(kind, a, b, pristine)
        told = tally.judge(
            kind,
            lambda: equal(numbers(quiet(store).run(toy.PAPER, PRESET, NAMES)), reference),
            REFUSALS,
            a,
        )
        if told == "right":
            healed = quiet(store)
            healed.run(toy.PAPER, PRESET, NAMES)
            assert healed.computed == 0
    tally.report("results", 350)


def test_no_damage_to_verdicts_is_believed(tmp_path):
    rng, tally, path = random.Random(2), Tally(), tmp_path / "v.json"
    record = verify(toy.PAPER, PRESET, quiet(tmp_path / "store"))
    other = {**record, "paper": "other"}
    write_records(path, {"toy": record, "other": other})
    pristine, believed = path.read_bytes(), read_records(path)
    for turn in range(20 * len(KINDS)):
        kind = KINDS[turn % len(KINDS)]
        path.unlink(missing_ok=True)
        after = damage(kind, pristine, rng)
        if after is not None:
            path.write_bytes(after)
        tally.judge(f"verdicts {kind}", lambda: read_records(path) == believed, REFUSALS)
    for _ in range(150):
        path.write_bytes(damage("flipped", pristine, rng))
        tally.judge("verdicts flipped", lambda: read_records(path) == believed, REFUSALS)
    for hand in ('"holds"', '"seed": 0', '"quick"', "0.01", '"rejected": true'):
        path.write_bytes(pristine.replace(hand.encode(), b'"x"', 1))
        tally.judge("verdicts edited by hand", lambda: read_records(path) == believed, REFUSALS)
    tally.report("verdicts", 300)


def test_damaged_records_of_the_gallery_are_shown_as_damaged(tmp_path):
    rng, tally, out = random.Random(3), Tally(), tmp_path / "figures"
    reproduce(toy.PAPER, PRESET, quiet(tmp_path / "store"), out)

    def pages():
        gallery = write_gallery([toy.PAPER], out).read_text()
        return gallery, papers_table({"toy": "A"}, {"toy": toy.PAPER}, out)

    reference = pages()
    records = [out / "toy" / "claims.json", out / "toy" / "toy_fig1.json"]
    pristine = {file: file.read_bytes() for file in records}
    for turn in range(12 * len(KINDS)):
        kind, file = KINDS[turn % len(KINDS)], records[turn // len(KINDS) % 2]
        after = damage(kind, pristine[file], rng)
        file.unlink() if after is None else file.write_bytes(after)
        if kind == "deleted":
            tally.judge(
                "gallery deleted",
                lambda f=file: f.stem != "claims" or "not computed" in pages()[1],
                (),
            )
        else:
            shown = pages()
            outcome = "right" if shown == reference else "silently wrong"
            tally.add(f"gallery {kind}", "refused" if "is damaged" in shown[0] else outcome, file)
        file.write_bytes(pristine[file])
    for file in records:
        record = json.loads(pristine[file])
        for key in record:
            for value in (None, 5, [], {}, "x"):
                file.write_text(json.dumps({**record, key: value}))
                shown = pages()
                ok = "is damaged" in shown[0] or json.loads(pristine[file])[key] == value
                tally.add(
                    "gallery edited by hand",
                    "refused" if ok else "silently wrong",
                    (file, key, value),
                )
            file.write_text(
                json.dumps({k: v for k, v in record.items() if k not in (key, "sha256")})
            )
            shown = pages()  # as an earlier version wrote it, without a digest, and lacking a key
            tally.add(
                "gallery without a key",
                "refused" if "is damaged" in shown[0] else "right",
                (file, key),
            )
        file.write_bytes(pristine[file])
    tally.report("gallery", 200)


FULL = {
    "fsync": "os.fsync",
    "making a file": "tempfile.mkstemp",
    "renaming": "os.replace",
    "modes": "os.chmod",
}


def test_a_full_disk_loses_nothing_that_was_finished(tmp_path, monkeypatch):
    tally, turn = Tally(), 0
    reference = numbers(quiet(tmp_path / "calm").run(toy.PAPER, PRESET, NAMES))
    for what, target in FULL.items():
        module, name = target.split(".")
        genuine = getattr(sys.modules[module], name)
        for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES):
            for after in (0, 1, 4):
                turn += 1
                store, left = tmp_path / str(turn), [after]

                def broken(*a, left=left, genuine=genuine, code=code, **k):
                    left[0] -= 1
                    if left[0] < 0:
                        raise OSError(code, os.strerror(code))
                    return genuine(*a, **k)

                with monkeypatch.context() as patch:
                    patch.setattr(target, broken)
                    told = tally.judge(
                        f"disk fails at {what}",
                        lambda s=store: bool(quiet(s).run(toy.PAPER, PRESET, NAMES)),
                        REFUSALS,
                    )
                assert told == "refused", (what, code)
                kept = len(list(store.rglob("*.result")))
                again = quiet(store)
                assert (
                    equal(numbers(again.run(toy.PAPER, PRESET, NAMES)), reference)
                    and again.found == kept >= after
                )
                assert not list(store.rglob("*.tmp"))
    tally.report("full disk", 60)


SCRIPT = """
import sys; sys.path.insert(0, {lab!r})
import toy
from theorylab.lab import Runner, Store
preset = toy.PAPER.preset("quick", changes={{"pause": {pause}, "xs": list(range(1, 13))}})
runner = Runner(Store(sys.argv[1]))
runner.run(toy.PAPER, preset, ["squares"])
print(runner.computed, runner.found)
"""


def writers(store, count, pause=0.05):
    command = [
        sys.executable,
        "-c",
        SCRIPT.format(lab=str(Path(toy.__file__).parent), pause=pause),
        str(store),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return [
        subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [2, 4])
def test_concurrent_writers_compute_every_cell_once_and_agree(tmp_path, count, monkeypatch):
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("TOY_MARKS", str(marks))
    together = writers(tmp_path / "store", count)
    told = [p.communicate(timeout=120) for p in together]
    assert [p.returncode for p in together] == [0] * count
    assert len(list(marks.iterdir())) == 24
    assert sum(int(out.split()[0]) for out, _ in told) == 24
    monkeypatch.delenv("TOY_MARKS")
    preset = toy.PAPER.preset("quick", changes={"pause": 0.05, "xs": list(range(1, 13))})
    rows = quiet(tmp_path / "store").run(toy.PAPER, preset, ["squares"])["squares"]
    for row in rows:
        noise = np.random.default_rng(row.cell["seed"]).normal(size=3) * 1e-3
        np.testing.assert_array_equal(row["value"], float(row.cell["x"]) ** 2 + noise)


def test_killed_writers_leave_a_store_that_goes_on(tmp_path):
    store, rng = tmp_path / "store", random.Random(5)
    folder = store / "toy" / "squares"
    kept = 0
    for _ in range(3):
        process = writers(store, 1)[0]
        wanted, end = kept + rng.randrange(1, 6), time.monotonic() + 60
        while (
            len(list(folder.glob("*.result")) if folder.is_dir() else ()) < wanted
            and time.monotonic() < end
        ):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        now = len(list(folder.glob("*.result")))
        assert now >= wanted
        kept = now
    preset = toy.PAPER.preset("quick", changes={"pause": 0.05, "xs": list(range(1, 13))})
    last = quiet(store)
    last.run(toy.PAPER, preset, ["squares"])
    assert (last.found, last.computed) == (kept, 24 - kept)


def test_what_a_killed_writer_left_is_swept_when_it_is_old(tmp_path):
    task = make_task(toy.PAPER, "squares", {"x": 1, "seed": 0, "pause": 0.0})
    folder = Store(tmp_path).path(*task.place).parent
    folder.mkdir(parents=True)
    old, young = (folder / f".{task.key}.result.{name}.tmp" for name in ("abcd1234", "efgh5678"))
    old.write_bytes(b"half"), young.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    quiet(tmp_path).run(toy.PAPER, PRESET, ["squares"])
    assert young.exists() and not old.exists()
