"""The numbers of the figures: tables reduced from results."""

from collections.abc import Callable, Mapping, Sequence

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


def axis(rows: Results, name: str) -> list[float]:
    """An axis of the arrays of an experiment, from its cells."""
    return list(next(iter(rows)).cell[name])


def line_of(
    inside: np.ndarray, outside: np.ndarray, ns: Sequence[float]
) -> tuple[float, float, float]:
    """(pooled correlation, slope, correlation of the means by n) of accuracies (seeds, sizes)."""
    fit = accuracy_line(
        inside, outside, clip=CLIP, groups=np.broadcast_to(np.asarray(ns), inside.shape)
    )
    return fit.corr, fit.slope, fit.group_corr


def settings(
    results: AllResults,
) -> list[tuple[str, float, np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[float]]]:
    """(panel, value, id, ood, train error, sensitivity; (seeds, sizes) each, sizes) of every linear
    setting."""
    found = []

    def add(panel: str, value: float, rows: Results, e: int, l: int, t: int) -> None:
        inside, outside = rows.stack("id")[:, :, e, l], rows.stack("ood")[:, :, e, l, t]
        error, rho = (rows.stack(q)[:, :, e, l] for q in ("train_error", "sensitivity"))
        found.append((panel, value, inside, outside, error, rho, axis(rows, "ns")))

    noise = results["noise"]
    etas, taus = axis(noise, "etas"), axis(noise, "taus")
    interpolating, tau = (
        int(np.argmin(axis(noise, "lams"))),
        taus.index(next(iter(noise)).cell["model"]["tau"]),
    )
    for e, eta in enumerate(etas):
        add("noise", eta, noise, e, interpolating, tau)
    for l, lam in enumerate(axis(results["penalty"], "lams")):
        add("penalty", lam, results["penalty"], 0, l, 0)
    add("penalty", axis(noise, "lams")[interpolating], noise, etas.index(0.1), interpolating, tau)
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
    for panel, value, inside, outside, error, rho, ns in settings(results):
        corr, slope, means = line_of(inside, outside, ns)
        ref = REFERENCE.get((panel, value), (np.nan, np.nan))
        for i, n in enumerate(ns):
            table.add(
                panel=panel,
                value=value,
                n=n,
                id=inside[:, i].mean(),
                id_sd=inside[:, i].std(),
                ood=outside[:, i].mean(),
                ood_sd=outside[:, i].std(),
                train_error=error[:, i].mean(),
                rho=rho[:, i].mean(),
                corr=corr,
                slope=slope,
                corr_of_means=means,
                reference_corr=ref[0],
                reference_slope=ref[1],
            )
    return table


def points_table(results: AllResults, preset: Preset) -> Table:
    table = Table("eta", "n", "seed", "id", "ood", "corr", "slope", "corr_of_means")
    rows = results["noise"]
    for panel, eta, inside, outside, _, _, ns in settings(results):
        if panel == "noise" and eta in (0.0, 0.1):
            corr, slope, means = line_of(inside, outside, ns)
            for s, row in enumerate(rows):
                for i, n in enumerate(ns):
                    table.add(
                        eta=eta,
                        n=n,
                        seed=row.cell["seed"],
                        id=inside[s, i],
                        ood=outside[s, i],
                        corr=corr,
                        slope=slope,
                        corr_of_means=means,
                    )
    return table


def bounds_table(results: AllResults, preset: Preset) -> Table:
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
                    table.add(
                        quantity="weights",
                        measured=row["norm_n"][i, e, last],
                        bound=row["memorised"][i, e, last],
                        **here,
                    )
                    table.add(
                        quantity="ood error",
                        measured=1 - row["ood"][i, e, last, tau],
                        bound=row["ood_bound"][i, e],
                        **here,
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
    ns, steps = axis(rows, "ns"), axis(rows, "steps")
    for t, name in enumerate([*(f"GD, {s:g} steps" for s in steps), "minimum norm"]):
        for e, eta in enumerate(axis(rows, "etas")):
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
        ns, etas = axis(part, "ns"), axis(part, "etas")
        arrays = {q: part.stack(q) for q in ("id", "ood", "train_error")}
        for e, eta in enumerate(etas):
            for t, stage in enumerate(stages):
                here = {q: a[:, :, e] if a.ndim == 3 else a[:, :, e, t] for q, a in arrays.items()}
                corr, slope, means = line_of(here["id"], here["ood"], ns)
                for i, n in enumerate(ns):
                    table.add(
                        group=name,
                        eta=eta,
                        stage=stage,
                        n=n,
                        corr=corr,
                        slope=slope,
                        corr_of_means=means,
                        id=here["id"][:, i].mean(),
                        id_sd=here["id"][:, i].std(),
                        ood=here["ood"][:, i].mean(),
                        ood_sd=here["ood"][:, i].std(),
                        train_error=here["train_error"][:, i].mean(),
                    )
    return table


def pair_name(cell: Mapping[str, object]) -> str:
    return f"{cell['data']} {cell['first']} v {cell['second']}"


def pairs_table(results: AllResults, preset: Preset) -> Table:
    stages = [f"λ = {lam:g}" for lam in axis(results["pairs"], "lams")]
    return grid_table(results, "pairs", pair_name, stages)


def mlp_table(results: AllResults, preset: Preset) -> Table:
    return grid_table(results, "mlp", lambda cell: "MLP", ("interpolating", "stopped early"))


def coloured_table(results: AllResults, preset: Preset) -> Table:
    return grid_table(results, "coloured", lambda cell: str(cell["name"]))


def search_lines(
    results: AllResults,
) -> list[tuple[str, float, np.ndarray, tuple[float, float, float], Results, int]]:
    """(setting, eta, correlation of each seed over its sizes, pooled line, rows, index of eta) of
    the search."""
    found = []
    for name in results["search"].unique("name"):
        rows = results["search"].where(name=name)
        ns = axis(rows, "ns")
        inside, outside = rows.stack("id"), rows.stack("ood")
        for e, eta in enumerate(axis(rows, "etas")):
            each = np.array(
                [
                    line_of(i[None], o[None], ns)[0]
                    for i, o in zip(inside[:, :, e], outside[:, :, e], strict=True)
                ]
            )
            found.append((name, eta, each, line_of(inside[:, :, e], outside[:, :, e], ns), rows, e))
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
    for name, eta, each, (corr, slope, means), rows, e in search_lines(results):
        spread = over_seeds("", each).interval or (np.nan, np.nan)
        inside, outside = rows.stack("id")[:, :, e].mean(0), rows.stack("ood")[:, :, e].mean(0)
        ns = axis(rows, "ns")
        table.add(
            setting=name,
            eta=eta,
            corr=corr,
            corr_of_means=means,
            slope=slope,
            seed_corr=each.mean(),
            seed_low=spread[0],
            seed_high=spread[1],
            id_first=inside[0],
            id_last=inside[-1],
            ood_first=outside[0],
            ood_last=outside[-1],
            train_error=rows.stack("train_error")[:, :, e].max(),
            n_first=ns[0],
            n_last=ns[-1],
            seeds=len(each),
        )
    return table
