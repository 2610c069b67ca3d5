"""A guard in front of a network that reads plain prompts only.

Its symbols are operators, and pairs of an operator and a phrase, as they are written; a linear
inspector of such symbols tells safe from unsafe plain prompts nearly without error, and reads no
encoding.

Source: Wei et al. 2023 (Jailbroken), section 5, for parity of safety mechanism and model; the guard
is ours: docs/derivations/jailbroken.md, statement 5.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.safety import mini
from theorylab.safety.layout import FIRST_LETTER, FIRST_OPERATOR, Sequences
from theorylab.safety.mini import MiniWorld

_KNOWN = 2 * mini.PHRASES
_NAMES = FIRST_LETTER - FIRST_OPERATOR  # operators and their second names
GUARD_SYMBOLS = _NAMES * (_KNOWN + 2)


def guard_symbols(world: MiniWorld, sequences: Sequences) -> Int[Array, "n 8"]:
    """The two operators of each prompt, and their six pairs with a phrase, to a plain reader.

    Args:
        world: a `MiniWorld`.
        sequences: `Sequences` of n prompts in any format.

    Returns:
        (n, 8) symbols below `GUARD_SYMBOLS`; phrases that are none of the plain ones count as one.

    Raises:
        InputError: what is no world or sequences.
    """
    checks.instance("world", world, MiniWorld, "a MiniWorld, as mini_world gives,")
    checks.instance("sequences", sequences, Sequences, "Sequences, as layout gives,")
    operators = sequences.prompt[:, 3:5] - FIRST_OPERATOR
    letters = sequences.prompt[:, 6 : 6 + mini.TEXT] - FIRST_LETTER
    phrases = letters.reshape(len(letters), -1, 1, mini.PHRASE)
    same = (phrases == world.phrases.reshape(_KNOWN, mini.PHRASE)).all(-1)
    number = jnp.where(same.any(-1), same.argmax(-1), _KNOWN)
    pairs = operators[:, :, None] * (_KNOWN + 1) + number[:, None, :]
    alone = _NAMES * (_KNOWN + 1) + operators
    return jnp.concatenate([alone, pairs.reshape(len(pairs), -1)], 1)


def guard_scores(weights: Float[Any, " k"], symbols: Int[Any, "n w"]) -> Float[np.ndarray, " n"]:
    """Suspicion of a linear guard: the sum of its symbols' weights.

    Args:
        weights: (k,) of each symbol, as `log_odds_inspector` gives.
        symbols: (n, w) of each prompt.

    Returns:
        (n,) scores, higher for what looks unsafe.

    Raises:
        InputError: symbols without a weight.
    """
    weights = np.asarray(checks.finite("weights", weights, ndim=1))
    top = len(weights) - 1
    symbols = np.asarray(checks.within("symbols", symbols, 0, top, whole=True, ndim=2), int)
    return weights[symbols].sum(1)
