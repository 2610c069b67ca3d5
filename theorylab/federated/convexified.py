"""A trained network made convex: the tangent features of every client's examples.

Source: Yu, Wei, Karimireddy, Ma, Jordan (2022), "TCT: convexifying federated learning using
bootstrapped neural tangent kernels".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from theorylab import checks
from theorylab.deprecation import old_options
from theorylab.errors import InputError
from theorylab.federated.client_problem import ClientProblem
from theorylab.federated.clients import ClientData, check_clients_given
from theorylab.federated.fit import FederatedFit
from theorylab.federated.standardizer import Standardizer, federated_standardizer
from theorylab.federated.tangent import TangentMap, tangent_map
from theorylab.nets.functional import Params
from theorylab.ntk.guard import NonFiniteError

Head = Literal["random", "logit_sum", "per_class"]
FEATURES = "head hidden n_coords standardize batch_size"  # given without a record before 0.2


@dataclass(frozen=True)
class FeatureOptions:
    """Which tangent features are taken.

    Attributes:
        head: "random": a fresh linear scalar head on the hidden features (the paper's),
            "logit_sum": the sum of the trained outputs over sqrt(K), "per_class": each output, K
            times the memory.
        hidden: for head="random", the function (params, x) -> inputs of the last layer; by default
            the module's own method `features`, and for a plain function f itself, with the head on
            its outputs.
        n_coords: p of the P coordinates of the gradient, drawn without replacement; None for all.
        standardize: zero mean and unit variance of every coordinate over all clients' examples.
        batch_size: gradients of all parameters held on the device at once.

    Raises:
        InputError: an unknown head, what is no flag or no count.
    """

    head: Head = "random"
    hidden: Callable[[Params, Any], Any] | None = None
    n_coords: int | None = None
    standardize: bool = True
    batch_size: int = 64

    def __post_init__(self) -> None:
        checks.choice("head", self.head, ("random", "logit_sum", "per_class"))
        if self.hidden is not None:
            checks.function("hidden", self.hidden)
        if self.n_coords is not None:
            checks.count("n_coords", self.n_coords)
        checks.flag("standardize", self.standardize)
        checks.count("batch_size", self.batch_size)


_FEATURES = FeatureOptions()


@dataclass(frozen=True)
class Convexified:
    """The convex federated problem: the features of every client, and the map that makes more.

    Attributes:
        features: one (n_i, p) array per client; (n_i, K, p) for head="per_class".
        labels: one (n_i,) array per client; targets are one-hot minus 1/K.
        classes: K.
        weights: (N,) p_i.
        tangent: raw features of inputs.
        standardizer: what is applied to them, None for none.

    Source:
        Yu et al. (2022, TCT).
    """

    features: list[Float[np.ndarray, "n_i ..."]]
    labels: list[Int[np.ndarray, " n_i"]]
    classes: int
    weights: Float[np.ndarray, " N"]
    tangent: TangentMap
    standardizer: Standardizer | None

    def map(self, x: Any) -> Float[np.ndarray, "m ..."]:
        """Features of other inputs: same weights, head, coordinates and standardiser."""
        return _standardized(self.tangent(x), self.standardizer)

    def targets(self) -> list[Float[np.ndarray, "n_i K"]]:
        """One-hot minus 1/K: one (n_i, K) array per client."""
        return [np.eye(self.classes)[y] - 1 / self.classes for y in self.labels]

    @property
    def per_class(self) -> bool:
        """Whether every class has features of its own."""
        return self.features[0].ndim == 3

    @cached_property
    def problems(self) -> list[ClientProblem]:
        """One least-squares problem for all outputs; with head="per_class", one for each class."""
        y = self.targets()
        if not self.per_class:
            return [ClientProblem(self.features, y, self.weights)]
        return [
            ClientProblem([a[:, k] for a in self.features], [t[:, [k]] for t in y], self.weights)
            for k in range(self.classes)
        ]


@old_options(features=(FeatureOptions, FEATURES))
def convexify(
    start: FederatedFit | tuple[Callable[[Params, Any], Any], Params] | nnx.Module,
    clients: ClientData,
    features: FeatureOptions = _FEATURES,
    *,
    key: Key[Array, ""],
) -> Convexified:
    """Represent every example by its tangent features at the averaged model.

    In eval mode, without augmentation.

    Args:
        start: a federated run, whose averaged model is linearised; or (f, params); or a module.
        clients: made by `pad_clients`; labels must be integers.
        features: head, coordinates and standardisation of the features.
        key: draws the scalar head and the coordinates, once, for all clients and for test data.

    Returns:
        A `Convexified` problem.

    Raises:
        InputError: labels that are not integers; more coordinates than there are; NaN features,
            naming the client.

    Source:
        Yu et al. (2022, TCT); head="logit_sum" is the pseudo-NTK of Mohamadi, Bae, Sutherland
        (2023); coordinates, docs/derivations/federated_least_squares.md, statement 9.
    """
    check_clients_given(clients)
    checks.instance("features", features, FeatureOptions, "FeatureOptions(head, n_coords, ...)")
    held = [clients.client(i) for i in range(clients.n_clients)]
    labels = [np.asarray(y) for _, y in held]
    for i, y in enumerate(labels):
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
            raise InputError(
                f"clients: y of {y.dtype} and shape {y.shape} at client {i}, integer labels are "
                "needed"
            )
    one = jax.tree.map(lambda a: jnp.asarray(a[0, :1]), clients.x)
    tangent, outputs = tangent_map(
        start,
        one,
        key=key,
        head=features.head,
        hidden=features.hidden,
        n_coords=features.n_coords,
        batch_size=features.batch_size,
    )
    classes = max(outputs, 1 + max(int(y.max()) for y in labels))
    try:
        raw = tangent(jax.tree.map(lambda *a: np.concatenate(a), *[x for x, _ in held]))
    except NonFiniteError:
        _name_client(tangent, [x for x, _ in held])
        raise
    raws = np.split(raw, np.cumsum([len(y) for y in labels])[:-1])
    standardizer = None
    if features.standardize:
        standardizer = federated_standardizer([block.reshape(len(block), -1) for block in raws])
        raws = [_standardized(block, standardizer) for block in raws]
    weights = np.asarray(clients.weights, np.float64)
    return Convexified(raws, labels, classes, weights / weights.sum(), tangent, standardizer)


def _name_client(tangent: TangentMap, held: list[Any]) -> None:
    """Which client's features are not finite."""
    for i, x in enumerate(held):
        try:
            tangent(x)
        except NonFiniteError as error:
            raise InputError(
                f"features: NaN or infinite at client {i}; the model has diverged or its data are "
                f"bad ({error})"
            ) from None


def _standardized(raw: np.ndarray, standardizer: Standardizer | None) -> np.ndarray:
    if standardizer is None:
        return raw
    return standardizer.apply(raw.reshape(len(raw), -1)).reshape(raw.shape)
