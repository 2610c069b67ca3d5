import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.shift import (
    NewtonOptions,
    NuisanceModel,
    draw_training_set,
    fit_logistic_path,
    margin_model_error,
    memorisation_bound,
    sweep_nuisance,
)

MODEL = NuisanceModel(d_s=4, k=5000, shortcut=1.5)


def keys(count):
    return jax.vmap(jax.random.key)(np.arange(count))


@pytest.fixture(scope="module")
def found():
    return sweep_nuisance(
        MODEL, keys=keys(2), ns=[24, 20], etas=[0.0, 0.3], lams=[1e-4, 0.1], smallest_pad=24
    )


@pytest.mark.long
def test_every_entry_is_one_training_set_fitted_by_hand(found):
    n, eta, lam, seed = 24, 0.3, 1e-4, 1
    sample = draw_training_set(jax.random.fold_in(jax.random.key(seed), n), MODEL, n, eta)
    w = fit_logistic_path(sample.x, sample.noisy, [lam], tol=1e-10).coef[0]
    at = (seed, 0, 1, 0)
    assert found.along[at] == pytest.approx(w[0], rel=1e-4)
    assert found.across[at] == pytest.approx(np.linalg.norm(w[1:4]), rel=1e-4)
    assert found.spurious[at] == pytest.approx(1.5 * w[4], rel=1e-4)
    assert found.norm_w_n[at] == pytest.approx(np.linalg.norm(w[5:]), rel=1e-4)
    bound = memorisation_bound(w, sample.x_s, sample.nuisance, sample.y, sample.noisy, energy=25.0)
    assert found.memorised[at] == pytest.approx(bound.bound, rel=1e-3)
    assert found.approximation[at] == pytest.approx(bound.approximation, rel=1e-3)
    assert found.norm_w_n[at] / found.min_margin[at] == pytest.approx(bound.norm_w_n, rel=1e-3)


def test_errors_mix_the_shortcuts_two_ways(found):
    at = (0, 0, 1, 0)
    w_s, d = [found.along[at], found.across[at]], [1.0, 0.0]
    right, wrong = (
        margin_model_error(
            w_s,
            found.norm_w_n[at],
            direction=d,
            gap=0.25,
            scale=MODEL.sigma,
            offset=s * found.spurious[at],
        )
        for s in (1, -1)
    )
    assert found.id_error()[at] == pytest.approx(0.95 * right + 0.05 * wrong)
    assert found.ood_error(0.0)[at] == pytest.approx(0.05 * right + 0.95 * wrong)
    assert (
        found.id_error().shape == (2, 2, 2, 2) and (found.ood_error(5.0) > found.ood_error(0.0))[at]
    )


def test_padding_does_not_show_and_small_penalties_interpolate(found):
    alone = sweep_nuisance(MODEL, keys=keys(1), ns=[20], etas=[0.3], lams=[1e-4], smallest_pad=24)
    np.testing.assert_allclose(alone.norm_w_n[0, 0, 0, 0], found.norm_w_n[0, 1, 1, 0], rtol=1e-5)
    assert (found.train_error[..., 0] == 0).all() and (found.min_margin[..., 0] > 0).all()
    assert (found.gradient_norm <= found.tol).all()
    assert (found.memorised[:, :, 0, 0] == 0).all()  # clean labels demand nothing


@pytest.mark.slow  # compiles both programs again
def test_batches_of_seeds_change_nothing(found):
    batched = sweep_nuisance(
        MODEL,
        keys=keys(2),
        ns=[24, 20],
        etas=[0.0, 0.3],
        lams=[1e-4, 0.1],
        smallest_pad=24,
        batch_size=2,
    )
    np.testing.assert_allclose(batched.norm_w_n, found.norm_w_n, rtol=1e-6)
    np.testing.assert_allclose(batched.sensitivity, found.sensitivity, rtol=1e-6)


@pytest.mark.slow
def test_single_precision_gives_the_same_errors_to_one_percent(found):
    single = sweep_nuisance(
        MODEL,
        keys=keys(2),
        ns=[24],
        etas=[0.0, 0.3],
        lams=[1e-4, 0.1],
        smallest_pad=24,
        solver=NewtonOptions(tol=1e-6, precision="float32"),
    )
    np.testing.assert_allclose(single.id_error()[:, 0], found.id_error()[:, 0], rtol=0.01)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ns": []}, "ns has shape"),
        ({"ns": [0]}, "ns = "),
        ({"etas": [2.0]}, "etas holds 2"),
        ({"lams": [0.0]}, "lams holds 0"),
        ({"keys": np.arange(2)}, "keys"),
        ({"solver": 1e-7}, "solver"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_input_is_refused_by_name(changes, said):
    with pytest.raises(InputError, match=said):
        sweep_nuisance(
            MODEL, **({"keys": keys(1), "ns": [5], "etas": [0.1], "lams": [0.1]} | changes)
        )


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"precision": "half"}, "precision"), ({"tol": np.nan}, "tol"), ({"max_steps": 0}, "max_st")],
)
def test_bad_options_are_refused_by_name(changes, said):
    with pytest.raises(InputError, match=said):
        NewtonOptions(**changes)
