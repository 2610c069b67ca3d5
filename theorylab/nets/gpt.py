"""A decoder that writes: the transformer of this package with a cache, and greedy decoding.

Import it from here; it is no export of `theorylab.nets`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.functional import Params, functional
from theorylab.nets.inputs import streams
from theorylab.nets.transformer import Activations, Transformer, _Block
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Cache:
    """Keys and values of the positions that were read so far.

    Attributes:
        keys: (depth, n, context, heads, width / heads).
        values: likewise.
        length: number of positions read.
    """

    keys: Float[Array, "b n t h d"]
    values: Float[Array, "b n t h d"]
    length: Int[Array, ""]


class GPT(Transformer):
    """A causal `Transformer` that can also read a sequence piece by piece.

    Use it where sequences are decoded; for training alone a `Transformer` is the same network.

    Args:
        vocabulary: number of token ids.
        context: length of the longest sequence.
        normed_stream: the block of Jain et al. 2024's release, x <- LN(x), x <- x + attention(x),
            x <- x + MLP(x), in which the normed input is the residual stream; False is the usual
            block with a norm before each half.
        rngs: draws the weights.
        **options: width, depth, heads, mlp_ratio, tied and positions, as of `Transformer`.

    Raises:
        InputError: as `Transformer`; and `causal`, which is always true here.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        *,
        normed_stream: bool = False,
        rngs: nnx.Rngs,
        **options: Any,
    ) -> None:
        checks.flag("normed_stream", normed_stream), streams(rngs)
        if "causal" in options:
            raise InputError("causal is always true of a GPT; leave it out")
        super().__init__(vocabulary, context, rngs=rngs, **options)
        self.normed_stream = normed_stream
        if normed_stream:
            for block in self.blocks:
                del block.norm2

    def __call__(
        self,
        tokens: Int[ArrayLike, "n t"] | None = None,
        *,
        embeddings: Float[Array, "n t d"] | None = None,
        capture: bool = False,
    ) -> Any:
        """Logits (n, t, vocabulary); with `capture` also activations, as of `Transformer`."""
        if not self.normed_stream:
            return super().__call__(tokens, embeddings=embeddings, capture=capture)
        checks.flag("capture", capture)
        if (embeddings is None) == (tokens is None):
            raise InputError("tokens, embeddings: give exactly one of the two")
        x = self._embedded(tokens) if embeddings is None else embeddings
        if x.ndim != 3 or x.shape[2] != self.width or not 1 <= x.shape[1] <= self.context:
            raise InputError(
                f"embeddings: shape {x.shape} given, (n, t, {self.width}) with t from 1 to "
                f"{self.context} is needed"
            )
        x = x + self.positions[...][: x.shape[1]]
        mask = jnp.tril(jnp.ones((x.shape[1],) * 2, bool))
        activations = []
        for block in self.blocks:
            x, seen, _, _ = self._block(block, x, lambda k, v: (k, v), mask)
            activations.append(seen)
        logits = self._logits(x)
        return (logits, activations) if capture else logits

    def cache(self, n: int) -> Cache:
        """An empty cache for n sequences.

        Args:
            n: sequences.

        Returns:
            A `Cache`.
        """
        heads = self.blocks[0].heads
        shape = (len(self.blocks), checks.count("n", n), self.context, heads, self.width // heads)
        empty = jnp.zeros(shape, self.embedding.embedding.dtype)
        return Cache(empty, empty, jnp.zeros((), jnp.int32))

    def extend(self, tokens: Int[ArrayLike, "n s"], *, cache: Cache) -> Any:
        """Read the next s tokens of every sequence.

        Args:
            tokens: (n, s) ids; positions beyond the context are an error that is not seen.
            cache: what was read before; from `cache` at the start.

        Returns:
            Logits (n, s, vocabulary) and the longer `Cache`.

        Raises:
            InputError: ids out of range, another number of sequences than the cache has.
        """
        checks.instance("cache", cache, Cache, "a Cache, as GPT.cache gives,")
        x = self._embedded(tokens)
        if x.shape[0] != cache.keys.shape[1]:
            raise InputError(
                f"tokens: {x.shape[0]} sequences given, the cache has {cache.keys.shape[1]}"
            )
        at, s = cache.length, x.shape[1]
        x = x + jax.lax.dynamic_slice_in_dim(self.positions[...], at, s)
        # a query sees what was read before and itself
        mask = jnp.arange(self.context) <= at + jnp.arange(s)[:, None]
        keys, values = [], []
        for i, block in enumerate(self.blocks):
            write = partial(_write, old=(cache.keys[i], cache.values[i]), at=at)
            x, _, k, v = self._block(block, x, write, mask)
            keys.append(k)
            values.append(v)
        return self._logits(x), Cache(jnp.stack(keys), jnp.stack(values), at + s)

    def _embedded(self, tokens: Any) -> Array:
        x = self.embed(tokens)
        if not 1 <= x.shape[1] <= self.context:
            raise InputError(
                f"tokens: {x.shape[1]} positions given, 1 to context = {self.context} are possible"
            )
        return x

    def _logits(self, x: Array) -> Array:
        x = self.norm(x)
        return self.embedding.attend(x) if self.head is None else self.head(x)

    def _block(
        self,
        block: _Block,
        x: Array,
        write: Callable[[Array, Array], tuple[Array, Array]],
        mask: Bool[Array, "s t"],
    ) -> tuple[Array, Activations, Array, Array]:
        """One block; `write` stores its new keys and values and gives all that may be seen."""
        normed = block.norm1(x)
        x = normed if self.normed_stream else x
        q, k, v = (
            a.reshape(*a.shape[:-1], block.heads, -1)
            for a in jnp.split(block.qkv(normed), 3, axis=-1)
        )
        k, v = write(k, v)
        mixed = jax.nn.dot_product_attention(q, k, v, mask=mask[None, None])
        x = x + block.out(mixed.reshape(x.shape))
        h = x if self.normed_stream else block.norm2(x)
        pre = block.mlp_in(h)
        out = block.mlp_out(jax.nn.gelu(pre))
        return x + out, {"mlp_in": h, "mlp_pre": pre, "mlp_out": out, "resid": x + out}, k, v


def greedy_decoder(
    model: GPT, *, steps: int, cached: bool = True
) -> Callable[..., Int[Array, "n s"]]:
    """A compiled function that continues prompts by the likeliest token, step by step.

    Tokens may be forced: an answer's opening, or the rest of prompts of several lengths. A whole
    table of prompts, with a forced prefix of its own for each row, is one call. With the cache a
    step costs one position; without it a step costs the whole sequence, and is simpler.

    Args:
        model: the network; its own parameters are not used, so that many trained ones share the
            compiled program.
        steps: tokens to write.
        cached: keep keys and values between steps.

    Returns:
        `decode(params, prompts, forced=None)`: params as `functional` gives them, prompts (n, p)
        with p + steps - 1 at most the context, forced (n, steps) ids or -1 where free; it returns
        (n, steps) ids.

    Raises:
        InputError: what is no GPT, or counts out of range; the function: prompts or forced tokens
            of another shape, or prompts that are too long.
    """
    checks.instance("model", model, GPT, "a GPT")
    steps, cached = (
        checks.count("steps", steps, at_most=model.context),
        checks.flag("cached", cached),
    )
    with_cache = functional(model, method="extend")[0]
    whole = functional(model)[0]
    empty = model.cache(1)

    @jax.jit
    def from_cache(params: Params, prompts: Array, forced: Array) -> Array:
        shape = (empty.keys.shape[0], prompts.shape[0], *empty.keys.shape[2:])
        blank = jnp.zeros(shape, empty.keys.dtype)
        logits, cache = with_cache(params, prompts, cache=Cache(blank, blank, empty.length))
        first = _pick(logits[:, -1], forced[:, 0])

        def step(carry: tuple[Array, Cache], force: Array) -> tuple[tuple[Array, Cache], Array]:
            token, cache = carry
            logits, cache = with_cache(params, token[:, None], cache=cache)
            token = _pick(logits[:, -1], force)
            return (token, cache), token

        rest = jax.lax.scan(step, (first, cache), forced.T[1:])[1]
        return jnp.concatenate([first[:, None], rest.T], 1)

    @jax.jit
    def from_whole(params: Params, prompts: Array, forced: Array) -> Array:
        p = prompts.shape[1]
        tokens = jnp.concatenate([prompts, jnp.zeros_like(forced[:, 1:])], 1)

        def step(tokens: Array, i: Array) -> tuple[Array, Array]:
            logits = jax.lax.dynamic_index_in_dim(whole(params, tokens), p + i - 1, 1, False)
            token = _pick(logits, jax.lax.dynamic_index_in_dim(forced, i, 1, False))
            # the last token is read by nobody, and out of range: dropped
            return tokens.at[:, p + i].set(token, mode="drop"), token

        return jax.lax.scan(step, tokens, jnp.arange(steps))[1].T

    def decode(params: Params, prompts: Any, forced: Any = None) -> Array:
        last = model.vocabulary - 1
        prompts = jnp.asarray(checks.within("prompts", prompts, 0, last, whole=True, ndim=2))
        if prompts.shape[1] + steps - 1 > model.context:
            raise InputError(
                f"prompts: {prompts.shape[1]} tokens and {steps} to write given; with context "
                f"{model.context} at most {model.context + 1 - steps} are possible"
            )
        shape = (prompts.shape[0], steps)
        forced = jnp.full(shape, -1) if forced is None else forced
        forced = jnp.asarray(checks.within("forced", forced, -1, last, whole=True, shape=shape))
        run = from_cache if cached else from_whole
        return run(params, prompts.astype(int), forced.astype(int))

    return decode


def _pick(logits: Array, forced: Array) -> Array:
    return jnp.where(forced >= 0, forced, logits.argmax(-1).astype(forced.dtype))


def _write(k: Array, v: Array, *, old: tuple[Array, Array], at: Array) -> tuple[Array, Array]:
    start = (0, at, 0, 0)
    return (
        jax.lax.dynamic_update_slice(old[0], k, start),
        jax.lax.dynamic_update_slice(old[1], v, start),
    )
