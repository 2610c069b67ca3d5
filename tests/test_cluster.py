"""Work that goes on elsewhere, seen through a client that the test makes up."""

from types import SimpleNamespace
from typing import Any

import pytest

from theorylab import cluster
from theorylab.errors import OperationError


class Future:
    """Finished with a value at the given look at it."""

    def __init__(self, value: Any = None, looks: int = 0, status: str = "finished"):
        self.value, self.looks, self.end = value, looks, status

    @property
    def status(self) -> str:
        self.looks -= 1
        return "pending" if self.looks >= 0 else self.end

    def result(self, timeout: float) -> Any:
        return self.value

    def exception(self, timeout: float) -> Any:
        return self.value


def client(workers: int = 1, status: str = "running") -> Any:
    return SimpleNamespace(status=status, nthreads=lambda: {f"w{i}": 1 for i in range(workers)})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_POLL", 0.001)


def gathered(futures: list[Future], told: list[str], **options: Any) -> list[tuple[str, Any]]:
    tasks = [f"t{i}" for i in range(len(futures))]
    settings = {"client": client(), "watch": (0.05, 0.0), **options}
    submit = lambda task: futures[int(task[1:])]  # noqa: E731
    return list(
        cluster.gather(
            address="a:1", tasks=tasks, submit=submit, say=told.append, noun="tile", **settings
        )
    )


def test_results_and_errors_come_as_they_are_finished() -> None:
    failed = ValueError("no")
    futures = [Future(1, looks=5), Future(2), Future(failed, looks=2, status="error")]
    assert gathered(futures, []) == [("t1", 2), ("t2", failed), ("t0", 1)]


def test_no_more_are_under_way_than_asked_for() -> None:
    under_way, most = set(), []

    def submit(task: str) -> Future:
        under_way.add(task)
        most.append(len(under_way))
        return Future((task,), looks=2)

    found = cluster.gather(
        client(),
        "a:1",
        [f"t{i}" for i in range(9)],
        submit,
        say=print,
        noun="tile",
        watch=(1.0, 0.0),
        ahead=lambda: 3,
    )
    for task, value in found:
        assert value == (task,)
        under_way.remove(task)
    assert max(most) == 3 and len(most) == 9


def test_a_worker_that_refuses_ends_the_work() -> None:
    with pytest.raises(OperationError, match="other code"):
        gathered([Future("other code")], [])


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (client(workers=0), "the Dask scheduler at 'a:1' has no worker"),
        (client(status="connecting"), "the Dask scheduler at 'a:1' has gone"),
        (SimpleNamespace(status="running", nthreads=lambda: 1 / 0), "has gone"),
    ],
)
def test_a_cluster_without_a_part_is_given_up_after_a_while(lost: Any, told: str) -> None:
    futures = [Future(1, looks=10**9)]
    with pytest.raises(OperationError, match=f"{told}; 0 of these 1 tiles are finished and kept"):
        gathered(futures, [], client=lost)


def test_a_scheduler_that_was_started_anew_does_not_let_its_caller_wait() -> None:
    futures = [Future(1), Future(status="cancelled")]
    with pytest.raises(OperationError, match="was started anew; 1 of these 2 tiles are finished"):
        gathered(futures, [], watch=(1e9, 0.0))


def test_work_in_which_nothing_finishes_is_told_of() -> None:
    told: list[str] = []
    gathered([Future(1), Future(2, looks=200)], told, watch=(1.0, 0.02))
    assert told[0] == "no tile has finished for 0.02 s; 1 are left, among them t1"
