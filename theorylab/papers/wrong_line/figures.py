"""Figures of the paper: tables reduced from results, and their drawings."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from scipy.special import ndtri

from theorylab.lab import Figure, Preset, Results, Table
from theorylab.plotting import COLOURS, MARKERS, band, diagonal, panels, ramp, sample_axis
from theorylab.shift.lines import accuracy_line

All = Mapping[str, Results]
CLIP = 1e-4
TICKS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
# correlation and slope of the reference table, by panel and setting
REFERENCE = {
    ("noise", 0.0): (0.96, 0.28), ("noise", 0.02): (-0.28, -0.07), ("noise", 0.05): (-0.81, -0.34),
    ("noise", 0.1): (-0.83, -0.39), ("noise", 0.2): (-0.77, -0.23), ("noise", 0.3): (-0.82, -0.19),
    ("penalty", 0.01): (0.55, 0.11), ("penalty", 0.03): (0.97, 0.50), ("penalty", 0.1): (0.99, 0.79),
    ("penalty", 0.3): (0.996, 0.90), ("penalty", 1e-5): (-0.83, -0.39), ("shift", 0.02): (0.998, 0.92),
    ("shift", 0.1): (0.64, 0.26), ("shift", 0.2): (-0.40, -0.15), ("shift", 0.5): (-0.83, -0.39),
    ("shift", 1.0): (-0.85, -0.32), ("dimension", 2000): (-0.11, -0.14), ("dimension", 10_000): (-0.74, -0.50),
    ("dimension", 50_000): (-0.83, -0.39), ("shortcut", 0.0): (0.96, np.nan), ("shortcut", 0.1): (0.25, np.nan),
}  # fmt: skip


def axis(rows: Results, name: str) -> list[float]:
    """An axis of the arrays of an experiment, from its cells."""
    return list(next(iter(rows)).cell[name])


def line_of(inside: np.ndarray, outside: np.ndarray, ns: Sequence[float]) -> tuple[float, float, float]:
    """(pooled correlation, slope, correlation of the means by n) of accuracies (seeds, sizes)."""
    fit = accuracy_line(inside, outside, clip=CLIP, groups=np.broadcast_to(np.asarray(ns), inside.shape))
    return fit.corr, fit.slope, fit.group_corr


def settings(results: All) -> list[tuple[str, float, np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[float]]]:
    """(panel, value, id, ood, train error, sensitivity; (seeds, sizes) each, sizes) of every linear setting."""
    found = []

    def add(panel: str, value: float, rows: Results, e: int, l: int, t: int) -> None:
        inside, outside = rows.stack("id")[:, :, e, l], rows.stack("ood")[:, :, e, l, t]
        error, rho = (rows.stack(q)[:, :, e, l] for q in ("train_error", "sensitivity"))
        found.append((panel, value, inside, outside, error, rho, axis(rows, "ns")))

    noise = results["noise"]
    etas, taus = axis(noise, "etas"), axis(noise, "taus")
    interpolating, tau = int(np.argmin(axis(noise, "lams"))), taus.index(next(iter(noise)).cell["model"]["tau"])
    for e, eta in enumerate(etas):
        add("noise", eta, noise, e, interpolating, tau)
    for l, lam in enumerate(axis(results["penalty"], "lams")):
        add("penalty", lam, results["penalty"], 0, l, 0)
    for t, value in enumerate(taus):
        add("shift", value, noise, etas.index(0.1), interpolating, t)
    base = next(iter(noise)).cell["model"]["k"]
    for model in results["dimension"].unique("model"):
        if model["k"] != base:
            add("dimension", model["k"], results["dimension"].where(model=model), 0, 0, 0)
    add("dimension", base, noise, etas.index(0.1), interpolating, tau)
    for e, eta in enumerate(axis(results["shortcut"], "etas")):
        add("shortcut", eta, results["shortcut"], e, 0, 0)
    return found


def _linear_table(results: All, preset: Preset) -> Table:
    table = Table("panel", "value", "n", "id", "id_sd", "ood", "ood_sd", "train_error", "rho", "corr", "slope",
                  "corr_of_means", "reference_corr", "reference_slope")  # fmt: skip
    for panel, value, inside, outside, error, rho, ns in settings(results):
        corr, slope, means = line_of(inside, outside, ns)
        ref = REFERENCE.get((panel, value), (np.nan, np.nan))
        for i, n in enumerate(ns):
            table.add(panel=panel, value=value, n=n, id=inside[:, i].mean(), id_sd=inside[:, i].std(),
                      ood=outside[:, i].mean(), ood_sd=outside[:, i].std(), train_error=error[:, i].mean(),
                      rho=rho[:, i].mean(), corr=corr, slope=slope, corr_of_means=means, reference_corr=ref[0],
                      reference_slope=ref[1])  # fmt: skip
    return table


def _points_table(results: All, preset: Preset) -> Table:
    table = Table("eta", "n", "seed", "id", "ood", "corr", "slope", "corr_of_means")
    rows = results["noise"]
    for panel, eta, inside, outside, _, _, ns in settings(results):
        if panel == "noise" and eta in (0.0, 0.1):
            corr, slope, means = line_of(inside, outside, ns)
            for s, row in enumerate(rows):
                for i, n in enumerate(ns):
                    table.add(eta=eta, n=n, seed=row.cell["seed"], id=inside[s, i], ood=outside[s, i], corr=corr,
                              slope=slope, corr_of_means=means)  # fmt: skip
    return table


def probit_axes(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Probit scales on both axes, drawn by hand so that the ticks are accuracies."""
    for which, values in ((axes.xaxis, x), (axes.yaxis, y)):
        z = ndtri(np.clip(values, CLIP, 1 - CLIP))
        low, high = z.min() - 0.15 * np.ptp(z) - 0.05, z.max() + 0.15 * np.ptp(z) + 0.05
        shown = [t for t in TICKS if low <= ndtri(t) <= high]
        while len(shown) > 5:
            shown = shown[::2]
        which.set_major_locator(FixedLocator(ndtri(np.asarray(shown)).tolist()))
        which.set_major_formatter(FixedFormatter([f"{t:g}" for t in shown]))
        which.set_minor_locator(NullLocator())
        (axes.set_xlim if which is axes.xaxis else axes.set_ylim)(low, high)


