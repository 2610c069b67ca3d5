"""What a sweep of mixtures is told beside its settings: which learners, and how it is computed.

Source: the learners of Tifrea, Yüce, Sanyal, Yang (NeurIPS 2023).
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from theorylab.checks import choice, count, instance, number, shown, within
from theorylab.errors import InputError
from theorylab.mixtures.self_training import SCHEDULE, SelfTrainingSchedule

MOMENT_METHODS = ("sl", "ul", "ul_plus", "ssl_switch", "ssl_weighted")
DATA_METHODS = ("ssl_em", "self_training")


@dataclass(frozen=True)
class Learners:
    """Methods of a sweep with their choices.

    Attributes:
        methods: of `MOMENT_METHODS` and `DATA_METHODS` ("ssl_em" starts from SSL-W; "self_training"
            uses l2-logistic regression without intercept).
        weight: t of SSL-W, one number or one for each setting; by default the optimal one.
        schedule: rounds of self-training, and the share of the points that each adds.
        l2: ridge penalty of self-training.
        max_steps: steps of EM at most.
        tol: estimated distance from the fixed point at which EM stops.

    Raises:
        InputError: a method that is not known, values out of range.
    """

    methods: tuple[str, ...] = MOMENT_METHODS
    weight: Any = None
    schedule: SelfTrainingSchedule = SCHEDULE
    l2: float = 1.0
    max_steps: int = 100
    tol: float = 1e-5

    def __post_init__(self) -> None:
        instance("methods", self.methods, (tuple, list, set, frozenset), "a tuple of names")
        for method in self.methods:
            choice("methods", method, MOMENT_METHODS + DATA_METHODS)
        if not self.methods:
            raise InputError(
                f"methods is empty: give some of {', '.join(MOMENT_METHODS + DATA_METHODS)}"
            )
        object.__setattr__(self, "methods", tuple(self.methods))
        if self.weight is not None:
            within("weight", self.weight, 0.0, 1.0)
        instance("schedule", self.schedule, SelfTrainingSchedule, "a SelfTrainingSchedule")
        number("l2", self.l2, 0.0, open_low=True)
        count("max_steps", self.max_steps)
        number("tol", self.tol, 0.0)

    @property
    def need_points(self) -> bool:
        """Whether a method needs explicit unlabelled points."""
        return bool(set(self.methods) & set(DATA_METHODS))


@dataclass(frozen=True)
class Simulation:
    """How a sweep is computed; but for the route and the precision, results do not depend on it.

    Attributes:
        route: "moments", exact laws in O(d) numbers, for `MOMENT_METHODS`; "data", explicit
            unlabelled points; "auto", the first where the methods allow it.
        dtype: float32 or float64, of all computations; the random numbers are the same float32 ones
            for both.
        memory_gb: device memory that the replicates which run at once may take.
        chunk: replicates that run at once, on CPU a chunk on every core; by default as many as
            `memory_gb` holds.
        mesh: spreads each chunk over the devices of its first axis.

    Raises:
        InputError: values out of range.
    """

    route: Literal["auto", "moments", "data"] = "auto"
    dtype: Any = np.float32
    memory_gb: float = 0.25
    chunk: int | None = None
    mesh: jax.sharding.Mesh | None = None

    def __post_init__(self) -> None:
        choice("route", self.route, ("auto", "moments", "data"))
        try:
            dtype = np.dtype(self.dtype)
        except (TypeError, ValueError):
            raise InputError(f"dtype = {shown(self.dtype)}; float32 or float64 is needed") from None
        if dtype not in (np.float32, np.float64):
            raise InputError(f"dtype={dtype} must be float32 or float64")
        object.__setattr__(self, "dtype", dtype)
        number("memory_gb", self.memory_gb, 0.0, open_low=True)
        if self.chunk is not None:
            count("chunk", self.chunk)
        mesh = (jax.sharding.Mesh, type(None))
        instance("mesh", self.mesh, mesh, "a jax.sharding.Mesh, or None,")


SIMULATION = Simulation()
