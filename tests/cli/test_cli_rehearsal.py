"""Rehearsals of cells whose arithmetic is known by hand."""

import time

import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.aot import Recorder, find_target
from theorylab.cli.rehearsal import Rehearsal, _alike
from theorylab.lab import Experiment, Paper, Preset

TARGET = find_target("h100")


@pytest.fixture
def rehearsal():
    """A room of experiments that multiply matrices, and are not run for it."""
    recorder = Recorder(TARGET.backend, TARGET.platform)
    product = recorder.jit(jnp.matmul)

    def multiply(n, times, seed, first=None):
        a = jnp.ones((n, n)) if first is None else jnp.asarray(first["a"])
        for _ in range(times):
            a = product(a, a)
        return {"a": np.asarray(a)}

    def slow(seed):
        product(jnp.ones((600, 600)), jnp.ones((600, 600)))
        while True:
            time.perf_counter()

    def failing(seed):
        product(jnp.ones((600, 600)), jnp.ones((600, 600)))
        raise ZeroDivisionError("no inverse")

    cells = lambda p: [  # noqa: E731
        {"n": n, "times": 3, "seed": s} for n in (500, 1000) for s in range(4)
    ]
    one = lambda p: [{"seed": 0}]  # noqa: E731
    presets = {name: Preset(name, {}) for name in ("smoke", "quick", "full")}
    room = Paper(
        "toy",
        "Toy",
        "Nobody",
        "Nowhere",
        "",
        presets,
        (
            Experiment("products", multiply, cells),
            Experiment(
                "after",
                multiply,
                lambda p: [{"n": 1000, "times": 1, "seed": 0}],
                needs=lambda c: {"first": ("products", {"n": 1000, "times": 3, "seed": 0})},
            ),
            Experiment("slow", slow, one),
            Experiment("failing", failing, one),
        ),
    )
    made = Rehearsal(room, presets["full"], recorder, TARGET)
    return lambda name, seconds=30.0: made.of(room.experiment(name), seconds)


def test_the_work_of_all_cells_is_counted_and_cells_that_differ_by_seed_are_rehearsed_once(
    rehearsal,
):
    row = rehearsal("products")
    assert (row["cells"], row["kinds"], row["rehearsed"], row["stopped"]) == (8, 2, 2, "")
    assert row["flops"] == pytest.approx(4 * 3 * 2 * (500**3 + 1000**3))
    assert row["program"] == "matmul" and row["bounded"]
    assert row["memory"] >= 3 * 4 * 1000**2  # two operands and a result


def test_what_upstream_cells_do_counts_there_and_not_here(rehearsal):
    assert rehearsal("after")["flops"] == pytest.approx(2 * 1000**3)


def test_a_cell_that_takes_too_long_or_fails_keeps_what_it_did(rehearsal):
    for name, said in (("slow", "time"), ("failing", "ZeroDivisionError: no inverse")):
        row = rehearsal(name, 1.0)
        assert row["stopped"] == said and row["flops"] == pytest.approx(2 * 600**3)


def test_the_largest_cells_come_first_and_seeds_are_found_at_any_depth():
    cells = [
        {"n": 10, "seed": 0},
        {"n": 20, "study": {"seed": 1, "m": 3}},
        {"n": 20, "study": {"seed": 2, "m": 3}},
    ]
    assert [[c["n"] for c in group] for group in _alike(cells)] == [[20, 20], [10]]
