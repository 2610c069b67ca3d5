"""Propositions 1 to 7 of the dossier, in float64."""

from dataclasses import replace
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.federated import (
    EachRound,
    LeastSquaresState,
    fedavg_fixed_point,
    fedavg_gram,
    fedavg_least_squares,
    fedavg_round_matrix,
    fedavg_spectral_radius,
    federated_fit,
    global_optimum,
    gram,
    least_squares_terms,
    local_operators,
    max_curvatures,
    min_norm_interpolator,
    pad_clients,
    scaffold,
    scaffold_gram,
    scaffold_least_squares,
    scaffold_round_matrix,
    scaffold_spectral_radius,
    stable_step_size,
)
from theorylab.federated.gram import power_sums

RNG = np.random.default_rng(0)
SIZES = [30, 12, 24, 18]
# heterogeneous means, noise, p < n: the regime in which FedAvg is biased
PHI = [RNG.normal(size=(n, 6)) + 0.3 * RNG.normal(size=6) for n in SIZES]
Y = [phi @ RNG.normal(size=(6, 2)) + RNG.normal(size=(len(phi), 2)) for phi in PHI]
TERMS = least_squares_terms(PHI, Y)
ETA = stable_step_size(PHI, 0.5)
P = np.array([0.1, 0.4, 0.3, 0.2])
M = 7


def option_two(phi, y, p, eta, steps, rounds):
    """SCAFFOLD option II as published, by hand: control variates c_i and c."""
    x = np.zeros((phi[0].shape[1], y[0].shape[1]))
    c_i = [x] * len(phi)
    iterates, shifts = [], []
    for _ in range(rounds):
        c, after, new = sum(w * c for w, c in zip(p, c_i, strict=True)), [], []
        for a, b, own in zip(phi, y, c_i, strict=True):
            v = x
            for _ in range(steps):
                v = v - eta * (a.T @ (a @ v - b) / len(a) - own + c)
            after.append(v)
            new.append(own - c + (x - v) / (steps * eta))
        shifts.append(sum(w * (own - c) for w, own in zip(p, c_i, strict=True)))
        x, c_i = sum(w * v for w, v in zip(p, after, strict=True)), new
        iterates.append(x)
    return np.array(iterates), np.array(shifts)


def test_proposition_1_the_h_form_is_scaffold_option_ii():
    run = scaffold_least_squares(
        PHI, Y, eta=ETA, local_steps=M, rounds=50, weights=P, keep=EachRound(trajectory=True)
    )
    expected, shifts = option_two(PHI, Y, P, ETA, M, 50)
    assert run.trajectory.dtype == np.float64
    np.testing.assert_allclose(run.trajectory, expected, rtol=0, atol=1e-10)
    assert np.abs(np.tensordot(P, run.state.h, 1)).max() < 1e-13
    assert np.abs(shifts).max() < 1e-13


@pytest.mark.slow  # a claim of the room of TCT as well, judged at its smoke preset
def test_proposition_1_the_network_loop_makes_the_same_iterates():
    with jax.enable_x64(True):
        ends = np.cumsum(SIZES)
        parts = [np.arange(e - n, e) for e, n in zip(ends, SIZES, strict=True)]
        clients = pad_clients(np.concatenate(PHI), np.concatenate(Y), parts, weights=P)
        run = federated_fit(
            lambda theta, x: x @ theta,
            clients,
            params=jnp.zeros((6, 2)),
            algorithm=scaffold(lr=ETA, steps=M),
            loss=lambda f, y: jnp.square(f - y).sum(-1) / 2,
            rounds=5,
            key=jax.random.key(0),
        )
        theta = np.asarray(run.params)
    np.testing.assert_allclose(theta, option_two(PHI, Y, P, ETA, M, 5)[0][-1], rtol=0, atol=1e-10)


def test_float32_features_stay_float32_and_agree():
    phi, y = [a.astype(np.float32) for a in PHI], [a.astype(np.float32) for a in Y]
    run = scaffold_least_squares(phi, y, eta=ETA, local_steps=M, rounds=20, weights=P)
    expected = option_two(PHI, Y, P, ETA, M, 20)[0][-1]
    assert run.theta.dtype == np.float32
    np.testing.assert_allclose(run.theta, expected, atol=1e-4 * np.abs(expected).max())


