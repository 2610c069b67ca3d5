"""What every attack does under every condition, on two sets of prompts, and the published rates."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.jailbroken.experiments import conditions
from theorylab.papers.jailbroken.figures.shared import ABSTRACT, SAID, VERDICTS
from theorylab.papers.jailbroken.published import BESIDE, CURATED, MODELS
from theorylab.papers.jailbroken.tables import NAMES, REWRITES, All, excess, of, rate
from theorylab.papers.jailbroken.tables import tables as attack_tables
from theorylab.plotting import COLOURS, MARKERS, panels, shared_legend
from theorylab.safety import normal_halfwidth, union_bounds

_ROWS = (*REWRITES, "adaptive")


def attacks_table(results: All, p: Preset) -> Table:
    """Verdicts of every attack under every condition, and benign capability."""
    table = Table("condition", "attack", "bad", "good", "unclear", "capability")
    for condition, run in conditions(p).items():
        rows = of(results, p, run)
        for attack in REWRITES:
            found = {
                column: float(rate(rows, attack, column).mean())
                for column in ("bad", "good", "unclear", "capability")
            }
            table.add(condition=condition, attack=attack, **found)
        union = float(rate(rows, "adaptive").mean())
        table.add(
            condition=condition,
            attack="adaptive",
            bad=union,
            good=np.nan,
            unclear=np.nan,
            capability=np.nan,
        )
    return table


def _attacks(table: Table) -> MplFigure:
    names = [str(c) for (c,), _ in table.groups("condition")]
    figure, axes = panels(3, -(-len(names) // 3), height=2.7, sharex=True, sharey=True)
    for axis, name in zip(axes.ravel(), names, strict=False):
        rows = table.where(condition=name)
        place, left = np.arange(len(rows)), np.zeros(len(rows))
        for verdict, colour in VERDICTS.items():
            width = np.nan_to_num(rows[verdict])
            axis.barh(place, width, left=left, color=colour, label=SAID[verdict], height=0.75)
            left = left + width
        axis.plot(
            rows["capability"],
            place,
            ls="",
            marker="D",
            ms=4,
            color="black",
            label="benign prompts executed",
        )
        axis.set_title(name)
        axis.grid(visible=False)
        axis.set_xlim(0, 1.04)
    _label(figure, axes, len(names), "share of prompts", 4)
    return figure


def _label(figure: MplFigure, axes: np.ndarray, used: int, quantity: str, columns: int) -> None:
    """The rows' names, the quantity under the last panel of every column, and the legend."""
    for axis in axes[:, 0]:
        axis.set_yticks(range(len(_ROWS)), [NAMES[a] for a in _ROWS])
    axes[0, 0].invert_yaxis()
    shown, spare = axes.ravel()[:used], axes.ravel()[used:]
    for axis in shown[-axes.shape[1] :]:
        axis.set_xlabel(quantity)
        axis.tick_params(labelbottom=True)
    shared_legend(figure, shown, columns, spare=spare)


def held_out_table(results: All, p: Preset) -> Table:
    """BAD on the main prompts and on held-out ones, with 95 % half widths."""
    table = Table("condition", "attack", "main", "held_out", "halfwidth", "prompts")
    for condition, run in conditions(p).items():
        rows = of(results, p, run)
        other = of(results, p, run, experiment="held_out")
        n = len(rows) * p["prompts"]
        for attack in _ROWS:
            value = float(rate(other, attack).mean())
            table.add(
                condition=condition,
                attack=attack,
                main=float(rate(rows, attack).mean()),
                held_out=value,
                halfwidth=float(normal_halfwidth(value, n)),
                prompts=n,
            )
    return table


