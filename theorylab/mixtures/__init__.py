"""Two-Gaussian mixtures: what labels and unlabelled points are worth, and learners that use both.

The model is y = +-1 with equal chance, x given y from N(y theta*, I), s = ||theta*||. `estimators`,
`likelihood` and `self_training` hold the learners, `information` and `rates` the theory with its
lower bounds, `sweep_mixture` simulates all of it over grids. For real data: `fit_logistic`,
`fit_mixture`, `select_weight`. The paper is Tifrea, Yüce, Sanyal, Yang (NeurIPS 2023).
"""

from typing import Any

from theorylab.deprecation import old_name
from theorylab.mixtures.em import Mixture, fit_mixture
from theorylab.mixtures.estimators import (
    Spectral,
    sl_estimator,
    spectral_ul,
    ssl_switch,
    ssl_weighted,
    ul_plus,
)
from theorylab.mixtures.gaussian import (
    MixtureSample,
    excess_risk,
    naive_excess_risk,
    random_center,
    sample_2gmm,
)
from theorylab.mixtures.information import (
    LowerBound,
    assouad_bound,
    gaussian_expect,
    labelled_kl,
    mixture_kl,
    nishimori_gap,
    spectral_information,
    unlabelled_information,
)
from theorylab.mixtures.likelihood import ssl_em
from theorylab.mixtures.logistic import LinearRule, fit_logistic
from theorylab.mixtures.mixture_sweep import MixtureSweep, sweep_mixture
from theorylab.mixtures.rates import (
    METHODS,
    GainLimits,
    Rates,
    gain_limits,
    method_information,
    optimal_weight,
    predicted_excess,
    rate_table,
    regime,
    sl_estimation_exact,
    sl_excess_exact,
    wrong_sign_probability,
)
from theorylab.mixtures.selection import Selected, mix, oriented, select_weight
from theorylab.mixtures.self_training import SelfTrainingSchedule, self_training
from theorylab.mixtures.sweep_options import DATA_METHODS, MOMENT_METHODS, Learners, Simulation

__all__ = [
    "DATA_METHODS",
    "METHODS",
    "MOMENT_METHODS",
    "GainLimits",
    "Learners",
    "LinearRule",
    "LowerBound",
    "Mixture",
    "MixtureSample",
    "MixtureSweep",
    "Rates",
    "Selected",
    "SelfTrainingSchedule",
    "Simulation",
    "Spectral",
    "assouad_bound",
    "excess_risk",
    "fit_logistic",
    "fit_mixture",
    "gain_limits",
    "gaussian_expect",
    "labelled_kl",
    "method_information",
    "mix",
    "mixture_kl",
    "naive_excess_risk",
    "nishimori_gap",
    "optimal_weight",
    "oriented",
    "predicted_excess",
    "random_center",
    "rate_table",
    "regime",
    "sample_2gmm",
    "select_weight",
    "self_training",
    "sl_estimation_exact",
    "sl_estimator",
    "sl_excess_exact",
    "spectral_information",
    "spectral_ul",
    "ssl_em",
    "ssl_switch",
    "ssl_weighted",
    "sweep_mixture",
    "ul_plus",
    "unlabelled_information",
    "wrong_sign_probability",
]

_OLD = {
    "Linear": "LinearRule",
    "Sweep": "MixtureSweep",
    "sweep": "sweep_mixture",
}


def __getattr__(name: str) -> Any:
    return old_name(__name__, name, _OLD)
