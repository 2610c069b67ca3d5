"""What figures and claims reduce results to."""

from collections.abc import Mapping

import numpy as np

from theorylab.lab import Preset, Results, Row, Table
from theorylab.papers.semi_private.published import (
    FULL_SIZES,
    POSTER,
    POSTER_BARS,
    POSTER_METHODS,
    POSTER_RANKS,
    POSTER_SHIFTED,
)

All = Mapping[str, Results]
LEVEL = 0.9  # the accuracy at which numbers of records are compared
HERE = "here"  # of panels, beside the poster's
TITLES = {
    "cifar10": "CIFAR-10",
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "adult": "Adult",
    "reviews": "clothing reviews",
}


def needed(sizes: list[int], accuracy: np.ndarray) -> float:
    """The number of records at which the accuracy crosses `LEVEL`, between sizes on a log scale;
    NaN where it does not."""
    above = np.flatnonzero(accuracy >= LEVEL)
    if not len(above) or above[0] == 0:
        return float("nan")
    k = int(above[0])
    share = (LEVEL - accuracy[k - 1]) / (accuracy[k] - accuracy[k - 1])
    return float(sizes[k - 1] * (sizes[k] / sizes[k - 1]) ** share)


def needed_in(row: Row, method: str) -> float:
    """`needed` of a method in a cell of sizes."""
    return needed(row.cell["sizes"], row["accuracy"][row.cell["methods"].index(method)])


def title(cell: Mapping[str, object]) -> str:
    """A set of features in words, with its public records where they are of another set."""
    name = TITLES[str(cell["data"])]
    other = cell["source"] != cell["data"]
    return f"{name}, {TITLES[str(cell['source'])]} public" if other else name


def width(row: Row) -> int:
    """The number of all directions of a set of features, for the axis."""
    return {"cifar10": 1280, "adult": 123, "reviews": 384}.get(
        row.cell["data"], 1280 if row.cell["network"] == "efficientnet_lite0" else 196
    )


def at(row: Row, rank: int, epsilon: float) -> float:
    """The accuracy at a number of directions and a level of privacy; 0 for all and for none."""
    cell = row.cell
    return float(row["accuracy"][cell["ranks"].index(rank), cell["epsilons"].index(epsilon)])


def over_directions(results: All, preset: Preset) -> Table:
    """Accuracies over directions, mean and deviation over splits, and the poster's."""
    table = Table("panel", "epsilon", "k", "accuracy", "deviation", "spent")
    for epsilon, values in POSTER.items():
        for k, value in zip(POSTER_RANKS, values, strict=True):
            spread = float("nan")
            table.add(
                panel="CIFAR-10, ResNet-50, the poster",
                epsilon=epsilon,
                k=k,
                accuracy=value / 100,
                deviation=spread,
                spent=epsilon,
            )
    rows = results["curves"]
    for data, source in rows.unique("data", "source"):
        mine = rows.where(data=data, source=source)
        first = next(iter(mine))
        every = mine.stack("accuracy")
        for j, epsilon in enumerate(first.cell["epsilons"]):
            for i, rank in enumerate(first.cell["ranks"]):
                if rank >= width(first):
                    continue  # all directions, which have a place of their own
                table.add(
                    panel=title(first.cell),
                    epsilon=epsilon,
                    k=rank or width(first),
                    accuracy=float(every[:, i, j].mean()),
                    deviation=float(every[:, i, j].std()),
                    spent=float(first["spent"][j]),
                )
    return table


def first(results: All) -> Results:
    """The curves of the first set of features, with public records of its own."""
    data = results["curves"].unique("data")[0]
    return results["curves"].where(data=data, source=data)


def fractions(results: All, preset: Preset) -> Table:
    """Accuracies over the share of the private records that is there."""
    table = Table("data", "epsilon", "k", "share", "private", "accuracy")
    for row in (*results["low_data"], *first(results)):
        for rank in (40, 0):
            for epsilon in row.cell["epsilons"]:
                table.add(
                    data=title(row.cell),
                    epsilon=epsilon,
                    k=rank,
                    share=row.cell["share"],
                    private=int(row["private"]),
                    accuracy=at(row, rank, epsilon),
                )
    return table


def bars(results: All, preset: Preset) -> Table:
    """Accuracy of each method at the same epsilon, what it spent, and the poster's bar."""
    table = Table("method", "accuracy", "deviation", "spent", "poster")
    for method in results["methods"].unique("method"):
        rows = results["methods"].where(method=method)
        every = rows.stack("accuracy")
        table.add(
            method=method,
            accuracy=float(every.mean()),
            deviation=float(every.std()),
            spent=float(rows.stack("spent").max()),
            poster=POSTER_METHODS.get(method, float("nan")) / 100,
        )
    return table


def both(results: All, preset: Preset) -> Table:
    """PILLAR at k = 40 (20 on tables) beside no projection at epsilon = 0.1, every set, and the
    poster's."""
    table = Table("panel", "data", "pillar", "full", "pillar_deviation", "full_deviation")
    rows = results["curves"]
    for data, source in rows.unique("data", "source"):
        mine = rows.where(data=data, source=source)
        first = next(iter(mine))
        pair = [[at(r, few(r), 0.1) for r in mine], [at(r, 0, 0.1) for r in mine]]
        table.add(
            panel=HERE,
            data=title(first.cell),
            pillar=float(np.mean(pair[0])),
            full=float(np.mean(pair[1])),
            pillar_deviation=float(np.std(pair[0])),
            full_deviation=float(np.std(pair[1])),
        )
    _poster(table)
    return table


