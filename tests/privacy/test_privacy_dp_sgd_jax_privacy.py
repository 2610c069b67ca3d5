"""The noise that a budget asks for and the clipped sum, against jax-privacy's own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax_privacy import accounting, clipped_grad

from theorylab.privacy import dp_sgd

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(12, 5)) * np.geomspace(0.01, 100, 12)[:, None], jnp.float32)
Y = jnp.asarray(RNG.integers(0, 3, 12))
PARAMS = dp_sgd.LinearHead("softmax").start(5, 3)
ACCOUNTANTS = {"pld": accounting.PldAccountantConfig, "rdp": accounting.RdpAccountantConfig}


@pytest.mark.long
@pytest.mark.parametrize("accountant", ["pld", "rdp"])
@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(0.5, 0.02, 300), (4.0, 0.1, 50)])
def test_calibrated_noise_is_the_same(accountant, epsilon, rate, steps):
    ours = dp_sgd.noise_multiplier(
        epsilon, delta=1e-5, sampling_rate=rate, steps=steps, accountant=accountant
    )
    theirs = accounting.calibrate_noise_multiplier(
        target_epsilon=epsilon,
        accountant=accounting.DpsgdTrainingAccountant(ACCOUNTANTS[accountant]()),
        batch_sizes=round(1000 * rate),
        num_updates=steps,
        num_samples=1000,
        target_delta=1e-5,
        tol=1e-4,
    )
    assert ours == pytest.approx(theirs, rel=2e-3)


def loss(params, x, y):
    logits = x @ params["weights"] + params["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


@pytest.mark.long
@pytest.mark.parametrize("clip", [0.1, 1.0, 1e4])
def test_the_clipped_sum_is_the_same(clip):
    theirs = clipped_grad(loss, l2_clip_norm=clip, batch_argnums=(1, 2), keep_batch_dim=False)(
        PARAMS, X, Y
    )
    for head in (dp_sgd.LinearHead("softmax"), dp_sgd.PerExample(loss)):
        ours = head.sums(PARAMS, None, X, Y, jnp.ones(len(X)), clip)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours, theirs
        )


@given(row=st.integers(0, 11), clip=st.floats(0.01, 10.0))
def test_the_sum_moves_by_no_more_than_their_sensitivity(row, clip):
    bound = clipped_grad(loss, l2_clip_norm=clip).sensitivity()
    head, all_in = dp_sgd.LinearHead("softmax"), jnp.ones(len(X))
    one, other = (
        head.sums(PARAMS, None, X, Y, member, clip) for member in (all_in, all_in.at[row].set(0.0))
    )
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, one, other))
    assert moved <= bound * (1 + 1e-3)
