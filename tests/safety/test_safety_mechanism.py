"""Measurements of a change of weights against closed forms, float64 and differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab import safety as sa
from theorylab.errors import InputError
from theorylab.nets import functional
from theorylab.nets.gpt import GPT

RNG = np.random.default_rng(0)
MODEL = GPT(11, 9, width=16, depth=2, heads=2, rngs=nnx.Rngs(0))
F, SMALL = functional(MODEL)
# weights far from those of the start, where all logits are even
PARAMS = jax.tree.map(lambda a: 6 * a if a.ndim > 1 else a, SMALL)
TOKENS = RNG.integers(0, 11, (5, 9))
START = np.array([4, 5, 6, 7, 8])
EMBEDDED = np.asarray(PARAMS["embedding"]["embedding"])[TOKENS]


@pytest.mark.long
def test_activations_are_those_of_the_blocks_averaged_over_places():
    places = np.array([[0, 3], [1, 1], [2, 8], [4, 5], [7, 0]])
    seen = sa.activations(F, PARAMS, TOKENS, places)
    captured = F(PARAMS, TOKENS, capture=True)[1]
    for layer, block in enumerate(captured):
        want = {**block, "mlp_act": jax.nn.gelu(block["mlp_pre"])}
        for site in sa.SITES:
            by_hand = [np.asarray(want[site])[i, p].mean(0) for i, p in enumerate(places)]
            np.testing.assert_allclose(seen[site][layer], by_hand, rtol=2e-5, atol=1e-6)
    embedded = sa.activations(F, PARAMS, None, places, embeddings=EMBEDDED)
    np.testing.assert_allclose(embedded["resid"], seen["resid"], rtol=1e-5, atol=1e-5)


def test_tau_is_the_difference_of_two_distances():
    a, safe, unsafe = RNG.normal(size=(3, 4, 6)), RNG.normal(size=(3, 6)), RNG.normal(size=(3, 6))
    want = [
        [np.linalg.norm(x - unsafe[i]) - np.linalg.norm(x - safe[i]) for x in rows]
        for i, rows in enumerate(a)
    ]
    np.testing.assert_allclose(sa.tau(a, safe, unsafe), want, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_tau_is_bounded_by_the_distance_of_the_means_and_turns_with_them(seed, size):
    rng = np.random.default_rng(seed)
    a, safe, unsafe = size * rng.normal(size=(7, 4)), rng.normal(size=4), rng.normal(size=4)
    found = np.asarray(sa.tau(a, safe, unsafe))
    assert np.abs(found).max() <= np.linalg.norm(safe - unsafe) * (1 + 1e-5) + 1e-5 * size
    np.testing.assert_allclose(found, -np.asarray(sa.tau(a, unsafe, safe)), atol=1e-4 * size)


def test_separation_is_a_difference_of_means_in_standard_deviations():
    one, other = RNG.normal(2, 1, (3, 400)), RNG.normal(-1, 1, (3, 300))
    found = sa.separation(one, other)
    np.testing.assert_allclose(found.gap, one.mean(1) - other.mean(1))
    pooled = np.sqrt((one.var(1, ddof=1) + other.var(1, ddof=1)) / 2)
    np.testing.assert_allclose(found.standardised, found.gap / pooled)


def orthogonal(n, k):
    return np.linalg.qr(RNG.normal(size=(n, k)))[0]


def test_a_change_inside_or_outside_of_the_column_space_projects_to_0_or_1():
    left = orthogonal(20, 8)
    weight = left[:, :4] @ orthogonal(6, 4).T
    inside = left[:, :4] @ RNG.normal(size=(4, 6))
    outside = left[:, 4:] @ RNG.normal(size=(4, 6))
    found = [sa.null_space_projection(weight, d, energy=0.99, leading=3) for d in (inside, outside)]
    assert [f.rank for f in found] == [4, 4] and found[0].outputs == 20
    np.testing.assert_allclose(found[0].projections, 0, atol=1e-7)
    np.testing.assert_allclose(found[1].projections, 1, atol=1e-7)


def test_the_cut_is_the_smallest_that_holds_more_than_the_energy():
    weight = np.diag([3.0, 2.0, 1.0, 0.5])  # squares 9, 4, 1, .25 of 14.25
    change = RNG.normal(size=(4, 4))
    ranks = [
        sa.null_space_projection(weight, change, energy=e, leading=1).rank
        for e in (0.5, 9 / 14.25 - 1e-9, 9 / 14.25 + 1e-9, 0.95, 1.0)
    ]
    assert ranks == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_of_the_energy_is_held_by_the_rank_of_the_weights(dtype):
    weight = (orthogonal(192, 40) @ orthogonal(48, 40).T).astype(dtype)
    change = RNG.normal(size=(192, 48))
    found = sa.null_space_projection(weight, change, energy=1.0, leading=1)
    assert found.rank == 40  # 48 singular values, eight of which are 0 but for rounding
    nothing = sa.null_space_projection(0 * weight, change, leading=1)
    assert nothing.rank == 1


@pytest.mark.long
def test_random_changes_project_as_random_directions_do():
    weight = RNG.normal(size=(256, 64))
    found = [
        sa.null_space_projection(weight, RNG.normal(size=(256, 64)), energy=0.99) for _ in range(20)
    ]
    mean = np.mean([f.projections for f in found])
    assert mean == pytest.approx(found[0].baseline, abs=0.02)
    assert found[0].random(0.025) < found[0].baseline < found[0].random(0.975)


def test_selectivity_and_profile_are_those_of_the_products():
    change, inputs = RNG.normal(size=(7, 4)), RNG.normal(size=(5, 4))
    np.testing.assert_allclose(
        sa.selectivity(change, inputs), np.linalg.norm(inputs @ change.T, axis=1)
    )
    profile = sa.row_space_profile(change, inputs)
    assert profile.shape == (5, 4)
    sizes = np.linalg.norm(inputs, axis=1)
    np.testing.assert_allclose(np.sqrt((profile**2).sum(1)), sa.selectivity(change, inputs) / sizes)


def test_the_spectrum_of_a_cluster_does_not_see_its_mean():
    points = RNG.normal(size=(30, 5))
    one, other = (sa.spectrum(points + shift, centred=True) for shift in (0.0, 100.0))
    np.testing.assert_allclose(one.values, other.values, rtol=1e-9)
    assert sa.spectrum(points + 100.0).leading_energy > 0.99


@pytest.mark.long
@pytest.mark.parametrize("of", ["logit", "prob"])
def test_local_slopes_agree_with_differences(of):
    slopes = np.asarray(sa.local_lipschitz(F, PARAMS, EMBEDDED, START, of=of))

    @jax.jit
    def output(e):
        logits = F(PARAMS, None, embeddings=e)
        rows = logits[jnp.arange(5), START - 1]
        return (rows if of == "logit" else jax.nn.softmax(rows)).max(1)

    direction = np.asarray(
        jax.grad(lambda e: output(e).sum())(jnp.asarray(EMBEDDED)), dtype=np.float32
    )
    sizes = np.linalg.norm(direction.reshape(5, -1), axis=1)
    unit = direction / sizes[:, None, None]
    moved = (output(EMBEDDED + 1e-2 * unit) - output(EMBEDDED - 1e-2 * unit)) / 2e-2
    np.testing.assert_allclose(slopes, moved, rtol=0.05, atol=1e-4)
    # what stands in the answer does not count
    later = EMBEDDED.copy()
    later[np.arange(9)[None] >= START[:, None]] = 0.0
    again = sa.local_lipschitz(F, PARAMS, later, START, of=of)
    np.testing.assert_allclose(slopes, again, rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_the_line_through_two_networks_goes_through_both():
    end = jax.tree.map(lambda a: a + 1, PARAMS)
    for amount, want in ((0.0, 0.0), (1.0, 1.0), (2.0, 2.0)):
        found = sa.along_change(PARAMS, end, amount)
        moved = jax.tree.map(lambda a, b, w=want: float(np.abs(a - b - w).max()), found, PARAMS)
        assert max(jax.tree.leaves(moved)) < 1e-5
    with pytest.raises(InputError, match="structure"):
        sa.along_change(PARAMS, {"w": 1.0}, 1.0)


@pytest.mark.long
def test_moved_embeddings_stay_in_their_balls_and_make_the_answer_likelier():
    weights = (np.arange(8)[None] >= START[:, None] - 1).astype(float)
    y = sa.next_tokens(TOKENS, weights)[1]
    e, slots = EMBEDDED[:, :-1], np.array([[1, 2]] * 5)
    moved = np.asarray(sa.embedding_fragility(F, PARAMS, e, y, slots, radius=0.5, steps=10))
    shift = np.linalg.norm(moved - e, axis=-1)
    assert shift[:, [1, 2]].max() <= 0.5 + 1e-5 and shift[:, [1, 2]].min() > 0.1
    assert np.delete(shift, [1, 2], 1).max() == 0
    before, after = (sa.sequence_nll(F(PARAMS, None, embeddings=a), y) for a in (e, moved))
    assert (np.asarray(after) < np.asarray(before)).all()
    one = np.asarray(sa.embedding_fragility(F, PARAMS, e, y, slots, radius=0.5, steps=1))
    gradient = jax.grad(lambda a: sa.sequence_nll(F(PARAMS, None, embeddings=a), y).sum())(e)
    unit = np.asarray(gradient)[:, 1] / np.linalg.norm(gradient[:, 1], axis=-1, keepdims=True)
    # a step of twice the radius is cut at the ball
    np.testing.assert_allclose((one - e)[:, 1], -0.5 * unit, rtol=1e-3, atol=1e-5)
