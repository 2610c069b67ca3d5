"""Uniform firing learners: before they fire they answer at random, so nothing is concentrated.

Source: Dmitriev, Szabó & Sanyal 2024, definition 5; the exact law is our derivation,
docs/derivations/dp_online.md, statement 10.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.privacy.online.firing import FiringLaw, PieceLaw
from theorylab.privacy.online.sparse_vector import (
    AboveThreshold,
    log_laplace_cdf,
    nodes_and_weights,
    padded_pieces,
)
from theorylab.privacy.online.streams import Pieces, RunLengthStream

Feedback = Literal["examples", "mistakes"]


@dataclass(frozen=True)
class UniformFiring(FiringLaw):
    """The learner of Point_3 that says one of two functions at random until it fires.

    From the firing on it says the true one; before it a one is a mistake with probability 1/2. Use
    it as the learner that the bound for concentrated learners does not cover. Its firing round is
    as private as that of `fires`: given what it said, an example changes its count by at most 1.

    Args:
        fires: the `AboveThreshold` that decides when.
        feedback: what it counts: "examples", every one, or "mistakes", those that it got wrong
            alone, as in the paper's definition; the law of the count is then followed exactly.

    Raises:
        InputError: an argument of another kind.
    """

    fires: AboveThreshold
    feedback: Feedback = "examples"

    def __post_init__(self) -> None:
        checks.instance("fires", self.fires, AboveThreshold, "an AboveThreshold learner")
        checks.choice("feedback", self.feedback, ("examples", "mistakes"))

    def piece_law(self, stretches: Pieces) -> PieceLaw:
        """The law of the firing round over consecutive stretches."""
        if self.feedback == "examples":
            return self.fires.piece_law(stretches)
        most = max(stretches.counts)
        nodes, weights = nodes_and_weights(self.fires, range(most + 1))
        counts, lengths = padded_pieces(stretches)
        steps = np.diff(counts, prepend=0.0)
        with jax.enable_x64(True):
            law = _thinned_law(
                nodes + float(self.fires.threshold),
                weights,
                np.maximum(steps, 0.0),
                lengths,
                np.arange(1 + (1 << max(most - 1, 0).bit_length()), dtype=np.float64),
                float(self.fires.test_scale),
            )
        fire, silent = (np.asarray(a)[: len(stretches.counts)] for a in law)
        return PieceLaw(fire, silent)

    def expected_mistakes(self, stream: RunLengthStream) -> float:
        """E[M]: half the sum over the ones of the probability that it has not fired before."""
        return super().expected_mistakes(stream) / 2

    def expected_front_loaded(self, rounds: int, tol: float = 1e-14) -> float:
        """E[M] when all T examples are ones."""
        return super().expected_front_loaded(rounds, tol) / 2


@jax.jit
def _thinned_law(
    thresholds: Float[Array, " q"],
    weights: Float[Array, " q"],
    new_ones: Float[Array, " s"],
    lengths: Float[Array, " s"],
    counts: Float[Array, " c"],
    scale: Float[Array, ""],
) -> tuple[Float[Array, " s"], Float[Array, " s"]]:
    """As for AboveThreshold, with a law over counts (c, q): a new one moves half of it up by one.

    A stretch starts with at most one new one.
    """
    cdf = log_laplace_cdf(thresholds[None, :] - counts[:, None], scale)
    start = jnp.zeros_like(cdf).at[0].set(1.0)

    def step(law: Array, piece: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        new, length = piece
        moved = jnp.concatenate([jnp.zeros_like(law[:1]), law[:-1]])
        law = jnp.where(new > 0, (law + moved) / 2, law)
        fired = weights @ (law * -jnp.expm1(length * cdf)).sum(0)
        after = law * jnp.exp(length * cdf)
        return after, (fired, weights @ after.sum(0))

    return jax.lax.scan(step, start, (new_ones, lengths))[1]
