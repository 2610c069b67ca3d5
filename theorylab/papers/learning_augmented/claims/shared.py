"""What claims of several subjects share."""

from collections.abc import Iterator

from theorylab.lab import Row
from theorylab.papers.types import AllResults

EXACT = 1e-9


PAPER, BEFORE = "Wei, Zhang 2020", "Purohit, Svitkina, Kumar 2018"

BIG = ("quick", "full")


def searches(results: AllResults, **where: object) -> Iterator[Row]:
    """Search cells with these parameters, none if there are none."""
    return (r for r in results["search"] if all(r.cell[k] == v for k, v in where.items()))
