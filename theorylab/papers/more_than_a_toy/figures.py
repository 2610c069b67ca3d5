"""Figures of the paper: tables reduced from results, and their drawings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from theorylab.lab import Figure, Preset, Results, Table
from theorylab.papers.types import AllResults
from theorylab.plotting import (
    COLOURS,
    MARKERS,
    diagonal,
    legend_below,
    panels,
    ramp,
    sample_axis,
    shared_legend,
)
from theorylab.rmt import fit_exponents, predicted_exponent

REAL = ("analytic", "network_curves")
THEORIES = {
    "norm_bound": "norm bound",
    "spectrum_only": "spectrum only",
    "plugin": "plug-in omniscient",
    "gcv": "GCV",
}


def curves(results: AllResults, *experiments: str) -> Iterator[tuple[str, str, Results]]:
    """(kernel, data set, rows over seeds) of every kernel on real data."""
    for experiment in experiments or REAL:
        group = results[experiment]
        if not len(group):
            continue
        if experiment == "analytic":
            for name in group.unique("data"):
                yield "ReLU NTK", name, group.where(data=name)
        else:
            for name, network, weights in group.unique("data", "network", "weights"):
                yield (
                    f"{network}, {weights}",
                    name,
                    group.where(data=name, network=network, weights=weights),
                )


def _grid(rows: Results) -> tuple[list[int], list[float]]:
    first = next(iter(rows)).cell
    return list(first["sizes"]), list(first["ridges"])


def _risk_table(results: AllResults, preset: Preset) -> Table:
    table = Table(
        "kernel",
        "data",
        "n",
        "ridge",
        "test",
        "test_sd",
        "gcv",
        "loo",
        "train",
        "gcv_over_loo",
        "diag_cv",
    )
    for kernel, name, rows in curves(results):
        sizes, ridges = _grid(rows)
        mean = {q: rows.stack(q).mean(0) for q in ("test", "gcv", "loo", "train", "diag_cv")}
        spread, ratio = rows.stack("test").std(0), (rows.stack("gcv") / rows.stack("loo")).mean(0)
        for i, n in enumerate(sizes):
            for j, r in enumerate(ridges):
                risks = {q: mean[q][i, j] for q in ("test", "gcv", "loo", "train")}
                table.add(
                    kernel=kernel,
                    data=name,
                    n=n,
                    ridge=r,
                    test_sd=spread[i, j],
                    gcv_over_loo=ratio[i, j],
                    diag_cv=mean["diag_cv"][i],
                    **risks,
                )
    return table


def _fig1(table: Table) -> MplFigure:
    """The kernels of the last data set, four side by side."""
    shown = table.where(data=table["data"][-1]).groups("kernel", "data")
    ridges = sorted(set(table["ridge"]))
    columns, blocks = min(4, len(shown)), -(-len(shown) // 4)
    figure, axes = panels(columns, 2 * blocks, height=2.6 if blocks == 1 else 1.9, sharey="row")
    pairs = [(axes[2 * b, c], axes[2 * b + 1, c]) for b in range(blocks) for c in range(columns)]
    spare = pairs[len(shown) :]
    for top, bottom in spare:
        top.set_axis_off()
        bottom.set_axis_off()
    for (top, bottom), ((kernel, name), part) in zip(pairs, shown, strict=False):
        for colour, marker, r in zip(ramp(len(ridges)), MARKERS, ridges, strict=False):
            rows = part.where(ridge=r)
            n, line = rows["n"], {"color": colour, "label": f"ridge {r:g}"}
            top.plot(n, rows["test"], marker="", **line)
            top.fill_between(
                n,
                rows["test"] - rows["test_sd"],
                rows["test"] + rows["test_sd"],
                color=colour,
                alpha=0.15,
            )
            top.plot(n, rows["gcv"], color=colour, marker=marker, ls="none", mfc="none")
            top.plot(n, np.maximum(rows["train"], 1e-4), color=colour, marker="", lw=0.9, ls=":")
            bottom.plot(n, rows["gcv_over_loo"], marker=marker, **line)
        title = f"{kernel}\n{name}" if blocks == 1 else str(kernel).replace(", ", "\n")
        top.set(
            yscale="log",
            title=title,
            ylim=(
                0.6 * min(table["test"].min(), table["gcv"].min()),
                max(1.2, 1.2 * table["gcv"].max()),
            ),
        )
        _plain(top.yaxis)
        bottom.axhspan(0.85, 1.2, color="grey", alpha=0.15, lw=0)
        bottom.set(xlabel="training samples N")
        if part["gcv_over_loo"].max() > 3:
            bottom.set_yscale("log")
            _plain(bottom.yaxis)
        for axis in (top, bottom):
            sample_axis(axis, part["n"])
        top.tick_params(labelbottom=False)
    for top, bottom in pairs[::columns]:
        top.set_ylabel("risk, summed over classes" if blocks == 1 else f"risk, {shown[0][0][1]}")
        bottom.set_ylabel("GCV / LOO")
    quantities = [
        Line2D([], [], color="grey", **look)
        for look in (
            {"label": "test risk"},
            {"label": "GCV", "ls": "none", "marker": "o", "mfc": "none"},
            {"label": "training risk", "ls": ":", "lw": 0.9},
        )
    ]
    ridge_lines = axes[1, 0].get_legend_handles_labels()[0]
    if spare:
        spare[0][0].legend(handles=quantities, loc="center")
        spare[0][1].legend(handles=ridge_lines, loc="center")
    else:
        figure.legend(handles=[*quantities, *ridge_lines], loc="outside lower center", ncols=4)
    return figure


def _looks(table: Table) -> dict[str, dict[str, Any]]:
    """Colour and marker of every kernel, the same in all panels."""
    return {
        str(kernel): {
            "color": COLOURS[i % 6],
            "marker": MARKERS[i % 6],
            "mfc": None if i < 6 else "none",
        }
        for i, ((kernel,), _) in enumerate(table.groups("kernel"))
    }


def _rows(
    table: Table, columns: int, height: float, **shared: Any
) -> tuple[MplFigure, list[tuple[Any, Any, Table]]]:
    """One row of panels for each data set: (data, axes of the row, its part of the table)."""
    parts = table.groups("data")
    figure, axes = panels(
        columns, len(parts), height=height if len(parts) == 1 else 0.85 * height, **shared
    )
    return figure, [(data, row, part) for row, ((data,), part) in zip(axes, parts, strict=True)]


_TICKS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0, 8.0)


def _plain(axis: Axis, ticks: tuple[float, ...] = _TICKS) -> None:
    """Risks of less than a decade: a few of these ticks, with plain numbers."""
    low, high = axis.get_view_interval()
    inside = [t for t in ticks if low <= t <= high]
    inside = inside[:: -(-len(inside) // 6)] if inside else []
    axis.set_ticks(inside, labels=[f"{t:g}" for t in inside])
    axis.set_minor_locator(NullLocator())


def _theory_table(results: AllResults, preset: Preset) -> Table:
    table = Table("theory", "kernel", "data", "n", "actual", "predicted", "ridge")
    for kernel, name, rows in curves(results):
        sizes, ridges = _grid(rows)
        actual = rows.stack("test").mean(0)
        for theory, label in THEORIES.items():
            predicted = rows.stack(theory).mean(0)
            for i, n in enumerate(sizes):
                for j, r in enumerate(ridges):
                    table.add(
                        theory=label,
                        kernel=kernel,
                        data=name,
                        n=n,
                        ridge=r,
                        actual=actual[i, j],
                        predicted=predicted[i, j],
                    )
    return table


def _fig2(table: Table) -> MplFigure:
    looks = _looks(table)
    if len(table.groups("data")) == 1:  # room for two rows of larger panels
        figure, grid = panels(2, 2, height=2.5, sharex=True)
        rows = [(table["data"][0], grid.ravel(), table)]
        grid[1, 0].set_ylabel("predicted risk")
    else:
        figure, rows = _rows(table, len(THEORIES), 2.6, sharex="row")
    for data, axes, of_data in rows:
        low, high = of_data["actual"].min() * 0.8, of_data["actual"].max() * 1.25
        for axis, ((theory,), part) in zip(axes, of_data.groups("theory"), strict=True):
            diagonal(axis, low, high)
            for (kernel,), points in part.groups("kernel"):
                look = looks[str(kernel)]
                ridgeless = points.where(ridge=float(points["ridge"].min()))
                axis.plot(
                    points["actual"], points["predicted"], ls="none", alpha=0.35, **look | {"ms": 3}
                )
                axis.plot(ridgeless["actual"], ridgeless["predicted"], label=kernel, **look)
            axis.set(xscale="log", yscale="log", title=str(theory))
            if axis.get_subplotspec().is_last_row() or len(rows) > 1:
                axis.set_xlabel("test risk")
            _plain(axis.xaxis, (0.05, 0.1, 0.25, 0.5, 1.0))
            _plain(axis.yaxis, (0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0))
        axes[0].set_ylabel("predicted risk" if len(rows) == 1 else f"predicted, {data}")
    shared_legend(figure, [rows[0][1][0]], 4)
    return figure


def _fig3(table: Table) -> MplFigure:
    looks, data = _looks(table), list(dict.fromkeys(table["data"]))
    figure, axes = panels(2, height=3.2 if len(looks) <= 4 else 3.8, sharey=True)
    values = np.concatenate([table["test"], table["gcv"], table["loo"]])
    for axis, estimate in zip(axes[0], ("gcv", "loo"), strict=True):
        diagonal(axis, values.min() * 0.9, values.max() * 1.1)
        for (kernel, name), rows in table.groups("kernel", "data"):
            look = looks[str(kernel)] | (
                {"marker": MARKERS[data.index(name)]} if len(data) > 1 else {}
            )
            axis.plot(
                rows["test"],
                rows[estimate],
                ls="none",
                alpha=0.75,
                label=f"{kernel} on {name}" if len(data) > 1 else str(kernel),
                **look,
            )
        axis.set(
            xscale="log",
            yscale="log",
            title=f"{estimate.upper()} against test risk",
            xlabel="test risk" if len(data) > 1 else f"test risk, {data[0]}",
        )
        _plain(axis.xaxis, (0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 2.0, 4.0, 8.0))
        _plain(axis.yaxis, (0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 2.0, 4.0, 8.0))
    axes[0, 0].set_ylabel("estimate from the training set")
    if len(data) == 1:
        shared_legend(figure, [axes[0, 0]], 4)
    else:  # the kernel is the colour, the data set the marker
        kernels = [
            Line2D([], [], ls="none", label=kernel, **look | {"marker": "o"})
            for kernel, look in looks.items()
        ]
        sets = [
            Line2D([], [], ls="none", color="grey", marker=MARKERS[i], label=name)
            for i, name in enumerate(data)
        ]
        figure.legend(handles=[*kernels, *sets], loc="outside lower center", ncols=4)
    return figure


def _spectrum_table(results: AllResults, preset: Preset) -> Table:
    table = Table("kernel", "data", "quantity", "x", "y")
    for kernel, name, rows in curves(results):
        sizes, _ = _grid(rows)
        spectrum, power = rows.stack("spectrum").mean(0), rows.stack("power").mean(0)
        power = power.sum(-1) if power.ndim > 1 else power
        index = np.unique(np.geomspace(1, len(spectrum), 60).astype(int))
        best = rows.stack("test").min(2).mean(0)
        for i in index:
            share = {
                "eigenvalue": spectrum[i - 1] / spectrum.sum(),
                "power": power[:i].sum() / power.sum(),
            }
            for quantity, y in share.items():
                table.add(kernel=kernel, data=name, quantity=quantity, x=int(i), y=y)
        for n, y in zip(sizes, best, strict=True):
            table.add(kernel=kernel, data=name, quantity="risk", x=n, y=y)
    return table


def _fig4(table: Table) -> MplFigure:
    looks = _looks(table)
    figure, rows = _rows(table, 3, 2.7)
    labels = {
        "eigenvalue": ("index", "eigenvalue / trace", "log"),
        "power": ("leading modes", "share of target power", "linear"),
        "risk": ("training samples N", "test risk, best ridge", "log"),
    }
    for data, axes, of_data in rows:
        for axis, (quantity, (x, y, scale)) in zip(axes, labels.items(), strict=True):
            for i, ((kernel,), part) in enumerate(
                of_data.where(quantity=quantity).groups("kernel")
            ):
                look = looks[str(kernel)] | ({} if quantity == "risk" else {"marker": ""})
                axis.plot(
                    part["x"], part["y"], ls=("-", "--", "-.", ":")[i % 4], label=kernel, **look
                )
            axis.set(xscale="log", yscale=scale, xlabel=x, title=y)
        axes[0].set_ylabel(str(data) if len(rows) > 1 else "")
        axes[0].set_ylim(1e-8, 2)  # below, the spectrum of a kernel of low rank is rounding
        sample_axis(axes[2], of_data.where(quantity="risk")["x"])
        _plain(axes[2].yaxis)
    shared_legend(figure, [rows[0][1][2]], 4)
    return figure


def _scaling_table(results: AllResults, preset: Preset) -> Table:
    table = Table(
        "kernel", "data", "n", "kappa", "test", "alpha_hat", "rate", "rate_se", "predicted_rate"
    )
    for kernel, name, rows in curves(results):
        sizes, ridges = _grid(rows)
        if 0.0 not in ridges:
            continue
        ridgeless = ridges.index(0.0)
        kappa, test, gcv = (rows.stack(q)[:, :, ridgeless] for q in ("kappa", "test", "gcv"))
        fit = fit_exponents(np.asarray(sizes), kappa.T, test.T)
        from_gcv = fit_exponents(np.asarray(sizes), kappa.T, gcv.T)
        rate = predicted_exponent(max(from_gcv.alpha, 1.001), max(from_gcv.delta or 0.0, 1.001))
        for i, n in enumerate(sizes):
            table.add(
                kernel=kernel,
                data=name,
                n=n,
                kappa=kappa.mean(0)[i],
                test=test.mean(0)[i],
                alpha_hat=fit.alpha,
                rate=float(fit.rate or np.nan),
                rate_se=float(fit.rate_se or np.nan),
                predicted_rate=rate,
            )
    return table


def _fig5(table: Table) -> MplFigure:
    looks = _looks(table)
    figure, rows = _rows(table, 2, 3.0 + 0.17 * len(looks))
    for data, (left, right), of_data in rows:
        for (kernel,), part in of_data.groups("kernel"):
            n, look = part["n"], looks[str(kernel)]
            alpha, rate, expected = (
                float(part[c][0]) for c in ("alpha_hat", "rate", "predicted_rate")
            )
            left.plot(
                n, part["kappa"] / part["kappa"][0], label=f"{kernel}: N^{-alpha:.2f}", **look
            )
            right.plot(
                n, part["test"], label=f"N^{-rate:.2f}; from GCV and κ̂: N^{-expected:.2f}", **look
            )
        where = f"{data}: " if len(rows) > 1 else ""
        left.set(xscale="log", yscale="log", xlabel="N", title=f"{where}ridgeless κ̂ / first κ̂")
        right.set(xscale="log", yscale="log", xlabel="N", title=f"{where}ridgeless test risk")
        _plain(right.yaxis)
        for axis in (left, right):
            legend_below(axis)
            sample_axis(axis, of_data["n"])
    return figure


def _control_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "design", "x", "mean", "se")
    for (design,), rows in _by(results["gcv_controls"], "design"):
        ratio = rows.stack("gcv") / rows.stack("risk")
        ratio = ratio.reshape(-1, ratio.shape[-1])
        for j, r in enumerate(next(iter(rows)).cell["ridges"]):
            table.add(
                panel="GCV / risk",
                design=design,
                x=r,
                mean=ratio[:, j].mean(),
                se=ratio[:, j].std() / np.sqrt(len(ratio)),
            )
    for (design,), rows in _by(results["local_law"], "design"):
        for row in rows:
            for law in ("averaged", "anisotropic"):
                squares = row[law][:, 1] ** 2  # at the moving ridge
                table.add(
                    panel=law,
                    design=design,
                    x=row.cell["n"],
                    mean=float(np.sqrt(squares.mean())),
                    se=float(squares.std() / np.sqrt(squares.size) / 2 / np.sqrt(squares.mean())),
                )
    return table


def _by(results: Results, *names: str) -> list[tuple[tuple[str, ...], Results]]:
    values = [v if isinstance(v, tuple) else (v,) for v in results.unique(*names)]
    return [(v, results.where(**dict(zip(names, v, strict=True)))) for v in values]


def _fig6(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.8)
    for axis, ((panel,), part) in zip(axes[0], table.groups("panel"), strict=True):
        _designs(axis, part)
        axis.set(
            xscale="log",
            yscale="log",
            title=str(panel),
            xlabel="ridge" if "GCV" in str(panel) else "N",
        )
        if "GCV" not in str(panel):
            sample_axis(axis, part["x"])
    axes[0, 0].axhline(1.0, color="grey", lw=0.8, ls=":")
    axes[0, 1].set_title("(A) averaged law")
    axes[0, 2].set_title("(B) anisotropic law")
    axes[0, 0].legend()
    return figure


def _designs(axis: Axes, part: Table) -> None:
    order = ("gaussian", "rademacher", "duplicated", "augmented", "elliptical", "steep")
    for (design,), rows in part.groups("design"):
        i = order.index(str(design))
        axis.errorbar(
            rows["x"],
            rows["mean"],
            yerr=rows["se"],
            color=COLOURS[i],
            marker=MARKERS[i],
            label=design,
        )


_RELATIVE = (
    "Ridges are relative to tr K / N; one-hot labels minus 0.1, squared error summed over the ten "
    "classes."
)
FIGURES = (
    Figure(
        "mtt_fig1",
        "Predicted and actual risk over N and ridge",
        "scaled",
        REAL,
        _risk_table,
        _fig1,
        "Kernels on the last data set: test risk (lines, band: standard deviation over splits), "
        "GCV from the training set alone (open markers) and training risk (dotted). Below: GCV / "
        f"LOO, grey where the random-matrix hypothesis is credible. {_RELATIVE}",
        "The paper shows a ResNet-34 pretrained on ImageNet, on CIFAR-100.",
    ),
    Figure(
        "mtt_fig2",
        "Which theories predict the risk",
        "content",
        REAL,
        _theory_table,
        _fig2,
        "Predicted against actual risk, one point per N and ridge; lines join the ridgeless "
        "points; dotted: equality. The norm bound is flat and vacuous, the spectrum alone is too "
        "optimistic, the plug-in estimate collapses as N nears the number of samples it was made "
        f"from; GCV lies on the diagonal. {_RELATIVE}",
    ),
    Figure(
        "mtt_fig3",
        "GCV and LOO against test risk, all kernels",
        "scaled",
        REAL,
        _risk_table,
        _fig3,
        f"One point per kernel, data set, N and ridge; dotted: equality. {_RELATIVE}",
        "The paper has more networks and data sets.",
    ),
    Figure(
        "mtt_fig4",
        "Spectra, alignment and risk",
        "content",
        REAL,
        _spectrum_table,
        _fig4,
        (
            "Eigenvalues, cumulative target power in the leading eigenvectors, and test risk at "
            "the best ridge."
        ),
        "Networks trained here stand beside ImageNet-pretrained ones where the preset has them.",
    ),
    Figure(
        "mtt_fig5",
        "Scaling laws",
        "content",
        REAL,
        _scaling_table,
        _fig5,
        "Effective regularisation and risk at ridge 0 against N with fitted exponents, in the "
        "same order left and right; the expected rate min(δ̂ - 1, 2α̂) is fitted without any test "
        "data.",
    ),
    Figure(
        "mtt_fig6",
        "Where GCV must fail",
        "ours",
        ("gcv_controls", "local_law"),
        _control_table,
        _fig6,
        "GCV over true risk on random features with eigenvalues i^-1.5, and the residuals of the "
        "two random-matrix laws at the ridge 0.3 κ(0, N): they fall with N for independent "
        "samples and stall for the others. Bars: one standard error; dotted: GCV is right.",
    ),
)