def test_a_run_continued_from_its_state_is_the_whole_run():
    options = {"eta": ETA, "local_steps": M, "weights": P}
    first = scaffold_least_squares(PHI, Y, rounds=3, **options)
    then = scaffold_least_squares(PHI, Y, rounds=3, state=first.state, **options)
    np.testing.assert_array_equal(
        then.theta, scaffold_least_squares(PHI, Y, rounds=6, **options).theta
    )


@pytest.mark.parametrize("steps", [1, 5, 60])
def test_proposition_2_fedavg_converges_to_its_own_fixed_point(steps):
    run = fedavg_least_squares(PHI, Y, eta=ETA, local_steps=steps, rounds=1500, weights=P)
    fixed = fedavg_fixed_point(TERMS.H, TERMS.b, eta=ETA, local_steps=steps, weights=P)
    np.testing.assert_allclose(run.theta, fixed, rtol=0, atol=1e-10)
    bias = np.linalg.norm(fixed - global_optimum(TERMS.H, TERMS.b, P))
    assert bias < 1e-12 if steps == 1 else bias > 1e-2


def test_proposition_2_many_local_steps_average_the_clients_minimisers():
    fixed = fedavg_fixed_point(TERMS.H, TERMS.b, eta=ETA, local_steps=100_000, weights=P)
    minimisers = np.stack(
        [np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(PHI, Y, strict=True)]
    )
    np.testing.assert_allclose(fixed, np.tensordot(P, minimisers, 1), atol=1e-10)


def test_proposition_3_scaffold_converges_to_the_optimum():
    run = scaffold_least_squares(PHI, Y, eta=ETA, local_steps=M, rounds=1500, weights=P)
    pooled = np.concatenate([np.sqrt(w / len(a)) * a for w, a in zip(P, PHI, strict=True)])
    targets = np.concatenate([np.sqrt(w / len(b)) * b for w, b in zip(P, Y, strict=True)])
    optimum = np.linalg.lstsq(pooled, targets, rcond=None)[0]
    np.testing.assert_allclose(global_optimum(TERMS.H, TERMS.b, P), optimum, atol=1e-12)
    np.testing.assert_allclose(run.theta, optimum, rtol=0, atol=1e-10)
    corrections = np.einsum("ijk,kl->ijl", TERMS.H, optimum) - TERMS.b
    np.testing.assert_allclose(run.state.h, corrections, atol=1e-9)  # h_i = H_i theta - b_i


@pytest.mark.long
def test_proposition_4_both_tend_to_the_minimum_norm_interpolator():
    phi = [RNG.normal(size=(n, 40)) for n in (5, 3, 4)]
    y = [RNG.normal(size=(n, 2)) for n in (5, 3, 4)]
    stacked, targets = np.concatenate(phi), np.concatenate(y)
    expected = stacked.T @ np.linalg.solve(stacked @ stacked.T, targets)
    np.testing.assert_allclose(min_norm_interpolator(phi, y), expected, atol=1e-12)
    np.testing.assert_allclose(min_norm_interpolator(stacked, targets), expected, atol=1e-12)
    options = {"eta": stable_step_size(phi), "local_steps": 10, "rounds": 1500}
    for solver in (fedavg_gram, scaffold_gram):
        run = solver(gram(stacked), targets, [5, 3, 4], **options)
        np.testing.assert_allclose(stacked.T @ run.dual, expected, atol=1e-10)
    H, b, counts = least_squares_terms(phi, y)
    fixed = fedavg_fixed_point(H, b, eta=options["eta"], local_steps=10, counts=counts)
    np.testing.assert_allclose(fixed, expected, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 6, 40])
