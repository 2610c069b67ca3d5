"""Adversarial attacks, and what the Projection Norm depends on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.projection_norm.figures.shared import OURS, SHORT
from theorylab.papers.projection_norm.tables import (
    METRICS,
    OUTPUT_BASED,
    Points,
    attacked,
    models,
    sweeps,
)
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, panels, sample_axis, shared_legend


def _attack_table(results: AllResults, preset: Preset) -> Table:
    table = Table("study", "start", "metric", "seed", "eps", "error", "score", "predicted")
    by_model = models(results)
    for start in ("rotation", "random"):
        for name, seeds in attacked(results, start).items():
            for seed, (eps, scores) in seeds.items():
                points: Points | None = by_model[name].get(seed) if start == "rotation" else None
                for metric in METRICS:
                    # lines were fitted on corruptions of the pre-trained model alone
                    line = points.line(metric) if points else None
                    for e, error, score in zip(eps, scores["error"], scores[metric], strict=True):
                        predicted = float(line.predict(score)) if line else float("nan")
                        table.add(
                            study=name,
                            start=start,
                            metric=metric,
                            seed=seed,
                            eps=float(e),
                            error=error,
                            score=score,
                            predicted=predicted,
                        )
    return table


def _mean_curve(
    axis: Axes, rows: Table, column: str, style: Mapping[str, Any], scale: bool = False
) -> None:
    groups = [part for _, part in rows.groups("seed")]
    values = np.stack([part[column] for part in groups])
    if scale:
        values = (values - values[:, :1]) / np.abs(values - values[:, :1]).max(1, keepdims=True)
    x = groups[0]["eps"]
    axis.plot(x, values.mean(0), **style)
    band(axis, x, values.min(0), values.max(0), style["color"])


def _attacks(table: Table) -> MplFigure:
    figure, axes = panels(3, height=3.0)
    study = table["study"][0]
    rotation, random = (table.where(study=study, start=s) for s in ("rotation", "random"))
    curves = ("pn", *OUTPUT_BASED[::2], "agree_head", "agree_independent")
    for i, metric in enumerate(curves):
        style = {"color": COLOURS[i], "marker": MARKERS[i], "label": SHORT[metric]}
        _mean_curve(axes[0, 0], rotation.where(metric=metric), "predicted", style)
    truth = rotation.where(metric="pn")
    ink = {"color": "grey", "ls": "--", "marker": "", "label": "true error"}
    _mean_curve(axes[0, 0], truth, "error", ink)
    for axis, rows in ((axes[0, 1], rotation), (axes[0, 2], random)):
        if not len(rows):
            axis.plot([], [])
            continue
        for i, metric in enumerate(curves):
            if metric in ("pn", "conf", "agree_independent"):
                style = {"color": COLOURS[i], "marker": MARKERS[i], "label": SHORT[metric]}
                _mean_curve(axis, rows.where(metric=metric), "score", style, scale=True)
        _mean_curve(axis, rows.where(metric="pn"), "error", ink, scale=True)
    titles = ("predicted by the line", "pre-trained start: score", "random start: score")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_xscale("log", base=2)
        ticks = sorted(set(table["eps"]))
        axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axis.set(title=title, xlabel="attack, eps x 255")
    axes[0, 0].set_ylabel("test error")
    axes[0, 1].set_ylabel("change from the weakest attack\n(largest = 1)")
    axes[0, 0].set_ylim(0, 1)
    shared_legend(figure, [axes[0, 0]], 3)
    return figure


def _sweep_table(results: AllResults, preset: Preset) -> Table:
    table = Table("study", "seed", "labels", "steps", "m", "r2", "spearman")
    for name, seed, cell, r2, spearman in sweeps(results):
        table.add(
            study=name,
            seed=seed,
            labels=cell["labels"],
            steps=cell["steps"],
            m=cell["m"],
            r2=r2,
            spearman=spearman,
        )
    return table


def _sweeps(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.7, sharey=True)
    for i, ((study,), rows) in enumerate(table.groups("study")):
        plain = rows.where(labels="hat")
        main = rows["steps"][0], rows["m"][0]
        for axis, column, fixed, value in (
            (axes[0, 0], "m", "steps", main[0]),
            (axes[0, 1], "steps", "m", main[1]),
        ):
            part = plain.where(**{fixed: float(value)})
            for j, quantity in enumerate(("r2", "spearman")):
                x = np.unique(part[column])
                y = [part[quantity][part[column] == v].mean() for v in x]
                axis.plot(
                    x,
                    y,
                    color=COLOURS[j],
                    marker=MARKERS[i],
                    ls=DASHES[i],
                    label=f"{('$R^2$', 'rank correlation')[j]}, {study}",
                )
            sample_axis(axis, part[column])
    axes[0, 0].set(xlabel="test samples m", title="number of samples", ylim=(0, 1.03))
    axes[0, 1].set(xlabel="steps T", title="number of steps")
    axes[0, 0].legend(loc="lower right", fontsize=7)
    return figure


FIGURES = (
    Figure(
        "pn_attacks",
        "Under white-box attacks",
        "content",
        ("shifts", "attacks"),
        _attack_table,
        _attacks,
        "PGD in the l-inf ball. Left: errors that the lines fitted on corruptions predict. Middle "
        "and right: the scores themselves with a pre-trained and with a random theta_0. Bands "
        "span the seeds. ConfScore turns back where the attack succeeds; the norm rises late; a "
        "second model of another initialisation follows the error.",
        OURS,
    ),
    Figure(
        "pn_sweeps",
        "Number of test samples and of steps",
        "content",
        ("shifts", "sweep"),
        _sweep_table,
        _sweeps,
        "R^2 and rank correlation over the sweep's test sets.",
        OURS,
    ),
)
