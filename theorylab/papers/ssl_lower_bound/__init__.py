"""Can semi-supervised learning use all the data effectively? A lower bound perspective (Tifrea et
al. 2023)."""

from itertools import product
from typing import Any

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.ssl_lower_bound import real, synthetic
from theorylab.papers.ssl_lower_bound.claims import CLAIMS
from theorylab.papers.ssl_lower_bound.figures import FIGURES

Cells = list[dict[str, Any]]
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

_TABLE = [
    [20, [[1.0, 400, 1000], [0.5, 400, 4000], [1.0, 50, 5000]]],
    [10, [[0.5, 1000, 1000]]],
    [50, [[0.3, 20, 200]]],
]
_MNIST = [
    [f"mnist/{pair}", None, [4, 6, 10, 20, 40]] for pair in ("3v8", "5v9", "5v6", "1v7", "0v1")
]
_FASHION = [[f"fashion_mnist/{pair}", False, [6, 20]] for pair in ("0v6", "2v4", "7v9", "1v8")]
_TABLES = [
    [name, None, [6, 20]]
    for name in (
        "adult",
        "keel/twonorm",
        "keel/ring",
        "keel/spambase",
        "keel/satimage/2v5",
        "keel/wdbc",
        "keel/ionosphere",
        "keel/optdigits/3v8",
        "keel/optdigits/5v9",
        "keel/optdigits/1v7",
    )
]
_QUICK = {
    "d": 20,
    "repeats": 4,
    "replicates": 200,
    "kl_draws": 300_000,
    "heat_s": [0.3, 1.0, 2.0],
    "table": _TABLE,
    "labels_n_l": [50, 100, 200, 345, 400, 800, 1600],
    "snr_s": [0.15, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0],
    "snr_sizes": [200, 2000],
    "snr_replicates": 30,
    "snr_self_training": True,
    "grid_s": [0.3, 0.7, 1.0, 2.0],
    "grid_n_l": [20, 100, 400, 1600],
    "grid_n_u": [50, 200, 1000, 5000],
    "grid_replicates": 2000,
    "grid_em_replicates": 80,
    "doublings": 3,
    "slope_replicates": 2000,
    "precision_replicates": 30,
    "precision_by_moments": 2000,
    "explicit_replicates": 200,
    "tasks": _MNIST + _FASHION + _TABLES,
    "draws": 5,
    "shuffled_tasks": 2,
    "twonorm": "keel/twonorm",
    "twonorm_draws": 400,
}
_SMOKE = _QUICK | {
    "repeats": 2,
    "replicates": 8,
    "kl_draws": 20_000,
    "heat_s": [1.0],
    "table": [[20, [[1.0, 400, 1000], [0.5, 400, 1000], [1.0, 50, 1000]]]],
    "labels_n_l": [50, 345, 1600],
    "snr_s": [0.3, 0.7, 1.6],
    "snr_sizes": [200, 1000],
    "snr_replicates": 8,
    "snr_self_training": False,
    "grid_s": [0.7, 1.0],
    "grid_n_l": [20, 400],
    "grid_n_u": [200, 1000],
    "grid_replicates": 0,
    "grid_em_replicates": 8,
    "doublings": 1,
    "slope_replicates": 100,
    "precision_replicates": 2,
    "precision_by_moments": 0,
    "explicit_replicates": 16,
    "tasks": [["fashion_mnist/0v6", True, [6, 20]]],
    "draws": 2,
    "shuffled_tasks": 0,
    "twonorm": "generated",
    "twonorm_draws": 5,
}
_SIZES = [20, 50, 100, 200, 400, 800, 1600, 3200]
_MORE = [
    [f"keel/{name}", None, [20]]
    for name in ("magic", "phoneme", "sonar", "mushroom", "segment/0v3")
]
_FULL = _QUICK | {
    "repeats": 10,
    "replicates": 200,
    "kl_draws": 4_000_000,
    "snr_s": [
        0.15,
        0.27,
        0.4,
        0.52,
        0.64,
        0.77,
        0.89,
        1.01,
        1.14,
        1.26,
        1.38,
        1.51,
        1.63,
        1.75,
        1.88,
        2.0,
    ],
    "snr_replicates": 200,
    "grid_s": [0.15, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0],
    "grid_n_l": _SIZES,
    "grid_n_u": _SIZES,
    "grid_replicates": 20_000,
    "grid_em_replicates": 200,
    "slope_replicates": 10_000,
    "precision_replicates": 200,
    "precision_by_moments": 10_000,
    "explicit_replicates": 2000,
    "draws": 100,
    "twonorm_draws": 1000,
    "tasks": [
        [name, sample, [4, 6, 10, 20, 40]]
        for name, sample, _ in _MNIST + _FASHION + _TABLES + _MORE
    ],
}

PAPER = Paper(
    slug="ssl_lower_bound",
    title="Can Semi-Supervised Learning Use All the Data Effectively? A Lower Bound Perspective",
    authors="Alexandru Tifrea, Gizem Yüce, Amartya Sanyal, Fanny Yang",
    venue="NeurIPS 2023",
    arxiv="2311.18557",
    summary=(
        "Can semi-supervised learning beat both supervised and unsupervised learning by more "
        "than a constant? For two-Gaussian mixtures the minimax rate says no, for every "
        "signal-to-noise ratio; constants can still be gained, and are."
    ),
    presets={
        "smoke": Preset(
            "smoke", _SMOKE, omits="Sizes of seconds, for tests: most claims are not judged."
        ),
        "quick": Preset(
            "quick",
            _QUICK,
            omits="A few hundred replicates, 5 draws a real task, pools of at most 5,000 points; "
            "of the paper's five "
            "tables only a9a (Adult, rebuilt) is to be had, others of similar kind stand in.",
        ),
        "full": Preset(
            "full",
            _FULL,
            omits=(
                "Of the paper's five tables only a9a (Adult, rebuilt) is to be had, others of "
                "similar kind stand in."
            ),
        ),
    },
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
