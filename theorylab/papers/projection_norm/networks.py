"""Cells with networks: train a classifier and its companions, then score corrupted and attacked
test sets.

A classifier is `f(params, pixels)` with pixels in [0, 1], so that corruptions and attacks act on
what a camera would give; normalisation is part of it. All training is SGD with momentum 0.9 and a
cosine over its own number of steps. Parameters travel between cells as flat vectors.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.flatten_util import ravel_pytree

from theorylab.cores import parallel_map
from theorylab.data.corruptions import corrupt
from theorylab.data.loading import load
from theorylab.nets.cnn import CNN
from theorylab.nets.functional import functional, predict
from theorylab.nets.losses import cross_entropy
from theorylab.nets.mlp import MLP
from theorylab.nets.resnet import ResNet
from theorylab.robustness.attacks import pgd
from theorylab.shift.fine_tuning import FineTuning
from theorylab.shift.projection import projection_norm, pseudo_labels
from theorylab.shift.pseudo_training import PseudoTraining
from theorylab.shift.scores import (
    agree_score,
    atc_score,
    atc_threshold,
    conf_score,
    cot_score,
    entropy_score,
    nuclear_norm_score,
    rotation_score,
    rotations,
)

Study = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]
# what a seed's keys are for
_USES = ("backbone", "head", "other", "turns", "base", "second", "tune")
ROTATION_IMAGES = 500  # training images, each in four turns, that the rotation head is fitted on


def images(
    data: str, sample: bool | None, train: int, valid: int, m: int, seed: int
) -> Mapping[str, np.ndarray]:
    """Disjoint parts in random order, pixels in [0, 1] (n, h, w, c): training, validation, and two
    clean test sets."""
    whole, rng = load(data, sample=sample), np.random.default_rng(seed)
    rows, columns = rng.permutation(len(whole.x_train)), rng.permutation(len(whole.x_test))
    parts = {
        "train": rows[:train],
        "valid": rows[train : train + valid],
        "test": columns[:m],
        "again": columns[-m:],
    }
    found = {}
    for name, index in parts.items():
        x, y = (
            (whole.x_train, whole.y_train)
            if name in ("train", "valid")
            else (whole.x_test, whole.y_test)
        )
        found[name] = x[index].reshape(len(index), *x.shape[1:3], -1).astype(np.float32) / 255
        found[f"y_{name}"] = y[index]
    return found


@cache
def _classifier(data: str, sample: bool | None, network: str) -> tuple[Callable[..., Any], ...]:
    """(f, features, start): logits and features of pixels, and fresh parameters from a key. One
    object for each network, so that every cell of a run uses the same compiled programs."""
    whole = load(data, sample=sample)
    shape = (*whole.x_train.shape[1:3], 1 if whole.x_train.ndim == 3 else 3)
    mean, std = whole.mean.astype(np.float32), whole.std.astype(np.float32)

    def build(key: Any) -> nnx.Module:
        rngs = nnx.Rngs(key)
        if network == "cnn":
            return CNN(shape, 10, rngs=rngs)
        if network == "mlp":
            return MLP((int(np.prod(shape)), 256, 256, 10), rngs=rngs)
        depth, width = int(network.removeprefix("resnet")), 8 if network == "resnet8" else 16
        return ResNet(depth, 10, in_channels=shape[2], norm="group", width=width, rngs=rngs)

    model = build(jax.random.key(0))
    logits, features = functional(model)[0], functional(model, method="features")[0]

    def start(key: Any) -> Any:
        return functional(build(key))[1]

    return (
        (lambda p, x: logits(p, (x - mean) / std)),
        (lambda p, x: features(p, (x - mean) / std)),
        start,
    )


def with_head(params: Any, other: Any) -> Any:
    """`params` with the last layer of `other`, for the networks of `_classifier`."""
    if "head" in params:
        return {**params, "head": other["head"]}
    layers = "dense" if "dense" in params else "layers"
    last = max(params[layers])
    return {**params, layers: {**params[layers], last: other[layers][last]}}


def _program(
    study: Study, f: Any, steps: int, period: int | None = None, loss: Any = cross_entropy
) -> PseudoTraining:
    recipe = FineTuning(steps, study["lr"], batch_size=study["batch"], period=period)
    return PseudoTraining(f, recipe, loss=loss)


def _parts(
    study: Study, seed: int
) -> tuple[Mapping[str, np.ndarray], tuple[Callable[..., Any], ...]]:
    sizes = {name: study[name] for name in ("data", "sample", "train", "valid", "m")}
    return images(**sizes, seed=seed), _classifier(study["data"], study["sample"], study["network"])


def _keys(seed: int) -> Mapping[str, Any]:
    return {name: jax.random.fold_in(jax.random.key(seed), i) for i, name in enumerate(_USES)}


def train(study: Study, start: str, seed: int) -> Arrays:
    """Everything that does not depend on a test set, as flat parameters.

    start: "rotation", a backbone pre-trained to tell the four turns of training images apart; or
    "random". theta0 -> hat (the classifier), and from theta0 after T steps: ref, ref_period (the
    cosine has four times the right period), ref_half (half as many steps). ref_head starts at
    theta0 with another head. Second models for AgreeScore: head (same backbone, another head and
    order) and independent (its own random start).
    """
    parts, (f, features, fresh) = _parts(study, seed)
    keys = _keys(seed)
    x, y = parts["train"], parts["y_train"]

    backbone, independent = fresh(keys["backbone"]), fresh(keys["other"])
    if start == "rotation":
        backbone = _program(study, f, study["pretrain"])(backbone, *rotations(x), key=keys["turns"])
    base, steps = study["base"], study["steps"]
    theta0, other0 = with_head(backbone, fresh(keys["head"])), with_head(backbone, independent)
    runs: dict[str, tuple[Any, ...]] = {  # from where, order of the batches, steps, period
        "hat": (theta0, "base", base),
        "ref": (theta0, "tune", steps),
        "ref_period": (theta0, "tune", steps, 4 * steps),
        "ref_half": (theta0, "tune", max(1, steps // 2)),
        "ref_head": (other0, "tune", steps),
        "head": (other0, "second", base),
        "independent": (independent, "second", base),
    }
    trained = parallel_map(
        lambda run: _program(study, f, *run[2:])(run[0], x, y, key=keys[run[1]]), runs.values()
    )
    found = {"theta0": theta0, **dict(zip(runs, trained, strict=True))}
    logits = np.asarray(predict(f, found["hat"], parts["valid"]))
    turned, turns = rotations(x[:ROTATION_IMAGES])
    seen = np.asarray(predict(features, found["hat"], turned))
    design = np.concatenate([seen, np.ones((len(seen), 1))], 1).astype(np.float64)
    penalty = 1e-3 * np.trace(design.T @ design) / design.shape[1]
    head = np.linalg.solve(
        design.T @ design + penalty * np.eye(design.shape[1]), design.T @ np.eye(4)[turns]
    )
    return {name: np.asarray(ravel_pytree(params)[0]) for name, params in found.items()} | {
        "threshold": np.asarray(atc_threshold(logits, parts["y_valid"]).value),
        "valid_error": np.asarray((logits.argmax(1) != parts["y_valid"]).mean()),
        "rotation_head": head,
        "shares": np.bincount(y, minlength=10) / len(y),
    }


REFERENCES = ("ref", "ref_period", "ref_half", "ref_head", "hat")


class _Scorer:
    """Scores test sets of one trained classifier."""

    def __init__(self, study: Study, seed: int, trained: Arrays) -> None:
        self.study, self.trained = study, trained
        self.parts, (self.f, self.features, fresh) = _parts(study, seed)
        unravel = ravel_pytree(fresh(jax.random.key(0)))[1]
        flat = ("theta0", *REFERENCES, "head", "independent")
        self.params = {name: unravel(jnp.asarray(trained[name])) for name in flat}
        self.key = _keys(seed)["tune"]  # the order of the reference's batches
        self.program = _program(study, self.f, study["steps"])

    def __call__(self, x: Any, y: np.ndarray) -> dict[str, float]:
        """Error, Projection Norms and all baselines of one test set; every score increases with the
        error."""
        p, logits = self.params, {}
        for name in ("hat", "head", "independent"):
            logits[name] = np.asarray(predict(self.f, p[name], x))
        labels = logits["hat"].argmax(1).astype(np.int32)
        tilde = self.program(p["theta0"], x, labels, key=self.key)
        seen = np.asarray(predict(self.features, p["hat"], rotations(x)[0]))
        turns = np.concatenate([seen, np.ones((len(seen), 1))], 1) @ self.trained["rotation_head"]
        names = {"ref": "pn", "hat": "pn_base"}
        norms = {names.get(r, f"pn_{r}"): float(projection_norm(p[r], tilde)) for r in REFERENCES}
        return norms | {
            "error": float((labels != y).mean()),
            "conf": 1 - conf_score(logits["hat"]),
            "entropy": entropy_score(logits["hat"]),
            "atc": atc_score(logits["hat"], float(self.trained["threshold"])),
            "agree_head": agree_score(logits["hat"], logits["head"]),
            "agree_independent": agree_score(logits["hat"], logits["independent"]),
            "rotation": rotation_score(turns),
            "cot": cot_score(logits["hat"], self.trained["shares"]),
            "nuclear": 1 - nuclear_norm_score(logits["hat"]),
        }

    def shifted(self, family: str, severity: int, seed: int) -> Any:
        return (
            corrupt(self.parts["test"], family, severity, jax.random.key(seed))
            if severity
            else self.parts["test"]
        )


def shifts(
    study: Study, start: str, seed: int, family: str, severities: list[int], trained: Arrays
) -> Arrays:
    """All scores (severities,) of one family of corruptions; "clean" gives two disjoint clean
    sets."""
    scorer = _Scorer(study, seed, trained)
    parts = scorer.parts
    if family == "clean":
        sets = [(parts["test"], parts["y_test"]), (parts["again"], parts["y_again"])]
    else:
        sets = [(scorer.shifted(family, s, seed), parts["y_test"]) for s in severities]
    return _stacked(parallel_map(lambda pair: scorer(*pair), sets))


def attacks(study: Study, start: str, seed: int, eps: list[float], trained: Arrays) -> Arrays:
    """All scores (eps,) of the clean test images under white-box PGD: l-inf, eps/255, 10 steps of
    eps/4."""
    scorer = _Scorer(study, seed, trained)
    x, y = scorer.parts["test"], scorer.parts["y_test"]

    def under(radius: float) -> dict[str, float]:
        return scorer(
            pgd(scorer.f, scorer.params["hat"], x, y, eps=radius, steps=10, step_size=radius / 4), y
        )

    return _stacked(parallel_map(under, [e / 255 for e in eps]))


def sweep(
    study: Study,
    start: str,
    seed: int,
    sets: list[list[Any]],
    steps: int,
    m: int,
    labels: str,
    trained: Arrays,
) -> Arrays:
    """Projection Norms (sets,) with another number of steps, of samples, or other labels; errors on
    all samples.

    labels: "hat", those of the classifier; "self", the current prediction of the network in
    training (self-training, another method).
    """
    scorer = _Scorer(study, seed, trained)
    loss = cross_entropy if labels == "hat" else _self_training
    p, parts = scorer.params, scorer.parts
    reference = _program(study, scorer.f, steps)(
        p["theta0"], parts["train"], parts["y_train"], key=scorer.key
    )
    program = _program(study, scorer.f, steps, loss=loss)

    def score(case: list[Any]) -> dict[str, float]:
        family, severity = case
        x = scorer.shifted(family, severity, seed)
        predicted = np.asarray(pseudo_labels(scorer.f, p["hat"], x))
        tilde = program(p["theta0"], x[:m], predicted[:m], key=scorer.key)
        error = float((predicted != parts["y_test"]).mean())
        return {"pn": float(projection_norm(reference, tilde)), "error": error}

    return _stacked(parallel_map(score, sets))


def _self_training(logits: Any, labels: Any) -> Any:
    return cross_entropy(logits, logits.argmax(-1))


def _stacked(rows: list[dict[str, float]]) -> Arrays:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
