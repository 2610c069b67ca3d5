"""The worst neighbour of a data set that is given: how much of a sensitivity these data use.

Where `worst_case.search_neighbours` chooses both data sets, here one is fixed and only a record of
it is replaced. The movement found is a lower bound on the local sensitivity of the data.
Source: our own search.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.worst_case import common_movement, into_ball

NUMBERS = 4_000_000  # in the data sets that are looked at together
ELITE = 16  # best replacements that are mutated


@dataclass(frozen=True)
class Replacement:
    """The replacement of one record that moved the images of the others most.

    Attributes:
        place: of the record.
        record: (d,) what it was replaced by.
        movement: total distance that the images of the other records moved.
        tried: how many replacements were tried.
    """

    place: int
    record: Float[np.ndarray, " d"]
    movement: float
    tried: int


def worst_replacement(
    apply: Callable[[Any], Any], records: Any, *, pairs: int, key: jax.Array
) -> Replacement:
    """Look for the replacement that moves the images of the other records of a data set most.

    It tries opposites, copies and their opposites, vertices of the axes and of the principal
    directions and points between two of them, random directions, the zero record and, where some
    are missing, a missing one; and mutations of the best.

    Args:
        apply: the pre-processing, from (pairs, n, d) to images (pairs, n, ...).
        records: (n, d) in the unit ball, NaN where missing.
        pairs: how many replacements to try.
        key: typed key of the draws; nothing private is released, so it may be used again.

    Returns:
        The worst replacement found.

    Raises:
        InputError: an argument of another kind.
    """
    movement = common_movement(apply)
    rows = np.asarray(checks.real("records", records, ndim=2), np.float64)
    if len(rows) < 2 or rows.shape[1] < 1:
        raise InputError(f"records has shape {rows.shape}; two records at least are needed")
    many = checks.count("pairs", pairs)
    seed = np.asarray(jax.random.key_data(checks.key("key", key))).ravel()
    generator = np.random.default_rng(seed.tolist())
    ends = _ends(rows)
    chunk = int(np.clip(NUMBERS // rows.size, 1, 1024))
    places, fresh, moved = np.zeros(0, int), np.zeros((0, rows.shape[1])), np.zeros(0)
    tried = 0
    while tried < many:
        size = min(chunk, many - tried)
        place, record = _draw(generator, rows, ends, size)
        half = size // 2 if len(moved) else 0
        if half:
            parent = generator.integers(0, len(moved), half)
            scale = 10.0 ** generator.uniform(-3, 0, (half, 1))
            place[:half] = places[parent]
            record[:half] = into_ball(
                fresh[parent] + scale * generator.normal(size=(half, rows.shape[1]))
            )
        first = np.broadcast_to(rows, (size, *rows.shape))
        second = first.copy()
        second[np.arange(size), place] = record
        far = movement(first, second, place)
        if not np.isfinite(far).all():
            raise InputError(
                "records holds nan or inf after apply; finite images are needed (impute missing "
                "records)"
            )
        places, fresh, moved = (
            np.concatenate(both)
            for both in zip((places, fresh, moved), (place, record, far), strict=True)
        )
        best = np.argsort(-moved, kind="stable")[:ELITE]
        places, fresh, moved = places[best], fresh[best], moved[best]
        tried += size
    return Replacement(int(places[0]), fresh[0], float(moved[0]), many)


def _ends(rows: Any) -> Any:
    """Unit vectors along the axes and the principal directions of what is there."""
    there = rows[~np.isnan(rows).any(1)]
    d = rows.shape[1]
    turned = np.linalg.eigh(there.T @ there)[1].T if len(there) else np.eye(d)
    return np.concatenate([np.eye(d), turned])


def _draw(generator: np.random.Generator, rows: Any, ends: Any, size: int) -> tuple[Any, Any]:
    n, d = rows.shape
    place = generator.integers(0, n, size)
    old, other = np.nan_to_num(rows[place]), np.nan_to_num(rows[generator.integers(0, n, size)])
    sign = generator.choice([-1.0, 1.0], (size, 1))
    one, two = (ends[generator.integers(0, len(ends), size)] for _ in range(2))
    way = generator.normal(size=(size, d))
    length = np.linalg.norm(old, axis=1, keepdims=True)
    choices = [
        np.where(length > 0, -old / np.where(length > 0, length, 1.0), one),
        sign * other,
        sign * one,
        (one + sign * two) / np.sqrt(2),
        way / np.linalg.norm(way, axis=1, keepdims=True),
        np.zeros((size, d)),
    ]
    if np.isnan(rows).any():
        choices.append(np.full((size, d), np.nan))
    which = generator.integers(0, len(choices), size)
    return place, into_ball(np.stack(choices)[which, np.arange(size)])
