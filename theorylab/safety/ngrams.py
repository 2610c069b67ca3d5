"""Letters and pairs of letters as evidence: how local a difference between texts is.

Source: naive Bayes on a first-order Markov chain (Jurafsky & Martin, chapters 3 and 4).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.pytrees import register
from theorylab.safety.sampling import Texts


@register()
@dataclass(frozen=True)
class MarkovText:
    """Log probabilities of the first letter and of each next one.

    Attributes:
        first: (K,) log probability of a letter.
        then: (K, K) log probability of the column's letter behind the row's; of order 0 all rows
            are equal.
    """

    first: Float[Array, " k"]
    then: Float[Array, "k k"]


def fit_markov(
    sample: Texts, *, letters: int, order: int = 1, pseudocount: float = 1.0
) -> MarkovText:
    """Estimate a Markov chain from texts, each count raised by a pseudocount.

    Args:
        sample: texts of one class.
        letters: size K of the alphabet.
        order: 1 for pairs of letters, 0 for letters alone.
        pseudocount: above 0; no pair then has probability 0.

    Returns:
        A `MarkovText`.

    Raises:
        InputError: what are no texts, counts out of range, or a pseudocount that is not above 0.
    """
    tokens = _tokens("sample", sample)
    letters = checks.count("letters", letters)
    checks.within("sample", tokens, -1, letters - 1)
    order = checks.choice("order", order, (0, 1))
    pseudocount = float(checks.number("pseudocount", pseudocount, 0.0, open_low=True))
    hot = jax.nn.one_hot(tokens, letters)  # padding, -1, becomes a row of zeros
    single = hot.sum((0, 1)) + pseudocount
    first = jnp.log(single / single.sum())
    if order == 0:
        return MarkovText(first, jnp.broadcast_to(first, (letters, letters)))
    pairs = jnp.einsum("nlj,nlk->jk", hot[:, :-1], hot[:, 1:]) + pseudocount
    return MarkovText(first, jnp.log(pairs / pairs.sum(1, keepdims=True)))


def log_likelihood(chain: MarkovText, sample: Texts) -> Float[Array, " n"]:
    """Log probability of each text under a chain.

    The difference of two chains' values is the log odds of naive Bayes.

    Args:
        chain: from `fit_markov`.
        sample: n texts over the chain's alphabet.

    Returns:
        (n,) in nats.

    Raises:
        InputError: what is no chain, or letters that it does not know.
    """
    checks.instance("chain", chain, MarkovText, "a MarkovText, as fit_markov gives,")
    tokens = _tokens("sample", sample)
    checks.within("sample", tokens, -1, chain.first.shape[0] - 1)
    seen = tokens[:, 1:] >= 0
    steps = jnp.where(seen, chain.then[tokens[:, :-1], tokens[:, 1:]], 0.0)
    return chain.first[tokens[:, 0]] + steps.sum(1)


def _tokens(name: str, sample: Any) -> Array:
    checks.instance(name, sample, Texts, "Texts, as sample_windows gives,")
    return jnp.asarray(sample.tokens)
