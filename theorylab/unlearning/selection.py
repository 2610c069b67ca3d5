"""Which configuration of a method is reported, and what is said of it.

That is the share that it heals, and how much has to be identified.
Source: Goel, Prabhu, Torr, Kumaraguru & Sanyal 2024 (arXiv 2402.14015) for the accuracies; the
rules and summaries are as we define them.
"""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.unlearning.metrics import Scores

Rule = Literal["oracle", "deployable"]


def select(found: Scores, rule: Rule) -> Int[Array, "..."]:
    """The number of the best configuration along the last axis; the first of equal ones.

    "oracle" maximises Acc_corr + Acc_retain on the test set: an upper bound that nobody can reach
    who does not know the affected domain. "deployable" maximises (validation accuracy + 1 -
    agreement with the manipulated labels on the deletion set) / 2, which can be computed in the
    field. The second suits poisoning; for interclass confusion it rewards a model that has lost the
    two classes.

    Args:
        found: arrays (..., configurations).
        rule: "oracle" or "deployable".

    Returns:
        (...) numbers of configurations.

    Raises:
        InputError: another rule, or scores without an axis of configurations.
    """
    checks.instance("found", found, Scores, "a Scores, as scores(...) gives,")
    checks.choice("rule", rule, ("oracle", "deployable"))
    first, second = (
        (found.corrected, found.retained)
        if rule == "oracle"
        else (found.validation, 1 - jnp.asarray(found.agreement))
    )
    value = (jnp.asarray(first) + jnp.asarray(second)) / 2
    if not value.ndim:
        raise InputError("found holds single numbers; arrays (..., configurations) are needed")
    return value.argmax(-1)


def healed_share(
    corrected: Float[ArrayLike, "..."], original: Float[ArrayLike, "..."], clean: ArrayLike
) -> Float[np.ndarray, "..."]:
    """What a method heals of the gap in Acc_corr: 0 for no effect, 1 for the clean reference.

    Args:
        corrected: (...) Acc_corr after the method, in [0, 1].
        original: Acc_corr of the original model.
        clean: Acc_corr of a model trained without the manipulated samples.

    Returns:
        (...) (corrected - original) / (clean - original), in the broadcast shape; below 0 where the
        method harms.

    Raises:
        InputError: a clean reference that is not above the original model, or shapes that do not
            fit.

    Examples:
        >>> [round(float(share), 6) for share in healed_share([0.1, 0.5, 0.9], 0.1, 0.9)]
        [0.0, 0.5, 1.0]
    """
    a, o, c = (
        np.asarray(checks.within(name, value, 0, 1))
        for name, value in (("corrected", corrected), ("original", original), ("clean", clean))
    )
    checks.broadcast(corrected=a, original=o, clean=c)
    if (c <= o).any():
        raise InputError("clean is not above original: there is no gap of which to heal a share")
    return (a - o) / (c - o)


def identification_requirement(
    gammas: Float[ArrayLike, "g"],
    corrected: Float[ArrayLike, "g"],
    clean: float,
    *,
    share: float = 0.9,
) -> float:
    """The smallest identified share at which Acc_corr reaches a share of the clean reference.

    Args:
        gammas: (g,) identified shares, increasing.
        corrected: (g,) Acc_corr at each.
        clean: Acc_corr of a model trained without the manipulated samples.
        share: of the clean reference that is asked for, in [0, 1].

    Returns:
        One of `gammas`; infinity if it never does. What happens at larger ones is not asked.

    Raises:
        InputError: arrays of different lengths, shares that do not increase, or a number out of
            range.
    """
    gamma = np.asarray(checks.within("gammas", gammas, 0, 1, ndim=1), dtype=np.float64)
    values = np.asarray(checks.within("corrected", corrected, 0, 1, ndim=1))
    checks.same_length(gammas=gamma, corrected=values)
    checks.number("clean", clean, 0, 1), checks.number("share", share, 0, 1)
    if (np.diff(gamma) <= 0).any():
        raise InputError("gammas do not increase; give the identified shares in increasing order")
    reached = np.flatnonzero(values >= share * clean)
    return float(gamma[reached[0]]) if reached.size else float("inf")
