"""Cells on images: MNIST pairs with nuisance features appended, and Coloured MNIST."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import optax
import scipy.linalg
from flax import nnx

from theorylab.data.loading import load
from theorylab.nets.cnn import CNN
from theorylab.ntk.infinite import dense, relu, serial
from theorylab.shift.colouring import colour_images, colour_noise, shrink_images
from theorylab.shift.interpolation import train_to_interpolation
from theorylab.shift.kernel_logistic import fit_kernel_logistic
from theorylab.shift.nuisance import NuisanceModel, flip_labels, nuisance_factor
from theorylab.shift.risk import id_ood_error

COMPONENTS = 50
PADS = (400, 800)  # below these, training sets are padded: one compilation for all


@lru_cache(maxsize=2)
def pair_signal(data: str, sample: bool | None, first: int, second: int) -> tuple[np.ndarray, ...]:
    """Leading principal components of two classes' images, one global scale (mean variance 1),
    labels -1 and 1."""
    whole = load(data, sample=sample)
    parts = []
    for images, labels in ((whole.x_train, whole.y_train), (whole.x_test, whole.y_test)):
        rows = np.isin(labels, (first, second))
        parts += [
            images[rows].reshape(rows.sum(), -1) / 255.0,
            np.where(labels[rows] == second, 1.0, -1.0),
        ]
    x, y, x_test, y_test = parts
    mean = x.mean(0)
    axes = np.linalg.eigh((x - mean).T @ (x - mean))[1][:, ::-1][:, :COMPONENTS]
    z, z_test = (x - mean) @ axes, (x_test - mean) @ axes
    scale = np.sqrt((z**2).mean())
    return z / scale, y, z_test / scale, y_test


def pairs(
    pair: Mapping[str, Any],
    model: Mapping[str, Any],
    ns: list[int],
    etas: list[float],
    lams: list[float],
    seed: int,
) -> Mapping[str, Any]:
    """l2-logistic regression on a pair of classes with nuisance features; arrays (sizes, noise,
    penalties).

    pair: `data`, whether its `sample` is taken, and its `first` and `second` class. model: `k`,
    `energy` and `tau` of the nuisance features.
    """
    x, y, x_test, y_test = pair_signal(**pair)
    nuisance = NuisanceModel(d_s=COMPONENTS, **model)
    names = ("id", "ood", "train_error", "sensitivity", "gradient_norm")
    found = {name: np.zeros((len(ns), len(etas), len(lams))) for name in names}
    for i, n in enumerate(ns):
        key = jax.random.fold_in(jax.random.key(seed), n)
        rows = np.random.default_rng([seed, n]).permutation(len(y))[:n]
        pad = padded(n)
        factor = np.asarray(
            nuisance_factor(jax.random.fold_in(key, 0), pad, nuisance.k, nuisance.sigma)
        )
        signal = np.pad(x[rows], ((0, pad - n), (0, 0)))
        labels = np.ones((len(etas), pad))
        for j, eta in enumerate(etas):
            labels[j, :n] = flip_labels(jax.random.fold_in(key, 1), y[rows], eta)[0]
        gram = signal @ signal.T + factor @ factor.T
        fit = fit_kernel_logistic(gram, labels, lams, mask=np.arange(pad) < n, tol=1e-7)
        w_s, norm_w_n = fit["dual"] @ signal, np.linalg.norm(fit["dual"] @ factor, axis=-1)
        scales = {"sigma": nuisance.sigma, "tau": nuisance.tau}
        inside, outside = id_ood_error(w_s, norm_w_n, x_test, y_test, **scales)
        found["id"][i], found["ood"][i] = 1 - inside, 1 - outside
        found["train_error"][i], found["gradient_norm"][i] = (
            fit["train_error"],
            fit["gradient_norm"],
        )
        found["sensitivity"][i] = norm_w_n / np.linalg.norm(w_s, axis=-1)
    return found


def padded(n: int) -> int:
    """How many samples a training set of n is padded to: few shapes, few compilations."""
    return next((p for p in PADS if n <= p), n)


def coloured(
    name: str,
    data: str,
    sample: bool | None,
    setting: Mapping[str, Any],
    ns: list[int],
    etas: list[float],
    tests: int,
    seed: int,
) -> Mapping[str, Any]:
    """Coloured images, label "class of 5 or above" or one of two: accuracies and training error
    (sizes, noise rates).

    name: what figures call the setting.
    setting: learner ("rbf", "ntk", "linear", "cnn"), its `loss` ("squared" or "logistic"), `width`
    (RBF exponent) and
    `ridge` (absolute, or relative to the kernel's mean diagonal for `relative`; of the logistic
    loss it is lam), `half` (2 x 2 means), `agree` and `agree_ood` of the colour with the clean
    label, `noise` and `noise_ood` of the colours of single pixels, `colours` (channels; each
    class's colour lights one half of them), `epochs` of the network, `classes` (None for "5 or
    above").
    """
    whole = load(data, sample=sample)
    found = {name: np.zeros((len(ns), len(etas))) for name in ("id", "ood", "train_error")}
    for i, n in enumerate(ns):
        key = jax.random.fold_in(jax.random.key(seed), n)
        rng = np.random.default_rng([seed, n])
        rows, y = _task(setting, whole.y_train, rng, n)
        cols, y_test = _task(setting, whole.y_test, rng, tests)
        train = _paint(setting, whole.x_train[rows], y, jax.random.fold_in(key, 0), "")
        inside = _paint(setting, whole.x_test[cols], y_test, jax.random.fold_in(key, 1), "")
        outside = _paint(setting, whole.x_test[cols], y_test, jax.random.fold_in(key, 2), "_ood")
        noisy = [
            np.asarray(flip_labels(jax.random.fold_in(key, 3), 2 * y - 1, eta)[0]) for eta in etas
        ]
        decide = _network if setting["learner"] == "cnn" else _kernel_machine
        wrong = decide(
            setting, train, np.stack(noisy, 1), (train, inside, outside), jax.random.fold_in(key, 4)
        )
        truth = (np.stack(noisy, 1) > 0, (y_test > 0)[:, None], (y_test > 0)[:, None])
        errors = [
            (predicted != labels).mean(0) for predicted, labels in zip(wrong, truth, strict=True)
        ]
        found["train_error"][i], found["id"][i], found["ood"][i] = (
            errors[0],
            1 - errors[1],
            1 - errors[2],
        )
    return found


def _task(
    setting: Mapping[str, Any], labels: np.ndarray, rng: Any, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` random rows of the task (all, when there are fewer) and their clean labels 0 or 1."""
    pair = setting["classes"]
    rows = np.arange(len(labels)) if pair is None else np.flatnonzero(np.isin(labels, pair))
    rows = rng.permutation(rows)[:count]
    return rows, (labels[rows] >= 5 if pair is None else labels[rows] == pair[1]).astype(int)


def _paint(
    setting: Mapping[str, Any], images: np.ndarray, y: np.ndarray, key: Any, where: str
) -> np.ndarray:
    small = shrink_images(images) if setting["half"] else images
    channels = setting["colours"]
    # two colours, spread over the channels: class 0 lights the first half of them, class 1 the
    # others
    palette = np.repeat(np.eye(2), channels // 2, axis=1)
    key_colour, key_noise = jax.random.split(key)
    painted, _ = colour_images(
        small, y, key=key_colour, agree=setting["agree" + where], palette=palette
    )
    return np.asarray(colour_noise(painted, key=key_noise, scale=setting["noise" + where]))


def _kernel_machine(
    setting: Mapping[str, Any],
    train: np.ndarray,
    labels: np.ndarray,
    points: tuple[np.ndarray, ...],
    key: Any,
) -> list[np.ndarray]:
    """Positive predictions (m, noise rates) of kernel ridge or logistic regression on every set of
    points."""
    x = train.reshape(len(train), -1).astype(np.float64)
    gram = _kernel(setting, x, x)
    n = len(x)
    penalty = setting["ridge"] * (np.trace(gram) / n if setting["relative"] else 1.0)
    if setting["loss"] == "logistic":
        pad = padded(n)
        many = np.pad(labels.T, ((0, 0), (0, pad - n)), constant_values=1.0)
        fit = fit_kernel_logistic(
            np.pad(gram, (0, pad - n)), many, [penalty], mask=np.arange(pad) < n, tol=1e-6
        )
        dual = fit["dual"][:, 0, :n].T
    else:
        dual = scipy.linalg.solve(gram + penalty * np.eye(n), labels, assume_a="pos")
    values = [
        gram,
        *(_kernel(setting, p.reshape(len(p), -1).astype(np.float64), x) for p in points[1:]),
    ]
    return [k @ dual > 0 for k in values]


def _kernel(setting: Mapping[str, Any], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if setting["learner"] == "linear":
        return a @ b.T
    if setting["learner"] == "rbf":
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return np.exp(-setting["width"] * np.maximum(squares, 0.0))
    if setting["learner"] == "ntk":
        layers = [layer for _ in range(2) for layer in (dense(sigma_w=2**0.5), relu())]
        return np.array(serial(*layers, dense()).kernel(a, b, get="ntk"))
    raise ValueError(f"no learner {setting['learner']!r}")


def _network(
    setting: Mapping[str, Any],
    train: np.ndarray,
    labels: np.ndarray,
    points: tuple[np.ndarray, ...],
    key: Any,
) -> list[np.ndarray]:
    """The same of a small CNN trained until it interpolates, for each noise rate."""
    from theorylab.nets.functional import predict

    votes: list[list[np.ndarray]] = [[] for _ in points]
    for j, column in enumerate(labels.T):
        model = CNN(
            train.shape[1:],
            2,
            channels=(16, 32),
            hidden=(128,),
            rngs=nnx.Rngs(jax.random.fold_in(key, j)),
        )
        trained = train_to_interpolation(
            model,
            (train, (column > 0).astype(np.int32)),
            key=key,
            optimizer=optax.sgd(0.02, momentum=0.9),
            batch_size=50,
            max_epochs=setting["epochs"],
        )
        for found, x in zip(votes, points, strict=True):
            found.append(np.asarray(predict(trained.f, trained.params, x)).argmax(1) > 0)
    return [np.stack(found, 1) for found in votes]
