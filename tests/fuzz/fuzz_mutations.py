"""What fuzzing does to an argument: other forms of the same numbers, extremes, malformations.

Each kind is a function of the value and of `pick`, which chooses one of a list: hypothesis in the
tests, a generator of random numbers in a campaign.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

Pick = Callable[[Sequence[Any]], Any]

SCALES = (1e-300, 1e-160, 1e-38, 1e-20, 1e-8, 1e8, 1e20, 3e37, 1e160, 1e300)
OFFSETS = (1e4, -1e6, 1e8, 1e12)
SINGLE = (0.0, -0.0, 5e-324, 1e-300, 1e-40, 1e20, 3e38, 1e300, -1e300, 1.7e308, -1.0)
NUMBERS = (0.0, -0.0, 5e-324, 1e-300, 1e-40, 1e-12, 0.5, 1.0, 1e12, 3e38, 1e300, -1e-300, -1.0)
NEVER = (math.nan, math.inf, -math.inf)
KINDS = (None, "seven", 1.0 + 2.0j, {"a": 1.0}, [], (), [[1.0], [2.0, 3.0]], object(), len, b"7")


def is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | jax.Array) and not is_key(value) and value.ndim > 0


def is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray | jax.Array):
        return value.ndim == 0 and not is_key(value) and np.asarray(value).dtype.kind in "fiu"
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def forms(value: Any) -> Iterator[tuple[str, float, Any]]:
    """The same numbers in other clothes, and the precision that they are promised in."""
    if is_number(value):
        number = float(value)
        if number == int(number) and isinstance(value, int | np.integer):
            yield from (
                ("np.int64", 0.0, np.int64(value)),
                ("an array of int32", 0.0, np.asarray(value, np.int32)),
                ("a JAX integer", 0.0, jnp.asarray(int(value))),
                ("np.uint8", 0.0, np.asarray(value % 256, np.uint8)[()]),
            )
        else:
            yield from (
                ("np.float64", 0.0, np.float64(number)),
                ("an array of no axes", 0.0, np.asarray(number)),
                ("np.float32", 1e-7, np.float32(number)),
                ("a JAX number", 1e-7, jnp.asarray(number, jnp.float32)),
                ("np.float16", 1e-3, np.float16(number)),
                ("bfloat16", 8e-3, jnp.asarray(number, jnp.bfloat16)),
            )
            if number == int(number):
                yield "an integer", 0.0, int(number)
        return
    if not is_array(value):
        return
    array = np.asarray(value)
    yield "a list", 0.0, array.tolist()
    yield "a tuple", 0.0, tuple(array.tolist())
    yield "Fortran order", 0.0, np.asfortranarray(array)
    strided = np.repeat(array, 2, axis=0)[::2]
    yield "every second row", 0.0, strided
    locked = array.copy()
    locked.setflags(write=False)
    yield "read only", 0.0, locked
    if array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16:
        wide = array.astype(np.float64)
        yield "float64", 0.0, wide
        yield "float32", 1e-7, wide.astype(np.float32)
        yield "JAX", 1e-7, jnp.asarray(wide, jnp.float32)
        yield "float16", 1e-3, wide.astype(np.float16)
        yield "bfloat16", 8e-3, jnp.asarray(wide, jnp.bfloat16)
        yield "bfloat16 of NumPy", 8e-3, wide.astype(ml_dtypes.bfloat16)
        yield "long double", 0.0, wide.astype(np.longdouble)
        yield "big endian", 0.0, wide.astype(">f8")
        if array.size and (wide == np.round(wide)).all():
            yield "integers", 0.0, wide.astype(np.int64)
    elif array.dtype.kind in "iu":
        yield "int8", 0.0, array.astype(np.int8)
        yield "JAX", 0.0, jnp.asarray(array)
        if array.size and array.min() >= 0:
            yield "uint8", 0.0, array.astype(np.uint8)
    elif array.dtype.kind == "b":
        yield "JAX", 0.0, jnp.asarray(array)


def extreme(value: Any, pick: Pick) -> tuple[str, Any]:
    """Real numbers of the right shape and kind at the ends of what there is."""
    if is_number(value):
        if isinstance(value, int | np.integer) or np.asarray(value).dtype.kind in "iu":
            number = pick((0, 1, 2, 3, -1, 7))
            return repr(number), number
        number = pick(NUMBERS)
        return repr(number), number
    array = np.array(value)
    if array.dtype.kind == "b":
        what = pick(("all True", "all False", "one True"))
        changed = np.full(array.shape, what == "all True")
        if what == "one True":
            changed.flat[0] = True
        return what, changed
    if array.dtype.kind in "iu":
        what = pick(("all the first", "all 0", "reversed", "one larger", "sorted"))
        changed = {
            "all the first": np.full_like(array, array.flat[0]),
            "all 0": np.zeros_like(array),
            "reversed": array[::-1].copy(),
            "one larger": array + np.eye(1, array.size, dtype=array.dtype).reshape(array.shape),
            "sorted": np.sort(array, axis=0),
        }[what]
        return what, changed
    if array.dtype.kind != "f":
        return "as it is", value
    what = pick(
        (
            "scaled",
            "scaled",
            "moved",
            "single",
            "single",
            "zero",
            "constant",
            "twins",
            "thin",
            "sign",
        )
    )
    with np.errstate(all="ignore"):
        return _extreme(what, array, pick)


def _extreme(what: str, array: np.ndarray, pick: Pick) -> tuple[str, Any]:
    wide = array.astype(np.float64)
    match what:
        case "scaled":
            return _scaled(wide, array.dtype, pick)
        case "moved":
            offset = pick(OFFSETS)
            if pick(("one column", "all")) == "one column" and array.ndim > 1:
                wide[:, 0] += offset
                return f"first column plus {offset:g}", wide.astype(array.dtype)
            return f"plus {offset:g}", (wide + offset).astype(array.dtype)
        case "single":
            number, place = pick(SINGLE), pick((0, -1))
            wide.flat[place] = number
            return f"entry {place} = {number:g}", _as_kernel(wide, array)
        case "zero":
            return "all 0", np.zeros_like(array)
        case "constant":
            return "all the same", np.full_like(array, array.flat[0])
        case "twins":
            return "twins", _twins(wide, array, pick).astype(array.dtype)
        case "thin":
            rows = pick((1, 2))
            return f"first {rows}", array[:rows]
    return "negated", -array


def _scaled(wide: np.ndarray, dtype: Any, pick: Pick) -> tuple[str, Any]:
    scale = pick(SCALES)
    scaled = wide * scale
    single = dtype == np.float32 and np.abs(scaled).max() <= float(np.finfo(np.float32).max)
    return f"times {scale:g}", scaled.astype(dtype) if single else scaled


def _is_kernel(array: np.ndarray) -> bool:
    return array.ndim == 2 and array.shape[0] == array.shape[1] and np.allclose(array, array.T)


def _as_kernel(wide: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Symmetric again where the array was."""
    return np.triu(wide) + np.triu(wide, 1).T if _is_kernel(array) else wide


