"""Elementwise nonlinearities, by the closed forms of the engine."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Layer, finished
from theorylab.neural_tangents.stax.common import kernel_of, parameter_free
from theorylab.ntk import infinite
from theorylab.ntk.infinite.activations import Activation, PiecewiseLinear
from theorylab.ntk.infinite.activations import Gaussian as GaussianLayer
from theorylab.ntk.infinite.activations import Polynomial as PolynomialLayer
from theorylab.ntk.infinite.elementwise import Elementwise as Series

SIGMOID_SCALE = 2.4020563531719796  # at which erf comes closest to the logistic function


def _elementwise(name: str, layer: infinite.Layer, *, remask: bool = True) -> Layer:
    init_fn, apply_fn = parameter_free(layer)
    kernel_fn = kernel_of(layer)

    def gaussian_only(k: Kernel, **kwargs: Any) -> Kernel:
        if not k.is_gaussian:
            raise NotImplementedError(
                f"{name}: its input must be Gaussian in the infinite-width limit, but it follows "
                "the input or another nonlinear layer; put a Dense or Conv right before it"
            )
        return kernel_fn(k, **kwargs)

    return finished(name, *masking(init_fn, apply_fn, gaussian_only, remask_kernel=remask))


def Erf(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """a erf(b x) + c."""
    return _elementwise("Erf", infinite.erf(a, b, c), remask=c != 0.0)


def Sigmoid_like() -> Layer:
    """An error function that is close to the logistic one."""
    return _elementwise("Sigmoid_like", infinite.erf(0.5, 1 / SIGMOID_SCALE, 0.5))


def Gabor() -> Layer:
    """exp(-x²) sin(x)."""
    return _elementwise("Gabor", infinite.gabor(), remask=False)


def Gelu(approximate: bool = False) -> Layer:
    """x Φ(x); `approximate` changes the finite network alone."""
    layer = infinite.gelu()
    name, (init_fn, apply_fn) = "Gelu", parameter_free(layer)
    if approximate:
        apply_fn = lambda params, inputs, **kwargs: jax.nn.gelu(inputs, approximate=True)  # noqa: E731
    exact = _elementwise(name, layer, remask=False)
    if not approximate:
        return exact
    return finished(name, *masking(init_fn, apply_fn, exact[2], remask_kernel=False))


def Sin(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """a sin(b x + c)."""
    return _elementwise("Sin", infinite.sin(a, b, c), remask=c != 0.0)


def Cos(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """a cos(b x + c)."""
    return _elementwise("Cos", infinite.cos(a, b, c))


def Rbf(gamma: float = 1.0) -> Layer:
    """√2 sin(√(2 gamma) x + π/4), whose kernel is exp(-gamma |u - v|²)."""
    return _elementwise("Rbf", infinite.rbf(gamma))


def ABRelu(a: float, b: float, do_stabilize: bool = False) -> Layer:
    """a min(x, 0) + b max(x, 0); `do_stabilize` is not needed here, and is ignored."""
    return _elementwise("ABRelu", PiecewiseLinear((a + b) / 2, (b - a) / 2), remask=False)


def Relu(do_stabilize: bool = False) -> Layer:
    """max(x, 0)."""
    return _elementwise("Relu", infinite.relu(), remask=False)


def LeakyRelu(alpha: float, do_stabilize: bool = False) -> Layer:
    """x above 0, alpha x below."""
    return _elementwise("LeakyRelu", infinite.leaky_relu(alpha), remask=False)


def Abs(do_stabilize: bool = False) -> Layer:
    """|x|."""
    return _elementwise("Abs", infinite.abs(), remask=False)


def Sign() -> Layer:
    """sign(x), through which no gradient passes."""
    return _elementwise("Sign", infinite.sign(), remask=False)


def Exp(a: float = 1.0, b: float = 1.0) -> Layer:
    """a exp(b x)."""
    return _elementwise("Exp", infinite.exp(a, b))


def Gaussian(a: float = 1.0, b: float = -1.0) -> Layer:
    """a exp(b x²); b above 0 has moments at small variances alone."""
    return _elementwise("Gaussian", GaussianLayer(a, -b))


def ExpNormalized(gamma: float = 1.0, shift: float = -1.0, do_clip: bool = False) -> Layer:
    """The kernel √(s11 s22) exp(gamma (correlation + shift)); it has no finite network."""
    return _elementwise("ExpNormalized", infinite.exp_normalized(gamma, float(shift)))


def Hermite(degree: int) -> Layer:
    """The normalised Hermite polynomial, for inputs of variance 1."""
    return _elementwise("Hermite", infinite.hermite(degree))


def Monomial(degree: int) -> Layer:
    """x^degree."""
    return _elementwise("Monomial", infinite.monomial(degree))


def RectifiedMonomial(degree: int) -> Layer:
    """max(x, 0)^degree."""
    return _elementwise("RectifiedMonomial", infinite.rectified_monomial(degree))


def Polynomial(coef: Sequence[float]) -> Layer:
    """Σ coef[i] x^i."""
    return _elementwise("Polynomial", PolynomialLayer(tuple(map(float, coef)) or (0.0,)))


def Elementwise(
    fn: Callable[..., Any] | None = None,
    nngp_fn: Callable[..., Any] | None = None,
    d_nngp_fn: Callable[..., Any] | None = None,
) -> Layer:
    """Any function; `nngp_fn(cov12, var1, var2)` is its E φ(u)φ(v), and `d_nngp_fn` that of φ'."""
    name = "Elementwise"
    if nngp_fn is None:
        if fn is None:
            raise InputError("Elementwise: neither fn nor nngp_fn; give one of them")
        init_fn, apply_fn = parameter_free(_of_function(fn))

        def no_kernel(k: Kernel, **kwargs: Any) -> Kernel:
            raise NotImplementedError(
                "Elementwise: without nngp_fn there is no closed form; give it, or use "
                "ElementwiseNumerical(fn, deg)"
            )

        return finished(name, *masking(init_fn, apply_fn, no_kernel, remask_kernel=True))
    entries = partial(_entries, nngp_fn)
    slopes = None if d_nngp_fn is None else partial(_entries, d_nngp_fn)
    return _elementwise(name, infinite.dual_activation(entries, slopes, fn=fn))


def ElementwiseNumerical(
    fn: Callable[..., Any], deg: int, df: Callable[..., Any] | None = None
) -> Layer:
    """Any function, by its Hermite series: `deg` below 64 is raised to it; `df` is not needed."""
    return _elementwise("ElementwiseNumerical", _of_function(fn, max(deg, 64)))


def _of_function(fn: Callable[..., Any], degree: int = 64) -> Activation:
    return Series(fn, degree)


def _entries(fn: Callable[..., Any], s12: Any, s11: Any, s22: Any) -> Any:
    """`fn` of scalars, entry by entry."""
    return jnp.vectorize(fn)(s12, s11, s22)


__all__ = [
    "ABRelu",
    "Abs",
    "Cos",
    "Elementwise",
    "ElementwiseNumerical",
    "Erf",
    "Exp",
    "ExpNormalized",
    "Gabor",
    "Gaussian",
    "Gelu",
    "Hermite",
    "LeakyRelu",
    "Monomial",
    "Polynomial",
    "Rbf",
    "RectifiedMonomial",
    "Relu",
    "Sigmoid_like",
    "Sign",
    "Sin",
]
