"""Tables in place of networks: what the closed forms say, beside gradient ascent."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.safety import ascend_policy, tilted_policy

COMPLY, REFUSE = 0, 1


def tilted(
    policy: Sequence[float], reward: Sequence[float], betas: Sequence[float]
) -> Mapping[str, Any]:
    """Policies at the end of gradient ascent and by the closed form, for each beta.

    "ascended" and "closed" (betas, k), "doubled" the closed form at twice beta; "log_odds" and
    "predicted" (betas,) of complying against refusing, the latter from the start and the rewards.
    """
    start, gain = np.array(policy, float), np.array(reward, float)
    ascended = np.array(
        # the larger the penalty, the smaller the step that is stable
        [ascend_policy(start, gain, beta=b, steps=20_000, learning_rate=0.5).policy for b in betas]  # type: ignore[arg-type]
    )
    closed, doubled = (
        np.array([tilted_policy(start, gain, beta=factor * b) for b in betas])  # type: ignore[arg-type]
        for factor in (1, 2)
    )
    difference = gain[COMPLY] - gain[REFUSE]
    return {
        "ascended": ascended,
        "closed": closed,
        "doubled": doubled,
        "log_odds": np.log(ascended[:, COMPLY] / ascended[:, REFUSE]),
        "predicted": np.log(start[COMPLY] / start[REFUSE]) + difference / np.array(betas),
    }


def off_support(contents: int, steps: int, rate: float) -> Mapping[str, Any]:
    """Imitation of refusals in a table of two places, an opening and then a content.

    "change" is the largest change of the law of contents behind a compliant opening; "shared" the
    same where the contents of all openings share their logits; "refusal" is the chance of refusing
    at the end of each.
    """
    openings = jnp.log(jnp.array([0.6, 0.1, 0.3]))
    behind = jnp.sin(jnp.arange(3.0)[:, None] * 2 + jnp.arange(contents))

    def loss(params: Any) -> Any:
        opening, table = params
        table = jnp.broadcast_to(table, (3, contents))
        return -jax.nn.log_softmax(opening)[REFUSE] - jax.nn.log_softmax(table[REFUSE])[0]

    def run(table: Any) -> tuple[float, float]:
        params = (openings, table)
        for _ in range(steps):
            slope = gradient(params)
            params = jax.tree.map(lambda a, g: a - rate * g, params, slope)
        before, after = (
            jax.nn.softmax(jnp.broadcast_to(t, (3, contents))[COMPLY]) for t in (table, params[1])
        )
        return float(jnp.abs(after - before).max()), float(jax.nn.softmax(params[0])[REFUSE])

    gradient = jax.jit(jax.grad(loss))
    found = {"change": run(behind), "shared": run(behind[:1])}
    return {
        **{name: value[0] for name, value in found.items()},
        "refusal": np.array([value[1] for value in found.values()]),
    }
