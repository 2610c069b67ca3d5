"""What `test_docstrings.py` asks of which package.

A package that holds the template is a line of `COVERED` (and of the pattern beside "D" in
pyproject.toml, by which ruff holds the form of the first line); what must show an example is a line
of `WITH_EXAMPLE`; `THEORY` is every covered package but those whose statements rest on no theorem.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]

# all modules in the folder: the package's own `__all__` names one of them alone
PRIVACY = tuple(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "theorylab" / "privacy").rglob("*.py"))
    if path.parent.name != "privacy" or path.stem != "__init__"
)
# packages, whose exports are their `__all__`, and modules, whose exports are what they define
COVERED = (
    "theorylab.collective",
    "theorylab.cores",
    "theorylab.data",
    "theorylab.data.synthetic",
    "theorylab.federated",
    "theorylab.lab",
    "theorylab.linalg",
    "theorylab.matching",
    "theorylab.mixtures",
    "theorylab.nets",
    "theorylab.ntk",
    "theorylab.ntk.infinite",
    "theorylab.ntk.large",
    "theorylab.online",
    "theorylab.plotting",
    *PRIVACY,
    "theorylab.pytrees",
    "theorylab.ridge",
    "theorylab.rmt",
    "theorylab.robustness",
    "theorylab.robustness.attacks",
    "theorylab.robustness.ensembles",
    "theorylab.robustness.evaluation",
    "theorylab.safety",
    "theorylab.shift",
    "theorylab.unlearning",
)

# modules for the inside of the house: a sentence for each public function, and no more is asked
SENTENCES = (
    "theorylab.aot",
    "theorylab.checks",
    "theorylab.cli",
    "theorylab.cluster",
    "theorylab.digests",
    "theorylab.errors",
    "theorylab.files",
    "theorylab.precision",
    "theorylab.progress",
    "theorylab.report",
)

# every export names its source, in its own docstring or in that of its module, but in those that
# rest on no theorem
THEORY = tuple(
    name
    for name in COVERED
    if name
    not in (
        "theorylab.cores",
        "theorylab.data",
        "theorylab.data.synthetic",
        "theorylab.lab",
        "theorylab.linalg",
        "theorylab.nets",
        "theorylab.plotting",
        "theorylab.pytrees",
    )
)

# "module name": functions, classes, or methods of a class that must show an example
WITH_EXAMPLE = (
    "theorylab.collective critical_mass",
    "theorylab.collective effective_size",
    "theorylab.collective population_jtt",
    "theorylab.collective success_curve",
    "theorylab.collective success_staircase",
    "theorylab.data corrupt",
    "theorylab.data encode",
    "theorylab.data load",
    "theorylab.data.synthetic gaussian_design",
    "theorylab.federated dirichlet_partition",
    "theorylab.federated federated_fit",
    "theorylab.federated pad_clients",
    "theorylab.federated scaffold_gram",
    "theorylab.federated tct",
    "theorylab.lab Claim",
    "theorylab.lab Experiment",
    "theorylab.lab Figure",
    "theorylab.lab Store",
    "theorylab.lab over_seeds",
    "theorylab.matching core_prices",
    "theorylab.matching match_ucb",
    "theorylab.matching max_weight_matching",
    "theorylab.matching subset_instability",
    "theorylab.mixtures assouad_bound",
    "theorylab.mixtures fit_logistic",
    "theorylab.mixtures fit_mixture",
    "theorylab.mixtures ssl_em",
    "theorylab.mixtures sweep_mixture",
    "theorylab.nets MLP",
    "theorylab.nets fit",
    "theorylab.nets functional",
    "theorylab.ntk empirical_ntk",
    "theorylab.ntk entk_features",
    "theorylab.ntk gradient_flow",
    "theorylab.ntk linearize",
    "theorylab.ntk ntk_operator",
    "theorylab.ntk sketch_ntk",
    "theorylab.ntk.infinite serial",
    "theorylab.online optimal_buy_distribution",
    "theorylab.online prr_perfect_cost",
    "theorylab.online prr_robustness",
    "theorylab.online schedule",
    "theorylab.online ski_cost",
    "theorylab.privacy.calibration calibrated_noise",
    "theorylab.privacy.dp_sgd noise_multiplier",
    "theorylab.privacy.dp_sgd private_descent",
    "theorylab.privacy.meta_theorem preprocessed_zcdp",
    "theorylab.privacy.online calibrate",
    "theorylab.privacy.online littlestone_dimension",
    "theorylab.privacy.online mistake_lower_bound",
    "theorylab.privacy.online worst_neighbour",
    "theorylab.privacy.pillar public_basis",
    "theorylab.privacy.renyi to_epsilon",
    "theorylab.privacy.sensitivity mean_imputation",
    "theorylab.privacy.smooth dp_gradient_descent",
    "theorylab.ridge KernelRidgeGCV",
    "theorylab.ridge KernelRidgePath.fit",
    "theorylab.ridge RidgePath.fit",
    "theorylab.ridge gcv_score",
    "theorylab.ridge gcv_slq",
    "theorylab.ridge solve_ridge",
    "theorylab.rmt MarchenkoPastur",
    "theorylab.rmt SilversteinLaw",
    "theorylab.rmt bbp_covariance",
    "theorylab.rmt effective_regularization",
    "theorylab.rmt fit_exponents",
    "theorylab.rmt free_additive",
    "theorylab.rmt lanczos_quadrature",
    "theorylab.rmt omniscient_risk",
    "theorylab.robustness LpBall",
    "theorylab.robustness certified_margins",
    "theorylab.robustness output_bounds",
    "theorylab.robustness train_robust",
    "theorylab.robustness.attacks pgd",
    "theorylab.safety Grammar",
    "theorylab.safety recover_permutation",
    "theorylab.safety tilted_policy",
    "theorylab.shift accuracy_line",
    "theorylab.shift atc_threshold",
    "theorylab.shift calibrate",
    "theorylab.shift fit_logistic_path",
    "theorylab.shift projection_norm",
    "theorylab.shift projection_norms",
    "theorylab.shift sweep_nuisance",
    "theorylab.unlearning healed_share",
    "theorylab.unlearning identified_subset",
    "theorylab.unlearning selective_synaptic_dampening",
)

# modules whose examples take seconds of compilation
LONG = ("theorylab.ridge.solve", "theorylab.ridge.stochastic")
