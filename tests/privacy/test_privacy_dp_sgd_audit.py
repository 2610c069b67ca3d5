"""The epsilon that is printed is the epsilon that was spent, and audits see it when it is not."""

import dp_accounting
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from theorylab.errors import InputError
from theorylab.privacy import renyi
from theorylab.privacy.dp_sgd import LinearHead, PerExample, Training
from theorylab.privacy.dp_sgd.audit import (
    FixedSizeSampler,
    MixtureLaw,
    UnclippedBias,
    canary_readings,
    epsilon_between,
    hockey_stick,
    lower_epsilon,
    one_step_law,
)
from theorylab.privacy.dp_sgd.gradients import SLACK

DELTA = 1e-5
# the hinge of so large a scale is a straight line: gradients are -label * x / scale throughout
HEAD = LinearHead("hinge", 1e6)
N, D = 10, 3
ALONG = {"weights": jnp.array([-1.0, 0.0, 0.0])}
START = HEAD.start(D, bias=False)


def records(canary, background=0.0):
    """One canary along the first axis, in the last place; the others beside or against it."""
    x = np.zeros((N, D), np.float32)
    x[:-1, 0] = background * 1e7
    x[:-1, 1:] = np.random.default_rng(0).normal(size=(N - 1, 2)) * 1e5
    x[-1, 0] = canary * 1e7  # far beyond the clipping norm
    return x, np.ones(N, np.float32)


def law(canary, training, *, background=0.0, head=HEAD, **broken):
    given = {"training": training, "direction": ALONG} | broken
    return one_step_law(head, START, *records(canary, background), **given)


def test_hockey_sticks_are_integrals():
    one = MixtureLaw(np.array([0.0, 1.0, 4.0]), np.array([0.5, 0.2, 0.3]), 0.8)
    other = MixtureLaw(np.array([0.0, -1.0]), np.array([0.5, 0.5]), 0.8)

    def positive(z):
        p, q = (
            sum(w * norm.pdf(z, c, m.std) for c, w in zip(m.centres, m.chances, strict=True))
            for m in (one, other)
        )
        return max(p - np.exp(0.7) * q, 0.0)

    want = quad(positive, -12, 14, limit=500, points=np.linspace(-6, 8, 30))[0]
    assert hockey_stick(one, other, epsilon=0.7) == pytest.approx(want, abs=1e-7)
    shift = MixtureLaw(np.zeros(1), np.ones(1), 2.0), MixtureLaw(np.ones(1), np.ones(1), 2.0)
    for epsilon in (0.0, 0.3, 2.0):
        got = hockey_stick(*shift, epsilon=epsilon)
        assert got == pytest.approx(renyi.gaussian_delta(0.5, epsilon=epsilon), rel=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("relation, others", [("add-remove", 0.0), ("replace", -1.0)])
@pytest.mark.parametrize("noise", [0.7, 3.0])
def test_one_full_batch_spends_exactly_what_is_printed(noise, relation, others):
    training = Training(1, 0.3, 2.0, noise)
    spent = epsilon_between(law(1.0, training), law(others, training), delta=DELTA)
    printed = training.epsilon(DELTA, relation=relation)
    assert spent <= printed
    assert spent == pytest.approx(printed, rel=3 * SLACK)


@pytest.mark.long
@pytest.mark.parametrize("rate, noise", [(0.1, 0.6), (0.3, 1.0), (0.05, 2.0)])
def test_one_poisson_sample_spends_exactly_what_is_printed(rate, noise):
    training = Training(1, 0.3, 2.0, noise, rate)
    spent = epsilon_between(law(1.0, training), law(0.0, training), delta=DELTA)
    printed = training.epsilon(DELTA)
    assert spent <= printed * (1 + 1e-6)
    assert spent == pytest.approx(printed, rel=2e-3)  # privacy losses are rounded up
    for background in (-1.0, 0.5):  # sampled records beside the canary only hide it
        hidden = epsilon_between(
            law(1.0, training, background=background),
            law(0.0, training, background=background),
            delta=DELTA,
        )
        assert hidden <= spent * (1 + 1e-9)


def test_a_replaced_record_spends_at_most_what_is_printed():
    training = Training(1, 0.3, 2.0, 1.0, 0.2)
    spent = epsilon_between(law(1.0, training), law(-1.0, training), delta=DELTA)
    assert training.epsilon(DELTA) < spent <= training.epsilon(DELTA, relation="replace")


def broken_laws(kind):
    """(printed epsilon, exact epsilon of what was released in its place)."""
    if kind == "noise on the mean":  # divided by the size of the sample once more
        training = Training(1, 0.3, 2.0, 3.0)
        wrong = Training(1, 0.3, 2.0, 3.0 / N)
        return training, epsilon_between(law(1.0, wrong), law(0.0, wrong), delta=DELTA)
    if kind == "fixed size":
        training = Training(1, 0.3, 2.0, 0.5, 0.2)
        pair = [law(c, training, background=-1.0, fixed_size=2) for c in (1.0, 0.0)]
        return training, epsilon_between(*pair, delta=DELTA)
    head, training = UnclippedBias("logistic"), Training(1, 0.3, 0.1, 2.0)
    start = head.start(D)
    along = {"weights": jnp.zeros(D), "bias": jnp.ones(())}
    x, y = np.zeros((N, D), np.float32), np.ones(N, np.float32)
    pair = [
        one_step_law(head, start, x, y, training=training, direction=along, weights=w)
        for w in (np.ones(N), np.arange(N) < N - 1)
    ]
    return training, epsilon_between(*pair, delta=DELTA)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["noise on the mean", "fixed size", "unclipped bias"])