def test_proposition_5_the_spectral_radius_is_the_rate_seen(steps):
    radius = scaffold_spectral_radius(TERMS.H, eta=ETA, local_steps=steps, weights=P)
    # With targets 0 the optimum is 0. Rounding in the invariant sum p_i h_i is never forgotten: a
    # floor near 1e-16, so the decay is seen down to e^-25 of the start, over the later half of it.
    # Maxima over windows: complex eigenvalues make the error oscillate, by a factor that is allowed
    # to be e.
    h = RNG.normal(size=(4, 6, 1))
    start = LeastSquaresState(
        RNG.normal(size=(6, 1)), h - np.tensordot(P, h, 1), np.zeros((4, 6, 1))
    )
    start = replace(start, local=np.tile(start.theta, (4, 1, 1)))
    zeros = [0 * b[:, :1] for b in Y]
    run = scaffold_least_squares(
        PHI,
        zeros,
        eta=ETA,
        local_steps=steps,
        rounds=350,
        weights=P,
        state=start,
        keep=EachRound(trajectory=True),
    )
    errors = np.linalg.norm(run.trajectory, axis=(1, 2))
    rounds = min(300, int(-25 / np.log(radius)))
    late, later = errors[rounds // 2 : rounds // 2 + 10], errors[rounds : rounds + 10]
    assert np.isclose(
        np.log(later.max() / late.max()) / (rounds - rounds // 2), np.log(radius), atol=2 / rounds
    )
    average = fedavg_round_matrix(TERMS.H, eta=ETA, local_steps=steps, weights=P)
    assert np.isclose(
        fedavg_spectral_radius(TERMS.H, eta=ETA, local_steps=steps, weights=P),
        np.abs(np.linalg.eigvals(average)).max(),
    )
    if steps == 1:  # both are gradient descent then
        assert np.isclose(radius, np.abs(np.linalg.eigvals(average)).max(), atol=1e-10)


def test_the_round_matrix_makes_the_rounds():
    d, n = 6, 4
    T = scaffold_round_matrix(TERMS.H, eta=ETA, local_steps=M, weights=P)
    theta, h = RNG.normal(size=(d, 1)), RNG.normal(size=(n, d, 1))
    h -= np.tensordot(P, h, 1)
    after = (T @ np.concatenate([theta[None], h]).reshape(-1, 1)).reshape(n + 1, d, 1)
    local = []
    for H, own in zip(TERMS.H, h, strict=True):
        v = theta
        for _ in range(M):
            v = v - ETA * (H @ v - own)
        local.append(v)
    new = np.tensordot(P, local, 1)
    np.testing.assert_allclose(after[0], new, atol=1e-13)
    np.testing.assert_allclose(after[1:], h + (new - np.array(local)) / (M * ETA), atol=1e-12)


@pytest.mark.parametrize("weights", ["size", "uniform"])
def test_theory_and_run_weigh_clients_alike(weights):
    # two clients of 3 and 1 examples of one feature: what the normal equations give by hand
    phi, y = [np.ones((3, 1)), np.ones((1, 1))], [np.full((3, 1), 1.0), np.full((1, 1), 0.0)]
    H, b, counts = least_squares_terms(phi, y)
    options = {} if weights == "size" else {"weights": weights}
    optimum = global_optimum(H, b, counts=counts, **options)
    np.testing.assert_allclose(optimum, {"size": 0.75, "uniform": 0.5}[weights], atol=1e-12)
    options |= {"eta": 0.3, "local_steps": 4}
    run = fedavg_least_squares(phi, y, rounds=200, **options)
    fixed = fedavg_fixed_point(H, b, counts=counts, **options)
    np.testing.assert_allclose(run.theta, fixed, atol=1e-12)


def test_too_many_local_steps_slow_scaffold_down_but_not_fedavg():
    # Proposition 5's table at its own set-up (N=4, d=8, n_i=30, eta L = 0.5); the design there is
    # another draw
    rng = np.random.default_rng(1)
    phi = [rng.normal(size=(30, 8)) + 0.1 * rng.normal(size=8) for _ in range(4)]
    H, _, counts = least_squares_terms(phi, [a[:, :1] for a in phi])
    options = {"eta": stable_step_size(phi, 0.5), "counts": counts}
    slow = {m: scaffold_spectral_radius(H, local_steps=m, **options) for m in (1, 5, 20, 100)}
    fast = {m: fedavg_spectral_radius(H, local_steps=m, **options) for m in (1, 5, 20, 100)}
    assert np.isclose(slow[1], fast[1], atol=1e-10)
    assert min(slow, key=slow.get) in (5, 20)
    assert slow[20] < slow[100]
    assert fast[1] > fast[5] > fast[20] > fast[100]


def test_local_operators_are_powers_and_sums_of_powers():
    A, S = local_operators(TERMS.H, eta=ETA, local_steps=M)
    for H, a, s in zip(TERMS.H, A, S, strict=True):
        B = np.eye(6) - ETA * H
        np.testing.assert_allclose(a, np.linalg.matrix_power(B, M), atol=1e-13)
        np.testing.assert_allclose(
            s, ETA * sum(np.linalg.matrix_power(B, k) for k in range(M)), atol=1e-13
        )
    _, S = local_operators(
        np.zeros((1, 2, 2)), eta=0.1, local_steps=5
    )  # where the curvature is zero
    np.testing.assert_allclose(S[0], 0.5 * np.eye(2))


@pytest.mark.parametrize("steps", [1, 2, 7, 100, 501])
def test_power_sums_are_exact_to_rounding(steps):
    values = [Fraction(1), 1 - Fraction(1, 2**40), Fraction(3, 4), Fraction(0), Fraction(-7, 8)]
    got = power_sums(np.array([float(r) for r in values]), steps)
    for i, r in enumerate(values):
        exact = (
            r**steps,
            sum(r**k for k in range(steps)),
            sum((steps - 1 - k) * r**k for k in range(steps)),
        )
        np.testing.assert_allclose([a[i] for a in got], [float(e) for e in exact], rtol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("steps", [1, 25, 500])
@pytest.mark.parametrize(
    "pair", [(scaffold_gram, scaffold_least_squares), (fedavg_gram, fedavg_least_squares)]
)
def test_proposition_7_the_gram_form_equals_the_primal_loop(pair, steps):
    dual, primal = pair
    eta = stable_step_size(PHI, 1.9)  # r negative at some eigenvalues
    stacked, options = (
        np.concatenate(PHI),
        {"eta": eta, "local_steps": steps, "rounds": 6, "weights": P},
    )
    run = dual(gram(stacked), np.concatenate(Y), SIZES, **options)
    expected = primal(PHI, Y, keep=EachRound(stacked[:9], trajectory=True), **options)
    theta = np.einsum("np,tnk->tpk", stacked, run.trajectory)
    scale = np.abs(expected.trajectory).max()
    np.testing.assert_allclose(theta, expected.trajectory, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(
        run.predict(gram(stacked[:9], stacked)), expected.predictions, atol=1e-9 * scale
    )
    np.testing.assert_allclose(run.fitted[-1], stacked @ theta[-1], atol=1e-9 * scale)


def test_a_duplicated_client_changes_nothing():
    # the average over two copies of the clients is the average over one: SCAFFOLD sees the same
    # problem
    one = scaffold_least_squares(PHI[:2], Y[:2], eta=ETA, local_steps=M, rounds=4)
    two = scaffold_least_squares(PHI[:2] * 2, Y[:2] * 2, eta=ETA, local_steps=M, rounds=4)
    np.testing.assert_allclose(one.theta, two.theta, atol=1e-13)


@pytest.mark.parametrize("shape", [(50, 80), (80, 50), (3, 40), (40, 1)])
def test_the_largest_curvature_is_that_of_the_hessian(shape):
    phi = RNG.normal(size=shape)
    expected = np.linalg.eigvalsh(phi.T @ phi / len(phi)).max()
    np.testing.assert_allclose(max_curvatures([phi]), expected, rtol=1e-6)
    np.testing.assert_allclose(stable_step_size([phi, phi / 2], 0.7), 0.7 / expected, rtol=1e-6)


def test_gram_is_summed_in_float64_over_blocks():
    phi = (1000 + RNG.normal(size=(5, 30))).astype(np.float32)
    exact = phi.astype(np.float64)
    np.testing.assert_allclose(gram(phi, columns=7), exact @ exact.T, rtol=1e-14)
    np.testing.assert_allclose(gram(phi, phi[:2], columns=7), exact @ exact[:2].T, rtol=1e-14)


def bad(block):
    block = block.copy()
    block[1, 0] = np.nan
    return block


G, STACKED_Y = gram(np.concatenate(PHI)), np.concatenate(Y)
OPTIONS = {"eta": ETA, "local_steps": 2, "rounds": 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda o: scaffold_least_squares(PHI, Y, **{**o, "eta": 8 * ETA}),
            r"below 2 / lambda_max = .* at client \d",
        ),
        (lambda o: scaffold_gram(G, STACKED_Y, SIZES, **{**o, "eta": 8 * ETA}), "2 / lambda_max"),
        (lambda o: local_operators(TERMS.H, eta=8 * ETA, local_steps=2), "2 / lambda_max"),
        (lambda o: scaffold_least_squares(PHI, Y, **{**o, "eta": -1.0}), "eta = -1"),
        (
            lambda o: scaffold_least_squares([PHI[0], bad(PHI[1])], Y[:2], **o),
            "Phi: NaN .* client 1",
        ),
        (lambda o: scaffold_least_squares(PHI[:2], [Y[0], bad(Y[1])], **o), "Y: NaN .* client 1"),
        (
            lambda o: scaffold_least_squares([PHI[0], PHI[1][:0]], Y[:2], **o),
            "client 1 has no examples",
        ),
        (
            lambda o: scaffold_least_squares([PHI[0], PHI[1][:, :3]], Y[:2], **o),
            r"\(12, 3\) at client 1",
        ),
        (lambda o: scaffold_least_squares(PHI, Y[:3], **o), "3 clients given, Phi has 4"),
        (lambda o: scaffold_least_squares(PHI[:2], [Y[0], Y[1][:5]], **o), "5 rows at client 1"),
        (lambda o: scaffold_least_squares(PHI[0], Y[0], **o), "one .* array a client is needed"),
        (lambda o: scaffold_least_squares([], [], **o), "no clients"),
        (
            lambda o: scaffold_least_squares(PHI, Y, keep=EachRound(PHI[0][:, :2]), **o),
            "Phi_eval has shape",
        ),
        (lambda o: scaffold_least_squares(PHI, Y, **{**o, "local_steps": 0}), "local_steps = 0"),
        (lambda o: scaffold_gram(G[:5], STACKED_Y, SIZES, **o), "square"),
        (lambda o: scaffold_gram(G, STACKED_Y[:5], SIZES, **o), "Y has shape"),
        (lambda o: scaffold_gram(G, STACKED_Y, [84], **{**o, "weights": "sizes"}), "'sizes' given"),
        (lambda o: scaffold_gram(G, STACKED_Y, [80, 5], **o), "sum to 84"),
        (lambda o: scaffold_gram(G, STACKED_Y, [84, 0], **o), "client 1 has 0 examples"),
        (lambda o: scaffold_gram(bad(G), STACKED_Y, SIZES, **o), "NaN .* client 0"),
        (lambda o: scaffold_gram(np.triu(G), STACKED_Y, SIZES, **o), "not symmetric"),
        (lambda o: scaffold_gram(G, STACKED_Y, SIZES, **o).predict(G[:, :4]), "G_eval"),
        (lambda o: gram(PHI[0], PHI[0][:, :2]), "other has shape"),
        (lambda o: stable_step_size(PHI, 2.0), "c = 2"),
        (lambda o: stable_step_size([np.zeros((3, 3))]), "not all zero"),
        (lambda o: global_optimum(TERMS.H, TERMS.b[:2]), "H, b: shapes"),
        (lambda o: global_optimum(TERMS.H, TERMS.b, "size"), "H does not tell the sizes"),
        (lambda o: global_optimum(TERMS.H, TERMS.b), "needs counts="),
        (lambda o: global_optimum(TERMS.H, TERMS.b, counts=[1.0]), r"counts has shape \(1,\)"),
        (lambda o: local_operators(np.triu(TERMS.H), eta=0.1, local_steps=2), "symmetric"),
    ],
)
def test_bad_input_is_refused_with_the_client_named(call, message):
    with pytest.raises(InputError, match=message):
        call(OPTIONS)


def test_rates_of_jax_numbers_are_those_of_python_numbers():
    expected = scaffold_spectral_radius(TERMS.H, eta=0.125, local_steps=5, weights=P)
    for eta, steps in ((jnp.asarray(0.125), jnp.asarray(5)), (jnp.bfloat16(0.125), np.uint8(5))):
        found = scaffold_spectral_radius(TERMS.H, eta=eta, local_steps=steps, weights=P)
        assert found == pytest.approx(expected, rel=1e-12)
