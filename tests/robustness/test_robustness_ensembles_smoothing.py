import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from theorylab.errors import InputError
from theorylab.robustness.ensembles import (
    ClassBounds,
    average_of_smoothed,
    class_bounds,
    clopper_pearson,
    cohen_radius,
    dense_sorted,
    gram_bound,
    group_sort,
    lipschitz_mlp,
    lipschitz_params,
    network_bound,
    power_iteration,
    relu_gradients,
    relu_set,
    s_certificate,
    sealed,
    smoothed_average,
    smoothed_certificate,
    smoothed_counts,
    smoothing_set,
    spectral_bound,
)

FAST = settings(max_examples=25, deadline=None)


@FAST
@given(n=st.integers(1, 400), share=st.floats(0, 1), confidence=st.floats(0.5, 0.9999))
def test_clopper_pearson_bounds_are_scipys(n, share, confidence):
    k = round(share * n)
    low, high = clopper_pearson(k, n, confidence=confidence)
    found = stats.binomtest(k, n).proportion_ci(confidence, "exact")
    assert float(low) == pytest.approx(found.low, abs=1e-10)
    assert float(high) == pytest.approx(found.high, abs=1e-10)
    one, top = clopper_pearson(k, n, confidence=confidence, side="lower")
    assert float(one) == pytest.approx(
        stats.beta.ppf(1 - confidence, k, n - k + 1) if k else 0, abs=1e-10
    )
    assert top == 1 and low <= one


@pytest.mark.parametrize("labelled", [False, True])
def test_bounds_of_classes_hold_together_and_are_divided_by_all_that_are_used(labelled):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 20_000)
    counts = rng.multinomial(60, p)
    label = p.argmax(1) if labelled else None
    found = class_bounds(counts, confidence=0.9, label=label)
    wrong = ((p < found.lower) | (p > found.upper)).any(1).mean()
    assert wrong <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / len(p))
    used = 4 if labelled else 8
    by_hand = stats.beta.ppf(0.1 / used / 3, counts[0, 1], 61 - counts[0, 1])
    again = class_bounds(counts[0], confidence=0.9, label=1 if labelled else None, members=3)
    assert again.lower[1] == pytest.approx(np.nan_to_num(by_hand), abs=1e-12)
    rivals = np.arange(4) != found.top[0]
    assert (found.upper[0][rivals] <= 1 - found.lower[0][found.top[0]] + 1e-12).all()


def test_cohens_radius_and_its_ends():
    assert cohen_radius(0.5, sigma=1.0) == 0 and cohen_radius(0.3, sigma=1.0) == 0
    assert cohen_radius(1.0, sigma=1.0) == math.inf and cohen_radius(0.0, 1.0, sigma=1.0) == 0
    p = np.float32([0.6, 0.9])
    np.testing.assert_allclose(cohen_radius(p, sigma=0.5), 0.5 * stats.norm.ppf(p.astype(float)))
    Q = s_certificate(
        smoothing_set("gaussian", 0.5, d=4), stats.norm.ppf(0.9) - stats.norm.ppf(0.1)
    )
    assert Q.inradius() == pytest.approx(float(cohen_radius(0.9, sigma=0.5)))


def test_smoothed_half_spaces_are_as_steep_as_the_sets_say_and_no_steeper():
    w, v = np.array([0.6, -0.8, 0.0]), np.array([0.02, 0.01, -0.03])
    sigma = np.diag([0.25, 1.0, 4.0])

    def g(x):
        return stats.norm.cdf((x @ w) / math.sqrt(w @ sigma @ w))  # of the indicator w.x > 0

    S = smoothing_set("anisotropic", sigma)
    rise = stats.norm.ppf(g(0.1 + v)) - stats.norm.ppf(g(0.1 + 0 * v))
    assert rise <= S.support(v) and S.support(w) >= 1
    along = sigma @ w  # the direction in which it is attained
    exact = along @ w / math.sqrt(w @ sigma @ w)
    assert S.support(along) == pytest.approx(exact, rel=1e-12)
    raw = smoothing_set("gaussian", 0.5, raw=True)
    slope = (stats.norm.cdf(1e-5 / 0.5) - 0.5) / 1e-5
    assert (
        slope == pytest.approx(float(raw.support([1.0])), rel=1e-9) == pytest.approx(0.797885, 1e-5)
    )
    cube = smoothing_set("uniform", 0.5)
    assert s_certificate(cube, 0.8).radial([[0.0, 1.0]]) == pytest.approx(0.5 * 0.8)


