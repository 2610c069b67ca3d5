"""Losses against NumPy by hand, their identity at the reference, and the tilted policy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

from theorylab.nets import fit, functional
from theorylab.nets.gpt import GPT
from theorylab.safety import (
    PairTargets,
    Targets,
    ascend_policy,
    dpo_loss,
    layout,
    loss_weights,
    mini_world,
    next_tokens,
    pair,
    paired,
    sample_prompts,
    sequence_nll,
    sft_loss,
    tilted_policy,
    unlearning_loss,
    with_reference,
)

RNG = np.random.default_rng(0)
LOGITS, TOKENS = RNG.normal(size=(4, 2, 6, 5)).astype(np.float32), RNG.integers(0, 5, (4, 2, 6))
WEIGHTS = RNG.integers(0, 2, (4, 2, 6)).astype(np.float32)
REFERENCE = RNG.normal(size=(4, 2)).astype(np.float32)


def nll():
    """Sequence losses of the example, in float64."""
    logits = LOGITS.astype(float)
    chosen = np.take_along_axis(logits, TOKENS[..., None], -1)[..., 0]
    return ((np.log(np.exp(logits).sum(-1)) - chosen) * WEIGHTS).sum(-1) / 6


@pytest.mark.long
def test_sequence_losses_are_divided_by_the_number_of_positions():
    np.testing.assert_allclose(
        sequence_nll(LOGITS, PairTargets(TOKENS, WEIGHTS, REFERENCE)), nll(), rtol=1e-5
    )


@pytest.mark.long
def test_the_batch_mean_of_supervised_fine_tuning_is_the_mean_over_its_tokens():
    value = sft_loss(LOGITS[:, 0], Targets(TOKENS[:, 0], WEIGHTS[:, 0])).mean()
    assert float(value) == pytest.approx(nll()[:, 0].sum() * 6 / WEIGHTS[:, 0].sum(), rel=1e-5)


def test_losses_of_pairs_are_those_of_their_formulas():
    targets = PairTargets(TOKENS, WEIGHTS, REFERENCE)
    won, lost = nll().T
    np.testing.assert_allclose(unlearning_loss()(LOGITS, targets), won - 0.1 * lost, rtol=1e-5)
    odds = 0.1 * (REFERENCE[:, 0] - won) - 0.01 * (REFERENCE[:, 1] - lost)
    np.testing.assert_allclose(dpo_loss()(LOGITS, targets), np.log1p(np.exp(-odds)), rtol=1e-5)


WORLD = mini_world(jax.random.key(0))
PROMPTS = sample_prompts(jax.random.key(1), WORLD, 24, purpose="unsafe")
MODEL = GPT(37, 27, width=16, depth=1, heads=2, rngs=nnx.Rngs(0))


def unsafe_pairs():
    """The paired network, and refusals preferred to executed answers of unsafe prompts."""
    f, params = functional(MODEL)
    done, refused = layout(WORLD, PROMPTS), layout(WORLD, PROMPTS, refuse=True)
    x, y = pair(refused.tokens, done.tokens, loss_weights())
    g = paired(f)
    return g, params, x, with_reference(y, g, params, x)


@pytest.mark.long
def test_at_the_reference_the_gradient_of_dpo_is_a_twentieth_of_that_of_unlearning():
    g, params, x, y = unsafe_pairs()
    gradients = [
        ravel_pytree(jax.jit(jax.grad(lambda p, loss=loss: loss(g(p, x), y).mean()))(params))[0]
        for loss in (dpo_loss(), unlearning_loss())
    ]
    one, other = (np.asarray(v, np.float64) for v in gradients)
    ratio = np.linalg.norm(one) / np.linalg.norm(other)
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert cosine == pytest.approx(1, abs=1e-5) and ratio == pytest.approx(0.05, abs=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("loss", [dpo_loss(), unlearning_loss()])
def test_fitting_pairs_makes_the_refusal_likelier_and_execution_less_likely(loss):
    g, params, x, y = unsafe_pairs()
    run = fit(
        g,
        (x, y),
        params=params,
        key=jax.random.key(2),
        optimizer=optax.adam(3e-3),
        batch_size=12,
        steps=10,
        loss=loss,
        progress=False,
    )
    before, after = y.reference, sequence_nll(g(run.params, x), y)
    assert float((after - before)[:, 0].max()) < 0 and float((after - before)[:, 1].mean()) > 0


@pytest.mark.long
def test_fitting_sequences_lowers_the_supervised_loss():
    f, params = functional(MODEL)
    x, y = next_tokens(layout(WORLD, PROMPTS).tokens, loss_weights(text=0.3))
    options = {"optimizer": optax.adam(3e-3), "batch_size": 12, "steps": 10, "loss": sft_loss}
    run = fit(f, (x, y), params=params, key=jax.random.key(2), progress=False, **options)
    assert run.loss[-1] < run.loss[0] - 0.1
    assert run.loss[0] == pytest.approx(np.log(37), abs=0.1)  # at random logits near 0


def test_each_token_predicts_the_one_behind_it():
    x, y = next_tokens(np.arange(10).reshape(2, 5), np.ones(4))
    assert x.tolist() == [[0, 1, 2, 3], [5, 6, 7, 8]]
    assert y.tokens.tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]] and y.weights.shape == (2, 4)


START, REWARD = [0.6, 0.1, 0.3], [-1.0, 1.0, 0.0]


def test_the_tilted_policy_has_the_values_computed_by_hand():
    policy = tilted_policy(START, REWARD, beta=0.5)
    np.testing.assert_allclose(policy, [0.072494, 0.659674, 0.267832], atol=1e-6)
    odds = float(jnp.log(policy[0] / policy[1]))
    assert odds == pytest.approx(np.log(6) - 4, abs=1e-5)


def test_gradient_ascent_on_a_table_arrives_at_the_tilted_policy():
    found = ascend_policy(START, REWARD, beta=0.5)
    np.testing.assert_allclose(found.policy, tilted_policy(START, REWARD, beta=0.5), atol=1e-4)
    assert found.objective == pytest.approx(0.5 * np.log(1.120107), abs=1e-5)
    early = ascend_policy(START, REWARD, beta=0.5, steps=2)
    assert early.objective < found.objective - 1e-3


@pytest.mark.parametrize("beta", [0.05, 0.1, 0.2, 0.5, 1.0])
def test_the_log_odds_move_with_the_reward_difference_over_beta(beta):
    policy = tilted_policy(START, REWARD, beta=beta)
    assert float(jnp.log(policy[0] / policy[1])) == pytest.approx(np.log(6) - 2 / beta, rel=1e-4)
