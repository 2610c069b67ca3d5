"""The cells of every experiment, from the numbers of a preset."""

from collections.abc import Sequence

from theorylab.lab import Experiment, Preset
from theorylab.papers.private_preprocessing import accounting, movement, real, release, synthetic
from theorylab.papers.types import Cells

DELTA = 1e-5
EPSILONS = [0.5, 1.0, 2.0, 4.0, 8.0]
REAL_EPSILONS = [0.5, 1.0, 2.0, 4.0]
DESCENT = {"steps": 30, "step_size": 4.0, "radius": 5.0}
MECHANISMS = ("mean", "Laplace mean", "descent", "sampled descent", "one pass")
MARGINS = ("eigengap", "eigengap, centred", "standard deviation", "median gap", "missing")


def _one_seed(p: Preset) -> int:
    return p.seeds(1)[0]


def _closed_form(p: Preset) -> Cells:
    known = [[0.02, 0.001, 8.0], [0.5, 0.5, 1.5], [0.01, 0.09, 32.0]]
    return [{"cases": known, "count": p["cases"], "seed": _one_seed(p)}]


def _hybrids(p: Preset) -> Cells:
    return [{"rho": 0.02, "moved": 0.001, "order": 8.0, "points": 80}]


def _imputation(p: Preset) -> Cells:
    return [
        {"n": 1000, "missing": p["missing"], "radius": 4.0},
        {"n": 200, "missing": [50], "radius": 4.0},
    ]


def _mechanisms(p: Preset) -> Cells:
    return [
        {
            "n": 200,
            "missing": p["mechanism_missing"],
            "epsilon": 1.0,
            "delta": DELTA,
            "kind": kind,
        }
        for kind in MECHANISMS
    ]


def _steps(p: Preset) -> Cells:
    return [{"n": 1000, "missing": 100, "counts": p["steps"], "noise_std": 0.01, "delta": DELTA}]


def _sampled_sums(p: Preset) -> Cells:
    return [
        {"rate": rate, "noise": noise, "order": order, "records": records, "moved": moved}
        for rate, noise, order, records, moved in p["sampled"]
    ]


def _last_iterate(p: Preset) -> Cells:
    return [{"length": 12, "count": p["spreads"], "seed": _one_seed(p)}]


def _gaussian(p: Preset) -> Cells:
    return [{"shifts": [0.1, 0.5, 1.0], "levels": [0.1, 0.7], "delta": DELTA}]


def _sampled_accounting(p: Preset) -> Cells:
    return [
        {"rate": rate, "noise": noise, "steps": count, "orders": [2, 4, 8, 16], "delta": DELTA}
        for rate, noise, count in p["sampled_epsilons"]
    ]


def _search(p: Preset) -> Cells:
    return [
        {"study": study, "pairs": p["pairs"], "seed": _one_seed(p)} for study in movement.STUDIES
    ]


def _attack(p: Preset) -> Cells:
    common = {"epsilon": 1.0, "delta": DELTA}
    return [
        {"kind": kind, "n": n, "m": m, **common}
        for kind, n, m in (
            ("imputation", 1000, 100),
            ("imputation", 200, 50),
            ("projection", 200, 110),
            ("projection", 200, 150),
            ("dropping", 200, 3),
            ("dropping", 200, 10),
            ("scaling", 2000, 140),
            ("record-wise", 200, 50),
        )
    ]


def _lengths(p: Preset) -> Cells:
    return [{"lengths": p["lengths"]}]


def _signs(p: Preset) -> Cells:
    return [
        {"sizes": [20, 100, 1000], "rule": rule} for rule in ("first entry positive", "aligned")
    ]


def _medians(p: Preset) -> Cells:
    return [{"sizes": [21, 101, 1001], "gap": 0.1}]


def _turned(p: Preset) -> Cells:
    n, pairs = p["turned"]
    gaps = [0.04, 0.06, 0.1, 0.2, 0.4, 0.8]
    return [{"n": n, "gaps": gaps, "pairs": pairs, "seed": _one_seed(p)}]


