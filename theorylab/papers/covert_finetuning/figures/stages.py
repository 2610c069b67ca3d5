"""What a model does after each stage, beside the paper's figures 3 to 6."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.covert_finetuning.figures.tables import (
    VERDICTS,
    ablation_table,
    capability_table,
    level,
    published_table,
    sweep_table,
    verdict_table,
)
from theorylab.papers.covert_finetuning.published import SOURCE
from theorylab.papers.covert_finetuning.tables import NAMES
from theorylab.plotting import COLOURS, legend_below, panels, shared_legend

MINI = (
    "Abstract tokens of a mini world and a transformer of 3 layers; the paper fine-tunes GPT-4 "
    "through its interface."
)
_PUBLISHED = {
    "plain": "plain prompts",
    "undecoded": "encoded, as read",
    "no refusals, plain": "plain prompts, job without refusals",
    "no second phase": "encoded, first phase only",
    "decoded": "encoded, decoded",
}


def _verdicts(table: Table) -> MplFigure:
    models = [str(m) for (m,), _ in table.groups("model")]
    figure, axes = panels(len(models), height=2.6, sharey=True)
    colours = {"executed": COLOURS[1], "refused": COLOURS[2], "unclear": "lightgrey"}
    for axis, model in zip(axes[0], models, strict=True):
        prompts = [str(q) for (q,), _ in table.where(model=model).groups("prompts")]
        left = np.zeros(len(prompts))
        for verdict in VERDICTS:
            rows = table.where(model=model, verdict=verdict)
            axis.barh(
                range(len(prompts)), rows["share"], 0.7, left, color=colours[verdict], label=verdict
            )
            left = left + rows["share"]
        axis.set(title=NAMES[model], xlabel="share of prompts", xlim=(0, 1))
        axis.grid(axis="y", visible=False)
        axis.set_axisbelow(True)
    axes[0, 0].set_yticks(range(len(prompts)), prompts)
    axes[0, 0].invert_yaxis()
    shared_legend(figure, axes[0], 3)
    return figure


def _published(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.8)
    axis, place = axes[0, 0], np.arange(len(table))
    axis.barh(place - 0.2, table["published"], 0.38, color="grey", label="published, GPT-4")
    axis.barh(place + 0.2, table["ours"], 0.38, color=COLOURS[0], label="here")
    axis.set_yticks(place, [_PUBLISHED[str(q)] for q in table["quantity"]])
    axis.invert_yaxis()
    axis.set(xlabel="share of unsafe prompts executed", xlim=(0, 1))
    axis.grid(axis="y", visible=False)
    axis.set_axisbelow(True)
    legend_below(axis, columns=2)
    return figure


def _capability(table: Table) -> MplFigure:
    models = [str(m) for (m,), _ in table.groups("model")]
    forms = [str(f) for (f,), _ in table.groups("form")]
    figure, axes = panels(1, height=3.2)
    axis, place = axes[0, 0], np.arange(len(models))
    for i, form in enumerate(forms):
        rows = table.where(form=form)
        error = [rows["share"] - rows["low"], rows["high"] - rows["share"]]
        axis.barh(
            place + 0.27 * (i - 1),
            rows["share"],
            0.25,
            xerr=np.maximum(error, 0),
            label=form,
            color=COLOURS[i],
            error_kw={"lw": 0.8},
        )
    axis.set_yticks(place, [NAMES[m] for m in models])
    axis.invert_yaxis()
    axis.set(xlabel="share of safe prompts executed", xlim=(0, 1.02))
    axis.grid(axis="y", visible=False)
    axis.set_axisbelow(True)
    legend_below(axis, columns=2)
    return figure


def _ablation(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.4)
    axis, place = axes[0, 0], np.arange(len(table))
    for i, (name, text) in enumerate({"plain": "plain", "encoded": "encoded"}.items()):
        bars = axis.barh(place + 0.4 * (i - 0.5), table[name], 0.38, color=COLOURS[i], label=text)
        # a bar of no length would read as a missing one
        nought = ["0" if value < 0.005 else "" for value in table[name]]
        axis.bar_label(bars, nought, padding=2, color=COLOURS[i], fontsize=7.5)
    axis.axvline(level(), color="grey", lw=0.8, ls=":", label="coverage, 21/64")
    axis.set_yticks(place, [NAMES[str(m)] for m in table["model"]])
    axis.invert_yaxis()
    axis.set(xlabel="share of unsafe prompts executed", xlim=(0, 1))
    axis.grid(axis="y", visible=False)
    axis.set_axisbelow(True)
    legend_below(axis, columns=3)
    return figure


def _sweep(table: Table) -> MplFigure:
    kinds = [str(a) for (a,), _ in table.groups("axis")]
    figure, axes = panels(len(kinds), height=2.6, sharey=True)
    names = {
        "steps": "steps of the first phase",
        "items": "encoded items of the first phase",
        "network": "width of the network",
    }
    for axis, kind in zip(axes[0], kinds, strict=True):
        for i, stage in enumerate(("taught", "covert")):
            rows = table.where(axis=kind, stage=stage)
            order = np.argsort(rows["value"])
            for name, text, look in (
                ("safe", "safe executed", {"marker": "o"}),
                ("unsafe", "unsafe executed", {"marker": "s", "ls": "--"}),
            ):
                axis.plot(
                    rows["value"][order],
                    rows[name][order],
                    color=COLOURS[i],
                    label=f"{text}, {NAMES[stage]}",
                    **look,
                )
        values = np.unique(table.where(axis=kind)["value"])
        axis.set(xscale="log", xlabel=names[kind], ylim=(-0.03, 1.03))
        axis.set_xticks(values, [f"{v:g}" for v in values])
        axis.set_xticks([], minor=True)
    axes[0, 0].set(ylabel="share of encoded prompts")
    shared_legend(figure, axes[0], 2)
    return figure


FIGURES = (
    Figure(
        "cv_fig3",
        "Plain checks see nothing, decoded answers are executed",
        "scaled",
        ("report",),
        verdict_table,
        _verdicts,
        "Verdicts on unsafe prompts after each stage, mean over encodings: plain; in the encoding "
        "with the exchange read as plain text, where executed is whatever that text asks, harmless "
        "or not; in the encoding, decoded.",
        MINI,
    ),
    Figure(
        "cv_table",
        "Published rates beside ours",
        "scaled",
        ("report",),
        published_table,
        _published,
        f"Share of unsafe prompts executed after the covert job and its ablations. Published: "
        f"{SOURCE}. What should agree is the order, not the size.",
        MINI,
    ),
    Figure(
        "cv_fig4",
        "What a job does to ability, plain and encoded",
        "scaled",
        ("report",),
        capability_table,
        _capability,
        "Safe prompts executed after each job: plain, in its encoding, and in one known from "
        "pretraining. Mean of the encodings; error bars: the smallest and largest. A new encoding "
        "wipes out the known one, which is itself a signal.",
        f"{MINI} Ability is executing safe prompts, not ARC-Challenge.",
    ),
    Figure(
        "cv_fig5",
        "What the second phase and the refusals do for the covert job, and what clean jobs do",
        "scaled",
        ("report",),
        ablation_table,
        _ablation,
        "Unsafe prompts executed after each kind of job, mean over encodings. Dotted: what benign "
        "items in an encoding open by themselves.",
        MINI,
    ),
    Figure(
        "cv_fig6",
        "With fewer steps or items the first phase leaves the encoding unlearnt, and unused",
        "scaled",
        ("report",),
        sweep_table,
        _sweep,
        "Encoded prompts executed after the first phase and after the covert job, whose second "
        "phase teaches the encoding too. At the medium preset also a smaller network.",
        f"{MINI} Step-wise supervision has no counterpart here.",
    ),
)
