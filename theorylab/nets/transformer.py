"""A small transformer over token ids.

It is that of Vaswani et al. 2017, with pre-layer-norm as in Radford et al. 2019.
"""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.inputs import numbers, streams

Activations = dict[str, Float[Array, "n t d"]]


def sinusoids(context: int, width: int) -> np.ndarray:
    """Fixed positions (context, width): sine in the even columns, cosine in the odd ones.

    They are those of Vaswani et al. 2017, section 3.5.
    """
    angle = np.arange(context)[:, None] / 10_000.0 ** (np.arange(0, width, 2) / width)
    return (
        np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        .reshape(context, -1)[:, :width]
        .astype(np.float32)
    )


class _Block(nnx.Module):
    def __init__(
        self, width: int, heads: int, ratio: int, causal: bool, std_out: float, rngs: nnx.Rngs
    ) -> None:
        def linear(i: int, o: int, std: float = 0.02) -> nnx.Linear:
            return nnx.Linear(i, o, kernel_init=nnx.initializers.normal(std), rngs=rngs)

        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = (nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs) for _ in range(2))
        self.qkv, self.out = linear(width, 3 * width), linear(width, width, std_out)
        self.mlp_in, self.mlp_out = (
            linear(width, ratio * width),
            linear(ratio * width, width, std_out),
        )

    def __call__(self, x: Float[Array, "n t d"]) -> tuple[Float[Array, "n t d"], Activations]:
        q, k, v = jnp.split(self.qkv(self.norm1(x)), 3, axis=-1)
        q, k, v = (a.reshape(*a.shape[:-1], self.heads, -1) for a in (q, k, v))
        mixed = jax.nn.dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(mixed.reshape(x.shape))
        h = self.norm2(x)
        pre = self.mlp_in(h)
        out = self.mlp_out(jax.nn.gelu(pre))
        return x + out, {"mlp_in": h, "mlp_pre": pre, "mlp_out": out, "resid": x + out}


class Transformer(nnx.Module):
    """Decoder over token ids.

    Input (n, t) integers with t <= context, output logits (n, t, vocabulary). Tanh-GELU, biases
    everywhere, weights from N(0, 0.02), residual projections from N(0, 0.02 / sqrt(2 depth)), zero
    biases. Ids outside 0 .. vocabulary - 1 are refused where they are known; under jit JAX's
    indexing clips them.

    Args:
        vocabulary: number of token ids.
        context: length of the longest sequence.
        width: channels of the residual stream.
        depth: number of blocks.
        heads: attention heads; they divide `width`.
        mlp_ratio: hidden units of a block's MLP as a multiple of `width`.
        causal: position i sees positions <= i only; False lets every position see all.
        tied: the output matrix is the transposed embedding, without a bias.
        positions: "learned" or "sinusoidal" (fixed, no parameters).
        rngs: draws the weights.

    Raises:
        InputError: counts below 1, heads that do not divide the width, or unknown options.
    """

    def __init__(  # noqa: PLR0913
        self,
        vocabulary: int,
        context: int,
        *,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        mlp_ratio: int = 4,
        causal: bool = True,
        tied: bool = False,
        positions: Literal["learned", "sinusoidal"] = "learned",
        rngs: nnx.Rngs,
    ) -> None:
        vocabulary, context, width, depth, heads, mlp_ratio = (
            checks.count(name, value)
            for name, value in (
                ("vocabulary", vocabulary),
                ("context", context),
                ("width", width),
                ("depth", depth),
                ("heads", heads),
                ("mlp_ratio", mlp_ratio),
            )
        )
        checks.flag("causal", causal), checks.flag("tied", tied), streams(rngs)
        if width % heads:
            raise InputError(f"heads: {heads} given, a divisor of width = {width} is needed")
        checks.choice("positions", positions, ("learned", "sinusoidal"))
        init = nnx.initializers.normal(0.02)
        self.context, self.vocabulary, self.width = context, vocabulary, width
        self.embedding = nnx.Embed(vocabulary, width, embedding_init=init, rngs=rngs)
        learned = positions == "learned"
        # nnx.Variable, not Param: fixed positions are no parameters
        self.positions = (
            nnx.Param(init(rngs.params(), (context, width)))
            if learned
            else nnx.Variable(jnp.asarray(sinusoids(context, width)))
        )
        std_out = 0.02 / math.sqrt(2 * depth)
        self.blocks = nnx.List(
            [_Block(width, heads, mlp_ratio, causal, std_out, rngs) for _ in range(depth)]
        )
        self.norm = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.head = (
            None
            if tied
            else nnx.Linear(width, vocabulary, use_bias=False, kernel_init=init, rngs=rngs)
        )

    def embed(self, tokens: ArrayLike) -> Float[Array, "n t d"]:
        """Token embeddings without positions.

        Soft prompts are added to these and given back as `embeddings`.
        """
        tokens = numbers("tokens", tokens)
        if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
            raise InputError(
                f"tokens: {tokens.dtype} of shape {tokens.shape} given, integers (n, t) are needed"
            )
        if tokens.size:
            checks.within("tokens", tokens, 0, self.vocabulary - 1)
        return self.embedding(tokens)

    def __call__(
        self,
        tokens: Int[ArrayLike, "n t"] | None = None,
        *,
        embeddings: Float[Array, "n t d"] | None = None,
        capture: bool = False,
    ) -> Any:
        """Logits (n, t, vocabulary) of a batch of token ids.

        With `capture`, also a list with the activations of every block.

        Keys of a block's activations: "mlp_in" (n, t, width), "mlp_pre" (before the GELU; n, t,
        mlp_ratio width), "mlp_out" and "resid" (the residual stream after the block), both (n, t,
        width).
        """
        checks.flag("capture", capture)
        if embeddings is None and tokens is not None:
            embeddings = self.embed(tokens)
        elif embeddings is None or tokens is not None:
            raise InputError("tokens, embeddings: give exactly one of the two")
        x = numbers("embeddings", embeddings)
        if x.ndim != 3 or x.shape[2] != self.width or not x.size:
            raise InputError(
                f"tokens, embeddings: shape {x.shape} given, (n, t, {self.width}), n and t at "
                "least 1, is needed"
            )
        if x.shape[1] > self.context:
            raise InputError(
                f"tokens: {x.shape[1]} positions given, at most context = {self.context} are "
                "possible"
            )
        x = x + self.positions[...][: x.shape[1]]
        activations = []
        for block in self.blocks:
            x, seen = block(x)
            activations.append(seen)
        x = self.norm(x)
        logits = self.embedding.attend(x) if self.head is None else self.head(x)
        return (logits, activations) if capture else logits
