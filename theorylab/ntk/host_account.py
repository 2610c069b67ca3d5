"""The working memory of a CPU kernel, from the sizes of what every stage takes and gives.

Two figures come out: the bytes of one tile of features, and what is needed once (`layout.Account`).
Features of a held tile are all its stages; of one that comes and goes, its largest.
"""

import dataclasses

from theorylab.ntk.gradients import PIECE, scratch_bytes
from theorylab.ntk.layout import Account, Layout
from theorylab.ntk.paired import CACHED
from theorylab.ntk.plan import Reduce
from theorylab.ntk.sites import Block


@dataclasses.dataclass(frozen=True)
class TileAccount:
    """What all stages of a tile have in common; bytes are those of one batch of samples."""

    layout: Layout
    reduce: Reduce
    itemsize: int
    batch: int  # samples of one backward pass
    entering: int  # the samples of a batch, and all that crosses between its stages

    @property
    def batches(self) -> float:
        """Batches of a tile."""
        return self.layout.tile / self.batch

    @property
    def rows(self) -> int:
        """Cotangents that a backward pass starts from: outputs, or their sum."""
        return 1 if self.reduce == "sum_logits" else self.layout.chunk

    @property
    def result(self) -> int:
        """Bytes of the kernel of two tiles."""
        kept = {"full": self.layout.chunk**2, "diagonal": self.layout.chunk}.get(self.reduce, 1)
        return self.layout.tile**2 * self.itemsize * kept

    def total(self, stages: list["StageAccount"], passing: int) -> Account:
        """The account of a layout; `passing` is the scratch of the pass forward."""
        waiting = self.batches * self.entering
        passes = [passing, *(stage.backward(self) for stage in stages)]
        extra = max(*passes, *(stage.contracting for stage in stages), 0.0)
        if self.layout.plan.held:
            return Account(int(sum(stage.kept for stage in stages)), int(waiting + extra))
        largest = max(stage.kept + self.batches * stage.leaving for stage in stages)
        return Account(int(waiting + largest), int(extra))


@dataclasses.dataclass
class StageAccount:
    """One stage of the backward pass: bytes of a batch, and what grows as blocks are added."""

    arriving: int  # cotangents of what leaves the stage
    given: int  # features, and cotangents of what enters it
    leaving: int  # of these the cotangents
    scratch: int  # of the compiled stage
    kept: float = 0.0  # of a tile: all its features
    contracting: float = 0.0  # at most, beside the features

    def backward(self, tile: TileAccount) -> float:
        """What its backward pass takes."""
        return self.scratch + self.given + tile.batches * self.arriving

    def add_late(self, tile: TileAccount, block: Block, factors: int, itemsize: int) -> None:
        """A block whose data and cotangents BLAS multiplies: kept so, or as their gradients."""
        b, s, c, f = block.sizes
        column = tile.layout.tile * tile.rows * f * itemsize
        formed = tile.layout.plan.held and s > 1
        self.kept += b * c * column if formed else tile.batches * factors
        # gradients that a thread forms at once
        piece = 0 if formed or s == 1 else min(c * column, max(PIECE, column))
        self.contracting = max(self.contracting, scratch_bytes(piece, tile.result))

    def add_paired(self, tile: TileAccount, block: Block, factors: int, itemsize: int) -> None:
        """A block that is contracted pair by pair of samples: kept with its windows laid out."""
        b, s, c, f = block.sizes
        kept = tile.layout.tile * b * s * (c + tile.rows * f) * itemsize
        self.kept += kept + factors  # and one batch as it comes
        one, samples = tile.rows * s * f * itemsize, tile.layout.tile
        scratch = min(max(CACHED, one), samples * one) + samples * s * s * itemsize
        self.contracting = max(self.contracting, scratch_bytes(scratch, tile.result))

    def add_others(self, tile: TileAccount, bytes_: int) -> None:
        """Gradients, and pairs for XLA, as the backward pass gives them."""
        self.kept += tile.batches * bytes_
        self.contracting = max(self.contracting, scratch_bytes(0, tile.result))

    def add_grams(self, tile: TileAccount, scratch: int) -> None:
        """Pairs that XLA contracts."""
        self.contracting = max(self.contracting, scratch + 2 * tile.result)
