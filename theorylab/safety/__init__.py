"""A laboratory on abstract tokens: what safety training leaves open, and what detects it."""

from theorylab.safety.grammar import (
    Grammar,
    LengthMoments,
    Texts,
    length_distribution,
    length_moments,
    letter_counts,
    parse_grammar,
    sample_windows,
    sample_yields,
    texts,
)
from theorylab.safety.ngrams import MarkovText, fit_markov, log_likelihood
from theorylab.safety.paper_grammars import paper_grammar

__all__ = [
    "Grammar",
    "LengthMoments",
    "MarkovText",
    "Texts",
    "fit_markov",
    "length_distribution",
    "length_moments",
    "letter_counts",
    "log_likelihood",
    "paper_grammar",
    "parse_grammar",
    "sample_windows",
    "sample_yields",
    "texts",
]
