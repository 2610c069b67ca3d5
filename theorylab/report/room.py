"""A paper as the site shows it: its verdicts and its figures, wherever their numbers come from."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import theorylab
from theorylab.lab.experiment import MEDIUM, Preset
from theorylab.lab.outcomes import FAILING
from theorylab.lab.paper import Paper
from theorylab.lab.replication_file import standing
from theorylab.lab.store import Store
from theorylab.report.drawing import Drawing, draw, write_picture
from theorylab.report.origin import Judged, Origin, judge, numbers_of
from theorylab.report.stock import Stock, take_stock
from theorylab.report.verdicts import Record

ROOT = Path(theorylab.__file__).parents[1]
# The verdicts in the order in which they are told, and the words for several of them.
TOLD = {
    "fails": "fail",
    "vacuous": "vacuous",
    "unsupported": "unsupported",
    "holds": "hold",
    "undecided": "undecided",
    "finding": "not reproduced",
    "skipped": "not judged at this preset",
    "missing": "not computed",
}


@dataclass(frozen=True)
class Sources:
    """Where the parts of the site come from.

    store: results of the user's own; a folder that is not there has none.
    gallery: what is committed, for everything that the store has no newer results of.
    """

    store: Path
    gallery: Path = ROOT / "figures"
    docs: Path = ROOT / "docs"
    benchmarks: Path = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Room:
    """A paper as the site shows it: what the store has of it, its verdicts and its drawings."""

    paper: Paper
    preset: Preset
    stock: Stock
    judged: Judged
    drawings: Sequence[Drawing]

    @property
    def claims(self) -> Sequence[Record]:
        """The records of the claims, in the order of the paper."""
        return self.judged.record["claims"]

    @property
    def tally(self) -> Counter[str]:
        """How many claims have which verdict."""
        return Counter(standing(c) for c in self.claims)

    @property
    def counts(self) -> list[tuple[str, str]]:
        """Verdict and words, such as ("holds", "14 hold"), worst first."""
        return [(s, f"{self.tally[s]} {word}") for s, word in TOLD.items() if self.tally[s]]

    @property
    def replicated(self) -> str:
        """Over how many base seeds, in words; empty for a paper that was not replicated."""
        found = [c["replication"] for c in self.claims if c.get("replication")]
        good = [r for r in found if not r["stale"]]
        said = f"replicated over {max(r['of'] for r in good)} base seeds" if good else ""
        old = f"{len(found) - len(good)} of {len(found)} replications stale"
        return "; ".join(x for x in (said, old if len(good) < len(found) else "") if x)

    @property
    def failing(self) -> bool:
        """Whether a claim of the paper fails."""
        return any(s in FAILING for s in self.tally)

    @property
    def faults(self) -> list[str]:
        """What of the gallery is damaged, each said once."""
        drawn = [d.numbers.fault for d in self.drawings]
        return list(dict.fromkeys(f for f in (*self.judged.faults, *drawn) if f))

    @property
    def stale(self) -> int:
        """How many figures and claims are not of today's code and preset."""
        drawn = sum(bool(d.numbers.stale) for d in self.drawings)
        return drawn + sum(bool(c["stale"]) for c in self.claims)

    @property
    def origins(self) -> dict[Origin, tuple[int, int]]:
        """How many figures and claims come from where.

        A claim that is not judged comes from nowhere and is not counted.
        """
        drawn = Counter(d.numbers.origin if d.there else "none" for d in self.drawings)
        claims = Counter(c["origin"] for c in self.claims if c["status"] != "skipped")
        names: tuple[Origin, ...] = ("store", "gallery", "none")
        return {n: (drawn[n], claims[n]) for n in names if drawn[n] or claims[n]}


def furnish(paper: Paper, preset_name: str, seed: int, sources: Sources, target: Path) -> Room:
    """Gather the verdicts of a paper and draw its figures into `target`; nothing is computed.

    A paper without the preset `medium` is shown at `quick`, which its page says.
    """
    absent = preset_name == MEDIUM and MEDIUM not in paper.presets
    preset = paper.preset("quick" if absent else preset_name, seed)
    stock = take_stock(paper, preset, Store(sources.store))
    judged = judge(paper, preset, stock, sources.gallery)
    drawings = [
        draw(figure, numbers_of(stock, figure, sources.gallery), target) for figure in paper.figures
    ]
    with ThreadPoolExecutor() as pool:  # encoding releases the interpreter
        pictures = [picture for drawing in drawings for picture in drawing.pictures.items()]
        list(pool.map(lambda picture: write_picture(*picture), pictures))
    return Room(paper, preset, stock, judged, drawings)
