"""Private descent against NumPy in float64, with the noise and the samples that JAX drew."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chisquare

from theorylab.errors import InputError
from theorylab.privacy import online
from theorylab.privacy.dp_sgd import (
    LinearHead,
    PerExample,
    Training,
    private_descent,
    simulate_descents,
)
from theorylab.privacy.dp_sgd.descent import add_noise
from theorylab.privacy.dp_sgd.gradients import SLACK, clipped_sum
from theorylab.privacy.dp_sgd.sampling import poisson

N, D, C = 12, 3, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)).astype(np.float32) * np.linspace(0.2, 3, N, dtype=np.float32)[:, None]
LABELS = RNG.integers(0, C, N)
SIGNS = np.where(RNG.normal(size=N) > 0, 1.0, -1.0).astype(np.float32)
HEADS = [
    (LinearHead("softmax"), LABELS),
    (LinearHead("logistic"), SIGNS),
    (LinearHead("hinge", 0.7), SIGNS),
]


def begin(head, *, bias=True):
    zeros = head.start(D, C if head.kind == "softmax" else None, bias=bias)
    return add_noise(zeros, 0.3, jax.random.key(5))


def gradients_by_hand(head, params, x, y):
    """The gradient of each record in float64, weights and bias in one row."""
    w, b = (np.asarray(params[k], np.float64) for k in ("weights", "bias"))
    rows = []
    for record, label in zip(np.asarray(x, np.float64), y, strict=True):
        out = record @ w + b
        if head.kind == "softmax":
            p = np.exp(out) / np.exp(out).sum()
            pull = p - np.eye(C)[label]
        elif head.kind == "logistic":
            pull = -label / (1 + np.exp(label * out))
        else:
            pull = -label / head.scale if label * out < head.scale else 0.0
        rows.append(np.concatenate([np.outer(record, pull).ravel(), np.atleast_1d(pull)]))
    return np.array(rows)


def flat(params):
    return np.concatenate([np.ravel(params["weights"]), np.ravel(params["bias"])])


def clipped(rows, clip):
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.minimum(1, clip / np.maximum(norms, 1e-300))


def members(n, rate, buffer, key, steps):
    """Which records are in the sample of each step."""
    sampler = poisson(n, rate, buffer)

    def one(number):
        key_now = jax.random.split(jax.random.fold_in(key, number))[0]
        count = jnp.zeros(n)
        return sampler.passes(key_now, lambda c, at, m: c.at[at].add(m), count)

    return np.asarray(jax.vmap(one)(jnp.arange(steps)))


@pytest.mark.long
@pytest.mark.parametrize("rate", [1.0, 0.4])
@pytest.mark.parametrize("head, y", HEADS, ids=lambda v: getattr(v, "kind", ""))
def test_descent_is_the_loop_by_hand_with_the_same_noise(head, y, rate):
    clip, noise, size, steps, radius = 0.8, 0.5, 0.7, 3, 1.5
    params, key = begin(head), jax.random.key(11)
    training = Training(steps, size, clip, noise, rate, radius=radius)
    with online.separate_ledger():
        found = private_descent(head, params, X, y, training=training, key=key)
    chosen = np.ones((steps, N)) if rate == 1 else members(N, rate, None, key, steps)
    w, path = {k: np.asarray(v, np.float64) for k, v in params.items()}, []
    for t in range(steps):
        rows = clipped(gradients_by_hand(head, w, X, y), clip * (1 - SLACK))
        zero = jax.tree.map(jnp.zeros_like, params)
        noise_key = jax.random.split(jax.random.fold_in(key, t))[1]
        drawn = flat(add_noise(zero, noise * clip, noise_key))
        now = flat(w) - size / (rate * N) * (chosen[t] @ rows + drawn)
        now *= min(1, radius / np.linalg.norm(now))
        w = {
            "weights": now[: w["weights"].size].reshape(w["weights"].shape),
            "bias": now[w["weights"].size :].reshape(w["bias"].shape),
        }
        path.append(now)
    np.testing.assert_allclose(flat(found.params), path[-1], rtol=3e-5, atol=3e-6)
    np.testing.assert_allclose(flat(found.average), np.mean(path, 0), rtol=3e-5, atol=3e-6)


@pytest.mark.long
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("head, y", HEADS, ids=lambda v: getattr(v, "kind", ""))
def test_closed_form_norms_give_the_sums_of_per_example_gradients(head, y, bias):
    params, member = begin(head, bias=bias), jnp.asarray(RNG.integers(0, 2, N), jnp.float32)
    args = params, None, jnp.asarray(X), jnp.asarray(y), member, 0.6
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6),
        head.sums(*args),
        PerExample(head.loss).sums(*args),
    )


def test_samples_have_the_law_of_independent_coins():
    n, rate, draws = 4, 0.3, 40_000
    for buffer in (1, 2, 4):  # most samples of the smaller buffers take several passes
        got = members(n, rate, buffer, jax.random.key(3), draws)
        assert set(np.unique(got)) == {0.0, 1.0}
        pattern = np.bincount((got @ 2 ** np.arange(n)).astype(int), minlength=2**n)
        bits = np.array(list(itertools.product([0, 1], repeat=n)))[:, ::-1].sum(1)
        expected = draws * rate**bits * (1 - rate) ** (n - bits)
        assert chisquare(pattern, expected).pvalue > 1e-3


def test_sizes_of_samples_that_overflow_the_buffer_are_binomial():
    n, rate, draws = 300, 0.05, 4000
    got = members(n, rate, 7, jax.random.key(4), draws).sum(1)  # 15 are expected, 7 fit
    low, high = binom.ppf([1e-3, 1 - 1e-3], n, rate)
    edges = np.arange(low, high + 1)
    seen = np.array([(got <= low).sum(), *[(got == e).sum() for e in edges[1:]]])
    seen = np.append(seen, draws - seen.sum())
    expected = draws * np.append(
        [binom.cdf(low, n, rate), *binom.pmf(edges[1:], n, rate)], binom.sf(edges[-1], n, rate)
    )
    assert chisquare(seen, expected).pvalue > 1e-3


@pytest.mark.parametrize("rate", [1e-6, 1 / 704, 0.02, 0.3, 0.97])
def test_no_record_is_sampled_more_often_than_the_rate_says(rate):
    table = np.asarray(poisson(1000, rate).table, np.float64)
    left = 1 - np.concatenate([[0], table]) / 2**32
    hazard = 1 - left[1:] / left[:-1]
    assert np.all(hazard <= rate * (1 + 1e-12))
    assert np.all(hazard >= rate * (1 - 2e-8 / rate))


def test_record_numbers_stay_within_32_bits():
    sampler = poisson(10**6, 1e-5, 10**6)
    assert 1 <= sampler.buffer < 10**6
    assert sampler.buffer * len(sampler.table) + sampler.n < 2**31


def test_the_buffer_changes_nothing_of_a_full_batch():
    head, y = HEADS[0]
    training = [Training(4, 0.5, 1.0, 0.3, buffer=b) for b in (None, 5, 1, N)]
    keys = jax.random.split(jax.random.key(6), 2)
    runs = [simulate_descents(head, begin(head), X, y, training=t, keys=keys) for t in training]
    for run in runs[1:]:
        np.testing.assert_allclose(run.params["weights"], runs[0].params["weights"], rtol=1e-5)


def test_a_grid_is_its_settings_one_by_one():
    head, y = HEADS[0]
    sizes, clips, noises = np.array([0.1, 1.0]), np.array([0.5, 2.0]), np.array([1.0, 0.0])
    grid = Training(3, sizes, clips, noises, 0.5)
    keys = jax.random.split(jax.random.key(7), 3)
    many = simulate_descents(head, begin(head), X, y, training=grid, keys=keys)
    for s, g in itertools.product(range(3), range(2)):
        with online.separate_ledger():
            one = private_descent(
                head,
                begin(head),
                X,
                y,
                training=Training(3, sizes[g], clips[g], noises[g], 0.5),
                key=keys[s],
            )
        np.testing.assert_allclose(many.params["weights"][s, g], one.params["weights"], rtol=1e-4)
        np.testing.assert_allclose(many.average["bias"][s, g], one.average["bias"], rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.floats(-30, 30))
def test_one_record_adds_at_most_the_clipping_norm(seed, clip, log_scale):
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(1, 50)) * np.exp(log_scale)).astype(np.float32)
    tree = {"a": jnp.asarray(rows[:, :20].reshape(1, 4, 5)), "b": jnp.asarray(rows[:, 20:])}
    total = clipped_sum(tree, jnp.ones(1), jnp.float32(clip))
    norm = np.linalg.norm(np.concatenate([np.ravel(v).astype(np.float64) for v in total.values()]))
    assert norm <= float(np.float32(clip))
    whole = np.linalg.norm(rows.astype(np.float64))
    if 1e-15 < whole < 1e15:
        assert norm == pytest.approx(min(whole, clip * (1 - SLACK)), rel=1e-5)


@pytest.mark.long
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_does_not_matter_and_absent_records_are_absent(seed):
    rng = np.random.default_rng(seed)
    head, y = HEADS[0]
    order, weights = rng.permutation(N), rng.integers(0, 2, N)
    args = begin(head), None
    whole = head.sums(*args, jnp.asarray(X), jnp.asarray(y), jnp.asarray(weights * 1.0), 0.7)
    for rows in (order, np.flatnonzero(weights)):
        if len(rows):
            part = jnp.asarray(X[rows]), jnp.asarray(y[rows]), jnp.asarray(weights[rows] * 1.0)
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
                head.sums(*args, *part, 0.7),
                whole,
            )


@pytest.mark.long
@pytest.mark.parametrize("rate", [1.0, 0.6])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_record_that_is_not_finite_is_as_good_as_absent(bad, fast, rate):
    head, y = HEADS[0]
    broken = X.copy()
    broken[4, 1] = bad
    training = Training(4, 0.5, 1.0, 0.1, rate, expected=N * rate)
    rule, weights = head if fast else head.loss, np.ones(N)
    weights[4] = 0
    common = {"training": training, "keys": jax.random.split(jax.random.key(8), 2)}
    got = simulate_descents(rule, begin(head), broken, y, **common)
    want = simulate_descents(rule, begin(head), X, y, weights=weights, **common)
    assert np.isfinite(got.params["weights"]).all()
    np.testing.assert_allclose(got.params["weights"], want.params["weights"], rtol=1e-5, atol=1e-6)


def test_parameters_that_do_not_move_take_no_noise():
    head, y = HEADS[0]
    params, moving = begin(head), {"weights": jnp.array([[1.0], [0.0], [1.0]]), "bias": 1.0}
    found = simulate_descents(
        head,
        params,
        X,
        y,
        training=Training(2, 0.5, 1.0, 5.0),
        keys=jax.random.split(jax.random.key(9), 1),
        moving=moving,
    )
    same = np.asarray(found.params["weights"][0] == params["weights"])
    assert same[1].all() and not same[[0, 2]].any()


def test_noise_is_on_the_sum_and_divided_by_the_expected_size():
    head = LinearHead("logistic")
    x, y = np.zeros((50, 4000), np.float32), SIGNS[np.arange(50) % N]
    training = Training(1, 0.5, 2.0, 3.0, 0.2)
    keys = jax.random.split(jax.random.key(10), 1)
    found = simulate_descents(head, head.start(4000), x, y, training=training, keys=keys)
    want = 0.5 * 3.0 * 2.0 / (0.2 * 50)
    assert np.std(found.params["weights"]) == pytest.approx(want, rel=4 / np.sqrt(2 * 4000))


def test_a_key_pays_for_one_descent():
    head, y = HEADS[1]
    training = Training(1, 0.5, 1.0, 1.0)
    key = jax.random.key(190_001)
    private_descent(head, head.start(D), X, y, training=training, key=key)
    with pytest.raises(InputError, match="used by a private release before"):
        private_descent(head, head.start(D), X, y, training=training, key=jax.random.key(190_001))


GOOD = {"steps": 2, "step_size": 0.1, "clip": 1.0, "noise_multiplier": 1.0}


@pytest.mark.parametrize(
    "change, told",
    [
        ({"steps": 0}, "steps = 0"),
        ({"clip": 0.0}, "clip = 0"),
        ({"clip": -1.0}, "clip = -1"),
        ({"clip": np.array([1.0, np.nan])}, "clip holds nan"),
        ({"noise_multiplier": -0.1}, "noise_multiplier = -0.1"),
        ({"step_size": 0.0}, "step_size = 0"),
        ({"sampling_rate": 0.0}, "sampling_rate = 0"),
        ({"sampling_rate": 1.5}, "sampling_rate = 1.5"),
        ({"expected": 0.0}, "expected = 0"),
        ({"radius": -2.0}, "radius = -2"),
        ({"buffer": 0}, "buffer = 0"),
    ],
)
def test_settings_out_of_range_are_refused(change, told):
    with pytest.raises(InputError, match=told) as caught:
        Training(**(GOOD | change))
    assert "\n" not in str(caught.value)


def test_calls_that_make_no_sense_are_refused():
    head, y = HEADS[1]
    good = {"training": Training(**GOOD), "key": jax.random.key(1)}
    keys = jax.random.split(jax.random.key(2), 2)
    cases = [
        ("x has shape", lambda: private_descent(head, head.start(D), X[:0], y[:0], **good)),
        ("shapes x", lambda: private_descent(head, head.start(D), X, y[:3], **good)),
        ("weights holds", lambda: private_descent(
            head, head.start(D), X, y, weights=np.full(N, 0.5), **good)),
        ("loss = 3", lambda: private_descent(3, head.start(D), X, y, **good)),
        ("kind = 'probit'", lambda: LinearHead("probit")),
        ("scale = 0", lambda: LinearHead("hinge", 0.0)),
        ("settings", lambda: simulate_descents(
            head, head.start(D), X, y, keys=keys,
            training=Training(**(GOOD | {"clip": np.ones(2), "step_size": np.ones(3)})))),
        ("clip has shape", lambda: private_descent(
            head, head.start(D), X, y, key=good["key"],
            training=Training(**(GOOD | {"clip": np.ones(2)})))),
    ]  # fmt: skip
    for told, call in cases:
        with pytest.raises(InputError, match=told) as caught:
            call()
        assert "\n" not in str(caught.value)
