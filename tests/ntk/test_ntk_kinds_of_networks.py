"""Networks of every kind in everything that takes `f`: the right number, or a refusal by name.

Complex numbers, coupled samples, derivatives that are not finite, outputs without the axis of
samples, leaves that are no floating-point arrays, layers without a forward mode.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.federated import FeatureOptions, convexify, pad_clients
from theorylab.ntk import (
    empirical_ntk,
    entk_features,
    linearize,
    ntk_operator,
    nystrom_features,
    random_head,
    sketch_ntk,
)

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (5, 4))
W = {"w": jax.random.normal(jax.random.key(2), (4, 6)), "v": jax.random.normal(KEY, (6, 3))}
LABELS = np.array([0, 1, 0, 1, 0])


def network(p, x):
    return jnp.tanh(x @ p["w"]) @ p["v"]


def convex(f, p, x, head="logit_sum"):
    clients = pad_clients(np.asarray(x), LABELS, [np.arange(3), np.arange(3, 5)])
    return convexify((f, p), clients, FeatureOptions(head, standardize=False), key=KEY).features


# everything that takes f(params, x)
USES = {
    **{
        f"empirical_ntk {reduce} {method}": lambda f, p, x, r=reduce, m=method: empirical_ntk(
            f, p, x, reduce=r, method=m
        )
        for reduce in ("full", "diagonal", "trace", "sum_logits")
        for method in ("auto", "jacobian", "ntk_vp")
    },
    **{
        f"entk_features {head}": lambda f, p, x, h=head: entk_features(
            f, p, x, head=h, key=KEY if h == "random" else None
        )
        for head in ("logit_sum", "per_class", "random")
    },
    **{
        f"sketch_ntk {kind}": lambda f, p, x, k=kind: sketch_ntk(f, p, x, 16, KEY, kind=k).features
        for kind in ("gaussian", "rademacher", "sjlt", "kronecker")
    },
    "ntk_operator full": lambda f, p, x: ntk_operator(f, p, x) @ jnp.ones(15),
    "ntk_operator sum_logits": lambda f, p, x: (
        ntk_operator(f, p, x, reduce="sum_logits") @ jnp.ones(5)
    ),
    "nystrom_features": lambda f, p, x: nystrom_features(f, p, x, np.array([0, 2])),
    "random_head": lambda f, p, x: random_head(f, p, x, KEY)[0](random_head(f, p, x, KEY)[1], x),
    "linearize": lambda f, p, x: linearize(f, p)(jax.tree.map(lambda a: a, p), x),
    "convexify": lambda f, p, x: convex(f, p, x)[0],
    "convexify random": lambda f, p, x: convex(f, p, x, "random")[0],
}


@pytest.mark.long
@pytest.mark.parametrize("use", USES)
def test_what_has_no_kernel_pair_by_pair_is_refused_everywhere(use):
    normed = lambda p, x: network(p, (x - x.mean(0)) / x.std(0))  # noqa: E731
    with pytest.raises(InputError, match="couples the samples"):
        USES[use](normed, W, X)
    if use == "random_head":
        return
    kink = lambda p, x: network(p, x) + jnp.sqrt((0 * p["w"]).sum())  # noqa: E731
    with pytest.raises(InputError, match=r"non-finite|NaN or infinite at client 0"):
        USES[use](kink, W, X)


@pytest.mark.parametrize("use", [use for use in USES if use != "linearize"])
def test_outputs_without_the_axis_of_samples_are_refused_everywhere(use):
    for f in (
        lambda p, x: (network(p, x), {"mean": x.mean(0)}),
        lambda p, x: (network(p, x), jnp.mean(x)),
        lambda p, x: network(p, x).sum(),
        lambda p, x: jnp.stack([network(p, x)] * 5),  # as many times as samples
        lambda p, x: (),
    ):
        with pytest.raises(InputError, match=r"first axis|cannot be called"):
            USES[use](f, W, X)
    with pytest.raises(InputError, match=r"outputs have dtype int|cannot be called"):
        USES[use](lambda p, x: network(p, x).argmax(1), W, X)


@pytest.mark.parametrize("use", [use for use in USES if use != "linearize"])
def test_complex_parameters_and_outputs_are_refused_by_name(use):
    phase = jax.tree.map(lambda a: a * jnp.exp(1j), W)
    named = r"params holds complex64; the tangent kernel of a complex|start has dtype complex64"
    with pytest.raises(InputError, match=named):
        USES[use](lambda p, x: jnp.abs(network(p, x.astype(complex))), phase, X)
    with pytest.raises(InputError, match=r"outputs have dtype complex64.*imaginary parts"):
        USES[use](lambda p, x: network(p, x) * 1j, W, X)


def by_hand(f, p, x):
    """The Jacobian (n, o, entries) in float64 by central differences of every real parameter."""
    leaves, tree = jax.tree.flatten(jax.tree.map(lambda a: np.asarray(a, np.float64), p))
    flat = np.concatenate([leaf.ravel() for leaf in leaves])

    def at(v):
        parts = np.split(v, np.cumsum([leaf.size for leaf in leaves])[:-1])
        shaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        with jax.enable_x64(True):
            return np.asarray(f(jax.tree.unflatten(tree, shaped), jax.tree.map(np.asarray, x)))

    columns = [(at(flat + e) - at(flat - e)) / 2e-6 for e in 1e-6 * np.eye(flat.size)]
    return np.stack(columns, -1)


@pytest.mark.long
@pytest.mark.parametrize("method", ["auto", "jacobian", "ntk_vp"])
def test_complex_numbers_inside_of_a_real_network_and_complex_data(method):
    """Spectral layers, and a real weight that is cast to a complex one before its product."""
    data = X + 1j * X[::-1]

    def spectral(p, x):
        mixed = x @ p["w"].astype(x.dtype) * (p["re"] + 1j * p["im"])
        return jnp.abs(mixed) @ p["v"] + jnp.real(mixed @ p["v"].astype(x.dtype))

    p = W | {"re": jnp.arange(1.0, 7), "im": jnp.arange(6.0)}
    J = by_hand(spectral, p, np.asarray(data, np.complex128))
    for reduce, exact in (
        ("full", np.einsum("nop,mqp->nmoq", J, J)),
        ("diagonal", np.einsum("nop,mop->nmo", J, J)),
        ("trace", np.einsum("nop,mop->nm", J, J) / 3),
        ("sum_logits", np.einsum("np,mp->nm", J.sum(1), J.sum(1)) / 3),
    ):
        for dtype, tolerance in ((None, 1e-4), (jnp.float64, 1e-7)):
            got = empirical_ntk(spectral, p, data, reduce=reduce, method=method, dtype=dtype)
            np.testing.assert_allclose(got, exact, atol=tolerance * np.abs(exact).max())


@jax.custom_vjp
def softplus_by_hand(x):
    return jnp.logaddexp(x, 0)


softplus_by_hand.defvjp(lambda x: (softplus_by_hand(x), x), lambda x, g: (g * jax.nn.sigmoid(x),))


@pytest.mark.long
@pytest.mark.parametrize("use", USES)
def test_layers_without_a_forward_mode(use):
    own = lambda p, x: softplus_by_hand(x @ p["w"]) @ p["v"]  # noqa: E731
    jaxs = lambda p, x: jnp.logaddexp(x @ p["w"], 0) @ p["v"]  # noqa: E731
    got, exact = USES[use](own, W, X), USES[use](jaxs, W, X)
    np.testing.assert_allclose(got, exact, rtol=1e-4, atol=1e-4)


def test_products_and_expansions_of_layers_without_a_forward_mode_against_the_jacobian():
    own = lambda p, x: softplus_by_hand(x @ p["w"]) @ p["v"]  # noqa: E731
    J = by_hand(lambda p, x: jnp.logaddexp(x @ p["w"], 0) @ p["v"], W, X).reshape(15, -1)
    v = np.arange(15.0)
    np.testing.assert_allclose(ntk_operator(own, W, X) @ v, J @ (J.T @ v), rtol=1e-4)
    step = jax.tree.map(lambda a: jnp.cos(a), W)
    moved = jax.tree.map(jnp.add, W, step)
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(step)])
    expected = np.asarray(own(W, X)).ravel() + J @ flat
    np.testing.assert_allclose(linearize(own, W)(moved, X).ravel(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        jax.jit(linearize(own, W))(moved, X).ravel(), expected, rtol=1e-4, atol=1e-4
    )


LEAVES = {
    "counter": jnp.array(3),
    "key": KEY,
    "legacy key": jax.random.PRNGKey(0),
    "None": None,
    "whole number": 3,
    "flag": True,
    "NumPy": np.arange(3),
}


@pytest.mark.long
@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("use", [use for use in USES if not use.startswith("convexify")])
def test_leaves_that_are_no_floating_point_numbers_stay_as_they_are(use, leaf):
    f = lambda p, x: network(p, x) + (0 if p["more"] is None else 1)  # noqa: E731
    got = USES[use](f, W | {"more": LEAVES[leaf]}, X)
    exact = USES[use](lambda p, x: network(p, x) + (0 if leaf == "None" else 1), W, X)
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("use", [use for use in USES if not use.startswith("convexify")])
def test_a_python_float_is_a_parameter_and_a_function_is_none(use):
    f = lambda p, x: p["scale"] * network(p, x)  # noqa: E731
    got, exact = (USES[use](f, W | {"scale": s}, X) for s in (0.5, jnp.array(0.5)))
    np.testing.assert_allclose(got, exact, rtol=1e-5)
    with pytest.raises(InputError, match="params holds <"):
        USES[use](network, W | {"act": jnp.tanh}, X)
    if use != "linearize":
        with pytest.raises(InputError, match="params holds no floating-point numbers"):
            USES[use](lambda p, x: x, {"n": 3}, X)


def test_linearize_keeps_whole_numbers_and_names_what_does_not_fit():
    f = lambda p, x: (network(p, x), p["step"] + 1)  # noqa: E731
    p = W | {"step": jnp.array(3)}
    value, step = linearize(f, p)(jax.tree.map(lambda a: a * 2, p), X)
    assert int(step) == 4 and np.isfinite(value).all()
    with pytest.raises(InputError, match="new_params has structure"):
        linearize(f, p)(W, X)
    # a loss couples its samples by nature, and is expanded
    loss = lambda p, x: (network(p, x) ** 2).mean()  # noqa: E731
    assert float(linearize(loss, W)(W, X)) == pytest.approx(float(loss(W, X)))
