"""Bounds against the worked example, sampling, the LP and branch and bound."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks as small
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab import robustness as rb
from theorylab.errors import InputError
from theorylab.robustness import LineUnion, LpBall

METHODS = ("ibp", "crown", "alpha-crown", "crown-ibp", "coap")
TOL = 1e-7


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


# the worked example: (threat, l, u, {method: margin})
WORKED = [
    (
        LpBall(0.3),
        (-0.2, -0.5, -0.45),
        (1, 1.3, 0.45),
        {"ibp": -2.4, "coap": -1.845833, "crown": -1.6},
    ),
    (
        LpBall(0.3, 2),
        (-0.024264, -0.270820, -0.335410),
        (0.824264, 1.070820, 0.335410),
        {"ibp": -1.941641, "coap": -1.216616, "crown": -1.207479},
    ),
    (
        LpBall(0.6),
        (-0.8, -1.4, -0.9),
        (1.6, 2.2, 0.9),
        {"ibp": -4.2, "coap": -3.891667, "crown": -3.4},
    ),
]


@pytest.mark.long
@pytest.mark.parametrize(("threat", "low", "high", "expected"), WORKED)
def test_the_worked_example_is_met_to_six_digits(threat, low, high, expected):
    x, y = small.EXAMPLE_X[None], np.array([0])
    found = rb.activation_bounds(small.example, small.EXAMPLE, x, threat)
    np.testing.assert_allclose(found.lower[0].ravel(), low, atol=6e-7)
    np.testing.assert_allclose(found.upper[0].ravel(), high, atol=6e-7)
    for method, margin in expected.items():
        got = rb.certified_margins(small.example, small.EXAMPLE, x, y, threat, method=method)
        assert float(got.lower[0, 0]) == pytest.approx(margin, abs=6e-7)
    zero = rb.certified_margins(
        small.example, small.EXAMPLE, x, y, threat, method=rb.Certifier("coap", "zero")
    )
    # with one hidden layer, zero slopes give IBP's value
    assert float(zero.lower[0, 0]) == pytest.approx(expected["ibp"], abs=6e-7)


@pytest.mark.long
def test_the_lp_and_the_exact_minimum_of_the_worked_example_are_met():
    spec = np.array([[1.0, -1.0]])
    for eps, value in ((0.3, -1.6), (0.6, -3.4)):
        args = (small.example, small.EXAMPLE, small.EXAMPLE_X, spec, LpBall(eps))
        np.testing.assert_allclose(rb.lp_minimum(*args), value, atol=1e-6)
        np.testing.assert_allclose(rb.exact_minimum(*args), value, atol=1e-6)


@pytest.mark.long
def test_the_exact_minimum_over_segments_is_that_of_a_dense_grid_and_not_of_their_hull():
    lines, spec = LineUnion(0.6, np.eye(2)), np.array([[1.0, -1.0]])
    along = np.linspace(-0.6, 0.6, 4001)[:, None, None] * np.eye(2)
    logits = np.asarray(small.example(small.EXAMPLE, small.EXAMPLE_X + along.reshape(-1, 2)))
    args = (small.example, small.EXAMPLE, small.EXAMPLE_X, spec, lines)
    exact = rb.exact_minimum(*args)
    np.testing.assert_allclose(exact, (logits @ spec[0]).min(), atol=1e-3)
    assert rb.lp_minimum(*args)[0] < exact[0] - 0.1  # the hull's minimum is lower


THREATS = {
    "linf": LpBall(0.07),
    "l2": LpBall(0.2, 2),
    "l1": LpBall(0.3, 1),
    "linf clipped": LpBall(0.2, clip=(0.0, 1.0)),
    "l2 clipped": LpBall(0.5, 2, (0.0, 1.0)),
}


@pytest.mark.parametrize(
    "name",
    [
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("mlp", "leaky", "relu6", "cnn", "average pooling")
        ),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("max pooling", "resnet")),
    ],
)
def test_no_sampled_point_is_outside_the_bounds_of_any_method(name):
    f, params, shape = small.built(name, jnp.float64)
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(2, *shape))
    lines = np.linalg.qr(rng.standard_normal((x[0].size, 3)))[0].T.reshape(3, *shape)
    for threat in (*THREATS.values(), LineUnion(0.4, lines)):
        points = np.stack([small.perturbed(rng, one, threat, 200) for one in x])
        out = np.asarray(f(params, points.reshape(-1, *shape))).reshape(2, 200, -1)
        for method in ("ibp", "crown-ibp", "coap") if name == "resnet" else METHODS:
            found = rb.output_bounds(
                f, params, x, threat, method=rb.Certifier(method, alpha_steps=3)
            )
            assert (np.asarray(found.lower)[:, None] <= out + TOL).all(), (threat, method)
            assert (out - TOL <= np.asarray(found.upper)[:, None]).all(), (threat, method)


@pytest.mark.long
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), eps=st.floats(0.05, 0.6))
def test_coap_lp_exact_and_samples_are_in_order(seed, eps):
    params, x = small.random_mlp(seed)
    spec, threat = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]]), LpBall(eps)
    rng = np.random.default_rng(seed)
    points = small.perturbed(rng, x, threat, 300)
    sampled = (small.dense_numpy(params, points) @ spec.T).min(0)
    coap = np.asarray(
        rb.output_bounds(small.dense, params, x[None], threat, spec=spec, method="coap").lower[0]
    )
    lp = rb.lp_minimum(small.dense, params, x, spec, threat)
    exact = rb.exact_minimum(small.dense, params, x, spec, threat)
    scale = 1e-6 * (1 + np.abs(exact))
    assert (coap <= lp + scale).all() and (lp <= exact + scale).all()
    assert (exact <= sampled + scale).all()


@pytest.mark.long
def test_no_method_is_always_the_tighter_one():
    """COAP against IBP, CROWN against COAP: either may win."""
    wins = {"coap>ibp": [], "crown>=coap": [], "crown-ibp>ibp": []}
    spec = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
    for seed in range(60):
        params, x = small.random_mlp(seed)
        eps = np.random.default_rng(seed).uniform(0.05, 0.6)
        low = {
            m: np.asarray(
                rb.output_bounds(
                    small.dense, params, x[None], LpBall(jnp.asarray(eps)), spec=spec, method=m
                ).lower[0]
            )
            for m in ("ibp", "coap", "crown", "crown-ibp")
        }
        wins["coap>ibp"] += list(low["coap"] > low["ibp"])
        wins["crown>=coap"] += list(low["crown"] >= low["coap"])
        wins["crown-ibp>ibp"] += list(low["crown-ibp"] > low["ibp"])
    for name, share in (("coap>ibp", 0.78), ("crown>=coap", 0.70), ("crown-ibp>ibp", 0.80)):
        # 120 pairs: four standard errors of a share are .16
        assert np.mean(wins[name]) == pytest.approx(share, abs=0.16), name
        assert 0 < np.mean(wins[name]) < 1


@pytest.mark.long
def test_alpha_crown_is_never_below_crown():
    params, _ = small.random_mlp(5, (4, 12, 12, 3))
    x = np.random.default_rng(1).standard_normal((4, 4))
    y, threat = np.array([0, 1, 2, 0]), LpBall(0.3)
    crown, alpha = (
        np.asarray(rb.certified_margins(small.dense, params, x, y, threat, method=m).lower)
        for m in ("crown", "alpha-crown")
    )
    assert (alpha >= crown - 1e-12).all() and (alpha > crown + 1e-3).any()


@pytest.mark.long
def test_a_linear_network_is_bounded_exactly_by_every_linear_method():
    rng = np.random.default_rng(0)
    params = {"a": rng.standard_normal((5, 4)), "b": rng.standard_normal((4, 2))}
    x = rng.standard_normal((3, 5))
    whole = (params["a"] @ params["b"]).T
    for p, q in ((math.inf, 1), (2, 2), (1, math.inf)):
        reach = 0.3 * np.linalg.norm(whole, ord=q, axis=1)
        for method in ("crown", "coap", "crown-ibp"):
            found = rb.output_bounds(
                lambda w, z: z @ w["a"] @ w["b"], params, x, LpBall(0.3, p), method=method
            )
            np.testing.assert_allclose(found.lower, x @ whole.T - reach, atol=1e-12)
            np.testing.assert_allclose(found.upper, x @ whole.T + reach, atol=1e-12)


def test_an_entry_that_is_copied_and_meets_itself_again_is_counted_once():
    """x is repeated and summed with weights: the two weights of an entry add before the norm."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((6, 4))
    x = rng.standard_normal((2, 3))
    whole = (w[:3] + w[3:]).T

    def repeated(params, z):
        twice = jnp.broadcast_to(z[:, None], (len(z), 2, 3)).reshape(len(z), 6)
        return jax.nn.relu(twice @ params)

    def gathered(params, z):
        return jax.nn.relu(z[:, np.array([0, 1, 2, 0, 1, 2])] @ params)

    for f in (repeated, gathered):
        for p, q in ((np.inf, 1), (2, 2), (1, np.inf)):
            found = rb.activation_bounds(f, w, x, LpBall(0.3, p), method="crown")
            reach = 0.3 * np.linalg.norm(whole, ord=q, axis=1)
            np.testing.assert_allclose(
                found.upper[0].reshape(2, 4), x @ whole.T + reach, atol=1e-12
            )


