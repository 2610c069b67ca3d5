"""Compiles every kernel of the method packages for devices that are not here.

    python tests/aot/conformance.py                      # all, about two hours of one core
    python tests/aot/conformance.py --parts ridge tct    # these parts again, the others stay
    python tests/aot/conformance.py --only ridge.solve   # by names, into a file of its own (--out)
    python tests/aot/conformance.py --page               # the page from the numbers that are kept

Programs come from the examples of the documentation, from the calls of `calls.py` and
`package_calls.py`, and from a cell of every experiment of every paper at its smallest preset. Of
programs of one kernel that differ by sizes alone the largest counts. What is kept says for each:
memory, and arithmetic where the compiler counts it, or what the compiler said.

It compiles in a process of its own. A compiler that crashes or takes too long is a result like any
other: another process goes on from the next program. A run that was stopped goes on where it was,
by a journal in the folder for temporary files; a program whose trace and compilers are those of the
record is not compiled again.
"""

import argparse
import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from programs import DEVICES, bytes_of, compiled, digest, name_of, part_of  # noqa: E402

from theorylab.aot.record import Recorder  # noqa: E402

RESULTS, PAGE = HERE / "conformance.json", HERE.parents[1] / "docs" / "guides" / "conformance.md"
CELL_SECONDS, PROGRAM_SECONDS = 10.0, 240  # of the processor
STANDS_STILL = 3600  # seconds by the clock without a word: a busy machine is no reason to stop
LARGER = 2  # a program of a kernel that is in the record counts if it has this much more room


class TimeUp(BaseException):
    """A cell took longer than it may."""


def collected(
    recorder: Recorder, only: tuple[str, ...], slugs: tuple[str, ...] = ()
) -> dict[str, tuple[str, Any]]:
    """Programs by their label, with where they come from: names that begin so, and papers."""
    import collect

    found: dict[str, tuple[str, Any]] = {}
    for source, label in sources(recorder, only, slugs):
        for program in recorder.programs.values():
            name = (label and f"{label}: {part_of(program)}") or name_of(program, collect.ROOT)
            if name and (name not in found or bytes_of(found[name][1]) < bytes_of(program)):
                found[name] = (source, program)
        recorder.programs = {}
    return found


def sources(recorder: Recorder, only: tuple[str, ...], slugs: tuple[str, ...]):
    """Run what calls kernels: yields its name, and the label of its programs where it gives one."""
    import calls
    import collect
    import package_calls

    for name, call in calls.CALLS.items():
        if name.startswith(only):
            with recorder.on():
                call()
            yield name, name
    for name, call in package_calls.CALLS.items():
        if name.startswith(only):
            try:
                with recorder.on():
                    call()
            except Exception as error:  # made-up numbers: what was seen counts
                print(f"{name}: {error!r}"[:300], file=sys.stderr, flush=True)
            yield name, ""
    seen: set[int] = set()
    for name, thing in collect.public().items():
        if name.startswith(only) and id(thing) not in seen and ">>>" in (thing.__doc__ or ""):
            seen.add(id(thing))
            with recorder.on():
                collect.run_example(name, thing)
            yield f"the example of {name}", ""
    for source in cells(recorder, slugs) if slugs else ():
        yield source, ""


def cells(recorder: Recorder, slugs: tuple[str, ...]):
    """Run the first cell of every experiment of these papers at the smallest preset."""
    import numpy as np

    from theorylab import papers
    from theorylab.lab.experiment import canonical

    def up(*_):
        raise TimeUp

    signal.signal(signal.SIGPROF, up)
    for slug, room in ((slug, papers.get(slug)) for slug in slugs):
        preset, done = room.preset("smoke"), {}

        def run(experiment, cell, room=room, done=done):
            key = f"{experiment.name} {canonical(cell)}"
            if key not in done:
                wanted = experiment.needs(cell).items()
                upstream = {word: run(room.experiment(n), c) for word, (n, c) in wanted}
                arrays = experiment.run(**cell, **upstream)
                done[key] = {name: np.asarray(a) for name, a in arrays.items()}
            return done[key]

        for experiment in room.experiments:
            signal.setitimer(signal.ITIMER_PROF, CELL_SECONDS)
            try:
                with recorder.on():
                    run(experiment, experiment.cells(preset)[0])
            except (TimeUp, Exception) as error:  # made-up numbers: what was seen counts
                print(f"{slug}/{experiment.name}: {type(error).__name__}", file=sys.stderr)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            yield f"{slug}/{experiment.name}"


def record_programs(
    found: dict[str, tuple[str, Any]], devices: list[str], state: dict, save, old: dict
) -> None:
    """Compile programs that are new or larger than those of `state["programs"]`.

    `save` is called before every compilation, so that a run which ends inside one says where.
    """
    from theorylab.aot.build import splits

    programs = state["programs"]
    for label, (source, program) in sorted(found.items()):
        known, mine = programs.get(label), digest(program)
        same = known is not None and known["digest"] == mine
        if known is not None and not same and bytes_of(program) <= LARGER * known["room"]:
            continue
        row = known if same else None
        if row is None:
            row = old.get(label, {})
            if row.get("digest") != mine:
                row = {}
            row |= {
                "source": source,
                "counted_flops": program.work.flops,
                "bounded": program.work.bounded,
                "float64": program.wide,
                "room": bytes_of(program),
                "digest": mine,
            }
        for device in devices:
            if device not in row and (DEVICES[device][1] == 1 or splits(program, 16)):
                state["compiling"] = [label, device]
                programs[label] = row
                save()
                with at_most(PROGRAM_SECONDS):
                    row[device] = compiled(program, device)
                print(label, device, row[device], file=sys.stderr, flush=True)
        programs[label] = row
        state["compiling"] = None
    save()


