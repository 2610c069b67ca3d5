"""The numbers of the figures: tables reduced from results."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from theorylab.lab import Preset, Results, Table, over_seeds
from theorylab.papers.types import AllResults
from theorylab.shift.lines import accuracy_line

CLIP = 1e-4
# correlation and slope of the reference table, by panel and setting
REFERENCE = {
    ("noise", 0.0): (0.96, 0.28),
    ("noise", 0.02): (-0.28, -0.07),
    ("noise", 0.05): (-0.81, -0.34),
    ("noise", 0.1): (-0.83, -0.39),
    ("noise", 0.2): (-0.77, -0.23),
    ("noise", 0.3): (-0.82, -0.19),
    ("penalty", 0.01): (0.55, 0.11),
    ("penalty", 0.03): (0.97, 0.50),
    ("penalty", 0.1): (0.99, 0.79),
    ("penalty", 0.3): (0.996, 0.90),
    ("penalty", 1e-5): (-0.83, -0.39),
    ("shift", 0.02): (0.998, 0.92),
    ("shift", 0.1): (0.64, 0.26),
    ("shift", 0.2): (-0.40, -0.15),
    ("shift", 0.5): (-0.83, -0.39),
    ("shift", 1.0): (-0.85, -0.32),
    ("dimension", 2000): (-0.11, -0.14),
    ("dimension", 10_000): (-0.74, -0.50),
    ("dimension", 50_000): (-0.83, -0.39),
    ("shortcut", 0.0): (0.96, np.nan),
    ("shortcut", 0.1): (0.25, np.nan),
}


def grid_of(rows: Results, name: str) -> list[float]:
    """An axis of the arrays of an experiment, from its cells."""
    return list(next(iter(rows)).cell[name])


class AccuracyLine(NamedTuple):
    """The line through probits of ID and OOD accuracy.

    corr: the correlation over all training sets. corr_of_means: that of the means by n.
    """

    corr: float
    slope: float
    corr_of_means: float


def line_of(inside: np.ndarray, outside: np.ndarray, ns: Sequence[float]) -> AccuracyLine:
    """The line of ID and OOD accuracies (seeds, sizes)."""
    fit = accuracy_line(
        inside, outside, clip=CLIP, groups=np.broadcast_to(np.asarray(ns), inside.shape)
    )
    return AccuracyLine(fit.corr, fit.slope, fit.group_corr)


class LinearSetting(NamedTuple):
    """One setting of the linear model: the panel that shows it, what is varied there, and its runs.

    inside, outside: accuracies; train_error, sensitivity: (seeds, sizes) each, at training sizes
    `ns`.
    """

    panel: str
    value: float
    inside: np.ndarray
    outside: np.ndarray
    train_error: np.ndarray
    sensitivity: np.ndarray
    ns: list[float]

    @property
    def line(self) -> AccuracyLine:
        return line_of(self.inside, self.outside, self.ns)


def linear_settings(results: AllResults) -> list[LinearSetting]:
    """Every setting of the linear model."""
    found = []

    def add(panel: str, value: float, rows: Results, e: int, l: int, t: int) -> None:
        inside, outside = rows.stack("id")[:, :, e, l], rows.stack("ood")[:, :, e, l, t]
        error, rho = (rows.stack(q)[:, :, e, l] for q in ("train_error", "sensitivity"))
        ns = grid_of(rows, "ns")
        found.append(LinearSetting(panel, value, inside, outside, error, rho, ns))

    noise = results["noise"]
    etas, taus = grid_of(noise, "etas"), grid_of(noise, "taus")
    interpolating, tau = (
        int(np.argmin(grid_of(noise, "lams"))),
        taus.index(next(iter(noise)).cell["model"]["tau"]),
    )
    for e, eta in enumerate(etas):
        add("noise", eta, noise, e, interpolating, tau)
    for l, lam in enumerate(grid_of(results["penalty"], "lams")):
        add("penalty", lam, results["penalty"], 0, l, 0)
    add(
        "penalty", grid_of(noise, "lams")[interpolating], noise, etas.index(0.1), interpolating, tau
    )
    for t, value in enumerate(taus):
        add("shift", value, noise, etas.index(0.1), interpolating, t)
    base = next(iter(noise)).cell["model"]["k"]
    for model in results["dimension"].unique("model"):
        if model["k"] != base:
            add("dimension", model["k"], results["dimension"].where(model=model), 0, 0, 0)
    add("dimension", base, noise, etas.index(0.1), interpolating, tau)
    for e, eta in enumerate(grid_of(results["shortcut"], "etas")):
        add("shortcut", eta, results["shortcut"], e, 0, 0)
    return found


def linear_table(results: AllResults, preset: Preset) -> Table:
    table = Table(
        "panel",
        "value",
        "n",
        "id",
        "id_sd",
        "ood",
        "ood_sd",
        "train_error",
        "rho",
        "corr",
        "slope",
        "corr_of_means",
        "reference_corr",
        "reference_slope",
    )
    for setting in linear_settings(results):
        corr, slope = REFERENCE.get((setting.panel, setting.value), (np.nan, np.nan))
        line = setting.line._asdict()
        for i, n in enumerate(setting.ns):
            table.add(
                panel=setting.panel,
                value=setting.value,
                n=n,
                id=setting.inside[:, i].mean(),
                id_sd=setting.inside[:, i].std(),
                ood=setting.outside[:, i].mean(),
                ood_sd=setting.outside[:, i].std(),
                train_error=setting.train_error[:, i].mean(),
                rho=setting.sensitivity[:, i].mean(),
                **line,
                reference_corr=corr,
                reference_slope=slope,
            )
    return table


def points_table(results: AllResults, preset: Preset) -> Table:
    table = Table("eta", "n", "seed", "id", "ood", "corr", "slope", "corr_of_means")
    rows = results["noise"]
    for setting in linear_settings(results):
        if setting.panel != "noise" or setting.value not in (0.0, 0.1):
            continue
        line = setting.line._asdict()
        for place, row in enumerate(rows):
            for i, n in enumerate(setting.ns):
                table.add(
                    eta=setting.value,
                    n=n,
                    seed=row.cell["seed"],
                    id=setting.inside[place, i],
                    ood=setting.outside[place, i],
                    **line,
                )
    return table


def bounds_table(results: AllResults, preset: Preset) -> Table:
    table = Table("quantity", "eta", "n", "seed", "measured", "bound")
    rows = results["noise"]
    etas, ns = grid_of(rows, "etas"), grid_of(rows, "ns")
    last, taus = int(np.argmin(grid_of(rows, "lams"))), grid_of(rows, "taus")
    for row in rows:
        tau = taus.index(row.cell["model"]["tau"])
        for e, eta in enumerate(etas):
            for i, n in enumerate(ns):
                if eta and np.isfinite(row["memorised"][i, e, last]):
                    of_run = {"eta": eta, "n": n, "seed": row.cell["seed"]}
                    table.add(
                        quantity="weights",
                        measured=row["norm_w_n"][i, e, last],
                        bound=row["memorised"][i, e, last],
                        **of_run,
                    )
                    table.add(
                        quantity="ood error",
                        measured=1 - row["ood"][i, e, last, tau],
                        bound=row["ood_bound"][i, e],
                        **of_run,
                    )
    for row in results["mean_shift"]:
        for m, true, bound in zip(row.cell["margins"], row["true"], row["bound"], strict=True):
            table.add(
                quantity="mean shift",
                eta=0.0,
                n=m,
                seed=row.cell["seed"],
                measured=true,
                bound=bound,
            )
    return table


def learners_table(results: AllResults, preset: Preset) -> Table:
    table = Table(
        "learner", "eta", "n", "id", "ood", "train_error", "rho", "corr", "slope", "corr_of_means"
    )
    rows = results["learners"]
    ns, steps = grid_of(rows, "ns"), grid_of(rows, "steps")
    for t, name in enumerate([*(f"GD, {s:g} steps" for s in steps), "minimum norm"]):
        for e, eta in enumerate(grid_of(rows, "etas")):
            arrays = {
                q: rows.stack(q)[:, :, e, t] for q in ("id", "ood", "train_error", "sensitivity")
            }
            corr, slope, means = line_of(arrays["id"], arrays["ood"], ns)
            for i, n in enumerate(ns):
                table.add(
                    learner=name,
                    eta=eta,
                    n=n,
                    id=arrays["id"][:, i].mean(),
                    ood=arrays["ood"][:, i].mean(),
                    train_error=arrays["train_error"][:, i].mean(),
                    rho=arrays["sensitivity"][:, i].mean(),
                    corr=corr,
                    slope=slope,
                    corr_of_means=means,
                )
    return table


def grid_table(
    results: AllResults,
    experiment: str,
    group: Callable[[Mapping[str, object]], str],
    stages: Sequence[str] = ("",),
) -> Table:
    """Means by group of cells, noise rate, last axis (penalty, stage) and n, with the line over
    seeds and sizes."""
    table = Table(
        "group",
        "eta",
        "stage",
        "n",
        "id",
        "id_sd",
        "ood",
        "ood_sd",
        "train_error",
        "corr",
        "slope",
        "corr_of_means",
    )
    rows = results[experiment]
    for name in dict.fromkeys(group(row.cell) for row in rows):
        part = Results(tuple(row for row in rows if group(row.cell) == name))
        ns, etas = grid_of(part, "ns"), grid_of(part, "etas")
        arrays = {q: part.stack(q) for q in ("id", "ood", "train_error")}
        for e, eta in enumerate(etas):
            for t, stage in enumerate(stages):
                accuracies = {
                    q: a[:, :, e] if a.ndim == 3 else a[:, :, e, t] for q, a in arrays.items()
                }
                corr, slope, means = line_of(accuracies["id"], accuracies["ood"], ns)
                for i, n in enumerate(ns):
                    table.add(
                        group=name,
                        eta=eta,
                        stage=stage,
                        n=n,
                        corr=corr,
                        slope=slope,
                        corr_of_means=means,
                        id=accuracies["id"][:, i].mean(),
                        id_sd=accuracies["id"][:, i].std(),
                        ood=accuracies["ood"][:, i].mean(),
                        ood_sd=accuracies["ood"][:, i].std(),
                        train_error=accuracies["train_error"][:, i].mean(),
                    )
    return table


def pair_name(cell: Mapping[str, Any]) -> str:
    pair = cell["pair"]
    return f"{pair['data']} {pair['first']} v {pair['second']}"


def pairs_table(results: AllResults, preset: Preset) -> Table:
    stages = [f"λ = {lam:g}" for lam in grid_of(results["pairs"], "lams")]
    return grid_table(results, "pairs", pair_name, stages)


def mlp_table(results: AllResults, preset: Preset) -> Table:
    return grid_table(results, "mlp", lambda cell: "MLP", ("interpolating", "stopped early"))


def coloured_table(results: AllResults, preset: Preset) -> Table:
    return grid_table(results, "coloured", lambda cell: str(cell["name"]))


class SearchLine(NamedTuple):
    """The line of one setting of the search at one noise rate.

    seed_corrs: the correlation of each seed over its sizes. rows: of the setting, all noise rates.
    place: of the noise rate in their arrays.
    """

    setting: str
    eta: float
    seed_corrs: np.ndarray
    line: AccuracyLine
    rows: Results
    place: int


def search_lines(results: AllResults) -> list[SearchLine]:
    """The lines of all settings and noise rates of the search."""
    found = []
    for name in results["search"].unique("name"):
        rows = results["search"].where(name=name)
        ns = grid_of(rows, "ns")
        inside, outside = rows.stack("id"), rows.stack("ood")
        for e, eta in enumerate(grid_of(rows, "etas")):
            of_setting = inside[:, :, e], outside[:, :, e]
            seed_corrs = [
                line_of(i[None], o[None], ns).corr for i, o in zip(*of_setting, strict=True)
            ]
            line = line_of(*of_setting, ns)
            found.append(SearchLine(name, eta, np.array(seed_corrs), line, rows, e))
    return found


def search_table(results: AllResults, preset: Preset) -> Table:
    table = Table(
        "setting",
        "eta",
        "corr",
        "corr_of_means",
        "slope",
        "seed_corr",
        "seed_low",
        "seed_high",
        "id_first",
        "id_last",
        "ood_first",
        "ood_last",
        "train_error",
        "n_first",
        "n_last",
        "seeds",
    )
    for found in search_lines(results):
        low, high = over_seeds("", found.seed_corrs).interval or (np.nan, np.nan)
        rows, e, ns = found.rows, found.place, grid_of(found.rows, "ns")
        inside, outside = rows.stack("id")[:, :, e].mean(0), rows.stack("ood")[:, :, e].mean(0)
        table.add(
            setting=found.setting,
            eta=found.eta,
            **found.line._asdict(),
            seed_corr=found.seed_corrs.mean(),
            seed_low=low,
            seed_high=high,
            id_first=inside[0],
            id_last=inside[-1],
            ood_first=outside[0],
            ood_last=outside[-1],
            train_error=rows.stack("train_error")[:, :, e].max(),
            n_first=ns[0],
            n_last=ns[-1],
            seeds=len(found.seed_corrs),
        )
    return table
