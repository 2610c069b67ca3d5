"""Small networks that exercise every way in which a parameter meets data. Each entry: (f, params,
x), float32."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax


def _r(seed: int, *shape: int) -> jnp.ndarray:
    return jnp.asarray(
        np.random.default_rng(seed).standard_normal(shape) / max(1, np.prod(shape[:-1])) ** 0.5,
        jnp.float32,
    )


def _x(*shape: int) -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(99).standard_normal((5, *shape)), jnp.float32)


def _conv(x: Any, w: Any, stride: Any = (1, 1), padding: Any = "SAME", **kwargs: Any) -> Any:
    return lax.conv_general_dilated(
        x, w, stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), **kwargs
    )


def mlp() -> tuple:
    p = [(_r(i, a, b), _r(9 + i, b)) for i, (a, b) in enumerate([(4, 8), (8, 8), (8, 3)])]

    def f(p: Any, x: Any) -> Any:
        for w, b in p[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ p[-1][0] + p[-1][1]

    return f, p, _x(4)


def ntk_parametrisation() -> tuple:
    p = {"a": _r(0, 4, 8), "b": _r(1, 8, 3)}
    return lambda p, x: -jnp.tanh(x @ (p["a"] * 1.5) / 2.0) @ (p["b"] / jnp.sqrt(8.0)), p, _x(4)


def shared_weights() -> tuple:
    """The same matrix three times, once scaled and once seen through a double transpose."""
    p = {"w": _r(0, 4, 4), "v": _r(1, 4, 2)}

    def f(p: Any, x: Any) -> Any:
        x = jnp.sin(x @ p["w"])
        x = jnp.sin(x @ (0.7 * p["w"]))
        return jnp.sin(x @ p["w"].T.T) @ p["v"]

    return f, p, _x(4)


def tied_transpose() -> tuple:
    """An autoencoder with tied weights: the two uses share entries in different roles."""
    return lambda p, x: jnp.tanh(x @ p) @ p.T, _r(0, 3, 5), _x(3)


def stacked_layers() -> tuple:
    """Layers as slices of one leaf, unrolled."""

    def f(p: Any, x: Any) -> Any:
        for i in range(3):
            x = jnp.tanh(x @ p["w"][i] + p["b"][i])
        return x

    return f, {"w": _r(0, 3, 4, 4), "b": _r(1, 3, 4)}, _x(4)


def scanned_layers() -> tuple:
    def f(p: Any, x: Any) -> Any:
        return lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p["w"])[0] @ p["v"]

    return f, {"w": _r(0, 3, 4, 4), "v": _r(1, 4, 2)}, _x(4)


def strided_dilated_conv() -> tuple:
    p = {"a": _r(0, 3, 3, 2, 4), "b": _r(1, 3, 2, 4, 3), "c": _r(2, 4)}

    def f(p: Any, x: Any) -> Any:
        x = jax.nn.relu(_conv(x, p["a"], (2, 1), [(1, 2), (0, 1)], rhs_dilation=(1, 2)) + p["c"])
        x = _conv(x, p["b"], (1, 1), [(0, 0), (0, 0)], lhs_dilation=(2, 1))
        return x.mean((1, 2))

    return f, p, _x(8, 7, 2)


def grouped_conv() -> tuple:
    p = {"a": _r(0, 3, 3, 2, 6), "d": _r(1, 3, 3, 1, 12), "w": _r(2, 12, 2)}

    def f(p: Any, x: Any) -> Any:
        x = jax.nn.gelu(_conv(x, p["a"], feature_group_count=2))
        # depthwise with multiplier 2
        x = jax.nn.gelu(_conv(x, p["d"], (2, 2), feature_group_count=6))
        return x.mean((1, 2)) @ p["w"]

    return f, p, _x(6, 6, 4)


def conv_1d_channels_first() -> tuple:
    def f(p: Any, x: Any) -> Any:
        x = lax.conv_general_dilated(
            x, p["w"], (1,), [(2, -1)], dimension_numbers=("NCH", "OIH", "NCH")
        )
        return jnp.tanh(x).reshape(x.shape[0], -1) @ p["v"]

    return f, {"w": _r(0, 3, 2, 3), "v": _r(1, 18, 2)}, _x(2, 7)


def max_pool() -> tuple:
    def f(p: Any, x: Any) -> Any:
        x = jax.nn.relu(_conv(x, p["a"]))
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return x.reshape(x.shape[0], -1) @ p["b"]

    return f, {"a": _r(0, 3, 3, 1, 3), "b": _r(1, 12, 2)}, _x(4, 4, 1)


def weight_norm() -> tuple:
    """A weight that is a function of two leaves: no rule applies, the Jacobian does."""

    def f(p: Any, x: Any) -> Any:
        w = p["g"] * p["v"] / jnp.linalg.norm(p["v"], axis=0)
        return jnp.tanh(x @ w) @ (p["a"] @ p["b"])

    return f, {"g": _r(0, 6), "v": _r(1, 4, 6), "a": _r(2, 6, 1), "b": _r(3, 1, 2)}, _x(4)


def attention() -> tuple:
    """Token and position embeddings, multi-head attention by einsum, layer norm, tied read-out."""
    p = {
        "emb": _r(0, 11, 8) * 3,
        "pos": _r(1, 5, 8),
        "qkv": _r(2, 3, 8, 2, 4),
        "o": _r(3, 2, 4, 8),
        "g": 1 + _r(4, 8),
    }

    def f(p: Any, ids: Any) -> Any:
        h = jnp.take(p["emb"], ids, axis=0) + p["pos"]
        z = (h - h.mean(-1, keepdims=True)) / jnp.sqrt(h.var(-1, keepdims=True) + 1e-3) * p["g"]
        q, k, v = (jnp.einsum("btd,dhe->bthe", z, p["qkv"][i]) for i in range(3))
        a = jax.nn.softmax(jnp.einsum("bthe,bshe->bhts", q, k), -1)
        return (h + jnp.einsum("bhts,bshe,hed->btd", a, v, p["o"])).mean(1)

    ids = np.random.default_rng(3).integers(-2, 11, (5, 5))
    return f, p, jnp.asarray(np.where(ids < 0, 4, ids), jnp.int32)


def tied_embedding() -> tuple:
    def f(p: Any, ids: Any) -> Any:
        return jnp.tanh(p["emb"][ids] @ p["w"]).mean(1) @ p["emb"].T

    return (
        f,
        {"emb": _r(0, 6, 4), "w": _r(1, 4, 4)},
        jnp.asarray(np.random.default_rng(3).integers(0, 6, (5, 3))),
    )


def per_head_weights() -> tuple:
    """A weight with a batch axis in common with the data, and one that is the left operand."""

    def f(p: Any, x: Any) -> Any:
        h = jnp.tanh(jnp.einsum("nhi,hij->nhj", x, p["a"]))
        return jnp.einsum("oi,nhi->no", p["b"], h)

    return f, {"a": _r(0, 3, 4, 2), "b": _r(1, 2, 2)}, _x(3, 4)


def pytrees() -> tuple:
    """Inputs and outputs in trees, an integer leaf among the parameters, a remat block and a
    parameter alone."""

    def f(p: Any, x: Any) -> Any:
        h = jax.checkpoint(lambda h: jnp.tanh(h @ p["w"]))(x["a"] + x["b"][:, :4])
        return {
            "first": h @ p["v"],
            "second": (h.sum(-1) * p["s"], h[:, :2] ** p["power"] + p["s"]),
        }

    x = {"a": _x(4), "b": _x(6)}
    return f, {"w": _r(0, 4, 4), "v": _r(1, 4, 2), "s": jnp.float32(0.3), "power": jnp.int32(2)}, x


def custom_derivatives() -> tuple:
    """Parameters that enter a function with a derivative of its own."""

    @jax.custom_vjp
    def twice(x: Any, w: Any) -> Any:
        return x @ w

    twice.defvjp(
        lambda x, w: (x @ w, (x, w)), lambda res, ct: (2 * ct @ res[1].T, 2 * res[0].T @ ct)
    )
    return (
        lambda p, x: twice(jnp.tanh(x @ p["a"]), p["b"]),
        {"a": _r(0, 4, 4), "b": _r(1, 4, 2)},
        _x(4),
    )


def nnx_cnn() -> tuple:
    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs, use_running_average=True)
            self.layer_norm = nnx.LayerNorm(4, rngs=rngs)
            self.out = nnx.Linear(4, 2, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = jax.nn.relu(self.norm(self.conv(x)))
            return self.out(self.layer_norm(x.mean((1, 2))))

    graph, params, rest = nnx.split(Net(nnx.Rngs(0)), nnx.Param, ...)
    return lambda p, x: nnx.merge(graph, p, rest)(x), params, _x(5, 5, 1)


def linen_mixer() -> tuple:
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.Conv(4, (3,), strides=2, padding="CIRCULAR")(x)
            x = nn.GroupNorm(num_groups=2)(nn.swish(x))
            x = x + nn.Dense(3)(x.swapaxes(1, 2)).swapaxes(1, 2)
            return nn.Dense(2)(x.mean(1))

    net, x = Net(), _x(6, 2)
    return net.apply, net.init(jax.random.key(0), x), x


def equinox_mlp() -> tuple:
    """Parameters and static parts mixed in one tree, as `equinox.partition` takes them apart."""
    keys = jax.random.split(jax.random.key(5), 2)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Linear(6, 8, key=keys[0]),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.LayerNorm(8),
            eqx.nn.Linear(8, 3, key=keys[1]),
        ]
    )
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return lambda p, x: jax.vmap(eqx.combine(p, static))(x), params, _x(6)


ZOO: dict[str, Callable[[], tuple]] = {
    g.__name__: g
    for g in (
        mlp,
        ntk_parametrisation,
        shared_weights,
        tied_transpose,
        stacked_layers,
        scanned_layers,
        strided_dilated_conv,
        grouped_conv,
        conv_1d_channels_first,
        max_pool,
        weight_norm,
        attention,
        tied_embedding,
        per_head_weights,
        pytrees,
        custom_derivatives,
        nnx_cnn,
        linen_mixer,
        equinox_mlp,
    )
}


def dense_kernel(f: Callable, params: Any, x: Any) -> np.ndarray:
    """(N, N, O, O) in float64: the whole Jacobian of the whole batch, contracted by NumPy."""
    with jax.enable_x64(True):

        def wide(tree: Any) -> Any:
            return jax.tree.map(
                lambda a: a.astype("float64") if jnp.issubdtype(a.dtype, jnp.inexact) else a, tree
            )

        params, x = wide(params), wide(x)
        leaves, tree = jax.tree.flatten(params)
        chosen = [i for i, a in enumerate(leaves) if jnp.issubdtype(a.dtype, jnp.inexact)]

        def outputs(weights: list) -> Any:
            new = list(leaves)
            for i, w in zip(chosen, weights, strict=True):
                new[i] = w
            out = f(jax.tree.unflatten(tree, new), x)
            return jnp.concatenate([a.reshape(a.shape[0], -1) for a in jax.tree.leaves(out)], 1)

        jac = jax.jit(jax.jacrev(outputs))([leaves[i] for i in chosen])
        n, o = jac[0].shape[:2]
        flat = np.concatenate([np.asarray(j).reshape(n, o, -1) for j in jac], 2)
    return np.einsum("nop,mqp->nmoq", flat, flat)


def reduced(full: np.ndarray, reduce: str) -> np.ndarray:
    """The other kernels from the full one."""
    outputs = full.shape[-1]
    return {
        "full": full,
        "diagonal": np.einsum("nmoo->nmo", full),
        "trace": np.einsum("nmoo->nm", full) / outputs,
        "sum_logits": full.sum((2, 3)) / outputs,
    }[reduce]
