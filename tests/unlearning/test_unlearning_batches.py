import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.unlearning import batches

KEY = jax.random.key(3)


@pytest.mark.long
@pytest.mark.parametrize("kept", [40, 31, 20, 7, 1])
def test_a_stream_shows_kept_samples_alone_and_equally_often(kept):
    mask = jnp.asarray(np.random.default_rng(0).permutation(40) < kept)
    index = np.asarray(batches.stream(mask, 23, 8, KEY))
    counts = np.bincount(index.ravel(), minlength=40)
    assert index.shape == (23, 8) and (counts[~np.asarray(mask)] == 0).all()
    seen = counts[np.asarray(mask)]
    assert seen.max() - seen.min() <= 1


@pytest.mark.long
def test_every_pass_has_its_own_order():
    index = np.asarray(batches.stream(jnp.ones(16, bool), 4, 16, KEY))
    assert all(sorted(row) == list(range(16)) for row in index)
    assert len({tuple(row) for row in index}) == 4


@pytest.mark.parametrize(
    "found, ascent_steps, uphill",
    [
        # one step up, then ceil(37 / 8) = 5 down
        (3, 0, []),
        (3, 1, [0]),
        (3, 6, [0]),
        (3, 7, [0, 6]),
        # two steps up, then ceil(29 / 8) = 4 down: a round that has begun is finished
        (11, 1, [0, 1]),
        (11, 8, [0, 1, 6, 7]),
    ],
)
def test_ascent_passes_alternate_as_in_the_benchmark(found, ascent_steps, uphill):
    forget = jnp.arange(40) < found
    plan = batches.alternating(forget, 14, 8, jnp.asarray(ascent_steps), KEY)
    assert np.flatnonzero(plan.ascend).tolist() == uphill
    for t in range(14):
        seen = np.asarray(plan.index[t])[np.asarray(plan.weight[t]) > 0]
        assert (seen < found).all() if t in uphill else (seen >= found).all()
    for first in uphill[:: -(-found // 8)]:  # each pass up shows every found sample once
        steps = slice(first, first + -(-found // 8))
        seen = np.asarray(plan.index[steps])[np.asarray(plan.weight[steps]) > 0]
        assert sorted(seen.tolist()) == list(range(found))


@pytest.mark.long
def test_in_the_benchmark_itself_a_hundred_ascent_steps_are_two():
    forget = jnp.arange(50_000) < 100
    plan = batches.alternating(forget, 1000, 512, jnp.asarray(100), KEY)
    assert np.flatnonzero(plan.ascend).tolist() == [0, 99]


def test_consecutive_batches_hold_every_kept_sample_once_in_order():
    mask = jnp.asarray([False, True, True, False, True, True, True])
    plan = batches.consecutive(mask, 6, 2)
    assert plan.index.shape == (3, 2)
    seen = np.asarray(plan.index)[np.asarray(plan.weight) > 0]
    np.testing.assert_array_equal(seen, [1, 2, 4, 5, 6])
