"""The convex stage of TCT: SCAFFOLD or FedAvg on least squares on the tangent features.

Source: Yu, Wei, Karimireddy, Ma, Jordan (2022), "TCT: convexifying federated learning using
bootstrapped neural tangent kernels".
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.deprecation import old_options
from theorylab.federated.client_problem import ClientProblem
from theorylab.federated.convexified import Convexified
from theorylab.nets.training_inputs import pair, sample_count

STAGE2 = "rounds local_steps algorithm c eta method"  # given without a record before 0.2
_GRAM_LIMIT = 20_000  # examples up to which the Gram form is taken


@dataclass(frozen=True)
class Stage2:
    """How the convex problem is solved.

    Attributes:
        rounds: number of rounds.
        local_steps: M full-batch gradient steps per round.
        algorithm: "scaffold" or "fedavg".
        c: eta = c / max_i lambda_max(H_i), unless `eta` is given.
        eta: local step size.
        method: "gram" (float64, cost independent of M and p), "primal" (the features' precision);
            by default "gram" up to 20,000 examples.

    Raises:
        InputError: counts below 1, an unknown algorithm or method, c outside ]0, 2[, eta not above
            0.

    Source:
        Yu et al. (2022, TCT), stage 2.
    """

    rounds: int
    local_steps: int = 100
    algorithm: Literal["scaffold", "fedavg"] = "scaffold"
    c: float = 1.0
    eta: float | None = None
    method: Literal["gram", "primal"] | None = None

    def __post_init__(self) -> None:
        checks.count("rounds", self.rounds)
        checks.count("local_steps", self.local_steps)
        checks.choice("algorithm", self.algorithm, ("scaffold", "fedavg"))
        checks.number("c", self.c, 0, 2, open_low=True, open_high=True)
        if self.eta is not None:
            checks.number("eta", self.eta, 0, open_low=True)
        checks.choice("method", self.method, ("gram", "primal", None))


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


@old_options(stage2=(Stage2, STAGE2))
def solve_convex(
    problem: Convexified,
    stage2: Stage2,
    *,
    eval_data: tuple[Any, Any] | None = None,
    eval_features: Float[np.ndarray, "m ..."] | None = None,
) -> ConvexFit:
    """Solve federated least squares on the features from zero, targets one-hot minus 1/K.

    The number of rounds is early stopping: to convergence it overfits as ridgeless regression does.

    Args:
        problem: what `convexify` gives.
        stage2: rounds, local steps, step size and method.
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
    checks.instance("stage2", stage2, Stage2, "Stage2(rounds=20, local_steps=100)")
    eval_data, eval_features = _evaluated(problem, eval_data, eval_features)
    solved = []
    for k, part in enumerate(problem.problems):
        seen = (
            eval_features[:, k]
            if eval_features is not None and problem.per_class
            else eval_features
        )
        solved.append(_solved(part, stage2, seen))
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


def _evaluated(
    problem: Convexified, eval_data: Any, eval_features: np.ndarray | None
) -> tuple[Any, np.ndarray | None]:
    """What is evaluated: labelled data, and features, computed where only data are given."""
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
        shape = (rows, *problem.features[0].shape[1:])
        eval_features = np.asarray(checks.finite("eval_features", eval_features, shape=shape))
    return eval_data, eval_features


def _solved(part: ClientProblem, stage2: Stage2, seen: np.ndarray | None) -> tuple[Any, ...]:
    """theta, fitted and predicted values, and the step size."""
    step = stage2.c / part.max_curvature if stage2.eta is None else stage2.eta
    by_gram = part.n <= _GRAM_LIMIT if stage2.method is None else stage2.method == "gram"
    solve = part.by_gram if by_gram else part.by_primal
    found = solve(
        stage2.algorithm, seen, eta=step, local_steps=stage2.local_steps, rounds=stage2.rounds
    )
    return (*found, step)