def test_a_pipeline_broken_on_purpose_spends_more_than_is_printed(kind):
    training, spent = broken_laws(kind)
    assert spent > 1.2 * training.epsilon(DELTA)


def test_the_clipped_bias_spends_what_is_printed():
    head, training = LinearHead("logistic"), Training(1, 0.3, 0.1, 2.0)
    along = {"weights": jnp.zeros(D), "bias": jnp.ones(())}
    x, y = np.zeros((N, D), np.float32), np.ones(N, np.float32)
    one, other = (
        one_step_law(head, head.start(D), x, y, training=training, direction=along, weights=w)
        for w in (np.ones(N), np.arange(N) < N - 1)
    )
    assert epsilon_between(one, other, delta=DELTA) == pytest.approx(
        training.epsilon(DELTA), rel=3 * SLACK
    )


RUNS = 20_000


def scores(readings, training, one=(0.0, 1.0), other=(0.0, 0.0)):
    """Log likelihood ratio of the readings, canary at `one` against `other` = (out, in)."""
    q, noise = training.sampling_rate, training.noise_multiplier
    chances = np.array([1 - q, q])
    present, absent = (MixtureLaw(np.array(c), chances, noise) for c in (one, other))
    return (present.log_density(readings) - absent.log_density(readings)).sum(1)


def audited(training, delta, *, background=0.0, fixed_size=None, noise_factor=1.0, **pair):
    wrong = Training(
        training.steps,
        training.step_size,
        training.clip,
        training.noise_multiplier * noise_factor,
        training.sampling_rate,
    )
    sampler = FixedSizeSampler(N, fixed_size) if fixed_size else None
    rows = []
    for canary, key in ((1.0, 0), (0.0, 1)):
        keys = jax.random.split(jax.random.key(100 + key), RUNS)
        readings = canary_readings(
            HEAD,
            START,
            *records(canary, background),
            training=wrong,
            keys=keys,
            direction=ALONG,
            sampler=sampler,
        )
        rows.append(scores(readings + (fixed_size or 0), training, **pair))
    return lower_epsilon(*rows, delta=delta)


@pytest.mark.long
def test_canaries_in_whole_descents_stay_below_what_is_printed_and_come_close():
    training, delta = Training(20, 1e-3, 2.0, 0.8, 0.2), 1e-3
    printed = training.epsilon(delta)
    found = audited(training, delta)
    assert 0.5 * printed < found.epsilon <= printed
    full = Training(4, 1e-3, 2.0, 3.0)
    assert 0.4 * full.epsilon(delta) < audited_full(full, delta) <= full.epsilon(delta)


def audited_full(training, delta):
    rows = [
        canary_readings(
            HEAD,
            START,
            *records(canary),
            training=training,
            keys=jax.random.split(jax.random.key(int(canary)), RUNS),
            direction=ALONG,
        ).sum(1)
        for canary in (1.0, 0.0)
    ]
    return lower_epsilon(*rows, delta=delta).epsilon


@pytest.mark.long
@pytest.mark.parametrize("kind", ["noise on the mean", "fixed size"])
def test_canaries_show_descents_that_are_broken_on_purpose(kind):
    delta = 1e-3
    if kind == "noise on the mean":
        training = Training(20, 1e-3, 2.0, 2.0, 0.2)
        found = audited(training, delta, noise_factor=1 / (0.2 * N))
    else:
        training = Training(4, 1e-3, 2.0, 0.8, 0.1)
        found = audited(
            training, delta, background=-1.0, fixed_size=1, one=(0.0, 2.0), other=(0.0, 1.0)
        )
    assert found.epsilon > training.epsilon(delta)


