"""`theorylab plan`: what a preset takes on a device, before one is rented."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as RichTable

from theorylab.cli import layout
from theorylab.cli.layout import tell

# What a device reaches of the rate that its maker states, and seconds that starting an operation
# takes: between large products back to back, and small operations one after the other.
FAST, SLOW = (0.5, 2e-6), (0.03, 2e-5)
_HARD = 60.0  # seconds by the clock for each second of the processor, and a minute: then it hangs


def plan(
    paper: Annotated[str, typer.Argument(help="Short name of a paper (see theorylab list).")],
    preset: Annotated[
        str, typer.Option("--preset", help="smoke, quick, medium (some papers) or full.")
    ] = "full",
    device: Annotated[
        str, typer.Option("--device", help="h100 (80 GB) or v5e (one TPU chip, 16 GB).")
    ] = "h100",
    experiment: Annotated[
        list[str] | None,
        typer.Option("--experiment", help="Only this experiment (repeatable)."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", help="Processor time for each experiment's rehearsal.")
    ] = 120.0,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="File that the plan is added to.")
    ] = None,
) -> None:
    """Say what a preset takes on a device that need not be here.

    Cells, memory of the largest program against the device's, arithmetic and time. The cells are
    rehearsed: host code runs, programs are traced at their own sizes and not computed. With the
    extra `aot` the largest ones are compiled for the device itself, else for this machine. Time is
    a range from the rate that the device's maker states. Work of the host (LAPACK, files) is not
    in it.
    """
    from theorylab import papers
    from theorylab.aot.targets import available, find_target
    from theorylab.errors import InputError
    from theorylab.files import require_writable

    room, target = papers.get(paper), find_target(device)
    chosen = room.preset(preset)
    names = [e.name for e in room.experiments]
    for name in experiment or ():
        if name not in names:
            raise InputError(
                f"paper '{paper}' has no experiment '{name}'; choose among: {', '.join(names)}"
            )
    if not 0 < seconds < float("inf"):
        raise InputError(f"--seconds {seconds}: give a number above 0")
    if as_json is not None:
        require_writable(as_json.parent, "--json")
    wanted = experiment or names
    _check_data(room, chosen, wanted)
    rows = []
    for row in _rehearsed(paper, preset, device, seconds, wanted):
        rows.append(row)
        with_time(row, target.rate)
    print_plan(paper, preset, target, rows)
    if not available(target):
        tell(
            "memory is that of programs compiled for this machine's processor; install "
            "'theorylab[aot]' to compile for the device"
        )
    if as_json is not None:
        _add(as_json, {"paper": paper, "preset": preset, "device": device, "rows": rows})


def with_time(row: dict[str, Any], rate: float) -> None:
    """Add the fewest and the most seconds to a rehearsed experiment."""
    row["seconds"] = [
        max(row["flops"] / (share * rate), row["operations"] * start)
        if (share, start) == FAST
        else row["flops"] / (share * rate) + row["operations"] * start
        for share, start in (FAST, SLOW)
    ]


def _check_data(room: Any, preset: Any, names: Sequence[str]) -> None:
    from theorylab.lab.runner import check_data

    check_data(room, preset, names)


def _rehearsed(
    paper: str, preset: str, device: str, seconds: float, names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A row for each experiment, from a fresh process."""
    from theorylab.cli.rehearsal import command
    from theorylab.errors import OperationError

    limit, silent = 60 + _HARD * seconds, threading.Event()
    with subprocess.Popen(
        command(paper, preset, device, seconds, names),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said: list[str] = []
        listener = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        listener.start()

        def stop() -> None:
            silent.set()
            process.kill()

        for name in names:
            watch = threading.Timer(limit, stop)
            watch.start()
            with layout.console.status(f"{paper}: rehearsing {name}"):
                line = process.stdout.readline() if process.stdout else ""
            watch.cancel()
            if silent.is_set():
                raise OperationError(
                    f"the rehearsal of {paper}/{name} stood still for {limit:.0f} s; leave it out "
                    "by --experiment"
                )
            if not line:
                process.wait()
                listener.join(1.0)
                last = " ".join((said or ["it said nothing"])[-1].split())
                raise OperationError(f"the rehearsal of {paper}/{name} failed: {last}")
            yield json.loads(line)


def environment() -> dict[str, str]:
    """Of a rehearsal: no accelerator is touched, and what runs here compiles quickly."""
    import os

    flags = "--xla_llvm_disable_expensive_passes=true"
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip(),
    }