def scatter(axes: Axes, rows: Table, *, line: bool = True) -> None:
    """One point per model on probit axes, coloured by training size, and the fitted line."""
    x, y = (ndtri(np.clip(rows[q], CLIP, 1 - CLIP)) for q in ("id", "ood"))
    sizes = sorted(set(rows["n"]))
    for colour, marker, n in zip(ramp(len(sizes)), (*MARKERS, "X", "p"), sizes, strict=False):
        at = rows["n"] == n
        axes.plot(x[at], y[at], ls="none", marker=marker, color=colour, label=f"n = {n:g}")
    if line and np.ptp(x) > 0:
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, slope * ends + intercept, color="grey", marker="", lw=1)
    probit_axes(axes, rows["id"], rows["ood"])


def _fig1(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.1)
    for axis_, eta, letter in zip(axes[0], (0.1, 0.0), "ab", strict=True):
        rows = table.where(eta=eta)
        scatter(axis_, rows)
        name = f"label noise {eta:.0%}" if eta else "clean labels"
        axis_.set(title=f"({letter}) {name}: corr {rows['corr'][0]:+.2f}, slope {rows['slope'][0]:+.2f}",
                  xlabel="ID accuracy (probit scale)")  # fmt: skip
    axes[0, 0].set_ylabel("OOD accuracy (probit scale)")
    axes[0, 1].legend(loc="lower right")
    return figure


_PANELS = {"noise": "label noise η", "penalty": "penalty λ (η = 0.1)", "shift": "shift τ (η = 0.1)",
           "dimension": "nuisance features k (η = 0.1)"}  # fmt: skip


