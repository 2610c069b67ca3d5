"""What the claims measure: levels, differences and healed shares over seeds."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from theorylab.lab import Evidence, Preset, Results, over_seeds
from theorylab.papers.corrective_unlearning import tables
from theorylab.papers.corrective_unlearning.identities import SCHEDULE_AT
from theorylab.papers.corrective_unlearning.tables import CURVES, measure
from theorylab.unlearning import identification_requirement

All = Mapping[str, Results]
Measure = Callable[[All, Preset], Sequence[Evidence]]
Bounds = Mapping[float, tuple[float, float]]  # identified share -> (low, high)
INF = np.inf
EXAMPLE = (0.25, -2.0, 0.5, 0.0, 0.2)
SCHEDULE = (0.0022727, 0.0136364, 0.0227273, 0.025, 0.0152, 0.00522)


def series(rows: Results, name: str) -> np.ndarray:
    """(seeds, shares, measures) of a curve; "clean" is a model that never saw a manipulated sample,
    whatever is identified, and "ssd_moved" takes the alpha and lambda that suit importances of
    batches to importances of single samples."""
    count = len(tables.gammas(rows))
    if name == "clean":
        return tables.grid(rows, "clean")[:, :, 0].repeat(count, 1)
    if name == "ssd_moved":
        single, batch = tables.grid(rows, "ssd"), tables.grid(rows, "ssd_batch")
        picked = tables.best(batch, "oracle")
        return np.take_along_axis(single, picked[..., None, None], -2)[..., 0, :]
    found = tables.curve(rows, name)
    if found is None:
        raise KeyError(f"{name} was not run here; there are: {', '.join(CURVES)}")
    return found


def _compared(
    world: str, kind: str, label: str, values: Callable[[Results], np.ndarray], bounds: Bounds
) -> Measure:
    """Values (seeds, shares) at some shares."""

    def measured(results: All, preset: Preset) -> list[Evidence]:
        rows = tables.part(results, world, kind)
        found, gammas = values(rows), tables.gammas(rows)
        evidence = []
        for gamma, span in bounds.items():
            (place,) = np.flatnonzero(np.isclose(gammas, gamma))
            title = f"{label}, {world}, {kind}, γ = {gamma:g}"
            evidence.append(over_seeds(title, found[:, place], *span))
        return evidence

    return measured


def _averaged(
    world: str,
    kind: str,
    label: str,
    values: Callable[[Results], np.ndarray],
    span: tuple[float, float],
) -> Measure:
    """Values (seeds, shares), mean over all shares."""

    def measured(results: All, preset: Preset) -> list[Evidence]:
        found = values(tables.part(results, world, kind)).mean(1)
        return [over_seeds(f"{label}, mean over γ, {world}, {kind}", found, *span)]

    return measured


def _accuracy(name: str, what: str) -> Callable[[Results], np.ndarray]:
    return lambda rows: measure(series(rows, name), what)


def _gap(first: str, second: str, what: str) -> Callable[[Results], np.ndarray]:
    """One curve less another, paired by seed."""
    return lambda rows: _accuracy(first, what)(rows) - _accuracy(second, what)(rows)


def _healed(name: str) -> Callable[[Results], np.ndarray]:
    """Share of the gap between the original and the clean model that is healed."""
    return lambda rows: tables.healed(rows, _accuracy(name, "corrected")(rows))


def levels(world: str, kind: str, name: str, bounds: Bounds, what: str = "corrected") -> Measure:
    """An accuracy of one curve at some shares."""
    return _compared(world, kind, f"{what} accuracy", _accuracy(name, what), bounds)


def differences(
    world: str, kind: str, first: str, second: str, bounds: Bounds, what: str = "corrected"
) -> Measure:
    """One curve less another at some shares, paired by seed."""
    label = f"difference in {what} accuracy"
    return _compared(world, kind, label, _gap(first, second, what), bounds)


def mean_difference(
    world: str, kind: str, first: str, second: str, low: float = -INF, high: float = INF
) -> Measure:
    """Corrected accuracy of one curve less that of another, mean over all shares."""
    values = _gap(first, second, "corrected")
    return _averaged(world, kind, "difference in corrected accuracy", values, (low, high))


def shares(world: str, kind: str, name: str, bounds: Bounds) -> Measure:
    """Share of the gap between the original and the clean model that is healed."""
    return _compared(world, kind, "share healed", _healed(name), bounds)


def mean_share(world: str, kind: str, name: str, low: float = -INF, high: float = INF) -> Measure:
    """Healed share, mean over all identified shares."""
    return _averaged(world, kind, "share healed", _healed(name), (low, high))


def requirement(world: str, kind: str, name: str, low: float, high: float) -> Measure:
    """The smallest share at which the mean over seeds reaches nine tenths of the clean model."""

    def measured(results: All, preset: Preset) -> list[Evidence]:
        rows = tables.part(results, world, kind)
        corrected = measure(series(rows, name), "corrected").mean(0)
        need = identification_requirement(
            tables.gammas(rows), corrected, float(tables.clean(rows).mean())
        )
        # what is never reached needs more than everything
        value = need if np.isfinite(need) else 2.0
        return [Evidence(f"share needed, {world}, {kind}", value, low, high, seeds=len(rows))]

    return measured


def implanted(order: str, high: float) -> Measure:
    """Acc_corr of the original model with crops and the trigger set after or before them."""

    def measured(results: All, preset: Preset) -> list[Evidence]:
        table = tables.order_table(results, preset).where(order=order)
        return [
            over_seeds("corrected accuracy of the original model", table["original"], high=high)
        ]

    return measured


def both(*measures: Measure) -> Measure:
    """The evidence of several measures under one claim."""
    return lambda results, preset: [e for m in measures for e in m(results, preset)]


# Identities
def _row(results: All) -> Mapping[str, np.ndarray]:
    return next(iter(results["identities"])).arrays


def example(variant: str = "example") -> Measure:
    def measured(results: All, preset: Preset) -> list[Evidence]:
        found = _row(results)[variant]
        return [
            Evidence(f"entry {i}", float(value), want - 1e-6, want + 1e-6)
            for i, (value, want) in enumerate(zip(found, EXAMPLE, strict=True))
        ]

    return measured


def dampening(growth: str = "growth") -> Measure:
    def measured(results: All, preset: Preset) -> list[Evidence]:
        row = _row(results)
        return [
            Evidence("largest growth of a parameter", float(row[growth]), high=1e-6),
            Evidence("change at infinite α or λ", float(row["moved_at_infinity"]), high=0.0),
            Evidence("change with the scale of importances", float(row["scale"]), high=1e-5),
        ]

    return measured


def batch_means(batches: bool = True) -> Measure:
    """Importances of batches over those of single samples: at most 1 everywhere, and other."""

    def measured(results: All, preset: Preset) -> list[Evidence]:
        row = _row(results)
        ratios = row["ratios"] if batches else 1 / row["ratios"]
        return [
            Evidence("single samples against their gradients", float(row["single"]), high=1e-4),
            Evidence(
                "largest ratio at batches of 2, 4, 16, 64", float(ratios.max()), high=1 + 1e-4
            ),
            Evidence("smallest ratio at batches of 64", float(ratios[-1].min()), high=0.5),
        ]

    return measured


def frozen(*runs: str) -> Measure:
    def measured(results: All, preset: Preset) -> list[Evidence]:
        row = _row(results)
        return [
            Evidence(
                f"numbers changed in frozen layers, {run}",
                float(row[f"frozen_changed_{run}"]),
                high=0.0,
            )
            for run in runs
        ] + [
            Evidence(
                f"numbers changed in trained layers, {run}",
                float(row[f"trained_changed_{run}"]),
                low=1.0,
            )
            for run in runs
        ]

    return measured


def schedule(scale: float = 1.0) -> Measure:
    def measured(results: All, preset: Preset) -> list[Evidence]:
        found = _row(results)["schedule"] * scale
        return [
            Evidence(f"step {t}", float(value), want * (1 - 1e-3), want * (1 + 1e-3))
            for t, value, want in zip(SCHEDULE_AT, found, SCHEDULE, strict=True)
        ]

    return measured
