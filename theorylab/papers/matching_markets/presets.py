"""The presets, and what each of their values means."""

from theorylab.lab import Preset

MEANINGS = {
    "sizes": "agents per side, regret",
    "horizons": "rounds, regret",
    "runs": "markets, or runs of one market, that are averaged",
    "arrivals_k": "agents per side where agents come and go",
    "arrivals": "agents per side who are present there in a round",
    "hidden_sizes": "agents per side, hidden matchings",
    "hidden_horizons": "rounds, hidden matchings",
    "kappas": "gaps of the hidden matchings, in units of σ √(K/T)",
    "structured_sizes": "agents per side, markets with structure",
    "structured_horizon": "rounds, markets with structure",
    "models": "what the learner assumes of preferences",
    "rule_horizon": "rounds, price rules",
    "rule_runs": "runs, price rules",
    "rules": "price rules",
    "markets": "random markets on which the properties are checked",
    "shapes": "agents on the two sides of these markets",
    "ntu_markets": "markets without transfers",
    "ntu_horizon": "rounds, without transfers",
}

_QUICK = {
    "sizes": [4, 8, 16],
    "horizons": [1000, 4000],
    "runs": 16,
    "arrivals_k": 8,
    "arrivals": [2, 4, 8],
    "hidden_sizes": [4, 8],
    "hidden_horizons": [1000, 4000],
    "kappas": [1.0, 3.0, 8.0],
    "structured_sizes": [4, 8, 12],
    "structured_horizon": 1000,
    "models": ["unstructured", "typed", "linear"],
    "rule_horizon": 10_000,
    "rule_runs": 8,
    "rules": ["midpoint", "row", "col", "max_slack"],
    "markets": 100,
    "shapes": [[2, 3], [4, 2], [4, 4]],
    "ntu_markets": 100,
    "ntu_horizon": 2000,
}

_SMOKE = _QUICK | {
    "sizes": [4],
    "horizons": [300],
    "runs": 4,
    "arrivals_k": 4,
    "arrivals": [2],
    "hidden_sizes": [4],
    "hidden_horizons": [200, 300],
    "kappas": [3.0],
    "structured_sizes": [4],
    "structured_horizon": 300,
    "models": ["unstructured", "typed"],
    "rule_horizon": 1000,
    "rule_runs": 2,
    "rules": ["midpoint", "row"],
    "markets": 60,
    "shapes": [[2, 3]],
    "ntu_markets": 4,
    "ntu_horizon": 100,
}

_FULL = _QUICK | {
    "sizes": [4, 8, 16, 32, 64],
    "horizons": [1000, 4000, 100_000],
    "runs": 64,
    "arrivals_k": 32,
    "arrivals": [4, 8, 16],
    "hidden_sizes": [4, 8, 16, 32],
    "hidden_horizons": [1000, 4000, 16_000],
    "structured_sizes": [6, 12, 24, 48],
    "rule_horizon": 100_000,
    "rule_runs": 64,
    "markets": 1000,
    "ntu_horizon": 20_000,
}


PRESETS = {
    "smoke": Preset(
        "smoke", _SMOKE, omits=("Sizes that take seconds, for tests: rates are not judged.")
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits=(
            "The paper is theory alone; here up to 16 agents per side and 4,000 rounds (prices: "
            "10,000)."
        ),
    ),
    "full": Preset("full", _FULL, omits="Up to 64 agents per side and 100,000 rounds."),
}
