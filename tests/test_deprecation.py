"""Old names go on working for one release, with a warning, and give what the new ones give."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from theorylab import collective, federated, matching, mixtures, rmt, shift
from theorylab.errors import InputError

KEY = jax.random.key(0)
X, Y = np.array([[0.0], [1.0], [2.0], [4.0]]), np.array([-1.0, -1.0, 1.0, 1.0])
W = np.array([[3.0, 2.0], [1.0, 2.0]])
MARKET = matching.Market(W / 6, W / 6)
MODEL = matching.unstructured((2, 2), horizon=20, width=0.5)
OUTCOME = matching.Outcome(np.array([0, 1]), np.zeros(2), np.zeros(2))
EYE = np.eye(2)
LABELS = np.arange(40) % 4
TERMS = federated.least_squares_terms([X, X[:2]], [Y[:, None], Y[:2, None]])
RECIPE = shift.FineTuning(steps=3, lr=0.1, batch_size=2)


def linear(w, x):
    return x @ w


TUNING = (linear, np.zeros((1, 2), np.float32), X.astype(np.float32), np.array([0, 0, 1, 1]))
IMAGES = np.ones((3, 4, 4))
SWEPT = (shift.NuisanceModel(d_s=1, k=20),)
NOISE_AXES = {"keys": KEY[None], "ns": [4], "etas": [0.1], "lams": [0.1]}
GRID = {**NOISE_AXES, "smallest_pad": 4}
REAL_SIGNAL = shift.Signal(X, Y, X, Y)
NORMS = (linear, np.eye(1, 2), np.eye(1, 2), (TUNING[2], TUNING[3]), TUNING[2][None], RECIPE)
MIXED, DRAWN = (KEY, 1.0, 4, 9), {"d": 3, "replicates": 2}
SGD = optax.sgd(0.5)
POINTS = X.astype(np.float32), np.array([0, 0, 1, 1])
START = jnp.zeros((1, 2))
SIGNAL = collective.coordinate_trigger(0, 1.0)
CLIENTS = federated.pad_clients(*POINTS, [[0, 2], [1, 3]])
FEDAVG = federated.fedavg(lr=0.1, steps=1)
BLOCKS = [X, X[:2]], [Y[:, None], Y[:2, None]]
STEPS = {"eta": 0.01, "local_steps": 2, "rounds": 3}


def zeros(key):
    return START


def sample(key):
    return collective.Sample(*POINTS, *POINTS)


SETTING = collective.Setting(linear, zeros, sample, SIGNAL, 1)
AXES = {"alphas": [0.5], "keys": jax.random.split(KEY, 1)}


def convex_problem():
    return federated.convexify((linear, START), CLIENTS, key=KEY)


def predicted(**options):
    run = federated.tct(linear, CLIENTS, params=START, key=KEY, progress=False, **options)
    return run.predict(POINTS[0])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            lambda: federated.dirichlet_partition(LABELS, 2, 5.0, KEY, min_size=1),
            lambda: federated.dirichlet_partition(LABELS, 2, 5.0, key=KEY, min_size=1),
        ),
        (
            lambda: federated.label_partition(LABELS, 4, 2, KEY),
            lambda: federated.label_partition(LABELS, 4, 2, key=KEY),
        ),
        (
            lambda: federated.iid_partition(LABELS, 2, KEY),
            lambda: federated.iid_partition(LABELS, 2, key=KEY),
        ),
        (
            lambda: federated.local_operators(TERMS.H, 0.01, 3),
            lambda: federated.local_operators(TERMS.H, eta=0.01, local_steps=3),
        ),
        (
            lambda: mixtures.fit_logistic(X, Y, iterations=50)[:2],
            lambda: mixtures.fit_logistic(X, Y, max_steps=50)[:2],
        ),
        (
            lambda: mixtures.fit_mixture(X, iterations=400, tolerance=1e-3)[:4],
            lambda: mixtures.fit_mixture(X, max_steps=400, tol=1e-3)[:4],
        ),
        (lambda: mixtures.fit_mixture(X).iterations, lambda: mixtures.fit_mixture(X).steps),
        (
            lambda: mixtures.ssl_em(X, Y, X, np.ones(1), tolerance=1e-3),
            lambda: mixtures.ssl_em(X, Y, X, np.ones(1), tol=1e-3),
        ),
        (
            lambda: mixtures.Linear(np.ones(1), np.zeros(())).score(X),
            lambda: mixtures.LinearRule(np.ones(1), np.zeros(())).score(X),
        ),
        (
            lambda: shift.fit_logistic(X, Y, [0.1]).coef,
            lambda: shift.fit_logistic_path(X, Y, [0.1]).coef,
        ),
        (
            lambda: shift.fit_logistic_path(X, Y, [0.1]).iterations,
            lambda: shift.fit_logistic_path(X, Y, [0.1]).steps,
        ),
        (
            lambda: shift.shift_bound(3.0, [1.0, 2.0], 0.5, 2.0),
            lambda: shift.shift_bound([1.0, 2.0], 2.0, 0.5, kappa=3.0),
        ),
        (
            lambda: shift.nuisance_error([1.0], norm_n=2.0, scale=0.5),
            lambda: shift.nuisance_error([1.0], norm_w_n=2.0, scale=0.5),
        ),
        (
            lambda: shift.colour_images(IMAGES, [0, 1, 0], KEY, agree=0.5),
            lambda: shift.colour_images(IMAGES, [0, 1, 0], key=KEY, agree=0.5),
        ),
        (
            lambda: shift.colour_noise(IMAGES[..., None], KEY, scale=0.1),
            lambda: shift.colour_noise(IMAGES[..., None], key=KEY, scale=0.1),
        ),
        (
            lambda: shift.finetune(*TUNING, KEY, RECIPE),
            lambda: shift.finetune(*TUNING, RECIPE, key=KEY),
        ),
        (
            lambda: shift.finetune(*TUNING, KEY, recipe=RECIPE),
            lambda: shift.finetune(*TUNING, RECIPE, key=KEY),
        ),
        (
            lambda: shift.PseudoTraining(linear, RECIPE)(*TUNING[1:], KEY),
            lambda: shift.PseudoTraining(linear, RECIPE)(*TUNING[1:], key=KEY),
        ),
        (
            lambda: shift.sweep_nuisance(*SWEPT, **GRID, tol=1e-5, max_steps=9).norm_w_n,
            lambda: (
                shift.sweep_nuisance(
                    *SWEPT, **GRID, solver=shift.NewtonOptions(tol=1e-5, max_steps=9)
                ).norm_w_n
            ),
        ),
        (
            lambda: shift.sweep_signal(REAL_SIGNAL, *SWEPT, **NOISE_AXES, tol=1e-5).w_s,
            lambda: (
                shift.sweep_signal(
                    REAL_SIGNAL, *SWEPT, **NOISE_AXES, solver=shift.NewtonOptions(tol=1e-5)
                ).w_s
            ),
        ),
        (
            lambda: shift.projection_norms(*NORMS, key=KEY, use_base_model=True).values,
            lambda: shift.projection_norms(*NORMS, key=KEY, target="theta_hat").values,
        ),
        (
            lambda: mixtures.self_training(X, Y, X, rounds=2, fraction=0.5)[:2],
            lambda: mixtures.self_training(X, Y, X, schedule=mixtures.SelfTrainingSchedule(2, 0.5))[
                :2
            ],
        ),
        (
            lambda: mixtures.sweep_mixture(*MIXED, **DRAWN, weight=0.3, tolerance=1e-4).mean("sl"),
            lambda: mixtures.sweep_mixture(
                *MIXED, **DRAWN, methods=mixtures.Learners(weight=0.3, tol=1e-4)
            ).mean("sl"),
        ),
        (
            lambda: mixtures.sweep_mixture(
                *MIXED, **DRAWN, methods=("ssl_weighted",), rounds=3, weight=0.3, chunk=1
            ).mean("ssl_weighted"),
            lambda: mixtures.sweep_mixture(
                *MIXED,
                **DRAWN,
                methods=mixtures.Learners(
                    ("ssl_weighted",), weight=0.3, schedule=mixtures.SelfTrainingSchedule(3)
                ),
                simulation=mixtures.Simulation(chunk=1),
            ).mean("ssl_weighted"),
        ),
        (
            lambda: matching.match_ucb(MODEL, (2, 2)).shape,
            lambda: matching.match_ucb(MODEL).shape,
        ),
        (
            lambda: matching.match_ntu_ucb(MODEL, (2, 2)).shape,
            lambda: matching.match_ntu_ucb(MODEL).shape,
        ),
        (
            lambda: matching.linear(EYE, EYE, horizon=9, noise_std=0.1, ridge=2.0).ridge,
            lambda: matching.linear(EYE, EYE, horizon=9, noise_std=0.1, l2=2.0).l2,
        ),
        (
            lambda: matching.Linear(EYE, EYE, 0.1, -1.0, ridge=2.0).l2,
            lambda: matching.Linear(EYE, EYE, 0.1, -1.0, l2=2.0).l2,
        ),
        (
            lambda: matching.auction_assignment(W, tolerance=1e-3).gap,
            lambda: matching.auction_assignment(W, tol=1e-3).gap,
        ),
        (
            lambda: matching.is_stable(MARKET, OUTCOME, tolerance=1e-6),
            lambda: matching.is_stable(MARKET, OUTCOME, tol=1e-6),
        ),
        (
            lambda: rmt.SilversteinLaw([1.0, 8.0], weights=[7.0, 3.0], gamma=0.4).cdf(3.0),
            lambda: rmt.SilversteinLaw([1.0, 8.0], proportions=[7.0, 3.0], gamma=0.4).cdf(3.0),
        ),
        (
            lambda: rmt.DiscreteLaw([1.0, 8.0], [7.0, 3.0]).weights,
            lambda: rmt.DiscreteLaw([1.0, 8.0], [7.0, 3.0]).proportions,
        ),
        (
            lambda: collective.effective_size_from_weights([1.0, 3.0], is_collective=[True, False]),
            lambda: collective.effective_size_from_weights([1.0, 3.0], members=[True, False]),
        ),
        (
            lambda: collective.fit(
                linear, START, *POINTS, key=KEY, optimizer=SGD, steps=2, rule=None
            ),
            lambda: collective.fit(
                linear, START, *POINTS, collective.Training(SGD, steps=2), key=KEY
            ),
        ),
        (
            lambda: (
                collective.success_curve(
                    linear, zeros, sample, signal=SIGNAL, y_star=1, optimizer=SGD, steps=2, **AXES
                ).success
            ),
            lambda: (
                collective.success_curve(SETTING, collective.Training(SGD, steps=2), **AXES).success
            ),
        ),
        (
            lambda: collective.selected_success(
                linear,
                zeros,
                sample=sample,
                criterion=jnp.mean,
                signal=SIGNAL,
                y_star=1,
                optimizer=SGD,
                steps=2,
                **AXES,
            ),
            lambda: collective.selected_success(
                SETTING, collective.Training(SGD, steps=2, every=1), criterion=jnp.mean, **AXES
            ),
        ),
        (
            lambda: (
                matching.simulate(
                    KEY, MARKET, matching.match_ucb(MODEL), 4, noise_std=0.1, chunk=2, batch=1
                ).instability
            ),
            lambda: (
                matching.simulate(
                    KEY,
                    MARKET,
                    matching.match_ucb(MODEL),
                    4,
                    noise_std=0.1,
                    execution=matching.Execution(chunk=2, runs_at_once=1),
                ).instability
            ),
        ),
        (
            lambda: (
                federated.scaffold_least_squares(
                    *BLOCKS, keep_trajectory=True, Phi_eval=X, **STEPS
                ).predictions
            ),
            lambda: (
                federated.scaffold_least_squares(
                    *BLOCKS, keep=federated.EachRound(X, trajectory=True), **STEPS
                ).predictions
            ),
        ),
        (
            lambda: (
                federated.convexify(
                    (linear, START), CLIENTS, key=KEY, head="per_class", standardize=False
                ).features
            ),
            lambda: (
                federated.convexify(
                    (linear, START),
                    CLIENTS,
                    federated.FeatureOptions("per_class", standardize=False),
                    key=KEY,
                ).features
            ),
        ),
        (
            lambda: federated.solve_convex(convex_problem(), rounds=2, local_steps=3).theta,
            lambda: (
                federated.solve_convex(
                    convex_problem(), federated.Stage2(rounds=2, local_steps=3)
                ).theta
            ),
        ),
        (
            lambda: predicted(
                algorithm=FEDAVG, rounds1=1, rounds2=2, local_steps=3, feature_batch_size=4
            ),
            lambda: predicted(
                stage1=federated.Stage1(FEDAVG, rounds=1),
                features=federated.FeatureOptions(batch_size=4),
                stage2=federated.Stage2(rounds=2, local_steps=3),
            ),
        ),
    ],
)
def test_the_old_form_warns_and_gives_the_same(old, new, recwarn):
    expected = new()
    assert not [w for w in recwarn if w.category is DeprecationWarning]
    with pytest.warns(DeprecationWarning, match=r"goes in 0\.3") as told:
        found = old()
    assert told[0].filename == __file__  # the user's line
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize(
    ("package", "old", "new"),
    [
        (mixtures, "Linear", "LinearRule"),
        (mixtures, "Sweep", "MixtureSweep"),
        (mixtures, "sweep", "sweep_mixture"),
        (shift, "Sweep", "NuisanceSweep"),
        (shift, "sweep", "sweep_nuisance"),
        (shift, "fit_logistic", "fit_logistic_path"),
    ],
)
def test_an_old_name_is_the_thing_itself(package, old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} is {new} now"):
        assert getattr(package, old) is getattr(package, new)
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


def test_a_shape_that_is_not_the_models_is_still_refused():
    with (
        pytest.warns(DeprecationWarning, match="shape is not needed"),
        pytest.raises(InputError, match=r"shape \(2, 2\), not \(2, 3\)"),
    ):
        matching.match_ucb(MODEL, (2, 3))


def test_a_field_is_not_given_both_ways():
    with pytest.raises(TypeError, match="schedule= holds rounds; both are given"):
        mixtures.self_training(X, Y, X, rounds=2, schedule=mixtures.SelfTrainingSchedule(2))
