"""`theorylab verify --replicate`: the claims at several base seeds, judged together."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from theorylab.cli.layout import tell
from theorylab.cli.verdict_table import print_verdicts, tell_total

if TYPE_CHECKING:
    from theorylab.lab import Paper, Preset, Runner


def gallery_of(out: Path | None, store: Path) -> Path:
    """Where replications are kept.

    That is the folder that was named, else the figures where there are any, else the store.
    """
    return out or (Path("figures") if Path("figures").is_dir() else store)


def check_replications(rooms: Iterable["tuple[Paper, Preset]"], out: Path) -> None:
    """Raise `InputError` when a replication that is there is damaged.

    This is asked before anything is computed.
    """
    from theorylab.lab.replication_file import read_replication

    for room, preset in rooms:
        read_replication(room, preset.name, room.folder(out, preset.name))


def replicate_all(
    rooms: Sequence["tuple[Paper, Preset]"], runner: "Runner", seeds: Sequence[int], out: Path
) -> bool:
    """Replicate these papers one after the other, and print and write what was found.

    Returns whether a claim fails.
    """
    from theorylab.lab.replication import replicate
    from theorylab.lab.replication_file import record_of_replication, shown, write_replication
    from theorylab.report.verdicts import failed

    failing, claims = [], []
    for room, preset in rooms:
        record = record_of_replication(replicate(room, preset, runner, seeds))
        path = write_replication(record, room.folder(out, preset.name))
        found = shown(record, room)
        print_verdicts([found])
        tell(f"{room.slug}: {record['seconds']} s of computing, in {path}")
        claims += found["claims"]
        failing += [room.slug] if failed(found) else []
    tell_total(claims, failing)
    return bool(failing)
