"""TCT: train a network federatedly, convexify it by its tangent features, train those by SCAFFOLD.

Its three steps are `federated_fit`, `convexify` and `solve_convex`; `tct` does them in turn. Yu,
Wei, Karimireddy, Ma, Jordan (2022), "TCT: convexifying federated learning using bootstrapped neural
tangent kernels".
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.deprecation import old_options
from theorylab.federated.clients import ClientData
from theorylab.federated.convex import ConvexFit, Stage2, solve_convex
from theorylab.federated.convexified import Convexified, FeatureOptions, convexify
from theorylab.federated.fit import FederatedFit, federated_fit
from theorylab.federated.rounds import Algorithm
from theorylab.nets.fit import Model
from theorylab.nets.functional import Params

_FEATURES = FeatureOptions()


@dataclass(frozen=True)
class Stage1:
    """How the network is trained.

    Attributes:
        algorithm: `fedavg(lr=0.1, epochs=5, batch_size=64)` or another of this package.
        rounds: 0 leave the tangent features at initialisation (the control without bootstrap).

    Raises:
        InputError: what is no algorithm, a number of rounds below 0.

    Source:
        Yu et al. (2022, TCT), stage 1.
    """

    algorithm: Algorithm
    rounds: int

    def __post_init__(self) -> None:
        need = "fedavg(lr=0.1, epochs=5, batch_size=64) or another of these"
        checks.instance("algorithm", self.algorithm, Algorithm, need)
        checks.count("rounds", self.rounds, 0)


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


@old_options(
    stage1=(Stage1, "algorithm rounds1=rounds"),
    features=(
        FeatureOptions,
        "head hidden n_coords standardize feature_batch_size=batch_size",
    ),
    stage2=(Stage2, "rounds2=rounds local_steps algorithm2=algorithm c eta method"),
)
def tct(
    model: Model,
    clients: ClientData,
    *,
    stage1: Stage1,
    features: FeatureOptions = _FEATURES,
    stage2: Stage2,
    key: Key[Array, ""],
    params: Params | None = None,
    eval_data: tuple[Any, Any] | None = None,
    **options: Any,
) -> TCT:
    """Train a network federatedly, convexify it by its tangent features, train those by SCAFFOLD.

    Use it where clients hold dissimilar data and averages of networks stay far below centralised
    training. The three steps are `federated_fit`, `convexify` and `solve_convex`, to be called by
    themselves to try several second stages on one first.

    Args:
        model, params, clients: as for `federated_fit`; labels must be integers.
        stage1: algorithm and rounds by which the network is trained.
        features: which tangent features are taken, see `convexify`.
        stage2: how the convex problem is solved, see `solve_convex`.
        key: typed key of both stages.
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
        ...           stage1=Stage1(fedavg(lr=0.1, steps=2), rounds=2),
        ...           features=FeatureOptions(head="logit_sum", standardize=False),
        ...           stage2=Stage2(rounds=20, local_steps=5),
        ...           key=jax.random.key(0), progress=False)
        >>> run.predict(x).argmax(1).tolist()
        [0, 0, 1, 1]
    """
    train_key, feature_key = jax.random.split(checks.key("key", key))
    # what the later stages would refuse is said before the first one is trained: by the records
    for name, value, kind in (
        ("stage1", stage1, Stage1),
        ("features", features, FeatureOptions),
        ("stage2", stage2, Stage2),
    ):
        checks.instance(name, value, kind, f"{kind.__name__}(...)")
    trained = federated_fit(
        model,
        clients,
        algorithm=stage1.algorithm,
        rounds=stage1.rounds,
        key=train_key,
        params=params,
        eval_data=eval_data,
        **options,
    )
    problem = convexify(trained, clients, features, key=feature_key)
    return TCT(trained, problem, solve_convex(problem, stage2, eval_data=eval_data))
