"""Safety fine-tuning of a base model by three protocols, and their gradients at its start."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from theorylab.nets import fit
from theorylab.safety import (
    Targets,
    dpo_loss,
    paired,
    sft_loss,
    tuning_data,
    unlearning_loss,
    with_reference,
)
from theorylab.safety import base_models as models

LOSSES = {"supervised": sft_loss, "unlearning": unlearning_loss(), "dpo": dpo_loss()}


def tuned(
    base: Mapping[str, Any], run: Mapping[str, Any], seed: int, start: Mapping[str, np.ndarray]
) -> Mapping[str, Any]:
    """Parameters (p,) after fine-tuning the base model, and the loss (steps,)."""
    world, model = base["world"], base["model"]
    net, drawn = models.network_of(world, model), models.world_of(world, seed)
    params = net.params(start["parameters"])
    key = models.stream(seed, models.TUNING)
    x, y = tuning_data(jax.random.fold_in(key, 0), drawn, run["samples"], protocol=run["protocol"])
    f = net.f
    if not isinstance(y, Targets):
        f = paired(net.f)
        y = with_reference(y, f, params, x)
    done = fit(
        f,
        (x, y),
        params=params,
        key=jax.random.fold_in(key, 1),
        optimizer=models.optimizer(*models.optimizer_options(run)),
        batch_size=run["batch_size"],
        steps=run["steps"],
        loss=LOSSES[run["protocol"]],
        progress=False,
    )
    return {"parameters": net.vector(done.params), "loss": done.loss}


def gradients(
    base: Mapping[str, Any], samples: int, seed: int, start: Mapping[str, np.ndarray]
) -> Mapping[str, Any]:
    """The gradient of DPO beside that of unlearning at the base model: cosine and ratio of norms.

    "wrong" has the weights of the two answers equal in DPO, and a tenth in unlearning.
    """
    world, model = base["world"], base["model"]
    net, drawn = models.network_of(world, model), models.world_of(world, seed)
    params, g = net.params(start["parameters"]), paired(net.f)
    key = models.stream(seed, models.TUNING)
    x, y = tuning_data(jax.random.fold_in(key, 0), drawn, samples, protocol="dpo")
    y = with_reference(y, g, params, x)  # type: ignore[arg-type]

    def gradient(loss: Any) -> np.ndarray:
        made = jax.jit(jax.grad(lambda p: loss(g(p, x), y).mean()))(params)
        return np.asarray(ravel_pytree(made)[0], np.float64)

    unlearning = gradient(unlearning_loss())
    out = {}
    for name, loss in (("dpo", dpo_loss()), ("wrong", dpo_loss(dispreferred=0.1))):
        found = gradient(loss)
        sizes = np.linalg.norm(found), np.linalg.norm(unlearning)
        out[f"{name}_cosine"] = found @ unlearning / (sizes[0] * sizes[1])
        out[f"{name}_ratio"] = sizes[0] / sizes[1]
    return out
