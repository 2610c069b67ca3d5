"""The experiments: from a preset to the cells of each."""

from theorylab.lab import Experiment, Preset
from theorylab.papers.learning_augmented import scheduling, ski
from theorylab.papers.learning_augmented.presets import Search
from theorylab.papers.types import Cells


def _optimum(p: Preset) -> Cells:
    grid = [(b, True) for b in p["lp_prices"]] + [(b, False) for b in p["limit_prices"]]
    return [{"b": b, "gammas": p["gammas"], "lp": lp} for b, lp in grid]


def _surface(p: Preset) -> Cells:
    b = p["surface_price"]
    days = sorted({max(1, round(b * f)) for f in p["surface_predictions"]})
    return [{"b": b, "gamma": g, "predictions": days} for g in p["surface_gammas"]]


def _algorithms(p: Preset) -> Cells:
    return [{"b": b, "lams": p["lams"]} for b in p["algorithm_prices"]]


def _identities(p: Preset) -> Cells:
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    return [
        {"n": n, "instances": 300, "shares": shares, "seed": p.seeds(1)[0]}
        for n in p["identity_sizes"]
    ]


def _search(p: Preset) -> Cells:
    return [
        {
            "policy": search.policy,
            "n": search.jobs,
            "parameter": parameter,
            "perfect": search.perfect,
            "instances": search.instances,
            "seed": p.seed,
        }
        for search in (Search(*fields) for fields in p["searches"])
        for parameter in search.parameters
    ]


def _hard(p: Preset) -> Cells:
    # of the largest lambda; 0.375 is lambda 0.25 at n = 5
    shares = [0.02, 0.05, 0.1, 0.2, 0.375, 0.5, 0.75, 1.0]
    return [
        {"n": n, "lams": [round(s * (n - 1) / (n + 1), 12) for s in shares]}
        for n in p["hard_sizes"]
    ]


def _psk_ski(p: Preset) -> Cells:
    common = {"b": 100, "longest": 400, "sigmas": p["ski_sigmas"], "trials": p["trials"]}
    return [{**common, "seed": s} for s in p.seeds(p["ski_seeds"])]


def _psk_jobs(p: Preset) -> Cells:
    return [
        {"n": 50, "sigmas": p["job_sigmas"], "instances": p["job_instances"], "seed": s}
        for s in p.seeds(p["job_seeds"])
    ]


EXPERIMENTS = (
    Experiment("optimum", ski.optimum, _optimum),
    Experiment("surface", ski.surface, _surface),
    Experiment(
        "certificate",
        ski.certificate,
        lambda p: [{"b": b, "gamma": 2.0} for b in p["certificate_prices"]],
    ),
    Experiment(
        "deterministic", ski.deterministic, lambda p: [{"b": b} for b in p["algorithm_prices"]]
    ),
    Experiment("algorithms", ski.algorithms, _algorithms),
    Experiment("psk_ski", ski.psk, _psk_ski),
    Experiment("identities", scheduling.identities, _identities),
    Experiment("search", scheduling.search, _search),
    Experiment("hard", scheduling.hard, _hard),
    Experiment("psk_jobs", scheduling.psk, _psk_jobs),
)
