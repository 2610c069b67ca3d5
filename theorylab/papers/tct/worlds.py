"""The federated worlds of the experiments: images, who holds which, and the network."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from flax import nnx

from theorylab.data.loading import load
from theorylab.federated.clients import ClientData, pad_clients
from theorylab.federated.partitions import (
    consecutive_pairs_partition,
    dirichlet_partition,
    iid_partition,
    label_partition,
)
from theorylab.nets.cnn import CNN
from theorylab.nets.functional import functional
from theorylab.nets.resnet import ResNet
from theorylab.ntk.convolutions import small_products

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class World:
    """Clients, test images and labels, and a network at its initialisation."""

    clients: ClientData
    x_test: np.ndarray
    y_test: np.ndarray
    model: nnx.Module
    classes: int


def build(world: Mapping[str, Any], seed: int) -> World:
    """The world of a cell: {"data", "sample", "train", "test", "clients", "partition", "model"}.

    `train` images, the same number of every class, and the first `test` test images; a seed draws
    the images, the partition and the network's initialisation.
    """
    whole = load(world["data"], sample=world["sample"])
    images, classes = whole.normalised(), len(whole.classes)
    rng = np.random.default_rng([7, seed])
    each = world["train"] // classes
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(images.y_train == c))[:each] for c in range(classes)]
    )
    x, y = images.x_train[rows], images.y_train[rows].astype(np.int32)
    parts = partition(world["partition"], y, world["clients"], jax.random.key(seed))
    clients = pad_clients(x, y, parts, weights="size")
    n = world["test"]
    labels = images.y_test[:n].astype(np.int32)
    return World(
        clients, images.x_test[:n], labels, network(world["model"], x.shape[1:], seed), classes
    )


def partition(law: str, y: np.ndarray, clients: int, key: Any) -> list[np.ndarray]:
    """`iid`, `pairs` (consecutive classes, as the authors' example), `label C` (#C = C) or
    `dirichlet ALPHA`."""
    name, _, number = law.partition(" ")
    if name == "pairs":
        return consecutive_pairs_partition(y, clients, key=key)
    if name == "label":
        return label_partition(y, clients, int(number), key=key)
    if name == "dirichlet":
        return dirichlet_partition(y, clients, float(number), key=key)
    return iid_partition(y, clients, key=key)


def network(model: Mapping[str, Any], shape: Any, seed: int) -> nnx.Module:
    """A ten-class network: {"kind": "cnn", ...options of CNN} or {"kind": "resnet", "depth",
    "width"}, group norm."""
    options = {k: v for k, v in model.items() if k != "kind"}
    rngs = nnx.Rngs(seed)
    if model["kind"] == "cnn":
        return CNN(shape, 10, **options, rngs=rngs)
    return ResNet(
        options.pop("depth"), 10, in_channels=shape[-1], norm="group", **options, rngs=rngs
    )


def functions(model: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[Function, Function]:
    """`f(params, x)` and `hidden(params, x)`, the inputs of its last layer: the same objects for
    every seed, so that what was compiled for one serves all."""
    return _functions(json.dumps(model), shape)


@lru_cache(maxsize=4)
def _functions(model: str, shape: tuple[int, ...]) -> tuple[Function, Function]:
    built = network(json.loads(model), shape, 0)
    return small_products(functional(built)[0]), small_products(
        functional(built, method="features")[0]
    )
