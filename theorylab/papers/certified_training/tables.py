"""The numbers of the figures: tables reduced from results, the published ones beside ours."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from theorylab.lab import Preset, Row, Table
from theorylab.papers.certified_training import published
from theorylab.papers.certified_training.measures import (
    All,
    cells,
    counts_of_neurons,
    curves,
    image_errors,
    main_linear,
    main_wide,
    radii,
    sphere_panels,
)

NAN = float("nan")
NAMES = {
    "standard": "standard",
    "adversarial": "AT",
    "trades": "TRADES",
    "coap": "COAP",
    "zero": "COAP, slope 0",
    "crown-ibp": "CROWN-IBP",
    "ibp": "IBP",
    "fast-ibp": "FAST-IBP",
    "sabr": "SABR",
    "mtl-ibp": "MTL-IBP",
}
TRAININGS = ("adversarial", "coap", "zero", "standard")


def _se(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def neuron_table(results: All, preset: Preset) -> Table:
    """Panel "gradient": population gradients by ||theta_2:||; "risk": the risk after a step less
    that of AT."""
    table = Table("panel", "training", "x", "value", "published")
    (row,) = results["neuron"]
    for i, training in enumerate(TRAININGS[:3]):
        for j, norm in enumerate(row.cell["norms"]):
            there = published.NEURON.get(norm, (NAN, NAN))
            column = {"adversarial": 0, "coap": 1}.get(training)
            table.add(
                panel="gradient",
                training=training,
                x=norm,
                value=row["gradient"][i, j],
                published=NAN if column is None else there[column],
            )
            table.add(
                panel="risk",
                training=training,
                x=norm,
                value=row["risk"][i, j] - row["risk"][0, j],
                published=NAN,
            )
    return table


def threshold_table(results: All, preset: Preset) -> Table:
    table = Table("ratio", "r", "f", "sharp", "corrected")
    (row,) = results["thresholds"]
    for i, ratio in enumerate(row.cell["ratios"]):
        for r, f in zip(row["r"][::4], row["f"][i][::4], strict=True):
            table.add(ratio=ratio, r=r, f=f, sharp=row["sharp"][i], corrected=row["corrected"][i])
    return table


def relaxation_table(results: All, preset: Preset) -> Table:
    """Lines over an unstable neuron with l = -1, u = 2, and the worked example's margins."""
    table = Table("panel", "line", "x", "value", "published")
    low, high = -1.0, 2.0
    slope = high / (high - low)
    lines = {
        "ReLU": lambda z: max(z, 0.0),
        "upper": lambda z: slope * (z - low),
        "lower, COAP": lambda z: slope * z,
        "lower, CROWN": lambda z: z,
        "lower, slope 0": lambda z: 0.0,
    }
    for name, line in lines.items():
        for z in np.linspace(low, high, 31):
            table.add(panel="neuron", line=name, x=float(z), value=line(float(z)), published=NAN)
    (row,) = results["example"]
    for i, (kind, eps) in enumerate(row.cell["threats"]):
        there = published.EXAMPLE[kind, eps]
        for j, name in enumerate(("IBP", "COAP", "CROWN")):
            table.add(
                panel=f"{kind} {eps}",
                line=name,
                x=float(j),
                value=row["margins"][i, j],
                published=there[j],
            )
        table.add(
            panel=f"{kind} {eps}",
            line="exact (grid)",
            x=3.0,
            value=row["dense"][i],
            published=NAN,
        )
    return table


def bound_table(results: All, preset: Preset) -> Table:
    table = Table("threat", "method", "network", "class", "bound", "smallest")
    for row in results["networks"]:
        for method in ("ibp", "coap", "crown", "crown-ibp"):
            for i, (lows, tops) in enumerate(
                zip(row[f"low_{method}"], row["sampled"], strict=True)
            ):
                for c, (low, top) in enumerate(zip(lows, tops, strict=True)):
                    table.add(
                        threat=row.cell["threat"],
                        method=method,
                        network=i,
                        bound=low,
                        smallest=top,
                        **{"class": c},
                    )
    return table


def _curve_rows(
    table: Table,
    panel: str,
    x: list[float],
    robust: Mapping[str, np.ndarray],
    standard: Mapping[str, np.ndarray],
    there: Mapping[tuple[str, float], published.Pair],
) -> None:
    seen = set()
    for recipe in robust:
        for i, value in enumerate(x):
            key = _nearest(there, recipe, value)
            seen.add(key)
            pair = there[key] if key else (NAN, NAN)
            table.add(
                panel=panel,
                recipe=recipe,
                x=value,
                robust=robust[recipe][:, i].mean(),
                robust_se=_se(robust[recipe][:, i]),
                standard=standard[recipe][:, i].mean(),
                seeds=len(robust[recipe]),
                published_robust=pair[0],
                published_standard=pair[1],
            )
    for (recipe, value), pair in there.items():
        if (recipe, value) not in seen:
            table.add(
                panel=panel,
                recipe=recipe,
                x=value,
                robust=NAN,
                robust_se=NAN,
                standard=NAN,
                seeds=0,
                published_robust=pair[0],
                published_standard=pair[1],
            )


