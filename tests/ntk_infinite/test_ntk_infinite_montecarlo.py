"""Every combinator's kernel is the mean of its own finite networks' kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.ntk.infinite import (
    abs,
    avg_pool,
    conv,
    cos,
    dense,
    dropout,
    elementwise,
    erf,
    flatten,
    gaussian,
    gelu,
    global_avg_pool,
    layer_norm,
    leaky_relu,
    parallel,
    polynomial,
    relu,
    residual,
    serial,
    sin,
)

WIDTH, OUTPUTS, DRAWS = 64, 48, 192
SCALES = {"sigma_w": 1.3, "sigma_b": 0.4}
HIDDEN = dense(WIDTH, **SCALES)


def vectors(*layers):
    return serial(HIDDEN, *layers, dense(OUTPUTS, sigma_w=1.2, sigma_b=0.2))


def images(*layers, **options):
    return serial(conv(WIDTH, 2, **SCALES, **options), *layers, dense(OUTPUTS, sigma_w=1.2))


NETWORKS = {
    "relu": vectors(relu(), HIDDEN, relu()),
    "leaky_relu": vectors(leaky_relu(0.3)),
    "abs": vectors(abs()),
    "erf": vectors(erf(1.2, 0.7, 0.3), HIDDEN, erf()),
    "gelu": vectors(gelu()),
    "sin": vectors(sin(0.8, 1.1, 0.4)),
    "cos": vectors(cos()),
    "gaussian": vectors(gaussian(1.3, 0.6)),
    "polynomial": vectors(polynomial([0.2, 0.5, 0.3])),
    "elementwise": vectors(elementwise(jnp.tanh)),
    "layer_norm": vectors(relu(), HIDDEN, layer_norm(), gelu()),
    "dropout": vectors(relu(), dropout(0.7), HIDDEN, relu()),
    "residual": vectors(residual(relu(), HIDDEN), relu()),
    "parallel": vectors(parallel(serial(relu(), HIDDEN), serial(erf(), HIDDEN)), relu()),
    "conv SAME, strides, flatten": images(relu(), flatten(), padding="SAME", strides=(2, 1)),
    "conv VALID, global_avg_pool": images(relu(), global_avg_pool(), padding="VALID"),
    "conv CIRCULAR, layer_norm all": images(
        layer_norm("all"), relu(), flatten(), padding="CIRCULAR"
    ),
    "conv after conv, avg_pool": images(
        relu(),
        conv(WIDTH, 2, padding="SAME"),
        relu(),
        avg_pool(2, strides=2, padding="SAME"),
        flatten(),
    ),
    "dropout on a field, global_avg_pool": images(relu(), dropout(0.6), global_avg_pool()),
}
FIELDS = [name for name in NETWORKS if " " in name]

# Single activations are compared with integrals elsewhere; here they only take compile time.
SLOW = {
    "leaky_relu",
    "abs",
    "gelu",
    "sin",
    "cos",
    "gaussian",
    "polynomial",
    "elementwise",
    "conv after conv, avg_pool",
}
CASES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NETWORKS]


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_kernel_is_the_mean_of_finite_networks_kernels(name):
    net = NETWORKS[name]
    x = np.random.default_rng(0).normal(size=(3, 3, 3, 2) if name in FIELDS else (3, 4))
    x[1] = 0.8 * x[0] + 0.2 * x[1]  # a strongly correlated pair
    x = jnp.asarray(x, jnp.float32)

    def draw(key):
        key_init, key_mask = jax.random.split(key)
        params = net.init(key_init, x.shape)
        outputs, pullback = jax.vjp(lambda p: net.apply(p, x, key=key_mask), params)
        rows = [pullback(jnp.zeros_like(outputs).at[i, 0].set(1))[0] for i in range(x.shape[0])]
        flat = jnp.stack(
            [jnp.concatenate([g.ravel() for g in jax.tree.leaves(row)]) for row in rows]
        )
        return {"ntk": flat @ flat.T, "nngp": outputs @ outputs.T / OUTPUTS}

    draws = jax.jit(lambda keys: jax.lax.map(draw, keys))(
        jax.random.split(jax.random.key(1), DRAWS)
    )
    exact = net.kernel(x, get="both")._asdict()
    for get, k in draws.items():
        k = np.asarray(k, np.float64)
        # Five standard errors of the mean over draws, plus the bias of finite width, which is
        # O(1/W) of the entry's scale √(K_ii K_jj) per layer: 2 layers, constant 2.
        scale = np.sqrt(np.outer(*[np.diag(exact[get])] * 2))
        tolerance = 5 * k.std(0, ddof=1) / DRAWS**0.5 + 4 / WIDTH * scale
        assert np.all(np.abs(k.mean(0) - exact[get]) <= tolerance), (
            get,
            k.mean(0),
            exact[get],
            tolerance,
        )
        assert np.all(tolerance < 0.3 * scale), "the check would not see an error of 30 %"


@pytest.mark.slow
def test_deviation_from_the_limit_falls_as_the_square_root_of_the_width():
    x = jax.random.normal(jax.random.key(0), (4, 5))
    errors = []
    widths = (16, 64, 256)
    for width in widths:
        net = serial(dense(width, sigma_w=2**0.5), relu(), dense(1))
        exact = np.asarray(net.kernel(x))

        def deviation(key, net=net, exact=exact):
            params = net.init(key, x.shape)
            grads = jax.vmap(jax.grad(lambda p, one: net.apply(p, one[None])[0, 0]), (None, 0))(
                params, x
            )
            flat = jnp.concatenate([g.reshape(4, -1) for g in jax.tree.leaves(grads)], axis=1)
            return jnp.linalg.norm(
                flat @ flat.T - jnp.asarray(exact, jnp.float32)
            ) / np.linalg.norm(exact)

        errors.append(
            np.asarray(
                jax.jit(jax.vmap(deviation))(jax.random.split(jax.random.key(2), 200))
            ).mean()
        )
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    # 200 draws: each mean is known to about 3 %, which moves the slope over a factor 16 in width by
    # 0.015.
    assert -0.6 < slope < -0.4