@pytest.mark.parametrize(
    "kind, scale", [("gaussian", 0.5), ("uniform", 0.5), ("anisotropic", [[0.3, 0.1], [0.1, 0.2]])]
)
def test_counts_come_from_the_noise_law(kind, scale):
    w = np.array([1.0, -0.5], np.float32)

    def f(x):
        return jnp.stack([x @ w, jnp.zeros(len(x))], 1)

    x = np.array([[0.1, 0.0], [0.0, 0.0], [-0.4, 0.2]], np.float32)
    counts = smoothed_counts(
        f, x, key=jax.random.key(0), draws=4001, kind=kind, scale=scale, batch_size=3000
    )
    assert counts.shape == (3, 2) and (counts.sum(1) == 4001).all()
    rng = np.random.default_rng(0)
    if kind == "uniform":
        noise = rng.uniform(-0.5, 0.5, (400_000, 2))
    else:
        noise = rng.multivariate_normal(
            [0, 0], 0.25 * np.eye(2) if kind == "gaussian" else scale, 400_000
        )
    p = ((x[:, None] + noise) @ w > 0).mean(1)
    np.testing.assert_allclose(counts[:, 0] / 4001, p, atol=4 * 0.5 / math.sqrt(4001))


def exact(p):
    p = np.asarray(p)
    return ClassBounds(p.argmax(-1), p, p)


def test_two_ensembles_of_smoothed_members_are_what_they_say():
    p = np.array([[[0.9, 0.06, 0.04]], [[0.6, 0.3, 0.1]], [[0.2, 0.7, 0.1]]])
    weights = [0.5, 0.5, 0.0]
    top, radius = average_of_smoothed(exact(p), 0.5, weights)
    assert top == 0 and radius == pytest.approx(float(cohen_radius(0.75, 0.18, sigma=0.5)))
    top, radius = smoothed_average(exact(p), [0.5, 1.0, 9.0], weights)
    z = stats.norm.ppf(p[:2, 0]).mean(0)
    assert top == 0 and radius == pytest.approx((z[0] - z[1:].max()) / (2 * np.mean([2.0, 1.0])))
    sets = [smoothing_set("gaussian", s, d=5) for s in (0.5, 1.0, 9.0)]
    label, Q = smoothed_certificate(exact(p[:, 0]), sets, weights)
    assert label == 0 and Q.inradius() == pytest.approx(float(radius[0]))
    same = smoothed_average(exact(p), [0.5] * 3, weights)[1]
    assert same >= average_of_smoothed(exact(p), 0.5, weights)[1]  # all p_A above 1/2
    nothing = class_bounds([[[0, 5, 5]], [[5, 0, 5]]], confidence=0.99, members=2)
    assert smoothed_average(nothing, [1.0, 1.0])[1] == 0
    assert average_of_smoothed(nothing, 1.0)[1] == 0


@pytest.mark.parametrize("method", ["svd", "gram"])
def test_bounds_of_norms_are_above_the_norm_and_close(method):
    rng = np.random.default_rng(0)
    for m, n in ((1, 1), (3, 7), (40, 20), (64, 64)):
        q, p = (np.linalg.qr(rng.normal(size=(s, min(m, n))))[0] for s in (m, n))
        values = np.linspace(1, 0.5, min(m, n)) * 10.0 ** rng.integers(-6, 7)
        bound = spectral_bound((q * values) @ p.T, method=method)
        assert values[0] * (1 - 1e-14) <= bound <= values[0] * (1 + 1e-3)
        rounded = np.float32((q * values) @ p.T)
        exact = np.linalg.svd(rounded.astype(float), compute_uv=False)[0]
        assert spectral_bound(rounded, method=method) >= exact * (1 - 1e-15)
    assert spectral_bound(np.zeros((2, 3)), method=method) == 0
    integers = np.array([[3, 4], [0, 0]])
    assert 5 <= spectral_bound(integers, method=method) <= 5 * (1 + 1e-9)


