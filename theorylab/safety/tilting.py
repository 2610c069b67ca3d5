"""Rewards with a KL penalty in a network: competing objectives, at the place of the decision.

The objective is expected reward minus beta times the KL distance to a frozen reference. A reward is
given for the token at the decision, the opening of the answer, whose expectation is exact: nothing
is sampled. For a table the optimum is `tilted_policy`. A network that is sure of one answer hardly
moves along the plain gradient; `tilted_logits_loss` has the same optimum and no such factor.

Source: Wei et al. 2023 (Jailbroken), section 3.1, for the competition; the model is ours:
docs/derivations/jailbroken.md, statement 2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.nets import predict
from theorylab.pytrees import register
from theorylab.safety.coverage import Mixture
from theorylab.safety.layout import AFFIRMATIVE, BEGIN, NULL, PROMPT_LENGTH, VOCABULARY, layout
from theorylab.safety.mini import MiniWorld

COMPLYING = (AFFIRMATIVE, BEGIN)


@register()
@dataclass(frozen=True)
class TiltTargets:
    """Rewards at the decision, and what the frozen reference says along the answer.

    Attributes:
        reward: (n, v) reward of each token at the first of the last p positions.
        reference: (n, p, v) logarithms of the reference's probabilities at the last p positions.
    """

    reward: Float[Array, "n v"]
    reference: Float[Array, "n p v"]


def kl_regularised_loss(*, beta: float = 1.0) -> Callable[[Any, TiltTargets], Array]:
    """Minus expected reward at the decision plus beta times the KL distance along the answer.

    Only reward / beta matters to the optimum: for several beta with one compiled program, divide
    the rewards and keep beta = 1.

    Args:
        beta: weight of the KL distance, above 0.

    Returns:
        A loss of outputs (n, t, v) and `TiltTargets`, one value for each sample.

    Raises:
        InputError: a beta that is not above 0; the loss: shapes that do not fit.
    """
    beta = float(checks.number("beta", beta, 0.0, open_low=True))

    def loss(outputs: Array, targets: TiltTargets) -> Array:
        checks.instance("targets", targets, TiltTargets, "TiltTargets, as tilt_data gives,")
        n, places, v = targets.reference.shape
        outputs = checks.finite("outputs", outputs, shape=(n, None, v))
        log_policy = jax.nn.log_softmax(outputs[:, -places:])
        policy = jnp.exp(log_policy)
        gain = (policy[:, 0] * targets.reward).sum(-1)
        cost = (policy * (log_policy - targets.reference)).sum((-1, -2))
        return beta * cost - gain

    return loss


def tilted_logits_loss(outputs: Float[Array, "n t v"], targets: TiltTargets) -> Float[Array, " n"]:
    """Half the squared distance of logits to those of the tilted policy, at the last p positions.

    Use it where the reference is nearly sure of one answer. The plain gradient of
    `kl_regularised_loss` in the logits is the Fisher matrix times this one, and vanishes with the
    chance of the other answer; this one is its natural gradient, whatever the reference says. The
    rewards must be divided by beta.

    Args:
        outputs: logits.
        targets: `TiltTargets`, as `tilt_data` gives with scale 1 / beta.

    Returns:
        (n,) one value for each sample; constants that are added to all logits of a position do not
        count.

    Raises:
        InputError: shapes that do not fit.

    Source: docs/derivations/jailbroken.md, statement 2.
    """
    checks.instance("targets", targets, TiltTargets, "TiltTargets, as tilt_data gives,")
    n, places, v = targets.reference.shape
    outputs = checks.finite("outputs", outputs, shape=(n, None, v))
    off = outputs[:, -places:] - jnp.asarray(targets.reference)
    off = off.at[:, 0].add(-jnp.asarray(targets.reward))
    return 0.5 * ((off - off.mean(-1, keepdims=True)) ** 2).sum((-1, -2))


def tilt_data(
    f: Callable[[Any, Any], Array],
    params: Any,
    world: MiniWorld,
    mixture: Mixture,
    *,
    scale: float = 1.0,
) -> tuple[Int[Array, "m t"], TiltTargets]:
    """Inputs and targets that reward refusing unsafe prompts.

    Refusing an unsafe prompt has reward `scale`, complying with it -scale. Harmless prompts have
    none, so that the KL distance holds them where they are. The reference is read along the
    executed answers.

    Args:
        f: `f(params, tokens)`.
        params: the reference's parameters.
        world: a `MiniWorld`.
        mixture: a `Mixture`.
        scale: of the reward, above 0.

    Returns:
        `(x, y)` for `fit` with `kl_regularised_loss` or `tilted_logits_loss`.

    Raises:
        InputError: what is no function, world or mixture, or a scale that is not above 0.
    """
    checks.function("f", f)
    checks.instance("mixture", mixture, Mixture, "a Mixture, as safety_mixture gives,")
    scale = float(checks.number("scale", scale, 0.0, open_low=True))
    x = layout(world, mixture.prompts).tokens[:, :-1]

    def along(params: Any, tokens: Array) -> Array:
        return jax.nn.log_softmax(f(params, tokens)[:, PROMPT_LENGTH - 1 :])

    unsafe = jnp.asarray(mixture.unsafe, float)[:, None]
    unit = jnp.zeros(VOCABULARY).at[NULL].set(1.0).at[jnp.asarray(COMPLYING)].set(-1.0)
    return x, TiltTargets(scale * unsafe * unit, predict(along, params, x))


def decision_log_odds(logits: Float[Array, "n v"]) -> Float[Array, " n"]:
    """Log-odds of complying against refusing, from logits at the decision.

    Args:
        logits: (n, v) logits behind the end of the prompt.

    Returns:
        (n,) in nats; positive where the network would rather comply.

    Raises:
        InputError: another number of logits than the vocabulary of the mini world.
    """
    logits = jnp.asarray(checks.finite("logits", logits, shape=(None, VOCABULARY)))
    return jax.nn.logsumexp(logits[:, jnp.asarray(COMPLYING)], axis=1) - logits[:, NULL]
