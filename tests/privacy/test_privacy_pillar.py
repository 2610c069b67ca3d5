"""PILLAR's directions and margins against NumPy, scikit-learn, geometry and random search."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from theorylab.errors import InputError
from theorylab.privacy import large_margin, pillar, subspace_bounds


def draws(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def test_directions_are_those_of_scikit_learn():
    x = draws(0, 60, 7) @ draws(1, 7, 7) + 3
    scaled = StandardScaler().fit(x)
    reference = PCA(3).fit(scaled.transform(x))
    basis = pillar.public_basis(x, rank=3, centred=True, scaled=True)
    np.testing.assert_allclose(
        np.abs(basis.vectors.T @ reference.components_.T), np.eye(3), atol=1e-9
    )
    np.testing.assert_allclose(basis.eigenvalues[:3], reference.explained_variance_ * 59 / 60)
    new = draws(2, 5, 7)
    ours, theirs = basis.project(new), reference.transform(scaled.transform(new))
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-9)


def test_signs_of_directions_do_not_depend_on_the_order_of_records():
    x = draws(0, 40, 5) * [4, 3, 2, 1, 0.5]
    first, second = (pillar.public_basis(rows, rank=4).vectors for rows in (x, x[::-1]))
    np.testing.assert_allclose(first, second, atol=1e-9)
    assert (first[np.abs(first).argmax(0), range(4)] > 0).all()


@pytest.mark.parametrize("classes", [None, 3])
def test_a_lifted_head_says_what_the_head_says_behind_the_projection(classes):
    x = draws(0, 50, 6) + np.arange(6)
    basis = pillar.public_basis(x, rank=2, centred=True, scaled=True)
    weights = draws(1, 2) if classes is None else draws(1, 2, classes)
    bias = 0.3 if classes is None else draws(2, classes)
    raw, raw_bias = basis.lift(weights, bias)
    np.testing.assert_allclose(x @ raw + raw_bias, basis.project(x) @ weights + bias, atol=1e-9)
    np.testing.assert_allclose(basis.leading(1).project(x)[:, 0], basis.project(x)[:, 0])


def test_no_eigengap_is_refused_in_one_line():
    with pytest.raises(InputError, match="no eigengap") as caught:
        pillar.public_basis(np.eye(4), rank=2)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no eigengap"):
        pillar.public_basis(draws(0, 3, 8), rank=5)  # three records have three directions
    assert pillar.public_basis(np.eye(4), rank=4).eigengap == math.inf


def test_the_subspace_error_is_the_norm_of_the_difference_of_projections():
    for seed in range(5):
        one, two = (np.linalg.qr(draws(seed + k, 6, 2))[0] for k in (0, 50))
        expected = np.linalg.norm(one @ one.T - two @ two.T, 2)
        assert pillar.subspace_error(one, two) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7))
def test_defects_fall_to_zero(seed, d):
    root = draws(seed, d, d)
    defects = pillar.low_rank_defect(draws(seed + 1, d), root @ root.T)
    assert (np.diff(defects) <= 1e-12).all() and defects[-1] == pytest.approx(0, abs=1e-12)
    assert (defects >= 0).all() and (defects < 1).all()


def test_defects_of_a_diagonal_covariance_are_read_off():
    found = pillar.low_rank_defect([1.0, 2.0, 2.0], np.diag([1.0, 3.0, 2.0]))
    np.testing.assert_allclose(found, [1 - 2 / 3, 1 - np.sqrt(8) / 3, 0], atol=1e-12)


def test_margins_by_hand():
    x, y, w = np.array([[2.0, 0.0], [0.0, -1.0]]), np.array([1, -1]), np.array([3.0, 4.0])
    assert pillar.margin(x, y, w) == pytest.approx(0.6)
    axis = np.array([[1.0], [0.0]])
    assert pillar.projected_margin(x, y, w, basis=axis) == 0.0  # the second record is lost
    one = pillar.projected_margin(x[:1], y[:1], w, basis=axis)
    assert one == pytest.approx(1.0)
    turned = np.array([[np.cos(1.0)], [np.sin(1.0)]])
    left = pillar.projected_margin(x, y, w, basis=turned, rescaled=False)
    assert left == pytest.approx(min(np.cos(1.0), np.sin(1.0)))


@settings(max_examples=200, deadline=None)
@given(st.floats(0.02, 1.0), st.floats(0, 1), st.floats(0, 1), st.integers(0, 10_000))
def test_the_sharp_margin_is_never_broken(gamma, defect, error, seed):
    """A classifier, a projection and a record with these numbers, in 5 dimensions."""
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    plane, other = turned[:, :2], turned[:, 2]
    phi = math.acos(1 - defect)
    w = math.cos(phi) * plane[:, 0] + math.sin(phi) * other  # ‖Pw‖ = 1 - defect
    basis = np.linalg.qr(plane + rng.uniform(0, 2) * error * rng.standard_normal((5, 2)))[0]
    off = pillar.subspace_error(plane, basis)
    kept = np.linalg.norm(basis.T @ w)
    if kept < 1e-6:
        return
    record = rng.standard_normal(5)
    record -= (record @ w) * w
    record = gamma * w + math.sqrt(1 - gamma**2) * record / np.linalg.norm(record)
    left = pillar.projected_margin(record[None], [1], w, basis=basis, rescaled=False)
    assert left >= pillar.sharp_margin(gamma, defect, error=off) - 1e-7
    assert left * kept >= pillar.safe_margin(gamma, defect, error=off) - 1e-7


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_where_it_says_something_the_safe_margin_is_below_the_sharp_one(gamma, defect, error):
    safe = pillar.safe_margin(gamma, defect, error=error)
    if safe >= 0:
        assert pillar.sharp_margin(gamma, defect, error=error) >= safe - 1e-12


def test_the_printed_margin_with_a_shift_by_hand():
    assert pillar.printed_margin(0.5, 0.1, shift=0.01, eigengap=0.7) == pytest.approx(
        0.5 * (1 - 0.1 - 0.05 - 0.1)
    )
    with pytest.raises(InputError, match="eigengap"):
        pillar.printed_margin(0.5, 0.1, shift=0.01)


def test_the_counter_example_of_the_paper_s_margin():
    found = large_margin.counter_example()
    moments = (found.records * found.mass[:, None]).T @ found.records
    _, vectors = np.linalg.eigh(moments)
    lead = vectors[:, 1:] * np.sign(vectors[0, 1])
    np.testing.assert_allclose(lead[:, 0], [0.9997, -0.0262], atol=5e-5)
    xi = pillar.low_rank_defect(found.weights, moments)[0]
    assert xi == pytest.approx(0.147, abs=5e-4)
    assert pillar.printed_margin(0.3, xi) == pytest.approx(0.247, abs=5e-4)
    inside = found.records @ lead[:, 0]
    assert inside[2] == pytest.approx(-0.242, abs=1e-3) and inside[0] > 0.99
    for sign in (1, -1):  # every classifier of the one direction
        assert found.mass[np.sign(sign * inside) != found.labels].sum() >= 0.1 - 1e-12


def test_no_counter_example_without_a_large_enough_angle():
    with pytest.raises(InputError, match="angle"):
        large_margin.counter_example(gamma=0.5, angle=0.4)


def test_how_many_public_records_the_proof_asks_for():
    expected = 1600 * (1 + math.sqrt(math.log(2 / 0.1) / 2)) ** 2 / (0.3 * 0.2) ** 2
    assert pillar.unlabelled_sample_size(0.3, eigengap=0.2, failure=0.1) == math.ceil(expected)
    # then lemma 3 says that the error is at most gamma / 10
    n = math.ceil(expected)
    assert subspace_bounds.sampling_bound(n, eigengap=0.2, failure=0.05) <= 0.03 + 1e-9


def test_perturbations_of_a_gap_that_are_small_keep_the_bound():
    rng = np.random.default_rng(0)
    base = np.diag([1.0, 0.6, 0.2, 0.1])
    for size in (0.01, 0.05, 0.09):
        change = rng.standard_normal((4, 4))
        change = size * (change + change.T) / np.linalg.norm(change + change.T, 2)
        _, moved = pillar.spectrum(base + change + 0.2 * np.eye(4))
        error = pillar.subspace_error(np.eye(4)[:, :2], moved[:, :2])
        assert error <= subspace_bounds.perturbation_bound(size, eigengap=0.4)
    assert subspace_bounds.perturbation_bound(0.2, eigengap=0.4) == 1.0


def test_rates_scale_as_the_table_says():
    given = {"d": 100, "rank": 4, "error": 0.1, "epsilon": 0.5, "gamma": 0.2, "zeta": 0.1}
    base = subspace_bounds.private_sample_rates(**given)
    half = subspace_bounds.private_sample_rates(**{**given, "epsilon": 0.25})
    private = [name for name in base if "not private" not in name]
    assert all(half[name] == pytest.approx(2 * base[name]) for name in private)
    wide = subspace_bounds.private_sample_rates(**{**given, "d": 400})
    assert wide["PILLAR"] == base["PILLAR"] and wide["Noisy-SGD"] == 2 * base["Noisy-SGD"]
    with pytest.raises(InputError, match="zeta"):
        subspace_bounds.private_sample_rates(**{**given, "zeta": -0.1})


def test_the_relative_deviation_bound_is_one_for_few_records_and_small_for_many():
    few, many = (
        subspace_bounds.relative_deviation_bound(n, dimension=2, excess=0.1, factor=1.0)
        for n in (10, 5000)
    )
    expected = 4 * (math.e * 5000) ** 2 * math.exp(-0.1 * 5000 / 8)
    assert few == 1.0 and many == pytest.approx(expected)


def test_spiked_records_have_the_margin_that_was_asked_for():
    law = {"d": 30, "spikes": 5, "gamma": 0.2, "decay": 1.0, "tail": 0.1}
    found = large_margin.spiked_margin(jax.random.key(0), 500, **law)
    np.testing.assert_allclose(np.linalg.norm(found.records, axis=1), 1)
    assert pillar.margin(found.records, found.labels, found.weights) >= 0.2 - 1e-12
    assert np.sum(found.weights[:5] ** 2) == pytest.approx(0.9)


def test_the_mixture_s_accuracy_is_that_of_a_large_sample():
    found = large_margin.gaussian_mixture(jax.random.key(0), 40_000, 8, theta=0.5, variance=0.2)
    w = np.array([1.0, 0.5, -0.3, 0, 0, 0, 0, 0.2])
    exact = norm.cdf(1 / np.sqrt(0.5 * 0.25 + 0.2 * (w @ w)))
    assert large_margin.mixture_accuracy(w, theta=0.5, variance=0.2) == pytest.approx(exact)
    share = (np.sign(found.records @ w) == found.labels).mean()
    assert abs(share - exact) < 5 * np.sqrt(exact * (1 - exact) / 40_000)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pillar.public_basis([[1.0, np.nan]], rank=1),
        lambda: pillar.public_basis(np.eye(3), rank=4),
        lambda: pillar.low_rank_defect([0.0, 0.0], np.eye(2)),
        lambda: pillar.low_rank_defect([1.0], np.eye(2)),
        lambda: pillar.spectrum([[1.0, 2.0], [2.0, 1.0]]),
        lambda: pillar.margin(np.eye(2), [1, 2], [1.0, 0.0]),
        lambda: pillar.projected_margin(np.eye(2), [1, -1], [0.0, 1.0], basis=[[1.0], [0.0]]),
        lambda: pillar.subspace_error(2 * np.eye(2), np.eye(2)),
        lambda: pillar.sharp_margin(0.0, 0.1),
        lambda: pillar.safe_margin(0.3, 1.1),
        lambda: pillar.unlabelled_sample_size(0.3, eigengap=0.0, failure=0.1),
        lambda: subspace_bounds.shift_bound(0.1, eigengap=0.0),
        lambda: subspace_bounds.sampling_bound(0, eigengap=0.1, failure=0.1),
        lambda: large_margin.gaussian_mixture(jax.random.key(0), 5, 1, theta=0.1, variance=0.1),
        lambda: large_margin.gaussian_mixture(0, 5, 3, theta=0.1, variance=0.1),
    ],
)
def test_bad_input_is_refused_in_one_line(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
