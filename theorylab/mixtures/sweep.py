"""Replicate sweeps: the risks of every algorithm over a grid of (s, n_l, n_u), thousands of draws, one program.

Three ideas make it quick. A program is compiled for the shape of the grid alone: sizes are masks and arguments. Random
numbers are drawn once a replicate and shared by all settings (common random numbers: each setting's law is exact,
differences between settings have less noise). And where only the means and spectra of the data matter, they are drawn
from their exact law in O(d) numbers (`moments`). Everything is rotation equivariant, so theta* = s e_1 throughout.
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

from theorylab.errors import InputError
from theorylab.mixtures import moments
from theorylab.mixtures.checks import option, positive
from theorylab.mixtures.estimators import spectral_from_moment, switched
from theorylab.mixtures.gaussian import excess_from_parts
from theorylab.mixtures.likelihood import maximise
from theorylab.mixtures.rates import optimal_weight
from theorylab.mixtures.self_training import train

MOMENT_METHODS = ("sl", "ul", "ul_plus", "ssl_switch", "ssl_weighted")
DATA_METHODS = ("ssl_em", "self_training")
Settings = Mapping[str, Array]


@dataclass(frozen=True)
class Sweep:
    """Risks of every replicate: `excess[method]` and `estimation[method]` (||theta - theta*||), (settings, replicates).

    "ul" is the spectral estimate with the sign known; `wrong_sign` tells where UL+ picked the wrong one. Self-training
    has no estimation error (its weight has another scale).
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
        return self.excess[method].mean(1, dtype=np.float64)

    def standard_error(self, method: str) -> np.ndarray:
        """Standard error of that mean."""
        values = self.excess[method]
        return values.std(1, ddof=1, dtype=np.float64) / np.sqrt(values.shape[1])


@dataclass(frozen=True)
class _Plan:
    """What is compiled in: hashable, so that equal plans share a program."""

    d: int
    methods: tuple[str, ...]
    explicit: bool
    dtype: str
    max_l: int
    max_u: int
    rounds: int
    l2: float
    iterations: int
    tolerance: float