def test_power_iteration_is_below_and_the_gram_bound_in_training_above():
    w = np.random.default_rng(0).normal(size=(30, 20))
    norm = np.linalg.norm(w, 2)
    assert power_iteration(w, key=jax.random.key(0), steps=3) < norm * (1 - 1e-6)
    assert power_iteration(w, key=jax.random.key(0), steps=3000) == pytest.approx(norm, rel=1e-9)
    assert norm * (1 - 1e-5) <= float(gram_bound(jnp.asarray(w, jnp.float32))) <= norm * 1.05


def test_group_sort_sorts_groups_and_moves_no_two_points_apart():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, 12)).astype(np.float32)
    for size in (2, 3, 4):
        found = np.asarray(group_sort(x, size))
        np.testing.assert_array_equal(found, np.sort(x.reshape(50, -1, size), -1).reshape(50, 12))
        apart = np.linalg.norm(found - np.asarray(group_sort(y, size)), axis=1)
        assert (apart <= np.linalg.norm(x - y, axis=1) * (1 + 1e-6)).all()


def test_a_sealed_network_is_the_trained_one_and_never_moves_more_than_its_bound():
    params = lipschitz_params(jax.random.key(0), [6, 8, 8, 3])
    params = jax.tree.map(lambda a: a + 0.3, params)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 400, 6))
    layers = sealed(params)
    np.testing.assert_allclose(
        dense_sorted(layers, x), lipschitz_mlp(params, jnp.asarray(x, jnp.float32)), atol=1e-5
    )
    bound = network_bound(layers)
    assert 0.5 < bound <= 1 + 1e-5 and network_bound(layers, method="gram") >= bound * (1 - 1e-12)
    moved = np.linalg.norm(dense_sorted(layers, x) - dense_sorted(layers, y), axis=1)
    assert (moved <= bound * np.linalg.norm(x - y, axis=1)).all()


def test_the_set_of_a_relu_network_holds_its_gradients_and_its_rises():
    rng = np.random.default_rng(0)
    layers = [
        {"w": rng.normal(size=(3, 5)), "b": rng.normal(size=5)},
        {"w": rng.normal(size=(5, 2))},
    ]
    x, y = 2 * rng.normal(size=(2, 3000, 3))

    def h(z):
        return (np.maximum(z @ layers[0]["w"] + layers[0]["b"], 0) @ layers[1]["w"])[:, 1]

    outer, inner = relu_set(layers, 1), relu_gradients(layers, x, 1)
    v = rng.normal(size=(40, 3))
    assert (h(y) - h(x) <= outer.support(y - x) + 1e-12).all()
    assert (inner.support(v) <= outer.support(v) + 1e-12).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: smoothing_set("gaussian", 0.0), "scale = 0"),
        (lambda: smoothing_set("anisotropic", [[1.0, 0.0], [0.0, -1.0]]), "positive definite"),
        (lambda: smoothing_set("laplace", 1.0), "gaussian, anisotropic, uniform"),
        (lambda: cohen_radius(0.9, sigma=-1.0), "sigma = -1"),
        (lambda: cohen_radius(1.2, sigma=1.0), "p_top = 1.2"),
        (lambda: clopper_pearson(3, 2, confidence=0.9), "3 of 2 trials"),
        (lambda: clopper_pearson(1, 2, confidence=1.0), "confidence = 1"),
        (lambda: class_bounds([1, 2], confidence=0.0), "confidence = 0"),
        (lambda: class_bounds([0, 0], confidence=0.9), "without draws"),
        (lambda: class_bounds([1, 2], confidence=0.9, label=2), "label = 2"),
        (lambda: smoothed_average(exact([[0.9, 0.1]]), [0.0]), "sigmas holds 0"),
        (lambda: average_of_smoothed(exact([0.9, 0.1]), 1.0), r"\(N, ..., K\)"),
        (
            lambda: smoothed_counts(
                lambda x: x, [[0.1, 0.2]], key=jax.random.key(0), draws=9, scale=0
            ),
            "scale = 0",
        ),
        (lambda: spectral_bound([[math.inf]]), "w holds inf"),
        (lambda: group_sort(jnp.ones(3)), "groups of 2"),
        (lambda: relu_set([{"w": [[1.0]]}]), "1 given"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, said):
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)
