"""The compiled programs of `sweep_mixture`: all settings of a chunk of replicates.

A program serves every grid of about its size: sizes are masks and arguments.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array

from theorylab.mixtures import moments
from theorylab.mixtures.estimators import switched
from theorylab.mixtures.gaussian import excess_from_parts
from theorylab.mixtures.likelihood import Problems, maximise
from theorylab.mixtures.points import (
    BLOCK,
    blocks_of,
    draw_blocks,
    spectra,
    spectral_at,
    together,
)
from theorylab.mixtures.self_training import train

Settings = Mapping[str, Array]
Lists = Mapping[str, Array]


@dataclass(frozen=True)
class Plan:
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


_PROGRAMS: dict[Any, Callable[..., Any]] = {}


def program_of(plan: Plan, mesh: jax.sharding.Mesh | None) -> Callable[..., Any]:
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
    plan: Plan, index: Array, key: Array, settings: Settings, lists: Lists, counts: Lists
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
    plan: Plan, setting: Settings, sl: moments.Parts, ul: moments.Parts, unit: moments.Parts
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


def _from_moments(plan: Plan, draws: moments.Draws, setting: Settings) -> dict[str, Any]:
    s = setting["s"]
    sl = moments.sl_parts(draws, s, setting["n_l"])
    ul, unit = moments.ul_parts(draws, s, setting["n_u"], setting["size"])
    return _risks(plan, setting, sl, ul, unit)


def _from_points(
    plan: Plan, key: Array, *, settings: Settings, lists: Lists, counts: Lists
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
                Problems(n_u, s, labelled_sum, n_l, moment),
                start,
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


def _self_trained(plan: Plan, settings: Settings, labelled: Array, noise: Array, i: Array) -> Array:
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
