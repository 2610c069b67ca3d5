"""Compact convex sets that are known by their support function rho_S(v) = max_{s in S} <s, v>.

A set bounds how fast a function may rise: h is S-Lipschitz if h(y) - h(x) <= rho_S(y - x) for all x
and y. Every set answers `support` for any number of directions at once. With concrete numbers it is
NumPy in float64, whatever precision they come in; under `jit`, `vmap` and `grad` it is JAX in the
precision of the caller. Sets are PyTrees, so that many of one shape can be stacked.

`LpDualBall`, `Ellipsoid`, `Box`, `Polytope` and `Zonotope` are what sets are made of;
`theorylab.robustness.ensembles.algebra` composes them.

Source: Petrov et al. 2023 (S-Lipschitz functions); our derivation,
docs/derivations/certified_ensembles.md, statement 1.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register

Vectors = Float[Array, "*n d"]


class SupportSet:
    """A compact convex set of R^d with a support function.

    Use one of its kinds: `LpDualBall`, `Ellipsoid`, `Box`, `Polytope`, `Zonotope`, or what
    `minkowski`, `hull` and the others make of them.
    """

    @property
    def dimension(self) -> int | None:
        """The dimension d of the space; None for a ball that was given none, which fits any."""
        raise NotImplementedError

    def support(self, v: Float[ArrayLike, "*n d"]) -> Float[np.ndarray, "*n"]:
        """The support function, the largest <s, v> over the set, in each direction.

        Args:
            v: (*n, d) directions of any length.

        Returns:
            (*n) values, homogeneous in the length of v.

        Raises:
            InputError: directions of another dimension, or not finite.
        """
        v = vectors("v", v, self.dimension)
        if is_traced(v, self):
            return self._support(floats(v), jnp)
        return self._support(np.asarray(v, np.float64), np)

    def farthest(self, v: Float[ArrayLike, "*n d"]) -> Float[np.ndarray, "*n d"]:
        """A point of the set that attains the support function in each direction.

        Args:
            v: (*n, d) directions.

        Returns:
            (*n, d) points; for a direction of zeros, any point of the set.

        Raises:
            InputError: as `support`.
        """
        v = vectors("v", v, self.dimension)
        if is_traced(v, self):
            return self._farthest(floats(v), jnp)
        return self._farthest(np.asarray(v, np.float64), np)

    def _support(self, v: Any, xp: Any) -> Any:
        raise NotImplementedError

    def _farthest(self, v: Any, xp: Any) -> Any:
        raise NotImplementedError


@register("p", "d")
@dataclass(frozen=True)
class LpDualBall(SupportSet):
    """The ball of the norm dual to l_p, with rho(v) = L ||v||_p.

    A function is L-Lipschitz in l_p exactly if it is S-Lipschitz for this set.

    Args:
        L: Lipschitz constant, at least 0; 0 is the set {0}.
        p: of the norm of perturbations, in [1, inf].
        d: dimension; None fits any, until a volume or a radius depends on it.

    Raises:
        InputError: a negative constant, or p below 1.

    Examples:
        >>> LpDualBall(0.5, 2).support([[3.0, 4.0], [0.0, 2.0]])
        array([2.5, 1. ])
    """

    L: Any
    p: float = 2.0
    d: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.p, bool) or not isinstance(self.p, int | float) or not self.p >= 1:
            raise InputError(f"p = {checks.shown(self.p)}; a norm, p in [1, inf], is needed")
        if self.d is not None:
            checks.count("d", self.d)
        settle(self, "L", lambda L: checks.nonnegative("L", L))

    @property
    def dimension(self) -> int | None:
        """The dimension, None for any."""
        return self.d

    def _support(self, v: Any, xp: Any) -> Any:
        return numbers(self.L, xp) * norm(v, self.p, xp)

    def _farthest(self, v: Any, xp: Any) -> Any:
        size = xp.abs(v)
        if self.p == 1:
            dual = xp.sign(v)
        elif self.p == math.inf:
            here = xp.arange(v.shape[-1]) == size.argmax(-1)[..., None]
            dual = xp.where(here, xp.sign(v), 0.0)
        else:
            length = norm(v, self.p, xp)[..., None]
            unit = xp.where(length > 0, length, 1.0)
            dual = xp.sign(v) * (size / unit) ** (self.p - 1)
        return numbers(self.L, xp) * dual


@register()
@dataclass(frozen=True)
class Ellipsoid(SupportSet):
    """The ellipsoid {s : s^T Sigma s <= 1}, with rho(v) = sqrt(v^T Sigma^-1 v).

    A flat one is the `linear_image` of one of a smaller dimension.

    Args:
        Sigma: (d, d) positive definite: of noise, its covariance.

    Raises:
        InputError: a matrix that is not symmetric or not positive definite.

    Examples:
        >>> float(Ellipsoid([[4.0, 0.0], [0.0, 1.0]]).support([2.0, 0.0]))
        1.0
    """

    Sigma: Any

    def __post_init__(self) -> None:
        settle(self, "Sigma", _covariance)

    @property
    def dimension(self) -> int | None:
        """The dimension."""
        return int(np.shape(self.Sigma)[-1])

    def _root(self, xp: Any) -> Any:
        """L^-1, where Sigma = L L^T; SciPy's triangular solver has threads that wait."""
        sigma = numbers(self.Sigma, xp)
        if xp is np:
            return np.linalg.inv(np.linalg.cholesky((sigma + sigma.T) / 2))
        eye = jnp.eye(sigma.shape[-1], dtype=sigma.dtype)
        return linalg.solve_triangular(linalg.cholesky(sigma), eye, lower=True)

    def _support(self, v: Any, xp: Any) -> Any:
        return norm(v @ self._root(xp).T, 2, xp)

    def _farthest(self, v: Any, xp: Any) -> Any:
        root = self._root(xp)
        half = v @ root.T
        length = norm(half, 2, xp)[..., None]
        return half / xp.where(length > 0, length, 1.0) @ root


