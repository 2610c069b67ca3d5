"""A search for data sets that come close to a bound on the sensitivity of a pre-processing.

It goes over pairs of data sets that differ by one record: fresh pairs that a study draws with an
adversary's eye, and mutations of the best pairs so far. It can refute a bound and show that it is
attained; it cannot prove one.
Source: our own search.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from theorylab import checks

Datasets = Float[np.ndarray, "pairs n d"]
CHUNK = 4096  # pairs looked at together
ELITE = 64  # best pairs that are kept and mutated
ROUNDING = 1e-9  # relative excess over a bound that is no violation


@dataclass(frozen=True)
class Study:
    """What is searched: pairs, how far their images are apart, and what bounds it.

    Attributes:
        draw: from a NumPy generator and a number of pairs to data sets (pairs, n, d), which of
            their records is replaced (pairs,), and by what (pairs, d).
        movement: from the two data sets (pairs, n, d) and the places (pairs,) to the total distance
            of the images of the common records (pairs,).
        bound: from the two data sets to the bound for the smallest collection that holds both
            (pairs,), inf where none does.
    """

    draw: Callable[[np.random.Generator, int], tuple[Any, Any, Any]]
    movement: Callable[[Any, Any, Any], Any]
    bound: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        pairs: how many pairs were tried.
        inside: how many of them lie in a collection.
        violations: how many of those exceed the bound.
        largest_ratio: the largest movement over its bound.
        first: (n, d) the data set where it was found.
        second: (n, d) its neighbour.
    """

    pairs: int
    inside: int
    violations: int
    largest_ratio: float
    first: Float[np.ndarray, "n d"]
    second: Float[np.ndarray, "n d"]


def common_movement(apply: Callable[[Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """The total distance that the images of the common records move, record by record.

    Args:
        apply: the pre-processing, from (pairs, n, d) to images (pairs, n, ...).

    Returns:
        A function from two families of data sets (pairs, n, d) and the places (pairs,) of the
        replaced records to (pairs,) distances.

    Raises:
        InputError: apply is no function.
    """
    checks.function("apply", apply)

    def movement(first: Any, second: Any, place: Any) -> Any:
        return _total(apply(first), apply(second), place)

    return movement


def search_neighbours(study: Study, *, pairs: int, key: jax.Array) -> SearchResult:
    """Look for the pair of neighbours whose images are farthest apart, against the bound.

    Args:
        study: from `theorylab.privacy.worst_case_studies`, or one of your own.
        pairs: how many pairs to try.
        key: typed key of the draws; nothing private is released, so it may be used again.

    Returns:
        The counts and the worst pair.

    Raises:
        InputError: an argument of another kind.
    """
    checks.instance("study", study, Study, "a Study (theorylab.privacy.worst_case_studies)")
    many = checks.count("pairs", pairs)
    seed = np.asarray(jax.random.key_data(checks.key("key", key))).ravel()
    generator = np.random.default_rng(seed.tolist())
    elite: tuple[Any, ...] | None = None
    tried = inside = violations = 0
    while tried < many:
        size = min(CHUNK, many - tried)
        family = _family(study, generator, size, elite)
        ratios = _ratios(study, *family)
        tried += size
        inside += int((ratios >= 0).sum())
        violations += int((ratios > 1 + ROUNDING).sum())
        elite = _best(elite, (*family, ratios))
    assert elite is not None
    first, place, record, ratios = (part[0] for part in elite)
    second = first.copy()
    second[place] = record
    return SearchResult(many, inside, violations, float(ratios), first, second)


def _family(study: Study, generator: np.random.Generator, size: int, elite: Any) -> Any:
    """Fresh pairs, and from the second round on half of them mutations of the best."""
    if elite is None:
        return study.draw(generator, size)
    fresh = study.draw(generator, size - size // 2)
    parents = generator.integers(0, len(elite[3]), size // 2)
    data, place, record, _ = (part[parents] for part in elite)
    scale = 10.0 ** generator.uniform(-4, 0, (len(parents), 1))
    touched = generator.random(data.shape[:2]) < generator.random((len(parents), 1))
    step = generator.normal(size=data.shape) * (scale * touched)[..., None]
    moved = generator.normal(size=record.shape) * scale * (generator.random(scale.shape) < 0.5)
    mutated = (into_ball(data + step), place, into_ball(record + moved))
    return tuple(np.concatenate(both) for both in zip(fresh, mutated, strict=True))


def into_ball(records: Any) -> Any:
    """Records pulled back to the unit ball; missing ones stay missing.

    Args:
        records: (..., d).

    Returns:
        (..., d) of norm at most 1.
    """
    norm = np.linalg.norm(records, axis=-1, keepdims=True)
    return records / np.where(norm > 1, norm, 1.0)


def _ratios(study: Study, data: Any, place: Any, record: Any) -> Any:
    """Movement over bound; -1 outside every collection."""
    second = data.copy()
    second[np.arange(len(data)), place] = record
    bound = study.bound(data, second)
    inside = np.isfinite(bound)
    ratios = np.full(len(data), -1.0)
    if inside.any():
        moved = study.movement(data[inside], second[inside], place[inside])
        tight = bound[inside]
        ratios[inside] = np.where(
            tight > 0, moved / np.where(tight > 0, tight, 1.0), np.where(moved > 1e-12, np.inf, 0.0)
        )
    return ratios


def _best(elite: Any, family: Any) -> Any:
    joined = (
        family
        if elite is None
        else tuple(np.concatenate(both) for both in zip(elite, family, strict=True))
    )
    order = np.argsort(-joined[3], kind="stable")[:ELITE]
    return tuple(part[order] for part in joined)


def _total(first: Any, second: Any, place: Any) -> Any:
    gap = (first - second).reshape(*first.shape[:2], -1)
    distance = np.linalg.norm(gap, axis=-1)
    distance[np.arange(len(distance)), place] = 0.0
    return distance.sum(-1)
