"""Figures of the paper: tables reduced from results, and their drawings."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.ssl_lower_bound import tables
from theorylab.papers.ssl_lower_bound.published import TASKS
from theorylab.papers.ssl_lower_bound.tables import LEARNERS, NAMES
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, panels, sample_axis, shared_legend

STYLE = {
    m: {"color": COLOURS[i % 6], "marker": MARKERS[i % 6], "ls": DASHES[i % 6]}
    for i, m in enumerate(NAMES)
}


def _draw_gain_map(table: Table) -> MplFigure:
    shown = table.groups("s")
    figure, axes = panels(len(shown), height=2.9, sharey=True)
    for axis, ((s,), part) in zip(axes[0], shown, strict=True):
        n_l, n_u = np.unique(part["n_l"]), np.unique(part["n_u"])
        grid = part["ratio"].reshape(len(n_l), len(n_u)).T
        mesh = axis.contourf(n_l, n_u, grid, np.linspace(1, 2, 21), cmap="viridis", extend="both")
        q = float(part["q"][0])
        axis.plot(n_l, n_l / q, color="white", ls="--", marker="", lw=1.2)
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="labelled $n_l$",
            ylim=(n_u[0], n_u[-1]),
            title=f"$s = {s:g}$",
        )
        axis.grid(False)
        axis.text(
            0.04,
            0.95,
            "UL+ does\nas well",
            color="white",
            va="top",
            transform=axis.transAxes,
            fontsize=7.5,
        )
        axis.text(
            0.96,
            0.05,
            "SL does\nas well",
            color="white",
            ha="right",
            transform=axis.transAxes,
            fontsize=7.5,
        )
    axes[0, 0].set_ylabel("unlabelled $n_u$")
    figure.colorbar(
        mesh, ax=list(axes[0]), label="best of SL and UL+ / SSL-EM", ticks=[1, 1.25, 1.5, 1.75, 2]
    )
    return figure


def _band(axis: Axes, x: np.ndarray, mean: np.ndarray, half: np.ndarray, colour: object) -> None:
    band(axis, x.tolist(), (mean - half).tolist(), (mean + half).tolist(), colour)


def _draw_gaps(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.9)
    for axis, ((panel,), part) in zip(axes[0], table.groups("panel"), strict=True):
        for (method,), rows in part.groups("method"):
            style = STYLE[str(method)]
            axis.plot(rows["x"], rows["mean"], label=NAMES[str(method)], **(style | {"ls": "-"}))
            _band(axis, rows["x"], rows["mean"], 2 * rows["se"], style["color"])
            axis.plot(rows["x"], rows["predicted"], color=style["color"], ls=":", marker="", lw=1)
        axis.axhline(1.0 if panel == "labels" else 0.0, color="grey", lw=0.7)
        axis.set_title("best of SL, UL+ / SSL" if panel == "labels" else f"error gap {panel}")
        axis.set_xlabel("labelled $n_l$" if panel == "labels" else "signal-to-noise ratio $s$")
    for axis in axes[0, :2]:
        axis.set_yscale("symlog", linthresh=1e-3)
        axis.set_ylim(-0.5, 0.5)
    sample_axis(axes[0, 2], table.where(panel="labels")["x"])
    axes[0, 0].set_ylabel("Err(baseline) − Err(SSL)")
    axes[0, 2].set_ylim(0.7, 2.1)
    shared_legend(figure, axes[0], 5)
    return figure


def _draw_real_data(table: Table) -> MplFigure:
    counts = [n for n in (6.0, 20.0) if n in set(table["n_l"])]
    strength = {
        str(t): float(part["s_hat"][0] ** 2 * part["n_u"][0]) for (t,), part in table.groups("task")
    }
    order = sorted(strength, key=lambda t: strength[t])
    figure, axes = panels(2, len(counts), height=3.4, sharex=True, sharey=True)
    for axis_row, n_l in zip(axes, counts, strict=True):
        for axis, learner in zip(axis_row, ("SSL-W", "self-training"), strict=True):
            for i, base in enumerate(("SL", "UL+")):
                part = table.where(n_l=n_l, learner=learner, baseline=base)
                at = np.array([order.index(str(t)) for t in part["task"]])
                place = np.argsort(at)
                y, colour = at[place] + 0.24 * (0.5 - i), (COLOURS[5], COLOURS[1])[i]
                style = {"ls": "none", "marker": MARKERS[i], "color": colour}
                bars = 2 * part["se"][place]
                axis.errorbar(part["gap"][place], y, xerr=bars, lw=1, label=f"over {base}", **style)
                axis.plot(
                    part["published"][place],
                    y,
                    mfc="none",
                    ms=7,
                    label=f"over {base}, published",
                    **style,
                )
            axis.axvline(0, color="grey", lw=0.7)
            axis.set_title(f"{learner}, {n_l:g} labels")
            axis.set_yticks(range(len(order)), [TASKS.get(t, t) for t in order], fontsize=7.5)
            axis.set_ylim(-0.7, len(order) - 0.3)
    for axis in axes[-1]:
        axis.set_xlabel("Err(baseline) − Err(SSL)")
    shared_legend(figure, [axes[0, 0]], 4, loc="outside upper center")
    return figure


def _draw_few_labels(table: Table) -> MplFigure:
    most = max(len(set(part["n_l"])) for _, part in table.groups("task"))
    shown = [(t, part) for (t,), part in table.groups("task") if len(set(part["n_l"])) == most][:6]
    figure, axes = panels(min(3, max(2, len(shown))), -(-len(shown) // 3), height=2.5)
    for axis, (task, part) in zip(axes.ravel(), shown, strict=False):
        for i, (learner, label) in enumerate(LEARNERS.items()):
            rows = part.where(learner=learner)
            axis.plot(
                rows["n_l"],
                rows["error"],
                color=COLOURS[i],
                marker=MARKERS[i],
                ls=DASHES[i],
                label=label,
            )
            _band(axis, rows["n_l"], rows["error"], rows["se"], COLOURS[i])
        axis.set(title=TASKS.get(str(task), str(task)), ylim=(0, None), xlabel="labels $n_l$")
        sample_axis(axis, part["n_l"])
    for axis in axes.ravel()[len(shown) :]:
        axis.set_axis_off()
    shared_legend(figure, axes.ravel(), 3, spare=axes.ravel()[len(shown) :])
    for axis in axes[:, 0]:
        axis.set_ylabel("test error")
    return figure


def _draw_bound(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.1, sharey=True)
    wanted = [m for m in NAMES if m in set(table["method"]) and m != "ul"]
    for method in wanted:
        rows, style = table.where(method=method), STYLE[method] | {"ls": "none", "ms": 3}
        for axis, bound in zip(axes[0], ("bound", "labels_only"), strict=True):
            axis.plot(
                rows["bound"],
                rows["excess"] / rows[bound],
                label=NAMES[method],
                alpha=0.75,
                **style,
            )
    for axis, title in zip(axes[0], ("the bound", "unlabelled points left out of it"), strict=True):
        axis.axhline(1, color="grey", lw=1)
        axis.axhspan(1e-2, 1, color="grey", alpha=0.12, lw=0)
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="lower bound on the excess risk",
            title=f"risk / {title}",
        )
        axis.set_ylim(0.05, 3e4)
    axes[0, 0].axhline(27 / 4, color="grey", lw=0.8, ls=":")
    axes[0, 0].set_ylabel("simulated / bound")
    shared_legend(figure, [axes[0, 1]], 6)
    return figure


def _draw_risks(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.0)
    axis, settings = axes[0, 0], table.groups("s", "d", "n_l", "n_u")
    for k, method in enumerate(dict.fromkeys(table["method"])):
        rows = table.where(method=method)
        x = np.arange(len(settings)) + 0.14 * (k - 2)
        style = STYLE[method] | {"ls": "none"}
        axis.errorbar(
            x,
            rows["ratio"],
            yerr=2 * rows["se"] / rows["predicted"],
            lw=1,
            label=NAMES[method],
            **style,
        )
    axis.axhline(1, color="grey", lw=0.8)
    axis.axhspan(0.9, 1.1, color="grey", alpha=0.12, lw=0)
    names = [f"s = {s:g}\nd = {d:g}\n{n_l:g} + {n_u:g}" for (s, d, n_l, n_u), _ in settings]
    axis.set_xticks(range(len(settings)), names, fontsize=7)
    axis.set(ylabel="simulated / predicted risk", yscale="log")
    axis.set_yticks(
        [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0], ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]
    )
    axis.minorticks_off()
    axis.legend(fontsize=7, loc="lower left")
    return figure


def _draw_rates(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    for axis, (_, part) in zip(axes[0], table.groups("panel"), strict=True):
        for (method,), rows in part.groups("method"):
            style = STYLE["ul_plus" if method == "ul" else str(method)]
            name, points = NAMES[str(method)], style | {"ls": "none"}
            axis.errorbar(
                rows["x"], rows["excess"], yerr=2 * rows["se"], label=f"{name}: simulated", **points
            )
            axis.plot(
                rows["x"], rows["exact"], color=style["color"], marker="", label=f"{name}: theory"
            )
            axis.plot(
                rows["x"],
                rows["rate"],
                color=style["color"],
                marker="",
                ls=":",
                label=f"{name}: rate",
            )
        axis.set(xscale="log", yscale="log")
    axes[0, 0].set(
        xlabel="$n_l$ (SL), $n_u$ (UL)", title="$s = 1$", ylabel="excess risk × $e^{s^2/2}$"
    )
    axes[0, 1].set(xlabel="signal-to-noise ratio $s$", title="$n_l = n_u = 20{,}000$")
    axes[0, 1].set_xticks([0.2, 0.5, 1, 2, 3], ["0.2", "0.5", "1", "2", "3"])
    axes[0, 1].minorticks_off()
    shared_legend(figure, axes[0], 2)
    return figure


def _draw_regimes(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.8, sharey=True)
    titles = {"low": "$n_u/n_l → 0$", "intermediate": "$n_u/n_l = 3$", "high": "$n_u/n_l → ∞$"}
    for axis, ((regime,), part) in zip(axes[0], table.groups("regime"), strict=True):
        for (base,), rows in part.groups("over"):
            style, total = STYLE[str(base)], rows["n_l"] + rows["n_u"]
            axis.errorbar(
                total,
                rows["ratio"],
                yerr=2 * rows["se"],
                label=f"SSL-EM / {NAMES[str(base)]}",
                **style,
            )
            axis.plot(total, rows["limit"], color=style["color"], ls=":", marker="")
        axis.set(title=titles[str(regime)], xscale="log", xlabel="$n_l + n_u$", ylim=(0, 1.15))
        sample_axis(axis, part["n_l"] + part["n_u"])
    axes[0, 0].set_ylabel("ratio of excess risks")
    shared_legend(figure, [axes[0, 1]], 2)
    return figure


FIGURES = (
    Figure(
        "ssl_fig1",
        "How much SSL can gain over the better baseline",
        "ours",
        ("heat",),
        tables.heat_table,
        _draw_gain_map,
        "Leading-order excess risk of the better of SL and UL+ over that of SSL-EM, which is "
        "asymptotically minimax. Dashed: n_l = q(s) n_u, where labelled and unlabelled points are "
        "worth the same. The gain is a constant, at most about 2, and vanishes on both sides: no "
        "rate is gained.",
        (
            "The paper's Figure 1 is a drawing of the two extreme regimes and the one in between; "
            "this is computed."
        ),
    ),
    Figure(
        "ssl_fig2",
        "Error gaps over the signal-to-noise ratio, and the gain over labels",
        "content",
        ("snr", "labels"),
        tables.synthetic_table,
        _draw_gaps,
        "Left and middle: excess error of SL and of UL+ minus that of SSL-W at the optimal "
        "weight, of SSL-EM and of self-training (200 labels, 2,000 unlabelled points, d = 20; "
        "symmetric logarithmic axis). Right: better baseline over SSL at s = 0.7, 1,000 "
        "unlabelled points. Bands: two standard errors; dotted: leading order. Self-training with "
        "hard labels loses to SL where the classes overlap.",
        "The paper's settings are not known; SSL-EM is ours.",
    ),
    Figure(
        "ssl_fig3",
        "SSL-W and self-training on real data",
        "scaled",
        ("learners",),
        tables.real_table,
        _draw_real_data,
        "Error of SL and of UL+ minus that of SSL-W (t from labelled validation points) and of "
        "self-training; bars: two standard errors over draws; open: the values of the paper's "
        "figure where the data set is the same. Tasks by s_hat^2 n_u, s_hat the Fisher "
        "signal-to-noise ratio of the best linear rule. Where the set is the same, SSL-W's gaps "
        "have the published sign but not the size, whatever the number of labels: a gap of 0.157 "
        "over SL on 0v1 needs an SL error as large, ours is 0.04 with 4 labels. Self-training "
        "helps less here than published. The paper's preprocessing, numbers of labels, and choice "
        "of t are not known.",
        (
            "Of the paper's ten sets the five MNIST pairs and a9a (Adult, rebuilt) are available; "
            "others stand in."
        ),
    ),
    Figure(
        "ssl_fig4",
        "How few labels the gains need",
        "ours",
        ("learners",),
        tables.few_labels_table,
        _draw_few_labels,
        "Test error over the number of labels, mean over draws; bands: one standard error. "
        "Choosing t by the unlabelled margin simply picks UL+; from labelled validation points it "
        "is close to the oracle.",
    ),
    Figure(
        "ssl_fig5",
        "No algorithm beats the lower bound",
        "ours",
        ("table", "labels", "snr", "grid", "limits"),
        tables.bound_table,
        _draw_bound,
        "Simulated excess risk over the minimax lower bound with N = n_l + q(s) n_u, every "
        "algorithm and setting; grey would be a violation. The dotted line is the efficient risk "
        "over the bound, 27/4. Right: a bound that counts labelled points only is violated.",
    ),
    Figure(
        "ssl_fig6",
        "Simulated and predicted risks",
        "ours",
        ("table",),
        tables.risk_table,
        _draw_risks,
        "Simulated over predicted excess risk (two standard errors): exact quadrature for SL, "
        "leading order for the others; grey: within 10 %. At s = 0.3, d = 50 with 20 + 200 points "
        "nothing can be learnt and no prediction is meant to hold.",
    ),
    Figure(
        "ssl_tab1",
        "Table 1: the rates, measured",
        "ours",
        ("slopes",),
        tables.rate_table,
        _draw_rates,
        "Excess risk times e^{s²/2} over sample sizes and over s (bars: two standard errors), "
        "theory with constants (lines), and the printed rates (dotted) through the theory's "
        "second point or, right, at s = 1. UL's s^-3 becomes s^-1 above s = 1.",
        "The paper's Table 1 states rates; the numbers are ours.",
    ),
    Figure(
        "ssl_tab2",
        "Table 2: SSL never gains both rates",
        "ours",
        ("limits",),
        tables.regime_table,
        _draw_regimes,
        "Risk of SSL-EM over that of SL and of UL+ at s = 0.7 as both samples grow at different "
        "speeds. Dotted: the limits 1/(1 + c q) and c i/(1 + c q), c = n_u/n_l, i = s²/(1+s²). "
        "Bars: two standard errors. One of the two may vanish, never both.",
        "The paper's corollary states limits; the numbers are ours.",
    ),
)
