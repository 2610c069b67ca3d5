"""A sentence encoder: all-MiniLM-L6-v2, sentences to 384 numbers of norm 1.

BERT of 6 layers of 12 heads, exact GELU; the mean of the token vectors, over [CLS] and [SEP] too,
divided by its norm. Sentences are split into word pieces as the published tokenizer does.

Source: Reimers & Gurevych 2019 (Sentence-BERT); Wang et al. 2020 (MiniLM); Devlin et al. 2019.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError

LAYERS, HEADS, WIDTH = 6, 12, 384
LONGEST = 256  # tokens of a sentence that the model was trained on
_WORD = 100  # characters of a word beyond which it is unknown
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class MiniLM:
    """The encoder, made from its published tensors.

    Args:
        weights: tensor names to arrays, with "vocabulary"; None reads
            `theorylab.data.pretrained("minilm")`.

    Raises:
        InputError: a tensor is missing.
        DataError: the weights are not in the cache.
    """

    def __init__(self, weights: Mapping[str, np.ndarray] | None = None) -> None:
        if weights is None:
            from theorylab.data import pretrained

            weights = pretrained("minilm")
        checks.instance(
            "weights", weights, Mapping, "None or a mapping from tensor names to arrays"
        )
        for name in ("vocabulary", "embeddings.word_embeddings.weight"):
            if name not in weights:
                raise InputError(
                    f"weights lacks {name!r}; the tensors of all-MiniLM-L6-v2 are needed"
                )
        from theorylab.data.reviews import unpack_texts

        self._number = {word: k for k, word in enumerate(unpack_texts(weights["vocabulary"]))}
        self._params = {n: jnp.asarray(v) for n, v in weights.items() if n != "vocabulary"}

    def tokens(self, text: str, *, longest: int = LONGEST) -> list[int]:
        """Numbers of the word pieces of a text, with [CLS] before and [SEP] after them.

        Args:
            text: any text.
            longest: pieces kept in all.

        Returns:
            A list of numbers into the vocabulary.

        Raises:
            InputError: what is no text, or fewer than 2 pieces.
        """
        if not isinstance(text, str):
            raise InputError(f"text = {checks.shown(text)}; a string is needed")
        room = checks.count("longest", longest, at_least=2, at_most=512) - 2
        pieces: list[int] = []
        for word in split_words(text):
            pieces += self._pieces(word)
            if len(pieces) >= room:
                break
        return [self._number["[CLS]"], *pieces[:room], self._number["[SEP]"]]

    def _pieces(self, word: str) -> list[int]:
        """Greedy longest match; a word with a part that has no piece is unknown as a whole."""
        unknown = [self._number["[UNK]"]]
        if len(word) > _WORD:
            return unknown
        found, start = [], 0
        while start < len(word):
            head = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._number.get(head + word[start:end])
                if number is not None:
                    break
            else:
                return unknown
            found.append(number)
            start = end
        return found

    def encode(
        self, texts: Sequence[str], *, batch_size: int = 64, longest: int = LONGEST
    ) -> Float[np.ndarray, "n 384"]:
        """Vectors of texts; sentences of like length are computed together.

        Args:
            texts: n texts.
            batch_size: texts at once.
            longest: word pieces of a text that are read, in all.

        Returns:
            (n, 384) float32, each of norm 1.

        Raises:
            InputError: no texts, or an argument out of range.
        """
        if isinstance(texts, str) or not len(texts):
            raise InputError(f"texts = {checks.shown(texts)}; a sequence of strings is needed")
        many = checks.count("batch_size", batch_size)
        rows = [self.tokens(text, longest=longest) for text in texts]
        order = np.argsort([len(row) for row in rows], kind="stable")
        found = np.empty((len(rows), WIDTH), np.float32)
        for start in range(0, len(rows), many):
            chosen = order[start : start + many]
            wide = -(-max(len(rows[k]) for k in chosen) // 16) * 16
            numbers, there = np.zeros((many, wide), np.int32), np.zeros((many, wide), np.float32)
            for place, k in enumerate(chosen):
                numbers[place, : len(rows[k])] = rows[k]
                there[place, : len(rows[k])] = 1
            there[len(chosen) :, 0] = 1  # rows that fill the batch up
            found[chosen] = np.asarray(_forward(self._params, numbers, there))[: len(chosen)]
        return found


def split_words(text: str) -> list[str]:
    """Words and single punctuation marks, lower-cased and without accents, as BERT's tokenizer."""
    lowered = unicodedata.normalize("NFD", _spaced(text).lower())
    words, word = [], ""
    for char in lowered:
        if unicodedata.category(char) == "Mn":
            continue
        if char.isspace() or _punctuation(char):
            words += [word] if word else []
            words += [] if char.isspace() else [char]
            word = ""
        else:
            word += char
    return [*words, word] if word else words


def _spaced(text: str) -> str:
    """Without control characters, and with blanks around ideographs."""
    out = []
    for char in text:
        code = ord(char)
        if char in "\t\n\r" or unicodedata.category(char) == "Zs":
            out.append(" ")
        elif code in (0, 0xFFFD) or unicodedata.category(char).startswith("C"):
            continue
        elif any(low <= code <= high for low, high in _IDEOGRAPHS):
            out.append(f" {char} ")
        else:
            out.append(char)
    return "".join(out)


def _punctuation(char: str) -> bool:
    symbol = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return symbol or unicodedata.category(char).startswith("P")


def _linear(params: Any, name: str, x: Any) -> Any:
    return x @ params[f"{name}.weight"].T + params[f"{name}.bias"]


def _norm(params: Any, name: str, x: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    scale = jax.lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-12)
    return (x - mean) * scale * params[f"{name}.weight"] + params[f"{name}.bias"]


@jax.jit
def _forward(params: Any, numbers: Any, there: Any) -> Any:
    n, length = numbers.shape
    x = (
        params["embeddings.word_embeddings.weight"][numbers]
        + params["embeddings.position_embeddings.weight"][:length]
        + params["embeddings.token_type_embeddings.weight"][0]
    )
    x = _norm(params, "embeddings.LayerNorm", x)
    hidden = jnp.where(there[:, None, None, :] > 0, 0.0, -1e9)  # what a token may look at
    split = partial(_heads, n=n, length=length)
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        q, k, v = (
            split(_linear(params, f"{name}.attention.self.{part}", x))
            for part in ("query", "key", "value")
        )
        scores = jnp.einsum("nhqc,nhkc->nhqk", q, k) * (WIDTH // HEADS) ** -0.5 + hidden
        mixed = jnp.einsum("nhqk,nhkc->nqhc", jax.nn.softmax(scores, -1), v).reshape(x.shape)
        mixed = _linear(params, f"{name}.attention.output.dense", mixed)
        x = _norm(params, f"{name}.attention.output.LayerNorm", x + mixed)
        wide = jax.nn.gelu(_linear(params, f"{name}.intermediate.dense", x), approximate=False)
        wide = _linear(params, f"{name}.output.dense", wide)
        x = _norm(params, f"{name}.output.LayerNorm", x + wide)
    mean = (x * there[..., None]).sum(1) / there.sum(1, keepdims=True)
    return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)


def _heads(x: Any, *, n: int, length: int) -> Any:
    return x.reshape(n, length, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)