def _ablation(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=2.9)
    for axis_, (panel, title) in zip(axes.flat, _PANELS.items(), strict=True):
        part = table.where(panel=panel)
        groups = sorted(part.groups("value"))
        for i, (colour, ((value,), rows)) in enumerate(zip(ramp(len(groups)), groups, strict=True)):
            x, y = (ndtri(np.clip(rows[q], CLIP, 1 - CLIP)) for q in ("id", "ood"))
            axis_.plot(x, y, color=colour, marker=MARKERS[i % 6], label=f"{value:g}: corr {rows['corr'][0]:+.2f}")
            axis_.plot(x[-1:], y[-1:], color=colour, marker=MARKERS[i % 6], ms=8, mfc="none", ls="none")
        probit_axes(axis_, part["id"], part["ood"])
        axis_.set_title(title)
        axis_.legend(fontsize=6.5, loc="upper left" if panel in ("noise", "penalty", "shift") else "lower left")
    for axis_ in axes[1]:
        axis_.set_xlabel("ID accuracy (probit scale)")
    for axis_ in axes[:, 0]:
        axis_.set_ylabel("OOD accuracy (probit scale)")
    return figure


def _reference(table: Table) -> MplFigure:
    figure, axes = panels(2, height=4.2, sharey=True)
    groups = table.groups("panel", "value")
    y = np.arange(len(groups))[::-1]
    signs = {"noise": "η", "penalty": "λ", "shift": "τ", "dimension": "k", "shortcut": "shortcut, η"}
    for axis_, quantity in zip(axes[0], ("corr", "slope"), strict=True):
        ours = [rows[quantity][0] for _, rows in groups]
        theirs = [rows[f"reference_{quantity}"][0] for _, rows in groups]
        axis_.axvline(0, color="grey", lw=0.8)
        axis_.plot(theirs, y, ls="none", marker="D", mfc="none", ms=6, color=COLOURS[1], label="reference values")
        axis_.plot(ours, y, ls="none", marker="o", color=COLOURS[0], label="measured here")
        axis_.set_xlabel("correlation of probits" if quantity == "corr" else "slope of the probit line")
    axes[0, 0].set_yticks(y, [f"{signs[str(p)]} = {v:g}" for (p, v), _ in groups])
    axes[0, 1].legend(loc="lower right")
    return figure


def _curves(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.8)
    part = table.where(panel="noise")
    groups = sorted(part.groups("value"))
    for axis_, quantity in zip(axes[0], ("id", "ood", "rho"), strict=True):
        for i, (colour, ((eta,), rows)) in enumerate(zip(ramp(len(groups)), groups, strict=True)):
            axis_.plot(rows["n"], rows[quantity], color=colour, marker=MARKERS[i % 6], label=f"η = {eta:g}")
            if quantity != "rho":
                low, high = rows[quantity] - rows[f"{quantity}_sd"], rows[quantity] + rows[f"{quantity}_sd"]
                band(axis_, rows["n"], low, np.minimum(high, 1.0), colour)
        sample_axis(axis_, part["n"])
        axis_.set_xlabel("training samples n")
    axes[0, 0].set_title("ID accuracy")
    axes[0, 1].set_title("OOD accuracy")
    axes[0, 2].set(title="sensitivity ‖w_N‖ / ‖w_S‖", yscale="log")
    axes[0, 2].set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes[0, 2].minorticks_off()
    axes[0, 0].legend(fontsize=6.5, loc="lower right")
    return figure


def _bounds_table(results: All, preset: Preset) -> Table:
    table = Table("quantity", "eta", "n", "seed", "measured", "bound")
    rows = results["noise"]
    etas, ns = axis(rows, "etas"), axis(rows, "ns")
    last, taus = int(np.argmin(axis(rows, "lams"))), axis(rows, "taus")
    for row in rows:
        tau = taus.index(row.cell["model"]["tau"])
        for e, eta in enumerate(etas):
            for i, n in enumerate(ns):
                if eta and np.isfinite(row["memorised"][i, e, last]):
                    here = {"eta": eta, "n": n, "seed": row.cell["seed"]}
                    table.add(quantity="weights", measured=row["norm_n"][i, e, last],
                              bound=row["memorised"][i, e, last], **here)  # fmt: skip
                    table.add(quantity="ood error", measured=1 - row["ood"][i, e, last, tau],
                              bound=row["ood_bound"][i, e], **here)  # fmt: skip
    for row in results["mean_shift"]:
        for m, true, bound in zip(row.cell["margins"], row["true"], row["bound"], strict=True):
            table.add(quantity="mean shift", eta=0.0, n=m, seed=row.cell["seed"], measured=true, bound=bound)
    return table