def print_plan(paper: str, preset: str, target: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """The plan as a table of at most 80 columns, and what is to be said about it."""
    ahead = all(row["compiled"] in ("", target.name) for row in rows)
    tell(
        f"{paper}, {preset}, on one {target.title}; programs "
        f"{'compiled for it' if ahead else 'compiled for this processor'}"
    )
    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    table.add_column("experiment", overflow="fold", max_width=18)
    for head in ("cells", "memory", "of it", "FLOP"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("time", no_wrap=True)
    table.add_column("most work in", overflow="fold", max_width=14)
    for row in rows:
        share = row["memory"] / target.device_bytes
        over = "red" if share > 1 else ""
        table.add_row(
            row["experiment"],
            f"{row['cells']:,}",
            _bytes(row["memory"]),
            f"{share:.0%}" if row["memory"] else "",
            ("" if row["bounded"] else ">") + f"{row['flops']:.1e}",
            f"{_time(row['seconds'][0])} to {_time(row['seconds'][1])}",
            row.get("busiest", ""),
            style=over,
        )
    layout.console.print(table)
    for row in rows:
        for said in _notes(row):
            tell(said, first=f"  {row['experiment']}: ", rest="    ")
    fast, slow = (sum(row["seconds"][i] for row in rows) for i in (0, 1))
    largest = max((row["memory"] for row in rows), default=0)
    fits = "it fits" if largest <= target.device_bytes else "it does NOT fit"
    room = f"the largest program takes {_bytes(largest)} of {_bytes(target.device_bytes)}: {fits}"
    if not largest:
        room = "no program was seen, so that nothing is known of memory"
    cells, flops = (sum(row[key] for row in rows) for key in ("cells", "flops"))
    tell(
        f"in all {cells:,} cells, {flops:.1e} FLOP, {_time(fast)} to {_time(slow)}; {room}",
        mark="does NOT fit",
        style="red",
    )
    tell(
        f"time: {FAST[0]:.0%} to {SLOW[0]:.0%} of the {target.rate / 1e12:.0f} TFLOP/s of float32 "
        "that the maker states, and 2 to 20 microseconds for each operation; the host's own work "
        "is not in it"
    )


def _notes(row: Mapping[str, Any]) -> Iterator[str]:
    if row["stopped"] == "time":
        yield (
            f"its time was up in cell {row['rehearsed']} of {row['kinds']} kinds: arithmetic and "
            "time are lower bounds (--seconds gives it more)"
        )
    elif row["stopped"]:
        yield f"stopped by made-up numbers, counts are lower bounds: {row['stopped']}"
    elif row["rehearsed"] < row["kinds"]:
        yield (
            f"the largest {row['rehearsed']} of {row['kinds']} kinds of cells were rehearsed, the "
            "others counted as their average"
        )
    if not row["bounded"]:
        yield "loops whose length depends on data count once: a lower bound"
    if row["failure"]:
        yield f"does not compile: {row['failure']}"


def _bytes(count: float) -> str:
    if not count:
        return "none"
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _time(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"


def _add(path: Path, entry: Mapping[str, Any]) -> None:
    """Put a plan in a file of plans, in the place of an earlier one of the same preset."""
    from theorylab.errors import InputError
    from theorylab.files import write_atomically

    try:
        plans = json.loads(path.read_bytes()) if path.exists() else []
        same = [(p["paper"], p["preset"], p["device"]) for p in plans]
    except (ValueError, TypeError, KeyError):
        raise InputError(f"--json {path}: is no file of plans; give another one") from None
    mine = (entry["paper"], entry["preset"], entry["device"])
    kept = [p for p, name in zip(plans, same, strict=True) if name != mine]
    ordered = sorted([*kept, entry], key=lambda p: (p["paper"], p["preset"], p["device"]))
    write_atomically(path, (json.dumps(ordered, indent=1) + "\n").encode())
