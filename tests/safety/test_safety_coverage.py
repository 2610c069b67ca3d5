"""Mixtures of safety training, tilted losses, the plain guard and shared programs, each against an
independent count."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from theorylab import safety as sa
from theorylab.errors import InputError
from theorylab.nets import fit, functional
from theorylab.nets.gpt import GPT
from theorylab.safety.layout import (
    AFFIRMATIVE,
    BEGIN,
    FIRST_MARKER,
    LENGTH,
    NULL,
    PREFIX,
    PROMPT_LENGTH,
    VOCABULARY,
)
from theorylab.safety.tilting import COMPLYING

KEY = jax.random.key(0)
WORLD = sa.mini_world(KEY)
MODEL = GPT(VOCABULARY, LENGTH, width=8, depth=1, heads=2, rngs=nnx.Rngs(0))
F, PARAMS = functional(MODEL)


def formats_of(tokens):
    """The format of each sequence, read off its two control tokens."""
    control, marker = np.asarray(tokens)[:, 1], np.asarray(tokens)[:, 2]
    encoding = np.where(marker >= FIRST_MARKER, marker - FIRST_MARKER + 1, 0)
    names = np.where(encoding, np.char.add("encoding_", encoding.astype(str)), "none")
    both = np.where(encoding, np.char.add("prefix_", names), "prefix")
    return np.where(control == PREFIX, both, names)


@pytest.mark.parametrize(
    "unsafe", [{"none": 1.0}, sa.partial_coverage(1 / 8), dict(sa.EVERY_FORMAT)], ids=str
)
def test_a_mixture_shows_each_kind_in_its_formats_and_refuses_the_unsafe_ones(unsafe):
    n = 4000
    mixture = sa.safety_mixture(KEY, WORLD, n, unsafe=unsafe)
    x, y = sa.supervised_data(WORLD, mixture)
    found = formats_of(x)
    for kind, shares in ((slice(0, n), sa.EVERY_FORMAT), (slice(n, None), unsafe)):
        assert set(found[kind]) == set(shares)
        for name, share in shares.items():
            error = np.sqrt(share * (1 - share) / n)
            assert abs((found[kind] == name).mean() - share) <= 4.5 * error + 1e-12
    refused = np.asarray(x)[:, PROMPT_LENGTH] == NULL
    np.testing.assert_array_equal(refused, np.arange(2 * n) >= n)
    prompts = mixture.prompts
    unsafe_by_label = sa.is_unsafe(sa.MINI_KINDS, prompts.operators, prompts.branch)
    np.testing.assert_array_equal(unsafe_by_label, mixture.unsafe)
    assert (np.asarray(y.weights).sum(1) == 11).all()


@pytest.mark.long
def test_weights_have_mean_one_and_split_the_loss_as_asked():
    mixture = sa.safety_mixture(KEY, WORLD, 10, unsafe={"none": 1.0})
    weights = np.asarray(sa.mixture_weights(mixture, safe_weight=0.7))
    assert weights.mean() == pytest.approx(1) and weights[:10].mean() == pytest.approx(1.4)


@pytest.mark.long
def test_only_executed_answers_of_unsafe_prompts_are_dispreferred():
    mixture = sa.safety_mixture(KEY, WORLD, 6, unsafe={"none": 1.0})
    x, y = sa.unlikelihood_data(WORLD, mixture)
    plain, targets = sa.supervised_data(WORLD, mixture)
    np.testing.assert_array_equal(x[:, 0], plain)
    np.testing.assert_array_equal(y.weights[:, 0], targets.weights)
    assert not np.asarray(y.weights[:6, 1]).any()
    assert (np.asarray(y.weights[6:, 1]).sum(1) == 11).all()
    opening = np.asarray(x[6:, 1])[:, PROMPT_LENGTH]
    assert np.isin(opening, [AFFIRMATIVE, BEGIN]).all()


def test_shares_that_are_no_probabilities_are_refused():
    prompts = sa.sample_prompts(KEY, WORLD, 3)
    for shares in ({"none": 0.5}, {"none": 1.5, "prefix": -0.5}, {}, {"forced_2": 1.0}):
        with pytest.raises(InputError, match="shares"):
            sa.in_formats(KEY, prompts, shares)


def test_coverage_rates_sum_to_one():
    parts = sa.coverage_rates([0.0, 0.4, 1.0], [0.9, 0.5, 0.0])
    np.testing.assert_allclose(np.sum(parts, 0), 1.0)
    np.testing.assert_allclose(parts[0], [0.0, 0.2, 1.0])


def test_the_kl_loss_is_the_objective_counted_by_hand():
    rng = np.random.default_rng(0)
    n, p, v = 3, 4, 5
    outputs = rng.normal(size=(n, 7, v)).astype(np.float32)
    reference = np.log(rng.dirichlet(np.ones(v), size=(n, p))).astype(np.float32)
    reward = rng.normal(size=(n, v)).astype(np.float32)
    found = sa.kl_regularised_loss(beta=0.3)(outputs, sa.TiltTargets(reward, reference))
    for i in range(n):
        want = 0.0
        for j in range(p):
            q = np.exp(outputs[i, 7 - p + j].astype(float))
            q /= q.sum()
            want += 0.3 * (q * (np.log(q) - reference[i, j])).sum()
            want -= (q * reward[i]).sum() if j == 0 else 0.0
        assert float(found[i]) == pytest.approx(want, abs=1e-5)


def test_the_kl_loss_of_one_free_decision_is_least_at_the_tilted_policy():
    start = np.array([0.6, 0.1, 0.3])
    reward = np.array([-1.0, 1.0, 0.0])
    targets = sa.TiltTargets(jnp.asarray(reward)[None], jnp.log(jnp.asarray(start))[None, None])
    loss = sa.kl_regularised_loss(beta=0.5)
    best = np.log(np.asarray(sa.tilted_policy(start, reward, beta=0.5)))
    slope = jax.grad(lambda z: loss(z[None, None], targets).sum())(jnp.asarray(best))
    assert np.abs(np.asarray(slope)).max() < 1e-6
    least = float(loss(jnp.asarray(best)[None, None], targets)[0])
    assert least == pytest.approx(-0.5 * np.log((start * np.exp(reward / 0.5)).sum()), abs=1e-5)


def test_the_distance_of_logits_is_half_the_square_of_the_centred_difference():
    rng = np.random.default_rng(3)
    n, p, v = 3, 2, 5
    outputs = rng.normal(size=(n, 4, v)).astype(np.float32)
    reference = np.log(rng.dirichlet(np.ones(v), size=(n, p))).astype(np.float32)
    reward = rng.normal(size=(n, v)).astype(np.float32)
    found = sa.tilted_logits_loss(outputs, sa.TiltTargets(reward, reference))
    for i in range(n):
        want = 0.0
        for j in range(p):
            off = outputs[i, 4 - p + j].astype(float) - reference[i, j]
            off = off - reward[i] if j == 0 else off
            want += 0.5 * np.var(off) * v
        assert float(found[i]) == pytest.approx(want, abs=1e-5)


def test_the_fisher_matrix_takes_the_gradient_of_the_distance_to_that_of_the_objective():
    """The first is the natural gradient: no chance of 1e-5 slows it."""
    start = np.array([1 - 2e-5, 1e-5, 1e-5])
    reward = np.array([-2.0, 2.0, 0.0])
    targets = sa.TiltTargets(jnp.asarray(reward)[None], jnp.log(jnp.asarray(start))[None, None])
    z = jnp.log(jnp.asarray(start)) + jnp.array([0.3, -0.5, 0.1])

    def slope(loss):
        return np.asarray(jax.grad(lambda z: loss(z[None, None], targets).sum())(z), np.float64)

    policy = np.asarray(jax.nn.softmax(z), np.float64)
    fisher = np.diag(policy) - np.outer(policy, policy)
    plain, natural = slope(sa.kl_regularised_loss(beta=1.0)), slope(sa.tilted_logits_loss)
    np.testing.assert_allclose(fisher @ natural, plain, atol=1e-6)
    assert np.abs(plain).max() < 1e-4 < 1 < np.abs(natural).max()
    best = jnp.log(sa.tilted_policy(start, reward, beta=1.0))
    assert float(sa.tilted_logits_loss(best[None, None], targets)[0]) < 1e-9


@pytest.mark.long
def test_rewards_are_for_refusing_unsafe_prompts_alone():
    mixture = sa.safety_mixture(KEY, WORLD, 4, unsafe={"none": 1.0})
    x, y = sa.tilt_data(F, PARAMS, WORLD, mixture, scale=2.0)
    reward = np.asarray(y.reward)
    assert (reward[4:, NULL] == 2).all() and not reward[:4].any()
    assert (reward[4:, list(COMPLYING)] == -2).all() and (np.abs(reward[4:]).sum(1) == 6).all()
    logits = np.asarray(F(PARAMS, x))[:, PROMPT_LENGTH - 1 :]
    want = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(y.reference, want, atol=1e-5)
    # at the reference the penalty is 0 and the loss is minus the expected reward
    at_start = sa.kl_regularised_loss(beta=7.0)(F(PARAMS, x), y)
    np.testing.assert_allclose(at_start, -(np.exp(want[:, 0]) * reward).sum(1), atol=1e-5)


@pytest.mark.long
def test_log_odds_are_those_of_both_compliant_openings_against_null():
    logits = np.random.default_rng(0).normal(size=(4, VOCABULARY)).astype(np.float32)
    p = np.exp(logits)
    want = np.log((p[:, AFFIRMATIVE] + p[:, BEGIN]) / p[:, NULL])
    np.testing.assert_allclose(sa.decision_log_odds(logits), want, rtol=1e-5)


@pytest.mark.long
def test_guard_symbols_are_operators_and_their_pairs_with_phrases():
    prompts = sa.sample_prompts(KEY, WORLD, 30, purpose="unsafe")
    symbols = np.asarray(sa.guard_symbols(WORLD, sa.layout(WORLD, prompts)))
    assert symbols.shape == (30, 8) and symbols.max() < sa.GUARD_SYMBOLS
    phrases = np.asarray(WORLD.phrases).reshape(16, 3).tolist()
    for row, text, operators in zip(
        symbols, np.asarray(prompts.text), np.asarray(prompts.operators), strict=True
    ):
        numbers = [phrases.index(part) for part in text.reshape(3, 3).tolist()]
        want = [11 * 17 + o for o in operators] + [17 * o + f for o in operators for f in numbers]
        assert row.tolist() == want
    # in an encoding hardly a phrase is one of the plain ones
    coded = sa.layout(WORLD, sa.with_encoding(prompts, 4))
    unknown = np.asarray(sa.guard_symbols(WORLD, coded))[:, 2:] % 17 == 16
    assert unknown.mean() > 0.9


def test_guard_scores_add_weights():
    weights = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(sa.guard_scores(weights, [[0, 0], [1, 2]]), [2.0, -1.5])
    with pytest.raises(InputError, match="symbols"):
        sa.guard_scores(weights, [[3]])


def line(params, x):
    return x @ params["w"]


def squared(outputs, y):
    return (outputs - y) ** 2


@pytest.mark.long
def test_a_shared_program_takes_the_steps_of_fit_for_every_data_set():
    rng = np.random.default_rng(0)
    tune = sa.compiled_tuning(line, loss=squared, optimizer=optax.adam(0.1), steps=7, batch_size=4)
    for _ in range(2):
        x, y = rng.normal(size=(12, 3)).astype(np.float32), rng.normal(size=12).astype(np.float32)
        weights = rng.uniform(0.5, 1.5, 12).astype(np.float32)
        start, key = {"w": np.zeros(3, np.float32)}, jax.random.key(int(rng.integers(99)))
        params, losses = tune(start, x, y, weights, key)
        options = {"optimizer": optax.adam(0.1), "steps": 7, "batch_size": 4, "loss": squared}
        want = fit(line, (x, y), params=start, key=key, weights=weights, **options)
        np.testing.assert_allclose(params["w"], want.params["w"], rtol=1e-5)
        np.testing.assert_allclose(losses, want.loss, rtol=1e-5)


def test_a_run_that_diverges_and_weights_that_do_not_fit_are_refused():
    tune = sa.compiled_tuning(line, loss=squared, optimizer=optax.sgd(1e30), steps=5, batch_size=2)
    x, y = np.ones((4, 3), np.float32), np.ones(4, np.float32)
    start = {"w": np.zeros(3, np.float32)}
    with pytest.raises(FloatingPointError, match="step"):
        tune(start, x, y, np.ones(4, np.float32), KEY)
    with pytest.raises(InputError, match="weights"):
        tune(start, x, y, np.ones(3, np.float32), KEY)
