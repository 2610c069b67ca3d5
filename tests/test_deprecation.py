"""Old names go on working for one release, with a warning, and give what the new ones give."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest

from theorylab import collective, federated, matching, mixtures, rmt, shift
from theorylab.deprecation import old_arguments, old_field, old_name
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


@old_arguments("a key b", tolerance="tol")
def new_form(a, b=0, *, key=None, tol=1.0):
    return a, b, key, tol


def test_old_arguments_of_every_kind():
    assert new_form(1, 2, key=3, tol=4.0) == (1, 2, 3, 4.0)  # no warning: an error in this suite
    with pytest.warns(DeprecationWarning, match="give key by name"):
        assert new_form(1, 3, 2) == (1, 2, 3, 1.0)
    with pytest.warns(DeprecationWarning, match="tolerance= is tol="):
        assert new_form(1, key=3, tolerance=4.0) == (1, 0, 3, 4.0)
    with pytest.raises(TypeError, match="both are given"):
        new_form(1, tolerance=1.0, tol=2.0)
    with (
        pytest.warns(DeprecationWarning),
        pytest.raises(TypeError, match="multiple values for b"),
    ):
        new_form(1, 3, 2, b=4)


@dataclass
class Record:
    new: int
    old = old_field("old", "new")


def test_an_old_field_is_read_and_is_no_field():
    with pytest.warns(DeprecationWarning, match=r"Record: \.old is \.new now"):
        assert Record(3).old == 3
    assert repr(Record(3)) == "Record(new=3)"


def test_a_name_that_never_was():
    with pytest.raises(AttributeError, match="no attribute 'x'"):
        old_name("theorylab.shift", "x", {})
