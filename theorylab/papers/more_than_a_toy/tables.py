"""From results to the numbers that figures and claims share."""

from collections.abc import Iterator

from theorylab.lab import Results
from theorylab.papers.types import AllResults

REAL = ("analytic", "network_curves")


def curves(results: AllResults, *experiments: str) -> Iterator[tuple[str, str, Results]]:
    """(kernel, data set, rows over seeds) of every kernel on real data."""
    for experiment in experiments or REAL:
        group = results[experiment]
        if not len(group):
            continue
        if experiment == "analytic":
            for name in group.unique("data"):
                yield "ReLU NTK", name, group.where(data=name)
        else:
            for name, network, weights in group.unique("data", "network", "weights"):
                yield (
                    f"{network}, {weights}",
                    name,
                    group.where(data=name, network=network, weights=weights),
                )