def _poster(table: Table) -> None:
    """The poster's pairs: supervised features, BYOL's, and directions of another set."""
    none = float("nan")
    spread = {"pillar_deviation": none, "full_deviation": none}
    for k, features in enumerate(("supervised", "BYOL")):
        for name, pairs in POSTER_BARS.items():
            pillar, full = pairs[k]
            table.add(panel=features, data=name, pillar=pillar / 100, full=full / 100, **spread)
        for name, values in POSTER_SHIFTED.items():
            shifted = f"{name}, shifted"
            table.add(panel=features, data=shifted, pillar=values[k] / 100, full=none, **spread)


def few(row: Row) -> int:
    """The directions that PILLAR takes, chosen beforehand: 40 as the paper, 20 on tables."""
    return 20 if row.cell["network"] == "none" else 40


def defects(results: All, preset: Preset) -> Table:
    """Low-rank defects of two-class heads over the number of directions."""
    table = Table("features", "k", "defect")
    for row in results["defects"]:
        values = row["defect"]
        places = np.unique(np.r_[np.geomspace(1, len(values), 60).astype(int), len(values)])
        for k in places:
            table.add(features=row.cell["network"], k=int(k), defect=float(values[k - 1]))
    return table


def sizes(results: All, preset: Preset) -> Table:
    """Mean exact accuracies over the number of private records on the mixture."""
    table = Table("d", "method", "n", "accuracy", "free")
    rows = results["sample_sizes"]
    for d in rows.unique("d"):
        mine = rows.where(d=d)
        cell = next(iter(mine)).cell
        private, free = mine.stack("accuracy").mean(0), mine.stack("free").mean(0)
        for i, method in enumerate(cell["methods"]):
            for j, n in enumerate(cell["sizes"]):
                table.add(
                    d=d,
                    method=method,
                    n=n,
                    accuracy=float(private[i, j]),
                    free=float(free[i, j]),
                )
    return table


def numbers(results: All, preset: Preset) -> Table:
    """Records for 90 % over the dimension, beside the prototype's, and over epsilon."""
    table = Table("panel", "series", "x", "n")
    rows = results["sample_sizes"]
    for row in rows:
        for method in row.cell["methods"]:
            table.add(panel="d", series=method, x=row.cell["d"], n=needed_in(row, method))
    for d, n in FULL_SIZES.items():
        if d in rows.unique("d"):
            table.add(panel="d", series="no projection, prototype", x=d, n=n)
    for row in results["epsilon_sizes"]:
        x, n = row.cell["epsilon"], needed_in(row, "PILLAR")
        table.add(panel="epsilon", series="PILLAR", x=x, n=n)
    return table


def spiked(results: All, preset: Preset) -> Table:
    """Accuracies and defects over the number of directions on the spiked distribution."""
    table = Table("epsilon", "k", "accuracy", "deviation", "defect")
    rows = results["spiked"]
    cell = next(iter(rows)).cell
    every, missed = rows.stack("accuracy"), rows.stack("defect").mean(0)
    for j, epsilon in enumerate(cell["epsilons"]):
        for i, k in enumerate(cell["ranks"]):
            table.add(
                epsilon=epsilon,
                k=k,
                accuracy=float(every[:, i, j].mean()),
                deviation=float(every[:, i, j].std()),
                defect=float(missed[i]),
            )
    return table


def plane(results: All, preset: Preset) -> Table:
    """The counter-example in the plane, and measured over promised margins of random laws."""
    table = Table("panel", "series", "x", "y")
    row = next(iter(results["counterexample"]))
    for (x, y), label in zip(row["records"], row["labels"], strict=True):
        table.add(panel="plane", series=f"label {label:+.0f}", x=float(x), y=float(y))
    for name, series in (("weights", "classifier w"), ("leading", "leading direction")):
        table.add(panel="plane", series=series, x=float(row[name][0]), y=float(row[name][1]))
    for one in results["margins"]:
        for name in ("sharp", "printed"):
            for x, y in zip(one[name], one["unscaled"], strict=True):
                table.add(panel="margins", series=name, x=float(x), y=float(y))
    return table


def directions(results: All, preset: Preset) -> Table:
    """Measured errors of directions and their bounds, for samples and for shifts."""
    table = Table("panel", "series", "x", "y")
    for row in results["sampled"]:
        c = row.cell
        name = f"d = {c['d']}, k = {c['rank']}, n = {c['n']}"
        measured = float(np.quantile(row["errors"], 0.95))
        table.add(panel="samples", series="95 % quantile", x=name, y=measured)
        table.add(panel="samples", series="bound at 95 %", x=name, y=float(row["bound"]))
    for row in results["shifted"]:
        for k, eta in enumerate(row.cell["shifts"]):
            for series, value in (
                ("largest measured", row["error"][k].max()),
                ("2η/Δ, ours", row["bound"][k].min()),
                ("14η/Δ, the paper's constant", row["printed"][k].min()),
            ):
                table.add(panel="shifts", series=series, x=f"{eta:g}", y=float(value))
    return table


def rates(results: All, preset: Preset) -> Table:
    """Private records of each method up to constants, over the dimension."""
    table = Table("method", "defect", "d", "rate")
    for row in results["rates"]:
        for method, values in row.arrays.items():
            for d, value in zip(row.cell["dimensions"], values, strict=True):
                table.add(method=method, defect=row.cell["defect"], d=d, rate=float(value))
    return table


def accounted(results: All, preset: Preset) -> Table:
    """The settings of the paper's code: the noise multiplier, and the epsilon that it spends."""
    table = Table("epsilon", "inverse_rate", "steps", "noise_multiplier", "spent")
    for row in results["accounted"]:
        c = row.cell
        table.add(
            epsilon=c["epsilon"],
            inverse_rate=round(1 / c["sampling_rate"]),
            steps=c["steps"],
            noise_multiplier=c["noise_multiplier"],
            spent=float(row["epsilon"]),
        )
    return table