def _bounds(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.9)
    for axis_, quantity in zip(axes[0], ("weights", "ood error"), strict=False):
        part = table.where(quantity=quantity)
        groups = sorted(part.groups("eta"))
        for i, (colour, ((eta,), rows)) in enumerate(zip(ramp(len(groups)), groups, strict=True)):
            axis_.plot(rows["bound"], rows["measured"], ls="none", marker=MARKERS[i % 6], ms=3, color=colour,
                       label=f"η = {eta:g}")  # fmt: skip
        ends = part["bound"].min(), part["measured"].max()
        diagonal(axis_, *ends)
        axis_.set(xlabel="lower bound", title=f"{quantity}: measured ≥ bound")
    axes[0, 0].set(xscale="log", yscale="log", title="‖w_N‖ at margin 1", ylabel="measured")
    for which in (axes[0, 0].xaxis, axes[0, 0].yaxis):
        which.set_major_locator(FixedLocator([0.2, 0.5, 1, 2, 5, 10, 20]))
        which.set_major_formatter(FixedFormatter(["0.2", "0.5", "1", "2", "5", "10", "20"]))
        which.set_minor_locator(NullLocator())
    axes[0, 1].set_title("OOD error, zero-mean shift")
    axes[0, 0].legend(fontsize=6.5, loc="upper left")
    part = table.where(quantity="mean shift")
    margins = sorted(set(part["n"]))
    for name, colour, marker in (("measured", COLOURS[0], "o"), ("bound", COLOURS[1], "s")):
        mean = [part.where(n=m)[name].mean() for m in margins]
        axes[0, 2].plot(margins, mean, color=colour, marker=marker, label=name)
    axes[0, 2].set(title="P(error | x), mean shift, κ = 3", xlabel="margin of x")
    axes[0, 2].legend(loc="lower left")
    return figure


def _learners_table(results: All, preset: Preset) -> Table:
    table = Table("learner", "eta", "n", "id", "ood", "train_error", "rho", "corr", "slope", "corr_of_means")
    rows = results["learners"]
    ns, steps = axis(rows, "ns"), axis(rows, "steps")
    for t, name in enumerate([*(f"GD, {s:g} steps" for s in steps), "minimum norm"]):
        for e, eta in enumerate(axis(rows, "etas")):
            arrays = {q: rows.stack(q)[:, :, e, t] for q in ("id", "ood", "train_error", "sensitivity")}
            corr, slope, means = line_of(arrays["id"], arrays["ood"], ns)
            for i, n in enumerate(ns):
                table.add(learner=name, eta=eta, n=n, id=arrays["id"][:, i].mean(), ood=arrays["ood"][:, i].mean(),
                          train_error=arrays["train_error"][:, i].mean(), rho=arrays["sensitivity"][:, i].mean(),
                          corr=corr, slope=slope, corr_of_means=means)  # fmt: skip
    return table


def _lines(axes: Axes, part: Table, by: str, legend: str) -> None:
    """ID-OOD curves through the means by n, one for each group; the last n is ringed."""
    for i, ((value,), rows) in enumerate(part.groups(by)):
        colour, marker = COLOURS[i % 6], MARKERS[i % 6]
        x, y = (ndtri(np.clip(rows[q], CLIP, 1 - CLIP)) for q in ("id", "ood"))
        name = f"{value:g}" if isinstance(value, float) else value
        axes.plot(x, y, color=colour, marker=marker, label=f"{legend}{name}: corr {rows['corr'][0]:+.2f}")
        axes.plot(x[-1:], y[-1:], color=colour, marker=marker, ms=8, mfc="none", ls="none")
    probit_axes(axes, part["id"], part["ood"])
    axes.legend(fontsize=6.5)
    axes.set_xlabel("ID accuracy (probit scale)")


