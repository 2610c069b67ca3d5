"""Self-attention over all positions: `attention`.

With infinitely many heads, scores over the key width ("linear" scaling, with queries tied to keys)
concentrate, and become σ_q σ_k times the covariance of a sample with itself; ζ of them, the softmax
for instance, weighs the positions. With scores over its root they stay random, and the moments of
ζ = identity have a closed form.

Source: Hron, Bahri, Sohl-Dickstein & Novak 2020, "Infinite attention".
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.layer import Layer, Shape, check_drawing, layer
from theorylab.ntk.infinite.state import State, positions

MECHANISMS: dict[str, Callable[[Array], Array]] = {
    "softmax": jax.nn.softmax,
    "identity": lambda scores: scores,
    "abs": jnp.abs,
    "relu": jax.nn.relu,
}
CLOSED = -1e20  # a score that the softmax sends to 0, also where all scores are such


class Embedding(NamedTuple):
    """Random positional embeddings, one for the whole batch.

    Attributes:
        kind: "sum" adds them to the channels, "concat" appends them.
        std: their standard deviation.
        width: channels when appended; None for as many as the input has.
        decay: from the distance of two positions, to the power `norm` and summed over dimensions,
            to the correlation of their embeddings; None for independent ones.
        norm: the power.
        values: whether values see them too, and not queries and keys alone.
        channels: of the input; needed where embeddings are appended, as the kernel then depends on
            the share of the input's channels.

    Source:
        Hron et al. 2020, section 4.
    """

    kind: str
    std: Any = 1.0
    width: int | None = None
    decay: Callable[[Array], Array] | None = None
    norm: float = 2.0
    values: bool = False
    channels: int | None = None


@layer("width", "key_width", "value_width", "heads", "scaling", "mechanism", "embedding")
class Attention(Layer):
    """The layer that `attention` makes."""

    width: int
    key_width: int
    value_width: int
    heads: int
    scaling: str
    mechanism: str
    sigma_qk: Any
    sigma_ov: Any
    sigma_b: Any
    embedding: Embedding | None = None

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> dict[str, Array]:
        """Standard normal weights, biases and embeddings."""
        check_drawing(key, input_shape)
        keys = jax.random.split(key, 6)
        seen = valued = input_shape[-1]
        params: dict[str, Array] = {}
        if self.embedding is not None:
            extra = self.embedding.width or seen
            if self.embedding.kind == "concat":
                seen += extra
                valued += extra if self.embedding.values else 0
            else:
                extra = seen
            params["position"] = jax.random.normal(keys[5], (*input_shape[1:-1], extra))
        shapes = {
            "query": (self.heads, seen, self.key_width),
            "key": (self.heads, seen, self.key_width),
            "value": (self.heads, valued, self.value_width),
            "out": (self.heads * self.value_width, self.width),
            "b": (self.width,),
        }
        if self.scaling == "linear":
            del shapes["query"]
        for (name, shape), one in zip(shapes.items(), keys, strict=False):
            params[name] = jax.random.normal(one, shape)
        return params

    def apply(
        self,
        params: dict[str, Array],
        x: Float[Array, "n ..."],
        *,
        key: PRNGKeyArray | None = None,
        mask: Array | None = None,
    ) -> Float[Array, "n ..."]:
        """Heads over all positions; `mask` (n, *S) is True at positions that do not exist."""
        n, spatial = x.shape[0], x.shape[1:-1]
        size = positions(spatial)
        plain = x.reshape(n, size, -1)
        shut = None if mask is None else jnp.broadcast_to(mask, (n, *spatial)).reshape(n, size)
        seen = valued = plain
        if self.embedding is not None:
            seen = self._embedded(params["position"].reshape(size, -1), spatial, plain, shut)
            valued = seen if self.embedding.values else plain
        keys = jnp.einsum("npc,hck->hnpk", seen, params["key"])
        queries = keys
        if self.scaling != "linear":
            queries = jnp.einsum("npc,hck->hnpk", seen, params["query"])
        norm = seen.shape[-1] * self.key_width ** (1.0 if self.scaling == "linear" else 0.5)
        scores = self.sigma_qk / norm * jnp.einsum("hnpk,hnqk->hnpq", queries, keys)
        weights = self._weights(scores, None if shut is None else shut[:, None, :])
        values = jnp.einsum("npc,hcv->hnpv", valued, params["value"])
        heads = jnp.einsum("hnpq,hnqv->npvh", weights, values).reshape(n, size, -1)
        scale = self.sigma_ov / (self.value_width * self.heads * valued.shape[-1]) ** 0.5
        out = scale * (heads @ params["out"]) + self.sigma_b * params["b"]
        return out.reshape(n, *spatial, self.width)

    def _embedded(self, drawn: Array, spatial: Shape, x: Array, shut: Array | None) -> Array:
        embedding = self.embedding
        if embedding is None:
            return x
        root = _root_of(embedding, spatial)
        places = embedding.std * (drawn if root is None else root.astype(x.dtype) @ drawn)
        places = jnp.broadcast_to(places, (x.shape[0], *places.shape))
        if shut is not None:
            places = jnp.where(shut[..., None], 0.0, places)
        if embedding.kind == "sum":
            return x + places
        return jnp.concatenate([x, places], -1)

    def _weights(self, scores: Array, shut: Array | None) -> Array:
        if shut is not None:
            scores = jnp.where(shut, CLOSED if self.mechanism == "softmax" else 0.0, scores)
        return MECHANISMS[self.mechanism](scores)

    def output_shape(self, input_shape: Shape) -> Shape:
        """The channels become `width`."""
        return (*input_shape[:-1], self.width)

    def needs_full(self, full: bool) -> bool:
        """All pairs of positions are needed."""
        return True

    def propagate(self, state: State) -> State:
        """The covariances after attention."""
        if state.spatial == ():
            raise InputError("attention: its input has no positions; it is for (n, *S, channels)")
        values, scores = state, self._interpolated(state)
        if self.embedding is not None and self.embedding.values:
            values = scores
        found = (
            self._concentrated(state, values, scores)
            if self.scaling == "linear"
            else self._random(state, values, scores)
        )
        return replace(found, gaussian=True, fresh=state.depth)

    def _interpolated(self, state: State) -> State:
        """The covariances of what queries and keys see."""
        if self.embedding is None:
            return state
        own, extra = 1.0, self.embedding.std**2
        if self.embedding.kind == "concat":
            channels = self.embedding.channels
            if channels is None:
                raise InputError(
                    "embedding.channels=None: where embeddings are appended, the kernel depends on "
                    "the share of the input's channels; give their number"
                )
            more = self.embedding.width or channels
            own, extra = channels / (channels + more), extra * more / (channels + more)
        places = _correlations(self.embedding, state.spatial).reshape(state.spatial * 2)
        mixed = state.linear(lambda c, lead: own * c + extra * places.astype(c.dtype))
        return mixed.masked()

    def _concentrated(self, state: State, values: State, scores: State) -> State:
        size = positions(state.spatial)

        def weights(own: Array, mask: Array | None) -> Array:
            n = own.shape[0]
            shut = None if mask is None else mask.reshape(n, 1, size)
            return self._weights(self.sigma_qk * own.reshape(n, size, size), shut)

        w1, w2 = weights(scores.cov1, state.mask1), weights(scores.cov2, state.mask2)

        def weighed(c: Array, left: Array, right: Array) -> Array:
            how = "ipq,ijqr,jsr->ijps" if left.ndim + 1 == c.ndim else "ipq,iqr,isr->ips"
            return jnp.einsum(how, left, c, right, optimize=True)

        def through(c: Array, left: Array, right: Array, lead: int) -> Array:
            flat = c.reshape(*c.shape[:lead], size, size)
            return self.sigma_ov**2 * weighed(flat, left, right).reshape(c.shape)

        bias = self.sigma_b**2
        nngp = through(values.nngp, w1, w2, 2)
        return replace(
            state,
            nngp=nngp + bias,
            # output and value weights add the same; scores are constants, and add nothing
            ntk=through(values.ntk, w1, w2, 2) + 2 * nngp + bias,
            cov1=through(values.cov1, w1, w1, 1) + bias,
            cov2=through(values.cov2, w2, w2, 1) + bias,
        )

    def _random(self, state: State, values: State, scores: State) -> State:
        scale, bias = (self.sigma_qk * self.sigma_ov) ** 2, self.sigma_b**2

        def dot(a: Array, b: Array, lead: int) -> Array:
            axes = tuple(range(lead, a.ndim))
            return (a * b).sum(axes, keepdims=True)

        cross = dot(scores.nngp, values.nngp, 2)
        moved = dot(scores.nngp, values.ntk, 2) + dot(values.nngp, scores.ntk, 2)
        return replace(
            state,
            nngp=scale * cross * scores.nngp + bias,
            ntk=scale * (moved * scores.nngp + cross * (scores.ntk + 4 * scores.nngp)) + bias,
            cov1=scale * dot(scores.cov1, values.cov1, 1) * scores.cov1 + bias,
            cov2=scale * dot(scores.cov2, values.cov2, 1) * scores.cov2 + bias,
        )


def _correlations(embedding: Embedding, spatial: tuple[int, ...]) -> Array:
    """(P, P) correlations of the embeddings of two positions."""
    size = positions(spatial)
    if embedding.decay is None:
        return jnp.eye(size)
    places = np.stack(np.unravel_index(np.arange(size), spatial), -1)
    apart = np.abs(places[:, None] - places[None]).astype(float) ** embedding.norm
    return jnp.asarray(embedding.decay(jnp.asarray(apart.sum(-1))))


def _root_of(embedding: Embedding, spatial: tuple[int, ...]) -> Array | None:
    """What makes independent embeddings correlated; None where they are to stay so."""
    if embedding.decay is None:
        return None
    with jax.ensure_compile_time_eval():
        matrix = np.asarray(_correlations(embedding, spatial), np.float64)
    return jnp.asarray(np.linalg.cholesky(matrix + 1e-9 * np.eye(len(matrix))))


def attention(
    width: int = 512,
    *,
    heads: int | None = None,
    scaling: str = "linear",
    mechanism: str = "softmax",
    sigma_qk: Any = 1.0,
    sigma_ov: Any = 1.0,
    sigma_b: Any = 0.0,
    embedding: Embedding | None = None,
) -> Layer:
    """Self-attention over all positions, with infinitely many heads in the limit.

    Args:
        width: channels of the finite network's outputs, queries and keys.
        heads: of the finite network, each with values of about width / heads channels; None for
            about the root of `width`.
        scaling: "linear" divides scores by the key width and ties queries to keys; "root" divides
            by its root, which has a limit in closed form for the mechanism "identity" alone.
        mechanism: what becomes of scores: "softmax", "identity", "abs" or "relu". (The last three
            are the replacements of the softmax that Hron et al. study.)
        sigma_qk: standard deviation of the query weights times that of the key weights.
        sigma_ov: standard deviation of the output weights times that of the value weights.
        sigma_b: standard deviation of the biases.
        embedding: positional embeddings; None for none.

    Returns:
        A `Layer`, for inputs with positions.

    Raises:
        InputError: a width below 1, an unknown scaling or mechanism, or scaling "root" with another
            mechanism than "identity".

    Source:
        Hron et al. 2020, theorems 3 and 4.
    """
    checks.count("width", width)
    heads = max(round(width**0.5), 1) if heads is None else checks.count("heads", heads)
    checks.choice("scaling", scaling, ("linear", "root"))
    checks.choice("mechanism", mechanism, tuple(MECHANISMS))
    for name, value in (("sigma_qk", sigma_qk), ("sigma_ov", sigma_ov), ("sigma_b", sigma_b)):
        checks.finite(name, value, ndim=0)
    if scaling == "root" and mechanism != "identity":
        raise InputError(
            f"scaling='root' with mechanism={mechanism!r}: its limit has no closed form; take "
            "scaling='linear', or mechanism='identity'"
        )
    if embedding is not None:
        checks.choice("embedding.kind", embedding.kind, ("sum", "concat"))
    value_width = max(round(width / heads), 1)
    return Attention(
        width, width, value_width, heads, scaling, mechanism, sigma_qk, sigma_ov, sigma_b, embedding
    )


__all__ = ["Attention", "Embedding", "attention"]
