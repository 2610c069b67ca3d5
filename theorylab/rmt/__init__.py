"""Random-matrix numerics: eigenvalues, resolvents and ridge risks when dimensions are large.

Every function computes in float64 whatever the caller's setting and returns float64 (complex128);
in an ordinary float32 program cast the result (`x.astype("float32")`, `float(x)`) before mixing it
with float32 arrays. Conventions: Σ̂ = XᵀX/n of n samples in p dimensions, gamma = p/n, Stieltjes
transform m(z) = ∫ dμ(x)/(x - z), so that the density is Im m(x + i0)/π.
"""

from theorylab.rmt.effective import (
    d_kappa,
    degrees_of_freedom,
    effective_regularization,
)
from theorylab.rmt.equivalents import (
    RandomFeatureRisk,
    ShiftRisk,
    covariate_shift_risk,
    random_features_risk,
)
from theorylab.rmt.estimation import (
    PowerLawFit,
    SpectrumEstimate,
    decay_exponent,
    estimate_spectrum,
    tail_exponent,
)
from theorylab.rmt.free import (
    DiscreteLaw,
    FreeConvolution,
    FreeSolution,
    free_additive,
    free_multiplicative,
)
from theorylab.rmt.inversion import (
    kolmogorov_distance,
)
from theorylab.rmt.local_law import (
    LocalLawResiduals,
    local_law_residuals,
    resolvent_residuals,
)
from theorylab.rmt.marchenko_pastur import (
    MarchenkoPastur,
)
from theorylab.rmt.pastur import (
    PasturSolution,
)
from theorylab.rmt.results import (
    DegreesOfFreedom,
    Edges,
    EdgeScaling,
    PluginSpectrum,
    SpectralMean,
    TraceEstimate,
)
from theorylab.rmt.risk import (
    RiskEstimate,
    omniscient_risk,
    plugin_spectrum,
    spectrum_only_risk,
)
from theorylab.rmt.scaling import (
    ExponentFit,
    estimated_kappa,
    fit_exponents,
    kappa_curve,
    power_law_kappa,
    predicted_exponent,
    predicted_norm_exponent,
)
from theorylab.rmt.silverstein import (
    SilversteinLaw,
)
from theorylab.rmt.slq import (
    LanczosQuadrature,
    SmoothedDensity,
    lanczos_quadrature,
    slq_trace,
)
from theorylab.rmt.spikes import (
    Spike,
    bbp_covariance,
    bbp_wigner,
    goe_edge,
    spike_from_sample,
    wishart_edge,
)
from theorylab.rmt.statistics import (
    delocalization,
    eigenvalue_rigidity,
    level_spacing_ratio,
)
from theorylab.rmt.tails import (
    PowerLawTail,
)
from theorylab.rmt.tracy_widom import (
    TracyWidom,
)
from theorylab.rmt.wigner import (
    DeformedWigner,
    Semicircle,
)

__all__ = [
    "DeformedWigner",
    "DegreesOfFreedom",
    "DiscreteLaw",
    "EdgeScaling",
    "Edges",
    "ExponentFit",
    "FreeConvolution",
    "FreeSolution",
    "LanczosQuadrature",
    "LocalLawResiduals",
    "MarchenkoPastur",
    "PasturSolution",
    "PluginSpectrum",
    "PowerLawFit",
    "PowerLawTail",
    "RandomFeatureRisk",
    "RiskEstimate",
    "Semicircle",
    "ShiftRisk",
    "SilversteinLaw",
    "SmoothedDensity",
    "SpectralMean",
    "SpectrumEstimate",
    "Spike",
    "TraceEstimate",
    "TracyWidom",
    "bbp_covariance",
    "bbp_wigner",
    "covariate_shift_risk",
    "d_kappa",
    "decay_exponent",
    "degrees_of_freedom",
    "delocalization",
    "effective_regularization",
    "eigenvalue_rigidity",
    "estimate_spectrum",
    "estimated_kappa",
    "fit_exponents",
    "free_additive",
    "free_multiplicative",
    "goe_edge",
    "kappa_curve",
    "kolmogorov_distance",
    "lanczos_quadrature",
    "level_spacing_ratio",
    "local_law_residuals",
    "omniscient_risk",
    "plugin_spectrum",
    "power_law_kappa",
    "predicted_exponent",
    "predicted_norm_exponent",
    "random_features_risk",
    "resolvent_residuals",
    "slq_trace",
    "spectrum_only_risk",
    "spike_from_sample",
    "tail_exponent",
    "wishart_edge",
]