def _learners(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.1)
    for axis_, eta in zip(axes[0], sorted(set(table["eta"]), reverse=True), strict=True):
        _lines(axis_, table.where(eta=eta), "learner", "")
        axis_.set_title(f"label noise {eta:.0%}" if eta else "clean labels")
    axes[0, 0].set_ylabel("OOD accuracy (probit scale)")
    return figure


def grid_table(results: All, experiment: str, group: Callable[[Mapping[str, object]], str],
               stages: Sequence[str] = ("",)) -> Table:  # fmt: skip
    """Means by group of cells, noise rate, last axis (penalty, stage) and n, with the line over seeds and sizes."""
    table = Table("group", "eta", "stage", "n", "id", "id_sd", "ood", "ood_sd", "train_error", "corr", "slope",
                  "corr_of_means")  # fmt: skip
    rows = results[experiment]
    for name in dict.fromkeys(group(row.cell) for row in rows):
        part = Results(tuple(row for row in rows if group(row.cell) == name))
        ns, etas = axis(part, "ns"), axis(part, "etas")
        arrays = {q: part.stack(q) for q in ("id", "ood", "train_error")}
        for e, eta in enumerate(etas):
            for t, stage in enumerate(stages):
                here = {q: a[:, :, e] if a.ndim == 3 else a[:, :, e, t] for q, a in arrays.items()}
                corr, slope, means = line_of(here["id"], here["ood"], ns)
                for i, n in enumerate(ns):
                    table.add(group=name, eta=eta, stage=stage, n=n, corr=corr, slope=slope, corr_of_means=means,
                              id=here["id"][:, i].mean(), id_sd=here["id"][:, i].std(),
                              ood=here["ood"][:, i].mean(), ood_sd=here["ood"][:, i].std(),
                              train_error=here["train_error"][:, i].mean())  # fmt: skip
    return table


def pair_name(cell: Mapping[str, object]) -> str:
    return f"{cell['data']} {cell['first']} v {cell['second']}"


def _pairs_table(results: All, preset: Preset) -> Table:
    stages = [f"λ = {lam:g}" for lam in axis(results["pairs"], "lams")]
    return grid_table(results, "pairs", pair_name, stages)


def _pairs(table: Table) -> MplFigure:
    names = list(dict.fromkeys(table["group"]))
    figure, axes = panels(2, len(names), height=2.9, sharey="row")
    for row, name in zip(axes, names, strict=True):
        part = table.where(group=name)
        curves = [(f"η = {e:g}, {s}", r) for (e, s), r in part.groups("eta", "stage") if e or "e-" in str(s)]
        curves = [c for c in curves if "0.2, λ = 0.1" not in c[0]]
        for axis_, quantity in zip(row, ("id", "ood"), strict=True):
            for i, (label, rows) in enumerate(curves):
                axis_.plot(rows["n"], rows[quantity], color=COLOURS[i % 6], marker=MARKERS[i % 6],
                           label=f"{label}: corr {rows['corr'][0]:+.2f}")  # fmt: skip
                low, high = rows[quantity] - rows[f"{quantity}_sd"], rows[quantity] + rows[f"{quantity}_sd"]
                band(axis_, rows["n"], low, high, COLOURS[i % 6])
            sample_axis(axis_, part["n"])
            axis_.set(title=f"{name}: {'ID' if quantity == 'id' else 'OOD'} accuracy", xlabel="training samples n")
        row[1].legend(fontsize=6.5, loc="lower left")
    return figure


def _mlp_table(results: All, preset: Preset) -> Table:
    return grid_table(results, "mlp", lambda cell: "MLP", ("interpolating", "stopped early"))


