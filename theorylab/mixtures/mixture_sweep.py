"""Replicate sweeps: the risks of every algorithm over a grid of (s, n_l, n_u), in one program.

Three ideas make it quick. A program is compiled for the shape of the grid alone: sizes are masks
and arguments. Random numbers are drawn once per replicate and shared by all settings (common random
numbers: each setting's law is exact, differences between settings have less noise). And where only
the means and spectra of the data matter, they are drawn from their exact law in O(d) numbers
(`moments`). Everything is rotation equivariant, so theta* = s e_1 throughout.

Source: the algorithms of `estimators`, `likelihood` and `self_training`; the exact laws are those
of docs/derivations/mixture_information.md, statement 8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from theorylab.checks import broadcast, choice, count, instance, positive, within
from theorylab.checks import key as checked_key
from theorylab.cores import available_cores, parallel_map
from theorylab.deprecation import old_options
from theorylab.errors import InputError
from theorylab.mixtures.points import BLOCK, blocks_of, grouped
from theorylab.mixtures.rates import optimal_weight
from theorylab.mixtures.self_training import SelfTrainingSchedule
from theorylab.mixtures.sweep_options import (
    DATA_METHODS,
    MOMENT_METHODS,
    SIMULATION,
    Learners,
    Simulation,
)
from theorylab.mixtures.sweep_program import Plan, program_of


@dataclass(frozen=True)
class MixtureSweep:
    """Risks of every replicate of a sweep.

    "ul" is the spectral estimate with the sign known. Self-training has no estimation error (its
    weight has another scale).

    Attributes:
        s, n_l, n_u: (settings,) the grid.
        d: dimensions.
        excess: by method, (settings, replicates) excess risks.
        estimation: by method, (settings, replicates) ||theta - theta*||.
        wrong_sign: (settings, replicates) where UL+ picked the wrong sign.
    """

    s: np.ndarray
    n_l: np.ndarray
    n_u: np.ndarray
    d: int
    excess: Mapping[str, np.ndarray]
    estimation: Mapping[str, np.ndarray]
    wrong_sign: np.ndarray

    def mean(self, method: str) -> np.ndarray:
        """Mean excess risk, (settings,)."""
        return self.excess[choice("method", method, tuple(self.excess))].mean(1, dtype=np.float64)

    def standard_error(self, method: str) -> np.ndarray:
        """Standard error of that mean."""
        values = self.excess[choice("method", method, tuple(self.excess))]
        if values.shape[1] < 2:
            raise InputError(
                "replicates = 1 has no standard error; a sweep of at least 2 replicates is needed"
            )
        return values.std(1, ddof=1, dtype=np.float64) / np.sqrt(values.shape[1])


@old_options(
    schedule=(SelfTrainingSchedule, "rounds fraction"),
    methods=(
        Learners,
        "weight schedule l2 max_steps tol iterations=max_steps tolerance=tol",
    ),
    simulation=(Simulation, "route dtype memory_gb chunk mesh"),
)
def sweep_mixture(
    key: Key[Array, ""],
    s: Any,
    n_l: Any,
    n_u: Any,
    *,
    d: int,
    replicates: int,
    methods: tuple[str, ...] | Learners = MOMENT_METHODS,
    simulation: Simulation = SIMULATION,
) -> MixtureSweep:
    """Simulate the excess risks of several methods at every setting (s[i], n_l[i], n_u[i]).

    Use it for thousands of draws at many settings; the learners themselves run on one data set.

    Args:
        key: typed key; replicate i uses fold_in(key, i).
        s, n_l, n_u: settings, which broadcast.
        d: dimensions, >= 2.
        replicates: draws of each. They gather in host memory, 8 bytes per risk.
        methods: names of `MOMENT_METHODS` and `DATA_METHODS`, or `Learners`, which have choices of
            their own: the weight of SSL-W, rounds of self-training, steps of EM.
        simulation: precision, memory and devices.

    Returns:
        A `MixtureSweep`.

    Raises:
        InputError: values out of range, shapes that do not broadcast, methods that the route does
            not know.

    Examples:
        >>> found = sweep_mixture(jax.random.key(0), 1.0, 400, 1000, d=20, replicates=500)
        >>> round(float(found.mean("sl")[0]), 4)  # exact: 0.0056
        0.0056
        >>> bool(found.mean("ssl_weighted")[0] < min(found.mean("sl")[0], found.mean("ul_plus")[0]))
        True
    """
    checked_key("key", key)
    d, replicates = count("d", d, at_least=2), count("replicates", replicates)
    learners = methods if isinstance(methods, Learners) else Learners(methods)
    instance("simulation", simulation, Simulation, "a Simulation")
    explicit = simulation.route == "data" or learners.need_points
    if simulation.route == "moments" and explicit:
        raise InputError(f"route='moments' knows no {', '.join(DATA_METHODS)}: give route='data'")
    s, n_l, n_u, t = _settings(s, n_l, n_u, learners.weight)
    sizes, size = np.unique(n_u, return_inverse=True)
    add = np.maximum(1, np.round(learners.schedule.fraction * n_u)).astype(int)
    settings = {"s": s, "n_l": n_l, "n_u": n_u, "t": t, "add": add, "size": size.reshape(s.shape)}
    settings = {name: _padded(value, 16 if explicit else 64) for name, value in settings.items()}
    groups = grouped(n_u)
    with_points = explicit and "self_training" in learners.methods
    plan = Plan(
        d=int(d),
        methods=learners.methods,
        explicit=explicit,
        dtype=simulation.dtype.name,
        blocks_l=_round_up(blocks_of(n_l.max())) if with_points else 0,
        blocks=_round_up(max(5, blocks_of(n_u.max()))) if explicit else 0,
        rounds=int(learners.schedule.rounds),
        l2=float(learners.l2),
        max_steps=int(learners.max_steps),
        tol=float(learners.tol),
        one_by_one=jax.default_backend() == "cpu",
    )
    mesh = simulation.mesh
    cores = available_cores() if mesh is None and jax.default_backend() == "cpu" else 1
    chunk = _chunk_of(plan, simulation, replicates, (len(sizes), len(s)), cores)
    with jax.enable_x64(plan.dtype == "float64"):
        arrays = {
            k: jnp.asarray(v, plan.dtype if k in ("s", "t") else None) for k, v in settings.items()
        }
        lists = {"sizes": _padded(sizes, 8), "groups": _padded(groups, 4)}
        counts = {"settings": len(s), "sizes": len(sizes), "groups": len(groups)}
        whole = (key, arrays, jax.tree.map(jnp.asarray, lists), jax.tree.map(jnp.asarray, counts))
        spread = None
        if mesh is not None:
            whole = jax.device_put(whole, NamedSharding(mesh, PartitionSpec()))
            spread = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        program = program_of(plan, mesh)

        def part(first: int) -> dict[str, np.ndarray]:
            index = np.arange(first, first + chunk, dtype=np.uint32)
            return jax.device_get(program(jax.device_put(index, spread), *whole))

        parts = parallel_map(part, range(0, replicates, chunk), threads=cores)
    found = {
        k: np.concatenate([p[k] for p in parts], axis=1)[: len(s), :replicates] for k in parts[0]
    }
    excess = {m: found[f"excess {m}"] for m in plan.methods}
    estimation = {m: found[f"estimation {m}"] for m in plan.methods if f"estimation {m}" in found}
    return MixtureSweep(s, n_l, n_u, plan.d, excess, estimation, found["wrong_sign"])


def _settings(s: Any, n_l: Any, n_u: Any, weight: Any) -> tuple[np.ndarray, ...]:
    """The grid and the weights of SSL-W there, (settings,) each."""
    s = positive("s", s, ndim=(0, 1))
    n_l, n_u = (
        within(name, n, 1, whole=True, ndim=(0, 1)) for name, n in (("n_l", n_l), ("n_u", n_u))
    )
    shape = broadcast(s=s, n_l=n_l, n_u=n_u)
    if weight is not None and broadcast(s=np.empty(shape), weight=np.asarray(weight)) != shape:
        raise InputError(
            f"weight has shape {np.shape(weight)}; one number, or one for each setting, is needed"
        )
    s, n_l, n_u = (np.atleast_1d(x) for x in np.broadcast_arrays(s, n_l, n_u))
    n_l, n_u = n_l.astype(int), n_u.astype(int)
    if weight is None:
        return s, n_l, n_u, np.asarray(optimal_weight(s, n_l, n_u))
    return s, n_l, n_u, np.broadcast_to(np.asarray(weight, float), s.shape)


def _chunk_of(
    plan: Plan, simulation: Simulation, replicates: int, grid: tuple[int, int], cores: int
) -> int:
    """How many replicates run at once: what memory holds, and every device has its share of.

    grid: distinct numbers of unlabelled points, and settings.
    """
    most = _fitting(plan, *grid, simulation.memory_gb / cores)
    chunk = min(simulation.chunk or min(most, -(-replicates // cores)), replicates)
    mesh = simulation.mesh
    shards = mesh.shape[mesh.axis_names[0]] if mesh is not None else 1
    return -(-chunk // shards) * shards


def _round_up(size: int) -> int:
    """The next of 1, 2, 5, 10, 20, ...: few shapes, few programs."""
    power = 10 ** (len(str(int(size))) - 1)
    return next(k * power for k in (1, 2, 5, 10) if k * power >= size)


def _padded(values: np.ndarray, multiple: int) -> np.ndarray:
    """The last value repeated, so that grids of about the same size share a program."""
    return np.pad(
        values, [(0, -len(values) % multiple)] + [(0, 0)] * (values.ndim - 1), mode="edge"
    )


def _fitting(plan: Plan, sizes: int, settings: int, memory_gb: float) -> int:
    """How many replicates at a time keep the device under the budget."""
    points = (
        BLOCK * (plan.blocks + plan.blocks_l) * (plan.d + 12)
        if plan.explicit
        else 8 * (sizes + 1) * plan.d
    )
    floats = 2 * points * (not plan.one_by_one) + settings * (2 * len(plan.methods) + 1)
    return int(np.clip(memory_gb * 1e9 / (floats * np.dtype(plan.dtype).itemsize), 1, 4096))
