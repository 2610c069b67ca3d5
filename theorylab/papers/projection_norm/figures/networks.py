"""Networks on shifted test sets: the Projection Norm against the error."""

import numpy as np
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import NullFormatter

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.projection_norm.figures.shared import OURS, SHORT
from theorylab.papers.projection_norm.tables import METRICS, models
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, MARKERS, diagonal, panels, shared_legend

SHOWN = ("pn", "conf", "atc", "agree_independent", "rotation", "cot")

GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    "blur, detail": (
        "gaussian_blur",
        "defocus_blur",
        "motion_blur",
        "pixelate",
        "jpeg",
        "posterize",
        "elastic",
    ),
    "light": ("contrast", "brightness", "gamma", "negative", "fog"),
    "geometry": ("rotation", "translation", "shear", "occlusion"),
    "clean": ("clean",),
}


def _scatter_table(results: AllResults, preset: Preset) -> Table:
    table = Table("study", "metric", "seed", "family", "severity", "score", "error")
    for name, seeds in models(results).items():
        for seed, points in seeds.items():
            for metric in METRICS:
                for family, severity, score, error in zip(
                    points.family, points.severity, points.scores[metric], points.error, strict=True
                ):
                    table.add(
                        study=name,
                        metric=metric,
                        seed=seed,
                        family=str(family),
                        severity=int(severity),
                        score=score,
                        error=error,
                    )
    return table


