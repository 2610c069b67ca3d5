"""From stored scores to curves: a configuration chosen for every seed and share, means and standard
errors over seeds."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from theorylab.lab import Preset, Results, Table
from theorylab.papers.corrective_unlearning.sweep import MEASURES
from theorylab.unlearning import Scores, healed_share, identification_requirement, select

All = Mapping[str, Results]
# name of a curve -> (stored array, rule by which its configuration is chosen)
CURVES: Mapping[str, tuple[str, str]] = {
    "none": ("none", "oracle"),
    "rewod": ("rewod", "oracle"),
    "cf": ("cf", "first"),
    "cf_k": ("cf", "oracle"),
    "eu_k": ("eu", "oracle"),
    "scrub": ("scrub", "oracle"),
    "scrub_kl": ("scrub_kl", "oracle"),
    "badt": ("badt", "first"),
    "ssd": ("ssd", "oracle"),
    "ssd_deployable": ("ssd", "deployable"),
    "ssd_batch": ("ssd_batch", "oracle"),
    "ssd_batch_deployable": ("ssd_batch", "deployable"),
    "potion": ("potion", "first"),
    "newton": ("newton", "oracle"),
}
# shares of the poison healed, averaged over sizes and identified shares, and accuracy lost
PUBLISHED = {"rewod": (0.4068, np.nan), "ssd": (0.8341, 0.0568), "potion": (0.9372, 0.0141)}
PUBLISHED_SOURCE = "Schoepf et al. 2024 (arXiv 2406.09173), abstract"


def part(results: All, world: str, kind: str, size: int | None = None) -> Results:
    """The cells of one world and manipulation; of its largest size where none is given."""
    rows = [
        r
        for r in results["sweep"]
        if r.cell["world"] == world and r.cell["manipulation"]["kind"] == kind
    ]
    if size is None:
        size = max((r.cell["manipulation"]["size"] for r in rows), default=0)
    return Results(tuple(r for r in rows if r.cell["manipulation"]["size"] == size))


def settings(results: All) -> list[tuple[str, str, int]]:
    """(world, kind, size) in the order of the cells."""
    return list(
        dict.fromkeys(
            (r.cell["world"], r.cell["manipulation"]["kind"], r.cell["manipulation"]["size"])
            for r in results["sweep"]
        )
    )


def grid(rows: Results, array: str) -> np.ndarray:
    """(seeds, shares, configurations, measures)"""
    return rows.stack(array)


def chosen(values: np.ndarray, rule: str) -> np.ndarray:
    """(..., measures) of the configuration that the rule takes, seed by seed and share by share."""
    return np.take_along_axis(values, best(values, rule)[..., None, None], -2)[..., 0, :]


def best(values: np.ndarray, rule: str) -> np.ndarray:
    """Numbers of the configurations: "first" takes the first one always."""
    if rule == "first":
        return np.zeros(values.shape[:-2], int)
    found = Scores(*jnp.moveaxis(jnp.asarray(values), -1, 0))  # fields in the order of MEASURES
    return np.asarray(select(found, rule))  # type: ignore[arg-type]


def curve(rows: Results, name: str) -> np.ndarray | None:
    """(seeds, shares, measures); None where the world has not run the method."""
    array, rule = CURVES[name]
    first = next(iter(rows))
    # an oracle stands for the better semantics of SSD's importances, where both were run
    array = "ssd_batch" if array == "ssd" and "ssd" not in first.arrays else array
    if array not in first.arrays:
        return None
    return chosen(grid(rows, array), rule)


def curves(rows: Results) -> Iterator[tuple[str, np.ndarray]]:
    for name in CURVES:
        found = curve(rows, name)
        if found is not None and not (
            name.startswith("ssd_batch") and "ssd" not in next(iter(rows)).arrays
        ):
            yield name, found


def measure(values: np.ndarray, name: str) -> np.ndarray:
    return values[..., MEASURES.index(name)]


def gammas(rows: Results) -> np.ndarray:
    return np.asarray(next(iter(rows)).cell["gammas"], dtype=float)


def clean(rows: Results, name: str = "corrected") -> np.ndarray:
    """(seeds,) of the model that never saw a manipulated sample."""
    return measure(grid(rows, "clean")[:, 0, 0], name)


def healed(rows: Results, corrected: np.ndarray) -> np.ndarray:
    """What these accuracies (seeds, shares) heal of the gap between the original and the clean
    model."""
    start, end = measure(chosen(grid(rows, "none"), "first"), "corrected"), clean(rows)[:, None]
    # a seed whose manipulation did nothing has no gap: 1 in a hundred keeps its share finite
    return healed_share(corrected, start, np.maximum(end, start + 0.01))


def spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard error over seeds."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def lines_table(results: All, preset: Preset) -> Table:
    table = Table(
        "world",
        "kind",
        "size",
        "method",
        "gamma",
        "corrected",
        "corrected_se",
        "retained",
        "retained_se",
        "seeds",
    )
    for world, kind, size in settings(results):
        rows = part(results, world, kind, size)
        ends = grid(rows, "clean")[:, :, 0].repeat(len(gammas(rows)), 1)
        for name, values in (*curves(rows), ("clean", ends)):
            for g, gamma in enumerate(gammas(rows)):
                corrected, retained = (
                    spread(measure(values[:, g], m)) for m in ("corrected", "retained")
                )
                table.add(
                    world=world,
                    kind=kind,
                    size=size,
                    method=name,
                    gamma=gamma,
                    corrected=corrected[0],
                    corrected_se=corrected[1],
                    retained=retained[0],
                    retained_se=retained[1],
                    seeds=len(rows),
                )
    return table


def kind_table(kind: str) -> Any:
    def table(results: All, preset: Preset) -> Table:
        return lines_table(results, preset).where(kind=kind)

    return table


def summary_table(results: All, preset: Preset) -> Table:
    """A row a method: means over shares, the share healed, and how much must be identified."""
    table = Table(
        "world",
        "kind",
        "size",
        "method",
        "corrected",
        "retained",
        "healed",
        "healed_se",
        "lost",
        "requirement",
        "published_healed",
        "published_lost",
        "seeds",
    )
    for world, kind, size in settings(results):
        rows = part(results, world, kind, size)
        none = curve(rows, "none")
        assert none is not None
        for name, values in curves(rows):
            corrected, retained = (measure(values, m) for m in ("corrected", "retained"))
            share = spread(healed(rows, corrected).mean(1))
            published = PUBLISHED.get(name, (np.nan, np.nan)) if kind == "poison" else (np.nan,) * 2
            table.add(
                world=world,
                kind=kind,
                size=size,
                method=name,
                corrected=corrected.mean(),
                retained=retained.mean(),
                healed=share[0],
                healed_se=share[1],
                lost=(measure(none, "retained") - retained).mean(),
                requirement=identification_requirement(
                    gammas(rows), corrected.mean(0), float(clean(rows).mean())
                ),
                published_healed=published[0],
                published_lost=published[1],
                seeds=len(rows),
            )
    return table


def tradeoff_table(results: All, preset: Preset) -> Table:
    """Every pair (alpha, lam) of SSD at the smallest share, mean over seeds; poison."""
    table = Table(
        "world", "importance", "alpha", "factor", "gamma", "corrected", "retained", "agreement"
    )
    for world, kind, size in settings(results):
        rows = part(results, world, kind, size)
        cell = next(iter(rows)).cell
        for array in ("ssd", "ssd_batch"):
            if kind != "poison" or array not in cell["methods"]:
                continue
            method = cell["methods"][array]
            pairs = [(a, f) for a in method["alphas"] for f in method["factors"]]
            values = grid(rows, array)[:, 0].mean(0)
            single = method["batch_size"] == 1
            for (alpha, factor), row in zip(pairs, values, strict=True):
                table.add(
                    world=f"{world}, {size}",
                    importance="single samples" if single else f"batches of {method['batch_size']}",
                    alpha=alpha,
                    factor=factor,
                    gamma=gammas(rows)[0],
                    corrected=float(measure(row, "corrected")),
                    retained=float(measure(row, "retained")),
                    agreement=float(measure(row, "agreement")),
                )
    return table


def order_table(results: All, preset: Preset) -> Table:
    """Acc_corr of the original model, the trigger set after the augmentation and before it."""
    table = Table("order", "seed", "original", "clean")
    for row in results["order"]:
        table.add(
            order=row.cell["order"],
            seed=row.cell["seed"],
            original=float(measure(row["none"][0, 0], "corrected")),
            clean=float(measure(row["clean"][0, 0], "corrected")),
        )
    return table
