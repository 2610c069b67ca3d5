"""Refusals: what a ridge solve cannot carry is said in one line, with the number and the mend."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.precision import input_epsilon, is_traced


def require_real(name: str, array: Any, *, ndim: tuple[int, ...], values: bool = True) -> None:
    """Refuse what is not a real numeric array with an allowed number of axes, is empty or (values) non-finite."""
    try:
        shape = np.shape(array)
        dtype = getattr(array, "dtype", None) or np.asarray(array).dtype
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} is not an array of numbers ({error}); give a rectangular numeric array.") from None
    if not any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise InputError(f"{name} has dtype {dtype}; real numbers are needed (cast it to float64).")
    if len(shape) not in ndim:
        need = " or ".join(f"{n}-dimensional" for n in ndim)
        raise InputError(f"{name} has shape {shape}; a {need} array is needed.")
    if 0 in shape:
        raise InputError(f"{name} has shape {shape} and is empty; at least one sample is needed.")
    if values and not is_traced(array) and jnp.issubdtype(dtype, jnp.floating):
        bad = int(np.size(array) - np.isfinite(np.asarray(array)).sum())
        if bad:
            raise InputError(f"{name} holds {bad} non-finite values; remove or impute these samples first.")


def require_targets(Y: Any, n: int, *, of: str, values: bool = True) -> None:
    """Refuse targets that are not (N,) or (N, C) for the N rows of the array called `of`."""
    require_real("Y", Y, ndim=(1, 2), values=values)
    if np.shape(Y)[0] != n:
        raise InputError(f"Y has {np.shape(Y)[0]} rows but {of} has {n}; one row of targets per sample is needed.")


def require_weights(weights: Any, n: int) -> None:
    """Refuse sample weights that are not (N,) and positive."""
    require_real("weights", weights, ndim=(1,))
    if np.shape(weights) != (n,):
        raise InputError(f"weights has shape {np.shape(weights)}; one weight per sample, shape ({n},), is needed.")
    if not is_traced(weights) and float(np.min(np.asarray(weights))) <= 0:
        raise InputError(
            f"weights holds {float(np.min(np.asarray(weights))):g}; all must be positive (drop samples of weight zero)."
        )


def require_kernel(K: Any, *, name: str = "K", values: bool = True) -> None:
    """Refuse a kernel matrix that is not square, symmetric up to rounding of its own dtype, and finite."""
    require_real(name, K, ndim=(2,), values=values)
    rows, columns = np.shape(K)
    if rows != columns:
        raise InputError(
            f"{name} has shape {(rows, columns)}; a square kernel between training samples is needed "
            "(a test-by-train kernel goes to `predict`)."
        )
    if not values or is_traced(K):
        return
    host = np.asarray(K, dtype=np.float64)
    size, gap = float(np.abs(host).max()), float(np.abs(host - host.T).max())
    if gap > 1e3 * input_epsilon(K) * size:
        raise InputError(
            f"{name} is not symmetric: max |K - K^T| = {gap:.3g} with max |K| = {size:.3g}; "
            "pass (K + K.T) / 2 if that is meant, or in the precision it was computed in."
        )


def require_positive_semidefinite(eigenvalues: Any, rounding: float, *, name: str = "K") -> None:
    """Refuse eigenvalues more negative than rounding explains."""
    if is_traced(eigenvalues):
        return
    values = np.asarray(eigenvalues)
    if not np.isfinite(values).all():
        raise InputError(f"the eigendecomposition of {name} did not converge; check its scale and conditioning.")
    lowest, highest = float(values.min()), float(np.abs(values).max())
    if lowest < -rounding * highest:
        raise InputError(
            f"{name} is not positive semi-definite: smallest eigenvalue {lowest:.3g} against largest {highest:.3g} "
            f"(rounding explains {-rounding * highest:.1g}); recompute it in float64, pass it in the precision it was "
            "computed in, or check that it is a kernel."
        )


def require_penalties(alphas: Any) -> None:
    """Refuse penalties that are not a scalar or a vector of finite numbers >= 0."""
    require_real("alphas", alphas, ndim=(0, 1))
    if not is_traced(alphas) and float(np.min(np.asarray(alphas))) < 0:
        raise InputError(f"alphas holds {float(np.min(np.asarray(alphas))):g}; penalties must be >= 0.")