def test_a_conversion_to_integers_is_refused():
    with pytest.raises(InputError, match="no rule for 'convert_element_type'"):
        rb.output_bounds(
            lambda w, z: z.astype(int).astype(float) @ w,
            np.ones((3, 2)),
            np.ones((1, 3)),
            LpBall(0.1),
        )


@pytest.mark.long
def test_an_empty_perturbation_gives_the_clean_margin():
    f, params, shape = small.built("cnn", jnp.float64)
    x = np.random.default_rng(0).uniform(size=(3, *shape))
    y = np.array([0, 1, 2])
    logits = np.asarray(f(params, x))
    for method in METHODS:
        found = rb.certified_margins(f, params, x, y, LpBall(0.0), method=method)
        clean = logits[np.arange(3), y][:, None] - np.take_along_axis(
            logits, np.asarray(found.others), 1
        )
        np.testing.assert_allclose(found.lower, clean, atol=1e-9)


@pytest.mark.long
def test_bounds_do_not_depend_on_chunks_and_blocks():
    # neurons in blocks; and chunks whose rows up to the first activations are made once
    cases = [
        (*small.built("cnn", jnp.float64), 2e-4),
        (small.strided, small.strided_params(2), (16, 16, 1), 2e-3),
    ]
    for f, params, shape, memory_gb in cases:
        x = np.random.default_rng(0).uniform(size=(5, *shape))
        y = np.array([0, 1, 2, 0, 1])
        for method in ("crown", "coap", "ibp"):
            whole, chunks = (
                rb.certified_margins(f, params, x, y, LpBall(0.05), method=method, memory_gb=m)
                for m in (1.0, memory_gb)
            )
            np.testing.assert_allclose(whole.lower, chunks.lower, atol=1e-10)


