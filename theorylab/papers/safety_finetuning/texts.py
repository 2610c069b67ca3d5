"""What the grammars are like: exact laws beside samples, and how local a branch is."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from theorylab.safety import (
    fit_markov,
    length_distribution,
    length_moments,
    letter_counts,
    log_likelihood,
    paper_grammar,
    sample_windows,
    sample_yields,
)


def laws(variant: str, samples: int, seed: int) -> Mapping[str, Any]:
    """Lengths of yields: exact moments and support, and those of a sample."""
    grammar = paper_grammar(0, variant)  # type: ignore[arg-type]
    exact, law = length_moments(grammar), length_distribution(grammar)
    drawn = np.asarray(sample_yields(jax.random.key(seed), grammar, samples).lengths)
    return {
        "mean": exact.mean,
        "variance": exact.variance,
        "lengths": np.array(list(law)),
        "probabilities": np.array([float(p) for p in law.values()]),
        "sampled_mean": drawn.mean(),
        "sampled_variance": drawn.var(ddof=1),
        "sampled": np.array([(drawn == n).mean() for n in law]),
    }


def letters(indices: Sequence[int]) -> Mapping[str, Any]:
    """The exact unigram law (grammars, 30) of each grammar."""
    counts = np.array([letter_counts(paper_grammar(i)) for i in indices])
    return {"unigram": counts / counts.sum(1, keepdims=True)}


def locality(
    index: int, one: str, other: str, order: int, train: int, test: int, seed: int
) -> Mapping[str, Any]:
    """How often naive Bayes on letters (order 0) or pairs (1) tells windows of two branches apart.

    "right" of "trials" test windows.
    """
    keys = jax.random.split(jax.random.key(seed), 4)
    texts = [
        sample_windows(keys[2 * part + i], paper_grammar(index, branch), n)  # type: ignore[arg-type]
        for part, n in enumerate((train, test))
        for i, branch in enumerate((one, other))
    ]
    chains = [fit_markov(sample, letters=30, order=order) for sample in texts[:2]]
    odds = [
        np.asarray(log_likelihood(chains[0], sample) - log_likelihood(chains[1], sample))
        for sample in texts[2:]
    ]
    return {"right": int((odds[0] > 0).sum() + (odds[1] < 0).sum()), "trials": 2 * test}
