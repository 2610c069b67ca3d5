"""Evaluation of the averaged model of a federated run, on sets that have names."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab.federated.execution import remembered
from theorylab.federated.rounds import FederatedState
from theorylab.nets.functional import Params, State
from theorylab.nets.losses import accuracy
from theorylab.nets.training_inputs import Loss, check_targets, outputs_of, pair, sample_count

History = dict[str, np.ndarray]
Sets = dict[str, tuple[Any, Any]]


def named_sets(eval_data: Any, loss: Loss, output: Callable[[Any], Any]) -> Sets:
    """The evaluation sets by name, each checked against what the model gives for it."""
    if eval_data is None:
        return {}
    named = eval_data if isinstance(eval_data, Mapping) else {"eval": eval_data}
    checked = {name: pair(f"eval_data {name}", value) for name, value in named.items()}
    for name, value in checked.items():
        sample_count(f"eval_data {name}", value)
        check_targets(
            f"eval_data {name}",
            loss,
            outputs_of(f"params, eval_data {name}", output, value[0]),
            value[1],
        )
    return checked


def evaluator(
    apply: Callable[..., Any], loss: Loss, sets: Sets, size: int
) -> Callable[[FederatedState, int], History]:
    """A function (state, number of rounds made) -> loss and accuracy of the sets."""
    sums = remembered(_sums, apply, loss)

    def evaluate(current: FederatedState, number: int) -> History:
        seen: History = {"eval_rounds": np.array([number])} if sets else {}
        for name, data in sets.items():
            n = sample_count(name, data)
            parts = [
                sums(
                    current.params,
                    current.state,
                    *jax.tree.map(lambda a, i=i: a[i : i + size], data),
                )
                for i in range(0, n, size)
            ]
            for what in parts[0]:
                seen[f"{name}_{what}"] = np.array([float(sum(part[what] for part in parts)) / n])
        return seen

    return evaluate


@lru_cache(maxsize=16)
def _sums(apply: Callable[..., Any], loss: Loss) -> Callable[..., dict[str, Array]]:
    @jax.jit
    def sums(params: Params, state: State, x: Any, y: Any) -> dict[str, Array]:
        output = apply(params, state, x)
        value = loss(output, y)
        found = {"loss": value.reshape(value.shape[0], -1).mean(1).sum()}
        arrays = (
            isinstance(output, jax.Array)
            and isinstance(y, jax.Array)
            and jnp.issubdtype(y.dtype, jnp.integer)
        )
        if arrays and y.shape in (output.shape, output.shape[:-1]):
            hits = accuracy(output, y)
            found["accuracy"] = hits.reshape(hits.shape[0], -1).mean(1).sum()
        return found

    return sums


def append(history: History, new: History) -> None:
    """Add what a round or an evaluation gave to what the run has given so far."""
    for name, values in new.items():
        history[name] = np.concatenate([history[name], values]) if name in history else values
