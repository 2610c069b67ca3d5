"""Layers with neural-tangents' names and signatures, over the engine of `theorylab.ntk.infinite`.

Each is a triple (init_fn, apply_fn, kernel_fn).
"""

from theorylab.neural_tangents.masks import MaskedArray, supports_masking, unmask_fn
from theorylab.neural_tangents.requirements import Bool, Diagonal, layer, requires
from theorylab.neural_tangents.stax.affine import Conv, ConvLocal, ConvTranspose, Dense, Padding
from theorylab.neural_tangents.stax.aggregate import Aggregate, AggregateImplementation
from theorylab.neural_tangents.stax.attention import (
    AttentionMechanism,
    GlobalSelfAttention,
    PositionalEmbedding,
)
from theorylab.neural_tangents.stax.branching import FanInConcat, FanInProd, FanInSum
from theorylab.neural_tangents.stax.combinators import FanOut, parallel, repeat, serial
from theorylab.neural_tangents.stax.elementwise import (
    ABRelu,
    Abs,
    Cos,
    Elementwise,
    ElementwiseNumerical,
    Erf,
    Exp,
    ExpNormalized,
    Gabor,
    Gaussian,
    Gelu,
    Hermite,
    LeakyRelu,
    Monomial,
    Polynomial,
    Rbf,
    RectifiedMonomial,
    Relu,
    Sigmoid_like,
    Sign,
    Sin,
)
from theorylab.neural_tangents.stax.maps import DotGeneral, ImageResize, Index, Slice
from theorylab.neural_tangents.stax.normalisation import Dropout, Identity, LayerNorm
from theorylab.neural_tangents.stax.pooling import (
    AvgPool,
    Flatten,
    GlobalAvgPool,
    GlobalSumPool,
    SumPool,
)

__all__ = [
    "ABRelu",
    "Abs",
    "Aggregate",
    "AggregateImplementation",
    "AttentionMechanism",
    "AvgPool",
    "Bool",
    "Conv",
    "ConvLocal",
    "ConvTranspose",
    "Cos",
    "Dense",
    "Diagonal",
    "DotGeneral",
    "Dropout",
    "Elementwise",
    "ElementwiseNumerical",
    "Erf",
    "Exp",
    "ExpNormalized",
    "FanInConcat",
    "FanInProd",
    "FanInSum",
    "FanOut",
    "Flatten",
    "Gabor",
    "Gaussian",
    "Gelu",
    "GlobalAvgPool",
    "GlobalSelfAttention",
    "GlobalSumPool",
    "Hermite",
    "Identity",
    "ImageResize",
    "Index",
    "LayerNorm",
    "LeakyRelu",
    "MaskedArray",
    "Monomial",
    "Padding",
    "Polynomial",
    "PositionalEmbedding",
    "Rbf",
    "RectifiedMonomial",
    "Relu",
    "Sigmoid_like",
    "Sign",
    "Sin",
    "Slice",
    "SumPool",
    "layer",
    "parallel",
    "repeat",
    "requires",
    "serial",
    "supports_masking",
    "unmask_fn",
]
