"""From results to the numbers that figures and claims share."""

from collections.abc import Callable

import numpy as np

from theorylab.lab import Preset, Results, Row, Table
from theorylab.papers.certified_ensembles.experiments import RADII
from theorylab.papers.certified_ensembles.networks import REGIMES
from theorylab.papers.certified_ensembles.published import DIGITS, GAUSSIAN
from theorylab.papers.types import AllResults

COLUMNS = ("agree", "gain", "loss", "ratio")


def name_of(data: str) -> str:
    """The name of a data set in a picture."""
    names = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "keel/optdigits": "digits, 8 × 8"}
    return names[data]


def regime(row: Row, key: str) -> dict[str, int]:
    """How many ensembles of each regime have a property."""
    return {name: int(row[key][row["regime"] == code].sum()) for code, name in enumerate(REGIMES)}


def shares(row: Row) -> tuple[float, ...]:
    """The columns of the reference table from a cell of Gaussian scores."""
    trials = row.cell["trials"]
    return (*(float(row[k]) / trials for k in ("agree", "gain", "loss")), float(row["ratio"]))


def outlines(results: Results, parts: list[str]) -> Table:
    """Points of closed curves in long form."""
    table = Table("part", "x", "y")
    row = next(iter(results))
    for part in parts:
        for x, y in row[part]:
            table.add(part=part, x=float(x), y=float(y))
    return table


def gallery(results: AllResults, preset: Preset) -> Table:
    """Sets, differences and certificates."""
    row = next(iter(results["gallery"]))
    return outlines(results["gallery"], list(row.arrays))


def curves_of(experiment: str) -> Callable[[AllResults, Preset], Table]:
    """The outlines of an experiment as a table."""

    def table(results: AllResults, preset: Preset) -> Table:
        row = next(iter(results[experiment]))
        return outlines(results[experiment], [k for k in row.arrays if row[k].ndim == 2])

    return table


def ellipses(results: AllResults, preset: Preset) -> Table:
    """Radius and area over the weight of the first member."""
    table = Table("sets", "weight", "inradius", "area")
    row = next(iter(results["ellipses"]))
    for name in ("crossed", "equal"):
        for i, weight in enumerate(row.cell["shares"]):
            table.add(
                sets=name,
                weight=weight,
                inradius=float(row[f"{name}_inradius"][i]),
                area=float(row[f"{name}_area"][i]),
            )
    return table


def probabilities(results: AllResults, preset: Preset) -> Table:
    """Probabilities over the number of members, and the reference rows."""
    table = Table("kind", "shift", "members", "agree", "gain", "loss", "ratio")
    for row in results["curves"]:
        values = dict(zip(COLUMNS, shares(row), strict=True))
        table.add(kind="curve", shift=row.cell["shift"], members=row.cell["members"], **values)
    for row in results["gaussian"]:
        n, shift = row.cell["members"], row.cell["shift"]
        table.add(
            kind="ours", shift=shift, members=n, **dict(zip(COLUMNS, shares(row), strict=True))
        )
        known = dict(zip(COLUMNS, GAUSSIAN[n, shift], strict=True))
        table.add(kind="reference", shift=shift, members=n, **known)
    return table


def certified(results: AllResults, preset: Preset) -> Table:
    """Certified accuracy over the radius: members, ensemble, and the reference if there is one."""
    table = Table("data", "series", "radius", "accuracy")
    for row in results["summary"]:
        data = row.cell["data"]
        member, ensemble = row["member"], row["ensemble"].mean(0)
        series = {
            "best member": member.max(1).mean(0),
            "mean member": member.mean((0, 1)),
            "ensemble": ensemble,
            **{f"member {i + 1}": member[0, i] for i in range(member.shape[1])},
        }
        for name, values in series.items():
            for radius, value in zip(RADII, values, strict=True):
                table.add(data=data, series=name, radius=radius, accuracy=float(value))
        if data == "keel/optdigits":
            for radius, known in DIGITS.items():
                names = ("best member", "mean member", "ensemble")
                for name, value in zip(names, known, strict=True):
                    table.add(data=data, series=f"{name}, reference", radius=radius, accuracy=value)
    return table


SMOOTHED = {
    "member": "mean member",
    "best": "best member",
    "average": "(i) mean of g",
    "probit": "(ii) mean of Φ⁻¹(g)",
    "averaged_scores": "one g of mean scores",
}


def smoothed(results: AllResults, preset: Preset) -> Table:
    """Certified accuracy of smoothed members and of the ensembles that they make."""
    table = Table("data", "sigma", "series", "radius", "accuracy")
    for row in results["smoothed"]:
        grid = np.linspace(0, 4 * row.cell["sigma"], 41)
        each = (row["member"][..., None] >= grid).mean(1)
        curves = {"member": each.mean(0), "best": each.max(0)} | {
            k: (row[k][..., None] >= grid).mean(0) for k in ("average", "probit", "averaged_scores")
        }
        for key, values in curves.items():
            for radius, value in zip(grid, values, strict=True):
                table.add(
                    data=row.cell["data"],
                    sigma=row.cell["sigma"],
                    series=SMOOTHED[key],
                    radius=float(radius),
                    accuracy=float(value),
                )
    return table


def norms(results: AllResults, preset: Preset) -> Table:
    """Bounds over the true norm, one row for each matrix."""
    table = Table("method", "matrix", "excess")
    row = next(iter(results["norms"]))
    for method in ("svd", "gram", "power"):
        for i, value in enumerate(np.sort(row[method])):
            table.add(method=method, matrix=i, excess=float(value) - 1)
    return table
