"""Every public function of `theorylab.rmt` refuses malformed arguments by name, or gives the right
finite number."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import rmt
from theorylab.errors import InputError

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
E = np.array([4.0, 2.0, 1.0])
W = np.array([0.5, 0.25, 0.25])
B = np.array([1.0, 0.5, 0.2])
X = RNG.normal(size=(6, 3))
K = X @ X.T + np.eye(6)
SIZES = np.array([10.0, 20.0, 40.0, 80.0])
TAIL = rmt.PowerLawTail(1.5, 3)
LANCZOS = rmt.lanczos_quadrature(lambda v: jnp.asarray(E) * v, 3, KEY, probes=2, steps=2)
POINT = {
    "density": {"x": 1.1},
    "cdf": {"x": 1.1},
    "quantile": {"p": np.array([0.3, 0.6])},
    "stieltjes": {"z": 1 + 1j},
}


def law_calls(make, arguments, **more):
    """The methods of a law at a valid point, and every method again with malformed parameters of
    the law."""
    methods = {name: dict(point) for name, point in POINT.items()} | more
    law = make(**arguments)
    calls = [
        (getattr(law, name), point)
        for name, point in methods.items()
        if point and hasattr(law, name)
    ]
    for name, point in methods.items():
        if hasattr(law, name):
            calls.append((of_new_law(make, name, point), arguments))
    return calls


def of_new_law(make, method, point):
    def call(**arguments):
        return getattr(make(**arguments), method)(**point)

    call.__qualname__ = f"{make.__name__}.{method}"
    return call


SAMPLE = {"sample": {"key": KEY, "shape": (2,)}}
LAW = {"solve": {"z": 1 + 1j}, "edges": {}}
SLQ = {"key": KEY, "probes": 2, "steps": 2, "batch_size": 1}
DIAGONAL = {"matvec": lambda v: jnp.asarray(E) * v, "dim": 3}

# Name: valid calls, each a function and its arguments.
CALLS = {
    "DeformedWigner": law_calls(
        rmt.DeformedWigner, {"values": E, "proportions": W, "s2": 1.0}, **LAW
    ),
    "DiscreteLaw": law_calls(rmt.DiscreteLaw, {"values": E, "proportions": W}),
    "FreeConvolution": law_calls(
        rmt.FreeConvolution,
        {"first": rmt.DiscreteLaw(E), "second": rmt.MarchenkoPastur(0.5), "product": True},
        solve={"z": 1 + 1j},
        density={"x": 1.1, "width": 1e-3},
    ),
    "LanczosQuadrature": [
        (LANCZOS.average, {"function": jnp.exp}),
        (LANCZOS.cdf, {"x": E}),
        (LANCZOS.density, {"x": E, "width": 0.3, "log": True}),
    ],
    "MarchenkoPastur": law_calls(
        rmt.MarchenkoPastur,
        {"gamma": 0.5, "s2": 1.0, "companion": True},
        edges={},
        atom={},
        moments={"count": 2},
        **SAMPLE,
    ),
    "PowerLawTail": [
        (of_new_law(rmt.PowerLawTail, "total", {}), {"alpha": 1.5, "start": 3, "scale": 1.0}),
        (of_new_law(rmt.PowerLawTail, "last", {}), {"alpha": 1.5, "start": 3, "scale": 1.0}),
    ],
    "Semicircle": law_calls(rmt.Semicircle, {"s2": 1.0}, edges={}, **SAMPLE),
    "SilversteinLaw": law_calls(
        rmt.SilversteinLaw,
        {"eigenvalues": E, "proportions": W, "gamma": 0.5, "companion": False},
        atom={},
        companion_stieltjes={"z": 1 + 1j},
        outlier={"spike": np.array([9.0])},
        **LAW,
    ),
    "TracyWidom": law_calls(rmt.TracyWidom, {"beta": 1}, mean={}, variance={}),
    "bbp_covariance": [(rmt.bbp_covariance, {"spike": 3.0, "gamma": 0.5, "s2": 1.0})],
    "bbp_wigner": [(rmt.bbp_wigner, {"theta": 3.0, "s2": 1.0})],
    "covariate_shift_risk": [
        (
            rmt.covariate_shift_risk,
            {
                "eigenvalues": E,
                "coefficients": B,
                "shifted": E,
                "n": 10,
                "alpha": 0.1,
                "noise": 0.1,
            },
        )
    ],
    "d_kappa": [
        (rmt.d_kappa, {"eigenvalues": E, "n": 10, "alpha": 0.1, "tail": TAIL, "weights": W})
    ],
    "decay_exponent": [(rmt.decay_exponent, {"eigenvalues": E, "start": 1, "stop": 3})],
    "degrees_of_freedom": [
        (rmt.degrees_of_freedom, {"eigenvalues": E, "kappa": 0.1, "tail": TAIL, "weights": W})
    ],
    "delocalization": [(rmt.delocalization, {"eigenvectors": np.eye(3)[:, :2]})],
    "effective_regularization": [
        (
            rmt.effective_regularization,
            {"eigenvalues": E, "n": 10, "alpha": 0.1, "tail": TAIL, "weights": W},
        )
    ],
    "eigenvalue_rigidity": [(rmt.eigenvalue_rigidity, {"eigenvalues": E, "law": rmt.Semicircle()})],
    "estimate_spectrum": [
        (rmt.estimate_spectrum, {"sample_eigenvalues": E, "n": 10, "grid": E, "points": 5})
    ],
    "estimated_kappa": [(rmt.estimated_kappa, {"K": K, "alpha": 0.1})],
    "fit_exponents": [
        (
            rmt.fit_exponents,
            {"sizes": SIZES, "kappa": SIZES**-1.3, "risk": np.stack([SIZES**-0.5] * 2, axis=1)},
        )
    ],
    "free_additive": [
        (
            lambda first, second: rmt.free_additive(first, second).density(1.1, width=0.1),
            {"first": rmt.Semicircle(), "second": rmt.MarchenkoPastur(0.5)},
        )
    ],
    "free_multiplicative": [
        (
            lambda first, second: rmt.free_multiplicative(first, second).density(1.1, width=0.1),
            {"first": rmt.DiscreteLaw(E), "second": rmt.MarchenkoPastur(0.5)},
        )
    ],
    "goe_edge": [(rmt.goe_edge, {"n": 10})],
    "kappa_curve": [
        (rmt.kappa_curve, {"K": K, "sizes": [2, 4], "key": KEY, "draws": 2, "alpha": 0.1})
    ],
    "kolmogorov_distance": [(rmt.kolmogorov_distance, {"sample": E, "cdf": rmt.Semicircle().cdf})],
    "lanczos_quadrature": [(rmt.lanczos_quadrature, {**DIAGONAL, **SLQ})],
    "level_spacing_ratio": [(rmt.level_spacing_ratio, {"eigenvalues": E})],
    "local_law_residuals": [
        (rmt.local_law_residuals, {"X": X, "eigenvalues": E, "alpha": 0.1, "vectors": np.eye(3)})
    ],
    "omniscient_risk": [
        (
            rmt.omniscient_risk,
            {
                **{
                    "eigenvalues": E,
                    "target_power": B,
                    "n": 10,
                    "alpha": 0.1,
                    "noise": 0.1,
                    "weights": W,
                },
                **{"tail": TAIL, "target_tail": TAIL},
            },
        )
    ],
    "plugin_spectrum": [(rmt.plugin_spectrum, {"K": K, "Y": X[:, 0]})],
    "power_law_kappa": [(rmt.power_law_kappa, {"alpha": 1.5, "n": 10, "scale": 1.0})],
    "predicted_exponent": [
        (rmt.predicted_exponent, {"alpha": 1.5, "delta": 1.4, "noise": 0.1, "schedule": "tuned"})
    ],
    "predicted_norm_exponent": [(rmt.predicted_norm_exponent, {"alpha": 1.5, "delta": 1.4})],
    "random_features_risk": [
        (
            rmt.random_features_risk,
            {
                "eigenvalues": E,
                "target_power": B,
                "n": 10,
                "features": 20,
                "alpha": 0.1,
                "noise": 0.1,
            },
        )
    ],
    "resolvent_residuals": [
        (
            rmt.resolvent_residuals,
            {"sample_eigenvalues": E, "stieltjes": np.array([0.1 + 0.2j]), "z": np.array([1 + 1j])},
        )
    ],
    "slq_trace": [(rmt.slq_trace, {**DIAGONAL, **SLQ, "function": jnp.exp})],
    "spectrum_only_risk": [
        (
            rmt.spectrum_only_risk,
            {"eigenvalues": E, "n": 10, "alpha": 0.1, "second_moment": 1.0, "noise": 0.1},
        )
    ],
    "spike_from_sample": [
        (rmt.spike_from_sample, {"eigenvalue": np.array([9.0]), "gamma": 0.5, "s2": 1.0})
    ],
    "tail_exponent": [
        (rmt.tail_exponent, {"eigenvalues": np.geomspace(1, 9, 9), "xmin": 0.5, "xmax": 10.0})
    ],
    "wishart_edge": [(rmt.wishart_edge, {"n": 10, "p": 5})],
}
# What the functions above return; nobody makes one by hand.
RESULTS = {
    *(
        "ExponentFit",
        "FreeSolution",
        "LocalLawResiduals",
        "PasturSolution",
        "PowerLawFit",
        "RandomFeatureRisk",
    ),
    *("RiskEstimate", "ShiftRisk", "SmoothedDensity", "SpectrumEstimate", "Spike"),
    *(
        "DegreesOfFreedom",
        "EdgeScaling",
        "Edges",
        "PluginSpectrum",
        "SpectralMean",
        "TraceEstimate",
    ),
}
# Programs for many shapes and types of parameters.
COMPILING = {
    *(
        "DeformedWigner",
        "FreeConvolution",
        "MarchenkoPastur",
        "Semicircle",
        "SilversteinLaw",
        "TracyWidom",
    ),
    *(
        "free_additive",
        "free_multiplicative",
        "kappa_curve",
        "lanczos_quadrature",
        "slq_trace",
        "omniscient_risk",
    ),
}


def test_every_public_name_is_attacked():
    assert CALLS.keys() | RESULTS == set(rmt.__all__)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long) if n in COMPILING else n for n in CALLS]
)
def test_malformed_arguments_are_refused_by_name(name):
    assert bad_input.faults_in(CALLS[name]) == []


@pytest.mark.parametrize("gamma", [np.array(-1.0), np.array(np.nan), jnp.array(0.0)])
def test_a_law_refuses_parameters_that_are_arrays_too(gamma):
    law = rmt.MarchenkoPastur(gamma)
    for method in (
        law.edges,
        law.atom,
        lambda: law.moments(2),
        lambda: law.sample(KEY),
        lambda: law.density(1.0),
    ):
        with pytest.raises(InputError, match=r"gamma = .*; finite numbers above 0"):
            method()


def test_gradients_and_differences_of_laws_may_have_negative_leaves():
    with jax.enable_x64(True):
        slope = jax.grad(lambda tail: rmt.effective_regularization(E, 2, 0.1, tail=tail))(
            rmt.PowerLawTail(1.5, 3.0)
        )
    assert float(slope.alpha) < 0
    minus = jax.tree.map(lambda leaf: jnp.asarray(-leaf, float), rmt.MarchenkoPastur(0.5))
    assert float(minus.gamma) == -0.5


def test_the_power_law_kappa_needs_samples():
    with pytest.raises(InputError, match="n = -1; finite numbers above 0"):
        rmt.power_law_kappa(1.5, -1)


@pytest.mark.parametrize("call", [rmt.kappa_curve, rmt.plugin_spectrum, rmt.estimated_kappa])
@pytest.mark.parametrize(
    "kernel, message",
    [
        (K - 3 * np.eye(6), "K is not positive semi-definite"),
        (np.where(np.eye(6) == 1, np.nan, K), "K holds nan"),
        (K + np.arange(6.0), "K is not symmetric"),
    ],
)
def test_what_is_no_kernel_is_refused(call, kernel, message):
    more = {rmt.kappa_curve: ([6], KEY), rmt.plugin_spectrum: (X[:, 0],)}.get(call, ())
    with pytest.raises(InputError, match=message):
        call(kernel, *more)


def test_a_float32_kernel_passes_with_the_rounding_of_its_own():
    low_rank = (X @ X.T).astype(np.float32)
    assert np.linalg.eigvalsh(low_rank.astype(np.float64))[0] < 0
    assert np.isfinite(rmt.kappa_curve(low_rank, [6], KEY, draws=1, alpha=0.1)).all()
    assert rmt.plugin_spectrum(low_rank, X[:, 0])[0].min() >= 0


def test_modes_are_not_counted_twice():
    with pytest.raises(InputError, match="modes overlap"):
        rmt.effective_regularization(E, 10, 0.1, tail=rmt.PowerLawTail(1.5, 2))
    with pytest.raises(InputError, match="target_tail"):
        rmt.omniscient_risk(E, B, 10, 0.1, tail=TAIL, target_tail=rmt.PowerLawTail(1.5, 5))


def test_risks_at_the_interpolation_threshold():
    """Ridgeless with n = p: κ' is infinite; what it multiplies by 0 was NaN."""
    without = rmt.omniscient_risk(E, B, 3, 0.0)
    assert float(without.risk) == float(without.train_risk) == 0.0
    noisy = rmt.omniscient_risk(E, B, 3, 0.0, noise=1.0)
    assert float(noisy.risk) == np.inf and float(noisy.train_risk) == 0.0
    near = rmt.omniscient_risk(E, B, 3, 1e-8)
    assert float(near.risk) < 1e-3


def test_a_law_gives_its_limits_at_infinity_or_refuses():
    assert float(rmt.MarchenkoPastur(0.5).cdf(np.inf)) == 1.0
    with pytest.raises(InputError, match="x"):
        rmt.SilversteinLaw(E, W, 0.5).cdf(np.inf)


def test_a_product_of_free_laws_needs_positive_ones():
    with pytest.raises(InputError, match="first has negative eigenvalues"):
        rmt.free_multiplicative(rmt.DiscreteLaw(-E), rmt.MarchenkoPastur(0.5)).density(1.0)


def test_columns_that_are_no_unit_vectors_are_refused():
    with pytest.raises(InputError, match="eigenvectors has a column of norm 2"):
        rmt.delocalization(2 * np.eye(3))


def test_a_distribution_function_gives_a_probability_for_each_value():
    with pytest.raises(InputError, match="cdf gives shape"):
        rmt.kolmogorov_distance(E, len)
