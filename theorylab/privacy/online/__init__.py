"""Private online learning: how many mistakes privacy costs, exactly.

    learner = calibrate(2**60, 0.1, threshold_scale=2.0, test_scale=2.0)     # 0.5-private
    attack = adversary_for(0.5)(learner, 2**60)       # the oblivious adversary of the lower bound
    attack.mistakes, mistake_lower_bound(2**60, 0.5, 0.0, 0.1).value
    worst_neighbour(learner, RunLengthStream(63, (5, 9)), epsilon=0.5).log_ratio   # at most 0.5

A learner here *fires*: it predicts 0 until a random round and 1 from then on. Own learners plug in
by their law (`FiringLaw`). Mechanisms that run on data (`TreeCounter.start` and `.release`,
`SparseVector`) spend their keys: `spend` says what that catches.
"""

from theorylab.privacy.online.adversary import (
    REFERENCE_EPSILON,
    Attack,
    BisectionAdversary,
    adversary_for,
    weighted_adversary,
)
from theorylab.privacy.online.audit import (
    Audit,
    audit_cuts,
    firing_time_audit,
    neighbour_audits,
    worst_neighbour,
)
from theorylab.privacy.online.bounds import (
    MistakeBound,
    PrintedBounds,
    bisection_bound,
    concentration_bound,
    mistake_lower_bound,
    printed_lower_bounds,
)
from theorylab.privacy.online.concentration import (
    QuietPoint,
    concentration_domain,
    quiet_point,
)
from theorylab.privacy.online.counters import (
    FirstCrossing,
    TreeCounter,
    TreeCounterState,
    counter_to_learner,
    gaussian_noise_scale,
    simulate_counter_learner,
)
from theorylab.privacy.online.firing import FiringLaw, PieceLaw
from theorylab.privacy.online.hazards import (
    NameAndShame,
    StationaryHazard,
    name_and_shame_expected_mistakes,
)
from theorylab.privacy.online.keys import KeyLedger, separate_ledger, spend
from theorylab.privacy.online.littlestone import (
    HypothesisClass,
    StandardOptimalAlgorithm,
    k_point_class,
    littlestone_dimension,
    name_and_shame_mistakes,
    point_class,
    standard_optimal_algorithm,
    threshold_class,
)
from theorylab.privacy.online.simulation import (
    Games,
    SparseVector,
    SparseVectorState,
    simulate_mistakes,
    simulate_online_game,
)
from theorylab.privacy.online.sparse_vector import AboveThreshold, Quadrature, calibrate
from theorylab.privacy.online.streams import Pieces, RunLengthStream, front_loaded, pieces
from theorylab.privacy.online.uniform import UniformFiring

__all__ = [
    "REFERENCE_EPSILON",
    "AboveThreshold",
    "Attack",
    "Audit",
    "BisectionAdversary",
    "FiringLaw",
    "FirstCrossing",
    "Games",
    "HypothesisClass",
    "KeyLedger",
    "MistakeBound",
    "NameAndShame",
    "PieceLaw",
    "Pieces",
    "PrintedBounds",
    "Quadrature",
    "QuietPoint",
    "RunLengthStream",
    "SparseVector",
    "SparseVectorState",
    "StandardOptimalAlgorithm",
    "StationaryHazard",
    "TreeCounter",
    "TreeCounterState",
    "UniformFiring",
    "adversary_for",
    "audit_cuts",
    "bisection_bound",
    "calibrate",
    "concentration_bound",
    "concentration_domain",
    "counter_to_learner",
    "firing_time_audit",
    "front_loaded",
    "gaussian_noise_scale",
    "k_point_class",
    "littlestone_dimension",
    "mistake_lower_bound",
    "name_and_shame_expected_mistakes",
    "name_and_shame_mistakes",
    "neighbour_audits",
    "pieces",
    "point_class",
    "printed_lower_bounds",
    "quiet_point",
    "separate_ledger",
    "simulate_counter_learner",
    "simulate_mistakes",
    "simulate_online_game",
    "spend",
    "standard_optimal_algorithm",
    "threshold_class",
    "weighted_adversary",
    "worst_neighbour",
]
