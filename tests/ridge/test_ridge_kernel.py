"""KernelRidgePath against float64 brute force: quantities from their definitions, LOO and k-fold by
refitting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.ridge import KernelRidgePath, fold_labels

N, C = 18, 3
ALPHAS = np.array([1e-4, 3e-2, 0.5, 20.0])
FROM_ZERO = np.array([0.0, 3e-2, 0.5, 20.0])
CASES = [(False, False), (True, False), (False, True), (True, True)]


def problem(seed=0, n=N, p=40, c=C):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.arange(1, p + 1) ** -0.7
    return X, X @ X.T, rng.normal(size=(n, c)) + X[:, :1], rng.uniform(0.3, 3.0, n)


def solve(K, Y, delta, w, center):
    """Dual weights and intercept from the stationarity equations of Σ w_i (y_i - K_i a - b)² +
    delta a^T K a."""
    n = len(K)
    if not center:
        return np.linalg.solve(K + delta * np.diag(1 / w), Y), np.zeros(Y.shape[1])
    system = np.block(
        [[K + delta * np.diag(1 / w), np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]]
    )
    both = np.linalg.solve(system, np.vstack([Y, np.zeros((1, Y.shape[1]))]))
    return both[:n], both[n]


def smoother(K, delta, w, center):
    """S with ŷ = S y, column by column."""
    a, b = solve(K, np.eye(len(K)), delta, w, center)
    return K @ a + b


def held_out_residuals(K, Y, delta, w, center, groups):
    out = np.zeros_like(Y)
    for group in groups:
        keep = np.setdiff1d(np.arange(len(K)), group)
        a, b = solve(K[np.ix_(keep, keep)], Y[keep], delta, w[keep], center)
        out[group] = Y[group] - K[np.ix_(group, keep)] @ a - b
    return out


@pytest.fixture(
    params=CASES, ids=lambda case: f"weights={case[0]}-center={case[1]}", scope="module"
)
def fitted(request):
    weighted, center = request.param
    _, K, Y, w = problem()
    path = KernelRidgePath.fit(K, Y, weights=w if weighted else None, center=center)
    return path, K, Y, w if weighted else np.ones(N), center


def test_every_risk_matches_its_definition(fitted):
    path, K, Y, w, center = fitted
    for i, alpha in enumerate(ALPHAS):
        S = smoother(K, N * alpha, w, center)
        residual = Y - S @ Y
        train = (w @ residual**2) / N
        denominator = (1 - np.trace(S) / N) ** 2
        np.testing.assert_allclose(path.train_risk(ALPHAS)[i], train.sum(), rtol=1e-9)
        np.testing.assert_allclose(path.gcv_per_output(ALPHAS)[i], train / denominator, rtol=1e-9)
        np.testing.assert_allclose(path.gcv(ALPHAS)[i], train.sum() / denominator, rtol=1e-9)
        np.testing.assert_allclose(path.dof(ALPHAS)[i], np.trace(S), rtol=1e-9)
        np.testing.assert_allclose(path.leverage(ALPHAS)[i], np.diag(S), rtol=1e-9)


def test_the_fit_matches_the_stationarity_equations(fitted):
    path, K, Y, w, center = fitted
    K_test = problem(seed=1)[1][:5]
    for i, alpha in enumerate(ALPHAS):
        a, b = solve(K, Y, N * alpha, w, center)
        np.testing.assert_allclose(path.dual(ALPHAS)[i], a, rtol=1e-8, atol=1e-10 * np.abs(a).max())
        np.testing.assert_allclose(path.intercept(ALPHAS)[i], b, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(path.norm2(ALPHAS)[i], np.sum(a * (K @ a)), rtol=1e-9)
        np.testing.assert_allclose(
            path.predict(K_test, ALPHAS)[i], K_test @ a + b, rtol=1e-9, atol=1e-10
        )


def test_leave_one_out_is_refitting_n_times(fitted):
    path, K, Y, w, center = fitted
    for i, alpha in enumerate(FROM_ZERO):
        refit = held_out_residuals(K, Y, N * alpha, w, center, [np.array([j]) for j in range(N)])
        np.testing.assert_allclose(path.loo_per_output(FROM_ZERO)[i], w @ refit**2 / N, rtol=1e-9)


@pytest.mark.parametrize("k", [4, N])  # 18 = 5 + 5 + 4 + 4: folds of unequal size
def test_kfold_is_refitting_k_times(fitted, k):
    path, K, Y, w, center = fitted
    key = jax.random.key(3)
    labels = fold_labels(N, k, key)
    groups = [np.flatnonzero(labels == fold) for fold in range(k)]
    for i, alpha in enumerate(ALPHAS):
        refit = held_out_residuals(K, Y, N * alpha, w, center, groups)
        np.testing.assert_allclose(
            path.kfold(ALPHAS, k, key)[i], np.sum(w @ refit**2) / N, rtol=1e-9
        )


def test_folds_are_a_balanced_partition_that_the_key_decides():
    labels = fold_labels(23, 5, jax.random.key(0))
    assert sorted(np.bincount(labels)) == [4, 4, 5, 5, 5]
    assert (labels != fold_labels(23, 5, jax.random.key(1))).any()
    for k in (1, 24):
        with pytest.raises(InputError, match="2 <= k"):
            fold_labels(23, k, jax.random.key(0))


def test_effective_regularisation_matches_the_resolvent():
    _, K, Y, _ = problem()
    path = KernelRidgePath.fit(K, Y)
    for i, alpha in enumerate(FROM_ZERO):
        resolvent = np.linalg.inv(K / N + alpha * np.eye(N))
        kappa = N / np.trace(resolvent)
        np.testing.assert_allclose(path.kappa(FROM_ZERO)[i], kappa, rtol=1e-9)
        np.testing.assert_allclose(
            path.dkappa(FROM_ZERO)[i], kappa**2 * np.sum(resolvent**2) / N, rtol=1e-9
        )
        np.testing.assert_allclose(path.dof(FROM_ZERO)[i], N * (1 - alpha / kappa), rtol=1e-9)
    np.testing.assert_allclose(path.kappa(FROM_ZERO)[0], 1 / np.trace(np.linalg.inv(K)), rtol=1e-9)


def test_kappa_has_its_derivative_as_finite_difference():
    _, K, Y, _ = problem()
    path = KernelRidgePath.fit(K, Y)
    h = 1e-5 * ALPHAS
    # Central differences: truncation h²/6 κ''' and rounding 1e-16/1e-5 both stay below 1e-8
    # relative.
    slope = (path.kappa(ALPHAS + h) - path.kappa(ALPHAS - h)) / (2 * h)
    np.testing.assert_allclose(path.dkappa(ALPHAS), slope, rtol=1e-7)


def test_kare_as_jacot_et_al_write_it_is_gcv():
    _, K, Y, _ = problem()
    path = KernelRidgePath.fit(K, Y)
    for i, alpha in enumerate(ALPHAS):
        inverse = np.linalg.inv(K / N + alpha * np.eye(N))
        kare = np.trace(Y.T @ inverse @ inverse @ Y) / N / (np.trace(inverse) / N) ** 2
        np.testing.assert_allclose(path.kare(ALPHAS)[i], kare, rtol=1e-9)
        np.testing.assert_allclose(path.gcv(ALPHAS)[i], kare, rtol=1e-9)


def test_ridgeless_gcv_is_the_interpolation_formula():
    _, K, Y, _ = problem()
    inverse = np.linalg.inv(K)
    expected = np.trace(Y.T @ inverse @ inverse @ Y) / N / (np.trace(inverse) / N) ** 2
    np.testing.assert_allclose(KernelRidgePath.fit(K, Y).gcv(FROM_ZERO)[0], expected, rtol=1e-9)


@pytest.mark.parametrize("p", [40, 7])
def test_the_summary_is_each_quantity(p):
    X, _, Y, w = problem(p=p)
    path = KernelRidgePath.fit(X @ X.T, Y, weights=w)
    for alphas in (ALPHAS, FROM_ZERO):
        summary = path.summary(alphas)
        for name, value in vars(summary).items():
            expected = getattr(path, name)(alphas)
            # An interpolator's train risk is 0 up to rounding.
            np.testing.assert_allclose(
                value, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max(), err_msg=name
            )


def test_ridgeless_limits_of_a_rank_deficient_kernel():
    X, _, Y, _ = problem(p=7)
    path = KernelRidgePath.fit(X @ X.T, Y)
    hat = X @ np.linalg.pinv(X)
    residual = Y - hat @ Y
    assert path.rank == 7 and path.condition == np.inf
    np.testing.assert_allclose(
        path.gcv(FROM_ZERO)[0], np.sum(residual**2) / N / (1 - 7 / N) ** 2, rtol=1e-9
    )
    np.testing.assert_allclose(path.train_risk(FROM_ZERO)[0], np.sum(residual**2) / N, rtol=1e-9)
    np.testing.assert_allclose(
        path.loo(FROM_ZERO)[0], np.sum((residual / (1 - np.diag(hat))[:, None]) ** 2) / N, rtol=1e-9
    )
    np.testing.assert_allclose(path.dof(FROM_ZERO)[:1], [7.0], rtol=1e-12)
    np.testing.assert_allclose(path.kappa(FROM_ZERO)[:1], [0.0], atol=0)
    np.testing.assert_allclose(path.dkappa(FROM_ZERO)[:1], [N / (N - 7)], rtol=1e-12)
    # alpha -> 0 is approached linearly: at 1e-9 tr K/N the limit is within 1e-6.
    small = 1e-9 * path.scale * np.ones(4)
    for quantity in ("gcv", "loo", "train_risk", "dof", "dkappa"):
        np.testing.assert_allclose(
            getattr(path, quantity)(small)[0], getattr(path, quantity)(FROM_ZERO)[0], rtol=1e-6
        )
    with pytest.raises(InputError, match="kfold at alpha = 0"):
        path.kfold([0.0], 3, jax.random.key(0))


def test_ridgeless_loo_of_a_sample_alone_beside_duplicates():
    """Rank-deficient by duplicates: the other samples have leverage 1, and only the pseudo-inverse
    knows their LOO."""
    X, _, Y, _ = problem(p=40)
    X[1] = X[0]
    K = X @ X.T
    path = KernelRidgePath.fit(K, Y)
    assert path.rank == N - 1
    expected = 0.0
    for i in range(N):
        keep = np.delete(np.arange(N), i)
        fit = np.linalg.pinv(K[np.ix_(keep, keep)], rcond=1e-11, hermitian=True) @ Y[keep]
        expected += np.sum((Y[i] - K[i, keep] @ fit) ** 2) / N
    np.testing.assert_allclose(path.loo(FROM_ZERO)[0], expected, rtol=1e-8)


def test_one_output_given_as_a_vector_is_one_column():
    _, K, Y, _ = problem()
    vector, column = KernelRidgePath.fit(K, Y[:, 0]), KernelRidgePath.fit(K, Y[:, :1])
    np.testing.assert_allclose(vector.gcv(ALPHAS), column.gcv(ALPHAS), rtol=1e-14)
    assert vector.dual(ALPHAS).shape == (len(ALPHAS), N, 1)
    assert vector.gcv(0.1).shape == (1,)


@pytest.mark.long
def test_selection_minimises_the_criterion_jointly_and_per_output():
    _, K, Y, _ = problem()
    path = KernelRidgePath.fit(K, Y)
    grid = np.geomspace(1e-3, 1e2, 30)
    for criterion, curve in (
        ("gcv", path.gcv_per_output(grid)),
        ("loo", path.loo_per_output(grid)),
    ):
        joint, each = path.select(criterion, grid), path.select(criterion, grid, per_output=True)
        assert joint.alpha == grid[curve.sum(-1).argmin()] and joint.score == curve.sum(-1).min()
        np.testing.assert_array_equal(each.alpha, grid[curve.argmin(0)])
        assert each.scores.shape == (30, C) and each.score.sum() <= joint.score
    assert path.select("gcv", [5.0, 1e3]).at_edge
    default = path.select()
    assert len(default.alphas) == 40 and default.alphas[-1] == pytest.approx(10 * np.trace(K) / N)
    assert len(repr(default)) < 200 and "scores" not in repr(default)  # the curve is not shown
    with pytest.raises(InputError, match="criterion"):
        path.select("aic")


def test_diagnostics_of_the_hypothesis():
    _, K, Y, _ = problem()
    path = KernelRidgePath.fit(K, Y)
    np.testing.assert_allclose(
        path.gcv_loo_ratio(ALPHAS), path.gcv(ALPHAS) / path.loo(ALPHAS), rtol=1e-12
    )
    np.testing.assert_allclose(path.diag_cv, np.std(np.diag(K)) / np.mean(np.diag(K)), rtol=1e-12)
    spectrum = np.linalg.eigvalsh(K)
    np.testing.assert_allclose(path.condition, spectrum[-1] / spectrum[0], rtol=1e-9)
    np.testing.assert_allclose(path.eigenvalues, spectrum[::-1] / N, rtol=1e-9)
    np.testing.assert_allclose(path.scale, np.trace(K) / N, rtol=1e-12)


def test_a_circulant_kernel_has_gcv_equal_to_loo():
    """Constant leverage makes GCV exact leave-one-out."""
    distance = np.minimum(np.arange(N), N - np.arange(N))
    K = np.exp(-0.3 * distance[(np.arange(N)[:, None] - np.arange(N)) % N])
    path = KernelRidgePath.fit(K, problem()[2])
    np.testing.assert_allclose(path.gcv_loo_ratio(FROM_ZERO), 1.0, rtol=1e-10)
    assert path.diag_cv < 1e-14


@pytest.mark.long
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    scale=st.floats(1e-6, 1e6),
    shape=st.sampled_from([(12, 20, 2), (12, 5, 2)]),
)
def test_invariances(seed, scale, shape):
    """Permuting samples, rotating outputs and features, and scaling (K, alpha) together change no
    risk."""
    n, p, c = shape
    X, K, Y, _ = problem(seed, n, p, c)
    rng = np.random.default_rng(seed + 1)
    permutation = rng.permutation(n)
    rotation = np.linalg.qr(rng.normal(size=(p, p)))[0]
    outputs = np.linalg.qr(rng.normal(size=(c, c)))[0]
    Z = X @ rotation
    path = KernelRidgePath.fit(K, Y)
    other = KernelRidgePath.fit(
        scale * (Z @ Z.T)[np.ix_(permutation, permutation)], Y[permutation] @ outputs
    )
    alphas = np.array([0.0, 1e-3, 0.1, 5.0])
    for quantity in ("gcv", "loo", "train_risk", "dof", "dkappa"):
        got = getattr(other, quantity)(scale * alphas)
        # Train risk at alpha = 0 of an interpolator is 0 up to rounding.
        np.testing.assert_allclose(got, getattr(path, quantity)(alphas), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        other.kappa(scale * alphas), scale * path.kappa(alphas), rtol=1e-6, atol=1e-300
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), p=st.sampled_from([5, 20]))
def test_kappa_is_above_alpha_and_all_curves_are_monotone(seed, p):
    _, K, Y, _ = problem(seed, 12, p, 2)
    path = KernelRidgePath.fit(K, Y)
    alphas = np.geomspace(1e-8, 1e3, 24)
    assert (path.kappa(alphas) >= alphas * (1 - 1e-12)).all()
    assert (path.kappa(alphas) - alphas <= path.scale * (1 + 1e-9)).all()
    assert (np.diff(path.kappa(alphas)) > 0).all()
    assert (path.dkappa(alphas) >= 1 - 1e-12).all()
    assert (np.diff(path.dof(alphas)) < 0).all()
    assert (np.diff(path.train_risk(alphas)) > 0).all()
    assert (np.diff(path.norm2(alphas)) < 0).all()


@pytest.mark.long
def test_the_same_under_jit_vmap_and_grad():
    _, K, Y, _ = problem()
    path = KernelRidgePath.fit(K, Y)

    def score(K, Y, alphas):
        return KernelRidgePath.fit(K, Y).gcv(alphas)

    with jax.enable_x64(True):
        jitted = jax.jit(score)(K, Y, ALPHAS)
        np.testing.assert_allclose(jitted, path.gcv(ALPHAS), rtol=1e-9)
        mapped = jax.vmap(score, (None, 1, None))(K, Y, ALPHAS)
        np.testing.assert_allclose(mapped.T, path.gcv_per_output(ALPHAS), rtol=1e-9)
        gradient = jax.grad(lambda Y: score(K, Y, ALPHAS[:1])[0])(jnp.asarray(Y))
        W = np.linalg.inv(K / N + ALPHAS[0] * np.eye(N))
        np.testing.assert_allclose(
            gradient, 2 * W @ W @ Y / N / (np.trace(W) / N) ** 2, rtol=1e-8, atol=1e-12
        )
        slope = jax.grad(lambda a: path.kappa(a)[0])(ALPHAS[1])
        np.testing.assert_allclose(slope, path.dkappa(ALPHAS)[1], rtol=1e-9)


def test_float32_user_code_gets_float64_results():
    """With 64-bit types off, concrete results are NumPy float64 and traced ones the caller's
    float32."""
    _, K, Y, _ = problem()
    path = KernelRidgePath.fit(K, Y)
    assert not jax.config.jax_enable_x64
    assert isinstance(path.gcv(ALPHAS), np.ndarray) and path.gcv(ALPHAS).dtype == np.float64
    assert int(jnp.argmin(path.gcv(ALPHAS))) == path.gcv(ALPHAS).argmin()
    jitted = jax.jit(lambda path, alphas: path.gcv(alphas) * jnp.ones(()))(
        path, jnp.asarray(ALPHAS)
    )
    assert jitted.dtype == jnp.float32
    np.testing.assert_allclose(jitted, path.gcv(ALPHAS), rtol=1e-6)
    K32, Y32 = jnp.asarray(K, jnp.float32), jnp.asarray(Y, jnp.float32)
    exact = KernelRidgePath.fit(np.asarray(K32, np.float64), np.asarray(Y32, np.float64))
    np.testing.assert_allclose(
        KernelRidgePath.fit(K32, Y32).loo(ALPHAS), exact.loo(ALPHAS), rtol=1e-9
    )


@pytest.mark.long
def test_nothing_is_lost_at_the_smallest_sizes():
    one = KernelRidgePath.fit([[2.0]], [3.0])
    np.testing.assert_allclose(one.loo([0.0, 1.0]), [9.0, 9.0])
    np.testing.assert_allclose(one.train_risk([0.0, 1.0]), [0.0, 1.0])
    np.testing.assert_allclose(one.dual([1.0])[0], [[1.0]])
    zero = KernelRidgePath.fit(np.zeros((3, 3)), [1.0, 2.0, 3.0])
    np.testing.assert_allclose(zero.gcv([0.0, 1.0]), [14 / 3, 14 / 3])
    np.testing.assert_allclose(zero.loo([0.0, 1.0]), [14 / 3, 14 / 3])
    with pytest.raises(InputError, match="zero"):
        zero.select()
    two = KernelRidgePath.fit(np.eye(2), [1.0, 3.0], center=True)
    np.testing.assert_allclose(two.intercept([0.7]), [[2.0]])
    np.testing.assert_allclose(two.loo([1e6]), [4.0], rtol=1e-5)  # each is predicted by the other