def _twins(wide: np.ndarray, array: np.ndarray, pick: Pick) -> np.ndarray:
    """The last row or column equal to the first."""
    wide[-1] = wide[0]
    if _is_kernel(array):
        wide[:, -1] = wide[:, 0]
    elif array.ndim > 1 and pick(("rows", "columns")) == "columns":
        wide[..., -1] = wide[..., 0]
    return wide


def malformed(value: Any, pick: Pick) -> tuple[str, Any]:
    """What the argument must not be, or hardly can be."""
    if is_key(value):
        what = pick(("seed", "raw key", "keys", "None"))
        raw = {"seed": 0, "raw key": jax.random.PRNGKey(0), "None": None}
        return what, raw.get(what, jax.random.split(jax.random.key(0), 2))
    if isinstance(value, bool) or value is None or isinstance(value, str):
        bad = pick((*KINDS[1:], 0, 1, math.nan, np.bool_(True), np.ones(3)))
        return repr(bad)[:40], bad
    if callable(value) and not hasattr(value, "dtype"):
        bad = pick((*KINDS[:-2], 3, np.ones(2)))
        return repr(bad)[:40], bad
    if is_number(value):
        whole = (2.5, True, np.ones(1), np.ones((2, 2)), math.nan, math.inf, "3", -7)
        bad = pick((*KINDS, *(whole if not isinstance(value, float) else (*NEVER, *whole[1:]))))
        return repr(bad)[:40], bad
    if not is_array(value):
        bad = pick((*KINDS, 3, 0.5, np.ones(3)))
        return repr(bad)[:40], bad
    return _malformed_array(np.asarray(value), pick)


def _malformed_array(array: np.ndarray, pick: Pick) -> tuple[str, Any]:
    what = pick(
        (
            *("kind", "kind", "one axis more", "an axis in front", "flat", "none", "one less"),
            *("one more", "transposed", "complex", "object", "strings", "holds", "column"),
            *("a scalar", "no columns", "booleans", "negative", "0 and 1"),
        )
    )
    if what == "kind":
        bad = pick(KINDS)
        return repr(bad)[:40], bad
    if what == "holds":
        number = pick(NEVER)
        if array.dtype.kind not in "fc":
            array = array.astype(np.float64)
        bad = array.copy()
        bad.flat[pick((0, -1))] = number
        return f"holds {number}", bad
    flat = array.reshape(-1)
    changed = {
        "one axis more": lambda: array[..., None],
        "an axis in front": lambda: array[None],
        "column": lambda: flat[:, None],
        "flat": lambda: flat,
        "none": lambda: array[:0],
        "no columns": lambda: array[..., :0],
        "one less": lambda: array[:-1],
        "one more": lambda: np.concatenate([array, array[:1]]),
        "transposed": lambda: array.T,
        "complex": lambda: array.astype(complex),
        "object": lambda: array.astype(object),
        "strings": lambda: array.astype(str),
        "a scalar": lambda: flat[0],
        "booleans": lambda: array > 0,
        "negative": lambda: -np.abs(array.astype(int) if array.dtype == bool else array) - 1,
        "0 and 1": lambda: (array > 0).astype(int),
    }[what]()
    return what, changed