@pytest.mark.long
def test_readings_have_the_law_of_the_accountant():
    training = Training(3, 1e-3, 2.0, 0.5, 0.3)
    readings = canary_readings(
        HEAD,
        START,
        *records(1.0),
        training=training,
        keys=jax.random.split(jax.random.key(0), 3000),
        direction=ALONG,
    )
    assert readings.shape == (3000, 3)
    assert readings.mean() == pytest.approx(0.3, abs=4 * np.sqrt((0.25 + 0.21) / 9000))
    assert readings.var() == pytest.approx(0.25 + 0.21, rel=0.1)
    event = dp_accounting.PoissonSampledDpEvent(0.3, dp_accounting.GaussianDpEvent(0.5))
    want = dp_accounting.pld.PLDAccountant().compose(event, 3).get_epsilon(1e-3)
    assert training.epsilon(1e-3) == pytest.approx(want, rel=2e-3)


@pytest.mark.long
def test_lower_bounds_are_wrong_no_more_often_than_they_say():
    rng, wrong, tight = np.random.default_rng(0), 0, []
    true = renyi.gaussian_epsilon(1.0, delta=0.05)
    for _ in range(100):
        found = lower_epsilon(
            rng.normal(size=1000) + 1, rng.normal(size=1000), delta=0.05, confidence=0.9
        )
        wrong += found.epsilon > true
        tight.append(found.epsilon)
    assert wrong <= 18  # 10 are allowed for, and this is 2.7 standard deviations above
    assert np.mean(tight) > 0.5 * true


@pytest.mark.parametrize("rule", [LinearHead("softmax"), None], ids=["closed form", "any loss"])
def test_no_record_moves_the_sum_by_more_than_the_clipping_norm(rule):
    """An adversary climbs from random records, over 24 orders of magnitude."""
    head = LinearHead("softmax")
    rule = rule or PerExample(head.loss)
    params, clip = head.start(4, 3), 0.37
    params = jax.tree.map(lambda p: p + jax.random.normal(jax.random.key(1), p.shape), params)

    @jax.jit
    @jax.vmap
    def added(x, y):
        return rule.sums(params, None, x[None], y[None], jnp.ones(1), clip)

    def norms(x, y):
        sums = added(jnp.asarray(x, jnp.float32), jnp.asarray(y))
        return np.sqrt(
            sum(
                np.sum(np.asarray(v, np.float64).reshape(len(x), -1) ** 2, 1) for v in sums.values()
            )
        )

    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 4)) * 10.0 ** rng.uniform(-12, 12, (4000, 1))
    y, best = rng.integers(0, 3, 4000), 0.0
    for _ in range(25):
        found = norms(x, y)
        best = max(best, found.max())
        top = np.argsort(found)[-400:]
        x = np.repeat(x[top], 10, 0) * rng.uniform(0.5, 2, (4000, 1))
        x += 0.1 * np.abs(x) * rng.normal(size=x.shape)
        y = np.repeat(y[top], 10)
    assert 0.9999 * clip < best <= clip


def test_bad_input_is_one_line():
    good = MixtureLaw(np.zeros(1), np.ones(1), 1.0)
    training = Training(1, 0.3, 2.0, 1.0, 0.5)
    many = np.zeros((20, D), np.float32), np.ones(20, np.float32)
    cases = [
        ("sums to 0.5", lambda: MixtureLaw(np.zeros(1), np.full(1, 0.5), 1.0)),
        ("std = 0", lambda: MixtureLaw(np.zeros(1), np.ones(1), 0.0)),
        ("epsilon = -1", lambda: hockey_stick(good, good, epsilon=-1.0)),
        ("delta = 0", lambda: epsilon_between(good, good, delta=0.0)),
        ("at most 14", lambda: one_step_law(
            HEAD, START, *many, training=training, direction=ALONG)),
        ("training.radius", lambda: one_step_law(
            HEAD, START, *many, training=Training(1, 0.3, 2.0, 1.0, radius=1.0), direction=ALONG)),
        ("runs = 3", lambda: lower_epsilon(np.zeros(3), np.zeros(3), delta=0.0)),
        ("confidence = 1", lambda: lower_epsilon(
            np.zeros(30), np.zeros(30), delta=0.0, confidence=1.0)),
    ]  # fmt: skip
    for told, call in cases:
        with pytest.raises(InputError, match=told) as caught:
            call()
        assert "\n" not in str(caught.value)
