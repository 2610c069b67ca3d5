"""The experiments: from a preset to the cells of each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.semi_private import bases, features, heads, mixture, tabular, texts, theory
from theorylab.papers.semi_private.published import ACCOUNTED
from theorylab.papers.types import Cell, Cells

EPSILONS = (0.1, 0.7, 0.0)  # 0 stands for no privacy
STEP_SIZES = (0.3, 3.0, 3.0)  # chosen at base seed 0 on CIFAR-10, for the head without projection
SHIFTED = {"mnist": "fashion_mnist"}  # private records, and another set that is public
TWO = [3, 5]  # classes of the low-rank defect: cats and dogs, or dresses and sandals


NOTHING: Mapping[str, Cell] = {  # what a preset asks for that has no tables, or no texts
    "tables": {"data": "adult", "part": "train", "count": 0},
    "texts": {"count": 0, "skip": 0, "longest": 64},
}


def _sample(p: Preset, data: str) -> bool | None:
    return (p.name == "smoke") if data == "fashion_mnist" else None


def _sets(p: Preset) -> list[Cell]:
    """Every set of features, by what its cells say of it."""
    images = [
        {"data": d, "sample": _sample(p, d), "network": net, "size": size, "records": n, "tests": m}
        for d, net, size, n, m in p["images"]
    ]
    found = [
        *images,
        *(
            {"data": d, "sample": None, "network": "none", "size": 0, "records": n, "tests": m}
            for d, n, m in p["tables"]
        ),
    ]
    n, m = p["texts"]
    if n:
        words = {"network": "minilm", "size": p["tokens"], "records": n, "tests": m}
        found.append({"data": "reviews", "sample": None, **words})
    return found


def _pixels(p: Preset) -> list[Cell]:
    """Pixels of the first set, where it has features of a network."""
    first = _sets(p)[0]
    return [] if first["network"] == "pixels" else [{**first, "network": "pixels", "size": 16}]


def _part(s: Mapping[str, Any], part: str) -> tuple[str, Cell]:
    """The experiment and the cell that hold a part of a set of features."""
    n, m = s["records"], s["tests"]
    count = n if part == "train" else m
    if s["network"] == "none":
        return "tables", {"data": s["data"], "part": part, "count": count}
    if s["network"] == "minilm":
        skip = 0 if part == "train" else n
        return "texts", {"count": count, "skip": skip, "longest": s["size"]}
    cell = {name: s[name] for name in ("data", "sample", "network", "size")}
    return "images", {**cell, "part": part, "count": count}


def _parts(experiment: str) -> Callable[[Preset], Cells]:
    def cells(p: Preset) -> Cells:
        found = [_part(s, part) for s in _sets(p) for part in ("train", "test")]
        found += [_part(s, "train") for s in _pixels(p)]
        return [cell for name, cell in found if name == experiment] or [NOTHING[experiment]]

    return cells


def _bases(p: Preset) -> list[Cell]:
    """Every set of features with where its public records come from, and a seed."""
    there = {s["data"] for s in _sets(p)}
    return [
        {**s, "source": source, "public": p["public"], "seed": seed}
        for s in _sets(p)
        for source in dict.fromkeys((s["data"], SHIFTED.get(s["data"], s["data"])))
        if source in there
        for seed in p.seeds(p["splits"])
    ]


def _pixel_bases(p: Preset) -> list[Cell]:
    rest = {"public": p["public"], "seed": p.seeds(1)[0]}
    return [{**s, "source": s["data"], **rest} for s in _pixels(p)]


def _directions(p: Preset) -> Cells:
    return [*_bases(p), *_pixel_bases(p)]


BASIS = ("data", "sample", "network", "size", "records", "tests", "source", "public", "seed")


def _needs_features(cell: Mapping[str, Any]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    other = {**cell, "data": cell["source"]}
    if cell["source"] != cell["data"]:
        other["sample"] = False if cell["source"] == "fashion_mnist" else None
    return {"train": _part(cell, "train"), "other": _part(other, "train")}


def _needs_basis(cell: Mapping[str, Any]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    basis = {name: cell[name] for name in BASIS}
    return {
        "train": _part(cell, "train"),
        "test": _part(cell, "test"),
        "basis": ("directions", basis),
    }


def _needs_no_test(cell: Mapping[str, Any]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    return {name: where for name, where in _needs_basis(cell).items() if name != "test"}


def _curves(p: Preset) -> Cells:
    return [
        {
            **basis,
            "ranks": p["table_ranks" if basis["network"] == "none" else "ranks"],
            "epsilons": [*EPSILONS],
            "step_sizes": [*STEP_SIZES],
            "delta": p["delta"],
            "steps": p["steps"],
            "share": 1.0,
        }
        for basis in _bases(p)
    ]


def _low_data(p: Preset) -> Cells:
    first = _sets(p)[0]["data"]
    return [
        {**cell, "ranks": [40, 0], "share": share}
        for share in p["fractions"]
        for cell in _curves(p)
        if cell["data"] == first == cell["source"]
    ]


def _methods(p: Preset) -> Cells:
    first = _sets(p)[0]["data"]
    return [
        {
            **basis,
            "method": method,
            "rank": rank,
            "epsilon": 0.1,
            "delta": p["delta"],
            "steps": 5,
            "step_size": 0.5,
            "share": p["method_share"],
        }
        for method, rank in p["methods"]
        for basis in _bases(p)
        if basis["data"] == first == basis["source"]
        and basis["seed"] in p.seeds(p["method_splits"])
    ]


def _defects(p: Preset) -> Cells:
    return [{**basis, "classes": TWO} for basis in (_bases(p)[0], *_pixel_bases(p))]


def _sample_sizes(p: Preset) -> Cells:
    base = {
        "epsilon": 0.1,
        "delta": p["delta"],
        "accounting": "zcdp",
        "draws": p["noise_draws"],
        "methods": ["PILLAR", "no projection"],
        "sizes": p["sizes"],
    }
    return [
        {**base, "d": d, "seed": seed}
        for d in p["dimensions"]
        for seed in p.seeds(p["mixture_seeds"])
    ]


def _epsilon_sizes(p: Preset) -> Cells:
    base = {
        "d": 64,
        "delta": p["delta"],
        "accounting": "exact",
        "draws": p["scaling_noise_draws"],
        "methods": ["PILLAR"],
        "sizes": p["scaling_sizes"],
    }
    return [
        {**base, "epsilon": e, "seed": seed}
        for e in p["scaling_epsilons"]
        for seed in p.seeds(p["mixture_seeds"])
    ]


def _spiked(p: Preset) -> Cells:
    base = {
        "d": max(p["spiked_ranks"]),
        "n": p["spiked_n"],
        "spikes": 20,
        "gamma": 0.1,
        "ranks": p["spiked_ranks"],
        "epsilons": [*EPSILONS],
        "delta": p["delta"],
    }
    return [{**base, "seed": seed} for seed in p.seeds(p["spiked_seeds"])]


def _counterexample(p: Preset) -> Cells:
    return [
        {"gamma": gamma, "angle": angle, "rare": 0.1}
        for gamma, angle in ((0.3, 0.5235987755982988), (0.1, 0.2), (0.5, 0.8), (0.05, 1.2))
    ]


def _margins(p: Preset) -> Cells:
    seed = p.seeds(1)[0]
    return [
        {"d": d, "rank": rank, "atoms": atoms, "draws": p["margin_draws"], "seed": seed}
        for d, rank, atoms in ((2, 1, 6), (6, 2, 40))
    ]


def _sampled(p: Preset) -> Cells:
    return [
        {"d": d, "rank": k, "share": share, "n": n, "trials": trials, "seed": p.seeds(1)[0]}
        for d, k, share, n, trials in p["sampled"]
    ]


def _shifted(p: Preset) -> Cells:
    return [{"d": 20, "rank": 3, "shifts": p["shifts"], "draws": 20, "seed": p.seeds(1)[0]}]


def _rates(p: Preset) -> Cells:
    base = {"rank": 40, "error": 0.1, "epsilon": 0.1, "gamma": 0.3}
    return [{**base, "dimensions": [64, 256, 1024, 2048, 4096], "defect": x} for x in (0.0, 0.01)]


def _accounted(p: Preset) -> Cells:
    return [
        {
            "epsilon": epsilon,
            "sampling_rate": 1 / inverse,
            "steps": steps,
            "noise_multiplier": noise,
            "delta": 1e-5,
        }
        for epsilon, inverse, steps, noise in ACCOUNTED
    ]


def _data(p: Preset) -> Sequence[str]:
    """Data sets and networks that have to be here; the embedded sample needs none."""
    if p.name == "smoke":
        return ()
    names = [row[0] for row in (*p["images"], *p["tables"])]
    networks = [row[1] for row in p["images"] if row[1] != "pixels"]
    return tuple(dict.fromkeys(names + networks))


def _reviews(p: Preset) -> Sequence[str]:
    return ("reviews", "minilm") if p["texts"][0] else ()


EXPERIMENTS = (
    Experiment("images", features.images, _parts("images"), data=_data),
    Experiment("tables", tabular.rows, _parts("tables")),
    Experiment("texts", texts.reviews, _parts("texts"), data=_reviews),
    Experiment("directions", bases.directions, _directions, _needs_features),
    Experiment("curves", heads.over_directions, _curves, _needs_basis),
    Experiment("low_data", heads.over_directions, _low_data, _needs_basis),
    Experiment("methods", heads.methods, _methods, _needs_basis),
    Experiment("defects", heads.defects, _defects, _needs_no_test),
    Experiment("sample_sizes", mixture.sample_sizes, _sample_sizes),
    Experiment("epsilon_sizes", mixture.sample_sizes, _epsilon_sizes),
    Experiment("spiked", mixture.directions, _spiked),
    Experiment("counterexample", theory.counterexample, _counterexample),
    Experiment("margins", theory.margins, _margins),
    Experiment("sampled", theory.sampled_directions, _sampled),
    Experiment("shifted", theory.shifted_directions, _shifted),
    Experiment("rates", theory.rates, _rates),
    Experiment("accounted", theory.accounted, _accounted),
)