def _mlp(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0, sharey=True)
    for axis_, quantity in zip(axes[0], ("id", "ood"), strict=True):
        for i, ((eta, stage), rows) in enumerate(table.groups("eta", "stage")):
            axis_.plot(rows["n"], rows[quantity], color=COLOURS[i % 6], marker=MARKERS[i % 6],
                       label=f"η = {eta:g}, {stage}: corr {rows['corr'][0]:+.2f}")  # fmt: skip
            low, high = rows[quantity] - rows[f"{quantity}_sd"], rows[quantity] + rows[f"{quantity}_sd"]
            band(axis_, rows["n"], low, high, COLOURS[i % 6])
        sample_axis(axis_, table["n"])
        axis_.set(title=f"{'ID' if quantity == 'id' else 'OOD'} accuracy", xlabel="training samples n")
    axes[0, 0].legend(fontsize=6.5)
    return figure


def _coloured_table(results: All, preset: Preset) -> Table:
    return grid_table(results, "coloured", lambda cell: str(cell["name"]))


def _coloured(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.1, sharey=True)
    for axis_, ((name,), part) in zip(axes[0], table.groups("group"), strict=True):
        _lines(axis_, part, "eta", "η = ")
        axis_.set_title({"interpolating": "interpolating (ridge 1e-4)", "ridge": "not interpolating (ridge 1)"}[name])
    axes[0, 0].set_ylabel("OOD accuracy (probit scale)")
    return figure


def search_lines(results: All) -> list[tuple[str, float, np.ndarray, tuple[float, float, float], Results, int]]:
    """(setting, eta, correlation of each seed over its sizes, pooled line, rows, index of eta) of the search."""
    found = []
    for name in results["search"].unique("name"):
        rows = results["search"].where(name=name)
        ns = axis(rows, "ns")
        inside, outside = rows.stack("id"), rows.stack("ood")
        for e, eta in enumerate(axis(rows, "etas")):
            each = np.array(
                [line_of(i[None], o[None], ns)[0] for i, o in zip(inside[:, :, e], outside[:, :, e], strict=True)]
            )
            found.append((name, eta, each, line_of(inside[:, :, e], outside[:, :, e], ns), rows, e))
    return found


def _search_table(results: All, preset: Preset) -> Table:
    from theorylab.lab import over_seeds

    table = Table("setting", "eta", "corr", "corr_of_means", "slope", "seed_corr", "seed_low", "seed_high", "id_first",
                  "id_last", "ood_first", "ood_last", "train_error", "n_first", "n_last", "seeds")  # fmt: skip
    for name, eta, each, (corr, slope, means), rows, e in search_lines(results):
        spread = over_seeds("", each).interval or (np.nan, np.nan)
        inside, outside = rows.stack("id")[:, :, e].mean(0), rows.stack("ood")[:, :, e].mean(0)
        ns = axis(rows, "ns")
        table.add(setting=name, eta=eta, corr=corr, corr_of_means=means, slope=slope, seed_corr=each.mean(),
                  seed_low=spread[0], seed_high=spread[1], id_first=inside[0], id_last=inside[-1],
                  ood_first=outside[0], ood_last=outside[-1], train_error=rows.stack("train_error")[:, :, e].max(),
                  n_first=ns[0], n_last=ns[-1], seeds=len(each))  # fmt: skip
    return table


def _search(table: Table) -> MplFigure:
    names = list(dict.fromkeys(table["setting"]))
    figure, axes = panels(1, height=max(2.4, 0.42 * len(names) + 1.2))
    figure.set_figwidth(7.0)
    axis_ = axes[0, 0]
    axis_.axvline(0, color="grey", lw=0.8)
    etas = sorted(set(table["eta"]))
    for i, eta in enumerate(etas):
        rows = table.where(eta=eta)
        y = [len(names) - 1 - names.index(s) + 0.22 * (1 - i) for s in rows["setting"]]
        low, high = (np.clip(rows[q], -1, 1) for q in ("seed_low", "seed_high"))
        middle = rows["seed_corr"]
        axis_.errorbar(middle, y, xerr=[np.maximum(middle - low, 0), np.maximum(high - middle, 0)], ls="none", lw=1,
                       marker=MARKERS[i], color=COLOURS[i], label=f"η = {eta:g}")  # fmt: skip
    axis_.set_yticks(range(len(names))[::-1], names)
    axis_.set(xlim=(-1.05, 1.05), xlabel="ID-OOD correlation over n: mean over seeds, 95 % interval")
    axis_.legend(loc="upper center", bbox_to_anchor=(0.4, 1.0 + 0.6 / max(len(names), 3)), ncols=3, frameon=False)
    return figure


