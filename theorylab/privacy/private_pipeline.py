"""A pre-processing and a private mechanism as one thing: what it costs, and how it is run.

The guarantee covers what the mechanism releases. It does not cover the pre-processing itself: a
model that was fitted to imputed, scaled or reduced records cannot be used on new ones without the
means, the scales or the basis, and releasing these is a further release that is not paid for here.
Projection on principal directions that keeps the dimension, quantization, deduplication and
training-set quantities need nothing of the kind.
Source: Hu, Sanyal & Schölkopf 2024; docs/derivations/private_preprocessing.md, statements 1 and 6.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.meta_theorem import PreprocessedCost
from theorylab.privacy.online.keys import spend
from theorylab.privacy.preprocessing import BALL
from theorylab.privacy.propose_test_release import MarginTest, Released
from theorylab.privacy.renyi import STANDARD_ORDERS, PrivacyCost, to_epsilon
from theorylab.privacy.sensitivity import Sensitivity
from theorylab.privacy.smooth import SmoothMechanism

T = TypeVar("T")


@dataclass(frozen=True)
class PrivatePipeline(Generic[T]):
    """A pre-processing, the mechanism behind it, and the test that makes its promise true.

    Without a test the guarantee holds between data sets of the collection that the sensitivity is
    for, and says nothing about others.

    Args:
        apply: the pre-processing, from records to images.
        sensitivity: of the pre-processing, from `theorylab.privacy.sensitivity`.
        mechanism: the cost of `run`, from `theorylab.privacy.smooth`.
        run: from the images and a key to what is released, with the noise of `mechanism`.
        test: what proposes and tests; None where the collection is known without the data.
        margin: from the records to their margin, from `theorylab.privacy.propose_test_release`; it
            comes with the test.
        image_norm: the largest norm of an image, for which `mechanism` has to be made. Mechanisms
            are made for 1 where they are told no sensitivity; images behind `standard_scaling` have
            norms up to 2 / min_std, and centred records up to 2.

    Raises:
        InputError: an argument of another kind, or a test without a margin.
    """

    apply: Callable[[Any], Any]
    sensitivity: Sensitivity
    mechanism: SmoothMechanism
    run: Callable[[Any, jax.Array], T]
    test: MarginTest | None = None
    margin: Callable[[Any], float] | None = None
    image_norm: float = 1.0

    def __post_init__(self) -> None:
        """Refuse parts of another kind."""
        checks.function("apply", self.apply)
        checks.function("run", self.run)
        checks.instance("sensitivity", self.sensitivity, Sensitivity, "a Sensitivity")
        checks.instance("mechanism", self.mechanism, SmoothMechanism, "a SmoothMechanism")
        checks.number("image_norm", self.image_norm, 0.0, open_low=True)
        if (self.test is None) != (self.margin is None):
            raise InputError(
                "test or margin is given alone; both are needed (or neither, where the collection "
                "is known without the data)"
            )
        if self.test is not None:
            checks.instance("test", self.test, MarginTest, "a MarginTest")
            checks.function("margin", self.margin)

    def privacy(self, orders: Any) -> PreprocessedCost:
        """Rényi cost of what `run` releases, without the test.

        Args:
            orders: (k,) Rényi orders, above 1.

        Returns:
            The divergences, and where they were found.

        Raises:
            InputError: an order that is not above 1.
        """
        return self.mechanism.behind(self.sensitivity, orders=orders)

    def spent(self, *, delta: float, orders: Any = None) -> PrivacyCost:
        """The guarantee of the whole, with the test where there is one.

        Args:
            delta: of the mechanism, above 0 and below 1.
            orders: (k,) Rényi orders to choose from; None takes `renyi.STANDARD_ORDERS`.

        Returns:
            The epsilon, and the delta with what the test adds.

        Raises:
            InputError: an argument out of range, or the package dp-accounting is missing.
        """
        every = STANDARD_ORDERS if orders is None else orders
        cost = to_epsilon(lambda a: self.privacy(a).divergences, delta=delta, orders=every)
        if self.test is None:
            return cost
        return PrivacyCost(
            cost.epsilon + self.test.epsilon, cost.delta + self.test.failure_probability, cost.order
        )

    def release(self, records: Any, *, key: jax.Array) -> Released[T]:
        """Pre-process the records and run the mechanism, where the test passes.

        Args:
            records: the data set.
            key: typed key; it is spent, and refused if it was used before.

        Returns:
            Whether the test passed (always, without one), and what was released.

        Raises:
            InputError: records that the pre-processing refuses, images that are not finite or
                longer than `image_norm`, or a key that was used before.
        """
        if self.test is None or self.margin is None:
            images = self._images(records)
            (own,) = jax.random.split(spend(key), 1)
            return Released(True, self.run(images, own))
        return self.test.release(
            lambda own: self.run(self._images(records), own), margin=self.margin(records), key=key
        )

    def _images(self, records: Any) -> Any:
        """Images of the records, refused where the mechanism was not made for them."""
        images = self.apply(records)
        rows = np.atleast_1d(np.asarray(checks.finite("apply(records)", images), np.float64))
        longest = float(np.linalg.norm(rows.reshape(len(rows), -1), axis=1).max())
        if longest > self.image_norm * BALL:
            raise InputError(
                f"apply(records) holds one of norm {longest:.4g}; norms of at most image_norm = "
                f"{float(self.image_norm):g} are needed (clip the images, or give the mechanism "
                "the sensitivity of longer ones and say image_norm)"
            )
        return images
