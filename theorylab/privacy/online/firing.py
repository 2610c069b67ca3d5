"""Learners that *fire*: they predict 0 at the informative point until a random round, and then 1.

Everything that a privacy adversary sees of such a learner is the round at which it fires, so its
mistakes, its privacy and what an oblivious adversary can do follow from one law, which is computed
here exactly. After each example t = 1, 2, ... the learner makes a *test*; the prediction of round t
depends on tests 1..t-1 alone, so a one at position o is a mistake if and only if none of the tests
1..o-1 fired.
Source: our derivation, docs/derivations/dp_online.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.streams import Pieces, RunLengthStream, pieces, positions

LONGEST = 2**16  # rounds up to which the law is given round by round


@dataclass(frozen=True)
class PieceLaw:
    """The law of the first firing over stretches of rounds.

    Attributes:
        fire: (pieces,) probability that the first firing is in the stretch.
        silent: (pieces,) probability that no test up to the end of the stretch fires.
    """

    fire: Float[np.ndarray, " pieces"]
    silent: Float[np.ndarray, " pieces"]


class FiringLaw(ABC):
    """A learner of which the law of its firing round is known for every stream.

    To plug in a learner of your own, write `piece_law`: from counts and lengths of consecutive
    stretches to probabilities, without differences of numbers near 1 where small probabilities
    matter. The adversaries and the audit take any such object.
    """

    @abstractmethod
    def piece_law(self, stretches: Pieces) -> PieceLaw:
        """The law over consecutive stretches from round 1 on."""

    def law_at(self, stream: RunLengthStream, cuts: Sequence[int]) -> PieceLaw:
        """The law over rounds 1..c_1, c_1 + 1..c_2, ...: where the first firing is, if anywhere.

        Args:
            stream: the stream.
            cuts: n strictly increasing rounds in 0..T; a leading 0 gives a first probability of 0.

        Returns:
            `fire` and `silent`, (n,) each, in float64 to full relative precision.

        Raises:
            InputError: no stream, or cuts that do not increase or are out of range.
        """
        given = _stream(stream)
        ends = positions("cuts", cuts, given.rounds, 0)
        if not ends or ends[-1] == 0:
            return PieceLaw(np.zeros(len(ends)), np.ones(len(ends)))
        stretches = pieces(given, ends)
        law = self.piece_law(stretches)
        place = {end: i for i, end in enumerate(ends)}
        fire, silent, here = np.zeros(len(ends)), np.ones(len(ends)), 1 if ends[0] == 0 else 0
        for end, fired, still in zip(stretches.ends, law.fire, law.silent, strict=True):
            fire[here] += fired
            if end in place:
                silent[place[end]] = still
                here = place[end] + 1
        return PieceLaw(fire, silent)

    def masses(self, stream: RunLengthStream, cuts: Sequence[int]) -> Float[np.ndarray, " n+1"]:
        """Probabilities that the first firing is in rounds 1..c_1, c_1 + 1..c_2, ..., or in none.

        Args:
            stream: the stream.
            cuts: at least one, as for `law_at`.

        Returns:
            (n + 1,) probabilities that sum to 1; the last is that of no firing up to the last cut.

        Raises:
            InputError: as `law_at`, or no cuts.
        """
        law = self.law_at(stream, cuts)
        if not len(law.fire):
            raise InputError("cuts is empty; at least one round is needed")
        return np.append(law.fire, law.silent[-1])

    def survival(self, stream: RunLengthStream, rounds: Sequence[int]) -> Float[np.ndarray, " n"]:
        """Probability that none of the tests 1..t fires, for each of the increasing rounds t."""
        ends = positions("rounds", rounds, _stream(stream).rounds, 0)
        return self.law_at(stream, ends).silent

    def firing_pmf(self, stream: RunLengthStream) -> Float[np.ndarray, " T+1"]:
        """The law of the firing round: probabilities of rounds 1..T, and of no firing, (T + 1,).

        For streams of at most 65,536 rounds; use `masses` with cuts beyond.
        """
        return self.masses(stream, range(1, checks.count("rounds", stream.rounds, 1, LONGEST) + 1))

    def expected_mistakes(self, stream: RunLengthStream) -> float:
        """E[M] on a realisable stream.

        The sum over its ones of the probability that no test before it has fired.
        """
        return float(np.sum(self.survival(stream, [o - 1 for o in _stream(stream).ones])))

    def expected_front_loaded(self, rounds: int, tol: float = 1e-14) -> float:
        """E[M] when all T examples are ones, to relative error about `tol`.

        Ones that the learner would meet unfired with probability below `tol` are left out, so
        that T may be 2^60.
        """
        horizon = checks.count("rounds", rounds)
        checks.number("tol", tol, 0.0, 1.0, open_low=True, open_high=True)
        size = min(64, horizon)
        while True:
            ones = tuple(range(1, size + 1))
            silent = self.survival(RunLengthStream(horizon, ones), [o - 1 for o in ones])
            if size == horizon or silent[-1] < tol:
                return float(silent.sum())
            if size >= LONGEST:
                raise InputError(
                    f"rounds = {horizon}; the learner is still silent with probability "
                    f"{silent[-1]:.3g} after {size} ones: give a smaller threshold"
                )
            size = min(2 * size, horizon)

    def concentration(self, rounds: int) -> float:
        """beta, the probability of any firing on the stream of T uninformative examples."""
        stream = RunLengthStream(checks.count("rounds", rounds))
        return float(self.masses(stream, [stream.rounds])[0])


def _stream(stream: RunLengthStream) -> RunLengthStream:
    return checks.instance(
        "stream", stream, RunLengthStream, "a RunLengthStream, RunLengthStream(100, (3, 7)),"
    )
