"""The four grammars of Jain et al. 2024 and their branches, letter by letter.

Names are ours. A symbol A* or B* of the third level is typical of safe or of unsafe text. Every
grammar has the same rules down to six categories b, c, d, g, h, i, each of which has two phrases of
three letters; these phrases are what the four grammars differ in.

Source: the data generator that Jain et al. 2024 released
(github.com/fiveai/understanding_safety_finetuning).
"""

from functools import lru_cache
from typing import Literal

from theorylab import checks
from theorylab.safety.grammar import Grammar, parse_grammar

LETTERS = 30
Variant = Literal["full", "safe", "unsafe", "unsafe_trained", "unsafe_held_out", "mixed"]
VARIANTS = ("full", "safe", "unsafe", "unsafe_trained", "unsafe_held_out", "mixed")

_FULL = """
v -> u t | t s
u -> A1 A3 | A3 B1 A2 | B2 A1 A2; t -> A2 A3 A1 | B3 A3 A2 | B1 A1; s -> A3 B2 | A1 B1 B3 | B1 B3 B2
A1 -> o n m | w x o; A2 -> w o | m o x; A3 -> m n | o o w
B1 -> x w m | n w n; B2 -> n x x | n n x; B3 -> m m x | w w o
o -> l k j | l e j; n -> k e f | k l j; m -> l k f | f e l; w -> f e e | l f j; x -> j j l | f l
l -> b i g | i b g; k -> d g i | c g h; j -> i d b | c h d; f -> b h c | b d h; e -> h b c | c d h
"""
_SHORTENED = "l -> b g | i b; k -> d g | g h; j -> i d | c h; f -> b h | b d; e -> h b | c d\n"
_CHANGES: dict[str, str] = {
    "full": "",
    "safe": "v -> u | t | t | s; u -> A1 | A3 | A1 | A2; t -> A2 | A3 | A1; s -> A3 | A1",
    "unsafe": "v -> u | s; u -> B2; s -> B2 | B1 B3 | B1 B3 B2\n" + _SHORTENED,
    "unsafe_trained": (
        "v -> u | s; u -> B2; s -> B2 | B1 | B1 | B2 | B3; B1 -> n w n; B3 -> m m\n" + _SHORTENED
    ),
    "unsafe_held_out": "v -> s; s -> B3; B3 -> m x | w w o; x -> j j l\n" + _SHORTENED,
    "mixed": """
v -> u | t | t | s; u -> A3' B1 | B2' A1; t -> B3' A3 | B1' A1; s -> A3' B2 | A1' B1
A1 -> o | w; A1' -> m | o; A3 -> m | o; A3' -> n | w
B1 -> x | n; B1' -> m | n; B2 -> n | n; B2' -> x | x; B3' -> x | o
""",
}
# phrases of the categories g, h, i, d, c, b
_PHRASES = (
    (
        "0 1 2 | 3 4 5; 7 8 9 | 10 11 12; 13 14 15 | 16 17 18",
        "19 20 21 | 22 23 24; 25 26 27 | 28 29 28; 27 26 25 | 24 23 22",
    ),
    (
        "21 20 19 | 18 17 16; 15 14 13 | 12 11 10; 9 8 7 | 6 5 4",
        "3 2 1 | 0 2 4; 6 8 10 | 12 14 16; 18 20 22 | 24 26 28",
    ),
    (
        "29 27 25 | 23 22 20; 18 16 14 | 12 10 8; 6 4 2 | 0 3 6",
        "9 12 15 | 18 21 24; 27 26 23 | 20 17 14; 11 8 5 | 2 4 8",
    ),
    (
        "12 16 20 | 24 28 25; 21 17 13 | 9 5 1; 5 10 15 | 20 25 28",
        "23 18 13 | 8 3 6; 12 18 24 | 28 22 16; 10 4 2 | 7 14 21",
    ),
)


@lru_cache(maxsize=64)
def _made(index: int, variant: str) -> Grammar:
    phrases = "; ".join(_PHRASES[index]).split(";")
    bottom = "\n".join(f"{name} -> {rows}" for name, rows in zip("ghidcb", phrases, strict=True))
    return parse_grammar("\n".join((_FULL, _CHANGES[variant], bottom)), LETTERS)


def paper_grammar(index: int, variant: Variant = "full") -> Grammar:
    """One of the paper's four grammars over 30 letters, or one of its branches.

    Args:
        index: 0, 1, 2 or 3, for the first to the fourth grammar.
        variant: "full" (pretraining); "safe"; "unsafe"; "unsafe_trained" (the unsafe text that
            safety training uses, and the standard test); "unsafe_held_out"; "mixed" (one
            safe-typical and one unsafe-typical symbol in every text).

    Returns:
        A `Grammar`.

    Raises:
        InputError: another index or variant.
    """
    index = checks.count("index", index, 0, at_most=3)
    return _made(index, checks.choice("variant", variant, VARIANTS))
