"""Matching markets with transfers: assignment, core prices, instability, and learning them.

    market = random_market(jax.random.key(0), 8)
    matching = max_weight_matching(market.W)
    p, q = core_prices(market.W, matching.row_to_col)   # midpoint of the core
    subset_instability(market, outcome)                 # how far from stable, in subsidies

    model = unstructured((8, 8), horizon=4000, width=0.5)
    trace = simulate(jax.random.key(1), market, match_ucb(model), 4000, noise_std=0.25)

Rows are customers, columns providers; staying alone is worth 0. All is computed in float64 whatever
the caller's setting: calls with concrete arrays give NumPy float64.
"""

from theorylab.matching.approximate import (
    Certified,
    auction_assignment,
    soft_assignment,
    soft_assignment_duals,
)
from theorylab.matching.assignment import Matching, max_weight_matching
from theorylab.matching.bandits import (
    Decision,
    MatchUCB,
    Record,
    State,
    friction_outcome,
    match_ucb,
)
from theorylab.matching.bounds import break_even, regret_bound, typed_regret_bound
from theorylab.matching.confidence import Intervals, Model
from theorylab.matching.instability import (
    is_stable,
    minimal_subsidies,
    subset_instability,
    unrest,
    utility_difference,
)
from theorylab.matching.linear_bandits import Linear, linear
from theorylab.matching.markets import (
    Market,
    Outcome,
    Prices,
    Sides,
    hidden_matching_market,
    net_utilities,
    random_market,
    structured_market,
    type_contexts,
)
from theorylab.matching.nontransferable import (
    MatchNTUUCB,
    NTURecord,
    deferred_acceptance,
    match_ntu_ucb,
    ntu_instability,
)
from theorylab.matching.prices import PriceRule, core_prices, dual_gap
from theorylab.matching.records import outcome_from_rows, state_from_means
from theorylab.matching.references import (
    Coalition,
    Members,
    best_coalition,
    matching_gap,
)
from theorylab.matching.sample_means import Typed, Unstructured, typed, unstructured
from theorylab.matching.simulation import Execution, simulate

__all__ = [
    "Certified",
    "Coalition",
    "Decision",
    "Execution",
    "Intervals",
    "Linear",
    "Market",
    "MatchNTUUCB",
    "MatchUCB",
    "Matching",
    "Members",
    "Model",
    "NTURecord",
    "Outcome",
    "PriceRule",
    "Prices",
    "Record",
    "Sides",
    "State",
    "Typed",
    "Unstructured",
    "auction_assignment",
    "best_coalition",
    "break_even",
    "core_prices",
    "deferred_acceptance",
    "dual_gap",
    "friction_outcome",
    "hidden_matching_market",
    "is_stable",
    "linear",
    "match_ntu_ucb",
    "match_ucb",
    "matching_gap",
    "max_weight_matching",
    "minimal_subsidies",
    "net_utilities",
    "ntu_instability",
    "outcome_from_rows",
    "random_market",
    "regret_bound",
    "simulate",
    "soft_assignment",
    "soft_assignment_duals",
    "state_from_means",
    "structured_market",
    "subset_instability",
    "type_contexts",
    "typed",
    "typed_regret_bound",
    "unrest",
    "unstructured",
    "utility_difference",
]
