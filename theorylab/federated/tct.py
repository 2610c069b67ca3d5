"""TCT: train a network federatedly, convexify it by its tangent features, train those by SCAFFOLD.

Its three steps are `federated_fit`, `convexify` and `solve_convex`; `tct` does them in turn. Yu,
Wei, Karimireddy, Ma, Jordan (2022), "TCT: convexifying federated learning using bootstrapped neural
tangent kernels".
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
from theorylab.errors import InputError
from theorylab.federated.algorithms import Algorithm
from theorylab.federated.clients import ClientData, check_clients_given
from theorylab.federated.fit import FederatedFit, federated_fit
from theorylab.federated.gram import fedavg_gram, gram, scaffold_gram
from theorylab.federated.least_squares import fedavg_least_squares, scaffold_least_squares
from theorylab.federated.standardizer import Standardizer, federated_standardizer
from theorylab.federated.step_size import stable_step_size
from theorylab.federated.tangent import TangentMap, tangent_map
from theorylab.nets.fit import Model
from theorylab.nets.functional import Params
from theorylab.nets.training_inputs import pair, sample_count
from theorylab.ntk.guard import NonFiniteError

Head = Literal["random", "logit_sum", "per_class"]
_GRAM_LIMIT = 20_000  # examples up to which the Gram form is taken


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
    def problems(self) -> list["_Problem"]:
        """One least-squares problem for all outputs; with head="per_class", one for each class."""
        y = self.targets()
        if not self.per_class:
            return [_Problem(self.features, y, self.weights)]
        one = lambda k: _Problem(  # noqa: E731  (its code is part of the key of stored results)
            [a[:, k] for a in self.features], [t[:, [k]] for t in y], self.weights
        )
        return [one(k) for k in range(self.classes)]


@dataclass(frozen=True)
class ConvexFit:
    """Rounds of the convex stage.

    Attributes:
        theta: (p, K) linear model after the last round.
        eta: local step size; one for every class with head="per_class".
        train_loss, train_accuracy: (rounds,) over all clients' examples; the loss is the mean of
            |f - y|^2 / 2.
        eval_accuracy: (rounds,) or None.

    Source:
        Yu et al. (2022, TCT).
    """

    theta: Float[np.ndarray, "p K"]
    eta: Float[np.ndarray, " e"]
    train_loss: Float[np.ndarray, " T"]
    train_accuracy: Float[np.ndarray, " T"]
    eval_accuracy: Float[np.ndarray, " T"] | None

    def logits(self, features: Float[np.ndarray, "m ..."]) -> Float[np.ndarray, "m K"]:
        """Outputs (m, K) of the linear model at features."""
        features = checks.finite("features", features, ndim=(2, 3))
        p, k = self.theta.shape
        checks.real("features", features, shape=(None, p) if features.ndim == 2 else (None, k, p))
        return (
            np.einsum("mkp,pk->mk", features, self.theta)
            if features.ndim == 3
            else features @ self.theta
        )


@dataclass(frozen=True)
class TCT:
    """A run of TCT.

    Attributes:
        stage1: the federated run.
        problem: what it was linearised to.
        stage2: the convex run.

    Source:
        Yu et al. (2022, TCT).
    """

    stage1: FederatedFit
    problem: Convexified
    stage2: ConvexFit

    def predict(self, x: Any) -> Float[np.ndarray, "m K"]:
        """Logits of the linear model; the class is their argmax."""
        return self.stage2.logits(self.problem.map(x))


def tct(  # noqa: PLR0913
    model: Model,
    clients: ClientData,
    *,
    algorithm: Algorithm,
    rounds1: int,
    rounds2: int,
    key: Key[Array, ""],
    local_steps: int = 100,
    params: Params | None = None,
    head: Head = "random",
    hidden: Callable[[Params, Any], Any] | None = None,
    n_coords: int | None = None,
    standardize: bool = True,
    algorithm2: Literal["scaffold", "fedavg"] = "scaffold",
    c: float = 1.0,
    eta: float | None = None,
    method: Literal["gram", "primal"] | None = None,
    eval_data: tuple[Any, Any] | None = None,
    feature_batch_size: int = 64,
    **options: Any,
) -> TCT:
    """Train a network federatedly, convexify it by its tangent features, train those by SCAFFOLD.

    Use it where clients hold dissimilar data and averages of networks stay far below centralised
    training. The three steps are `federated_fit`, `convexify` and `solve_convex`, to be called by
    themselves to try several second stages on one first.

    Args:
        model, params, clients: as for `federated_fit`; labels must be integers.
        algorithm: of stage 1, any of this package, for `rounds1` rounds.
        rounds1: rounds of stage 1; 0 leave the tangent features at initialisation (the control
            without bootstrap).
        rounds2, local_steps, algorithm2, c, eta, method: of stage 2, see `solve_convex`.
        key: typed key of both stages.
        head, hidden, n_coords, standardize, feature_batch_size: of the features, see `convexify`.
        eval_data: (x, labels) on which both stages are evaluated.
        options: of `federated_fit`: loss, client_axis, checkpoint, progress, ...

    Returns:
        A `TCT`.

    Raises:
        InputError: as the three steps.

    Source:
        Yu, Wei, Karimireddy, Ma, Jordan (NeurIPS 2022).

    Examples:
        >>> import jax
        >>> from theorylab.federated import consecutive_pairs_partition, fedavg, pad_clients
        >>> x = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> y = np.array([0, 0, 1, 1])
        >>> parts = consecutive_pairs_partition(y, classes_per_client=1)
        >>> run = tct(lambda w, x: x @ w, pad_clients(x, y, parts), params=np.zeros((2, 2)),
        ...           algorithm=fedavg(lr=0.1, steps=2), rounds1=2, rounds2=20, local_steps=5,
        ...           head="logit_sum", standardize=False, key=jax.random.key(0), progress=False)
        >>> run.predict(x).argmax(1).tolist()
        [0, 0, 1, 1]
    """
    train_key, feature_key = jax.random.split(checks.key("key", key))
    # what the later stages would refuse is said before the first one is trained
    checks.count("rounds1", rounds1, 0), checks.count("rounds2", rounds2)
    checks.choice("algorithm2", algorithm2, ("scaffold", "fedavg"))
    _convex_options(local_steps, c, eta, method)
    (
        checks.choice("head", head, ("random", "logit_sum", "per_class")),
        checks.flag("standardize", standardize),
    )
    checks.count("feature_batch_size", feature_batch_size)
    stage1 = federated_fit(
        model,
        clients,
        algorithm=algorithm,
        rounds=rounds1,
        key=train_key,
        params=params,
        eval_data=eval_data,
        **options,
    )
    problem = convexify(
        stage1,
        clients,
        key=feature_key,
        head=head,
        hidden=hidden,
        n_coords=n_coords,
        standardize=standardize,
        batch_size=feature_batch_size,
    )
    stage2 = solve_convex(
        problem,
        rounds=rounds2,
        local_steps=local_steps,
        algorithm=algorithm2,
        c=c,
        eta=eta,
        method=method,
        eval_data=eval_data,
    )
    return TCT(stage1, problem, stage2)


def convexify(
    start: FederatedFit | tuple[Callable[[Params, Any], Any], Params] | nnx.Module,
    clients: ClientData,
    *,
    key: Key[Array, ""],
    head: Head = "random",
    hidden: Callable[[Params, Any], Any] | None = None,
    n_coords: int | None = None,
    standardize: bool = True,
    batch_size: int = 64,
) -> Convexified:
    """Represent every example by its tangent features at the averaged model.

    In eval mode, without augmentation.

    Args:
        start: a federated run, whose averaged model is linearised; or (f, params); or a module.
        clients: made by `pad_clients`; labels must be integers.
        key: draws the scalar head and the coordinates, once, for all clients and for test data.
        head: "random": a fresh linear scalar head on the hidden features (the paper's),
            "logit_sum": the sum of the trained outputs over sqrt(K), "per_class": each output, K
            times the memory.
        hidden: for head="random", the function (params, x) -> inputs of the last layer; by default
            the module's own method `features`, and for a plain function f itself, with the head on
            its outputs.
        n_coords: p of the P coordinates of the gradient, drawn without replacement; None for all.
        standardize: zero mean and unit variance of every coordinate over all clients' examples.
        batch_size: gradients of all parameters held on the device at once.

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
    checks.flag("standardize", standardize)
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
        start, one, key=key, head=head, hidden=hidden, n_coords=n_coords, batch_size=batch_size
    )
    classes = max(outputs, 1 + max(int(y.max()) for y in labels))
    try:
        raw = tangent(jax.tree.map(lambda *a: np.concatenate(a), *[x for x, _ in held]))
    except NonFiniteError:
        _name_client(tangent, [x for x, _ in held])
        raise
    features = np.split(raw, np.cumsum([len(y) for y in labels])[:-1])
    standardizer = None
    if standardize:
        standardizer = federated_standardizer([block.reshape(len(block), -1) for block in features])
        features = [_standardized(block, standardizer) for block in features]
    weights = np.asarray(clients.weights, np.float64)
    return Convexified(features, labels, classes, weights / weights.sum(), tangent, standardizer)


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


