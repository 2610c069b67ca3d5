"""The cells of every experiment, from the numbers of a preset."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.certified_ensembles import attacked, networks, shapes, smoothed, theory
from theorylab.papers.types import Cells

LOWS = [0.0, 1.0, 5.0]
SHARES = [0.9, 0.75, 0.6, 0.5]
ALPHAS = [round(0.02 * i, 2) for i in range(51)]
RADII = [round(0.025 * i, 3) for i in range(41)]
ATTACKED_AT = [0.1, 0.2, 0.4, 0.8]
# members, mean lead of class 0 in the reference table
TABLE = [[2, 0.0], [2, 4.0], [5, 2.0], [10, 4.0]]


def _seed(p: Preset) -> int:
    return p.seeds(1)[0]


def _sweep(p: Preset) -> Cells:
    return [
        {
            "d": d,
            "members": members,
            "classes": classes,
            "ensembles": p["ensembles"],
            "directions": p["directions"],
            "curved": curved,
            "seed": _seed(p),
        }
        for curved, sizes in ((False, p["sweeps"]), (True, p["curved"]))
        for d, members, classes in sizes
    ]


def _gaussian(p: Preset) -> Cells:
    return [
        {"members": n, "shift": mu, "classes": 10, "trials": p["table_trials"], "seed": _seed(p)}
        for n, mu in TABLE
    ]


def _curves(p: Preset) -> Cells:
    return [
        {"members": n, "shift": mu, "classes": 10, "trials": p["curve_trials"], "seed": _seed(p)}
        for mu in p["curve_shifts"]
        for n in p["curve_members"]
    ]


def _images(p: Preset) -> Cells:
    common = {"groups": p["image_groups"], "sample": p["sample"], "seed": _seed(p)}
    return [
        {"data": data, "sizes": sizes, "share": share, **common}
        for data, *sizes, share in p["images"]
    ]


def _summary(p: Preset) -> Cells:
    return [{"grid": RADII, **cell} for cell in _images(p)]


def _attacked(p: Preset) -> Cells:
    more = {"images": p["attacked"], "attack_steps": p["attack_steps"], "radii_at": ATTACKED_AT}
    return [{**more, **cell} for cell in _images(p)]


def _upstream(cell: Mapping[str, Any]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    own = ("grid", "images", "attack_steps", "radii_at")
    return {"net": ("networks", {k: v for k, v in cell.items() if k not in own})}


def _smoothed(p: Preset) -> Cells:
    common = {"draws": p["draws"], "sample": p["sample"], "seed": _seed(p)}
    return [
        {"data": data, "sizes": sizes, "sigma": sigma, **common}
        for data, *sizes in p["smooth"]
        for sigma in p["sigmas"]
    ]


def _sets(p: Preset) -> list[str]:
    if p["sample"]:
        return []
    return sorted({row[0] for row in [*p["images"], *p["smooth"]]})


EXPERIMENTS = (
    Experiment("calculus", theory.calculus, lambda p: [{"pairs": p["pairs"], "seed": _seed(p)}]),
    Experiment("polygon", theory.polygon, lambda p: [{}]),
    Experiment("sweep", theory.sweep, _sweep),
    Experiment("gaussian", theory.gaussian, _gaussian),
    Experiment("curves", theory.gaussian, _curves),
    Experiment("leads", theory.leads, lambda p: [{"lows": LOWS, "shares": SHARES, "most": 12}]),
    Experiment("ellipses", theory.ellipses, lambda p: [{"shares": ALPHAS}]),
    Experiment(
        "weights", theory.best_weights, lambda p: [{"count": p["weights"], "seed": _seed(p)}]
    ),
    Experiment("norms", theory.norms, lambda p: [{"count": p["matrices"], "seed": _seed(p)}]),
    Experiment(
        "coverage",
        theory.coverage,
        lambda p: [
            {
                "points": p["coverage"],
                "classes": 4,
                "draws": 100,
                "confidence": 0.95,
                "seed": _seed(p),
            }
        ],
    ),
    Experiment("gallery", shapes.gallery, lambda p: [{"n": p["outline"]}]),
    Experiment("sandwich", shapes.sandwich, lambda p: [{"n": p["outline"]}]),
    Experiment("gain", shapes.gain, lambda p: [{"n": p["outline"], "lows": LOWS}]),
    Experiment("loss", shapes.loss, lambda p: [{"n": p["outline"], "shares": SHARES}]),
    Experiment("networks", networks.members, _images, data=_sets),
    Experiment("summary", networks.summary, _summary, needs=_upstream, data=_sets),
    Experiment("attacked", attacked.attack, _attacked, needs=_upstream, data=_sets),
    Experiment("smoothed", smoothed.smooth, _smoothed, data=_sets),
)
