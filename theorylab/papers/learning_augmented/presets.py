"""The presets, and what each of their values means."""

from typing import Any, NamedTuple

import numpy as np

from theorylab.lab import Preset

MEANINGS = {
    "gammas": "robustness at which the optimal consistency is computed",
    "lp_prices": "prices b at which the linear program is solved",
    "limit_prices": "prices b at which the closed form alone is evaluated",
    "surface_price": "price b of the optimum by prediction",
    "surface_gammas": "robustness of the optimum by prediction",
    "surface_predictions": "predictions there, in units of b",
    "certificate_prices": "prices b of the certificates",
    "algorithm_prices": "prices b of the rules D and R",
    "lams": "parameters λ of the rules D and R",
    "identity_sizes": "numbers of jobs of the identities",
    "searches": "the searches for worst instances: fields of `Search`",
    "hard_sizes": "numbers of jobs of the hard instances",
    "ski_sigmas": "noise of the prediction, ski rental",
    "trials": "trials per noise and seed, ski rental",
    "ski_seeds": "seeds, ski rental",
    "job_sigmas": "noise of the prediction, scheduling",
    "job_instances": "instances per noise and seed, scheduling",
    "job_seeds": "seeds, scheduling",
}


class Search(NamedTuple):
    """A search for the worst ratio of a policy on some number of jobs.

    parameters: of the policy; each is searched over `instances`. perfect: correct predictions only.
    """

    policy: str
    jobs: int
    parameters: list[float]
    perfect: bool
    instances: int


TWO_JOB_LAMS = [0.05, 0.1, 0.2, 0.3, round(1 / 3, 12)]


def _shares(n: int, lams: list[float]) -> list[float]:
    """PRR's share at consistency 1 + lam: (2n - L)/(L - 2), L = (1 + lam)(n + 1)."""
    return [
        round(max((2 * n - (1 + x) * (n + 1)) / ((1 + x) * (n + 1) - 2), 0.0), 12) for x in lams
    ]


def _searches(instances: int) -> list[list[Any]]:
    """The searches with this many instances for each of their parameters, or a quarter of them."""
    quarter = max(instances // 4, 1)
    searches = [
        Search("two_stage", 2, TWO_JOB_LAMS, False, instances),
        *(Search("two_stage", n, [0.02, 0.1, 0.25], False, instances) for n in (3, 4, 5)),
        Search("two_stage", 6, [0.15], False, instances),
        Search("two_stage", 2, TWO_JOB_LAMS, True, quarter),
        *(Search("two_stage", n, [0.1], True, quarter) for n in (4, 6)),
        Search("two_stage_longer", 2, [0.1], False, quarter),
        Search("two_stage_longer", 2, [0.1], True, quarter),
        *(Search("two_stage_blind", n, [0.1], False, quarter) for n in (2, 3)),
        Search("prr", 2, _shares(2, TWO_JOB_LAMS), False, quarter),
        Search("prr", 2, _shares(2, TWO_JOB_LAMS), True, quarter),
        Search("prr", 3, [0.25, 0.5, 0.75], False, instances),
    ]
    return [list(search) for search in searches]


_NOISE = np.linspace(0, 300, 13).tolist()

_QUICK = {
    "gammas": [1.6, 1.7, 2.0, 2.5, 3.0, 4.0],
    "lp_prices": [5, 10, 20, 100],
    "limit_prices": [400],
    "surface_price": 10,
    "surface_gammas": [1.6, 2.0, 3.0],
    "surface_predictions": [0.3, 0.6, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0],
    "certificate_prices": [10, 100],
    "algorithm_prices": [10, 100],
    "lams": [0.2, 0.4, 0.5, 0.7, 0.85, 1.0],
    "identity_sizes": [2, 7, 30],
    "searches": _searches(1_000_000),
    "hard_sizes": [2, 3, 4, 5, 6, 10, 100],
    "ski_sigmas": _NOISE,
    "trials": 10_000,
    "ski_seeds": 6,
    "job_sigmas": [0, 1, 10, 100, 1000, 10_000],
    "job_instances": 40,
    "job_seeds": 8,
}

_SMOKE = _QUICK | {
    "lp_prices": [5, 10],
    "limit_prices": [100],
    "surface_gammas": [2.0],
    "surface_predictions": [0.5, 1.0, 1.5, 2.5],
    "certificate_prices": [10],
    "algorithm_prices": [10],
    "lams": [0.5, 1.0],
    "identity_sizes": [5],
    "searches": [
        list(Search("two_stage", 2, [0.1, 0.3], False, 1)),
        list(Search("two_stage_blind", 2, [0.1], False, 1)),
        list(Search("two_stage_longer", 2, [0.1], False, 1)),
    ],
    "hard_sizes": [3],
    "ski_sigmas": [0, 50, 100, 200, 300],
    "ski_seeds": 2,
    "job_sigmas": [0, 10_000],
    "job_seeds": 2,
}

_FULL = _QUICK | {
    "limit_prices": [400, 2000],
    "surface_price": 40,
    "searches": _searches(20_000_000),
    "hard_sizes": [2, 3, 4, 5, 6, 10, 100, 1000],
    "trials": 1_000_000,
    "job_instances": 400,
    "ski_sigmas": [*np.linspace(0, 300, 61).tolist()],
    "job_sigmas": [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
}


PRESETS = {
    "smoke": Preset(
        "smoke", _SMOKE, omits="Sizes that take seconds, for tests: searches over two jobs only."
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="The paper has no experiments; searches over 1 to 5 million instances per "
        "number of jobs, hard instances up to 100 jobs.",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="The paper has no experiments; searches over 20 million instances and more per "
        "number of jobs, hard instances up to 1,000 jobs.",
    ),
}
