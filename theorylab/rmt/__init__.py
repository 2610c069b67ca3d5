"""Random-matrix numerics: what eigenvalues, resolvents and ridge risks are when dimensions are large.

Every function computes in float64 whatever the caller's setting and returns float64 (complex128); in an ordinary
float32 program cast the result (`x.astype("float32")`, `float(x)`) before mixing it with float32 arrays. Conventions:
Σ̂ = XᵀX/n of n samples in p dimensions, gamma = p/n, Stieltjes transform m(z) = ∫ dμ(x)/(x - z), so that
the density is Im m(x + i0)/π.
"""

from theorylab.rmt.effective import d_kappa, degrees_of_freedom, effective_regularization
from theorylab.rmt.local_law import LocalLawResiduals, local_law_residuals, resolvent_residuals
from theorylab.rmt.risk import RiskEstimate, omniscient_risk, plugin_spectrum, spectrum_only_risk
from theorylab.rmt.scaling import (
    ExponentFit,
    estimated_kappa,
    fit_exponents,
    kappa_curve,
    power_law_kappa,
    predicted_exponent,
    predicted_norm_exponent,
)
from theorylab.rmt.tails import PowerLawTail

__all__ = [
    "ExponentFit",
    "LocalLawResiduals",
    "PowerLawTail",
    "RiskEstimate",
    "d_kappa",
    "degrees_of_freedom",
    "effective_regularization",
    "estimated_kappa",
    "fit_exponents",
    "kappa_curve",
    "local_law_residuals",
    "omniscient_risk",
    "plugin_spectrum",
    "power_law_kappa",
    "predicted_exponent",
    "predicted_norm_exponent",
    "resolvent_residuals",
    "spectrum_only_risk",
]
