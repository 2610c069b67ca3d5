"""Losses of safety fine-tuning for `theorylab.nets.fit`, and the policy that a KL penalty leads to.

A loss takes the outputs of a batch and its targets and gives one value for each sample. Where two
answers to one prompt are compared, `paired` makes the network read both.

Source: Jain et al. 2024 and their release (supervised safety fine-tuning, unlearning, DPO with
negative log likelihoods divided by the length); Rafailov et al. 2023 for DPO and the tilted policy.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets import predict
from theorylab.pytrees import register

Loss = Callable[[Any, Any], Array]


@register()
@dataclass(frozen=True)
class Targets:
    """What each position should predict, and how much that counts.

    Attributes:
        tokens: (n, t) the next token of each position.
        weights: (n, t) weights; 0 leaves a position out.
    """

    tokens: Int[Array, "n t"]
    weights: Float[Array, "n t"]


@register()
@dataclass(frozen=True)
class PairTargets:
    """Targets of a preferred and a dispreferred answer to each prompt.

    Attributes:
        tokens: (n, 2, t) next tokens; column 0 is preferred.
        weights: (n, 2, t).
        reference: (n, 2) sequence losses of the frozen reference; used by `dpo_loss` alone.
    """

    tokens: Int[Array, "n 2 t"]
    weights: Float[Array, "n 2 t"]
    reference: Float[Array, "n 2"]


@dataclass(frozen=True)
class TiltedFit:
    """A policy found by gradient ascent.

    Attributes:
        policy: (k,) probabilities.
        objective: expected reward minus the KL penalty.
    """

    policy: Float[Array, " k"]
    objective: float


def next_tokens(
    tokens: Int[Array, "n t"], weights: Float[Array, " s"]
) -> tuple[Int[Array, "n s"], Targets]:
    """Inputs and targets of sequences: every token predicts the one behind it.

    Args:
        tokens: (n, t) sequences, t at least 2.
        weights: (t - 1,) weight of each predicted token, such as `loss_weights` gives, or
            (n, t - 1).

    Returns:
        `(x, y)` for `fit`: tokens (n, t - 1) and `Targets`.

    Raises:
        InputError: tokens that are no whole numbers, weights of another shape or negative.
    """
    tokens = jnp.asarray(checks.within("tokens", tokens, 0, whole=True, ndim=2))
    checks.count("tokens.shape[1]", tokens.shape[1], at_least=2)
    x, y = tokens[:, :-1], tokens[:, 1:]
    weights = jnp.asarray(checks.nonnegative("weights", weights, ndim=(1, 2)), jnp.float32)
    if weights.shape not in (y.shape, y.shape[1:]):
        raise InputError(f"weights has shape {weights.shape}; {y.shape[1:]} or {y.shape} is needed")
    return x, Targets(y, jnp.broadcast_to(weights, y.shape))


def sequence_nll(outputs: Float[Array, "*n t v"], targets: Any) -> Float[Array, "*n"]:
    """Negative log likelihood of each sequence, divided by its number of positions.

    The divisor is t, whatever the weights are: a constant, and not the number of predicted tokens.

    Args:
        outputs: (*n, t, v) logits.
        targets: `Targets` or `PairTargets` of the same shape.

    Returns:
        (*n) in nats a position.

    Raises:
        InputError: shapes that do not fit.
    """
    return _token_losses(outputs, targets).sum(-1) / outputs.shape[-2]


def sft_loss(outputs: Float[Array, "n t v"], targets: Targets) -> Float[Array, " n"]:
    """Supervised fine-tuning: the mean loss over all weighted tokens of the batch.

    Args:
        outputs: (n, t, v) logits.
        targets: `Targets`; for unsafe prompts their answers are refusals.

    Returns:
        (n,) values whose mean is the mean over tokens.

    Raises:
        InputError: shapes that do not fit.
    """
    losses = _token_losses(outputs, targets)
    return losses.sum(-1) * losses.shape[0] / targets.weights.sum()


def unlearning_loss(*, preferred: float = 1.0, dispreferred: float = 0.1) -> Loss:
    """Unlearning: lower the loss of the preferred answer, raise that of the dispreferred one.

    It has no lower bound: stop early, or clip.

    Args:
        preferred: weight of the preferred answer, at least 0.
        dispreferred: weight of the other, at least 0.

    Returns:
        A loss of outputs (n, 2, t, v) and `PairTargets`.

    Raises:
        InputError: negative weights.
    """
    up = float(checks.number("dispreferred", dispreferred, 0.0))
    down = float(checks.number("preferred", preferred, 0.0))

    def loss(outputs: Array, targets: PairTargets) -> Array:
        nll = sequence_nll(outputs, targets)
        return down * nll[:, 0] - up * nll[:, 1]

    return loss


def dpo_loss(*, preferred: float = 0.1, dispreferred: float = 0.01) -> Loss:
    """Direct preference optimisation with a weight for each side and losses per position.

    -log sigmoid(b_w (ref_w - nll_w) - b_l (ref_l - nll_l)). At the reference its gradient is
    b_w / 2 times that of `unlearning_loss` with the weights 1 and b_l / b_w.

    Args:
        preferred: b_w, at least 0.
        dispreferred: b_l, at least 0.

    Returns:
        A loss of outputs (n, 2, t, v) and `PairTargets` with the reference's losses, which
        `with_reference` fills in.

    Raises:
        InputError: negative weights.
    """
    won = float(checks.number("preferred", preferred, 0.0))
    lost = float(checks.number("dispreferred", dispreferred, 0.0))

    def loss(outputs: Array, targets: PairTargets) -> Array:
        gain = targets.reference - sequence_nll(outputs, targets)
        return -jax.nn.log_sigmoid(won * gain[:, 0] - lost * gain[:, 1])

    return loss


def pair(
    preferred: Int[Array, "n t"], dispreferred: Int[Array, "n t"], weights: Float[Array, " s"]
) -> tuple[Int[Array, "n 2 s"], PairTargets]:
    """Inputs and targets of two answers to each prompt, for `paired` networks.

    The reference's losses are 0 until `with_reference` fills them in.

    Args:
        preferred: (n, t) sequences.
        dispreferred: (n, t) sequences.
        weights: (t - 1,) or (n, t - 1), as for `next_tokens`.

    Returns:
        `(x, y)` for `fit`: tokens (n, 2, t - 1) and `PairTargets`.

    Raises:
        InputError: sequences of different shapes, or as `next_tokens`.
    """
    preferred = checks.within("preferred", preferred, 0, whole=True, ndim=2)
    dispreferred = checks.within("dispreferred", dispreferred, 0, whole=True, shape=preferred.shape)
    sides = [next_tokens(tokens, weights) for tokens in (preferred, dispreferred)]
    x = jnp.stack([side[0] for side in sides], 1)
    y = [jnp.stack([getattr(side[1], part) for side in sides], 1) for part in ("tokens", "weights")]
    return x, PairTargets(y[0], y[1], jnp.zeros(x.shape[:2]))


def paired(f: Callable[[Any, Any], Array]) -> Callable[[Any, Any], Array]:
    """A network that reads two sequences for each sample.

    Args:
        f: `f(params, tokens (n, t)) -> (n, t, v)`.

    Returns:
        `g(params, tokens (n, 2, t)) -> (n, 2, t, v)`.

    Raises:
        InputError: what is no function.
    """
    checks.function("f", f)

    def g(params: Any, x: Array) -> Array:
        out = f(params, x.reshape(-1, x.shape[-1]))
        return out.reshape(*x.shape[:2], *out.shape[1:])

    return g


def with_reference(
    targets: PairTargets, g: Callable[[Any, Any], Array], params: Any, x: Array
) -> PairTargets:
    """The same targets with the reference's losses filled in.

    Args:
        targets: `PairTargets` of n samples.
        g: the `paired` network.
        params: the reference's parameters.
        x: (n, 2, t) its inputs.

    Returns:
        `PairTargets`.

    Raises:
        InputError: what are no such targets or inputs.
    """
    checks.instance("targets", targets, PairTargets, "PairTargets, as pair gives,")
    checks.function("g", g)
    x = checks.within("x", x, 0, whole=True, shape=targets.tokens.shape)

    def losses(params: Any, batch: tuple[Array, PairTargets]) -> Array:
        return sequence_nll(g(params, batch[0]), batch[1])

    return replace(targets, reference=predict(losses, params, (jnp.asarray(x), targets)))


def tilted_policy(
    policy: Float[Array, " k"], reward: Float[Array, " k"], *, beta: float
) -> Float[Array, " k"]:
    """The policy that maximises expected reward minus beta times the KL distance to a given one.

    It is proportional to policy times exp(reward / beta).

    Args:
        policy: (k,) probabilities to start from.
        reward: (k,) rewards.
        beta: weight of the KL distance, above 0.

    Returns:
        (k,) probabilities.

    Raises:
        InputError: what are no probabilities, another number of rewards, or a beta not above 0.

    Source:
        Rafailov et al. 2023, equation 4.

    Examples:
        >>> policy = tilted_policy([0.6, 0.1, 0.3], [-1.0, 1.0, 0.0], beta=0.5)
        >>> [round(float(p), 4) for p in policy]
        [0.0725, 0.6597, 0.2678]
    """
    start, gain, beta = _tabular(policy, reward, beta)
    return jax.nn.softmax(jnp.log(start) + gain / beta)


def ascend_policy(
    policy: Float[Array, " k"],
    reward: Float[Array, " k"],
    *,
    beta: float,
    steps: int = 2000,
    learning_rate: float = 1.0,
) -> TiltedFit:
    """Maximise expected reward minus beta KL by gradient ascent on the logits of a table.

    Use it to see training arrive at `tilted_policy`, which is the closed form.

    Args:
        policy: (k,) probabilities to start from and to stay near.
        reward: (k,) rewards.
        beta: weight of the KL distance, above 0.
        steps: steps.
        learning_rate: above 0.

    Returns:
        A `TiltedFit`.

    Raises:
        InputError: as `tilted_policy`, counts or rates out of range.
    """
    start, gain, beta = _tabular(policy, reward, beta)
    steps = checks.count("steps", steps)
    rate = float(checks.number("learning_rate", learning_rate, 0.0, open_low=True))
    logits = _ascend(jnp.log(start), gain, beta, rate, steps)
    return TiltedFit(jax.nn.softmax(logits), float(_objective(logits, jnp.log(start), gain, beta)))


# -------------------------------------------------------------------------------- inside


def _token_losses(logits: Any, targets: Any) -> Array:
    checks.instance(
        "targets", targets, (Targets, PairTargets), "Targets, as next_tokens or pair gives,"
    )
    want = (*targets.tokens.shape, None)
    logits = checks.finite("outputs", logits, shape=want)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets.tokens)
    return losses * targets.weights


def _tabular(policy: Any, reward: Any, beta: Any) -> tuple[Array, Array, float]:
    start = jnp.asarray(checks.probabilities("policy", policy, ndim=1), float)
    gain = jnp.asarray(checks.finite("reward", reward, shape=start.shape), float)
    return start, gain, float(checks.number("beta", beta, 0.0, open_low=True))


def _objective(logits: Array, log_start: Array, gain: Array, beta: float) -> Array:
    log_policy = jax.nn.log_softmax(logits)
    policy = jnp.exp(log_policy)
    cost = jnp.where(policy > 0, log_policy - log_start, 0.0)
    return (policy * (gain - beta * cost)).sum()


@partial(jax.jit, static_argnames="steps")
def _ascend(log_start: Array, gain: Array, beta: float, rate: float, steps: int) -> Array:
    def step(_: int, logits: Array) -> Array:
        return logits + rate * jax.grad(_objective)(logits, log_start, gain, beta)

    return jax.lax.fori_loop(0, steps, step, log_start)
