"""A paper as theorylab sees it: presets, experiments, figures and claims under one slug."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from theorylab.errors import InputError
from theorylab.lab.claim import Claim
from theorylab.lab.experiment import MEDIUM, PRESETS, Experiment, Preset, Results, require_seed
from theorylab.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure

FigureStatus = Literal["reproduced", "scaled", "content", "ours"]
STATUS_MEANING: Mapping[str, str] = {
    "reproduced": "same setting as the paper, numbers agree",
    "scaled": "same design as the paper at smaller size",
    "content": "the paper's figure could not be read; the experiment supports the same statement",
    "ours": "not in the paper",
}


@dataclass(frozen=True)
class Figure:
    """One figure of a room.

    `table` reduces results to the numbers that are plotted (they become the CSV), and `draw` draws
    that table and nothing else: no figure can show a number that is not in the file beside it.

    Attributes:
        name, title, caption: what it is called, and what stands above and below it.
        status: how it relates to the paper's figure, see `STATUS_MEANING`.
        needs: names of the experiments whose results `table` reads.
        table: (results, preset) -> `Table`.
        draw: table -> Matplotlib figure.
        differs: says in words what is not the same.

    Examples:
        >>> import numpy as np
        >>> from theorylab.lab import Row
        >>> from theorylab.plotting import panels
        >>> def table(results, preset):
        ...     found = Table("x", "y")
        ...     for row in results["squares"]:
        ...         found.add(x=row.cell["x"], y=float(row["y"]))
        ...     return found
        >>> def draw(table):
        ...     figure, axes = panels(1)
        ...     axes[0, 0].plot(table["x"], table["y"])
        ...     return figure
        >>> needs = ("squares",)
        >>> squares = Figure("squares", "Squares", "ours", needs, table, draw, "y against x.")
        >>> results = {"squares": Results((Row({"x": 3}, {"y": np.array(9)}),))}
        >>> shown = squares.table(results, Preset("quick", {}))
        >>> print(shown.to_csv().strip())
        x,y
        3,9
        >>> len(squares.draw(shown).axes)
        1
    """

    name: str
    title: str
    status: FigureStatus
    needs: tuple[str, ...]
    table: Callable[[Mapping[str, Results], Preset], Table]
    draw: Callable[[Table], "MplFigure"]
    caption: str
    differs: str = ""


@dataclass(frozen=True)
class Paper:
    """One paper room: presets, experiments, figures and claims under one slug.

    Attributes:
        slug, title, authors, venue: of the paper.
        arxiv: the number there, empty for a paper that is not there.
        presets: by name.
        experiments, figures, claims: of the room; names must be unique, and every experiment that a
            figure or a claim needs must exist.
        summary: what the paper says, in two or three plain sentences, for the head of its page.

    Raises:
        ValueError: names that occur twice, or experiments that do not exist.
    """

    slug: str
    title: str
    authors: str
    venue: str
    arxiv: str
    presets: Mapping[str, Preset]
    experiments: Sequence[Experiment] = field(default_factory=tuple)
    figures: Sequence[Figure] = field(default_factory=tuple)
    claims: Sequence[Claim] = field(default_factory=tuple)
    summary: str = ""

    def __post_init__(self) -> None:
        names = [e.name for e in self.experiments]
        items: list[Figure | Claim] = [*self.figures, *self.claims]
        labels = [x.name if isinstance(x, Figure) else x.id for x in items]
        for what, found in (("experiment", names), ("figure or claim", labels)):
            if len(set(found)) < len(found):
                raise ValueError(f"paper {self.slug!r}: two {what}s share a name in {found}")
        for label, item in zip(labels, items, strict=True):
            missing = set(item.needs) - set(names)
            if missing:
                raise ValueError(
                    f"paper {self.slug!r}: {label} needs unknown experiments {sorted(missing)}"
                )
        if set(self.presets) - {MEDIUM} != set(PRESETS):
            raise ValueError(
                f"paper {self.slug!r}: presets must be {PRESETS}, and {MEDIUM!r} if wanted, not "
                f"{tuple(self.presets)}"
            )
        keys = {tuple(sorted(p.values)) for p in self.presets.values()}
        if len(keys) > 1:
            raise ValueError(f"paper {self.slug!r}: its presets do not set the same values: {keys}")

    def folder(self, out: Path, preset: str) -> Path:
        """Where the figures and verdicts of a preset go.

        A medium run stands beside the gallery, not in its place.
        """
        return out / self.slug / MEDIUM if preset == MEDIUM else out / self.slug

    def experiment(self, name: str) -> Experiment:
        """The experiment of this name."""
        return next(e for e in self.experiments if e.name == name)

    def preset(self, name: str, seed: int = 0, changes: Mapping[str, Any] | None = None) -> Preset:
        """The named preset at a base seed, with some values replaced.

        Raises `InputError` for unknown names.
        """
        if name not in self.presets:
            raise InputError(
                f"paper '{self.slug}': unknown preset '{name}'; choose one of: "
                f"{', '.join(self.presets)}"
            )
        require_seed(seed)
        chosen = self.presets[name]
        return Preset(chosen.name, chosen.values, seed, chosen.omits).with_values(
            changes or {}, list(self.presets.values())
        )

    def select_figures(self, names: Sequence[str] | None) -> list[Figure]:
        """The figures of these names (all when None). Raises `InputError` for an unknown one."""
        known = {f.name: f for f in self.figures}
        for name in names or ():
            if name not in known:
                raise InputError(
                    f"paper '{self.slug}' has no figure '{name}'; it has: {', '.join(known)}"
                )
        return [known[n] for n in names] if names else list(self.figures)