@contextlib.contextmanager
def at_most(seconds: int):
    """End this process, whatever it is in, after so many seconds of the processor inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def run_parts(chosen: list[str], devices: list[str], journal: Path, old: dict) -> None:
    """Collect the programs of parts and compile them, into the journal."""
    state = json.loads(journal.read_text())

    def save() -> None:
        _dump(journal, state)

    if chosen[0] == "meshes":  # these are compiled, and no calls recorded
        import meshes

        meshes.compiled(rows=state["meshes"], save=save)
        state["done"].append("meshes")
        save()
        return
    import collect

    recorder = Recorder("gpu", "cuda")
    recorder.install()
    list(collect.modules())
    for part in itertools.takewhile(lambda part: part != "meshes", chosen):
        for made in recorder.made:
            made.used = False
        state["part"] = part
        save()
        found = collected(recorder, *_names(part))
        state["reached"][part] = sorted(collect.reached(recorder))
        record_programs(found, devices, state, save, old)
        state["done"].append(part)
        save()


def _names(part: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What names of a part's calls and examples begin with, and papers."""
    import calls
    import collect

    if part == "calls":
        return tuple(calls.CALLS), ()
    return ((f"{part}.",), ()) if part in collect.PACKAGES else ((), (part,))


def parts() -> list[str]:
    """All parts: calls, packages, meshes, papers."""
    import collect

    rooms = (collect.ROOT / "theorylab" / "papers").glob("*/presets.py")
    return ["calls", *sorted(collect.PACKAGES), "meshes", *sorted(p.parent.name for p in rooms)]


def drive(chosen: list[str], out: Path, devices: list[str]) -> None:
    """All parts in a process, in another one where a compiler ended it or took too long."""
    journal = Path(tempfile.gettempdir()) / f"theorylab-{out.stem}-{os.getuid()}.json"
    old = json.loads(out.read_text()) if out.exists() else {}
    if not journal.exists():
        kept = set(parts()) - set(chosen)
        state = {
            "programs": old.get("programs", {}) if kept else {},
            "meshes": old.get("meshes", {}) if kept else {},
            "reached": {p: n for p, n in old.get("reached_by", {}).items() if p in kept},
            "done": [],
            "compiling": None,
        }
        _dump(journal, state)
    while left := [p for p in chosen if p not in json.loads(journal.read_text())["done"]]:
        told = [sys.executable, "-W", "ignore", __file__, "--journal", str(journal), "--out", out]
        with subprocess.Popen([*told, "--parts", *left, "--devices", *devices]) as process:
            while process.poll() is None:
                time.sleep(1.0)
                if time.time() - journal.stat().st_mtime > STANDS_STILL:
                    process.kill()
        if process.returncode != 0:
            _ended(journal, process.returncode, left[0])
    write(out, json.loads(journal.read_text()))
    journal.unlink()


def _ended(journal: Path, code: int, part: str) -> None:
    """Note what a process was at when it ended, as the result of that."""
    state = json.loads(journal.read_text())
    said = f"stopped after {PROGRAM_SECONDS} s" if code == -signal.SIGXCPU else f"ended by {code}"
    if state["compiling"]:
        label, device = state["compiling"]
        state["programs"][label][device] = {"error": f"the compiler was {said}"}
    else:
        state["done"].append(state.get("part", part))
    print(f"{said} at {state['compiling'] or state['done'][-1]}", file=sys.stderr, flush=True)
    _dump(journal, state | {"compiling": None})


def write(out: Path, state: dict) -> None:
    """The record from a journal."""
    import collect

    names, reached = set(collect.kernels()), set().union(*state["reached"].values())
    record = {
        "versions": versions(),
        "programs": state["programs"],
        "meshes": state["meshes"],
        "reached_by": state["reached"],
        "reached": sorted(reached & names),
        "not_reached": sorted(names - reached),
    }
    _dump(out, record)


def versions() -> dict[str, str]:
    """Of what compiles."""
    found = {}
    for name in ("jax", "jaxlib", "libtpu", "jax-cuda13-pjrt"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _dump(path: Path, value: dict) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    temporary.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", help="calls, packages, papers, meshes")
    parser.add_argument("--only", nargs="+", help="what names begin with: no journal, one process")
    parser.add_argument("--devices", nargs="*", default=list(DEVICES), choices=list(DEVICES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--list", action="store_true", help="compile nothing")
    parser.add_argument("--journal", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--page", action="store_true", help="write the page and nothing else")
    given = parser.parse_args()
    if given.page:
        import page

        PAGE.write_text(page.page(json.loads(RESULTS.read_text())))
        return
    warnings.simplefilter("ignore")
    devices = [] if given.list else given.devices
    if given.journal:
        record = json.loads(given.out.read_text()) if given.out.exists() else {}
        same = record.get("versions") == versions()
        old = record.get("programs", {}) if same else {}
        run_parts(given.parts, devices, given.journal, old)
    elif given.only:
        import collect

        recorder = Recorder("gpu", "cuda")
        recorder.install()
        list(collect.modules())
        state: dict = {"programs": {}, "meshes": {}, "reached": {}}
        found = collected(recorder, tuple(given.only))
        state["reached"]["only"] = sorted(collect.reached(recorder))
        record_programs(found, devices, state, lambda: None, {})
        write(given.out, state)
    else:
        drive(given.parts or parts(), given.out, devices)


if __name__ == "__main__":
    main()