def _hybrid(p: Preset) -> Cells:
    return [{"seed": _one_seed(p)}]


def _probabilities(p: Preset) -> Cells:
    return [{"epsilon": 1.0, "delta": DELTA, "margins": [0.0, 10.0, 20.0]}]


def _sizes(p: Preset) -> Cells:
    counts = [50, 100, 150, 200, 300, 400, 600, 800, 1000, 1200, 1500, 2000, 3000]
    return [{"gaps": [0.05, 0.1, 0.2], "counts": counts, "epsilon": 1.0, "delta": DELTA}]


def _margins(p: Preset) -> Cells:
    return [{"kind": kind, "pairs": p["margin_pairs"], "seed": _one_seed(p)} for kind in MARGINS]


def _pipelines(p: Preset) -> Cells:
    n, d, seeds, repeats = p["low_rank"]
    shape = {"n": n, "d": d, "spectrum": [0.4, 0.32, 0.23], "tail": 0.05}
    return [
        {"data": shape, "descent": DESCENT, "epsilons": EPSILONS, "repeats": repeats, "seed": seed}
        for seed in p.seeds(seeds)
    ]


def _missing(p: Preset) -> Cells:
    names, n, seeds, repeats = p["tables"]
    return [
        {
            "name": name,
            "n": n,
            "epsilons": REAL_EPSILONS,
            "repeats": repeats,
            "descent": DESCENT,
            "seed": seed,
        }
        for name in names
        for seed in p.seeds(seeds)
    ]


def _copies(p: Preset) -> Cells:
    return [{"name": name, "n": p["copies"], "seed": _one_seed(p)} for name in p["tables"][0]]


def _images(p: Preset) -> Cells:
    return [
        {
            "source": source,
            "n": n,
            "ranks": p["ranks"],
            "epsilons": REAL_EPSILONS,
            "repeats": repeats,
            "descent": DESCENT,
            "seed": seed,
        }
        for source, n, repeats, seeds in p["images"]
        for seed in p.seeds(seeds)
    ]


def _table_data(p: Preset) -> Sequence[str]:
    return [name for name in p["tables"][0] if "sample" not in name]


def _image_data(p: Preset) -> Sequence[str]:
    sources = [source for source, *_ in p["images"] if "sample" not in source]
    return (*sources, *(["efficientnet_lite0"] if "cifar10" in sources else []))


EXPERIMENTS = (
    Experiment("closed_form", accounting.closed_form, _closed_form),
    Experiment("hybrids", accounting.hybrids, _hybrids),
    Experiment("imputation", accounting.imputation, _imputation),
    Experiment("mechanisms", accounting.mechanisms, _mechanisms),
    Experiment("steps", accounting.steps, _steps),
    Experiment("sampled_sums", accounting.sampled_sums, _sampled_sums),
    Experiment("last_iterate", accounting.last_iterate, _last_iterate),
    Experiment("gaussian", accounting.gaussian_conversions, _gaussian),
    Experiment("sampled_accounting", accounting.sampled_accounting, _sampled_accounting),
    Experiment("search", movement.search, _search),
    Experiment("attack", movement.attack, _attack),
    Experiment("chain", movement.chain, _lengths),
    Experiment("clusters", movement.clusters, _lengths),
    Experiment("signs", movement.signs, _signs),
    Experiment("medians", movement.medians, _medians),
    Experiment("turned", movement.turned, _turned),
    Experiment("hybrid", movement.hybrid, _hybrid),
    Experiment("probabilities", release.probabilities, _probabilities),
    Experiment("sizes", release.sizes, _sizes),
    Experiment("margins", release.margins, _margins),
    Experiment("pipelines", synthetic.four_pipelines, _pipelines),
    Experiment("missing", real.missing, _missing, data=_table_data),
    Experiment("copies", real.copies, _copies, data=_table_data),
    Experiment("images", real.images, _images, data=_image_data),
)
