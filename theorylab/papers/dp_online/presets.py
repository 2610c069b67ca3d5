"""The numbers of every preset, one value a line."""

from theorylab.lab import Preset

_QUICK = {
    "k": [6, 10, 14, 20, 30, 40, 60],
    "front_epsilons": [0.1, 0.5, 1.0, 2.0],
    "front_doublings": [4, 8, 12, 16, 20, 24],
    "regimes": [[0.05, 12], [0.1, 20], [0.2, 40], [1.0, 30], [2.0, 40], [3.0, 60]],
    "log_rounds": [3.92, 6, 8, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 70, 80, 90, 100],
    "audit_k": 6,
    "audit_epsilons": [0.5, 1.0],
    "audit_far": 60,
    "horizon_doublings": [4, 5, 6, 7, 8, 9],
    "betas": [0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-8],
    "concentrated_rounds": 4096,
    "dimension_points": [1, 2, 3, 4, 7, 8],
    "soa": [4, 5],
    "played_k": 8,
    "played_runs": 200_000,
    "stretches_k": 60,
    "stretches_runs": 400_000,
    "uniform_k": 8,
    "uniform_runs": 100_000,
    "uniform_exact": [12, 20, 40, 60],
    "counter_doublings": [4, 6, 8, 10, 12],
    "counter_runs": 2000,
    "gaussian_doublings": [4, 8, 12],
    "learner_doublings": 9,
    "learner_runs": 1000,
    "lemma_points": 24_000,
    "laws": 3,
    "heat_epsilons": [0.2, 0.5, 1.0, 2.0, 4.0],
    "heat_doublings": [4, 8, 12, 18, 26, 40, 60],
}
_SMOKE = _QUICK | {
    "k": [6, 10, 60],
    "front_epsilons": [1.0, 2.0],
    "regimes": [[0.2, 12], [3.0, 60]],
    "log_rounds": [3.92, 10, 30, 45, 55, 100],
    "audit_k": 4,
    "audit_epsilons": [1.0],
    "horizon_doublings": [4, 8],
    "betas": [0.1, 1e-4],
    "concentrated_rounds": 256,
    "dimension_points": [1, 4],
    "soa": [3, 3],
    "played_k": 5,
    "played_runs": 2000,
    "stretches_runs": 2000,
    "uniform_k": 5,
    "uniform_runs": 2000,
    "uniform_exact": [12],
    "counter_doublings": [4, 6],
    "counter_runs": 400,
    "gaussian_doublings": [4],
    "learner_doublings": 7,
    "learner_runs": 100,
    "lemma_points": 24_000,
    "laws": 1,
    "heat_epsilons": [1.0],
    "heat_doublings": [8, 20],
}
_FULL = _QUICK | {
    "audit_k": 8,
    "horizon_doublings": [4, 5, 6, 7, 8, 9, 12, 16, 20],
    "played_k": 14,
    "played_runs": 1_000_000,
    "uniform_k": 14,
    "uniform_runs": 1_000_000,
    "counter_doublings": [4, 6, 8, 10, 12, 14, 16, 18, 20],
    "counter_runs": 10_000,
    "gaussian_doublings": [4, 8, 12, 16, 20],
    "learner_doublings": 12,
    "learner_runs": 10_000,
    "laws": 20,
    "heat_epsilons": [round(0.1 * 1.18**i, 4) for i in range(30)],
    "heat_doublings": [2 * i + 2 for i in range(30)],
}

PRESETS = {
    "smoke": Preset(
        "smoke", _SMOKE, omits="Sizes of seconds, for tests: most claims are not judged."
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="The paper has no experiments. Exact laws go up to 2^60 rounds; games are played "
        "round by round over 255 rounds, counters run over at most 4,096.",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="The paper has no experiments. Games are played over 16,383 rounds, counters run "
        "over at most 2^20.",
    ),
}
