"""Operators on texts, and when their use is labelled unsafe.

An operator is a bijection of the alphabet, applied letter by letter. "Unsafe" is nothing but a
label on pairs of an operator and the branch that a text comes from.

Source: Jain et al. 2024 and the data generator that they released.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced

SAFE, CONTEXT, UNSAFE = 0, 1, 2  # always safe; unsafe on branch B; always unsafe
BRANCH_A, BRANCH_B = 0, 1

# always safe and always unsafe operators of the four grammars, of ten; the others depend on branch
_ALWAYS = (
    ((0, 3, 4), (1, 2)),
    ((0, 1, 2), (3, 4)),
    ((0, 6, 7), (8, 9)),
    ((0, 4, 7), (1, 5)),
)
_TWINS = (0, 0, 1, 1, 2, 2)  # what the six synonyms of the release stand for


def paper_operators(start: int = 0) -> Int[np.ndarray, "16 30"]:
    """The 16 operator tokens of the release: ten bijections of 30 letters, six of them named twice.

    Operator 0 is the identity; operator i = 1..9 is the permutation that NumPy's legacy generator
    draws from seed `start` + i - 1; the last six repeat 0, 0, 1, 1, 2, 2.

    Args:
        start: 0, 150, 300 and 450 for the four grammars in the release's fine-tuning data; 0 for
            all in its pretraining.

    Returns:
        (16, 30): row o sends letter k to entry k.

    Raises:
        InputError: a negative start.
    """
    start = checks.count("start", start, 0)
    drawn = [np.random.RandomState(start + i).permutation(30) for i in range(9)]
    maps = np.stack([np.arange(30), *drawn])
    return np.concatenate([maps, maps[list(_TWINS)]])


def paper_kinds(index: int) -> Int[np.ndarray, " 16"]:
    """Whether each operator token is always safe, always unsafe, or unsafe on branch B.

    Args:
        index: 0, 1, 2 or 3, for the first to the fourth grammar.

    Returns:
        (16,) of `SAFE` = 0, `CONTEXT` = 1 and `UNSAFE` = 2; a synonym has its twin's.

    Raises:
        InputError: another index.
    """
    safe, unsafe = _ALWAYS[checks.count("index", index, 0, at_most=3)]
    kinds = np.full(10, CONTEXT)
    kinds[list(safe)], kinds[list(unsafe)] = SAFE, UNSAFE
    return np.concatenate([kinds, kinds[list(_TWINS)]])


def is_unsafe(
    kinds: Int[Array, " o"], operators: Int[Array, "n s"], branch: Int[Array, " n"]
) -> Bool[Array, " n"]:
    """Whether prompts are labelled unsafe: whether any of their operators is, on their branch.

    For encoded prompts give the operators that they mean, not those that they show.

    Args:
        kinds: (o,) of `SAFE`, `CONTEXT`, `UNSAFE`.
        operators: (n, s) operators of each prompt.
        branch: (n,) 0 for branch A, 1 for branch B.

    Returns:
        (n,) booleans.

    Raises:
        InputError: operators, kinds or branches out of range, shapes that do not fit.
    """
    kinds = jnp.asarray(checks.within("kinds", kinds, 0, 2, whole=True, ndim=1))
    used = _chosen(operators, kinds=kinds)
    branch = _whole("branch", branch, 1, 1)
    checks.same_length(operators=used, branch=branch)
    kind = kinds[used]
    return ((kind == UNSAFE) | ((kind == CONTEXT) & (branch == BRANCH_B)[:, None])).any(1)


def execute(
    maps: Int[Array, "o k"], operators: Int[Array, "n s"], text: Int[Array, "n l"]
) -> Int[Array, "n l"]:
    """Apply the operators of each prompt to its text, the first column first.

    Args:
        maps: (o, K) bijections of the alphabet.
        operators: (n, s).
        text: (n, l) letters; padding, -1, stays.

    Returns:
        (n, l) letters.

    Raises:
        InputError: maps that are no bijections, operators or letters out of range.
    """
    maps = jnp.asarray(bijections("maps", maps))
    used = _chosen(operators, maps=maps)
    text = _whole("text", text, maps.shape[1] - 1, 2, low=-1)
    checks.same_length(operators=used, text=text)
    out = text
    for s in range(used.shape[1]):
        out = maps[used[:, s, None], out]
    return jnp.where(text < 0, text, out)


def bijections(name: str, value: Any) -> Any:
    """Rows that are permutations of 0..K-1; anything else is refused."""
    array = checks.within(name, value, 0, whole=True, ndim=2)
    if not is_traced(array):
        rows = np.sort(np.asarray(array), axis=1)
        if not (rows == np.arange(rows.shape[1])).all():
            raise InputError(f"{name} holds a row that is no permutation of 0..{rows.shape[1] - 1}")
    return array


def _whole(name: str, value: Any, high: int, ndim: int, low: int = 0) -> Array:
    array = jnp.asarray(checks.within(name, value, low, high, whole=True, ndim=ndim))
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(f"{name} has dtype {array.dtype}; integers are needed")
    return array


def _chosen(operators: Any, **table: Array) -> Array:
    """Operators (n, s) that index the rows of the one table given."""
    ((name, rows),) = table.items()
    used = _whole("operators", operators, jnp.iinfo(jnp.int32).max, 2)
    if not is_traced(used) and used.size and int(used.max()) >= len(rows):
        raise InputError(
            f"operators holds {int(used.max())}, {name} has {len(rows)} rows; "
            f"operators below that number are needed"
        )
    return used