_LINEAR = ("noise", "penalty", "dimension", "shortcut")
_SETTING = (
    "50 signal and k = 50,000 nuisance features (compressed exactly), l2-logistic regression at λ = 1e-5, OOD shift "
    "τ = 0.5 on the nuisance block; accuracies on clean labels, exact over the population."
)
FIGURES = (
    Figure(
        "wl_fig1", "Accuracy on the wrong line, and on the line", "content", ("noise", "penalty", "dimension", "shortcut"),
        _points_table, _fig1, "One point per training set. With wrong labels more data raise ID and lower OOD accuracy; "
        "without, both rise. " + _SETTING, "The paper's own dimensions could not be read.",
    ),
    Figure(
        "wl_ablation", "Remove one condition, and the line turns back", "content", _LINEAR, _linear_table, _ablation,
        "Means over seeds by training size, the largest ringed; correlations are over all models. " + _SETTING,
        "The paper's own ablations could not be read.",
    ),
    Figure(
        "wl_table", "Correlation and slope of every linear setting", "ours", _LINEAR, _linear_table, _reference,
        "Against reference values from an independent NumPy computation with other random numbers. The CSV has the "
        "accuracies, training errors and sensitivities by n. " + _SETTING,
    ),
    Figure(
        "wl_curves", "Accuracies and nuisance sensitivity against the training size", "content", _LINEAR, _linear_table,
        _curves, "Bands: standard deviation over seeds. " + _SETTING, "The paper's own curves could not be read.",
    ),
    Figure(
        "wl_bounds", "Lower bounds on the nuisance weights and on the OOD error", "ours", ("noise", "mean_shift"),
        _bounds_table, _bounds, "One point per training set that was interpolated; on or above the diagonal the bound "
        "holds. Right: a misaligned mean shift with uniform noise on 40 coordinates. " + _SETTING,
    ),
    Figure(
        "wl_learners", "Early stopping, and why least squares is no stand-in", "ours", ("learners",), _learners_table,
        _learners, "Gradient descent on the logistic loss stopped early keeps the line; run on, it leaves it. Minimum-norm "
        "least squares leaves it even with clean labels: it fits every label to exactly ±1. Largest n ringed.",
    ),
    Figure(
        "wl_pairs", "Real signal, synthetic nuisance: pairs of MNIST digits", "ours", ("pairs",), _pairs_table, _pairs,
        "50 principal components of two digits with 50,000 nuisance features appended; test split, clean labels. Bands: "
        "standard deviation over seeds. 3 v 8 turns even without added noise: the classes overlap in 50 components.",
    ),
    Figure(
        "wl_mlp", "A two-layer network trained until it interpolates", "ours", ("mlp",), _mlp_table, _mlp,
        "ReLU network of 256 units on explicit nuisance features, SGD; stopped early after two epochs. Bands: standard "
        "deviation over seeds.",
    ),
    Figure(
        "wl_coloured", "Coloured MNIST: a reversed colour destroys the line", "content", ("coloured",), _coloured_table,
        _coloured, "14 x 14 digits, label digit ≥ 5, colour agrees with it with probability 0.9, out of distribution 0.1; "
        "kernel machine with an RBF kernel. Means over seeds, largest n ringed, correlations over all models.",
        "A kernel machine instead of the paper's network, whose settings could not be read.",
    ),
    Figure(
        "wl_search", "Coloured MNIST: in search of a negative line", "ours", ("search",), _search_table, _search,
        "Each seed's correlation over training sizes. x4, x8: growth of the colour noise of single pixels out of "
        "distribution. The settings are in `papers/wrong_line/settings.py`.",
    ),
)  # fmt: skip