def solve_convex(  # noqa: PLR0913
    problem: Convexified,
    *,
    rounds: int,
    local_steps: int,
    algorithm: Literal["scaffold", "fedavg"] = "scaffold",
    c: float = 1.0,
    eta: float | None = None,
    method: Literal["gram", "primal"] | None = None,
    eval_data: tuple[Any, Any] | None = None,
    eval_features: Float[np.ndarray, "m ..."] | None = None,
) -> ConvexFit:
    """Solve federated least squares on the features from zero, targets one-hot minus 1/K.

    The number of rounds is early stopping: to convergence it overfits as ridgeless regression does.

    Args:
        problem: what `convexify` gives.
        rounds: number of rounds.
        local_steps: M full-batch gradient steps per round.
        algorithm: "scaffold" or "fedavg".
        c: eta = c / max_i lambda_max(H_i), unless `eta` is given.
        eta: local step size.
        method: "gram" (float64, cost independent of M and p), "primal" (the features' precision);
            by default "gram" up to 20,000 examples.
        eval_data: (x, labels) on which accuracy is computed after every round.
        eval_features: saves computing `problem.map(x)` again.

    Returns:
        A `ConvexFit`.

    Raises:
        InputError: eta of 2 / lambda_max or above, with both numbers; data that do not fit.

    Source:
        Yu et al. (2022, TCT), stage 2; docs/derivations/federated_least_squares.md, statements 1
        and 8.
    """
    checks.instance(
        "problem", problem, Convexified, "what convexify(start, clients, key=key) gives"
    )
    checks.choice("algorithm", algorithm, ("scaffold", "fedavg"))
    rounds = checks.count("rounds", rounds)
    _convex_options(local_steps, c, eta, method)
    method = method or ("gram" if sum(map(len, problem.labels)) <= _GRAM_LIMIT else "primal")
    if eval_data is not None:
        eval_data = pair("eval_data", eval_data)
        checks.labels(
            "eval_data labels",
            eval_data[1],
            n=sample_count("eval_data", eval_data[0]),
            classes=problem.classes,
        )
        if eval_features is None:
            eval_features = problem.map(eval_data[0])
    if eval_features is not None:
        rows = None if eval_data is None else len(eval_data[1])
        checks.finite("eval_features", eval_features, shape=(rows, *problem.features[0].shape[1:]))
    solved = []
    for k, part in enumerate(problem.problems):
        seen = (
            eval_features[:, k]
            if eval_features is not None and problem.per_class
            else eval_features
        )
        step = c / part.max_curvature if eta is None else eta
        solve = part.by_gram if method == "gram" else part.by_primal
        solved.append(
            (*solve(algorithm, seen, eta=step, local_steps=local_steps, rounds=rounds), step)
        )
    thetas, fits, predictions, steps = zip(*solved, strict=True)
    fitted = np.concatenate(fits, -1)
    accuracy = None
    if eval_data is not None:
        accuracy = (np.concatenate(predictions, -1).argmax(-1) == np.asarray(eval_data[1])).mean(-1)
    labels = np.concatenate(problem.labels)
    residual = fitted - np.concatenate(problem.targets())
    return ConvexFit(
        np.concatenate(thetas, -1),
        np.array(steps),
        np.square(residual).sum(-1).mean(-1) / 2,
        (fitted.argmax(-1) == labels).mean(-1),
        accuracy,
    )


