"""How steep a network's answer is in the embeddings of a prompt, and how far a refusal holds there.

Measurements for the defender, of networks `f(params, tokens)` of `theorylab.nets.functional`.

Source: Jain et al. 2024, section 5, and the release's scripts.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.safety.objectives import Targets, sequence_nll

Network = Callable[..., Any]


def local_lipschitz(
    f: Network,
    params: Any,
    embeddings: Float[Array, "n t d"],
    start: Int[Array, " n"],
    *,
    of: Literal["logit", "prob"],
) -> Float[Array, " n"]:
    """Local Lipschitz constant of each prompt's first answer token in the prompt's embeddings.

    The Frobenius norm of the gradient of the largest output there. Say which output: the largest
    logit may grow steeper while its probability saturates.

    Args:
        f: network that takes `embeddings`.
        params: its parameters.
        embeddings: (n, t, d) of the sequences; only what stands before an answer has a gradient.
        start: (n,) place of the first answer token, at least 1.
        of: "logit" (what the release differentiates) or "prob".

    Returns:
        (n,) norms.

    Raises:
        InputError: shapes that do not fit, or another output.

    Source:
        Jain et al. 2024, section 5 and figure 6.
    """
    checks.function("f", f), checks.choice("of", of, ("logit", "prob"))
    embeddings = jnp.asarray(checks.finite("embeddings", embeddings, ndim=3))
    n, t, _ = embeddings.shape
    start = jnp.asarray(checks.within("start", start, 1, t, whole=True, ndim=1))
    checks.same_length(embeddings=embeddings, start=start)

    def largest(e: Array) -> Array:
        logits = f(params, None, embeddings=e)
        row = jnp.take_along_axis(logits, (start - 1)[:, None, None], 1)[:, 0]
        # sequences do not see each other, so the gradient of the sum holds that of each
        return (row if of == "logit" else jax.nn.softmax(row)).max(-1).sum()

    return jnp.linalg.norm(jax.grad(largest)(embeddings).reshape(n, -1), axis=1)


def embedding_fragility(
    f: Network,
    params: Any,
    embeddings: Float[Array, "n t d"],
    targets: Targets,
    slots: Int[Array, "n k"],
    *,
    radius: float,
    steps: int = 10,
) -> Float[Array, "n t d"]:
    """Embeddings in a ball around the given ones that make a given answer likelier.

    Use it to measure how much room a refusal leaves: the least favourable nearby input, found by
    normalised gradient steps of length 2 radius / steps with projection, on some slots only.

    Args:
        f: network that takes `embeddings`.
        params: its parameters.
        embeddings: (n, t, d) of the sequences.
        targets: the answer whose loss is lowered, (n, t).
        slots: (n, k) places that may move, all of one sequence different.
        radius: of the ball around each of them, above 0.
        steps: gradient steps.

    Returns:
        (n, t, d) moved embeddings.

    Raises:
        InputError: shapes that do not fit, or numbers out of range.

    Source:
        Jain et al. 2024, section 5.2 (Adv), after Madry et al. 2018.
    """
    checks.function("f", f)
    checks.instance("targets", targets, Targets, "Targets, as next_tokens gives,")
    embeddings = jnp.asarray(checks.finite("embeddings", embeddings, ndim=3))
    t = embeddings.shape[1]
    slots = jnp.asarray(checks.within("slots", slots, 0, t - 1, whole=True, ndim=2))
    checks.same_length(embeddings=embeddings, slots=slots)
    r = float(checks.number("radius", radius, 0.0, open_low=True))
    return _moved(f, params, embeddings, targets, slots, r, checks.count("steps", steps))


# -------------------------------------------------------------------------------- inside


@partial(jax.jit, static_argnames=("f", "steps"))
def _moved(
    f: Network,
    params: Any,
    embeddings: Array,
    targets: Targets,
    slots: Array,
    radius: float,
    steps: int,
) -> Array:
    rows = jnp.arange(len(slots))[:, None]

    def shifted(delta: Array) -> Array:
        return embeddings.at[rows, slots].add(delta)

    def loss(delta: Array) -> Array:
        return sequence_nll(f(params, None, embeddings=shifted(delta)), targets).sum()

    def unit(a: Array) -> Array:
        return a / jnp.maximum(jnp.linalg.norm(a, axis=-1, keepdims=True), 1e-30)

    def step(_: int, delta: Array) -> Array:
        delta = delta - 2 * radius / steps * unit(jax.grad(loss)(delta))
        size = jnp.linalg.norm(delta, axis=-1, keepdims=True)
        return delta * jnp.minimum(1.0, radius / jnp.maximum(size, 1e-30))

    start = jnp.zeros((*slots.shape, embeddings.shape[-1]), embeddings.dtype)
    return shifted(jax.lax.fori_loop(0, steps, step, start))
