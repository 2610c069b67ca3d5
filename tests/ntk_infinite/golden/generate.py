"""Writes parity.npz: random compositions of combinators and the kernels neural-tangents 0.6.5 gives
for them.

Environment (its own; Python 3.11):
    pip install jax==0.4.25 jaxlib==0.4.25 "numpy<2" "scipy<1.13" absl-py dm-tree frozendict
    pip install --no-deps neural-tangents==0.6.5
TensorFlow is not needed: its imports are stubbed below. Usage: JAX_ENABLE_X64=1 python generate.py

Networks are stored as JSON: a list of [name, {arguments}] in theorylab's vocabulary; "parallel" has
"branches".
"""

import json
import random
import sys
import warnings
from pathlib import Path
from unittest.mock import MagicMock

for module in (
    "tensorflow",
    "tf2jax",
    "jax.experimental.jax2tf",
    "neural_tangents.experimental.empirical_tf.empirical",
):
    sys.modules[module] = MagicMock()
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from neural_tangents import stax  # noqa: E402

NETWORKS = 36
FUNCTIONS = {
    "tanh": jnp.tanh,
    "softplus": lambda x: jnp.log1p(jnp.exp(x)),
    "sigmoid": lambda x: 1 / (1 + jnp.exp(-x)),
}


def translate(spec):
    """The same network in neural-tangents."""
    return stax.serial(*[one(name, dict(args)) for name, args in spec])


def one(name, a):
    scales = {"W_std": a.get("sigma_w", 1.0), "b_std": a.get("sigma_b", 0.0)}
    window = {"strides": tuple(a.get("strides", ())), "padding": a.get("padding")}
    if name == "parallel":
        branches = [translate(branch) for branch in a["branches"]]
        return stax.serial(stax.FanOut(len(branches)), stax.parallel(*branches), stax.FanInSum())
    return {
        "dense": lambda: stax.Dense(4, **scales),
        "conv": lambda: stax.Conv(4, tuple(a["window"]), **window, **scales),
        "identity": stax.Identity,
        "relu": stax.Relu,
        "abs": stax.Abs,
        "gelu": stax.Gelu,
        "leaky_relu": lambda: stax.LeakyRelu(a["negative_slope"]),
        "erf": lambda: stax.Erf(a["a"], a["b"], a["c"]),
        "sin": lambda: stax.Sin(a["a"], a["b"], a["c"]),
        "cos": lambda: stax.Cos(a["a"], a["b"], a["c"]),
        "gaussian": lambda: stax.Gaussian(a["a"], -a["b"]),
        "polynomial": lambda: stax.Polynomial(a["coefficients"]),
        "elementwise": lambda: stax.ElementwiseNumerical(FUNCTIONS[a["fn"]], deg=64),
        "flatten": stax.Flatten,
        "global_avg_pool": stax.GlobalAvgPool,
        "avg_pool": lambda: stax.AvgPool(
            tuple(a["window"]), normalize_edges=a["normalize_edges"], **window
        ),
        "layer_norm": lambda: stax.LayerNorm(axis=-1 if a["axis"] == "channels" else a["axes"]),
        "dropout": lambda: stax.Dropout(a["keep"]),
    }[name]()


