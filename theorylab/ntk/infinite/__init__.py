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
from theorylab.ntk.infinite.combinators import identity, parallel, residual, serial
from theorylab.ntk.infinite.elementwise import elementwise
from theorylab.ntk.infinite.engine import Kernels
from theorylab.ntk.infinite.layer import Layer
from theorylab.ntk.infinite.pooling import avg_pool, flatten, global_avg_pool
from theorylab.ntk.infinite.regularisation import dropout, layer_norm

__all__ = [
    "Kernels",
    "Layer",
    "abs",
    "avg_pool",
    "conv",
    "cos",
    "dense",
    "dropout",
    "elementwise",
    "erf",
    "flatten",
    "gaussian",
    "gelu",
    "global_avg_pool",
    "identity",
    "layer_norm",
    "leaky_relu",
    "parallel",
    "polynomial",
    "relu",
    "residual",
    "serial",
    "sin",
]