def _convex_options(local_steps: int, c: float, eta: float | None, method: Any) -> None:
    checks.count("local_steps", local_steps)
    checks.number("c", c, 0, 2, open_low=True, open_high=True)
    if eta is not None:
        checks.number("eta", eta, 0, open_low=True)
    checks.choice("method", method, ("gram", "primal", None))


# theta, fitted (T, n, K), predicted (T, m, K)
Solved = tuple[np.ndarray, np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class _Problem:
    """Least squares over the clients; what does not depend on the algorithm is computed once."""

    phi: list[Float[np.ndarray, "n_i p"]]
    y: list[Float[np.ndarray, "n_i K"]]
    weights: Float[np.ndarray, " N"]

    @cached_property
    def stacked(self) -> Float[np.ndarray, "n p"]:
        return np.concatenate(self.phi)

    @cached_property
    def gram(self) -> Float[np.ndarray, "n n"]:
        return gram(self.stacked)

    @cached_property
    def max_curvature(self) -> float:
        return 1 / stable_step_size(self.phi)

    def by_gram(self, algorithm: str, seen: np.ndarray | None, **options: Any) -> Solved:
        solver = scaffold_gram if algorithm == "scaffold" else fedavg_gram
        sizes = [len(a) for a in self.phi]
        run = solver(self.gram, np.concatenate(self.y), sizes, weights=self.weights, **options)
        theta = self.stacked.T @ run.dual.astype(self.stacked.dtype)
        return (
            theta,
            run.fitted,
            None if seen is None else _predict(seen, self.stacked, run.trajectory),
        )

    def by_primal(self, algorithm: str, seen: np.ndarray | None, **options: Any) -> Solved:
        solver = scaffold_least_squares if algorithm == "scaffold" else fedavg_least_squares
        both = self.stacked if seen is None else np.concatenate([self.stacked, seen])
        y = [block.astype(self.stacked.dtype) for block in self.y]
        run = solver(self.phi, y, weights=self.weights, Phi_eval=both, **options)
        outputs: Any = run.predictions
        n = len(self.stacked)
        return run.theta, outputs[:, :n], None if seen is None else outputs[:, n:]


def _predict(
    seen: Float[np.ndarray, "m p"],
    phi: Float[np.ndarray, "n p"],
    dual: Float[np.ndarray, "T n K"],
    columns: int = 4096,
) -> Float[np.ndarray, "T m K"]:
    """Predict seen theta_t with theta_t = phi^T a_t, some columns at a time.

    Fewer operations than the Gram matrix (m, n).
    """
    t, n, k = dual.shape
    a = dual.transpose(1, 0, 2).reshape(n, t * k).astype(phi.dtype)
    total = np.zeros((len(seen), t * k))
    for j in range(0, phi.shape[1], columns):
        total += seen[:, j : j + columns] @ (phi[:, j : j + columns].T @ a)
    return total.reshape(-1, t, k).transpose(1, 0, 2)


def _standardized(raw: np.ndarray, standardizer: Standardizer | None) -> np.ndarray:
    if standardizer is None:
        return raw
    return standardizer.apply(raw.reshape(len(raw), -1)).reshape(raw.shape)
