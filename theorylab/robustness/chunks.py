"""How many samples are bounded at a time."""

from functools import lru_cache

import jax
import numpy as np

from theorylab.robustness.program import Program
from theorylab.robustness.propagation import Flow
from theorylab.robustness.relaxations import Relaxation

CHUNK = 16e6  # bytes of linear bounds at a time: beyond what caches hold a CPU loses


def planned(
    program: Program, rows: int, relax: Relaxation, budget: float, packs: bool, item: int
) -> tuple[int, int | None]:
    """(samples a chunk, neurons a block or None for all) within `budget` bytes.

    `packs`: whether neurons of convolutions share rows; `item`: bytes of a number.
    """
    if jax.default_backend() == "cpu":  # intervals alone take little, and a call its time
        budget = min(budget, CHUNK if relax.intermediate == "backward" else 4 * CHUNK)
    return _plan(program, rows, relax, budget, packs, item)


@lru_cache(maxsize=256)
def _plan(
    program: Program, rows: int, relax: Relaxation, budget: float, packs: bool, item: int
) -> tuple[int, int | None]:
    entries = [int(np.prod(s.shape, dtype=int)) for s in program.shapes]
    data = {program.start, *(s.output for s in program.steps)}
    largest, total = max(entries[v] for v in data), sum(entries[v] for v in data)
    if relax.intermediate == "ibp":
        each = (4 * total + 3 * rows * largest * (3 if relax.steps else 1)) * item
        return max(1, int(budget / each)), None
    flow = Flow(program, lambda atom: atom)
    sides = 1 if relax.alpha == "parallel" else 2
    later = [
        (step.inputs[0], flow.packing(step.inputs[0]) if packs else None)
        for step in program.activations
        if not flow.is_affine(step.inputs[0])
    ]
    counts = [entries[v] if packing is None else len(packing.start) for v, packing in later]
    most = max([rows, *(sides * n for n in counts)])
    # the rows of three neighbouring values are held at a time
    each = (3 * most * largest + 4 * total) * item
    if each <= budget:
        return int(budget / each), None
    return 1, max(1, int(budget / each * most / sides))
