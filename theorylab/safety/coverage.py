"""Safety training by coverage: in which formats it shows unsafe prompts, and what that predicts.

A format is an attack that rewrites a prompt (`ATTACKS`). Harmless prompts are shown in all formats
that the network reads; unsafe ones with their refusals in some.

Source: Wei et al. 2023 (Jailbroken), sections 3.2 and 6, for mismatched generalisation and for
parity; the mixtures and the model are ours: docs/derivations/jailbroken.md, statements 4 and 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register
from theorylab.safety import mini
from theorylab.safety.attack_sets import ATTACKS, REWRITES, Attack
from theorylab.safety.layout import layout, loss_weights
from theorylab.safety.mini import MiniWorld, Prompts, sample_prompts
from theorylab.safety.objectives import PairTargets, Targets, next_tokens, pair

# the formats that pretraining shows, and their shares among harmless prompts
FORMATS = ("none", "prefix", "encoding_1", "encoding_2", "encoding_3", "prefix_encoding_1")
EVERY_FORMAT: Mapping[str, float] = {name: (2 if name == "none" else 1) / 7 for name in FORMATS}


@register()
@dataclass(frozen=True)
class Mixture:
    """Harmless and unsafe prompts in the formats in which safety training shows them.

    Attributes:
        prompts: 2n `Prompts`, the harmless ones first.
        unsafe: (2n,) which are unsafe: they are to be refused.
    """

    prompts: Prompts
    unsafe: Bool[Array, " m"]


def partial_coverage(share: float) -> dict[str, float]:
    """Shares of the formats of unsafe prompts where two are covered a little: plain is the rest.

    Args:
        share: of "prefix" and of "encoding_1" each, at most 1/2.

    Returns:
        Format to share.

    Raises:
        InputError: a share outside [0, 1/2].
    """
    share = float(checks.number("share", share, 0.0, 0.5))
    return {"none": 1 - 2 * share, "prefix": share, "encoding_1": share}


def in_formats(key: Key[Array, ""], prompts: Prompts, shares: Mapping[str, float]) -> Prompts:
    """The same prompts, each in a format drawn by shares.

    Args:
        key: typed key.
        prompts: n `Prompts`.
        shares: share of each format, by the name of an attack that rewrites; they sum to 1.

    Returns:
        `Prompts`.

    Raises:
        InputError: what is no key or prompts, an unknown format, or shares that are no
            probabilities.
    """
    checks.key("key", key)
    prompts = mini.checked(prompts)
    formats, p = _shares("shares", shares)
    n = np.shape(prompts.branch)[0]
    chosen = jax.random.choice(key, len(formats), (n,), p=jnp.asarray(p))
    encoding = jnp.asarray([f.encoding for f in formats])[chosen]
    prefix, synonym = (
        jnp.asarray([getattr(f, part) for f in formats])[chosen] for part in ("prefix", "synonym")
    )
    return replace(prompts, encoding=encoding, prefix=prefix, synonym=synonym & (encoding == 0))


def safety_mixture(
    key: Key[Array, ""],
    world: MiniWorld,
    n: int,
    *,
    unsafe: Mapping[str, float],
    safe: Mapping[str, float] = EVERY_FORMAT,
) -> Mixture:
    """Draw what safety training shows: n harmless and n unsafe prompts, each kind in its formats.

    Without harmless prompts in every format, tuning breaks unusual formats whatever they ask for.

    Args:
        key: typed key.
        world: a `MiniWorld`.
        n: prompts of each kind.
        unsafe: share of each format among unsafe prompts: {"none": 1.0} is narrow coverage,
            `EVERY_FORMAT` parity.
        safe: share of each format among harmless prompts.

    Returns:
        A `Mixture`.

    Raises:
        InputError: as `sample_prompts` and `in_formats`.
    """
    keys = jax.random.split(checks.key("key", key), 4)
    _shares("unsafe", unsafe), _shares("safe", safe)
    harmless = in_formats(keys[0], sample_prompts(keys[1], world, n, purpose="safe"), safe)
    harmful = in_formats(keys[2], sample_prompts(keys[3], world, n, purpose="unsafe"), unsafe)
    together = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), harmless, harmful)
    return Mixture(together, jnp.arange(2 * n) >= n)


def mixture_weights(mixture: Mixture, *, safe_weight: float = 0.7) -> Float[Array, " m"]:
    """Weights of samples for `fit`: harmless ones count `safe_weight` of the loss, unsafe the rest.

    Args:
        mixture: a `Mixture`.
        safe_weight: in [0, 1].

    Returns:
        (2n,) weights of mean 1.

    Raises:
        InputError: what is no mixture, or a weight out of range.
    """
    checks.instance("mixture", mixture, Mixture, "a Mixture, as safety_mixture gives,")
    weight = float(checks.number("safe_weight", safe_weight, 0.0, 1.0))
    return 2 * jnp.where(mixture.unsafe, 1 - weight, weight)


def supervised_data(world: MiniWorld, mixture: Mixture) -> tuple[Int[Array, "m t"], Targets]:
    """What supervised safety training is shown: harmless prompts executed, unsafe ones refused.

    Args:
        world: a `MiniWorld`.
        mixture: a `Mixture`.

    Returns:
        `(x, y)` for `fit` with `sft_loss`.

    Raises:
        InputError: what is no world or mixture.
    """
    wanted, _ = _answers(world, mixture)
    return next_tokens(wanted, loss_weights())  # type: ignore[arg-type]


def unlikelihood_data(
    world: MiniWorld, mixture: Mixture
) -> tuple[Int[Array, "m 2 t"], PairTargets]:
    """The same with the executed answers of unsafe prompts as dispreferred ones.

    Args:
        world: a `MiniWorld`.
        mixture: a `Mixture`.

    Returns:
        `(x, y)` for `fit` with `unlearning_loss` and a `paired` network; nothing is dispreferred
        of harmless prompts.

    Raises:
        InputError: what is no world or mixture.
    """
    wanted, executed = _answers(world, mixture)
    x, y = pair(wanted, executed, loss_weights())  # type: ignore[arg-type]
    kept = jnp.stack([jnp.ones_like(mixture.unsafe), mixture.unsafe], 1)[:, :, None]
    return x, replace(y, weights=y.weights * kept)


def coverage_rates(
    capability: Float[Any, "..."], refusal: Float[Any, "..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """What capability and refusals predict of the verdicts on unsafe prompts of a format.

    Args:
        capability: (...) share c of harmless prompts of the format that are executed.
        refusal: (...) share g of the unsafe prompts that it could execute which are refused.

    Returns:
        Executed c (1 - g), refused c g, and unclear 1 - c.

    Raises:
        InputError: rates outside [0, 1], or of different shapes.
    """
    c, g = (
        np.asarray(checks.within(name, value, 0, 1), float)
        for name, value in (("capability", capability), ("refusal", refusal))
    )
    checks.broadcast(capability=c, refusal=g)
    return c * (1 - g), c * g, 1 - c + 0 * g


def guarded_rate(rate: Float[Any, "..."], flagged: Float[Any, "..."]) -> Float[np.ndarray, "..."]:
    """Success through a guard that flags independently of whether the network would execute.

    Args:
        rate: (...) share of unsafe prompts that the network executes.
        flagged: (...) share of them that the guard stops.

    Returns:
        rate (1 - flagged).

    Raises:
        InputError: rates outside [0, 1], or of different shapes.
    """
    p, f = (
        np.asarray(checks.within(name, value, 0, 1), float)
        for name, value in (("rate", rate), ("flagged", flagged))
    )
    checks.broadcast(rate=p, flagged=f)
    return p * (1 - f)


# -------------------------------------------------------------------------------- inside


def _shares(name: str, shares: Any) -> tuple[list[Attack], np.ndarray]:
    """The formats that a mapping names, and their shares."""
    if not isinstance(shares, Mapping) or not shares:
        raise InputError(f"{name} = {checks.shown(shares)}; a share for each format is needed")
    formats = [ATTACKS[checks.choice(name, one, REWRITES)] for one in shares]
    return formats, np.asarray(checks.probabilities(name, list(shares.values()), ndim=1))


def _answers(world: MiniWorld, mixture: Mixture) -> tuple[Array, Array]:
    """Tokens of all prompts with the wanted answer, and with the executed one."""
    checks.instance("mixture", mixture, Mixture, "a Mixture, as safety_mixture gives,")
    executed, refused = (
        layout(world, mixture.prompts, refuse=refuse).tokens for refuse in (False, True)
    )
    return jnp.where(jnp.asarray(mixture.unsafe)[:, None], refused, executed), executed
