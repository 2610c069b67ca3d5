"""The tiles of a kernel as tasks of a Dask cluster."""

import contextlib
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jaxtyping import PyTree

from theorylab.cluster import PATIENCE, connected, gather, inspect
from theorylab.errors import InputError, OperationError
from theorylab.ntk.large.store import Tile
from theorylab.ntk.large.work import (
    Network,
    description,
    device,
    objection,
    pack,
    remote,
    same,
)

_QUIET = 600.0  # seconds without a finished tile, after which that is told
_COUNT = 2.0  # seconds between two counts of the workers

Samples = Callable[[Tile], tuple[PyTree, PyTree | None]]


class Workers:
    """The workers of a cluster, each found to have this code.

    Samples and network are tasks of their own: the scheduler has them, hands them from worker to
    worker, and makes them again when a worker is lost with them. No more tiles are under way than
    two for each thread, so that finished ones do not fill the workers' memory.
    """

    def __init__(
        self,
        client: Any,
        address: str,
        network: tuple[bytes, str],
        samples: Samples,
        symmetric: bool,
    ):
        self.client, self._address, (self._packed, self._identity) = client, address, network
        self._samples, self._symmetric, self._run = samples, symmetric, uuid.uuid4().hex[:12]
        self._placed: dict[Any, Any] = {}
        self._counted, self._threads = -_COUNT, 1
        self._expected = tuple(sorted(description().items()))
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except Exception:
            raise OperationError(
                f"the Dask scheduler at '{address}' has no worker; start one and call again"
            ) from None
        inspect(client, objection, self._expected)

    def blocks(
        self, tiles: Sequence[Tile], say: Callable[[str], None]
    ) -> Iterator[tuple[Tile, Any, float]]:
        """Each tile with its numbers and the seconds it took, in the order they are finished."""
        found = gather(
            self.client,
            self._address,
            tiles,
            self._submit,
            say=say,
            noun="tile",
            watch=(PATIENCE, _QUIET),
            ahead=self._ahead,
        )
        for tile, outcome in found:
            if isinstance(outcome, InputError):
                raise outcome
            if isinstance(outcome, Exception):
                said = " ".join(f"{type(outcome).__name__}: {outcome}".split())[:400]
                raise OperationError(
                    f"tile {tile} failed ({said}); finished tiles are kept"
                ) from outcome
            yield tile, *outcome

    def _submit(self, tile: Tile) -> Any:
        (i, j), (rows, columns) = tile, self._samples(tile)
        placed = self._place("f", 0, self._packed), self._place("rows", i, rows)
        side = "rows" if self._symmetric else "columns"
        second = None if columns is None else self._place(side, j, columns)
        return self.client.submit(
            remote,
            self._expected,
            self._identity,
            *placed,
            second,
            key=f"ntk-{self._run}-{i}-{j}",
            pure=False,
        )

    def _place(self, what: str, number: int, value: Any) -> Any:
        if (what, number) not in self._placed:
            key = f"ntk-{what}-{self._run}-{number}"
            with warnings.catch_warnings():  # the graph is large: it carries the data
                warnings.simplefilter("ignore")
                self._placed[what, number] = self.client.submit(same, value, key=key, pure=False)
        return self._placed[what, number]

    def _ahead(self) -> int:
        if time.monotonic() - self._counted > _COUNT:
            with contextlib.suppress(Exception):  # what is lost is told of elsewhere
                self._threads = sum(self.client.nthreads().values())
            self._counted = time.monotonic()
        return max(2, 2 * self._threads)


@contextlib.contextmanager
def on_cluster(
    address: str, network: Network, identity: str, samples: Samples, symmetric: bool
) -> Iterator[Workers]:
    """The workers of the cluster at `address`, for this network."""
    with connected(address, "give executor='local'") as client:
        yield Workers(client, address, (pack(network), identity), samples, symmetric)


def worker_device(workers: Workers) -> str:
    """The kind of device of all workers; `OperationError` where they differ."""
    kinds: dict[str, str] = workers.client.run(device)
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{kind} at {address}" for address, kind in sorted(kinds.items()))
        raise OperationError(
            f"the workers have devices of several kinds ({told}), which round differently; use one"
        )
    return next(iter(kinds.values()))
