"""The numbers of the figures: tables reduced from results."""

import numpy as np

from theorylab.lab import Preset, Results, Table
from theorylab.mixtures import gain_limits, spectral_information, unlabelled_information
from theorylab.papers.ssl_lower_bound.published import PUBLISHED
from theorylab.papers.types import AllResults

NAMES = {
    "sl": "SL",
    "ul_plus": "UL+",
    "ssl_switch": "SSL-S",
    "ssl_weighted": "SSL-W",
    "ssl_em": "SSL-EM",
    "self_training": "self-training",
    "ul": "UL, sign known",
}
LEARNERS = {
    "sl": "SL",
    "ul_plus": "UL+",
    "ssl_w labelled": "SSL-W, labelled validation",
    "ssl_w oracle": "SSL-W, oracle",
    "ssl_w unlabelled-margin": "SSL-W, unlabelled margin",
    "self_training": "self-training",
}
GAPS = (
    ("sl", "ssl_w labelled"),
    ("ul_plus", "ssl_w labelled"),
    ("sl", "self_training"),
    ("ul_plus", "self_training"),
)


def by_method(rows: Results, array: str = "mean") -> dict[str, np.ndarray]:
    """(seeds, settings) of every method of a group of sweeps over the same settings (self-training,
    which comes last, has no prediction)."""
    values = rows.stack(array)
    return {
        m: values[:, i] for i, m in enumerate(next(iter(rows)).cell["methods"][: values.shape[1]])
    }


def honest(rows: Results) -> Results:
    """The real tasks whose labels were not shuffled."""
    return Results(tuple(r for r in rows if not r.cell.get("shuffled", False)))


