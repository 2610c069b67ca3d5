"""The Typer application and its entry point.

Exit codes: 0 done, 1 a claim failed (or a computation, a disk, a cluster did), 2 bad usage or
input, 130 interrupted. Every fault is answered by a line, never by a traceback; THEORYLAB_DEBUG=1
shows it.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from theorylab.cli import data_commands
from theorylab.cli.bench_command import bench
from theorylab.cli.doctor import doctor
from theorylab.cli.layout import help_when_bare, tell
from theorylab.cli.options import (
    ExecutorOpt,
    ForceOpt,
    OutOpt,
    PaperArg,
    PresetOpt,
    SeedOpt,
    SetOpt,
    StoreOpt,
)
from theorylab.cli.plan_command import plan
from theorylab.cli.redraw_command import redraw
from theorylab.cli.replicate import check_replications, gallery_of, replicate_all
from theorylab.cli.report_command import report
from theorylab.cli.verdict_table import print_verdicts, tell_total
from theorylab.errors import InputError, OperationError

app = typer.Typer(
    name="theorylab",
    help=(
        "Reproduce the figures of papers on the theory of machine learning, and check their claims."
    ),
    invoke_without_command=True,
    callback=help_when_bare,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data_commands.app, name="data")
app.command()(bench)
app.command()(plan)
app.command()(doctor)
app.command()(report)
app.command()(redraw)
# The usage error of whichever Click the installed Typer is built on.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]


@app.command("list")
def list_papers(
    readme: Annotated[
        Path | None, typer.Option("--readme", help="File whose table of papers is rewritten.")
    ] = None,
    gallery: Annotated[
        Path, typer.Option("--gallery", help="Folder of the committed figures.")
    ] = Path("figures"),
) -> None:
    """List the papers with their figures and claims."""
    from theorylab import papers
    from theorylab.files import write_atomically
    from theorylab.lab import gallery as pages

    rooms = papers.rooms()
    if readme is not None:
        text = pages.update_readme(readme, pages.papers_table(papers.titles(), rooms, gallery))
        write_atomically(readme, text.encode())
        return
    titles = papers.titles()
    for slug, title in titles.items():
        room = rooms.get(slug)
        facts = "not yet"
        if room is not None:
            counts = f"{_number(room.figures, 'figure')}, {_number(room.claims, 'claim')}"
            facts = f"{room.venue}; {counts}; {', '.join(room.presets)}"
        tell(facts, first=f"{slug}: ", rest="    ", mark="not yet", style="yellow")
        tell(title, first="    ", rest="    ")
    tell(f"{len(rooms)} of {len(titles)} papers, each with its venue, figures, claims and presets")


def _number(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


@app.command()
def reproduce(  # noqa: PLR0913
    paper: PaperArg = "all",
    figure: Annotated[
        list[str] | None, typer.Option("--figure", help="Only this figure (repeatable).")
    ] = None,
    preset: PresetOpt = "quick",
    seed: SeedOpt = 0,
    out: OutOpt = Path("figures"),
    store: StoreOpt = Path("results"),
    force: ForceOpt = False,
    executor: ExecutorOpt = "here",
    changes: SetOpt = None,
) -> None:
    """Compute and draw the figures of a paper, and check its claims.

    A stopped run resumes where it was.
    """
    from theorylab.lab.gallery import write_gallery
    from theorylab.lab.reproduce import reproduce as run
    from theorylab.report.verdicts import record_of

    rooms, runner, presets = _prepare(paper, preset, seed, store, force, executor, changes)
    if figure and len(rooms) > 1:
        raise InputError(
            "--figure needs one paper, not all: theorylab reproduce PAPER --figure NAME"
        )
    for room in rooms:
        room.select_figures(figure)
    _require_writable(out, "--out")
    failed = False
    for room, chosen in zip(rooms, presets, strict=True):
        done = run(room, chosen, runner, out, figure)
        print_verdicts(
            [record_of(room, chosen, [(v.claim, v) for v in done.verdicts], done.results)]
        )
        pictures = [p for p in done.files if p.suffix == ".png" and ".dark" not in p.name]
        tell(", ".join(str(p) for p in pictures), first=f"{room.slug}: ", rest="    ")
        failed |= any(v.failed for v in done.verdicts)
    from theorylab import papers

    gallery = write_gallery(papers.rooms().values(), out)
    tell(
        f"{runner.computed} cells computed, {runner.found} found in {store}; captions and claims "
        f"in {gallery}"
    )
    raise typer.Exit(1 if failed else 0)


@app.command()
def verify(  # noqa: PLR0913
    paper: PaperArg = "all",
    preset: PresetOpt = "quick",
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Base seed; with --replicate, the first of them."),
    ] = None,
    replicate: Annotated[
        int | None,
        typer.Option(
            "--replicate",
            help="Judge over this many base seeds (101, 102, ...), at which no bound was chosen.",
        ),
    ] = None,
    store: StoreOpt = Path("results"),
    force: ForceOpt = False,
    executor: ExecutorOpt = "here",
    changes: SetOpt = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for replications (default: figures where it exists, else the store).",
        ),
    ] = None,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", help="File for the verdicts (default: verdicts.json in the store)."),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            "--since",
            help="File of earlier verdicts: only papers that have changed since are judged.",
        ),
    ] = None,
) -> None:
    """Check the claims of a paper against what is measured.

    Every control, a wrong variant of the measurement, must be rejected. Where a claim was
    replicated before, the verdict of the replication is shown and counts in place of this run's.
    With --since, a paper is judged again when its code, its preset or its seed has changed.
    """
    from theorylab.lab.replication import FIRST_HELD_OUT, held_out
    from theorylab.lab.replication_file import committed
    from theorylab.report.verdicts import code_of_room, failed, read_records, write_records
    from theorylab.report.verdicts import verify as judge

    rooms, runner, presets = _prepare(paper, preset, seed or 0, store, force, executor, changes)
    gallery = gallery_of(out, store)
    check_replications(zip(rooms, presets, strict=True), gallery)
    if replicate is not None:
        if as_json is not None or since is not None:
            raise InputError(
                "--json and --since are about single runs; give --replicate without them"
            )
        seeds = held_out(replicate, FIRST_HELD_OUT if seed is None else seed)
        _require_writable(gallery, "--out")
        failed_there = replicate_all(list(zip(rooms, presets, strict=True)), runner, seeds, gallery)
        raise typer.Exit(1 if failed_there else 0)
    earlier = read_records(since) if since is not None else {}
    target = as_json or store / "verdicts.json"
    if target.is_dir():
        raise InputError(f"--json {target}: is a folder; give a file in it")
    if as_json is not None:
        _require_writable(as_json.parent, "--json")
    elif target.exists():
        _set_aside_if_damaged(target)
    records: dict[str, Any] = {}
    for room, chosen in zip(rooms, presets, strict=True):
        before = earlier.get(room.slug)
        same = before is not None and not force and before["code"] == code_of_room(room, chosen)
        records[room.slug] = before if same else judge(room, chosen, runner)
    shown = {
        room.slug: {
            **records[room.slug],
            "claims": committed(records[room.slug]["claims"], room, chosen, gallery),
        }
        for room, chosen in zip(rooms, presets, strict=True)
    }
    print_verdicts(list(shown.values()))
    kept = [slug for slug, record in records.items() if record is earlier.get(slug)]
    if kept:
        tell(f"unchanged since {since}, not judged again: {', '.join(kept)}")
    write_records(target, records, keep=as_json is None)
    failing = [slug for slug, record in shown.items() if failed(record)]
    tell_total(
        [c for record in shown.values() for c in record["claims"]], failing, f"verdicts in {target}"
    )
    raise typer.Exit(1 if failing else 0)


def _set_aside_if_damaged(target: Path) -> None:
    """Keep a file of verdicts that cannot be read under another name.

    Another one is about to be written in its place.
    """
    from theorylab.report.verdicts import read_records

    try:
        read_records(target)
    except InputError as error:
        aside = target.with_name(f"{target.name}.damaged")
        target.replace(aside)
        print(f"theorylab: {error}; kept as {aside}", file=sys.stderr)


def _prepare(
    paper: str,
    preset: str,
    seed: int,
    store: Path,
    force: bool,
    executor: str,
    changes: Sequence[str] | None,
) -> tuple[Any, Any, Any]:
    """Check every argument before anything is computed or written."""
    from theorylab import papers
    from theorylab.lab import Runner, Store, provenance
    from theorylab.lab.watchdog import patience

    patience()
    rooms = list(papers.rooms().values()) if paper == "all" else [papers.get(paper)]
    if changes and len(rooms) > 1:
        raise InputError(
            "--set needs one paper, not all: the papers' presets have different values"
        )
    presets = [room.preset(preset, seed, _parse_changes(changes)) for room in rooms]
    runner = Runner(Store(store), executor=executor, force=force)
    _require_writable(store, "--store")
    provenance.device()  # a platform that JAX does not know is told of before anything is computed
    return rooms, runner, presets


def _parse_changes(changes: Sequence[str] | None) -> Mapping[str, Any]:
    values = {}
    for change in changes or ():
        key, equals, text = change.partition("=")
        try:
            values[key] = json.loads(text) if equals else None
        except (ValueError, RecursionError):
            equals = ""
        if not equals:
            raise InputError(f"--set {change}: give KEY=JSON, for example --set 'sizes=[250,500]'")
    return values


def _require_writable(folder: Path, option: str) -> None:
    from theorylab.files import require_writable

    require_writable(folder, option)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `theorylab` command.

    Long compilations are kept on disk, beside the data sets.
    """
    from theorylab.data.cache import cache_dir

    # JAX reads it when it starts
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_dir() / "compiled"))
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    With THEORYLAB_DEBUG set, an error shows its traceback.
    """
    command = typer.main.get_command(app)
    try:
        words = None if arguments is None else list(arguments)
        code = int(command.main(args=words, prog_name="theorylab", standalone_mode=False) or 0)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        if os.environ.get("THEORYLAB_DEBUG"):
            raise
        return _explain(error)
    if code == 130:
        return _complain(
            "interrupted; finished cells are kept, the same command goes on from there", 130
        )
    return code


def _explain(error: Exception) -> int:
    """Tell what went wrong, a line for each fault, and return the exit code."""
    from theorylab.lab.runner import CellError, one_line

    if isinstance(error, USAGE_ERROR):
        return _complain(error.format_message(), 2)
    if isinstance(error, InputError):
        return _complain(str(error), 2)
    if isinstance(error, OperationError):
        return _complain(str(error), 1)
    if isinstance(error, BrokenPipeError):  # whoever read our output has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    if isinstance(error, CellError):
        for line in str(error).splitlines():
            _complain(line, 1)
        return _complain(f"the other cells are kept; {_traceback_of(error)}", 1)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return _complain(
            f"{where}{error.strerror or error}; mend that and give the same command again", 1
        )
    return _complain(f"{one_line(error)}; set THEORYLAB_DEBUG=1 to see where", 1)


def _traceback_of(error: Any) -> str:
    return f"tracebacks in {error.log}" if error.log else "set THEORYLAB_DEBUG=1 to see where"


def _complain(message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print("theorylab: " + " ".join(message.split()), file=sys.stderr)
    return code