class Grammar:
    """Random networks in which every layer is allowed where it stands."""

    def __init__(self, seed, image):
        self.rng, self.image = random.Random(seed), image

    def number(self, low, high):
        return round(self.rng.uniform(low, high), 3)

    def affine(self, keep_shape=False):
        scales = {
            "sigma_w": self.number(0.7, 1.6),
            "sigma_b": self.rng.choice([0.0, self.number(0.1, 0.8)]),
        }
        if not self.image or self.rng.random() < 0.2:
            return ["dense", scales]
        padding = self.rng.choice(
            ["SAME", "CIRCULAR"] if keep_shape else ["SAME", "CIRCULAR", "VALID"]
        )
        window = self.rng.choice(
            [[2, 2], [1, 2]] if padding == "VALID" else [[3, 3], [2, 3], [3, 2]]
        )
        strides = (
            [1, 1]
            if keep_shape or padding == "VALID"
            else self.rng.choice([[1, 1], [1, 1], [2, 1], [1, 2]])
        )
        return ["conv", {"window": window, "strides": strides, "padding": padding, **scales}]

    def activation(self):
        """Layers of one nonlinearity; quadrature (64² nodes in neural-tangents) needs unit variance
        to be accurate."""
        layer = self.nonlinearity()
        return (
            [["layer_norm", {"axis": "channels"}], layer] if layer[0] == "elementwise" else [layer]
        )

    def nonlinearity(self):
        abc = {"a": self.number(0.5, 1.5), "b": self.number(0.5, 1.5), "c": self.number(-0.5, 0.5)}
        return self.rng.choice(
            [
                ["relu", {}],
                ["abs", {}],
                ["gelu", {}],
                ["leaky_relu", {"negative_slope": self.number(-0.5, 0.5)}],
                ["erf", abc],
                ["sin", abc],
                ["cos", abc],
                ["gaussian", {"a": abc["a"], "b": abc["b"]}],
                ["polynomial", {"coefficients": [self.number(-1, 1) for _ in range(4)]}],
                ["elementwise", {"fn": self.rng.choice(sorted(FUNCTIONS))}],
            ]
        )

    def norm(self):
        axis = self.rng.choice(["channels", "all"])
        return ["layer_norm", {"axis": axis, "axes": [1, 2, 3] if self.image else [1]}]

    def pool(self, last=False):
        # A "VALID" window may not fit after earlier shrinking: it comes last or not at all.
        padding = self.rng.choice(["SAME", "CIRCULAR", "VALID"] if last else ["SAME", "CIRCULAR"])
        edges = padding == "SAME" and self.rng.random() < 0.5
        strides = [1, 1] if padding == "VALID" else self.rng.choice([[1, 1], [2, 2]])
        window = [1, 1] if padding == "VALID" else [2, 2]
        return [
            "avg_pool",
            {"window": window, "strides": strides, "padding": padding, "normalize_edges": edges},
        ]

    def branch(self, depth):
        inner = [self.branches(depth - 1)] if depth and self.rng.random() < 0.4 else []
        return [*inner, *self.activation(), self.affine(keep_shape=True)]

    def branches(self, depth):
        first = self.rng.choice([[["identity", {}]], self.branch(depth)])
        return ["parallel", {"branches": [first, self.branch(depth)]}]

    def network(self):
        layers = [self.affine()]
        for _ in range(self.rng.randint(1, 3)):  # between blocks the field is Gaussian
            if self.rng.random() < 0.5:
                layers.append(self.branches(1))
            if self.rng.random() < 0.3:
                layers.append(self.norm())
            if self.image and self.rng.random() < 0.3:
                layers.append(self.pool())
            layers += self.activation()
            if self.rng.random() < 0.25:
                layers.append(["dropout", {"keep": self.number(0.4, 0.9)}])
            layers.append(self.affine(keep_shape=True))
        if self.image:
            layers += [
                *self.activation(),
                self.rng.choice([["flatten", {}], ["global_avg_pool", {}], self.pool(last=True)]),
            ]
            self.image = False
        return [*layers, self.affine()]


def main():
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    arrays = {}
    for seed in range(NETWORKS):
        image = seed % 2 == 1
        spec = Grammar(seed, image).network()
        shape = (4, 5, 2) if image else (6,)
        x1, x2 = (rng.normal(size=(n, *shape)) for n in (3, 2))
        kernel = translate(spec)[2]
        arrays[f"{seed}/spec"] = np.array(json.dumps(spec))
        arrays[f"{seed}/x1"], arrays[f"{seed}/x2"] = x1, x2
        for name, other in (("self", None), ("cross", x2)):
            out = kernel(x1, other, ("nngp", "ntk"))
            for get in ("nngp", "ntk"):
                k = np.asarray(getattr(out, get))
                assert k.dtype == np.float64
                # neural-tangents interleaves (h, h', w, w'): keep one row of pairs, to stay small
                if k.ndim == 6:
                    k = k.transpose(0, 1, 2, 4, 3, 5)[:1]
                arrays[f"{seed}/{name}/{get}"] = k
    path = Path(__file__).with_name("parity.npz")
    np.savez_compressed(path, **arrays)
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
