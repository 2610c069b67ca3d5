"""Every public function with valid arguments, and what it may end in: one register for fuzzing.

The valid calls are those of the tables of malformed calls, `test_*_bad_input.py`, so that a new
public function gets into both at once.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
# package: its table of valid calls
TABLES = {
    "ntk": "ntk/test_ntk_bad_input",
    "infinite": "ntk_infinite/test_ntk_infinite_bad_input",
    "ridge": "ridge/test_ridge_bad_input",
    "rmt": "rmt/test_rmt_bad_input",
    "mixtures": "mixtures/test_mixtures_bad_input",
    "shift": "shift/test_shift_bad_input",
    "matching": "matching/test_matching_bad_input",
    "online": "online/test_online_bad_input",
    "collective": "collective/test_collective_bad_input",
    "federated": "federated/test_federated_bad_input",
    "robustness": "robustness/test_robustness_bad_input",
    "unlearning": "unlearning/test_unlearning_bad_input",
    "safety": "safety/safety_calls",
    "privacy": "privacy/test_privacy_bad_input",
    "privacy_online": "privacy/test_privacy_online_bad_input",
}
# where a package is not theorylab's of the same name
MODULES = {"infinite": "theorylab.ntk.infinite", "privacy_online": "theorylab.privacy.online"}
# NaN or infinity out of finite input that a docstring promises
DOCUMENTED = {
    "rmt.DeformedWigner.quantile": "NaN of what is no probability",
    "rmt.MarchenkoPastur.quantile": "NaN of what is no probability",
    "rmt.Semicircle.quantile": "NaN of what is no probability",
    "rmt.SilversteinLaw.quantile": "NaN of what is no probability",
    "rmt.TracyWidom.quantile": "NaN of what is no probability",
    "rmt.SilversteinLaw.outlier": "NaN of a spike that is lost in the bulk",
    "rmt.spike_from_sample": "NaN of an eigenvalue inside the bulk",
    "collective.base_bound": "-infinity where nothing is promised",
    "collective.critical_mass": "infinity where no size is promised to reach it",
    "collective.feature_only_bound": "-infinity where nothing is promised",
    "collective.effective_size_from_weights": "NaN where all weights are 0",
    "collective.thresholds": "NaN of points that are nobody's signalled version",
    "collective.reweighted_bound": "-infinity where a signalled point weighs nothing",
    "online.competitive_ratio": "infinity of a cost above 0 for jobs of size 0",
    "privacy.coupling_curve": "infinity of a divergence beyond float64",
    "privacy.laplace_curve": "infinity of a divergence beyond float64",
    "privacy_online.printed_lower_bounds": "infinity of a horizon beyond float64",
    "shift.accuracy_line": "NaN of accuracies that do not vary",
    "shift.atc_threshold": "infinity where all are wrong",
    "shift.calibrate": "NaN r2 of errors that do not vary",
    "shift.mild_to_hard": "NaN r2 of errors that do not vary",
    "shift.memorised": "NaN of a classifier that does not interpolate",
    "shift.sweep_nuisance": "NaN of a classifier that does not interpolate",
}
# Functions that have no call here, beside types and results.
EXEMPT: dict[str, str] = {
    "infinite.abs": "takes nothing",
    "infinite.dual_activation": "takes functions alone",
    "infinite.flatten": "takes nothing",
    "infinite.gabor": "takes nothing",
    "infinite.gelu": "takes nothing",
    "infinite.global_avg_pool": "takes nothing",
    "infinite.identity": "takes nothing",
    "infinite.relu": "takes nothing",
    "infinite.sign": "takes nothing",
    "privacy_online.pieces": "for laws of one's own, given what `law_at` has checked",
    "robustness.dense_network": "a network, checked by those who call it",
    "safety.probe_auroc": "fits probes of a whole job: test_safety_detectors",
}
# Calls that compile next to nothing: some examples of each in every run of the tests.
QUICK = {
    "ntk": (
        "NTKOperator.__matmul__ convolutions_as_products from_neural_tangents "
        "TilePlan.seconds kernel_training linearize max_learning_rate to_neural_tangents"
    ),
    "infinite": (
        "avg_pool conv cos dense dropout elementwise erf gaussian layer_norm parallel "
        "polynomial residual serial sin"
    ),
    "ridge": (
        "RidgePathBase.default_alphas RidgePathBase.gcv_per_output "
        "RidgePathBase.loo_per_output RidgePath.coef loo_score"
    ),
    "rmt": (
        "DeformedWigner.stieltjes#1 DiscreteLaw.stieltjes#1 FreeConvolution.solve#0 "
        "FreeConvolution.stieltjes#1 FreeConvolution.solve#1 MarchenkoPastur.atom "
        "PowerLawTail.last Semicircle.cdf#0 Semicircle.cdf#1 Semicircle.edges "
        "Semicircle.sample#1 TracyWidom.cdf#1 TracyWidom.quantile#1 bbp_wigner "
        "decay_exponent degrees_of_freedom effective_regularization estimate_spectrum "
        "fit_exponents free_multiplicative goe_edge power_law_kappa predicted_exponent "
        "predicted_norm_exponent tail_exponent wishart_edge"
    ),
    "mixtures": (
        "labelled_kl method_information naive_excess_risk predicted_excess rate_table "
        "regime sl_estimation_exact spectral_information ul_plus unlabelled_information "
        "LinearRule.score MixtureSweep.mean MixtureSweep.standard_error"
    ),
    "shift": (
        "CalibrationLine.predict FineTuning NuisanceModel NuisanceSweep.error accuracy_line "
        "agree_score atc_score atc_threshold calibrate conf_score cot_score detection_auroc "
        "entropy_score error_rate Signal fit_hard_margin mild_to_hard nuclear_norm_score "
        "projection_norm projection_parts rotation_score"
    ),
    "matching": (
        "MatchUCB.observe of_outcome Unstructured.intervals Unstructured.update "
        "best_coalition break_even deferred_acceptance friction_outcome linear "
        "match_ntu_ucb match_ucb matching_gap net_utilities ntu_instability "
        "outcome_from_rows regret_bound type_contexts typed typed_regret_bound unrest "
        "unstructured"
    ),
    "online": (
        "opt_cost round_robin_cost prr_perfect_cost prr_consistency prr_robustness "
        "prr_share prr_guarantees prr_hard_instance scheduling_lower_bound "
        "two_stage_hard_ratios two_stage_hard_instance two_stage_small_job_instances "
        "competitive_ratio ski_cost ski_ratios deterministic_buy_day randomized_support "
        "randomized_buy_distribution randomized_worst_ratio randomized_guarantees "
        "deterministic_lower_bound smallest_robustness tradeoff_deterministic "
        "tradeoff_randomized tradeoff_randomized_discrete optimal_buy_distribution "
        "optimal_ski_rule OptimalSkiRule.__call__ dual_certificate#0 dual_certificate#1 "
        "continuous_certificate exponential_density continuous_ratios measure_ski_rule "
        "ski_rental_curve"
    ),
    "collective": (
        "base_bound feature_only_bound critical_mass effective_size "
        "effective_size_from_weights label_floor planted_law success_of cvar_risk "
        "jtt_weights coordinate_trigger pixel_trigger block_signal parity_signal JTT LfF "
        "CVaR Chi2 GroupDRO"
    ),
    "federated": (
        "pad_clients#0 pad_clients#1 LocalSGD#0 LocalSGD#1 LocalSGD.batches "
        "LocalSGD.step_counts LocalSGD.effective_steps Algorithm fedavg fedprox scaffold "
        "fednova fedavgm fedadam centralized Algorithm.bind GramRun.predict label_partition "
        "consecutive_pairs_partition client_moments combine_moments federated_standardizer "
        "Standardizer.apply max_curvatures stable_step_size least_squares_terms "
        "local_operators global_optimum fedavg_fixed_point fedavg_round_matrix "
        "scaffold_round_matrix fedavg_spectral_radius scaffold_spectral_radius "
        "min_norm_interpolator#0 min_norm_interpolator#1"
    ),
}


@dataclass(frozen=True)
class Entry:
    """A public function, and a call of it that is right."""

    package: str
    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    lazy: bool = False

    @property
    def quick(self) -> bool:
        return self.name.partition(".")[2] in QUICK.get(self.package, "").split()

    @property
    def documented(self) -> bool:
        """Whether NaN and infinity are among its answers."""
        return self.name.partition("#")[0] in DOCUMENTED


def table(package: str) -> Any:
    where = TESTS / TABLES[package]
    for folder in (TESTS, where.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return importlib.import_module(where.name)


def entries(package: str, *, lazy: bool = True) -> list[Entry]:
    """The calls of a package; `lazy` ones build models first."""
    module = table(package)
    found = [
        Entry(package, _label(package, name, function), function, dict(arguments))
        for calls in (module.CALLS, getattr(module, "HEAVY", {}))
        for name, function, arguments in _triples(calls)
    ]
    for make in getattr(module, "LAZY", ()) if lazy else ():
        found += [
            Entry(package, _label(package, "", function), function, dict(arguments), lazy=True)
            for function, arguments in make()
        ]
    names = [entry.name for entry in found]
    return [
        Entry(e.package, f"{e.name}#{names[:i].count(e.name)}", e.function, e.arguments, e.lazy)
        if names.count(e.name) > 1
        else e
        for i, e in enumerate(found)
    ]


def uncovered(package: str) -> set[str]:
    """Public functions of a package that have neither a call here nor an exemption."""
    module = importlib.import_module(MODULES.get(package, f"theorylab.{package}"))
    test = table(package)
    source = inspect.getsource(test)
    covered = set(test.CALLS) if isinstance(test.CALLS, dict) else set()
    covered |= {name.partition(".")[0] for name in getattr(test, "HEAVY", {})}
    covered = {name.partition(".")[0] for name in covered if isinstance(name, str)}
    for _, function, _ in _triples(test.CALLS):
        covered |= set(getattr(function, "__qualname__", "").split("."))
    lazy = "".join(inspect.getsource(make) for make in getattr(test, "LAZY", ())) if source else ""
    functions = {n for n in module.__all__ if inspect.isfunction(getattr(module, n))}
    called = {name for name in functions if f".{name}," in lazy or f".{name}(" in source}
    exempt = {name.partition(".")[2] for name in EXEMPT if name.startswith(f"{package}.")}
    return functions - covered - called - exempt


def _triples(calls: Any) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    if not isinstance(calls, dict):
        return [("", function, arguments) for function, arguments in calls]
    return [
        (name, *call)
        for name, given in calls.items()
        for call in (given if isinstance(given, list) else [given])
    ]


def _label(package: str, name: str, function: Callable[..., Any]) -> str:
    given = getattr(function, "__qualname__", None) or type(function).__name__
    return f"{package}.{name if '<lambda>' in given and name else given}"
