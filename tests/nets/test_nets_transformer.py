import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import Transformer, count_parameters, functional
from theorylab.nets.transformer import sinusoids

TOKENS = np.random.default_rng(0).integers(0, 7, (2, 5))


def small(**options):
    return Transformer(
        **{"vocabulary": 7, "context": 6, "width": 8, "depth": 1, "heads": 2, "rngs": nnx.Rngs(0)}
        | options
    )


def test_parameter_count_is_the_published_one():
    # the mini model of the safety fine-tuning release: 6 blocks, d = 192, 59 tokens; 2,680,896
    # without its head
    options = {"width": 192, "depth": 6, "heads": 6, "positions": "sinusoidal"}
    untied, tied = (
        count_parameters(
            nnx.eval_shape(lambda t=t: Transformer(59, 159, tied=t, rngs=nnx.Rngs(0), **options))
        )
        for t in (False, True)
    )
    assert tied == 2_680_896
    assert untied == tied + 59 * 192


@pytest.mark.long
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_one_block_is_the_float64_formula(causal, tied):
    f, params = functional(small(causal=causal, tied=tied))
    p = jax.tree.map(lambda a: np.asarray(a, float), params)

    def norm(x, q):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * q["scale"] + q["bias"]

    def linear(x, q):
        return x @ q["kernel"] + q.get("bias", 0.0)

    block, e = p["blocks"][0], p["embedding"]["embedding"]
    x = e[TOKENS] + p["positions"][:5]
    q, k, v = (
        a.reshape(2, 5, 2, 4)
        for a in np.split(linear(norm(x, block["norm1"]), block["qkv"]), 3, -1)
    )
    scores = np.einsum("nthd,nshd->nhts", q, k) / 2.0
    scores = np.where(np.tril(np.ones((5, 5))) + (not causal) > 0, scores, -np.inf)
    mixed = np.einsum("nhts,nshd->nthd", scipy.special.softmax(scores, -1), v).reshape(2, 5, 8)
    x = x + linear(mixed, block["out"])
    h = linear(norm(x, block["norm2"]), block["mlp_in"])
    gelu = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    x = norm(x + linear(gelu, block["mlp_out"]), p["norm"])
    expected = x @ e.T if tied else linear(x, p["head"])
    np.testing.assert_allclose(f(params, TOKENS), expected, rtol=1e-4, atol=1e-5)


def test_sinusoids_turn_by_one_radian_a_position_in_the_first_pair():
    table = sinusoids(4, 5)
    assert table.shape == (4, 5)
    np.testing.assert_allclose(table[:, 0], np.sin(np.arange(4)), rtol=1e-6)
    np.testing.assert_allclose(table[:, 1], np.cos(np.arange(4)), rtol=1e-6)
    np.testing.assert_allclose(table[3, 2], np.sin(3 / 10_000 ** (2 / 5)), rtol=1e-6)


def test_causal_logits_ignore_what_follows():
    f, params = functional(small(depth=2, positions="sinusoidal"))
    changed = TOKENS.copy()
    changed[:, 3:] = (changed[:, 3:] + 1) % 7
    a, b = f(params, TOKENS), f(params, changed)
    np.testing.assert_allclose(a[:, :3], b[:, :3], atol=1e-6)
    assert float(jnp.abs(a[:, 3:] - b[:, 3:]).max()) > 1e-3


def test_embeddings_can_take_the_place_of_tokens_and_activations_be_seen():
    model = small(depth=2)
    f, params = functional(model)
    logits, seen = f(params, TOKENS, capture=True)
    soft = f(params, None, embeddings=model.embed(TOKENS))
    np.testing.assert_allclose(logits, soft, atol=1e-6)
    assert [{k: v.shape[-1] for k, v in s.items()} for s in seen] == [
        {"mlp_in": 8, "mlp_pre": 32, "mlp_out": 8, "resid": 8}
    ] * 2
    np.testing.assert_allclose(
        seen[1]["resid"] - seen[1]["mlp_out"] - seen[0]["resid"],
        model.blocks[1].out(
            jax.nn.dot_product_attention(
                *(
                    a.reshape(2, 5, 2, 4)
                    for a in jnp.split(
                        model.blocks[1].qkv(model.blocks[1].norm1(seen[0]["resid"])), 3, -1
                    )
                ),
                is_causal=True,
            ).reshape(2, 5, 8)
        ),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: small(heads=3), "heads"),
        (lambda: small(depth=0), "depth"),
        (lambda: small(positions="rotary"), "positions"),
        (lambda: small()(np.zeros((2, 5), np.float32)), "integers"),
        (lambda: small()(np.zeros(5, int)), "integers"),
        (lambda: small()(np.zeros((2, 7), int)), "context = 6"),
        (lambda: small()(), "exactly one"),
    ],
)
def test_bad_input_is_named(call, word):
    with pytest.raises(InputError, match=word):
        call()
