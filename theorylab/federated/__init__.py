"""Federated learning: partitions, algorithms, one training loop, and TCT (train, convexify, train).

`federated_fit` trains any model over clients made by `pad_clients`; `scaffold_gram` and its
neighbours solve the convex problem of tangent features; `tct` puts the two together.
"""

from theorylab.federated.algorithms import (
    centralized,
    fedadam,
    fedavg,
    fedavgm,
    fednova,
    fedprox,
    scaffold,
)
from theorylab.federated.clients import (
    ClientData,
    Examples,
    pad_clients,
)
from theorylab.federated.convex import ConvexFit, Stage2, solve_convex
from theorylab.federated.convexified import Convexified, FeatureOptions, convexify
from theorylab.federated.fit import FederatedFit, RoundDivergenceError, federated_fit
from theorylab.federated.gram import GramRun, fedavg_gram, gram, scaffold_gram
from theorylab.federated.least_squares import (
    EachRound,
    LeastSquaresRun,
    LeastSquaresState,
    fedavg_least_squares,
    scaffold_least_squares,
)
from theorylab.federated.local import LocalResult, LocalSGD
from theorylab.federated.partitions import (
    consecutive_pairs_partition,
    dirichlet_partition,
    iid_partition,
    label_partition,
)
from theorylab.federated.rates import (
    fedavg_round_matrix,
    fedavg_spectral_radius,
    scaffold_round_matrix,
    scaffold_spectral_radius,
)
from theorylab.federated.rounds import Algorithm, Federated, FederatedState, RoundMetrics
from theorylab.federated.standardizer import (
    Moments,
    Standardizer,
    client_moments,
    combine_moments,
    federated_standardizer,
)
from theorylab.federated.step_size import max_curvatures, stable_step_size
from theorylab.federated.tangent import TangentMap
from theorylab.federated.tct import TCT, Stage1, tct
from theorylab.federated.theory import (
    LocalOperators,
    Terms,
    fedavg_fixed_point,
    global_optimum,
    least_squares_terms,
    local_operators,
    min_norm_interpolator,
)

__all__ = [
    "TCT",
    "Algorithm",
    "ClientData",
    "ConvexFit",
    "Convexified",
    "EachRound",
    "Examples",
    "FeatureOptions",
    "Federated",
    "FederatedFit",
    "FederatedState",
    "GramRun",
    "LeastSquaresRun",
    "LeastSquaresState",
    "LocalOperators",
    "LocalResult",
    "LocalSGD",
    "Moments",
    "RoundDivergenceError",
    "RoundMetrics",
    "Stage1",
    "Stage2",
    "Standardizer",
    "TangentMap",
    "Terms",
    "centralized",
    "client_moments",
    "combine_moments",
    "consecutive_pairs_partition",
    "convexify",
    "dirichlet_partition",
    "fedadam",
    "fedavg",
    "fedavg_fixed_point",
    "fedavg_gram",
    "fedavg_least_squares",
    "fedavg_round_matrix",
    "fedavg_spectral_radius",
    "fedavgm",
    "federated_fit",
    "federated_standardizer",
    "fednova",
    "fedprox",
    "global_optimum",
    "gram",
    "iid_partition",
    "label_partition",
    "least_squares_terms",
    "local_operators",
    "max_curvatures",
    "min_norm_interpolator",
    "pad_clients",
    "scaffold",
    "scaffold_gram",
    "scaffold_least_squares",
    "scaffold_round_matrix",
    "scaffold_spectral_radius",
    "solve_convex",
    "stable_step_size",
    "tct",
]