def sweep(
    key: Key[Array, ""], s: Any, n_l: Any, n_u: Any, *, d: int, replicates: int,
    methods: tuple[str, ...] = MOMENT_METHODS, route: str = "auto", weight: Any = None, rounds: int = 10,
    fraction: float = 0.1, l2: float = 1.0, iterations: int = 100, tolerance: float = 1e-5,
    dtype: Any = np.float32, memory_gb: float = 0.25, chunk: int | None = None, mesh: jax.sharding.Mesh | None = None,
) -> Sweep:  # fmt: skip
    """Excess risks of `methods` at each of the settings (s[i], n_l[i], n_u[i]), which broadcast, over `replicates`.

    methods: of `MOMENT_METHODS` and `DATA_METHODS` ("ssl_em" starts from SSL-W; "self_training" uses l2-logistic
      regression without intercept, `rounds` rounds that add `fraction` of the points each).
    route: "moments", exact laws in O(d) numbers, for the first five methods; "data", explicit unlabelled points;
      "auto", the first where the methods allow it.
    weight: t of SSL-W, by default the optimal one. dtype: float32 or float64, of all computations; the random numbers
      are the same float32 ones for both.
    memory_gb, chunk: replicates run `chunk` at a time, by default as many as the device memory budget holds; results
      do not depend on it (replicate i uses fold_in(key, i)). They gather in host memory, 8 bytes a risk.
    mesh: spreads each chunk over the devices of its first axis.
    """
    for name, value, least in (("d", d, 2), ("replicates", replicates, 1), ("n_l", n_l, 1), ("n_u", n_u, 1)):
        positive(name, value, at_least=least)
    for name, value in (("s", s), ("l2", l2), ("fraction", fraction), ("memory_gb", memory_gb)):
        positive(name, value)
    option("route", route, ("auto", "moments", "data"))
    for method in methods:
        option("method", method, MOMENT_METHODS + DATA_METHODS)
    if not methods:
        raise InputError(f"methods is empty: give some of {', '.join(MOMENT_METHODS + DATA_METHODS)}")
    explicit = route == "data" or bool(set(methods) & set(DATA_METHODS))
    if route == "moments" and explicit:
        raise InputError(f"route='moments' knows no {', '.join(DATA_METHODS)}: give route='data'")
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise InputError(f"dtype={dtype} must be float32 or float64")
    s, n_l, n_u = (np.atleast_1d(x) for x in np.broadcast_arrays(s, n_l, n_u))
    n_l, n_u = (_whole(name, x) for name, x in (("n_l", n_l), ("n_u", n_u)))
    sizes, size = np.unique(n_u, return_inverse=True)
    t = optimal_weight(s, n_l, n_u) if weight is None else np.broadcast_to(np.asarray(weight, float), s.shape)
    settings = {"s": s, "n_l": n_l, "n_u": n_u, "t": t, "add": np.maximum(1, np.round(fraction * n_u)).astype(int)}
    settings |= {"size": size.reshape(s.shape)}
    with_points = explicit and "self_training" in methods
    plan = _Plan(
        int(d), tuple(methods), explicit, dtype.name, _round_up(n_l.max()) if with_points else 0,
        _round_up(n_u.max()) if explicit else 0, int(rounds), float(l2), int(iterations), float(tolerance),
    )  # fmt: skip
    settings = {name: _padded(value, 16) for name, value in settings.items()}
    chunk = chunk or _fitting(plan, len(sizes), len(s), memory_gb)
    chunk = min(chunk, replicates)
    shards = mesh.shape[mesh.axis_names[0]] if mesh is not None else 1
    chunk = -(-chunk // shards) * shards
    with jax.enable_x64(bool(dtype == np.float64)):
        arrays = {k: jnp.asarray(v, dtype.name if k in ("s", "t") else None) for k, v in settings.items()}
        whole = (key, arrays, jnp.asarray(_padded(sizes, 8)), jnp.asarray(len(s)))
        spread = None
        if mesh is not None:
            whole = jax.device_put(whole, NamedSharding(mesh, PartitionSpec()))
            spread = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        parts, program = [], _program(plan, mesh)
        for first in range(0, replicates, chunk):
            index = np.arange(first, first + chunk, dtype=np.uint32)
            parts.append(jax.device_get(program(jax.device_put(index, spread), *whole)))
    found = {k: np.concatenate([p[k] for p in parts], axis=1)[: len(s), :replicates] for k in parts[0]}
    excess = {m: found[f"excess {m}"] for m in methods}
    estimation = {m: found[f"estimation {m}"] for m in methods if f"estimation {m}" in found}
    return Sweep(s, n_l, n_u, int(d), excess, estimation, found["wrong_sign"])


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    if (values != np.round(values)).any():
        raise InputError(f"{name} holds {values.ravel()[0]}: sample sizes must be whole numbers")
    return values.astype(int)


def _round_up(size: int) -> int:
    """The next of 1, 2, 5, 10, 20, ...: few shapes, few programs."""
    power = 10 ** (len(str(int(size))) - 1)
    return next(k * power for k in (1, 2, 5, 10) if k * power >= size)


def _padded(values: np.ndarray, multiple: int) -> np.ndarray:
    """The last value repeated, so that grids of about the same size share a program."""
    return np.pad(values, (0, -len(values) % multiple), mode="edge")


def _fitting(plan: _Plan, sizes: int, settings: int, memory_gb: float) -> int:
    """How many replicates at a time keep the device under the budget."""
    points = (plan.max_u + plan.max_l) * (plan.d + 12) if plan.explicit else 8 * (sizes + 1) * plan.d
    floats = 2 * points + settings * (2 * len(plan.methods) + 1)
    return int(np.clip(memory_gb * 1e9 / (floats * np.dtype(plan.dtype).itemsize), 1, 4096))


_PROGRAMS: dict[Any, Callable[..., Any]] = {}


def _program(plan: _Plan, mesh: jax.sharding.Mesh | None) -> Callable[..., Any]:
    """The compiled function (replicate numbers, key, settings, sizes, count) -> {name: (settings, replicates)}.

    It computes the first `count` settings alone: a longer grid is another argument, not another program.
    """
    if (plan, mesh) not in _PROGRAMS:
        run = partial(_chunk, plan)
        if mesh is not None:
            replicates = PartitionSpec(mesh.axis_names[0])
            whole = PartitionSpec()
            run = jax.shard_map(
                run, mesh=mesh, in_specs=(replicates, whole, whole, whole, whole),
                out_specs=PartitionSpec(None, mesh.axis_names[0]), check_vma=False,
            )  # fmt: skip
        _PROGRAMS[plan, mesh] = jax.jit(run)
    return _PROGRAMS[plan, mesh]


def _chunk(plan: _Plan, index: Array, key: Array, settings: Settings, sizes: Array, count: Array) -> dict[str, Array]:
    keys = jax.vmap(partial(jax.random.fold_in, key))(index)
    one: Callable[..., dict[str, Any]]
    if plan.explicit:
        draws: Any = jax.vmap(partial(_draw_points, plan))(keys)
        one = partial(_from_points, plan)
    else:
        draws = jax.vmap(lambda k: moments.draw(k, sizes, plan.d))(keys)
        one = partial(_from_moments, plan)
    draws = jax.tree.map(lambda x: x.astype(plan.dtype), draws)

    def at(i: Any) -> dict[str, Array]:
        setting = {name: value[i] for name, value in settings.items()}
        return jax.vmap(lambda noise: one(noise, setting))(draws)

    shapes = jax.eval_shape(at, 0)
    room = jax.tree.map(lambda x: jnp.zeros((len(settings["s"]), *x.shape), x.dtype), shapes)

    def fill(i: Array, out: dict[str, Array]) -> dict[str, Array]:
        return jax.tree.map(lambda whole, row: whole.at[i].set(row), out, at(i))

    return jax.lax.fori_loop(0, count, fill, room)


def _risks(plan: _Plan, setting: Settings, sl: moments.Parts, ul: moments.Parts, unit: moments.Parts) -> dict[str, Any]:
    """Risks of the first five methods from three numbers of SL's and UL's estimates (UL's sign: along >= 0)."""
    s, n_l, n_u, t = (setting[k] for k in ("s", "n_l", "n_u", "t"))
    agreement = sl.along * unit.along + sl.across * unit.across
    sign = jnp.where(agreement >= 0, 1, -1).astype(plan.dtype)

    def combine(f: Callable[[Array, Array], Array], a: moments.Parts, b: moments.Parts) -> moments.Parts:
        return moments.Parts(*(f(x, y) for x, y in zip(a, b, strict=True)))

    scaled = moments.Parts(*(sign * x for x in ul))
    ulp = moments.Parts(*(sign * x for x in unit))
    found = {
        "sl": (sl, sl),
        "ul": (ul, unit),
        "ul_plus": (scaled, ulp),  # judged by its direction, which stands when the eigenvalue is below 1
        "ssl_switch": (combine(lambda a, b: switched(a, b, s, plan.d, n_l, n_u), sl, scaled),
                       combine(lambda a, b: switched(a, b, s, plan.d, n_l, n_u), sl, ulp)),
        "ssl_weighted": (combine(lambda a, b: t * a + (1 - t) * b, sl, scaled),) * 2,
    }  # fmt: skip
    out: dict[str, Any] = {"wrong_sign": sign < 0}
    wanted = [m for m in plan.methods if m in found]
    if wanted:
        estimate, direction = (
            moments.Parts(*(jnp.stack(x) for x in zip(*(found[m][i] for m in wanted), strict=True))) for i in (0, 1)
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


def _draw_points(plan: _Plan, key: Array) -> dict[str, Array]:
    """Noise of the unlabelled points and of the labelled ones, or of their mean alone where that is enough.

    x and -x are the same to every method here, so unlabelled points are drawn as y x ~ N(theta*, I).
    """
    key_u, key_l = jax.random.split(key)
    labelled = (plan.max_l, plan.d) if plan.max_l else (plan.d,)
    return {
        "unlabelled": jax.random.normal(key_u, (plan.max_u, plan.d), jnp.float32),
        "labelled": jax.random.normal(key_l, labelled, jnp.float32),
    }


def _from_points(plan: _Plan, draws: Mapping[str, Array], setting: Settings) -> dict[str, Any]:
    s, n_l, n_u = (setting[k] for k in ("s", "n_l", "n_u"))
    noise, points = draws["unlabelled"], draws["labelled"]
    mask_u = (jnp.arange(plan.max_u) < n_u).astype(plan.dtype)
    if plan.max_l:
        mask_l = (jnp.arange(plan.max_l) < n_l).astype(plan.dtype)
        theta_sl = (mask_l @ points / n_l).at[0].add(s)
    else:
        theta_sl = (points / jnp.sqrt(n_l)).at[0].add(s).astype(plan.dtype)
    gram = (noise * mask_u[:, None]).T @ noise
    gram = gram.at[0].add(s * (mask_u @ noise)).at[:, 0].add(s * (mask_u @ noise)).at[0, 0].add(s**2 * n_u)
    spectral = spectral_from_moment((gram / n_u).astype(plan.dtype))
    # The three numbers of `_risks`: across is measured along UL's own rest, the sign of UL makes `along` >= 0.
    flip = jnp.where(spectral.direction[0] >= 0, 1, -1).astype(plan.dtype)
    direction = flip * spectral.direction
    across = jnp.linalg.norm(direction[1:])
    axis = direction[1:] / jnp.where(across > 0, across, 1)
    beside = theta_sl[1:] @ axis
    rest = jnp.linalg.norm(theta_sl[1:] - beside * axis)
    zero = jnp.zeros_like(across)
    length = jnp.sqrt(jnp.maximum(spectral.eigenvalue - 1, 0))
    unit = moments.Parts(direction[0], across, zero)
    out = _risks(
        plan, setting, moments.Parts(theta_sl[0], beside, rest), moments.Parts(*(length * x for x in unit)), unit
    )
    if "ssl_em" in plan.methods:
        sign = jnp.where(theta_sl @ direction >= 0, 1, -1).astype(plan.dtype)
        start = setting["t"] * theta_sl + (1 - setting["t"]) * sign * length * direction
        theta = maximise(
            n_l * theta_sl, n_l, noise, mask_u, s, start, iterations=plan.iterations, tolerance=plan.tolerance
        ).theta
        out |= _judged("ssl_em", s, theta)
    if "self_training" in plan.methods:
        shifted = [x.at[:, 0].add(s) for x in (points, noise)]
        labels = jnp.ones(plan.max_l, plan.dtype)
        rule = train(
            shifted[0], labels, mask_l, shifted[1], mask_u, setting["add"], rounds=plan.rounds, l2=plan.l2,
            intercept=False,
        )  # fmt: skip
        out |= {"excess self_training": _judged("", s, rule.weight)["excess "]}
    return out


def _judged(method: str, s: Array, theta: Array) -> dict[str, Array]:
    across = jnp.sum(theta[1:] ** 2)
    return {
        f"excess {method}": excess_from_parts(s, theta[0], across),
        f"estimation {method}": jnp.sqrt((theta[0] - s) ** 2 + across),
    }
