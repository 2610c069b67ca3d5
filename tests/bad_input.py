"""A campaign of malformed calls: every argument of a valid call replaced, one after the other, by
what it must not be.

A call may end in a finite value (the replacement was acceptable) or in an `InputError` that names
the argument. NaN without a word and any other exception are faults.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError

_ANY: Mapping[str, Any] = {
    "None": None,
    "text": "seven",
    "object": object(),
    "dict": {"a": 1.0},
    "empty": [],
    "ragged": [[1.0], [2.0, 3.0]],
    "function": len,
    "complex": 1.0 + 2.0j,
}


@dataclass
class Campaign:
    """Counts of outcomes, and the faults in words."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counted = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        return "\n".join([f"{self.counts.total()} malformed calls: {counted}", *self.faults])


def attack(
    campaign: Campaign,
    function: Callable[..., Any],
    /,
    *,
    skip: tuple[str, ...] = (),
    **arguments: Any,
) -> None:
    """Call `function(**arguments)`, which must give finite numbers, then each argument malformed in
    every way.

    skip: arguments that cannot be malformed (callables that the caller answers for).
    """
    name = getattr(function, "__qualname__", repr(function))
    assert not holds_nan(function(**arguments)), f"{name}: the valid call gives NaN"
    for argument, value in arguments.items():
        for kind, bad in () if argument in skip else malformed(value):
            outcome = _outcome(function, argument, {**arguments, argument: bad})
            campaign.counts[outcome.partition(":")[0]] += 1
            if outcome not in ("finite value", "refused"):
                campaign.faults.append(f"{name}({argument}={kind}) {outcome}")


Calls = Iterable[tuple[Callable[..., Any], dict[str, Any]]]


def faults_in(
    calls: Calls, skip: Mapping[Callable[..., Any], tuple[str, ...]] | None = None
) -> list[str]:
    """The faults of all these calls, in words; the counts of outcomes are printed.

    skip: arguments of a function that cannot be malformed.
    """
    campaign = Campaign()
    for function, arguments in calls:
        attack(campaign, function, skip=skip.get(function, ()) if skip else (), **arguments)
    print(campaign)
    return campaign.faults


def uncovered(module: Any, calls: Calls, excused: Mapping[str, str]) -> set[str]:
    """Names that `module` exports and that neither the calls nor the excuses (name -> reason) speak
    of."""
    called = {part for function, _ in calls for part in function.__qualname__.split(".")}
    called |= {
        type(owner).__name__
        for function, _ in calls
        if (owner := getattr(function, "__self__", None)) is not None
    }
    return set(module.__all__) - called - set(excused)


def malformed(value: Any) -> Iterator[tuple[str, Any]]:
    """Variants of an argument, with their names: other kinds, other shapes, values out of range."""
    yield from (
        (kind, bad) for kind, bad in _ANY.items() if not (kind == "function" and callable(value))
    )
    if (
        isinstance(value, (bool, str))
        or value is None
        or (callable(value) and not hasattr(value, "dtype"))
    ):
        return
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        yield from {
            "seed": 0,
            "raw key": jax.random.PRNGKey(0),
            "keys": jax.random.split(jax.random.key(0), 2),
        }.items()
        return
    if isinstance(value, (int, np.integer)):
        yield from {
            "-1": -1,
            "0": 0,
            "2.5": 2.5,
            "nan": math.nan,
            "inf": math.inf,
            "True": True,
            "[3]": [3],
        }.items()
    elif isinstance(value, float):
        yield from {
            "nan": math.nan,
            "inf": math.inf,
            "-inf": -math.inf,
            "-1.": -1.0,
            "[1., 2., 3.]": [1.0, 2.0, 3.0],
        }.items()
    elif isinstance(value, (np.ndarray, jax.Array)) and value.size:
        array = np.asarray(value)
        yield "one axis more", array[..., None]
        yield "flattened", array.ravel()[:-1]
        yield "no samples", array[:0] if array.ndim else array
        if array.ndim:
            yield "one sample less", array[:-1]
        if array.dtype.kind in "fc":
            for what, number in (("nan", np.nan), ("inf", np.inf)):
                bad = np.array(array)
                bad.ravel()[0] = number
                yield f"holds {what}", bad
        elif array.dtype.kind in "iu":
            yield "floats", array + 0.5
            bad = np.array(array, dtype=np.int64)
            bad.ravel()[0] = -5
            yield "holds -5", bad
            bad.ravel()[0] = 10**6
            yield "holds 10**6", bad


def holds_nan(result: Any) -> bool:
    leaves = jax.tree.leaves(result)
    # of a class that JAX does not know
    if any(is_dataclass(leaf) and holds_nan(vars(leaf)) for leaf in leaves):
        return True
    leaves = [
        np.asarray(leaf)
        for leaf in leaves
        if isinstance(leaf, (float, np.generic, np.ndarray)) or _array(leaf)
    ]
    return any(leaf.dtype.kind in "fc" and bool(np.isnan(leaf).any()) for leaf in leaves)


def _array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _outcome(function: Callable[..., Any], argument: str, arguments: Mapping[str, Any]) -> str:
    try:
        result = function(**arguments)
    except InputError as error:
        text = str(error)
        return (
            "refused"
            if argument in text and "\n" not in text
            else f"refusal that does not name it: {text}"
        )
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return "silent NaN" if holds_nan(result) else "finite value"
