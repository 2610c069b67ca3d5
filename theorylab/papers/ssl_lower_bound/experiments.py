"""The experiments: from a preset to the cells of each."""

from itertools import product
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.ssl_lower_bound import real, synthetic
from theorylab.papers.types import Cells

MOMENTS = ["sl", "ul", "ul_plus", "ssl_switch", "ssl_weighted"]

WITH_EM = ["sl", "ul_plus", "ssl_switch", "ssl_weighted", "ssl_em"]


def _settings(points: list[tuple[float, int, int]]) -> dict[str, Any]:
    return {
        name: list(column)
        for name, column in zip(("s", "n_l", "n_u"), zip(*points, strict=True), strict=True)
    }


def _closed(p: Preset) -> Cells:
    pairs = [[s, a] for s, a in product((0.3, 1.0, 2.0), (0.05, 0.5, 1.5, 3.0))]
    snrs = [0.05, *[round(0.1 * k, 1) for k in range(1, 41)]]
    return [{"snrs": snrs, "pairs": pairs, "draws": p["kl_draws"], "seed": p.seeds(1)[0]}]


def _heat(p: Preset) -> Cells:
    sizes = [round(10 ** (1 + k / 7.5), 1) for k in range(31)]
    return [{"s": s, "n_l": sizes, "n_u": sizes, "d": p["d"]} for s in p["heat_s"]]


def _table(p: Preset) -> Cells:
    return [
        {
            "d": d,
            **_settings(points),
            "replicates": p["replicates"],
            "methods": WITH_EM,
            "seed": seed,
        }
        for d, points in p["table"]
        for seed in p.seeds(p["repeats"])
    ]


def _labels(p: Preset) -> Cells:
    points = [(0.7, n_l, 1000) for n_l in p["labels_n_l"]]
    return [
        {
            "d": 20,
            **_settings(points),
            "replicates": p["replicates"],
            "methods": WITH_EM,
            "seed": seed,
        }
        for seed in p.seeds(p["repeats"])
    ]


def _snr(p: Preset) -> Cells:
    points = [(s, *p["snr_sizes"]) for s in p["snr_s"]]
    return [
        {
            "d": p["d"],
            **_settings(points),
            "replicates": p["snr_replicates"],
            "methods": WITH_EM + (["self_training"] if p["snr_self_training"] else []),
            "seed": seed,
        }
        for seed in p.seeds(p["repeats"])
    ]


def _grid(p: Preset) -> Cells:
    points = list(product(p["grid_s"], p["grid_n_l"], p["grid_n_u"]))
    common = {"d": p["d"], **_settings(points), "seed": p.seeds(1)[0]}
    counts = ((MOMENTS, p["grid_replicates"]), (WITH_EM, p["grid_em_replicates"]))
    return [
        {**common, "replicates": count, "methods": methods} for methods, count in counts if count
    ]


def _limits(p: Preset) -> Cells:
    """The two samples grow together, or one much faster than the other."""
    ladder = range(p["doublings"])
    paths = {
        "low": [(0.7, 200 * 6**k, 200 * 2**k) for k in ladder],
        "intermediate": [(0.7, 300 * 2**k, 900 * 2**k) for k in ladder],
        "high": [(0.7, round(100 * 1.5**k), 200 * 5**k) for k in ladder],
    }
    return [
        {
            "d": 20,
            **_settings([point for path in paths.values() for point in path]),
            "replicates": p["replicates"],
            "methods": WITH_EM,
            "seed": seed,
        }
        for seed in p.seeds(p["repeats"])
    ]


def _slopes(p: Preset) -> Cells:
    snrs = (0.2, 0.3, 0.45, 0.7, 1.0, 2.0, 2.5, 3.0)
    points = [(1.0, 100 * 2**k, 500 * 2 ** min(k, 4)) for k in range(6)] + [
        (s, 20_000, 20_000) for s in snrs
    ]
    return [
        {
            "d": 20,
            **_settings(points),
            "replicates": p["slope_replicates"],
            "methods": MOMENTS,
            "seed": seed,
        }
        for seed in p.seeds(p["repeats"])
    ]


def _precision(p: Preset) -> Cells:
    d, points = p["table"][0]
    methods = [*WITH_EM, "self_training"] if p["snr_self_training"] else WITH_EM
    points = [(s, n_l, min(n_u, 1000)) for s, n_l, n_u in points]
    common = {"d": d, **_settings(points), "seed": p.seeds(1)[0]}
    return [
        {**common, "methods": chosen, "dtype": dtype, "replicates": count}
        for chosen, count in (
            (methods, p["precision_replicates"]),
            (MOMENTS, p["precision_by_moments"]),
        )
        if count
        for dtype in ("float32", "float64")
    ]


def _cancellation(p: Preset) -> Cells:
    return [
        {
            "s": 1.0,
            "d": 20,
            "sizes": [10**k for k in range(3, 10)],
            "draws": 200,
            "seed": p.seeds(1)[0],
        }
    ]


def _explicit(p: Preset) -> Cells:
    sizes = {"s": 1.0, "d": 20, "n_l": 400, "n_u": 1000}
    return [{**sizes, "replicates": p["explicit_replicates"], "seed": s} for s in p.seeds(1)]


def _learners(p: Preset) -> Cells:
    common = {"draws": p["draws"], "seed": p.seeds(1)[0]}
    honest = [
        {"name": name, "sample": sample, "labels": labels, **common}
        for name, sample, labels in p["tasks"]
    ]
    return honest + [
        {"name": name, "sample": sample, "labels": [20], "shuffled": True, **common}
        for name, sample, _ in p["tasks"][: p["shuffled_tasks"]]
    ]


def _twonorm(p: Preset) -> Cells:
    common = {"data": p["twonorm"], "n_l": 40, "n_u": 200, "draws": p["twonorm_draws"]}
    return [{**common, "seed": seed} for seed in p.seeds(2) if p["twonorm_draws"]]


def _task_data(p: Preset) -> list[str]:
    return sorted({_set_of(name) for name, sample, _ in p["tasks"] if not sample})


def _set_of(name: str) -> str:
    return name.split("/")[0]


def _twonorm_data(p: Preset) -> list[str]:
    return [] if p["twonorm"] == "generated" else ["keel"]


EXPERIMENTS = (
    Experiment("closed", synthetic.closed, _closed),
    Experiment("heat", synthetic.heat, _heat),
    Experiment("table", synthetic.risks, _table),
    Experiment("labels", synthetic.risks, _labels),
    Experiment("snr", synthetic.risks, _snr),
    Experiment("grid", synthetic.risks, _grid),
    Experiment("limits", synthetic.risks, _limits),
    Experiment("slopes", synthetic.risks, _slopes),
    Experiment("precision", synthetic.risks, _precision),
    Experiment("cancellation", synthetic.cancellation, _cancellation),
    Experiment("explicit", synthetic.explicit, _explicit),
    Experiment("learners", real.learners, _learners, data=_task_data),
    Experiment("twonorm", real.twonorm, _twonorm, data=_twonorm_data),
)
