"""The decoder against the transformer, a NumPy block, and a loop that decodes by hand."""

import jax
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import Transformer, count_parameters, functional
from theorylab.nets.gpt import GPT, greedy_decoder

SIZES = {"width": 16, "depth": 2, "heads": 2}
TOKENS = np.random.default_rng(0).integers(0, 11, (5, 8))


def wild(model):
    """The model with large weights, so that logits are far from even and biases are not zero."""
    f, params = functional(model)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    new = [a + 0.4 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    return jax.jit(f), jax.tree.unflatten(tree, new)


def test_it_is_the_transformer_of_the_same_weights():
    one = GPT(11, 12, rngs=nnx.Rngs(0), **SIZES)(TOKENS)
    other = Transformer(11, 12, rngs=nnx.Rngs(0), **SIZES)(TOKENS)
    np.testing.assert_array_equal(one, other)


@pytest.mark.long
@pytest.mark.parametrize("normed_stream", [False, True])
def test_reading_piece_by_piece_gives_the_logits_of_the_whole(normed_stream):
    model = GPT(11, 12, rngs=nnx.Rngs(0), normed_stream=normed_stream, **SIZES)
    f, params = wild(model)
    extend = jax.jit(functional(model, method="extend")[0])
    whole, cache, parts = f(params, TOKENS), model.cache(5), []
    for piece in (TOKENS[:, :3], TOKENS[:, 3:4], TOKENS[:, 4:]):
        logits, cache = extend(params, piece, cache=cache)
        parts.append(logits)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=2e-5, atol=2e-5)
    assert int(cache.length) == 8


@pytest.mark.parametrize("normed_stream", [False, True])
def test_cached_decoding_equals_uncached_and_a_loop_by_hand_token_by_token(normed_stream):
    model = GPT(11, 12, rngs=nnx.Rngs(0), normed_stream=normed_stream, **SIZES)
    f, params = wild(model)
    prompts, steps = TOKENS[:, :6], 7  # 6 + 7 - 1 = the context: the last token is not read
    forced = np.full((5, steps), -1)
    forced[0, :2], forced[1, 0], forced[2, 4] = (3, 4), 7, 0
    tokens = prompts
    for i in range(steps):  # what stands behind a position does not change its logits
        read = np.pad(tokens, ((0, 0), (0, 12 - tokens.shape[1])))
        best = np.asarray(f(params, read))[:, 5 + i].argmax(-1)
        tokens = np.concatenate(
            [tokens, np.where(forced[:, i] < 0, best, forced[:, i])[:, None]], 1
        )
    for cached in (True, False):
        written = greedy_decoder(model, steps=steps, cached=cached)(params, prompts, forced)
        np.testing.assert_array_equal(written, tokens[:, 6:])
    assert len(np.unique(tokens[:, 6:])) > 2


def test_a_prompt_given_as_forced_tokens_is_decoded_as_one_given_whole():
    model = GPT(11, 12, rngs=nnx.Rngs(0), **SIZES)
    _, params = wild(model)
    want = greedy_decoder(model, steps=4)(params, TOKENS)
    forced = np.concatenate([TOKENS[:, 2:], np.full((5, 4), -1)], 1)
    got = greedy_decoder(model, steps=10)(params, TOKENS[:, :2], forced)
    np.testing.assert_array_equal(got[:, 6:], want)


def test_the_block_with_a_normed_stream_is_that_of_its_formula():
    model = GPT(7, 4, width=4, depth=1, heads=1, normed_stream=True, rngs=nnx.Rngs(0))
    f, params = wild(model)
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    tokens = np.array([[1, 5, 2]])

    def norm(x, w):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * w["scale"] + w["bias"]

    def linear(x, w):
        return x @ w["kernel"] + w.get("bias", 0.0)

    block = p["blocks"][0]
    x = p["embedding"]["embedding"][tokens[0]] + p["positions"][:3]
    x = norm(x, block["norm1"])
    q, k, v = np.split(linear(x, block["qkv"]), 3, axis=-1)
    scores = np.where(np.tri(3), np.exp(q @ k.T / 2), 0)
    x = x + linear(scores / scores.sum(1, keepdims=True) @ v, block["out"])
    h = linear(x, block["mlp_in"])
    h = h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3))) / 2
    x = x + linear(h, block["mlp_out"])
    np.testing.assert_allclose(
        f(params, tokens)[0], linear(norm(x, p["norm"]), p["head"]), rtol=1e-4, atol=1e-5
    )


def test_the_six_layer_model_of_the_paper_has_its_number_of_parameters():
    sizes = {"width": 192, "depth": 6, "heads": 6, "positions": "sinusoidal"}
    model = nnx.eval_shape(lambda: GPT(59, 159, rngs=nnx.Rngs(0), **sizes))
    total = sum(int(np.prod(a.shape)) for a in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert total == 2_680_896 + 59 * 192  # without the head, and the head


def test_activations_of_the_normed_stream_are_those_it_adds_up():
    model = GPT(11, 12, rngs=nnx.Rngs(0), normed_stream=True, **SIZES)
    logits, activations = model(TOKENS, capture=True)
    np.testing.assert_array_equal(logits, model(embeddings=model.embed(TOKENS)))
    assert [set(a) for a in activations] == [{"mlp_in", "mlp_pre", "mlp_out", "resid"}] * 2
    seen = activations[1]
    np.testing.assert_allclose(seen["resid"] - seen["mlp_out"], seen["mlp_in"], atol=1e-5)
    assert count_parameters(model) < count_parameters(GPT(11, 12, rngs=nnx.Rngs(0), **SIZES))


MODEL = GPT(11, 12, rngs=nnx.Rngs(0), **SIZES)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: GPT(11, 12, rngs=0), "rngs"),
        (lambda: GPT(11, 12, rngs=nnx.Rngs(0), causal=False), "causal"),
        (lambda: GPT(11, 12, rngs=nnx.Rngs(0), normed_stream=1), "normed_stream"),
        (lambda: MODEL.cache(0), "n"),
        (lambda: MODEL.extend(TOKENS, cache=None), "cache"),
        (lambda: MODEL.extend(TOKENS, cache=MODEL.cache(2)), "tokens"),
        (lambda: MODEL.extend(np.full((5, 1), 11), cache=MODEL.cache(5)), "tokens"),
        (lambda: MODEL.extend(np.zeros((5, 13), int), cache=MODEL.cache(5)), "tokens"),
        (lambda: greedy_decoder(len, steps=2), "model"),
        (lambda: greedy_decoder(MODEL, steps=0), "steps"),
        (lambda: greedy_decoder(MODEL, steps=2, cached=None), "cached"),
        (lambda: greedy_decoder(MODEL, steps=6)({}, TOKENS), "prompts"),
        (lambda: greedy_decoder(MODEL, steps=2)({}, TOKENS + 20), "prompts"),
        (lambda: greedy_decoder(MODEL, steps=2)({}, TOKENS, np.zeros((5, 3), int)), "forced"),
    ],
)
def test_what_a_decoder_cannot_take_is_refused_by_name(call, name):
    with pytest.raises(InputError, match=name):
        call()