def _interpolating(
    table: Table, panel: str, rows: list[Row], there: Mapping[tuple[str, float], published.Pair]
) -> None:
    """A panel of the networks that interpolate the training set, where there are any."""
    robust, standard = (curves(rows, name, True) for name in ("robust", "standard"))
    _curve_rows(table, panel, radii(rows), robust, standard, there)


def _nearest(there: Mapping, recipe: str, x: float) -> tuple[str, float] | None:
    return next((k for k in there if k[0] == recipe and abs(k[1] - x) < 1e-6), None)


def _curve_table() -> Table:
    return Table(
        "panel",
        "recipe",
        "x",
        "robust",
        "robust_se",
        "standard",
        "seeds",
        "published_robust",
        "published_standard",
    )


def linear_table(results: All, preset: Preset) -> Table:
    table, rows = _curve_table(), main_linear(results)
    _interpolating(table, "signal", rows, published.LINEAR)
    _interpolating(table, "l2", cells(results["linear"], threat="l2"), published.LINEAR_L2)
    least = rows[0].cell["task"]["n"]
    large = [r for r in results["linear"] if r.cell["task"]["n"] > least]
    points = sorted({p[-1] for r in large for p in r.cell["points"]})
    found = [curves([r for r in large if radii([r]) == [x]], "robust") for x in points]
    clean = [curves([r for r in large if radii([r]) == [x]], "standard") for x in points]
    names = list(found[0]) if found else []
    _curve_rows(
        table,
        "signal, n = 10,000",
        points,
        {n: np.concatenate([f[n] for f in found], 1) for n in names},
        {n: np.concatenate([f[n] for f in clean], 1) for n in names},
        published.LINEAR_LARGE,
    )
    return table


def wide_table(results: All, preset: Preset) -> Table:
    table = _curve_table()
    _interpolating(table, "error", main_wide(results), published.WIDE)
    return table


def attack_table(results: All, preset: Preset) -> Table:
    """Thesis figures 3.8 and 3.9: unstable neurons at the end, and the cosine of attack and signal
    over epochs."""
    table = Table("panel", "series", "x", "value", "published")
    groups = {"spheres": main_wide(results), "linear": cells(results["linear"], threat="l2")}
    for name, rows in groups.items():
        unstable = curves(rows, "unstable", True)["coap"]
        for x, value in zip(radii(rows), unstable.mean(0), strict=True):
            table.add(panel="unstable", series=name, x=x, value=value, published=NAN)
        for x, value in published.FINAL_UNSTABLE[name].items():
            table.add(panel="unstable", series=name, x=x, value=NAN, published=value / 100)
    lengths: dict[int, list[float]] = {}
    for row in results["wide"]:
        if row.cell["recipe"] == "adversarial":
            lengths.setdefault(row.cell["training"]["epochs"], []).append(
                float(row["cosine"][-1, -1])
            )
    for epochs, values in sorted(lengths.items()):
        table.add(
            panel="cosine",
            series="AT",
            x=float(epochs),
            value=float(np.mean(values)),
            published=NAN,
        )
    return table


def sphere_table(results: All, preset: Preset) -> Table:
    table = _curve_table()
    robust, standard = (
        sphere_panels(results, partial(curves, name=name)) for name in ("robust", "standard")
    )
    for panel, there in published.SPHERES.items():
        x, values = robust[panel]
        _curve_rows(table, panel, x, values, standard[panel][1], there)
    return table


def unstable_table(results: All, preset: Preset) -> Table:
    table = Table("panel", "x", "accumulated", "published")
    for panel, (x, values) in sphere_panels(results, counts_of_neurons).items():
        there = published.UNSTABLE[panel]
        for at, value in zip(x, values["coap"].mean(0), strict=True):
            near = next((v for k, v in there.items() if abs(k - at) < 1e-6), NAN)
            table.add(panel=panel, x=at, accumulated=value, published=near)
        for at, value in there.items():
            if not any(abs(at - b) < 1e-6 for b in x):
                table.add(panel=panel, x=at, accumulated=NAN, published=value)
    return table