@pytest.mark.long
@pytest.mark.parametrize("method", ["crown-ibp", "crown"])
def test_bounds_have_the_same_derivatives_forward_and_in_reverse(method):
    params = small.strided_params(2)
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 16, 16, 1)))

    @jax.jit
    def lower(some):
        given = params | some
        return rb.certified_margins(
            small.strided, given, x, np.array([0, 2]), LpBall(0.05), method=method
        ).lower

    some = {k: params[k] for k in ("a", "b")}
    forward, reverse = jax.jacfwd(lower)(some), jax.jacrev(lower)(some)
    for name in some:
        assert np.abs(reverse[name]).max() > 0
        np.testing.assert_allclose(forward[name], reverse[name], rtol=1e-9, atol=1e-10)


@pytest.mark.long
def test_float32_bounds_moved_outward_are_below_the_float64_ones():
    spec = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
    below, inside = 0, 0
    for seed in range(20):
        params, x = small.random_mlp(seed, (4, 20, 20, 3), 0.5)
        params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)
        threat = LpBall(0.2)
        for method in ("ibp", "crown", "coap"):
            low = {
                (dtype, outward): np.asarray(
                    rb.output_bounds(
                        small.dense,
                        jax.tree.map(lambda a, d=dtype: a.astype(d), params),
                        jnp.asarray(x[None], jnp.float32).astype(dtype),
                        threat,
                        spec=spec,
                        method=method,
                        outward=outward,
                    ).lower[0],
                    np.float64,
                )
                for dtype in (jnp.float32, jnp.float64)
                for outward in (False, True)
            }
            exact = low[jnp.float64, False]
            below += (low[jnp.float32, False] < exact).sum()
            inside += (low[jnp.float32, False] > exact).sum()
            assert (low[jnp.float32, True] <= exact).all()
            assert (exact - low[jnp.float32, True] < 0.02 * (1 + np.abs(exact))).all()
            assert (exact - low[jnp.float64, True] < 1e-10 * (1 + np.abs(exact))).all()
    # without the margin rounding goes either way, so the margin is needed
    assert inside > 10 and below > 10