@register()
@dataclass(frozen=True)
class Box(SupportSet):
    """The box [lo, hi], with rho(v) = sum_j max(lo_j v_j, hi_j v_j).

    With lo = 0 a function may rise along every axis, and never fall.

    Args:
        lo, hi: (d,) its lower and upper corner; equal entries make it flat.

    Raises:
        InputError: corners of different shapes, or crossed.

    Examples:
        >>> Box([0.0, 0.0], [1.0, 2.0]).support([[1.0, 1.0], [-1.0, -1.0]])
        array([3., 0.])
    """

    lo: Any
    hi: Any

    def __post_init__(self) -> None:
        settle(self, "lo", lambda a: _rows("lo", a, 1))
        settle(self, "hi", lambda a: _rows("hi", a, 1))
        if not given(self.lo, self.hi):
            return
        if np.shape(self.lo) != np.shape(self.hi):
            raise InputError(
                f"lo, hi: shapes {np.shape(self.lo)}, {np.shape(self.hi)} given; one lower and one "
                "upper end for each axis are needed"
            )
        if not is_traced(self.lo, self.hi) and not (self.lo <= self.hi).all():
            bad = np.argwhere(self.lo > self.hi)[0]
            raise InputError(
                f"Box is empty: lo = {self.lo[tuple(bad)]:g} above hi = {self.hi[tuple(bad)]:g} at "
                f"axis {bad[-1]}; lo <= hi is needed"
            )

    @property
    def dimension(self) -> int | None:
        """The dimension."""
        return int(np.shape(self.lo)[-1])

    def _support(self, v: Any, xp: Any) -> Any:
        return xp.maximum(numbers(self.lo, xp) * v, numbers(self.hi, xp) * v).sum(-1) + 0.0

    def _farthest(self, v: Any, xp: Any) -> Any:
        return xp.where(v > 0, numbers(self.hi, xp), numbers(self.lo, xp))


@register()
@dataclass(frozen=True)
class Polytope(SupportSet):
    """The convex hull of points s_1, ..., s_m, with rho(v) = max_k <s_k, v>.

    It is the set of h(x) = max_k (<s_k, x> + b_k). One point is a set too, and two are a segment.

    Args:
        vertices: (m, d) points; those inside of the hull do no harm.

    Raises:
        InputError: no points, or such that are not finite.

    Examples:
        >>> Polytope([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]]).support([[1.0, 0.0], [-1.0, -1.0]])
        array([1., 2.])
    """

    vertices: Any

    def __post_init__(self) -> None:
        settle(self, "vertices", lambda a: _rows("vertices", a, 2))

    @property
    def dimension(self) -> int | None:
        """The dimension."""
        return int(np.shape(self.vertices)[-1])

    def _support(self, v: Any, xp: Any) -> Any:
        return (v @ numbers(self.vertices, xp).T).max(-1)

    def _farthest(self, v: Any, xp: Any) -> Any:
        points = numbers(self.vertices, xp)
        return points[(v @ points.T).argmax(-1)]


