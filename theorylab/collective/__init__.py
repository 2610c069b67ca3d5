"""Algorithmic collective action: a share of the data steers the model that is trained on it.

Exact theory on finite spaces (`success_staircase`, `population_jtt`, bounds, effective sizes), signals and strategies
(`plant`), learners that weigh their samples (`fit` with ERM, JTT, LfF, CVaR, chi^2 or group DRO), and success against
size over many seeds (`success_curve`). Models are functions `f(params, x)`.
"""

from theorylab.collective.bounds import (
    base_bound,
    critical_mass,
    effective_size,
    effective_size_from_weights,
    feature_only_bound,
)
from theorylab.collective.curves import Curve, Sample, Selection, selected_success, success, success_curve
from theorylab.collective.finite import (
    bayes_labels,
    label_floor,
    planted_law,
    suboptimality_gap,
    success_of,
    success_staircase,
    thresholds,
    uniqueness,
)
from theorylab.collective.generators import gaussian_classes, parity_data, random_world
from theorylab.collective.reweighted import (
    PopulationJTT,
    population_jtt,
    reweighted_bound,
    reweighted_size,
    reweighted_success,
)
from theorylab.collective.rules import ERM, JTT, Batch, Chi2, CVaR, GroupDRO, LfF, Problem, Rule, Start
from theorylab.collective.signals import (
    Signal,
    block_signal,
    choose_members,
    coordinate_trigger,
    parity_signal,
    pixel_trigger,
    plant,
)
from theorylab.collective.training import Run, fit, select_by_validation
from theorylab.collective.weights import (
    chi2_risk,
    chi2_weights,
    cvar_risk,
    cvar_weights,
    gce_loss,
    group_weights,
    jtt_weights,
    lff_weights,
)

__all__ = [
    "ERM",
    "JTT",
    "Batch",
    "CVaR",
    "Chi2",
    "Curve",
    "GroupDRO",
    "LfF",
    "PopulationJTT",
    "Problem",
    "Rule",
    "Run",
    "Sample",
    "Selection",
    "Signal",
    "Start",
    "base_bound",
    "bayes_labels",
    "block_signal",
    "chi2_risk",
    "chi2_weights",
    "choose_members",
    "coordinate_trigger",
    "critical_mass",
    "cvar_risk",
    "cvar_weights",
    "effective_size",
    "effective_size_from_weights",
    "feature_only_bound",
    "fit",
    "gaussian_classes",
    "gce_loss",
    "group_weights",
    "jtt_weights",
    "label_floor",
    "lff_weights",
    "parity_data",
    "parity_signal",
    "pixel_trigger",
    "plant",
    "planted_law",
    "population_jtt",
    "random_world",
    "reweighted_bound",
    "reweighted_size",
    "reweighted_success",
    "select_by_validation",
    "selected_success",
    "suboptimality_gap",
    "success",
    "success_curve",
    "success_of",
    "success_staircase",
    "thresholds",
    "uniqueness",
]
