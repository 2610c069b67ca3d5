"""What a federated run needs of a model: two pure functions, and clients whose data fit it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from theorylab import checks
from theorylab.errors import InputError
from theorylab.federated.clients import ClientData
from theorylab.nets.fit import Model
from theorylab.nets.functional import Params, State, split
from theorylab.nets.training_inputs import Loss, check_targets, outputs_of, start_of
from theorylab.ntk.convolutions import small_products


@dataclass(frozen=True)
class _Pure:
    """A model's pure function, equal for modules of one architecture.

    So what was compiled for one serves the others.
    """

    identity: Any
    function: Callable[..., Any] = field(compare=False)

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


def as_functions(
    model: Model, params: Params | None
) -> tuple[Callable[..., Any], Callable[..., Any], Params, State]:
    """Two pure functions of a model, in train and in eval mode, with its parameters and state.

    Returns train-mode (params, state, x) -> (output, state), eval-mode (params, state, x) ->
    output, params and state.
    """
    if isinstance(model, nnx.Module):
        graph = nnx.split(model)[0]
        apply, own, state = split(model, train=True)
        in_eval_mode = split(model, train=False)[0]
        evaluate = lambda p, s, x: in_eval_mode(p, s, x)[0]  # noqa: E731
        return (
            _Pure(("train", graph), small_products(apply)),
            _Pure(("eval", graph), evaluate),
            start_of(params, own),
            state,
        )
    checks.function("model", model)
    params = start_of(params, None)
    apply = small_products(lambda p, s, x: (model(p, x), s))
    return (
        _Pure(("train", model), apply),
        _Pure(("eval", model), lambda p, s, x: model(p, x)),
        params,
        {},
    )


def check_clients(clients: ClientData, loss: Loss, output: Callable[[Any], Any]) -> None:
    """Refuse what must not reach the model: numbers that are not finite, targets that do not fit.

    The error names the client.
    """
    for leaf in jax.tree.leaves((clients.x, clients.y)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            finite = np.asarray(jnp.isfinite(leaf).reshape(clients.n_clients, -1).all(1))
            if not finite.all():
                raise InputError(
                    f"clients: NaN or infinite entries at client {int(np.argmin(finite))}; remove "
                    "them"
                )
    counts = np.asarray(clients.counts)
    if not counts.all():
        raise InputError(f"clients: client {int(np.argmin(counts))} has no examples; drop it")
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), clients.x)
    outputs = outputs_of("params, clients", output, one)
    for i in range(clients.n_clients):
        check_targets(
            f"clients, client {i}", loss, outputs, jax.tree.map(lambda a, i=i: a[i], clients.y)
        )
