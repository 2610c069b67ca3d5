import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from theorylab import mixtures
from theorylab.errors import InputError
from theorylab.mixtures import Learners, SelfTrainingSchedule, Simulation
from theorylab.mixtures.points import draw_blocks

KEY = jax.random.key(0)
GRID = {"s": [1.0, 0.4, 1.0], "n_l": [40, 40, 5], "n_u": [100, 100, 40], "d": 5}
METHODS = ("sl", "ul", "ul_plus", "ssl_switch", "ssl_weighted")
DATA_TOO = (*METHODS, "ssl_em", "self_training")
THREE_ROUNDS = SelfTrainingSchedule(rounds=3)


@pytest.fixture(scope="module")
def short():
    return mixtures.sweep_mixture(KEY, **GRID, replicates=1000)


@pytest.fixture(scope="module")
def explicit():
    return mixtures.sweep_mixture(
        KEY, **GRID, replicates=40, methods=Learners(DATA_TOO, schedule=THREE_ROUNDS)
    )


@pytest.mark.long
def test_both_routes_have_the_same_means(short, explicit):
    for method in METHODS:
        error = np.hypot(short.standard_error(method), explicit.standard_error(method))
        assert (np.abs(short.mean(method) - explicit.mean(method)) < 4.5 * error + 1e-9).all(), (
            method
        )
        distance = short.estimation[method].mean(1) / explicit.estimation[method].mean(1)
        # 4 standard errors of 40 lengths that vary by 40 %
        np.testing.assert_allclose(distance, 1, atol=0.25)
    np.testing.assert_allclose(
        short.wrong_sign.mean(1), explicit.wrong_sign.mean(1), atol=4 * 0.5 / 40**0.5
    )


@pytest.mark.long
def test_sl_has_its_exact_risk(short):
    exact = mixtures.sl_excess_exact(GRID["s"], 5, GRID["n_l"])
    assert (np.abs(short.mean("sl") - exact) < 4.5 * short.standard_error("sl")).all()
    expected = mixtures.sl_estimation_exact(5, GRID["n_l"])
    np.testing.assert_allclose(short.estimation["sl"].mean(1), expected, rtol=0.03)


@pytest.mark.long
def test_the_explicit_route_is_the_public_estimators_on_the_same_points(explicit):
    """A replicate drawn again by hand, with theta* = s e_1 and every label +1 (x and -x are the
    same)."""
    key_u, key_l = jax.random.split(jax.random.fold_in(KEY, 0))
    noise, points = (np.asarray(draw_blocks(k, 1, 1, 5))[0, :-1].T for k in (key_u, key_l))
    s, n_l, n_u = (GRID[k][0] for k in ("s", "n_l", "n_u"))
    centre = np.array([s, 0, 0, 0, 0], np.float32)
    X_l, X_u, y = points[:n_l] + centre, noise[:n_u] + centre, np.ones(n_l)
    sl, ulp = mixtures.sl_estimator(X_l, y), mixtures.ul_plus(X_l, y, X_u)
    both = mixtures.ssl_weighted(sl, ulp, float(mixtures.optimal_weight(s, n_l, n_u)))
    thetas = {
        "sl": sl,
        "ul_plus": ulp,
        "ssl_weighted": both,
        "ssl_em": mixtures.ssl_em(X_l, y, X_u, both),
        "self_training": mixtures.self_training(X_l, y, X_u, schedule=THREE_ROUNDS).weight,
    }
    for method, theta in thetas.items():
        expected = float(mixtures.excess_risk(theta, centre))
        assert explicit.excess[method][0, 0] == pytest.approx(expected, rel=5e-3, abs=1e-6), method


@pytest.mark.slow  # compiles for the other chunk
def test_results_do_not_depend_on_the_chunk_nor_on_how_many_replicates_follow(short):
    part = mixtures.sweep_mixture(KEY, **GRID, replicates=25, simulation=Simulation(chunk=10))
    np.testing.assert_allclose(
        part.excess["ssl_weighted"], short.excess["ssl_weighted"][:, :25], rtol=1e-4, atol=1e-7
    )


@pytest.mark.slow  # compiles for float64
def test_float64_gives_the_same_risks_on_the_same_draws(short):
    double = mixtures.sweep_mixture(
        KEY, **GRID, replicates=200, simulation=Simulation(dtype=np.float64)
    )
    assert double.excess["ul_plus"].dtype == np.float64
    for method in METHODS:
        np.testing.assert_allclose(
            short.excess[method][:, :200].mean(1), double.mean(method), rtol=0.01
        )


def test_a_given_weight_replaces_the_best_one(short):
    sl_alone = mixtures.sweep_mixture(KEY, **GRID, replicates=1000, methods=Learners(weight=1.0))
    np.testing.assert_allclose(sl_alone.excess["ssl_weighted"], sl_alone.excess["sl"], rtol=1e-5)


def test_settings_broadcast_and_the_trivial_regime_is_a_coin_flip():
    found = mixtures.sweep_mixture(KEY, 0.05, [5, 6], 10, d=5, replicates=1000)
    assert found.excess["ssl_switch"].shape == (2, 1000)
    np.testing.assert_allclose(found.excess["ssl_switch"], 0.5 - 0.4800612, rtol=1e-4)


SCRIPT = """
import jax, numpy as np
from theorylab import mixtures
assert len(jax.devices()) == 2
mesh = jax.make_mesh((2,), ("replicates",))
for methods in (("sl", "ssl_weighted"),):
    one, two = (
        mixtures.sweep_mixture(
            *(jax.random.key(0), [1.0], [40], [100]),
            **dict(d=5, replicates=7, methods=methods, simulation=mixtures.Simulation(mesh=m)),
        )
        for m in (None, mesh)
    )
    np.testing.assert_allclose(two.excess[methods[-1]], one.excess[methods[-1]], rtol=1e-3)
print("equal")
"""


@pytest.mark.slow
def test_two_devices_give_the_risks_of_one():
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True)
    assert done.stdout == "equal\n", done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"d": 1},
        {"replicates": 0},
        {"s": [-1.0]},
        {"n_l": 2.5},
        {"n_u": 0},
        {"methods": ("magic",)},
        {"methods": ()},
        {"simulation": Simulation(route="moments"), "methods": ("ssl_em",)},
        {"simulation": np.float32},
    ],
)
def test_bad_input_is_refused(change):
    with pytest.raises(InputError):
        mixtures.sweep_mixture(
            KEY, **{"s": 1.0, "n_l": 4, "n_u": 10, "d": 3, "replicates": 2, **change}
        )


@pytest.mark.parametrize(
    ("options", "change"),
    [
        (Simulation, {"route": "far"}),
        (Simulation, {"dtype": np.float16}),
        (Simulation, {"memory_gb": 0.0}),
        (SelfTrainingSchedule, {"fraction": np.nan}),
        (Learners, {"schedule": 3}),
        (Learners, {"weight": 2.0}),
    ],
)
def test_bad_options_are_refused(options, change):
    with pytest.raises(InputError):
        options(**change)