@register()
@dataclass(frozen=True)
class Zonotope(SupportSet):
    """All c + sum_i t_i g_i with |t_i| <= 1, with rho(v) = <c, v> + sum_i |<g_i, v>|.

    Args:
        generators: (m, d) half edges g_i.
        centre: (d,) c; None for 0.

    Raises:
        InputError: no generators, or a centre of another dimension.

    Examples:
        >>> float(Zonotope([[0.5, 0.5], [0.5, -0.5]]).support([1.0, 0.0]))
        1.0
    """

    generators: Any
    centre: Any = None

    def __post_init__(self) -> None:
        settle(self, "generators", lambda a: _rows("generators", a, 2))
        if self.centre is None:
            return
        settle(self, "centre", lambda a: _rows("centre", a, 1))
        if given(self.generators, self.centre):
            need = np.shape(self.generators)[-1]
            if np.shape(self.centre)[-1] != need:
                raise InputError(
                    f"centre has shape {np.shape(self.centre)}; ({need},) is needed, as for the "
                    "generators"
                )

    @property
    def dimension(self) -> int | None:
        """The dimension."""
        return int(np.shape(self.generators)[-1])

    def _support(self, v: Any, xp: Any) -> Any:
        spread = xp.abs(v @ numbers(self.generators, xp).T).sum(-1)
        return spread if self.centre is None else spread + v @ numbers(self.centre, xp)

    def _farthest(self, v: Any, xp: Any) -> Any:
        g = numbers(self.generators, xp)
        point = xp.where(v @ g.T >= 0, 1.0, -1.0) @ g
        return point if self.centre is None else point + numbers(self.centre, xp)


def norm(v: Any, p: float, xp: Any = np) -> Any:
    """The l_p norm along the last axis, without overflow of powers."""
    size = xp.abs(v)
    if p == math.inf:
        return size.max(-1)
    if p == 1:
        return size.sum(-1)
    top = size.max(-1)
    unit = xp.where(top > 0, top, 1.0)
    share = size / unit[..., None]
    if p == 2:
        return unit * xp.sqrt((share * share).sum(-1))
    return unit * (share**p).sum(-1) ** (1 / p)


def numbers(a: Any, xp: Any) -> Any:
    """An array of the namespace in use: float64 in NumPy, the caller's precision in JAX."""
    return np.asarray(a, np.float64) if xp is np else floats(a)


def floats(a: Any) -> Array:
    """A JAX array of floats."""
    a = jnp.asarray(a)
    return a if jnp.issubdtype(a.dtype, jnp.floating) else a.astype(jnp.result_type(float))


def given(*values: Any) -> bool:
    """Whether these are numbers, traced ones too, and no placeholders of a PyTree."""
    return all(
        isinstance(v, int | float | list | tuple | np.ndarray | np.generic | jax.Array)
        and not isinstance(v, bool)
        for v in values
    )


def settle(holder: Any, name: str, check: Any) -> None:
    """Check a field and keep it in float64 where it is concrete; placeholders pass."""
    value = getattr(holder, name)
    if isinstance(value, bool | str | dict | set) or value is None:
        raise InputError(f"{name} = {checks.shown(value)}; numbers are needed")
    if not given(value):
        return
    value = check(value)
    if not is_traced(value):
        value = np.asarray(value, np.float64)
    object.__setattr__(holder, name, value)


def vectors(name: str, v: Any, dimension: int | None) -> Any:
    """Finite vectors (*n, d) of the dimension of a set, or an `InputError`."""
    v = checks.finite(name, v)
    if v.ndim == 0 or (dimension is not None and v.shape[-1] != dimension):
        need = "d" if dimension is None else dimension
        raise InputError(f"{name} has shape {v.shape}; (..., {need}) is needed, as the set")
    return v


def _rows(name: str, a: Any, axes: int) -> Any:
    if 0 in np.shape(a):
        raise InputError(f"{name} has shape {np.shape(a)}: an empty set; give at least one point")
    a = checks.finite(name, a)
    if a.ndim < axes:  # more axes: a stack of sets, for vmap
        shape = "(d,)" if axes == 1 else "(m, d)"
        raise InputError(f"{name} has shape {a.shape}; {shape} is needed")
    return a


def _covariance(a: Any) -> Any:
    a = checks.finite("Sigma", a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise InputError(f"Sigma has shape {a.shape}; (d, d) is needed")
    if is_traced(a) or a.ndim > 2:
        return a
    checks.symmetric("Sigma", a)
    lowest = float(np.linalg.eigvalsh(np.asarray(a, np.float64)).min())
    if not lowest > 0:
        raise InputError(
            f"Sigma has an eigenvalue {lowest:.3g}; a positive definite matrix is needed (a flat "
            "ellipsoid is the linear_image of a smaller one)"
        )
    return a
