"""S-Lipschitz scores: sets that bound them, certificates, ensembles, smoothing, Lipschitz networks.

S = minkowski([LpDualBall(1.0, 2, d=2), Box([0, 0], [1, 2])])    # of the sum of two functions
Q = s_certificate(S, gap=0.5)                                    # what cannot change the class
Q.contains(delta), Q.radial(u), Q.inradius(), Q.volume()

ensemble_certificate(sets, scores, weights)                      # of averaged scores
compare_certificates(Q, member_certificates(sets, scores))       # better or worse than members
optimal_weights(sets, scores)

counts = smoothed_counts(f, x, key=key, draws=1000, scale=0.5)   # randomised smoothing
cohen_radius(class_bounds(counts, confidence=0.999).lower.max(-1), sigma=0.5)
"""

from theorylab.robustness.ensembles.algebra import (
    difference,
    hull,
    intersect,
    linear_image,
    minkowski,
    reflect,
    scale,
    width,
)
from theorylab.robustness.ensembles.averages import (
    Comparison,
    Prediction,
    compare_certificates,
    ensemble_certificate,
    ensemble_gap,
    ensemble_regime,
    ensemble_scores,
    member_certificates,
    prediction_gap,
)
from theorylab.robustness.ensembles.certificates import (
    Certificate,
    Volume,
    grid,
    lipschitz_certificate,
    pairwise_certificate,
    s_certificate,
)
from theorylab.robustness.ensembles.counts import ClassBounds, class_bounds, clopper_pearson
from theorylab.robustness.ensembles.extents import Extent
from theorylab.robustness.ensembles.lipschitz import (
    dense_sorted,
    gram_bound,
    group_sort,
    lipschitz_mlp,
    lipschitz_params,
    network_bound,
    power_iteration,
    relu_gradients,
    relu_set,
    sealed,
    spectral_bound,
    spectral_dense,
)
from theorylab.robustness.ensembles.sets import (
    Box,
    Ellipsoid,
    LpDualBall,
    Polytope,
    SupportSet,
    Zonotope,
)
from theorylab.robustness.ensembles.smoothing import (
    average_of_smoothed,
    cohen_radius,
    smoothed_average,
    smoothed_certificate,
    smoothed_counts,
    smoothing_set,
)
from theorylab.robustness.ensembles.votes import VoteCertificate, vote_certificate
from theorylab.robustness.ensembles.weights import Optimum, optimal_weights

__all__ = [
    "Box",
    "Certificate",
    "ClassBounds",
    "Comparison",
    "Ellipsoid",
    "Extent",
    "LpDualBall",
    "Optimum",
    "Polytope",
    "Prediction",
    "SupportSet",
    "Volume",
    "VoteCertificate",
    "Zonotope",
    "average_of_smoothed",
    "class_bounds",
    "clopper_pearson",
    "cohen_radius",
    "compare_certificates",
    "dense_sorted",
    "difference",
    "ensemble_certificate",
    "ensemble_gap",
    "ensemble_regime",
    "ensemble_scores",
    "gram_bound",
    "grid",
    "group_sort",
    "hull",
    "intersect",
    "linear_image",
    "lipschitz_certificate",
    "lipschitz_mlp",
    "lipschitz_params",
    "member_certificates",
    "minkowski",
    "network_bound",
    "optimal_weights",
    "pairwise_certificate",
    "power_iteration",
    "prediction_gap",
    "reflect",
    "relu_gradients",
    "relu_set",
    "s_certificate",
    "scale",
    "sealed",
    "smoothed_average",
    "smoothed_certificate",
    "smoothed_counts",
    "smoothing_set",
    "spectral_bound",
    "spectral_dense",
    "vote_certificate",
    "width",
]
