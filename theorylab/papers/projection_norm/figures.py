"""Figures of the paper and of its linear theory: tables reduced from results, and their
drawings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import NullFormatter

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.projection_norm.measures import (
    METRICS,
    OUTPUT_BASED,
    Points,
    attacked,
    models,
    sweeps,
)
from theorylab.papers.types import AllResults
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    band,
    diagonal,
    panels,
    sample_axis,
    shared_legend,
)

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
SHORT = {
    "pn": "Projection Norm",
    "conf": "1 - ConfScore",
    "entropy": "Entropy",
    "atc": "ATC",
    "cot": "COT",
    "agree_head": "Agree, other head",
    "agree_independent": "Agree, independent",
    "rotation": "Rotation",
    "nuclear": "1 - nuclear norm",
    "pn_base": "PN to theta_hat",
}


def _group(family: str) -> str:
    return next(name for name, families in GROUPS.items() if family in families)


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


def _linear_example_table(results: AllResults, preset: Preset) -> Table:
    table = Table("quantity", "s", "mean", "low", "high")
    rows = results["hidden"]
    scales = next(iter(rows)).cell["scales"]
    for quantity in ("pn", "loss", "output"):
        values = rows.stack(quantity) / rows.stack(quantity)[:, :1]
        for i, s in enumerate(scales):
            table.add(
                quantity=quantity,
                s=s,
                mean=values[:, i].mean(),
                low=values[:, i].min(),
                high=values[:, i].max(),
            )
    return table


def _linear_example(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.8)
    labels = {
        "pn": "Projection Norm",
        "loss": "test loss",
        "output": "mean |output|: all that confidence sees",
    }
    for i, ((quantity,), rows) in enumerate(table.groups("quantity")):
        axes[0, 0].plot(
            rows["s"],
            rows["mean"],
            color=COLOURS[i],
            marker=MARKERS[i],
            label=labels[str(quantity)],
        )
        band(axes[0, 0], rows["s"], rows["low"], rows["high"], COLOURS[i])
    axes[0, 0].set(
        yscale="log",
        xlabel="scale s of the new directions",
        ylabel="relative to s = 0",
        title="A shift orthogonal to the training data",
    )
    axes[0, 0].legend(loc="upper left")
    return figure


def _linear_bound_table(results: AllResults, preset: Preset) -> Table:
    table = Table("signal", "pn2", "loss", "bound")
    for row in results["bounds"].where(n=20, m=20):
        scale = float(row["upper"][0] / row["missed"][0] ** 2)
        for i in range(min(150, len(row["pn"]))):
            table.add(
                signal="isotropic", pn2=row["pn"][i] ** 2 * scale, loss=row["loss"][i], bound=scale
            )
        # the loss is quadratic: any length of the signal shows the same
        size = 1 / row["hidden"][1]
        table.add(signal="hidden", pn2=1e-3, loss=row["hidden"][1] * size, bound=scale)
    return table


def _linear_bound(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.9)
    labels = {
        "isotropic": "isotropic signals",
        "hidden": "signals that training cannot see (PN = 0)",
    }
    for i, ((signal,), rows) in enumerate(table.groups("signal")):
        axes[0, 0].plot(
            rows["pn2"],
            rows["loss"],
            ls="none",
            marker=MARKERS[i],
            color=COLOURS[(0, 4)[i]],
            alpha=0.5,
            ms=(3, 6)[i],
            label=labels[str(signal)],
        )
    diagonal(axes[0, 0], 1e-3, float(table["pn2"].max()) * 1.2)
    axes[0, 0].set(
        xscale="log",
        yscale="log",
        xlabel=r"bound $s_{max}^2\,PN^2 / m$",
        ylabel="test loss",
        title="Below the dotted line the bound holds",
    )
    axes[0, 0].legend(loc="lower left")
    return figure


def _early_table(results: AllResults, preset: Preset) -> Table:
    table = Table("quantity", "t", "mean", "low", "high")
    curves = results["early"].stack("fine")
    for quantity, index in (("to the reference", 1), ("to theta_hat", 2)):
        for i, t in enumerate(curves[0, 0]):
            values = curves[:, index, i]
            table.add(
                quantity=quantity, t=t, mean=values.mean(), low=values.min(), high=values.max()
            )
    return table


def _early(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.8)
    for i, ((quantity,), rows) in enumerate(table.groups("quantity")):
        axes[0, 0].plot(
            rows["t"], rows["mean"], color=COLOURS[i], ls=DASHES[i], marker="", label=str(quantity)
        )
        band(axes[0, 0], rows["t"], rows["low"], rows["high"], COLOURS[i])
    axes[0, 0].set(
        xscale="log",
        xlabel="training time t",
        ylabel="Projection Norm",
        ylim=(0, None),
        title="Early stopping: why a reference model",
    )
    axes[0, 0].legend(loc="lower right")
    return figure


_NETWORK = (
    "Every test set has the same images under one corruption and severity; larger markers are "
    "more severe."
)
_OURS = (
    "Corruptions, networks and pre-training of our own; the paper has CIFAR-10-C and "
    "ImageNet-pre-trained networks."
)
FIGURES = (
    Figure(
        "pn_error",
        "Test error against Projection Norm and other scores",
        "content",
        ("shifts",),
        _scatter_table,
        _scatter,
        f"{_NETWORK} Grey: one least-squares line a seed; the title has the mean R^2 over seeds. "
        "A score is good when points of all families lie on one line.",
        _OURS,
    ),
    Figure(
        "pn_table",
        "How well each score predicts the error",
        "scaled",
        ("shifts",),
        _quality_table,
        _quality,
        "R^2 and rank correlation over all shifts, and the mean squared error on hard shifts of a "
        "line fitted on mild ones; a point a seed, a bar for their mean. AgreeScore with a second "
        "model that shares the backbone, or has an initialisation of its own.",
        _OURS,
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
        _OURS,
    ),
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
        _OURS,
    ),
    Figure(
        "pn_sweeps",
        "Number of test samples and of steps",
        "content",
        ("shifts", "sweep"),
        _sweep_table,
        _sweeps,
        "R^2 and rank correlation over the sweep's test sets.",
        _OURS,
    ),
    Figure(
        "pn_linear_example",
        "What confidence cannot see",
        "content",
        ("hidden",),
        _linear_example_table,
        _linear_example,
        "Linear model, training inputs (z, 0), test inputs (z, s z'). The outputs do not depend "
        "on s; the Projection Norm rises and saturates, the loss goes on as s^2. Bands span the "
        "seeds.",
    ),
    Figure(
        "pn_linear_bound",
        "The bound of the linear theory, and where it fails",
        "content",
        ("bounds",),
        _linear_bound_table,
        _linear_bound,
        "n = m = 20, d = 60. The loss of most isotropic signals, and its mean, lie below the "
        "bound; a signal in the null space of the training inputs has norm 0 (drawn at the left "
        "edge) and any loss.",
    ),
    Figure(
        "pn_early_stop",
        "Stopped training",
        "content",
        ("early",),
        _early_table,
        _early,
        "Gradient flow on a linear model: the distance to theta_hat is large at small t without "
        "any shift, that to a reference stopped at the same t starts from 0. Both tend to the "
        "same limit. Bands span the seeds.",
    ),
)
