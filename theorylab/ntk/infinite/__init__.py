"""Infinite-width networks: combinators, their NNGP and NTK kernels, and finite networks of one law.

    net = serial(dense(sigma_w=2**0.5), relu(), dense())
    k = net.kernel(x_test, x_train, get="both")       # k.nngp, k.ntk in float64
    params = net.init(jax.random.key(0), x_train.shape)
    y = net.apply(params, x_train)

Conventions are those of neural-tangents: NTK parametrisation, `width` first; its W_std and b_std
are called `sigma_w` and `sigma_b` here.
"""

from theorylab.ntk.infinite.activations import (
    abs,
    cos,
    erf,
    gaussian,
    gelu,
    leaky_relu,
    polynomial,
    relu,
    sin,
)
from theorylab.ntk.infinite.affine import conv, dense
from theorylab.ntk.infinite.attention import Embedding, attention
from theorylab.ntk.infinite.closed_forms import (
    dual_activation,
    exp,
    exp_normalized,
    gabor,
    hermite,
    monomial,
    rbf,
    rectified_monomial,
    sign,
)
from theorylab.ntk.infinite.combinators import identity, parallel, residual, serial
from theorylab.ntk.infinite.elementwise import elementwise
from theorylab.ntk.infinite.engine import Kernels
from theorylab.ntk.infinite.layer import Layer
from theorylab.ntk.infinite.local import conv_local
from theorylab.ntk.infinite.pooling import avg_pool, flatten, global_avg_pool
from theorylab.ntk.infinite.recurrent import one_hot, recurrent
from theorylab.ntk.infinite.regularisation import dropout, layer_norm
from theorylab.ntk.infinite.transposed import conv_transpose

__all__ = [
    "Embedding",
    "Kernels",
    "Layer",
    "abs",
    "attention",
    "avg_pool",
    "conv",
    "conv_local",
    "conv_transpose",
    "cos",
    "dense",
    "dropout",
    "dual_activation",
    "elementwise",
    "erf",
    "exp",
    "exp_normalized",
    "flatten",
    "gabor",
    "gaussian",
    "gelu",
    "global_avg_pool",
    "hermite",
    "identity",
    "layer_norm",
    "leaky_relu",
    "monomial",
    "one_hot",
    "parallel",
    "polynomial",
    "rbf",
    "rectified_monomial",
    "recurrent",
    "relu",
    "residual",
    "serial",
    "sign",
    "sin",
]