def _scatter(table: Table) -> MplFigure:
    studies = table.groups("study")
    figure, axes = panels(3, 2 * len(studies), height=2.5, sharey=True)
    for row, ((study,), rows) in enumerate(studies):
        for k, metric in enumerate(SHOWN):
            axis, part = axes[2 * row + k // 3, k % 3], rows.where(metric=metric)
            r2 = []
            for _, seed in part.groups("seed"):
                x, y = seed["score"], seed["error"]
                r2.append(np.corrcoef(x, y)[0, 1] ** 2)
                ends = np.array([x.min(), x.max()])
                label = "line of one seed" if len(r2) == 1 else ""
                axis.plot(
                    ends,
                    np.polyval(np.polyfit(x, y, 1), ends),
                    color="grey",
                    lw=0.8,
                    marker="",
                    zorder=0,
                    label=label,
                )
            for g, (name, families) in enumerate(GROUPS.items()):
                chosen = np.isin(part["family"], families)
                if chosen.any():
                    axis.scatter(
                        part["score"][chosen],
                        part["error"][chosen],
                        s=12 + 5 * part["severity"][chosen],
                        color=COLOURS[g],
                        marker=MARKERS[g],
                        alpha=0.65,
                        linewidth=0,
                        label=name,
                    )
            axis.set(title=f"{SHORT[metric]}\n$R^2$ = {np.mean(r2):.2f}", ylim=(0, 1))
        axes[2 * row, 0].set_ylabel(f"{study}\ntest error")
        axes[2 * row + 1, 0].set_ylabel(f"{study}\ntest error")
    for axis in axes[-1]:
        axis.set_xlabel("score")
    shared_legend(figure, [axes[0, 0]], 6)
    return figure


def _quality_table(results: AllResults, preset: Preset) -> Table:
    table = Table("study", "metric", "seed", "r2", "spearman", "hard_mse", "hard_bias")
    for name, seeds in models(results).items():
        for seed, points in seeds.items():
            for metric in METRICS:
                line, beyond = points.line(metric), points.extrapolation(metric)
                table.add(
                    study=name,
                    metric=metric,
                    seed=seed,
                    r2=line.r2,
                    spearman=line.spearman,
                    hard_mse=beyond.mse,
                    hard_bias=beyond.bias,
                )
    return table


def _quality(table: Table) -> MplFigure:
    studies = table.groups("study")
    figure, axes = panels(3, len(studies), height=3.0, sharey=True)
    titles = {
        "r2": "$R^2$",
        "spearman": "rank correlation",
        "hard_mse": "mild to hard: MSE (pp$^2$)",
    }
    for row, ((study,), rows) in enumerate(studies):
        for axis, (column, title) in zip(axes[row], titles.items(), strict=True):
            for i, metric in enumerate(METRICS):
                values = rows.where(metric=metric)[column]
                own = metric.startswith("pn")
                colour, label = (
                    (COLOURS[4], "the paper's score") if own else (COLOURS[0], "other scores")
                )
                axis.plot(
                    values,
                    np.full(len(values), -i),
                    ls="none",
                    marker="o",
                    color=colour,
                    alpha=0.45,
                    label=label,
                )
                axis.plot([values.mean()], [-i], ls="none", marker="|", ms=11, mew=2, color=colour)
            axis.set_title(title)
            if column == "hard_mse":
                axis.set_xscale("log")
                axis.xaxis.set_minor_formatter(NullFormatter())
            else:
                axis.set_xlim(right=1.02)
        axes[row, 0].set_yticks(-np.arange(len(METRICS)), [SHORT[m] for m in METRICS])
        axes[row, 0].set_ylabel(str(study))
    shared_legend(figure, [axes[0, 0]], 2)
    return figure


def _hard_table(results: AllResults, preset: Preset) -> Table:
    table = Table("study", "metric", "seed", "severity", "error", "predicted")
    for name, seeds in models(results).items():
        for seed, points in seeds.items():
            for metric in SHOWN:
                predicted = points.extrapolation(metric).line.predict(points.scores[metric])
                for severity, error, p in zip(
                    points.severity, points.error, predicted, strict=True
                ):
                    table.add(
                        study=name,
                        metric=metric,
                        seed=seed,
                        severity=int(severity),
                        error=error,
                        predicted=p,
                    )
    return table


def _hard(table: Table) -> MplFigure:
    studies = table.groups("study")
    shown = ("pn", "conf", "atc", "cot")
    figure, axes = panels(4, len(studies), height=2.4, sharex=True, sharey=True)
    for row, ((study,), rows) in enumerate(studies):
        mild = (1, 2) if 2 in rows["severity"] else (0, 1)
        for axis, metric in zip(axes[row], shown, strict=True):
            part = rows.where(metric=metric)
            diagonal(axis, 0, 1)
            kinds = {
                "fitted on": np.isin(part["severity"], mild),
                "predicted": part["severity"] >= 4,
            }
            for i, (label, chosen) in enumerate(kinds.items()):
                axis.plot(
                    part["error"][chosen],
                    part["predicted"][chosen],
                    ls="none",
                    marker=MARKERS[i],
                    ms=3,
                    color=COLOURS[(0, 4)[i]],
                    alpha=0.6,
                    label=label,
                )
            axis.set(title=SHORT[metric], xlim=(0, 1), ylim=(-0.05, 1.4))
        axes[row, 0].set_ylabel(f"{study}\npredicted error")
    for axis in axes[-1]:
        axis.set_xlabel("test error")
    axes[0, 0].legend(loc="upper left", fontsize=7)
    return figure


_NETWORK = (
    "Every test set has the same images under one corruption and severity; larger markers are "
    "more severe."
)


FIGURES = (
    Figure(
        "pn_error",
        "Test error against Projection Norm and other scores",
        "content",
        ("shifts",),
        _scatter_table,
        _scatter,
        f"{_NETWORK} Grey: one least-squares line per seed; the title has the mean R^2 over "
        "seeds. A score is good when points of all families lie on one line.",
        OURS,
    ),
    Figure(
        "pn_table",
        "How well each score predicts the error",
        "scaled",
        ("shifts",),
        _quality_table,
        _quality,
        "R^2 and rank correlation over all shifts, and the mean squared error on hard shifts of a "
        "line fitted on mild ones; one point per seed, a bar for their mean. AgreeScore is shown "
        "with a second model that shares the backbone, and with one that has an initialisation of "
        "its own.",
        OURS,
    ),
    Figure(
        "pn_mild_to_hard",
        "Lines fitted on mild shifts, asked about hard ones",
        "content",
        ("shifts",),
        _hard_table,
        _hard,
        (
            "Predicted against true error, all seeds. Points below the diagonal (dotted) are "
            "overconfident."
        ),
        OURS,
    ),
)
