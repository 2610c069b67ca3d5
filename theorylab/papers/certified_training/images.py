"""Cells on real images: train a network against an l-p ball or segments in each of the ways, then
measure its standard, its attacked and its certified error on test images."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from theorylab.data.loading import load
from theorylab.nets.cnn import CNN
from theorylab.nets.functional import functional, predict
from theorylab.robustness.attack_ensemble import Effort, attack_ensemble, line_attack
from theorylab.robustness.certify import certified_error
from theorylab.robustness.networks import dense_network, dense_params
from theorylab.robustness.objectives import Recipe
from theorylab.robustness.regularisers import ibp_init
from theorylab.robustness.schedules import Schedule
from theorylab.robustness.threats import LineUnion, LpBall, Threat
from theorylab.robustness.training import Watch, train_robust

# layers of the convolutions: channels, kernel sizes, strides, then the dense layers
_CONVOLUTIONS: Mapping[str, Any] = {
    "small": ((8, 16), (4, 4), (2, 2), (50,)),
    "wong": ((16, 32), (4, 4), (2, 2), (100,)),
    "paper": ((32, 32, 64, 64), (3, 4, 3, 4), (1, 2, 1, 2), (512, 512)),
}
_WIDTHS: Mapping[str, tuple[int, ...]] = {"one": (100,), "two": (100, 100)}
# smallest share of eps at which a ramp starts, and how long it is, as shares of the run
_RAMPS: Mapping[str, tuple[float, float, float, str]] = {
    # warm-up, ramp, start, shape
    "coap": (0.0, 0.33, 0.05, "linear"),
    "ibp": (0.05, 0.4, 0.0, "linear"),
    "crown-ibp": (0.05, 0.4, 0.0, "linear"),
    "fast-ibp": (0.02, 0.4, 0.0, "smooth"),
    "sabr": (0.02, 0.4, 0.0, "smooth"),
    "mtl-ibp": (0.02, 0.4, 0.0, "smooth"),
}


@cache
def _network(net: str, shape: tuple[int, int, int]) -> Any:
    """(f, parameters from a key) of one architecture; the same f each time, so that programs are
    compiled once."""
    if net in _WIDTHS:
        widths = (int(np.prod(shape)), *_WIDTHS[net], 10)
        return dense_network, lambda key: dense_params(key, widths)
    channels, kernels, strides, hidden = _CONVOLUTIONS[net]

    def module(key: Any) -> CNN:
        return CNN(
            shape,
            10,
            channels=channels,
            kernel_size=kernels,
            strides=strides,
            padding=1,
            hidden=hidden,
            rngs=nnx.Rngs(key),
        )

    f = functional(module(jax.random.key(0)))[0]
    return f, lambda key: functional(module(key))[1]


def _threat(kind: str, eps: float, shape: tuple[int, ...], seed: int) -> Threat:
    """ "linf", "l2" (both clipped to pixels), or "lines k": the first k of one random basis."""
    if kind == "linf":
        return LpBall(eps, np.inf, (0.0, 1.0))
    if kind == "l2":
        return LpBall(eps, 2, (0.0, 1.0))
    count, size = int(kind.split()[1]), int(np.prod(shape))
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, count)))[0].T
    return LineUnion(eps, jnp.asarray(basis.reshape(count, *shape), jnp.float32))


def _schedule(recipe: str, training: Mapping[str, Any]) -> Schedule:
    epochs = training["epochs"]
    warm, ramp, start, shape = _RAMPS.get(recipe, (0.0, 0.0, 0.0, "linear"))
    drops = tuple(sorted({round(0.7 * epochs), round(0.9 * epochs)} - {0}))
    return Schedule(
        epochs=epochs,
        batch_size=training["batch_size"],
        learning_rate=training["rate"],
        warmup=round(warm * epochs),
        ramp=round(ramp * epochs),
        start=start,
        shape=shape,  # type: ignore[arg-type]
        milestones=drops,
        drop=0.2,
        clip_norm=10.0,
    )


def train(
    task: Mapping[str, Any],
    threat: str,
    eps: float,
    recipe: str,
    training: Mapping[str, Any],
    attack: list[int],
    certify: str,
    seed: int,
) -> Mapping[str, Any]:
    """Errors of one network: standard, under the ensemble attack [steps, restarts, queries,
    targets], and without a certificate; the share of unstable neurons and errors by epoch.

    task: data set, net, numbers of training and of test images, perhaps `sample`. training: epochs,
    batch_size, rate, and projections of COAP (0 for exact bounds).
    """
    x, y, x_test, y_test = _images(task, seed)
    f, parameters = _network(task["net"], x.shape[1:])
    key = jax.random.key(seed)
    params = parameters(key)
    if recipe in ("fast-ibp", "sabr", "mtl-ibp"):
        params = ibp_init(jax.random.fold_in(key, 1), params)
    against = _threat(threat, eps, x.shape[1:], seed)
    projections = training["projections"] if recipe == "coap" else 0
    found = train_robust(
        f,
        params,
        (x, y),
        against,
        Recipe(recipe, projections=projections),  # type: ignore[arg-type]
        _schedule(recipe, training),
        key=jax.random.fold_in(key, 2),
        watch=Watch((x_test[:100], y_test[:100]), 100, 10),
    )
    steps, restarts, queries, targets = attack
    if isinstance(against, LineUnion):
        attacked = line_attack(f, found.params, x_test, y_test, against, points=101)
    else:
        attacked = attack_ensemble(
            f,
            found.params,
            x_test,
            y_test,
            against,
            key=jax.random.fold_in(key, 3),
            effort=Effort(steps, restarts, queries=queries, targets=targets),
        )
    guesses = np.asarray(predict(f, found.params, x_test)).argmax(1)
    method = certify if recipe in ("coap", "adversarial", "standard", "trades") else "crown-ibp"
    return {
        "standard": np.mean(guesses != y_test),
        "robust": float(attacked.error),
        "certified": certified_error(f, found.params, x_test, y_test, against, method=method),
        "unstable": found.unstable,
        "epoch_robust": found.robust,
        "epoch_standard": found.standard,
        "loss": found.loss,
        "eps": found.eps,
    }


def _images(task: Mapping[str, Any], seed: int) -> tuple[np.ndarray, ...]:
    """Training images and labels, test images and labels: drawn by the seed."""
    whole = load(task["data"], sample=task.get("sample"))
    rng = np.random.default_rng(seed)
    rows, at = rng.permutation(len(whole.x_train)), rng.permutation(len(whole.x_test))
    rows, at = rows[: task["train"]], at[: task["test"]]
    return (
        _pixels(whole.x_train[rows]),
        np.asarray(whole.y_train[rows], np.int32),
        _pixels(whole.x_test[at]),
        np.asarray(whole.y_test[at], np.int32),
    )


def _pixels(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float32)
    x = x / 255 if x.max() > 1 else x
    return x if x.ndim == 4 else x[..., None]
