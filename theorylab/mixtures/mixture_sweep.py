"""Replicate sweeps: the risks of every algorithm over a grid of (s, n_l, n_u), in one program.

Three ideas make it quick. A program is compiled for the shape of the grid alone: sizes are masks
and arguments. Random numbers are drawn once per replicate and shared by all settings (common random
numbers: each setting's law is exact, differences between settings have less noise). And where only
the means and spectra of the data matter, they are drawn from their exact law in O(d) numbers
(`moments`). Everything is rotation equivariant, so theta* = s e_1 throughout.

Source: the algorithms of `estimators`, `likelihood` and `self_training`; the exact laws are those
of docs/derivations/mixture_information.md, statement 8.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from theorylab.checks import broadcast, choice, count, instance, number, positive, shown, within
from theorylab.checks import key as checked_key
from theorylab.cores import available_cores, parallel_map
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError
from theorylab.mixtures import moments
from theorylab.mixtures.estimators import switched
from theorylab.mixtures.gaussian import excess_from_parts
from theorylab.mixtures.likelihood import maximise
from theorylab.mixtures.points import (
    BLOCK,
    blocks_of,
    draw_blocks,
    grouped,
    spectra,
    spectral_at,
    together,
)
from theorylab.mixtures.rates import optimal_weight
from theorylab.mixtures.self_training import train

MOMENT_METHODS = ("sl", "ul", "ul_plus", "ssl_switch", "ssl_weighted")
DATA_METHODS = ("ssl_em", "self_training")
Settings = Mapping[str, Array]
Lists = Mapping[str, Array]


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


@dataclass(frozen=True)
class _Plan:
    """What is compiled in: hashable, so that equal plans share a program."""

    d: int
    methods: tuple[str, ...]
    explicit: bool
    dtype: str
    blocks_l: int  # of labelled points
    blocks: int  # of unlabelled ones
    rounds: int
    l2: float
    max_steps: int
    tol: float
    one_by_one: bool  # replicates


@old_arguments(iterations="max_steps", tolerance="tol")
def sweep_mixture(  # noqa: PLR0913
    key: Key[Array, ""],
    s: Any,
    n_l: Any,
    n_u: Any,
    *,
    d: int,
    replicates: int,
    methods: tuple[str, ...] = MOMENT_METHODS,
    route: str = "auto",
    weight: Any = None,
    rounds: int = 10,
    fraction: float = 0.1,
    l2: float = 1.0,
    max_steps: int = 100,
    tol: float = 1e-5,
    dtype: Any = np.float32,
    memory_gb: float = 0.25,
    chunk: int | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> MixtureSweep:
    """Simulate the excess risks of several methods at every setting (s[i], n_l[i], n_u[i]).

    Use it for thousands of draws at many settings; the learners themselves run on one data set.

    Args:
        key: typed key.
        s, n_l, n_u: settings, which broadcast.
        d: dimensions, >= 2.
        replicates: draws of each.
        methods: of `MOMENT_METHODS` and `DATA_METHODS` ("ssl_em" starts from SSL-W; "self_training"
            uses l2-logistic regression without intercept).
        route: "moments", exact laws in O(d) numbers, for the first five methods; "data", explicit
            unlabelled points; "auto", the first where the methods allow it.
        weight: t of SSL-W, by default the optimal one.
        rounds, fraction, l2: of self-training: rounds, share of the points that each adds, penalty.
        max_steps, tol: of EM.
        dtype: float32 or float64, of all computations; the random numbers are the same float32 ones
            for both.
        memory_gb: device memory that the replicates which run at once may take.
        chunk: replicates that run at once, on CPU a chunk on every core; by default as many as
            `memory_gb` holds. Results do not depend on it (replicate i uses fold_in(key, i)). They
            gather in host memory, 8 bytes per risk.
        mesh: spreads each chunk over the devices of its first axis.

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
    rounds, max_steps = count("rounds", rounds), count("max_steps", max_steps)
    chunk = None if chunk is None else count("chunk", chunk)
    s = positive("s", s, ndim=(0, 1))
    n_l, n_u = (
        within(name, n, 1, whole=True, ndim=(0, 1)) for name, n in (("n_l", n_l), ("n_u", n_u))
    )
    shape = broadcast(s=s, n_l=n_l, n_u=n_u)
    if (
        weight is not None
        and broadcast(s=np.empty(shape), weight=within("weight", weight, 0.0, 1.0)) != shape
    ):
        raise InputError(
            f"weight has shape {np.shape(weight)}; one number, or one for each setting, is needed"
        )
    for name, value in (("l2", l2), ("memory_gb", memory_gb)):
        number(name, value, 0.0, open_low=True)
    number("fraction", fraction, 0.0, 1.0, open_low=True)
    number("tol", tol, 0.0)
    choice("route", route, ("auto", "moments", "data"))
    instance("mesh", mesh, (jax.sharding.Mesh, type(None)), "a jax.sharding.Mesh, or None,")
    instance("methods", methods, (tuple, list, set, frozenset), "a tuple of names")
    for method in methods:
        choice("methods", method, MOMENT_METHODS + DATA_METHODS)
    if not methods:
        raise InputError(
            f"methods is empty: give some of {', '.join(MOMENT_METHODS + DATA_METHODS)}"
        )
    explicit = route == "data" or bool(set(methods) & set(DATA_METHODS))
    if route == "moments" and explicit:
        raise InputError(f"route='moments' knows no {', '.join(DATA_METHODS)}: give route='data'")
    try:
        dtype = np.dtype(dtype)
    except (TypeError, ValueError):
        raise InputError(f"dtype = {shown(dtype)}; float32 or float64 is needed") from None
    if dtype not in (np.float32, np.float64):
        raise InputError(f"dtype={dtype} must be float32 or float64")
    s, n_l, n_u = (np.atleast_1d(x) for x in np.broadcast_arrays(s, n_l, n_u))
    n_l, n_u = n_l.astype(int), n_u.astype(int)
    sizes, size = np.unique(n_u, return_inverse=True)
    t = (
        optimal_weight(s, n_l, n_u)
        if weight is None
        else np.broadcast_to(np.asarray(weight, float), s.shape)
    )
    settings = {
        "s": s,
        "n_l": n_l,
        "n_u": n_u,
        "t": t,
        "add": np.maximum(1, np.round(fraction * n_u)).astype(int),
    }
    settings |= {"size": size.reshape(s.shape)}
    settings = {name: _padded(value, 16 if explicit else 64) for name, value in settings.items()}
    groups = grouped(n_u)
    with_points = explicit and "self_training" in methods
    plan = _Plan(
        int(d),
        tuple(methods),
        explicit,
        dtype.name,
        _round_up(blocks_of(n_l.max())) if with_points else 0,
        _round_up(max(5, blocks_of(n_u.max()))) if explicit else 0,
        int(rounds),
        float(l2),
        int(max_steps),
        float(tol),
        jax.default_backend() == "cpu",
    )
    shards = mesh.shape[mesh.axis_names[0]] if mesh is not None else 1
    cores = available_cores() if mesh is None and jax.default_backend() == "cpu" else 1
    chunk = chunk or min(
        _fitting(plan, len(sizes), len(s), memory_gb / cores), -(-replicates // cores)
    )
    chunk = min(chunk, replicates)
    chunk = -(-chunk // shards) * shards
    with jax.enable_x64(bool(dtype == np.float64)):
        arrays = {
            k: jnp.asarray(v, dtype.name if k in ("s", "t") else None) for k, v in settings.items()
        }
        lists = {"sizes": _padded(sizes, 8), "groups": _padded(groups, 4)}
        counts = {"settings": len(s), "sizes": len(sizes), "groups": len(groups)}
        whole = (key, arrays, jax.tree.map(jnp.asarray, lists), jax.tree.map(jnp.asarray, counts))
        spread = None
        if mesh is not None:
            whole = jax.device_put(whole, NamedSharding(mesh, PartitionSpec()))
            spread = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        program = _program(plan, mesh)

        def part(first: int) -> dict[str, np.ndarray]:
            index = np.arange(first, first + chunk, dtype=np.uint32)
            return jax.device_get(program(jax.device_put(index, spread), *whole))

        parts = parallel_map(part, range(0, replicates, chunk), threads=cores)
    found = {
        k: np.concatenate([p[k] for p in parts], axis=1)[: len(s), :replicates] for k in parts[0]
    }
    excess = {m: found[f"excess {m}"] for m in methods}
    estimation = {m: found[f"estimation {m}"] for m in methods if f"estimation {m}" in found}
    return MixtureSweep(s, n_l, n_u, int(d), excess, estimation, found["wrong_sign"])


def _round_up(size: int) -> int:
    """The next of 1, 2, 5, 10, 20, ...: few shapes, few programs."""
    power = 10 ** (len(str(int(size))) - 1)
    return next(k * power for k in (1, 2, 5, 10) if k * power >= size)


def _padded(values: np.ndarray, multiple: int) -> np.ndarray:
    """The last value repeated, so that grids of about the same size share a program."""
    return np.pad(
        values, [(0, -len(values) % multiple)] + [(0, 0)] * (values.ndim - 1), mode="edge"
    )


def _fitting(plan: _Plan, sizes: int, settings: int, memory_gb: float) -> int:
    """How many replicates at a time keep the device under the budget."""
    points = (
        BLOCK * (plan.blocks + plan.blocks_l) * (plan.d + 12)
        if plan.explicit
        else 8 * (sizes + 1) * plan.d
    )
    floats = 2 * points * (not plan.one_by_one) + settings * (2 * len(plan.methods) + 1)
    return int(np.clip(memory_gb * 1e9 / (floats * np.dtype(plan.dtype).itemsize), 1, 4096))


_PROGRAMS: dict[Any, Callable[..., Any]] = {}


def _program(plan: _Plan, mesh: jax.sharding.Mesh | None) -> Callable[..., Any]:
    """The compiled function of a plan.

    (replicate numbers, key, settings, lists, counts) -> {name: (settings, replicates)}. It computes
    as many settings, sizes and groups as `counts` says: a longer grid is another argument, not
    another program.
    """
    if (plan, mesh) not in _PROGRAMS:
        run = partial(_chunk, plan)
        if mesh is not None:
            replicates = PartitionSpec(mesh.axis_names[0])
            whole = PartitionSpec()
            run = jax.shard_map(
                run,
                mesh=mesh,
                in_specs=(replicates, whole, whole, whole, whole),
                out_specs=PartitionSpec(None, mesh.axis_names[0]),
                check_vma=False,
            )
        _PROGRAMS[plan, mesh] = jax.jit(run)
    return _PROGRAMS[plan, mesh]


def _chunk(
    plan: _Plan, index: Array, key: Array, settings: Settings, lists: Lists, counts: Lists
) -> dict[str, Array]:
    keys = jax.vmap(partial(jax.random.fold_in, key))(index)
    if plan.explicit:
        one = partial(_from_points, plan, settings=settings, lists=lists, counts=counts)
        # A CPU has nothing to gain from batches of products; elsewhere all replicates go side by
        # side.
        found = jax.lax.map(one, keys, batch_size=None if plan.one_by_one else len(index))
        return {name: value.T for name, value in found.items()}
    draws = jax.vmap(lambda k: moments.draw(k, lists["sizes"], plan.d))(keys)
    draws = jax.tree.map(lambda x: x.astype(plan.dtype), draws)

    def at(i: Any) -> dict[str, Array]:
        setting = {name: value[i] for name, value in settings.items()}
        return jax.vmap(lambda noise: _from_moments(plan, noise, setting))(draws)

    shapes = jax.eval_shape(at, 0)
    room = jax.tree.map(lambda x: jnp.zeros((len(settings["s"]), *x.shape), x.dtype), shapes)

    def fill(i: Array, out: dict[str, Array]) -> dict[str, Array]:
        return jax.tree.map(lambda whole, row: whole.at[i].set(row), out, at(i))

    return jax.lax.fori_loop(0, counts["settings"], fill, room)


def _risks(
    plan: _Plan, setting: Settings, sl: moments.Parts, ul: moments.Parts, unit: moments.Parts
) -> dict[str, Any]:
    """Risks of the first five methods from three numbers of SL's and UL's estimates.

    UL's sign: along >= 0.
    """
    s, n_l, n_u, t = (setting[k] for k in ("s", "n_l", "n_u", "t"))
    agreement = sl.along * unit.along + sl.across * unit.across
    sign = jnp.where(agreement >= 0, 1, -1).astype(plan.dtype)

    def combine(
        f: Callable[[Array, Array], Array], a: moments.Parts, b: moments.Parts
    ) -> moments.Parts:
        return moments.Parts(*(f(x, y) for x, y in zip(a, b, strict=True)))

    scaled = moments.Parts(*(sign * x for x in ul))
    ulp = moments.Parts(*(sign * x for x in unit))
    found = {
        "sl": (sl, sl),
        "ul": (ul, unit),
        # judged by its direction, which stands when the eigenvalue is below 1
        "ul_plus": (scaled, ulp),
        "ssl_switch": (
            combine(lambda a, b: switched(a, b, s, plan.d, n_l, n_u), sl, scaled),
            combine(lambda a, b: switched(a, b, s, plan.d, n_l, n_u), sl, ulp),
        ),
        "ssl_weighted": (combine(lambda a, b: t * a + (1 - t) * b, sl, scaled),) * 2,
    }
    out: dict[str, Any] = {"wrong_sign": sign < 0}
    wanted = [m for m in plan.methods if m in found]
    if wanted:
        estimate, direction = (
            moments.Parts(*(jnp.stack(x) for x in zip(*(found[m][i] for m in wanted), strict=True)))
            for i in (0, 1)
        )
        excess = excess_from_parts(s, direction.along, direction.across_squared)
        distance = jnp.sqrt((estimate.along - s) ** 2 + estimate.across_squared)
        for i, method in enumerate(wanted):
            out[f"excess {method}"], out[f"estimation {method}"] = excess[i], distance[i]
    return out


def _from_moments(plan: _Plan, draws: moments.Draws, setting: Settings) -> dict[str, Any]:
    s = setting["s"]
    sl = moments.sl_parts(draws, s, setting["n_l"])
    ul, unit = moments.ul_parts(draws, s, setting["n_u"], setting["size"])
    return _risks(plan, setting, sl, ul, unit)


def _from_points(
    plan: _Plan, key: Array, *, settings: Settings, lists: Lists, counts: Lists
) -> dict[str, Any]:
    """All settings of one replicate on explicit points."""
    s, n_l, n_u, t = (settings[k] for k in ("s", "n_l", "n_u", "t"))
    key_u, key_l = jax.random.split(key)
    noise = draw_blocks(key_u, blocks_of(jnp.max(n_u)), plan.blocks, plan.d).astype(plan.dtype)
    spectral = spectral_at(spectra(noise, lists["sizes"], counts["sizes"]), s, settings["size"])
    if plan.blocks_l:
        labelled = draw_blocks(key_l, blocks_of(jnp.max(n_l)), plan.blocks_l, plan.d).astype(
            plan.dtype
        )
        counted = (jnp.arange(plan.blocks_l * BLOCK).reshape(-1, 1, BLOCK) < n_l[:, None]).astype(
            plan.dtype
        )
        error = jnp.einsum("bkn,bdn->kd", counted, labelled[:, :-1]) / n_l[:, None]
    else:  # their mean is enough
        error = (jax.random.normal(key_l, (plan.d,), jnp.float32) / jnp.sqrt(n_l)[:, None]).astype(
            plan.dtype
        )
    theta_sl = error.at[:, 0].add(s)
    # The three numbers of `_risks`: across is measured along UL's own rest.
    axis = spectral.direction[:, 1:] / jnp.where(spectral.across > 0, spectral.across, 1)[:, None]
    beside = jnp.sum(error[:, 1:] * axis, axis=1)
    rest = jnp.linalg.norm(error[:, 1:] - beside[:, None] * axis, axis=1)
    out = _risks(plan, settings, moments.Parts(theta_sl[:, 0], beside, rest), *spectral.parts())
    if "ssl_em" in plan.methods:
        sign = jnp.where(jnp.sum(theta_sl * spectral.direction, axis=1) >= 0, 1, -1).astype(
            plan.dtype
        )
        start = (
            t[:, None] * theta_sl + ((1 - t) * sign * spectral.length)[:, None] * spectral.direction
        )

        def fit(
            start: Array, moment: Array, labelled_sum: Array, s: Array, n_l: Array, n_u: Array
        ) -> Array:
            return maximise(
                noise,
                n_u,
                s,
                labelled_sum,
                n_l,
                start,
                moment,
                max_steps=plan.max_steps,
                tol=plan.tol,
                blocks=blocks_of(jnp.max(n_u)),
            ).theta

        arrays = (start, spectral.moment, n_l[:, None] * theta_sl, s, n_l, n_u)
        theta = together(fit, arrays, lists["groups"], counts["groups"])
        out |= _judged("ssl_em", s, theta)
    if "self_training" in plan.methods:
        one, room = (
            partial(_self_trained, plan, settings, labelled, noise),
            jnp.zeros_like(theta_sl),
        )
        weights = jax.lax.fori_loop(
            0, counts["settings"], lambda i, out: out.at[i].set(one(i)), room
        )
        out |= {"excess self_training": _judged("", s, weights)["excess "]}
    return out


def _self_trained(
    plan: _Plan, settings: Settings, labelled: Array, noise: Array, i: Array
) -> Array:
    """The weights (d,) at setting i, whose points are packed into as few blocks as hold them."""
    s, n_l, n_u = (settings[k][i] for k in ("s", "n_l", "n_u"))
    used = blocks_of(n_l)
    room = jnp.concatenate([labelled, jnp.zeros_like(noise)])
    design = jax.lax.dynamic_update_slice_in_dim(room, noise, used, axis=0)[:, :-1].at[:, 0].add(s)
    point = jnp.arange(len(room) * BLOCK).reshape(-1, BLOCK)
    known = (point < n_l).astype(plan.dtype)  # every label is +1
    waiting = (point >= used * BLOCK) & (point < used * BLOCK + n_u)
    penalty = jnp.full(plan.d, plan.l2, plan.dtype)
    return train(
        design,
        known,
        known,
        waiting,
        settings["add"][i],
        penalty,
        rounds=plan.rounds,
        blocks=used + blocks_of(n_u),
    )


def _judged(method: str, s: Array, theta: Array) -> dict[str, Array]:
    """Of estimates (settings, d)."""
    across = jnp.sum(theta[:, 1:] ** 2, axis=1)
    return {
        f"excess {method}": excess_from_parts(s, theta[:, 0], across),
        f"estimation {method}": jnp.sqrt((theta[:, 0] - s) ** 2 + across),
    }
