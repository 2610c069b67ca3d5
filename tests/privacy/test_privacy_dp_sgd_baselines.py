"""GEP, AdaDPS, private directions and Noisy-SGD against loops by hand in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import dp_sgd, online
from theorylab.privacy.dp_sgd.baselines import second_moments
from theorylab.privacy.dp_sgd.descent import add_noise

RNG = np.random.default_rng(3)
N, D, C = 9, 4, 3
HEAD = dp_sgd.LinearHead("softmax")
X = RNG.normal(size=(N, D)).astype(np.float32)
Y = RNG.integers(0, C, N)
PUBLIC = RNG.normal(size=(7, D)).astype(np.float32), RNG.integers(0, C, 7)
PARAMS = add_noise(HEAD.start(D, C), 0.3, jax.random.key(0))


def rows_by_hand(params, x, y):
    """Gradients in rows, the bias first as the dictionary is ordered, in float64."""
    w, b = (np.asarray(params[k], np.float64) for k in ("weights", "bias"))
    out = np.asarray(x, np.float64) @ w + b
    p = np.exp(out) / np.exp(out).sum(1, keepdims=True) - np.eye(C)[y]
    return np.concatenate([p, (np.asarray(x)[:, :, None] * p[:, None]).reshape(len(x), -1)], 1)


def flat(tree):
    return np.concatenate([np.ravel(tree["bias"]), np.ravel(tree["weights"])])


def clipped(rows, clip):
    return rows * np.minimum(1, clip / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.mark.long
@pytest.mark.parametrize("inner", [HEAD, dp_sgd.PerExample(HEAD.loss)], ids=["linear", "any"])
def test_gradient_embedding_is_two_clipped_sums_put_together(inner):
    clip, ratio = 0.4, 0.3
    rule = dp_sgd.GradientEmbedding(inner, *map(jnp.asarray, PUBLIC), rank=3, ratio=ratio, power=60)
    basis = rule.prepare(PARAMS, rule.begin(PARAMS))
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-5)
    leading = np.linalg.svd(rows_by_hand(PARAMS, *PUBLIC))[2][:3].T
    b = np.asarray(basis, np.float64)
    np.testing.assert_allclose(b @ b.T, leading @ leading.T, atol=5e-3)
    member = RNG.integers(0, 2, N) * 1.0
    args = PARAMS, basis, jnp.asarray(X), jnp.asarray(Y), jnp.asarray(member, jnp.float32), clip
    got = flat(rule.direction(PARAMS, basis, rule.sums(*args), clip))
    rows = rows_by_hand(PARAMS, X, Y)
    inside = rows @ b
    rest = rows - inside @ b.T
    want = b @ (member @ clipped(inside, clip)) + member @ clipped(rest, ratio * clip)
    np.testing.assert_allclose(got, want, atol=3e-5)


def test_a_record_moves_the_sums_of_the_embedding_by_no_more_than_the_clipping_norm():
    rule = dp_sgd.GradientEmbedding(HEAD, *map(jnp.asarray, PUBLIC), rank=3, ratio=0.1)
    basis = rule.prepare(PARAMS, rule.begin(PARAMS))
    worst = 0.0
    for scale in (1e-3, 1.0, 30.0, 1e30):
        for record, label in zip(X, Y, strict=True):
            one = jnp.asarray(record[None] * scale), jnp.asarray(label[None])
            sums = rule.sums(PARAMS, basis, *one, jnp.ones(1), 0.7)
            worst = max(worst, np.sqrt(sum(np.sum(np.float64(v) ** 2) for v in sums.values())))
    assert 0.999 * 0.7 < worst <= 0.7  # reached where both parts are clipped


@pytest.mark.parametrize("inner", [HEAD, dp_sgd.PerExample(HEAD.loss)], ids=["linear", "any"])
def test_adaptive_scales_divide_then_clip(inner):
    decay, floor, clip, size, noise, steps = 0.8, 0.05, 2.0, 0.02, 0.0, 3
    rule = dp_sgd.AdaptiveScales(inner, *map(jnp.asarray, PUBLIC), decay=decay, floor=floor)
    keys = jax.random.split(jax.random.key(2), 1)
    training = dp_sgd.Training(steps, size, clip, noise)
    found = dp_sgd.simulate_descents(rule, PARAMS, X, Y, training=training, keys=keys)
    w = {k: np.asarray(v, np.float64) for k, v in PARAMS.items()}
    mean = 0.0
    for _ in range(steps):
        mean = decay * mean + (1 - decay) * rows_by_hand(w, *PUBLIC).mean(0) ** 2
        rows = clipped(rows_by_hand(w, X, Y) / (np.sqrt(mean) + floor), clip)
        now = flat(w) - size / N * rows.sum(0)
        w = {"bias": now[:C], "weights": now[C:].reshape(D, C)}
    np.testing.assert_allclose(
        flat(jax.tree.map(lambda v: v[0], found.params)), flat(w), rtol=2e-4, atol=2e-5
    )


@pytest.mark.long
@pytest.mark.parametrize("rule", [
    lambda: dp_sgd.AdaptiveScales(HEAD, *map(jnp.asarray, PUBLIC)),
    lambda: dp_sgd.AdaptiveScales(dp_sgd.PerExample(HEAD.loss), *map(jnp.asarray, PUBLIC)),
    lambda: dp_sgd.GradientEmbedding(HEAD, *map(jnp.asarray, PUBLIC), rank=2),
], ids=["scales", "scales of any", "embedding"])  # fmt: skip
def test_a_record_that_is_not_finite_adds_nothing(rule):
    rule, broken = rule(), X.copy()
    broken[2, 0] = np.nan
    context, member = rule.prepare(PARAMS, rule.begin(PARAMS)), np.ones(N, np.float32)
    member[2] = 0
    got = rule.sums(PARAMS, context, jnp.asarray(broken), jnp.asarray(Y), jnp.ones(N), 0.5)
    want = rule.sums(PARAMS, context, jnp.asarray(X), jnp.asarray(Y), jnp.asarray(member), 0.5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), got, want)


def test_private_directions_are_those_of_clipped_records_with_one_symmetric_noise():
    rows = RNG.normal(size=(30, 5)) * [3, 1, 0.5, 0.2, 0.1]
    rows[0] = np.nan
    short = rows[1:] * np.minimum(1, 2.0 / np.linalg.norm(rows[1:], axis=1, keepdims=True))
    for noise in (0.0, 0.4):
        key = jax.random.key(190_010 + int(10 * noise))
        basis = dp_sgd.private_pca(rows, rank=2, noise_multiplier=noise, clip=2.0, key=key)
        drawn = np.asarray(jax.random.normal(key, (5, 5)), np.float64)
        noisy = short.T @ short
        for i in range(5):
            for j in range(i, 5):
                noisy[i, j] += noise * 4 * drawn[i, j]
                noisy[j, i] = noisy[i, j]
        top = np.linalg.eigh(noisy)[1][:, -2:]
        np.testing.assert_allclose(basis @ basis.T, top @ top.T, atol=2e-4)
    with pytest.raises(InputError, match="used by a private release before"):
        dp_sgd.private_pca(rows, rank=2, noise_multiplier=0.4, clip=2.0, key=key)


def test_a_record_moves_second_moments_by_its_squared_norm_and_a_replaced_one_by_less_than_twice():
    rows = RNG.normal(size=(6, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    moved = []
    for _ in range(300):
        new = RNG.normal(size=3)
        other = np.vstack([rows[1:], new / np.linalg.norm(new)])
        moved.append(np.linalg.norm(np.triu(second_moments(rows) - second_moments(other))))
        added = second_moments(rows) - second_moments(rows[1:])
        assert np.linalg.norm(np.triu(added)) <= 1 + 1e-12
    orthogonal = second_moments(np.eye(2)[:1]) - second_moments(np.eye(2)[1:])
    assert np.linalg.norm(orthogonal) == pytest.approx(np.sqrt(2))
    assert max(moved) <= np.sqrt(2) + 1e-12


def test_random_projections_keep_squared_norms_on_average():
    x = RNG.normal(size=50).astype(np.float32)
    got = [
        float(np.sum((x @ dp_sgd.random_projection(k, 50, 20)) ** 2))
        for k in jax.random.split(jax.random.key(4), 200)
    ]
    want = float(np.sum(x**2))  # the ratio has variance 2 / 20
    assert np.mean(got) == pytest.approx(want, abs=4 * want * np.sqrt(2 / 20 / 200))


def test_noisy_sgd_is_the_loop_of_the_theorem():
    head, n, radius = dp_sgd.LinearHead("hinge", 0.5), 5, 1.0
    x = X[:n] / np.linalg.norm(X[:n], axis=1, keepdims=True)
    y = np.array([1, -1, 1, 1, -1], np.float32)
    given = {"epsilon": 0.9, "delta": 0.01, "lipschitz": 2.0, "radius": radius}
    key = jax.random.key(190_020)
    plan = dp_sgd.noisy_sgd_plan(n, D, **given)
    found = dp_sgd.noisy_sgd(head, head.start(D, bias=False), x, y, key=key, plan=plan)
    std = np.sqrt(32 * 4 * n**2 * np.log(n / 0.01) * np.log(1 / 0.01) / 0.9**2)
    w, total = np.zeros(D), 0.0
    for t in range(1, n**2):
        one, other = jax.random.split(jax.random.fold_in(key, t - 1))
        i = int(jax.random.randint(one, (1,), 0, n)[0])
        noise = add_noise({"weights": jnp.zeros(D)}, std, other)["weights"]
        pull = -y[i] * x[i] / 0.5 * (y[i] * (x[i] @ w) < 0.5)
        w = w - 2 * radius / np.sqrt(t * (n**2 * 4 + D * std**2)) * (n * pull + noise)
        w = w * min(1, radius / np.linalg.norm(w))
        total = total + w
    np.testing.assert_allclose(found.params["weights"], w, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(found.average["weights"], total / (n**2 - 1), rtol=2e-3, atol=2e-4)
    with pytest.raises(InputError, match="used by a private release before"):
        dp_sgd.noisy_sgd(head, head.start(D, bias=False), x, y, key=key, plan=plan)
    with pytest.raises(InputError, match="plan is for 5 records and 4 parameters"):
        dp_sgd.noisy_sgd(head, head.start(D), x, y, key=jax.random.key(0), plan=plan)


@pytest.mark.long
def test_the_noise_of_the_theorem_spends_less_than_it_says():
    for n, epsilon in ((50, 0.1), (200, 1.0)):
        assert 0.05 * epsilon < dp_sgd.noisy_sgd_epsilon(n, epsilon=epsilon, delta=1e-5) < epsilon


@pytest.mark.long
def test_all_of_them_go_into_one_descent():
    public = tuple(map(jnp.asarray, PUBLIC))
    rules = [
        HEAD,
        dp_sgd.GradientEmbedding(HEAD, *public, rank=2),
        dp_sgd.AdaptiveScales(HEAD, *public),
    ]
    training = dp_sgd.Training(2, np.array([0.1, 0.2]), 1.0, 1.0, 0.5)
    keys = jax.random.split(jax.random.key(5), 2)
    for rule in rules:
        found = dp_sgd.simulate_descents(rule, PARAMS, X, Y, training=training, keys=keys)
        assert found.params["weights"].shape == (2, 2, D, C)
        assert np.isfinite(found.params["weights"]).all()
    with online.separate_ledger():
        dp_sgd.private_descent(
            rules[1], PARAMS, X, Y, training=dp_sgd.Training(2, 0.1, 1.0, 1.0), key=keys[0]
        )


def test_bad_input_is_one_line():
    given = {"epsilon": 1.0, "delta": 0.1, "lipschitz": 1.0, "radius": 1.0}
    public = tuple(map(jnp.asarray, PUBLIC))
    cases = [
        ("n = 1", lambda: dp_sgd.noisy_sgd_plan(1, 2, **given)),
        ("epsilon = 0", lambda: dp_sgd.noisy_sgd_plan(3, 2, **(given | {"epsilon": 0.0}))),
        ("delta = 1", lambda: dp_sgd.noisy_sgd_plan(3, 2, **(given | {"delta": 1.0}))),
        ("lipschitz = 0", lambda: dp_sgd.noisy_sgd_plan(3, 2, **(given | {"lipschitz": 0.0}))),
        ("radius = -1", lambda: dp_sgd.noisy_sgd_plan(3, 2, **(given | {"radius": -1.0}))),
        ("rank = 8", lambda: dp_sgd.GradientEmbedding(HEAD, *public, rank=8)),
        ("ratio = 0", lambda: dp_sgd.GradientEmbedding(HEAD, *public, rank=2, ratio=0.0)),
        ("decay = 1", lambda: dp_sgd.AdaptiveScales(HEAD, *public, decay=1.0)),
        ("floor = 0", lambda: dp_sgd.AdaptiveScales(HEAD, *public, floor=0.0)),
        ("rank = 4", lambda: dp_sgd.private_pca(
            X, rank=4, noise_multiplier=1.0, key=jax.random.key(1))),
        ("clip = 0", lambda: dp_sgd.private_pca(
            X, rank=1, noise_multiplier=1.0, clip=0.0, key=jax.random.key(1))),
        ("parts is empty", lambda: dp_sgd.total_epsilon([], delta=1e-5)),
        ("k = 0", lambda: dp_sgd.random_projection(jax.random.key(1), 3, 0)),
    ]  # fmt: skip
    for told, call in cases:
        with pytest.raises(InputError, match=told) as caught:
            call()
        assert "\n" not in str(caught.value)
