import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import MLP, count_parameters, functional


def test_parameter_count_is_the_sum_over_layers():
    assert (
        count_parameters(MLP((784, 128, 10), rngs=nnx.Rngs(0))) == 784 * 128 + 128 + 128 * 10 + 10
    )
    assert (
        count_parameters(MLP((784, 128, 10), bias=False, rngs=nnx.Rngs(0))) == 784 * 128 + 128 * 10
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_forward_pass_is_the_formula_of_its_parametrisation(bias, parametrization):
    model = MLP(
        (3, 4, 2),
        bias=bias,
        parametrization=parametrization,
        w_std=1.5,
        b_std=0.3,
        rngs=nnx.Rngs(1),
    )
    f, params = functional(model)
    x = np.linspace(-1, 1, 15).reshape(5, 3)
    z = x
    for layer, fan_in in enumerate((3, 4)):
        p = jax.tree.map(np.asarray, params["layers"][layer])
        w, b = (1.5 / fan_in**0.5, 0.3) if parametrization == "ntk" else (1.0, 1.0)
        z = (np.maximum(z, 0) if layer else z) @ p["kernel"] * w + b * p.get("bias", 0.0)
    np.testing.assert_allclose(f(params, x), z, rtol=1e-5, atol=1e-6)


def test_wide_ntk_network_has_the_arc_cosine_tangent_kernel():
    width, d, seeds = 1024, 3, 16
    x = jnp.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, -1.0, 2.0]])
    model = MLP((d, width, 1), parametrization="ntk", w_std=2**0.5, bias=False, rngs=nnx.Rngs(0))
    f, params = functional(model)

    @jax.jit
    def kernel(key):
        leaves, layout = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        p = jax.tree.unflatten(
            layout, [jax.random.normal(k, a.shape) for k, a in zip(keys, leaves, strict=True)]
        )
        jacobian = jax.tree.leaves(jax.jacobian(lambda p: f(p, x)[:, 0])(p))
        return sum(jnp.einsum("n...,m...->nm", j, j) for j in jacobian)

    found = np.mean([kernel(jax.random.key(s)) for s in range(seeds)], axis=0)
    # Cho & Saul (2009): S0 = w_std^2 x.x'/d, NTK = S1 + S0 2 kappa_0 / 2pi ..., both arc-cosine
    # kernels in closed form
    s0 = 2 * np.asarray(x) @ np.asarray(x).T / d
    norms = np.sqrt(np.diag(s0))
    angle = np.arccos(np.clip(s0 / np.outer(norms, norms), -1, 1))
    k1 = np.outer(norms, norms) * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    k0 = (np.pi - angle) / (2 * np.pi)
    # an entry averages width * seeds terms; E[relu^4] = 3/2 against E[relu^2]^2 = 1/4 bounds the
    # relative variance by 5 for each of the two sums: 5 standard errors
    np.testing.assert_allclose(
        found, 2 * k1 + 2 * s0 * k0, atol=5 * np.sqrt(5 / (width * seeds)) * (2 * k1 + s0).max()
    )


def test_images_are_flattened_and_features_feed_the_last_layer():
    model = MLP((12, 5, 2), rngs=nnx.Rngs(0))
    x = np.ones((3, 2, 2, 3), np.float32)
    h = model.features(x)
    assert h.shape == (3, 5)
    np.testing.assert_allclose(model(x), model(x.reshape(3, 12)))
    np.testing.assert_allclose(model.layers[-1](h), model(x))


def test_no_samples_give_no_outputs():
    assert MLP((4, 3, 2), rngs=nnx.Rngs(0))(np.zeros((0, 4), np.float32)).shape == (0, 2)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: MLP((3,), rngs=nnx.Rngs(0)), "widths"),
        (lambda: MLP((3, 0, 2), rngs=nnx.Rngs(0)), "widths"),
        (lambda: MLP((3, 2), parametrization="mup", rngs=nnx.Rngs(0)), "parametrization"),
        (
            lambda: MLP((3, 2), rngs=nnx.Rngs(0))(np.ones((4, 5), np.float32)),
            r"\(4, 5\) given.*\(any, 3\)",
        ),
        (lambda: MLP((3, 2), rngs=nnx.Rngs(0))(np.ones((4, 3), np.uint8)), "astype"),
    ],
)
def test_bad_input_is_named(make, word):
    with pytest.raises(InputError, match=word):
        make()