def _image_table(results: All, data: str) -> Table:
    """Ours and the published, for every radius of either."""
    table = Table(
        "threat",
        "eps",
        "recipe",
        "standard",
        "robust",
        "robust_se",
        "certified",
        "seeds",
        "published_standard",
        "published_robust",
    )
    ours = {n: image_errors(results, n) for n in ("standard", "robust", "certified")}
    known = published.TABLES[data]
    wanted = dict.fromkeys(known)
    for name, threat, eps in ours["robust"]:
        if name == data and threat in ("linf", "l2"):
            near = next((k for k in known if k[0] == threat and abs(k[1] - eps) < 1e-4), None)
            wanted[near or (threat, eps)] = None
    for threat, eps in wanted:
        mine = next(
            (a for a in ours["robust"] if a[:2] == (data, threat) and abs(a[2] - eps) < 1e-4), None
        )
        recipes = dict.fromkeys(
            [*known.get((threat, eps), {}), *(ours["robust"].get(mine, {}) if mine else {})]
        )
        for recipe in recipes:
            here = {n: ours[n].get(mine, {}).get(recipe) if mine else None for n in ours}
            there = known.get((threat, eps), {}).get(recipe, (NAN, NAN))
            value = {n: NAN if v is None else float(v.mean()) for n, v in here.items()}
            seeds = 0 if here["robust"] is None else len(here["robust"])
            table.add(
                threat=threat,
                eps=eps,
                recipe=recipe,
                **value,
                robust_se=NAN if here["robust"] is None else _se(here["robust"]),
                seeds=seeds,
                published_standard=there[1],
                published_robust=there[0],
            )
    return table


def mnist_table(results: All, preset: Preset) -> Table:
    return _image_table(results, "mnist")


def cifar_table(results: All, preset: Preset) -> Table:
    return _image_table(results, "cifar10")


def lines_table(results: All, preset: Preset) -> Table:
    """Segments on images (figures 2b and 8a) and accumulated unstable neurons (5c, 5e, 9)."""
    table = Table("panel", "recipe", "x", "ours", "published")
    for data, there in published.LINES.items():
        ours = _by_count(image_errors(results, "robust"), data)
        for recipe, k in dict.fromkeys([*ours, *there]):
            table.add(
                panel=data,
                recipe=recipe,
                x=k,
                ours=ours.get((recipe, k), NAN),
                published=there.get((recipe, k), (NAN, NAN))[0],
            )
    unstable = image_errors(results, "unstable")
    for (data, kind), known in published.UNSTABLE_IMAGES.items():
        panel = f"unstable, {data} {kind}"
        for at, value in known.items():
            table.add(panel=panel, recipe="coap", x=at, ours=NAN, published=value)
        for (name, threat, eps), each in unstable.items():
            if name == data and threat.startswith(kind) and "coap" in each:
                at = float(threat.split()[1]) if kind == "lines" else eps
                table.add(panel=panel, recipe="coap", x=at, ours=each["coap"].mean(), published=NAN)
    return table


def _by_count(errors: Mapping, data: str) -> Mapping[tuple[str, float], float]:
    """(recipe, number of segments) -> mean error on this data set."""
    return {
        (recipe, float(threat.split()[1])): float(values.mean())
        for (name, threat, _), each in errors.items()
        if name == data and threat.startswith("lines")
        for recipe, values in each.items()
    }


def tiny_table(results: All, preset: Preset) -> Table:
    """Table 1's bars: one radius a data set and norm, and ours where there are any."""
    table = Table("panel", "recipe", "published_standard", "published_robust", "ours_robust")
    ours = image_errors(results, "robust")
    bars = {
        ("mnist", "linf"): 0.1,
        ("mnist", "l2"): 0.75,
        ("cifar10", "linf"): 2 / 255,
        ("cifar10", "l2"): 36 / 255,
    }
    for (data, threat), eps in bars.items():
        known = published.TABLES[data][threat, round(eps, 6)]
        mine = next((a for a in ours if a[:2] == (data, threat) and abs(a[2] - eps) < 1e-4), None)
        for recipe, (robust, standard) in known.items():
            value = ours[mine].get(recipe) if mine else None
            table.add(
                panel=f"{data} {threat}",
                recipe=recipe,
                published_standard=standard,
                published_robust=robust,
                ours_robust=NAN if value is None else float(value.mean()),
            )
    for threat, each in published.TINY.items():
        for recipe, (robust, standard) in each.items():
            table.add(
                panel=f"tiny {threat}",
                recipe=recipe,
                published_standard=standard,
                published_robust=robust,
                ours_robust=NAN,
            )
    return table
