"""Numbers of the figures and claims, reduced from results."""

from collections.abc import Callable, Mapping

import numpy as np

from theorylab.lab import Results, Row

All = Mapping[str, Results]


def label(row: Row) -> str:
    """The recipe of a cell; "zero" is COAP with lower slopes of 0."""
    return "zero" if row.cell.get("alpha_mode") == "zero" else str(row.cell["recipe"])


def picked(row: Row, name: str, interpolating: bool) -> np.ndarray:
    """(points,) values at the learning rate with the smallest robust test error, as the paper picks
    it; with `interpolating` among those whose training error is 0, where there are any."""
    robust = np.where(np.isfinite(row["robust"]), row["robust"], 1.0)
    if interpolating:
        fits = row["train_error"] == 0
        robust = np.where(fits | ~fits.any(1, keepdims=True), robust, 2.0)
    return np.take_along_axis(row[name], robust.argmin(1)[:, None], 1)[:, 0]


def curves(rows: list[Row], name: str, interpolating: bool = False) -> Mapping[str, np.ndarray]:
    """recipe -> (seeds, points)"""
    return _by_recipe(rows, lambda row: picked(row, name, interpolating))


def counts_of_neurons(rows: list[Row]) -> Mapping[str, np.ndarray]:
    """recipe -> (seeds, points) unstable neurons, summed over epochs, at the smallest rate.

    How many there are grows as the rate falls, and a network that a large rate has made constant
    has few, so that counts at rates picked point by point are not of one kind.
    """
    return _by_recipe(
        rows, lambda row: row["accumulated"][:, np.argmin(row.cell["training"]["rates"])]
    )


def _by_recipe(rows: list[Row], values: Callable[[Row], np.ndarray]) -> Mapping[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {}
    for row in rows:
        found.setdefault(label(row), []).append(values(row))
    return {recipe: np.stack(each) for recipe, each in found.items()}


def cells(results: Results, **parameters: object) -> list[Row]:
    """The rows with these parameters, perhaps none."""
    return [r for r in results if all(r.cell.get(k) == v for k, v in parameters.items())]


def radii(rows: list[Row]) -> list[float]:
    return [point[-1] for point in rows[0].cell["points"]] if rows else []


def main_linear(results: All) -> list[Row]:
    """Small samples of the linear signal, perturbed along it."""
    rows = cells(results["linear"], threat="signal")
    least = min((r.cell["task"]["n"] for r in rows), default=0)
    return [r for r in rows if r.cell["task"]["n"] == least]


def main_wide(results: All) -> list[Row]:
    trainings = ((r, r.cell["training"]) for r in results["wide"])
    return [r for r, t in trainings if len(t["rates"]) > 1 or t["epochs"] == 150]


def sphere_panels(
    results: All, reduced: Callable[[list[Row]], Mapping[str, np.ndarray]]
) -> Mapping[str, tuple[list[float], Mapping]]:
    """panel -> (values of x, recipe -> (seeds, values)) for k, l2, 1 / margin, l-infinity."""
    rows = list(results["spheres"])
    found: dict[str, tuple[list[float], Mapping]] = {}
    balls = cells(results["spheres"], threat="l2")
    points = balls[0].cell["points"]
    usual = [i for i, p in enumerate(points) if p[1] == 21.0]
    fixed = next(p[2] for p in points if p[1] != 21.0)
    by_margin = sorted(
        (i for i, p in enumerate(points) if p[2] == fixed), key=lambda i: -points[i][1]
    )
    values = reduced(balls)
    found["l2"] = ([points[i][2] for i in usual], {r: v[:, usual] for r, v in values.items()})
    found["margin"] = (
        [1 / (points[i][1] - points[i][0]) for i in by_margin],
        {r: v[:, by_margin] for r, v in values.items()},
    )
    box = cells(results["spheres"], threat="linf")
    found["linf"] = (radii(box), reduced(box))
    counts = sorted(
        {int(r.cell["threat"].split()[1]) for r in rows if r.cell["threat"].startswith("lines")}
    )
    each = [reduced(cells(results["spheres"], threat=f"lines {k}")) for k in counts]
    found["k"] = (
        [float(k) for k in counts],
        {r: np.concatenate([e[r] for e in each], 1) for r in each[0]},
    )
    return found


def image_errors(
    results: All, name: str
) -> Mapping[tuple[str, str, float], Mapping[str, np.ndarray]]:
    """(data, threat, eps) -> recipe -> (seeds,)"""
    found: dict[tuple[str, str, float], dict[str, list[float]]] = {}
    for row in [*results.get("images", ()), *results.get("lines", ())]:
        at = (str(row.cell["task"]["data"]), str(row.cell["threat"]), float(row.cell["eps"]))
        value = row[name].sum() if name == "unstable" else float(row[name])
        found.setdefault(at, {}).setdefault(str(row.cell["recipe"]), []).append(value)
    return {
        at: {recipe: np.array(values) for recipe, values in each.items()}
        for at, each in found.items()
    }
