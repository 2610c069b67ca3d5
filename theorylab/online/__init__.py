"""Online algorithms with untrusted predictions: ski rental and scheduling, exact trade-offs.

    schedule(TwoStage(0.1), sizes, predictions).cost      # any policy, many instances at once
    worst_case_search(TwoStage(0.1), 3, key=key).ratio    # its robustness, by search
    scheduling_lower_bound(3, 0.1)                        # what no algorithm can beat
    consistency_lp(20, 80, 2.0).consistency               # the LP behind ski rental's trade-off

Own algorithms plug in: a scheduling policy is a function from a `View` to rates
(`scheduling_curve`), a ski-rental rule a function from (prediction, b) to a buying day or to
probabilities of buying days (`ski_rental_curve`).
"""

from theorylab.online.curves import (
    SkiMeasure,
    TradeoffCurve,
    measure_ski_rule,
    scheduling_curve,
    ski_rental_curve,
)
from theorylab.online.events import Schedule, schedule
from theorylab.online.policies import (
    Action,
    Policy,
    PreferentialRoundRobin,
    RoundRobin,
    ShortestPredictedFirst,
    TwoStage,
    View,
    equal_rates,
    shortest_first,
)
from theorylab.online.scheduling import (
    Instance,
    PrrGuarantees,
    competitive_ratio,
    opt_cost,
    prr_consistency,
    prr_guarantees,
    prr_hard_instance,
    prr_perfect_cost,
    prr_robustness,
    prr_share,
    round_robin_cost,
    scheduling_lower_bound,
    two_stage_hard_instance,
    two_stage_hard_ratios,
    two_stage_small_job_instances,
)
from theorylab.online.search import WorstCase, proof_adversary, worst_case_search
from theorylab.online.ski import (
    RandomizedGuarantees,
    deterministic_buy_day,
    deterministic_lower_bound,
    randomized_buy_distribution,
    randomized_guarantees,
    randomized_support,
    randomized_worst_ratio,
    ski_cost,
    ski_ratios,
)
from theorylab.online.ski_optimum import (
    Certificate,
    LPOptimum,
    consistency_lp,
    continuous_certificate,
    continuous_ratios,
    dual_certificate,
    exponential_density,
    optimal_buy_distribution,
    smallest_robustness,
    tradeoff_deterministic,
    tradeoff_randomized,
    tradeoff_randomized_discrete,
)
from theorylab.online.ski_rule import OptimalSkiRule, optimal_ski_rule

__all__ = [
    "Action",
    "Certificate",
    "Instance",
    "LPOptimum",
    "OptimalSkiRule",
    "Policy",
    "PreferentialRoundRobin",
    "PrrGuarantees",
    "RandomizedGuarantees",
    "RoundRobin",
    "Schedule",
    "ShortestPredictedFirst",
    "SkiMeasure",
    "TradeoffCurve",
    "TwoStage",
    "View",
    "WorstCase",
    "competitive_ratio",
    "consistency_lp",
    "continuous_certificate",
    "continuous_ratios",
    "deterministic_buy_day",
    "deterministic_lower_bound",
    "dual_certificate",
    "equal_rates",
    "exponential_density",
    "measure_ski_rule",
    "opt_cost",
    "optimal_buy_distribution",
    "optimal_ski_rule",
    "proof_adversary",
    "prr_consistency",
    "prr_guarantees",
    "prr_hard_instance",
    "prr_perfect_cost",
    "prr_robustness",
    "prr_share",
    "randomized_buy_distribution",
    "randomized_guarantees",
    "randomized_support",
    "randomized_worst_ratio",
    "round_robin_cost",
    "schedule",
    "scheduling_curve",
    "scheduling_lower_bound",
    "shortest_first",
    "ski_cost",
    "ski_ratios",
    "ski_rental_curve",
    "smallest_robustness",
    "tradeoff_deterministic",
    "tradeoff_randomized",
    "tradeoff_randomized_discrete",
    "two_stage_hard_instance",
    "two_stage_hard_ratios",
    "two_stage_small_job_instances",
    "worst_case_search",
]