def _held_out(table: Table) -> MplFigure:
    names = [str(c) for (c,), _ in table.groups("condition")]
    figure, axes = panels(3, -(-len(names) // 3), height=2.6, sharex=True, sharey=True)
    for axis, name in zip(axes.ravel(), names, strict=False):
        rows = table.where(condition=name)
        place = np.arange(len(rows))
        axis.errorbar(
            rows["held_out"],
            place,
            xerr=rows["halfwidth"],
            ls="",
            marker="o",
            ms=4,
            capsize=2,
            color=COLOURS[0],
            label="held-out prompts, 95 % interval",
        )
        axis.plot(
            rows["main"],
            place,
            ls="",
            marker="|",
            ms=12,
            color=COLOURS[4],
            label="main prompts",
        )
        axis.set(title=name, xlim=(-0.06, 1.06))
    _label(figure, axes, len(names), "BAD", 2)
    return figure


def published_table(results: All, p: Preset) -> Table:
    """Published rates of every class of attacks, and ours where there is one beside it."""
    table = Table("attack", "series", "rate")
    rows = of(results, p, conditions(p)["partial"])
    ours = {theirs: name for name, theirs in BESIDE.items()}
    for attack, rates in CURATED.items():
        for model, value in zip(MODELS, rates, strict=True):
            table.add(attack=attack, series=model, rate=value)
        if attack in ours:
            value = float(rate(rows, ours[attack]).mean())
            table.add(attack=attack, series="ours, partial coverage", rate=value)
    return table


def _published(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.4)
    axis = axes[0, 0]
    attacks = [str(a) for (a,), _ in table.groups("attack")]
    for i, ((series,), rows) in enumerate(table.groups("series")):
        place = np.array([attacks.index(a) for a in rows["attack"]])
        axis.plot(
            rows["rate"],
            place + 0.16 * (i - 1),
            ls="",
            marker=MARKERS[i],
            color=COLOURS[(0, 1, 4)[i]],
            label=str(series),
        )
    last = set(rows["attack"].tolist())  # ours: not every attack has a transform here
    for attack in (a for a in attacks if a not in last):
        axis.text(
            0.32, attacks.index(attack) + 0.16, "no counterpart here", va="center", fontsize=7.5
        )
    axis.set_yticks(range(len(attacks)), attacks)
    axis.invert_yaxis()
    axis.set(xlabel="success (BAD)", xlim=(-0.06, 1.06))
    shared_legend(figure, [axis], 3)
    return figure


def unions_table(results: All, p: Preset) -> Table:
    """The adaptive rate between its bounds, and what independent attacks would give."""
    table = Table("condition", "largest", "adaptive", "independent", "excess")
    for condition, run in conditions(p).items():
        rows = of(results, p, run)
        found = attack_tables(rows)
        keep = [i for i, _ in enumerate(REWRITES)]
        bounds = [union_bounds(np.asarray(t.bad)[keep]) for t in found]
        table.add(
            condition=condition,
            largest=float(np.mean([b.low for b in bounds])),
            adaptive=float(rate(rows, "adaptive").mean()),
            independent=float(np.mean([b.independent for b in bounds])),
            excess=float(excess(rows).mean()),
        )
    return table


def _unions(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.9)
    axis, place = axes[0, 0], np.arange(len(table))
    labels = {
        "largest": "best single attack",
        "adaptive": "adaptive",
        "independent": "if independent",
    }
    for i, (name, label) in enumerate(labels.items()):
        axis.plot(
            table[name],
            place + 0.14 * (i - 1),
            ls="",
            marker=MARKERS[i],
            color=COLOURS[(0, 4, 2)[i]],
            label=label,
        )
    axis.set_yticks(place, [str(c) for c in table["condition"]])
    axis.invert_yaxis()
    axis.set(xlabel="share of prompts", xlim=(-0.06, 1.06))
    shared_legend(figure, [axis], 3)
    return figure


FIGURES = (
    Figure(
        "jb_attacks",
        "What every attack does under every coverage of safety training",
        "ours",
        ("tested",),
        attacks_table,
        _attacks,
        "Verdicts on unsafe prompts under each attack, for the base model and after safety "
        "training of several coverages: refusals of plain prompts alone (narrow), of plain prompts "
        "and the prefix (patched), of plain prompts and a little of prefix and encoding 1 "
        "(partial), of every readable format (parity) and, where it is drawn, narrow with executed "
        "answers made unlikely. Adaptive: at least one attack succeeds. Diamonds: the same format "
        "on harmless prompts.",
        f"The analogue of table 1. {ABSTRACT}",
    ),
    Figure(
        "jb_held_out",
        "The same on held-out prompts, with intervals",
        "ours",
        ("tested", "held_out"),
        held_out_table,
        _held_out,
        "Success of every attack on prompts that were not looked at before, with normal 95 % "
        "intervals, and on those of the figure before.",
        f"The analogue of table 2. {ABSTRACT}",
    ),
    Figure(
        "jb_published",
        "Published success rates beside ours: their order",
        "content",
        ("tested",),
        published_table,
        _published,
        "Success of classes of attacks on the 32 curated prompts of the paper, for two systems, "
        "and of the transforms that stand for them here under partial coverage.",
        f"{ABSTRACT} Only the order is compared; rows that could not be recovered are left out.",
    ),
    Figure(
        "jb_unions",
        "The adaptive attacker beside the best attack and independent ones",
        "ours",
        ("tested",),
        unions_table,
        _unions,
        "The adaptive rate lies above the best single attack, and below what attacks that succeed "
        "independently of each other would reach together: the same prompts fall to several.",
        ABSTRACT,
    ),
)
