"""Probabilistic context-free grammars over abstract letters, and the exact laws of what they yield.

A grammar replaces each symbol by one of its alternatives, all equally likely, until letters
0..K-1 are left. Its sentences are called yields.

Source: Jain et al. 2024 (What Makes and Breaks Safety Fine-tuning?), appendix on the synthetic
setup, for the use; the linear systems are those of branching processes (Harris 1963, chapter 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError

Alternatives = tuple[tuple[str | int, ...], ...]


@dataclass(frozen=True)
class Grammar:
    """A grammar without cycles, whose alternatives are equally likely.

    An alternative that is listed twice counts twice. Grammars are hashable, hence static arguments
    of compiled functions.

    Attributes:
        rules: from each symbol's name to its alternatives; an alternative is a row of names and
            letters (whole numbers). Kept as pairs.
        root: the symbol to start from.
        letters: size K of the alphabet 0..K-1.

    Raises:
        InputError: symbols without a rule, letters outside the alphabet, empty alternatives, or a
            symbol that leads back to itself.

    Source:
        Our form of the released data generator of Jain et al. 2024.

    Examples:
        >>> twice = Grammar({"s": [("a", "a")], "a": [(0,), (0, 1)]}, "s", 2)
        >>> {n: str(p) for n, p in length_distribution(twice).items()}
        {2: '1/4', 3: '1/2', 4: '1/4'}
    """

    rules: Any
    root: str
    letters: int

    def __post_init__(self) -> None:
        """Keep the rules as pairs and refuse what is no grammar."""
        object.__setattr__(self, "letters", checks.count("letters", self.letters))
        object.__setattr__(self, "rules", _pairs(self.rules))
        known = dict(self.rules)
        if not isinstance(self.root, str) or self.root not in known:
            raise InputError(
                f"root = {checks.shown(self.root)}; the name of one of the rules is needed"
            )
        for name, alternatives in self.rules:
            for symbol in (s for row in alternatives for s in row):
                if isinstance(symbol, str) and symbol not in known:
                    raise InputError(f"rules: {name} uses {symbol!r}, which has no rule")
                if not isinstance(symbol, str) and not 0 <= symbol < self.letters:
                    raise InputError(
                        f"rules: {name} uses letter {symbol}; letters 0..{self.letters - 1} are "
                        "needed (or a larger `letters`)"
                    )
        in_order(known)


@dataclass(frozen=True)
class LengthMoments:
    """Mean and variance of the number of letters of a yield.

    Attributes:
        mean: letters.
        variance: letters squared.
    """

    mean: float
    variance: float


def parse_grammar(text: str, letters: int, root: str = "v") -> Grammar:
    """Read a grammar from lines `name -> a b | c d`; whole numbers are letters.

    Several rules may stand in one line, parted by semicolons. A later rule of the same name
    replaces the earlier one. Symbols that the root does not reach are left out.

    Args:
        text: the rules.
        letters: size of the alphabet.
        root: the symbol to start from.

    Returns:
        A `Grammar`.

    Raises:
        InputError: lines that are no rule, or rules that make no grammar.
    """
    if not isinstance(text, str):
        raise InputError(f"text = {checks.shown(text)}; rules such as 'v -> u t | t s' are needed")
    rules: dict[str, Alternatives] = {}
    for line in (part.strip() for part in text.replace(";", "\n").splitlines()):
        if not line:
            continue
        name, arrow, right = line.partition("->")
        if not arrow:
            raise InputError(f"text holds {line!r}; a rule such as 'v -> u t | t s' is needed")
        rules[name.strip()] = tuple(
            tuple(int(s) if s.isdigit() else s for s in row.split()) for row in right.split("|")
        )
    if not isinstance(root, str) or root not in rules:
        raise InputError(f"root = {checks.shown(root)}; the name of a rule in text is needed")
    reached, waiting = {root}, [root]
    while waiting:
        for s in (s for row in rules.get(waiting.pop(), ()) for s in row):
            if isinstance(s, str) and s not in reached:
                reached.add(s)
                waiting.append(s)
    return Grammar({n: a for n, a in rules.items() if n in reached}, root, letters)


def length_distribution(grammar: Grammar) -> dict[int, Fraction]:
    """The exact law of the number of letters of a yield, by dynamic programming.

    For mean and variance alone `length_moments` is quicker.

    Args:
        grammar: a `Grammar`.

    Returns:
        From each possible length to its probability, in rising order.

    Raises:
        InputError: what is no grammar.
    """
    rules = dict(checked(grammar).rules)
    law: dict[str | int, dict[int, Fraction]] = {
        k: {1: Fraction(1)} for k in range(grammar.letters)
    }
    for name in in_order(rules):
        total: dict[int, Fraction] = {}
        for row in rules[name]:
            joint = {0: Fraction(1, len(rules[name]))}
            for symbol in row:
                joint = _convolve(joint, law[symbol])
            for length, p in joint.items():
                total[length] = total.get(length, Fraction(0)) + p
        law[name] = total
    return dict(sorted(law[grammar.root].items()))


def length_moments(grammar: Grammar) -> LengthMoments:
    """Mean and variance of the number of letters of a yield, by two linear systems.

    With M the mean numbers of children, means solve m = M m on symbols and m = 1 on letters;
    second moments solve a system with the same matrix.

    Args:
        grammar: a `Grammar`.

    Returns:
        `LengthMoments`.

    Raises:
        InputError: what is no grammar.
    """
    K, names, M = _means(grammar)
    unit = np.r_[np.ones(K), np.zeros(len(names))]
    mean = np.linalg.solve(np.eye(len(unit)) - M, unit)
    index = {name: K + i for i, name in enumerate(names)}
    square = unit.copy()
    for name, alternatives in grammar.rules:
        for row in alternatives:
            m = mean[[index.get(s, s) for s in row]]
            square[index[name]] += (m.sum() ** 2 - (m**2).sum()) / len(alternatives)
    second = np.linalg.solve(np.eye(len(unit)) - M, square)
    at = index[grammar.root]
    return LengthMoments(float(mean[at]), float(second[at] - mean[at] ** 2))


def letter_counts(grammar: Grammar) -> Float[np.ndarray, " k"]:
    """Expected number of each letter in a yield, by a linear system.

    Divided by its sum it is the unigram distribution.

    Args:
        grammar: a `Grammar`.

    Returns:
        (K,) expected counts.

    Raises:
        InputError: what is no grammar.
    """
    K, names, M = _means(grammar)
    start = np.zeros(K + len(names))
    start[K + names.index(grammar.root)] = 1.0
    return np.linalg.solve(np.eye(len(start)) - M.T, start)[:K]


# -------------------------------------------------------------------------------- inside


def checked(value: Any) -> Grammar:
    """A grammar; anything else is refused."""
    return checks.instance("grammar", value, Grammar, "a Grammar")


def _pairs(rules: Any) -> tuple[tuple[str, Alternatives], ...]:
    """Rules as hashable pairs; what has another form is refused."""
    items = list(rules.items()) if isinstance(rules, Mapping) else rules
    try:
        pairs = tuple((name, tuple(tuple(row) for row in rows)) for name, rows in items)
    except (TypeError, ValueError):
        raise InputError(
            f"rules = {checks.shown(rules)}; from each name to its alternatives is needed"
        ) from None
    for name, rows in pairs:
        bad = [
            s for row in rows for s in row if isinstance(s, bool) or not isinstance(s, str | int)
        ]
        if not isinstance(name, str) or not rows or not all(rows) or bad:
            raise InputError(
                f"rules: {checks.shown(name)} has alternatives {checks.shown(rows)}; rows of at "
                "least one name or letter are needed"
            )
    return pairs


def in_order(rules: Mapping[str, Alternatives]) -> list[str]:
    """Names such that each stands behind all that its alternatives use."""
    done: list[str] = []
    left = dict(rules)
    while left:
        ready = [
            name
            for name, rows in left.items()
            if not any(isinstance(s, str) and s in left for row in rows for s in row)
        ]
        if not ready:
            raise InputError(f"rules: {sorted(left)} lead back to themselves; no cycle is allowed")
        done += ready
        for name in ready:
            del left[name]
    return done


def _convolve(p: dict[int, Fraction], q: dict[int, Fraction]) -> dict[int, Fraction]:
    out: dict[int, Fraction] = {}
    for a, pa in p.items():
        for b, qb in q.items():
            out[a + b] = out.get(a + b, Fraction(0)) + pa * qb
    return out


def _means(grammar: Grammar) -> tuple[int, list[str], np.ndarray]:
    """Letters, names, and the mean number of each symbol among the children of each."""
    K, names = checked(grammar).letters, [name for name, _ in grammar.rules]
    index = {name: K + i for i, name in enumerate(names)}
    M = np.zeros((K + len(names), K + len(names)))
    for name, rows in grammar.rules:
        for row in rows:
            for s in row:
                M[index[name], index.get(s, s)] += 1 / len(rows)
    return K, names, M
