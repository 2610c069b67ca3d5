"""Safety training of a base model, with the formats of its unsafe prompts as its condition."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from theorylab.safety import base_models as models
from theorylab.safety import (
    compiled_tuning,
    mixture_weights,
    paired,
    safety_mixture,
    sft_loss,
    supervised_data,
    tilt_data,
    tilted_logits_loss,
    unlearning_loss,
    unlikelihood_data,
)

Named = Mapping[str, Any]


@lru_cache(maxsize=16)
def _program(f: Any, kind: str, strength: float, options: tuple[Any, ...]) -> Any:
    """One compiled program for all runs that differ in their data alone."""
    lr, steps, batch_size, schedule = options
    losses: dict[str, Any] = {
        "supervised": sft_loss,
        "unlikelihood": unlearning_loss(dispreferred=strength),
        "tilt": tilted_logits_loss,
    }
    return compiled_tuning(
        paired(f) if kind == "unlikelihood" else f,
        loss=losses[kind],
        optimizer=models.optimizer(lr, steps, dict(schedule)),
        steps=steps,
        batch_size=batch_size,
    )


def tuned(base: Named, run: Named, seed: int, start: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
    """Parameters (p,) after safety training, and the loss (steps,).

    With "beta" in the run the optimum of a reward with a KL penalty replaces imitation: its logits
    are approached by natural gradients, and rewards are divided by beta, so that all of these runs
    share one program. With "unlikelihood" executed answers are dispreferred.
    """
    world: Any = models.world_of(base["world"], seed)
    net = models.network_of(base["world"], base["model"])
    params = net.params(start["parameters"])
    for_data, for_run = jax.random.split(models.stream(seed, models.TUNING))
    mixture = safety_mixture(for_data, world, run["samples"], unsafe=run["unsafe"])
    kind, strength, x, y = "supervised", 0.0, *supervised_data(world, mixture)
    if "beta" in run:
        kind = "tilt"
        x, y = tilt_data(net.f, params, world, mixture, scale=1 / run["beta"])  # type: ignore[assignment]
    elif "unlikelihood" in run:
        kind, strength = "unlikelihood", run["unlikelihood"]
        x, y = unlikelihood_data(world, mixture)  # type: ignore[assignment]
    schedule = tuple(sorted(run["schedule"].items()))
    options = run["lr"], run["steps"], run["batch_size"], schedule
    tune = _program(net.f, kind, strength, options)
    weights = mixture_weights(mixture, safe_weight=run["safe_weight"])
    done, loss = tune(params, x, y, weights, for_run)
    return {"parameters": net.vector(done), "loss": loss}
