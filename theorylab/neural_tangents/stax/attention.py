"""`GlobalSelfAttention`, over the engine's `infinite.attention`."""

import enum
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Bool, Diagonal, Layer, finished
from theorylab.neural_tangents.states import mask_of
from theorylab.neural_tangents.stax.common import (
    engine_shape,
    from_engine,
    kernel_of,
    outer_shape,
    to_engine,
)
from theorylab.neural_tangents.trees import typed
from theorylab.ntk.infinite.attention import Attention, Embedding
from theorylab.ntk.infinite.state import State


class PositionalEmbedding(enum.Enum):
    """Types of positional embeddings."""

    NONE = "NONE"
    SUM = "SUM"
    CONCAT = "CONCAT"


class AttentionMechanism(enum.Enum):
    """What becomes of scores."""

    SOFTMAX = "SOFTMAX"
    IDENTITY = "IDENTITY"
    ABS = "ABS"
    RELU = "RELU"


def GlobalSelfAttention(  # noqa: PLR0913
    n_chan_out: int,
    n_chan_key: int,
    n_chan_val: int,
    n_heads: int,
    linear_scaling: bool = True,
    W_key_std: float = 1.0,
    W_value_std: float = 1.0,
    W_query_std: float = 1.0,
    W_out_std: float = 1.0,
    b_std: float | None = None,
    attention_mechanism: str = AttentionMechanism.SOFTMAX.name,
    pos_emb_type: str = PositionalEmbedding.NONE.name,
    pos_emb_p_norm: float = 2,
    pos_emb_decay_fn: Callable[..., Any] | None = None,
    n_chan_pos_emb: int | None = None,
    W_pos_emb_std: float = 1.0,
    val_pos_emb: bool = False,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Self-attention over all positions."""
    kind = PositionalEmbedding(pos_emb_type)
    mechanism = AttentionMechanism(attention_mechanism).value.lower()
    ends = (batch_axis, channel_axis)

    def embedding(channels: int) -> Embedding | None:
        if kind is PositionalEmbedding.NONE:
            return None
        return Embedding(
            kind.value.lower(),
            W_pos_emb_std,
            n_chan_pos_emb,
            pos_emb_decay_fn,
            pos_emb_p_norm,
            val_pos_emb,
            channels,
        )

    def layer(channels: int) -> Attention:
        return Attention(
            n_chan_out,
            n_chan_key,
            n_chan_val,
            n_heads,
            "linear" if linear_scaling else "root",
            mechanism,
            W_query_std * W_key_std,
            W_out_std * W_value_std,
            0.0 if b_std is None else b_std,
            embedding(channels),
        )

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, Any]:
        shape = engine_shape(tuple(input_shape), *ends)
        one = layer(shape[-1])
        found = outer_shape(one.output_shape(shape), input_shape[batch_axis], *ends)
        return found, one.init(typed(rng), shape)

    def apply_fn(params: Any, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        x = to_engine(inputs, *ends)
        hidden = mask_of(mask, inputs.shape, *(a % inputs.ndim for a in ends))
        return from_engine(layer(x.shape[-1]).apply(params, x, mask=hidden), *ends)

    def op(state: State, k: Kernel) -> State:
        if not linear_scaling and mechanism != "identity":
            raise NotImplementedError(
                f"attention_mechanism={attention_mechanism!r} with linear_scaling=False has no "
                "closed form; take linear_scaling=True, or 'IDENTITY'"
            )
        if not state.spatial:
            raise InputError("GlobalSelfAttention: its input has no positions")
        return layer(k.shape1[k.channel_axis]).propagate(state)

    kernel_fn = kernel_of(
        op,
        diagonal_spatial=Diagonal(input=Bool.NO),
        batch_axis=batch_axis,
        channel_axis=channel_axis,
    )

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        return jnp.all(mask, channel_axis, keepdims=True)

    return finished(
        "GlobalSelfAttention",
        *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=True),
    )