def test_an_unsupported_operation_is_refused_by_name():
    params = {"w": np.ones((3, 2))}
    x = np.ones((1, 3))
    for name, f in {
        "tanh": lambda w, z: jnp.tanh(z @ w["w"]),
        "exp": lambda w, z: jax.nn.softmax(z @ w["w"]),
        "sort": lambda w, z: jnp.sort(z, axis=1) @ w["w"],
    }.items():
        with pytest.raises(InputError, match=f"no rule for '{name}'"):
            rb.output_bounds(f, params, x, LpBall(0.1))


@pytest.mark.long
def test_gradients_flow_through_the_bounds_of_the_neurons():
    """A stopped gradient at the bounds would differ from finite differences of the margin."""
    params, x = small.random_mlp(3)

    def margin(t):
        moved = [(params[0][0] * (1 + t), params[0][1]), *params[1:]]
        y = np.array([0])
        found = rb.certified_margins(small.dense, moved, x[None], y, LpBall(0.3), method="coap")
        return found.lower.sum()

    numeric = (margin(1e-6) - margin(-1e-6)) / 2e-6
    assert float(jax.grad(margin)(0.0)) == pytest.approx(float(numeric), rel=1e-5)


@pytest.mark.long
def test_an_estimate_tends_to_the_bound_it_estimates():
    f, params, shape = small.built("cnn", jnp.float64)
    x = np.random.default_rng(0).uniform(size=(2, *shape))
    y = np.array([0, 1])
    for threat in (LpBall(0.05), LpBall(0.2, 2)):
        exact = np.asarray(rb.certified_margins(f, params, x, y, threat, method="coap").lower)
        clean = np.asarray(rb.certified_margins(f, params, x, y, LpBall(0.0)).lower)
        key = jax.random.key(0)
        found = rb.estimated_margins(f, params, x, y, threat, key=key, projections=4001)
        # the relative error of a median of 4001 Cauchy sizes is pi / (2 sqrt(4001)) = .025
        assert (np.abs(found.margins - exact) < 0.1 * (clean - exact)).all()


def test_alignment_of_segments_is_the_largest_coordinate():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((200_000, 10))
    for k, expected in ((1, 0.25869), (2, 0.3658), (5, 0.509), (10, 0.610)):
        found = rb.alignment(LineUnion(1.0, np.eye(10)[:k]), u)
        assert found.mean() == pytest.approx(expected, abs=2e-3)
    assert (rb.alignment(LpBall(1.0, 2), u) == 1).all()