def heat_table(results: AllResults, preset: Preset) -> Table:
    table = Table("s", "n_l", "n_u", "ratio", "q")
    for row in results["heat"]:
        best = np.minimum(row["sl"], row["ul_plus"]) / row["ssl_em"]
        # at n_l = 0 all is q n_u: the information of the unlabelled points follows from SSL-EM's
        # and SL's
        n_l, n_u = np.asarray(row.cell["n_l"]), np.asarray(row.cell["n_u"])
        q = ((row["sl"] / row["ssl_em"] - 1) * n_l[:, None] / n_u).mean()
        for i, a in enumerate(n_l):
            for j, b in enumerate(n_u):
                table.add(
                    s=row.cell["s"],
                    n_l=float(a),
                    n_u=float(b),
                    ratio=round(float(best[i, j]), 5),
                    q=float(q),
                )
    return table


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds (first axis) and its standard error."""
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values)) if len(
        values
    ) > 1 else 0 * values[0]


def synthetic_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "method", "x", "mean", "se", "predicted")
    rows = results["snr"]
    risk, predicted = by_method(rows), by_method(rows, "predicted")
    for base in ("sl", "ul_plus"):
        for method in ("ssl_weighted", "ssl_em", "self_training"):
            if method not in risk:
                continue
            mean, se = mean_and_error(risk[base] - risk[method])
            theory = (
                (predicted[base] - predicted[method])[0]
                if method in predicted
                else np.full(len(mean), np.nan)
            )
            for s, m, e, t in zip(rows.rows[0].cell["s"], mean, se, theory, strict=True):
                table.add(
                    panel=f"over {NAMES[base]}", method=method, x=s, mean=m, se=e, predicted=t
                )
    rows = results["labels"]
    risk, predicted = by_method(rows), by_method(rows, "predicted")
    for method in ("ssl_switch", "ssl_weighted", "ssl_em"):
        mean, se = mean_and_error(
            np.minimum(risk["sl"].mean(0), risk["ul_plus"].mean(0)) / risk[method]
        )
        theory = np.minimum(predicted["sl"], predicted["ul_plus"])[0] / predicted[method][0]
        for n, m, e, t in zip(rows.rows[0].cell["n_l"], mean, se, theory, strict=True):
            table.add(panel="labels", method=method, x=n, mean=m, se=e, predicted=t)
    return table


def real_gaps(rows: Results) -> Table:
    """Mean gaps over draws with their standard errors, beside the published ones where there are
    any."""
    numbers = ("n_l", "n_u", "s_hat", "bayes", "gap", "se", "published", "err_baseline")
    table = Table("task", "baseline", "learner", *numbers)
    for row in honest(rows):
        name, published = str(row.cell["name"]), PUBLISHED.get(str(row.cell["name"]))
        for i, n_l in enumerate(row.cell["labels"]):
            for k, (base, learner) in enumerate(GAPS):
                gap = row[base][:, i] - row[learner][:, i]
                table.add(
                    task=name,
                    n_l=n_l,
                    n_u=int(row["n_u"]),
                    s_hat=float(row["s_hat"].mean()),
                    bayes=float(row["bayes"].mean()),
                    baseline=NAMES[base],
                    learner="self-training" if learner == "self_training" else "SSL-W",
                    gap=gap.mean(),
                    se=gap.std(ddof=1) / np.sqrt(len(gap)),
                    published=published[k] if published else np.nan,
                    err_baseline=row[base][:, i].mean(),
                )
    return table


def real_table(results: AllResults, preset: Preset) -> Table:
    return real_gaps(results["learners"])


def few_labels_table(results: AllResults, preset: Preset) -> Table:
    table = Table("task", "n_l", "learner", "error", "se", "t")
    for row in honest(results["learners"]):
        for i, n_l in enumerate(row.cell["labels"]):
            for learner in LEARNERS:
                error = row[learner][:, i]
                t = row["t " + learner[6:]][:, i].mean() if learner.startswith("ssl_w") else np.nan
                table.add(
                    task=str(row.cell["name"]),
                    n_l=n_l,
                    learner=learner,
                    error=error.mean(),
                    se=error.std(ddof=1) / np.sqrt(len(error)),
                    t=float(t),
                )
    return table


def bounded(results: AllResults) -> Table:
    """Every simulated risk beside the lower bound at its setting."""
    table = Table(
        "experiment",
        "method",
        "s",
        "d",
        "n_l",
        "n_u",
        "excess",
        "se",
        "bound",
        "labels_only",
        "times_8",
    )
    for name in ("table", "labels", "snr", "grid", "limits"):
        for d, methods in results[name].unique("d", "methods"):
            rows = results[name].where(d=d, methods=methods)
            first = rows.rows[0]
            for i, method in enumerate(methods):
                excess = rows.stack("mean")[:, i].mean(0)
                se = np.sqrt((rows.stack("se")[:, i] ** 2).sum(0)) / len(rows)
                for j in range(len(excess)):
                    table.add(
                        experiment=name,
                        method=method,
                        d=d,
                        excess=excess[j],
                        se=se[j],
                        bound=first["bound"][j],
                        labels_only=first["bound_labels_only"][j],
                        times_8=first["bound_times_8"][j],
                        **{k: first.cell[k][j] for k in ("s", "n_l", "n_u")},
                    )
    return table


def bound_table(results: AllResults, preset: Preset) -> Table:
    return bounded(results)


def risk_rows(rows: Results) -> Table:
    """Simulated risks over seeds beside their predictions, for the reference settings."""
    table = Table("s", "d", "n_l", "n_u", "method", "excess", "se", "predicted", "ratio")
    for d in rows.unique("d"):
        group = rows.where(d=d)
        cell, first = group.rows[0].cell, group.rows[0]
        for i, method in enumerate(cell["methods"]):
            excess = group.stack("mean")[:, i].mean(0)
            se = np.sqrt((group.stack("se")[:, i] ** 2).sum(0)) / len(group)
            for j, (s, n_l, n_u) in enumerate(
                zip(cell["s"], cell["n_l"], cell["n_u"], strict=True)
            ):
                predicted = first["sl_exact"][j] if method == "sl" else first["predicted"][i, j]
                table.add(
                    s=s,
                    d=d,
                    n_l=n_l,
                    n_u=n_u,
                    method=method,
                    excess=excess[j],
                    se=se[j],
                    predicted=predicted,
                    ratio=excess[j] / predicted,
                )
    return table


def risk_table(results: AllResults, preset: Preset) -> Table:
    return risk_rows(results["table"])


def rate_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "method", "x", "excess", "se", "exact", "rate")
    rows = results["slopes"]
    cell, risk, predicted = rows.rows[0].cell, by_method(rows), by_method(rows, "predicted")
    s, n_l, n_u = (np.asarray(cell[k], float) for k in ("s", "n_l", "n_u"))
    sweep_n = s * (n_l < 20_000) == 1.0
    for method, x in (("sl", n_l), ("ul", n_u)):
        exact = rows.rows[0]["sl_exact"] if method == "sl" else predicted[method][0]
        printed = cell["d"] / (s * n_l) if method == "sl" else cell["d"] / (s**3 * n_u)
        mean, se = mean_and_error(risk[method])
        for panel, chosen, axis in (("n", sweep_n, x), ("s", ~sweep_n & (n_l == 20_000), s)):
            scale = np.exp(s**2 / 2)
            index = np.flatnonzero(chosen)
            index = index[np.unique(axis[index], return_index=True)[1]]
            anchor = 1 if panel == "n" else list(s[index]).index(1.0)
            factor = (exact * scale)[index[anchor]] / printed[index[anchor]]
            for i in index:
                table.add(
                    panel=panel,
                    method=method,
                    x=axis[i],
                    excess=mean[i] * scale[i],
                    se=se[i] * scale[i],
                    exact=exact[i] * scale[i],
                    rate=factor * printed[i],
                )
    return table


def regimes(rows: Results) -> dict[str, np.ndarray]:
    """For each regime: settings (3, steps) and SSL-EM's risk over SL's and over UL+'s, (seeds,
    steps)."""
    cell, risk = rows.rows[0].cell, by_method(rows)
    steps = len(cell["s"]) // 3
    settings = np.array([cell["s"], cell["n_l"], cell["n_u"]], float)
    found = {}
    for k, name in enumerate(("low", "intermediate", "high")):
        part = slice(k * steps, (k + 1) * steps)
        found[name] = settings[:, part]
        for base in ("sl", "ul_plus"):
            found[f"{name} {base}"] = risk["ssl_em"][:, part] / risk[base][:, part].mean(0)
    return found


def regime_table(results: AllResults, preset: Preset) -> Table:
    table = Table("regime", "n_l", "n_u", "over", "ratio", "se", "limit")
    found = regimes(results["limits"])
    for name in ("low", "intermediate", "high"):
        s, n_l, n_u = found[name]
        exact = gain_limits(n_u / n_l, unlabelled_information(s))
        # UL+'s constant is its own
        spectral = exact.over_ul * spectral_information(s) / unlabelled_information(s)
        for base, theory in (("sl", exact.over_sl), ("ul_plus", spectral)):
            mean, se = mean_and_error(found[f"{name} {base}"])
            for i in range(len(s)):
                table.add(
                    regime=name,
                    n_l=n_l[i],
                    n_u=n_u[i],
                    over=base,
                    ratio=mean[i],
                    se=se[i],
                    limit=float(theory[i]),
                )
    return table
