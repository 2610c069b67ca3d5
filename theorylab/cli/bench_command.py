"""`theorylab bench`: the benchmarks of a checkout, and what changed since an earlier record."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from theorylab.cli.layout import tell

PRESETS = ("smoke", "quick", "full")
CHANGED = 1.1  # a time that differs by more than this is told


def bench(
    subject: Annotated[
        list[str] | None,
        typer.Argument(help="Benchmarks to run, or all; none: they are listed."),
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", help="smoke (seconds), quick (minutes) or full (a GPU).")
    ] = "quick",
    peer_python: Annotated[
        Path | None,
        typer.Option("--peer-python", help="Python of an environment that has the peers."),
    ] = None,
    scripts: Annotated[
        Path, typer.Option("--scripts", help="Folder of the benchmarks, in a checkout.")
    ] = Path("benchmarks"),
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the records (default: with them).")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Earlier records to compare with: a file or a folder."),
    ] = None,
) -> None:
    """Run benchmarks, each beside its peers, on your device.

    Every record says what the device was measured to reach in the same run. With --against, times
    that differ by more than a tenth from an earlier record are told.
    """
    from theorylab.errors import InputError
    from theorylab.files import require_writable

    found = subjects(scripts)
    if preset not in PRESETS:
        raise InputError(f"unknown preset '{preset}'; choose one of: {', '.join(PRESETS)}")
    if peer_python is not None and not peer_python.is_file():
        raise InputError(f"--peer-python {peer_python}: no such file; give a Python's path")
    if against is not None and not against.exists():
        raise InputError(f"--against {against}: no such file or folder; give an earlier record")
    if not subject:
        _list(found, out or scripts / "results")
        return
    names = list(found) if subject == ["all"] else subject
    for name in names:
        if name not in found:
            raise InputError(f"no benchmark '{name}'; choose among: {', '.join(found)}, or all")
    folder = out or scripts / "results"
    require_writable(folder, "--out")
    earlier = {} if against is None else _records(against)
    failed = [name for name in names if not _run(found[name], preset, peer_python, folder)]
    for name, record in _records(folder).items():
        if name in earlier and name.rpartition("-")[0].split("-")[0] in names:
            _compare(name, earlier[name], record)
    if failed:
        tell(f"failed: {', '.join(failed)}", mark="failed:", style="red")
    raise typer.Exit(1 if failed else 0)


def subjects(folder: Path) -> dict[str, Path]:
    """The benchmarks of a folder by name: scripts that take `--preset`, which others help."""
    from theorylab.errors import InputError

    if not folder.is_dir():
        raise InputError(
            f"--scripts {folder}: no such folder; benchmarks are part of a checkout of theorylab, "
            "not of the installed package: run it there"
        )
    found = {}
    for path in sorted(folder.glob("*.py")):
        calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        if any(isinstance(f, ast.Name) and f.id == "arguments" for f in calls):
            found[path.stem] = path
    if not found:
        raise InputError(f"--scripts {folder}: no benchmark there; give a checkout's benchmarks")
    return found


def _list(found: dict[str, Path], results: Path) -> None:
    from theorylab.report.benchmarks import device_of, title_of

    for name, path in found.items():
        kept = {k: r for k, r in _records(results).items() if k.split("-")[0] == name}
        devices = sorted({device_of(r) for r in kept.values()})
        tell(title_of(path, {}), first=f"{name}: ", rest="    ")
        for device in devices or ["not measured"]:
            tell(device, first="    ", rest="    ", mark="not measured", style="yellow")
    tell(f"{len(found)} benchmarks: theorylab bench NAME runs one, theorylab bench all all")


def _run(script: Path, preset: str, peer_python: Path | None, out: Path) -> bool:
    """Whether the script ended well; what it says goes to the terminal as it comes."""
    given = ["--preset", preset, "--out", str(out.resolve())]
    if peer_python is not None and "--peer-python" in script.read_text():
        given += ["--peer-python", str(peer_python.absolute())]
    tell(f"{script.stem}: {preset}")
    return subprocess.run([sys.executable, str(script), *given], check=False).returncode == 0


def _records(place: Path) -> dict[str, dict[str, Any]]:
    """Records by the name of their file; what cannot be read is told and left out."""
    found = {}
    for path in [place] if place.is_file() else sorted(place.glob("*.json")):
        try:
            record = json.loads(path.read_bytes())
        except (OSError, ValueError):
            record = None
        if isinstance(record, dict):
            found[path.stem] = record
        else:
            tell(f"damaged: {path} is no record of a benchmark", mark="damaged:", style="red")
    return found


def _compare(name: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Tell each time, by the clock and the processor, that changed by more than a tenth."""
    if before.get("options") != now.get("options"):
        tell(f"{name}: made with other options than the earlier record: not compared")
        return
    old, new = dict(_times(before)), dict(_times(now))
    shared = [key for key in old if key in new and old[key] > 0 and new[key] > 0]
    changed = [k for k in shared if not 1 / CHANGED < new[k] / old[k] < CHANGED]
    for key in changed:
        tell(
            f"{old[key]:.3g} to {new[key]:.3g}, x {new[key] / old[key]:.2f}",
            first=f"    {key}: ",
            rest="        ",
        )
    tell(
        f"{len(changed)} of {len(shared)} times changed by more than a tenth (load then "
        f"{_load(before)}, now {_load(now)})",
        first=f"{name}: ",
        rest="    ",
    )


def _load(record: dict[str, Any]) -> str:
    load = record.get("load_average") or ["not said"]
    return str(round(load[0], 1)) if isinstance(load[0], float | int) else str(load[0])


def _times(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Every time in a record, named by its row and its column."""
    from theorylab.report.benchmarks import tables_of
    from theorylab.report.quantities import quantity

    for caption, rows in tables_of(record):
        for row in rows:
            label = " ".join(str(v) for v in row.values() if isinstance(v, str | int))
            for key, value in row.items():
                if isinstance(value, float) and quantity(key).kind == "time":
                    yield " ".join(filter(None, [caption, label, key])), value
