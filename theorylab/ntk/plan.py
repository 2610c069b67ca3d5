"""The order of contraction, block by block, from a count of arithmetic and memory traffic."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich.console import Console
from rich.table import Table

from theorylab.ntk.sites import Block
from theorylab.ntk.stages import Stage

Reduce = Literal["full", "diagonal", "trace", "sum_logits"]
# what a processor computes while it moves one byte: 5 to 20 on CPUs, GPUs and TPUs in float32
FLOP_PER_BYTE = 12.0


class Work(NamedTuple):
    """What the orders of contraction are compared for.

    It is given to the functions below after their blocks, as `*work`.
    """

    reduce: Reduce
    outputs: int
    samples: int  # whose derivatives are taken
    pairs: float  # of samples that are contracted
    itemsize: int  # bytes of a number


@dataclass(frozen=True)
class Cost:
    """Work for the whole kernel."""

    flop: float
    bytes: float

    @property
    def total(self) -> float:
        """Arithmetic and traffic in units of one operation."""
        return self.flop + FLOP_PER_BYTE * self.bytes


@dataclass(frozen=True)
class Plan:
    """The order of contraction of every block, and how tiles are made.

    `grams[i]`: block i is contracted through position-by-position Grams, else through per-sample
    gradients.
    """

    grams: tuple[bool, ...]
    merged: bool  # outputs summed inside the features (trace, sum_logits)
    # blocks that are handed on as data and cotangents, to be multiplied on the host
    late: frozenset[int] = frozenset()
    held: bool = False  # late gradients are formed once per tile and kept
    host: bool = False  # for one CPU
    # of the late blocks: those that are contracted pair by pair of samples, by Grams of data alone
    paired: frozenset[int] = frozenset()
    stages: tuple[Stage, ...] = ()  # of the backward pass, on one CPU


def gradient_cost(
    block: Block, reduce: Reduce, outputs: int, n: int, pairs: float, itemsize: int
) -> Cost:
    """Per-sample gradients of `n` samples and their products for `pairs` pairs of samples."""
    b, s, c, f = block.sizes
    q = 1 if reduce == "sum_logits" else outputs
    entries = b * c * f
    kept = q * q if reduce == "full" else q
    return Cost(
        2.0 * n * q * s * entries + 2.0 * pairs * kept * entries,
        itemsize * (2.0 * n * q * entries + 2.0 * pairs * kept * entries / 64),
    )


def gram_cost(
    block: Block, reduce: Reduce, outputs: int, n: int, pairs: float, itemsize: int
) -> Cost:
    """Grams of data and of cotangents over pairs of positions, multiplied and summed."""
    b, s, c, f = block.sizes
    q = 1 if reduce == "sum_logits" else outputs
    left = 0 if block.lookup else c  # numbers of rows are compared
    kept = {"full": q * q, "diagonal": q}.get(reduce, 1)
    products = {"full": q * q * f, "diagonal": q * f}.get(reduce, q * f)
    cells = pairs * b * s * s
    return Cost(
        2.0 * cells * (left + products + kept), itemsize * cells * 2.0 * (1 + kept) * (s > 1)
    )


def paired_cost(
    block: Block, reduce: Reduce, outputs: int, n: int, pairs: float, itemsize: int
) -> Cost:
    """Grams of data, multiplied by the cotangents of one side and then by those of the other.

    All within the cache; for full kernels alone, where it differs from Grams.
    """
    b, s, c, f = block.sizes
    return Cost(2.0 * pairs * b * s * (s * c + s * outputs * f + outputs**2 * f), 0.0)


def choose(
    blocks: list[Block],
    reduce: Reduce,
    outputs: int,
    n: int,
    pairs: float,
    itemsize: int,
    cached: bool = False,
) -> Plan:
    """The cheaper order for every block.

    With `cached`, gradients are used while they are in cache, and their bytes are free.
    """
    args = (reduce, outputs, n, pairs, itemsize)

    def grams(block: Block) -> bool:
        gradients = gradient_cost(block, *args)
        return bool(block.sites) and gram_cost(block, *args).total < (
            gradients.flop if cached else gradients.total
        )

    return Plan(tuple(map(grams, blocks)), reduce in ("trace", "sum_logits"))


def table(blocks: list[Block], names: list[str], plan: Plan, work: Work) -> Table:
    """The choice for every block, with what it was based on."""
    shown = Table(
        title="Order of contraction", caption="GFLOP and GB for the whole kernel, by each order"
    )
    for column in ("leaf", "kind", "b", "s", "c", "f", "gradients", "Grams", "chosen"):
        shown.add_column(
            column, justify="left" if column in ("leaf", "kind", "chosen") else "right"
        )
    for number, (block, gram) in enumerate(zip(blocks, plan.grams, strict=True)):
        gradient = gradient_cost(block, *work)
        grams = gram_cost(block, *work) if block.sites else None
        shown.add_row(
            names[block.leaf],
            block.kind,
            *(map(str, block.sizes) if block.sites else ("", "", "", str(block.sizes[3]))),
            f"{gradient.flop / 1e9:.3g}, {gradient.bytes / 1e9:.3g}",
            f"{grams.flop / 1e9:.3g}, {grams.bytes / 1e9:.3g}" if grams else "",
            "pairs" if number in plan.paired else "Grams" if gram else "gradients",
        )
    return shown


def show(shown: Table) -> None:
    """Print to standard output."""
    Console().print(shown)
