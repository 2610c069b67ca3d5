"""Ensembles that vote: a weighted majority of hard predictions, which is no average of scores.

Source: our derivation, docs/derivations/certified_ensembles.md, statement 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from theorylab import checks
from theorylab.robustness.ensembles.averages import ensemble_weights
from theorylab.robustness.ensembles.certificates import Certificate

MAJORITY = 0.5 + 1e-9  # half of the votes, summed with rounding, is not more than half


@dataclass(frozen=True)
class VoteCertificate:
    """Where a weighted vote of hard predictions is certain to stay with its class.

    Attributes:
        members: certificates of the members that vote for the class.
        weights: theirs.
        label: the class.
    """

    members: tuple[Any, ...]
    weights: np.ndarray
    label: int

    @property
    def dimension(self) -> int | None:
        """The dimension of perturbations, None for any."""
        return next((m.dimension for m in self.members if m.dimension is not None), None)

    def contains(self, delta: Float[ArrayLike, "*n d"]) -> np.ndarray:
        """Whether the members that are certain hold more than half of all votes.

        Args:
            delta: (*n, d) perturbations.

        Returns:
            (*n) booleans.
        """
        if not self.members:
            return np.zeros(np.shape(delta)[:-1], bool)
        certain = np.stack([member.contains(delta) for member in self.members])
        return np.tensordot(self.weights, certain.astype(float), axes=1) > MAJORITY

    def radial(self, u: Float[ArrayLike, "*n d"]) -> Float[np.ndarray, "*n"]:
        """The length up to which they hold more than half of all votes, along each direction.

        Args:
            u: (*n, d) directions.

        Returns:
            (*n) lengths.
        """
        if not self.members:
            return np.zeros(np.shape(u)[:-1])
        lengths = np.stack([member.radial(u) for member in self.members])
        order = np.argsort(-lengths, axis=0)
        held = np.cumsum(self.weights[order], axis=0) > MAJORITY
        first = held.argmax(0)[None]
        along = np.take_along_axis(np.take_along_axis(lengths, order, 0), first, 0)[0]
        return np.where(held.any(0), along, 0.0)


def vote_certificate(
    members: Sequence[Certificate],
    tops: Int[ArrayLike, " N"],
    weights: Float[ArrayLike, " N"] | None = None,
) -> VoteCertificate:
    """The certificate of a weighted majority vote over the members' predictions.

    It knows nothing of scores, so `ensemble_certificate` does not hold for a vote.

    Args:
        members: N certificates.
        tops: (N,) the class that each member predicts.
        weights: (N,) at least 0, sum 1; None for equal ones.

    Returns:
        A `VoteCertificate` of the class with the most votes; it is empty unless they are more than
        half of all.

    Raises:
        InputError: numbers that do not fit, or bad weights.
    """
    members = list(members)
    classes = np.asarray(checks.labels("tops", tops, n=len(members)))
    shares = ensemble_weights(weights, len(members))
    shares = shares / shares.sum()
    label = int(np.bincount(classes, shares).argmax())
    for_it = [i for i in range(len(members)) if classes[i] == label]
    return VoteCertificate(tuple(members[i] for i in for_it), shares[for_it], label)
