"""Fine-tuning runs that share one compiled program: data, start and key are its arguments.

Use it for many runs that differ in their data; for a single run use `theorylab.nets.fit`, which
does the same steps.

Source: our construction.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets import DivergenceError
from theorylab.nets.steps import Training, advance_in_chunks

Tune = Callable[..., tuple[Any, Float[np.ndarray, " s"]]]


def compiled_tuning(
    f: Callable[[Any, Any], Any],
    *,
    loss: Callable[[Any, Any], Array],
    optimizer: optax.GradientTransformation,
    steps: int,
    batch_size: int,
) -> Tune:
    """A function that fine-tunes; it compiles at its first call, and again for other shapes only.

    Args:
        f: `f(params, x)`.
        loss: (outputs, y) -> one value for each sample.
        optimizer: an optax transformation.
        steps: gradient steps.
        batch_size: samples of a step.

    Returns:
        `tune(params, x, y, weights, key)`: the trained parameters and the loss (steps,). Weights
        (n,) multiply the losses of samples; batches are those of `fit` with the same key.

    Raises:
        InputError: what are no functions, counts out of range; the function: another number of
            weights than samples.
        DivergenceError: by the function, at a loss that is not finite.
    """
    checks.function("f", f), checks.function("loss", loss)
    steps, batch_size = checks.count("steps", steps), checks.count("batch_size", batch_size)
    made: dict[int, tuple[Training, Any]] = {}

    def program(n: int) -> tuple[Training, Any]:
        if n not in made:
            training = Training(lambda p, s, x: (f(p, x), s), loss, optimizer, None, n, batch_size)
            made[n] = training, advance_in_chunks(training, steps, "device", batched=False)
        return made[n]

    def tune(params: Any, x: Any, y: Any, weights: Any, key: Array) -> tuple[Any, np.ndarray]:
        weights = checks.nonnegative("weights", weights, ndim=1)
        if any(leaf.shape[:1] != weights.shape for leaf in jax.tree.leaves((x, y))):
            raise InputError(f"weights has shape {weights.shape}; one for each sample is needed")
        n = checks.count("len(weights)", len(weights), at_least=batch_size)
        training, advance = program(n)
        carry = training.init(params, {}, checks.key("key", key))
        carry, losses = advance(carry, 0, steps, key, (x, y, weights))
        losses = np.asarray(losses)
        if not np.isfinite(losses).all():
            raise DivergenceError(int(np.argmin(np.isfinite(losses))), steps)
        return carry[0], losses

    return tune
