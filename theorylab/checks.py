"""What public functions accept: one module of refusals for the whole package.

Each check takes the argument's name and its value, raises `InputError` in one line (what was given,
what is needed, how to mend it) or returns the value, so that `n = checks.count("n", n)` reads as
what it means. Values that JAX is tracing are unknown: of these only types and shapes are checked.
Nothing here compiles a program.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.precision import input_epsilon, is_traced, native
from theorylab.sparse import refuse_sparse

Shape = Sequence[int | None]


def shown(value: Any) -> str:
    """A value in a message: short, on one line."""
    if (
        isinstance(value, (np.generic, jax.Array, np.ndarray))
        and np.ndim(value) == 0
        and not is_traced(value)
    ):
        value = value.item() if not _is_key(value) else value
    if isinstance(value, (np.ndarray, jax.Array)):
        return f"an array {value.dtype}{list(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def real(
    name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None, shape: Shape | None = None
) -> Any:
    """An array of real numbers (integers and booleans too) with these axes.

    It is not ragged nor sparse, and stays NumPy, JAX or traced as given; floats that JAX does not
    know (long doubles, other byte orders) become those that it does.

    ndim: how many axes it may have. shape: the size of each axis, None for any size from 1 on.
    """
    refuse_sparse(**{name: value})
    array = value
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        traced = is_traced(value)  # a list of traced numbers becomes a traced array
        try:
            array = jnp.asarray(value) if traced else np.asarray(jax.tree.map(_plain, value))
        except (TypeError, ValueError):
            raise InputError(
                f"{name} = {shown(value)}; a rectangular array of numbers is needed"
            ) from None
    if not any(
        jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)
    ):
        typed = jnp.issubdtype(array.dtype, jnp.number) or _is_key(array)
        given = f"has dtype {array.dtype}" if typed else f"= {shown(value)}"
        mend = (
            " (take its real part if that is meant)"
            if jnp.issubdtype(array.dtype, jnp.complexfloating)
            else ""
        )
        raise InputError(f"{name} {given}; real numbers are needed{mend}")
    array = native(array)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        axes = " or ".join(str(n) for n in allowed)
        raise InputError(f"{name} has shape {array.shape}; an array with {axes} axes is needed")
    if shape is not None:
        fits = len(shape) == array.ndim and all(
            want in (None, got) for want, got in zip(shape, array.shape, strict=True)
        )
        if not fits:
            need = (
                "("
                + ", ".join("any" if s is None else str(s) for s in shape)
                + ("," if len(shape) == 1 else "")
                + ")"
            )
            raise InputError(f"{name} has shape {array.shape}; shape {need} is needed")
    if 0 in array.shape:
        raise InputError(
            f"{name} has shape {array.shape} and is empty; at least one entry is needed"
        )
    return array


def within(  # noqa: PLR0913
    name: str,
    value: Any,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    whole: bool = False,
    infinite: bool = False,
    ndim: int | tuple[int, ...] | None = None,
    shape: Shape | None = None,
) -> Any:
    """Numbers in [low, high], open at an end on request.

    NaN never is, infinity only with `infinite`.
    """
    array = real(name, value, ndim=ndim, shape=shape)
    if is_traced(array):
        return array
    bounded = whole or bool(np.isfinite([low, high]).any())
    # whether finite: no second copy of large arrays
    values = np.asarray(array, dtype=np.float64 if bounded else None)
    good = (values > low if open_low else values >= low) & (
        values < high if open_high else values <= high
    )
    if not infinite:
        good &= np.isfinite(values)
    if whole:
        good &= values == np.floor(values)
    if not good.all():
        bad = values[~good].ravel()[0]
        verb = "=" if values.ndim == 0 else "holds"
        raise InputError(
            f"{name} {verb} {bad:g}; {_interval(low, high, open_low, open_high, whole, infinite)} "
            "needed"
        )
    return array


def finite(
    name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None, shape: Shape | None = None
) -> Any:
    """Finite real numbers of any sign."""
    return within(name, value, ndim=ndim, shape=shape)


def positive(
    name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None, shape: Shape | None = None
) -> Any:
    """Finite numbers above 0."""
    return within(name, value, 0.0, open_low=True, ndim=ndim, shape=shape)


def nonnegative(
    name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None, shape: Shape | None = None
) -> Any:
    """Finite numbers from 0 on."""
    return within(name, value, 0.0, ndim=ndim, shape=shape)


def number(name: str, value: Any, low: float = -np.inf, high: float = np.inf, **bounds: Any) -> Any:
    """One number in [low, high] (`within` of no axes); a boolean is none."""
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} = {value!r}; a number is needed")
    return within(name, value, low, high, ndim=0, **bounds)


def count(name: str, value: Any, at_least: int = 1, at_most: int | None = None) -> int:
    """A whole number (a Python or NumPy integer, not a float or boolean) in [at_least, at_most]."""
    single = isinstance(value, (np.ndarray, jax.Array)) and value.ndim == 0
    scalar = value.item() if single and not is_traced(value) and not _is_key(value) else value
    whole = isinstance(scalar, (int, np.integer)) and not isinstance(scalar, (bool, np.bool_))
    if not whole or scalar < at_least or (at_most is not None and scalar > at_most):
        top = "" if at_most is None else f" and at most {at_most}"
        raise InputError(
            f"{name} = {shown(value)}; a whole number of at least {at_least}{top} is needed"
        )
    return int(scalar)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} = {shown(value)}; True or False is needed")
    return bool(value)


def choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """One of these choices."""
    if not isinstance(value, (str, int, type(None))) or value not in choices:
        raise InputError(
            f"{name} = {shown(value)}; choose one of: {', '.join(str(c) for c in choices)}"
        )
    return value


def function(name: str, value: Any) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise InputError(f"{name} = {shown(value)}; a function is needed")
    return value


def instance(name: str, value: Any, kind: type | tuple[type, ...], need: str) -> Any:
    """An instance of `kind`; `need` says in words what that is and how to make one."""
    if not isinstance(value, kind):
        raise InputError(f"{name} = {shown(value)}; {need} is needed")
    return value


def key(name: str, value: Any, *, ndim: int = 0) -> jax.Array:
    """One typed key, or an array of them with `ndim` axes."""
    if not _is_key(value) or value.ndim != ndim or value.size == 0:
        need = (
            "a typed key, jax.random.key(0),"
            if ndim == 0
            else "typed keys, jax.random.split(jax.random.key(0), 4),"
        )
        raise InputError(f"{name} = {shown(value)}; {need} {'is' if ndim == 0 else 'are'} needed")
    return value


def labels(name: str, y: Any, *, n: int | None = None, classes: int | None = None) -> Any:
    """A row of integer labels 0, 1, ... (below `classes`), `n` of them."""
    array = real(name, y, shape=(n,))
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(f"{name} has dtype {array.dtype}; integer labels 0, 1, ... are needed")
    top = "..." if classes is None else f"..., {classes - 1}"
    if not is_traced(array):
        values = np.asarray(array)
        bad = values[(values < 0) | ((values >= classes) if classes is not None else False)]
        if bad.size:
            raise InputError(f"{name} holds {bad[0]}; labels 0, 1, {top} are needed")
    return array


def signs(name: str, y: Any, *, n: int | None = None) -> Any:
    """A row of labels -1 and +1, `n` of them."""
    array = real(name, y, shape=(n,))
    if not is_traced(array):
        values = np.asarray(array, dtype=np.float64)
        bad = values[~np.isin(values, (-1.0, 1.0))]
        if bad.size:
            mend = "; of 0 and 1 make 2 * y - 1" if np.isin(values, (0.0, 1.0)).all() else ""
            raise InputError(f"{name} holds {bad[0]:g}; labels -1 and +1 are needed{mend}")
    return array


def probabilities(
    name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None, tolerance: float = 1e-5
) -> Any:
    """Probabilities over all entries: each at least 0, their sum 1."""
    array = nonnegative(name, value, ndim=ndim)
    if not is_traced(array) and abs(float(np.asarray(array, np.float64).sum()) - 1) > tolerance:
        raise InputError(
            f"{name} sums to {float(np.asarray(array, np.float64).sum()):g}; probabilities that "
            "sum to 1 are needed"
        )
    return array


def symmetric(name: str, K: Any, *, values: bool = True) -> Any:
    """A square matrix that is finite and symmetric up to rounding of its own dtype.

    Without `values` only its shape is looked at.

    `positive_semidefinite` says the rest about a kernel, where its eigenvalues are known.
    """
    matrix = (finite if values else real)(name, K, ndim=2)
    rows, columns = matrix.shape
    if rows != columns:
        raise InputError(
            f"{name} has shape {(rows, columns)}; a square kernel between training samples is "
            "needed (one between test and training samples goes to `predict`)"
        )
    if not values or is_traced(matrix):
        return matrix
    host = np.asarray(matrix, dtype=np.float64)
    size, gap = float(np.abs(host).max()), float(np.abs(host - host.T).max())
    if gap > 1e3 * input_epsilon(K) * size:
        raise InputError(
            f"{name} is not symmetric: max |{name} - {name}^T| = {gap:.3g} with max |{name}| = "
            f"{size:.3g}; pass ({name} + {name}.T) / 2 if that is meant, or in the precision it "
            "was computed in"
        )
    return matrix


def positive_semidefinite(name: str, eigenvalues: Any, rounding: float) -> None:
    """Refuse a matrix with an eigenvalue below zero by more than rounding.

    That is the share `rounding` of the largest in size.
    """
    if is_traced(eigenvalues):
        return
    values = np.asarray(eigenvalues)
    if not np.isfinite(values).all():
        raise InputError(
            f"the eigendecomposition of {name} did not converge; check its scale and conditioning"
        )
    lowest, highest = float(values.min()), float(np.abs(values).max())
    if lowest < -rounding * highest:
        raise InputError(
            f"{name} is not positive semi-definite: smallest eigenvalue {lowest:.3g} against "
            f"largest {highest:.3g} (rounding explains {-rounding * highest:.1g}); recompute it "
            "in float64, pass it in the precision it was computed in, or check that it is a kernel"
        )


def kernel_rounding(K: Any) -> float:
    """The share of its largest eigenvalue by which rounding may push others of it below zero.

    Entries computed with cancellation (distances) lose some digits more: in float64 a thousand
    times machine precision.
    """
    epsilon = input_epsilon(K)
    return max(np.shape(K)[0], 10) * epsilon * (1e3 if epsilon <= np.finfo(np.float64).eps else 1)


def vector_map(name: str, value: Any, n: int, need: str) -> Callable[..., Any]:
    """A function that takes float64 vectors (n,) and gives such vectors.

    `need` says what n counts. The function is traced once.
    """
    wanted = f"a function from float64 vectors ({n},), {need}, to vectors ({n},) is needed"
    with jax.enable_x64(True):
        try:
            out = jax.eval_shape(function(name, value), jax.ShapeDtypeStruct((n,), np.float64))
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise InputError(
                f"{name} = {shown(value)}; {wanted} ({' '.join(str(error).split())[:120]})"
            ) from error
    if getattr(out, "shape", None) != (n,) or not jnp.issubdtype(out.dtype, jnp.floating):
        raise InputError(f"{name} gives {' '.join(str(out).split())[:80]}; {wanted}")
    return value


def same_length(**arrays: Any) -> int:
    """The common length of the first axes of these arrays (their names are the argument names)."""
    lengths = {name: np.shape(a)[0] if np.ndim(a) else None for name, a in arrays.items()}
    if None in lengths.values() or len(set(lengths.values())) != 1:
        given = ", ".join(f"{name} {np.shape(a)}" for name, a in arrays.items())
        raise InputError(
            f"shapes {given}; one entry of each for every sample is needed (the same first axis)"
        )
    return int(next(iter(lengths.values())) or 0)


def broadcast(**arrays: Any) -> tuple[int, ...]:
    """The shape that these arrays broadcast to."""
    try:
        return np.broadcast_shapes(*(np.shape(a) for a in arrays.values()))
    except ValueError:
        given = ", ".join(f"{name} {np.shape(a)}" for name, a in arrays.items())
        raise InputError(f"shapes {given}; shapes that broadcast are needed") from None


def _plain(leaf: Any) -> Any:
    return np.asarray(leaf) if isinstance(leaf, jax.Array) and not _is_key(leaf) else leaf


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _interval(
    low: float, high: float, open_low: bool, open_high: bool, whole: bool, infinite: bool
) -> str:
    kind = "whole numbers" if whole else "numbers" if infinite else "finite numbers"
    if np.isinf(low) and np.isinf(high):
        return f"{kind} are"
    if np.isinf(high):
        return f"{kind} {'above' if open_low else 'of at least'} {low:g} are"
    if np.isinf(low):
        return f"{kind} {'below' if open_high else 'of at most'} {high:g} are"
    return f"{kind} in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'} are"
