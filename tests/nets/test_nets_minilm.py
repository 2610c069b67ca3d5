"""The sentence encoder: its published similarities, the word pieces, and a BERT by hand."""

import numpy as np
import pytest

from theorylab.data import status
from theorylab.data.reviews import pack_texts
from theorylab.errors import InputError
from theorylab.nets.minilm import HEADS, LAYERS, WIDTH, MiniLM, split_words

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "the", "cat", "'", "t", "don"]


def tensors(seed=0):
    """Weights of the right shapes, drawn, with a vocabulary of a dozen pieces."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (0.3 * rng.standard_normal(shape)).astype(np.float32)

    found = {
        "vocabulary": pack_texts(WORDS),
        "embeddings.word_embeddings.weight": draw(len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": draw(512, WIDTH),
        "embeddings.token_type_embeddings.weight": draw(2, WIDTH),
    }

    def layer(name, o, i):
        found[f"{name}.weight"], found[f"{name}.bias"] = draw(o, i) * i**-0.5, draw(o)

    def norm(name):
        found[f"{name}.weight"], found[f"{name}.bias"] = 1 + draw(WIDTH), draw(WIDTH)

    norm("embeddings.LayerNorm")
    for k in range(LAYERS):
        name = f"encoder.layer.{k}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            layer(f"{name}.attention.{part}", WIDTH, WIDTH)
        layer(f"{name}.intermediate.dense", 4 * WIDTH, WIDTH)
        layer(f"{name}.output.dense", WIDTH, 4 * WIDTH)
        norm(f"{name}.attention.output.LayerNorm"), norm(f"{name}.output.LayerNorm")
    return found


def by_hand(p, numbers):
    """One sentence in float64, a head and a token at a time, without any padding."""
    from scipy.special import erf

    def norm(name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(name, x):
        return x @ np.float64(p[f"{name}.weight"]).T + p[f"{name}.bias"]

    x = np.float64(p["embeddings.word_embeddings.weight"][numbers])
    x = x + p["embeddings.position_embeddings.weight"][: len(numbers)]
    x = norm("embeddings.LayerNorm", x + p["embeddings.token_type_embeddings.weight"][0])
    c = WIDTH // HEADS
    for k in range(LAYERS):
        name = f"encoder.layer.{k}"
        q, key, v = (linear(f"{name}.attention.self.{s}", x) for s in ("query", "key", "value"))
        mixed = np.zeros_like(x)
        for h in range(HEADS):
            part = slice(h * c, (h + 1) * c)
            for t in range(len(x)):
                scores = np.exp(key[:, part] @ q[t, part] / np.sqrt(c))
                mixed[t, part] = scores @ v[:, part] / scores.sum()
        mixed = linear(f"{name}.attention.output.dense", mixed)
        x = norm(f"{name}.attention.output.LayerNorm", x + mixed)
        wide = linear(f"{name}.intermediate.dense", x)
        wide = 0.5 * wide * (1 + erf(wide / np.sqrt(2)))
        x = norm(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", wide))
    return x.mean(0) / np.linalg.norm(x.mean(0))


def test_words_are_split_as_berts_tokenizer_splits_them():
    assert split_words("Café, don't!\tA\u0000b 東京") == [
        *("cafe", ",", "don", "'", "t", "!", "ab", "東", "京")
    ]
    assert split_words("  ") == [] and split_words("$5_a") == ["$", "5", "_", "a"]


def test_pieces_are_the_longest_that_fit_and_unknown_words_are_unknown_as_a_whole():
    model = MiniLM(tensors())
    assert model.tokens("unaffable cat") == [2, 4, 5, 6, 8, 3]
    assert model.tokens("unaffxble the") == [2, 1, 7, 3]
    assert model.tokens("don't " + "x" * 101) == [2, 11, 9, 10, 1, 3]
    assert model.tokens("the cat the cat", longest=4) == [2, 7, 8, 3]


def test_the_forward_pass_is_that_of_a_loop_whatever_shares_its_batch():
    weights = tensors()
    model = MiniLM(weights)
    texts = ["unaffable cat", "the", "don't the cat the cat the cat the cat unaffable", ""]
    found = model.encode(texts, batch_size=3)
    for text, vector in zip(texts, found, strict=True):
        np.testing.assert_allclose(vector, by_hand(weights, model.tokens(text)), atol=3e-5)
    np.testing.assert_allclose(model.encode(texts[::-1])[::-1], found, atol=1e-5)


@pytest.mark.long
def test_the_published_similarities():
    if not status("minilm").cached:
        pytest.skip("not cached: run `theorylab data fetch minilm`")
    one = ["The new movie is awesome", "The cat sits outside", "A man is playing guitar"]
    two = ["The dog plays in the garden", "The new movie is so great", "A woman watches TV"]
    model = MiniLM()
    published = [[0.0543, 0.8939, -0.0502], [0.2838, -0.0029, 0.1310], [0.2277, -0.0136, -0.0327]]
    np.testing.assert_allclose(model.encode(one) @ model.encode(two).T, published, atol=6e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.encode("one string"),
        lambda m: m.encode([]),
        lambda m: m.encode([3]),
        lambda m: m.encode(["a"], batch_size=0),
        lambda m: m.tokens("a", longest=1),
        lambda m: MiniLM({}),
        lambda m: MiniLM(7),
    ],
)
def test_bad_input_is_refused_in_one_line(call):
    with pytest.raises(InputError) as caught:
        call(MiniLM(tensors()))
    assert "\n" not in str(caught.value)
