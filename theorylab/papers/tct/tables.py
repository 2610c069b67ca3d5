"""From results to the numbers that the figures and claims show."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from theorylab.lab import Preset, Results, Table
from theorylab.papers.types import AllResults

# Rounds over which the accuracy of a network is averaged: it moves by points from round to round.
LAST = 10
NAMES = {
    "fedavg": "FedAvg",
    "fedprox": "FedProx",
    "scaffold": "SCAFFOLD",
    "fednova": "FedNova",
    "centralized": "centralized",
    "tct": "TCT",
}


class Solve(NamedTuple):
    """One way of solving stage 2, as a list in a cell of the experiments `convex` and `bootstrap`.

    algorithm: "scaffold", "fedavg", "pooled" (all examples in one place), "shuffled" (SCAFFOLD with
      the corrections handed to the wrong clients).
    steps: M, local steps per round. c: the step size, in units of 1 / lambda_max.
    standardize: whether the features are standardised. coordinates: p, how many of the gradient.
    """

    algorithm: str
    steps: int
    c: float
    standardize: bool
    coordinates: int
    rounds: int


def standard_solve(setting: Mapping[str, Any], algorithm: str = "scaffold") -> Solve:
    """Stage 2 as a setting has it."""
    return Solve(algorithm, setting["steps"], 1.0, True, setting["p"], setting["rounds2"])


def main_setting(preset: Preset) -> Mapping[str, Any]:
    """The first setting, in which all is varied that is varied in TCT."""
    return preset["settings"][0]


def trained(results: AllResults, setting: Mapping[str, Any], method: str) -> np.ndarray:
    """(seeds, rounds + 1) test accuracy of a baseline."""
    world = central(setting["world"]) if method == "centralized" else setting["world"]
    return results["train"].where(world=world, method=method).stack("accuracy")


def central(world: Mapping[str, Any]) -> dict[str, Any]:
    """The same images in one place: the centralized reference of all partitions."""
    return {**world, "partition": "iid"}


def last(accuracy: np.ndarray) -> np.ndarray:
    """(seeds,) mean over the last rounds."""
    return accuracy[:, 1:][:, -LAST:].mean(1)


def solved(
    rows: Results,
    setting: Mapping[str, Any],
    algorithm: str,
    **changes: Any,
) -> np.ndarray:
    """(seeds, rounds) test accuracy of the setting's way of solving stage 2, with changes to it.

    changes: fields of `Solve`.
    """
    wanted = standard_solve(setting, algorithm)._replace(**changes)
    places = [[Solve(*s) for s in row.cell["solves"]].index(wanted) for row in rows]
    accuracies = [row["accuracy"][i] for row, i in zip(rows, places, strict=True)]
    return np.stack([accuracy[: wanted.rounds] for accuracy in accuracies])


def standard(results: AllResults, setting: Mapping[str, Any]) -> Results:
    """Stage 2 of a setting."""
    return results["convex"].where(world=setting["world"])


def finals(results: AllResults, setting: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """(seeds,) accuracy of every method: networks over the last rounds, TCT after its last
    round."""
    found = {method: last(trained(results, setting, method)) for method in setting["methods"]}
    return found | {"tct": solved(standard(results, setting), setting, "scaffold")[:, -1]}


def bootstrapped(
    results: AllResults, preset: Preset, rounds1: int, which: str = "params"
) -> Results:
    """Stage 2 of the first setting from other models than the average after the standard rounds."""
    setting = main_setting(preset)
    if (rounds1, which) == (setting["rounds1"], "params"):
        return standard(results, setting)
    tangent = {"rounds1": rounds1, "which": which, "p": setting["p"]}
    return results["bootstrap"].where(tangent=tangent)


def _spread(values: np.ndarray) -> dict[str, float]:
    """Mean and range over seeds."""
    return {"mean": float(values.mean()), "low": float(values.min()), "high": float(values.max())}


def curves_table(results: AllResults, preset: Preset) -> Table:
    table = Table("setting", "method", "switch", "round", "mean", "low", "high")
    for setting in preset["settings"]:
        switch = setting["rounds1"]
        runs = {m: trained(results, setting, m) for m in setting["methods"]}
        stage2 = solved(standard(results, setting), setting, "scaffold")
        runs["tct"] = np.concatenate([runs["fedavg"][:, : switch + 1], stage2], 1)
        for method, accuracy in runs.items():
            for number, values in enumerate(accuracy.T):
                table.add(
                    setting=setting["name"],
                    method=method,
                    switch=switch,
                    round=number,
                    **_spread(values),
                )
    return table


def finals_table(results: AllResults, preset: Preset) -> Table:
    table = Table("data", "setting", "method", "seeds", "mean", "sd", "low", "high")
    for setting in preset["settings"]:
        for method, values in finals(results, setting).items():
            sd = float(values.std(ddof=1)) if len(values) > 1 else 0.0
            table.add(
                data=setting["world"]["data"],
                setting=setting["name"],
                method=method,
                seeds=len(values),
                sd=sd,
                **_spread(values),
            )
    return table


def convexity_table(results: AllResults, preset: Preset) -> Table:
    setting = main_setting(preset)
    rows = standard(results, setting)
    table = Table("panel", "method", "round", "mean", "low", "high")
    for method, algorithm in (
        ("scaffold", "scaffold"),
        ("fedavg", "fedavg"),
        ("centralized", "pooled"),
    ):
        for number, values in enumerate(solved(rows, setting, algorithm).T):
            table.add(panel="convex", method=method, round=number + 1, **_spread(values))
        for number, values in enumerate(trained(results, setting, method).T):
            table.add(panel="network", method=method, round=number, **_spread(values))
    return table


def probe_table(results: AllResults, preset: Preset) -> Table:
    table = Table("source", "kept", "layers", "mean", "low", "high")
    for source in results["probe"].unique("source"):
        rows = results["probe"].where(source=source)
        first = next(iter(rows))
        for kept, values in zip(first.cell["kept"], rows.stack("accuracy").T, strict=True):
            table.add(source=source, kept=kept, layers=int(first["layers"]), **_spread(values))
    return table


def bootstrap_table(results: AllResults, preset: Preset) -> Table:
    setting = main_setting(preset)
    table = Table("series", "rounds1", "mean", "low", "high")
    for rounds1 in preset["bootstraps"]:
        values = solved(bootstrapped(results, preset, rounds1), setting, "scaffold")[:, -1]
        table.add(series="average", rounds1=rounds1, **_spread(values))
    values = solved(
        bootstrapped(results, preset, setting["rounds1"], "client"), setting, "scaffold"
    )[:, -1]
    table.add(series="client 0", rounds1=setting["rounds1"], **_spread(values))
    for method in ("fedavg", "centralized"):
        values = last(trained(results, setting, method))
        for rounds1 in (min(preset["bootstraps"]), max(preset["bootstraps"])):
            table.add(series=method, rounds1=rounds1, **_spread(values))
    return table


def steps_table(results: AllResults, preset: Preset) -> Table:
    table = Table("algorithm", "steps", "round", "mean", "low", "high")
    setting = main_setting(preset)
    rows = standard(results, setting)
    for algorithm in ("scaffold", "fedavg"):
        for steps in preset["steps"]:
            for number, values in enumerate(solved(rows, setting, algorithm, steps=steps).T):
                table.add(algorithm=algorithm, steps=steps, round=number + 1, **_spread(values))
    return table


def ablations_table(results: AllResults, preset: Preset) -> Table:
    setting = main_setting(preset)
    rows, table = standard(results, setting), Table("panel", "series", "x", "mean", "low", "high")
    for c in preset["cs"]:
        values = solved(rows, setting, "scaffold", c=c)[:, -1]
        table.add(panel="eta", series="scaffold", x=c, **_spread(values))
    for p in preset["ps"]:
        values = solved(rows, setting, "scaffold", coordinates=p)[:, -1]
        table.add(panel="p", series="scaffold", x=p, **_spread(values))
    for algorithm, standardize in (("scaffold", True), ("fedavg", True), ("scaffold", False)):
        for m in preset["steps"]:
            series = f"{algorithm}, {'standardised' if standardize else 'raw'}"
            values = solved(rows, setting, algorithm, steps=m, standardize=standardize)[:, -1]
            table.add(panel="M", series=series, x=m, **_spread(values))
    return table


def stopping_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "x", "mean", "low", "high")
    setting = main_setting(preset)
    rows = standard(results, setting)
    for algorithm in ("scaffold",):
        for number, values in enumerate(solved(rows, setting, algorithm, rounds=preset["long"]).T):
            table.add(series=algorithm, x=number + 1, **_spread(values))
    table.add(series="ridgeless", x=preset["long"], **_spread(rows.stack("ridgeless_accuracy")))
    for ridge, values in zip(preset["ridges"], rows.stack("ridge_accuracy").T, strict=True):
        table.add(series="ridge", x=ridge, **_spread(values))
    return table


def theory_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "series", "x", "mean", "low", "high")
    rows = results["fixed_points"]
    for panel, quantities in (
        ("limits", ("bias", "to_minimisers", "scaffold_to_optimum")),
        ("radii", ("radius", "rate", "fedavg_radius")),
    ):
        for quantity in quantities:
            for m, values in zip(
                next(iter(rows)).cell["steps"], rows.stack(quantity).T, strict=True
            ):
                table.add(panel=panel, series=quantity, x=m, **_spread(values))
    rows = results["interpolation"]
    cell = next(iter(rows)).cell
    for algorithm in ("fedavg", "scaffold"):
        for i, m in enumerate(cell["steps"]):
            for j, rounds in enumerate(cell["rounds"]):
                values = rows.stack(algorithm)[:, i, j]
                table.add(
                    panel="interpolation", series=f"{algorithm} {m}", x=rounds, **_spread(values)
                )
    return table
