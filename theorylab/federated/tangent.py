"""The tangent features of one trained model, shared by everybody.

Which scalar, which parameters and which coordinates are decided once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.federated.execution import remembered
from theorylab.nets.functional import Params, functional
from theorylab.nets.training_inputs import outputs_of
from theorylab.ntk import random_head, sample_coordinates
from theorylab.ntk.guard import (
    calling,
    inspect,
    require_finite,
    require_outputs,
    require_real_parameters,
)

if TYPE_CHECKING:
    from theorylab.federated.fit import FederatedFit


@dataclass(frozen=True)
class TangentMap:
    """The map x -> gradients of a scalar head at fixed parameters, some coordinates of them.

    `convexify` makes it. Called on x it gives (n, p), or (n, K, p) for head="per_class".

    Attributes:
        f: (params, x) -> hidden features for head="random", else the model's outputs.
        params: the leaves that `f` depends on: the trained K-way head is not among them with
            head="random".
        head: "random", "logit_sum" or "per_class".
        coords: (p,) numbers of the entries of the gradient, None for all.
        key: of the random head.
        batch_size: gradients of all parameters held on the device at once.

    Source:
        Yu et al. (2022, TCT), and its authors' MNIST example for the random head.
    """

    f: Callable[[list[Array], Any], Any]
    params: list[Array]
    head: Any
    coords: Any
    key: Key[Array, ""]
    batch_size: int

    def __call__(self, x: Any) -> Float[np.ndarray, "n ..."]:
        """(n, p), or (n, K, p) for head="per_class", in the model's precision.

        The numbers of `ntk.entk_features`; compiled once for all models of one architecture.
        """
        x = jax.tree.map(lambda a: checks.finite("x", a), x)
        if (
            not jax.tree.leaves(x)
            or len({np.shape(a)[:1] for a in jax.tree.leaves(x)}) != 1
            or not np.ndim(jax.tree.leaves(x)[0])
        ):
            raise InputError(
                f"x = {checks.shown(x)}; inputs with the same leading axis, at least one, are "
                "needed"
            )
        f, params = self.f, self.params
        if self.head == "random":
            f, params = _Head(f), random_head(f, params, x, self.key)[1]
        else:
            inspect(f, params, x)
        x = jax.tree.map(jnp.asarray, x)
        rows, n = remembered(_rows, f, self.head), jax.tree.leaves(x)[0].shape[0]
        coords = None if self.coords is None else jnp.asarray(self.coords)
        with jax.default_matmul_precision("highest"):
            parts = [
                np.asarray(
                    rows(params, coords, jax.tree.map(lambda a, i=i: a[i : i + self.batch_size], x))
                )
                for i in range(0, n, self.batch_size)
            ]
        found = np.concatenate(parts)
        require_finite("the gradient of the model", found)
        return found


@dataclass(frozen=True)
class _Head:
    """The scalar head of `ntk.random_head` on hidden features."""

    f: Callable[[list[Array], Any], Any]

    def __call__(self, params: Any, x: Any) -> Any:
        return (self.f(params["body"], x) @ params["head"]["w"] + params["head"]["b"])[:, None]


@lru_cache(maxsize=16)
def _rows(f: Callable[[Any, Any], Any], head: str) -> Callable[..., Array]:
    @jax.jit
    def rows(params: Any, coords: Array | None, x: Any) -> Array:
        def one(sample: Any) -> Array:
            batch = jax.tree.map(lambda a: a[None], sample)
            out, pullback = jax.vjp(lambda p: f(p, batch)[0], params)
            seeds = (
                jnp.eye(out.size, dtype=out.dtype)
                if head == "per_class"
                else jnp.ones((1, out.size), out.dtype)
            )
            gradients = jax.vmap(pullback)(
                seeds / np.sqrt(out.size) if head == "logit_sum" else seeds
            )[0]
            flat = jnp.concatenate(
                [leaf.reshape(len(seeds), -1) for leaf in jax.tree.leaves(gradients)], 1
            )
            return flat if head == "per_class" else flat[0]

        gradients = jax.vmap(one)(x)
        return gradients if coords is None else gradients[..., coords]

    return rows


def tangent_map(
    start: "FederatedFit | tuple[Callable[[Params, Any], Any], Params] | nnx.Module",
    x: Any,
    *,
    key: Key[Array, ""],
    head: Any,
    hidden: Callable[[Params, Any], Any] | None,
    n_coords: int | None,
    batch_size: int,
) -> tuple[TangentMap, int]:
    """The map, and the number of outputs of the model.

    Arguments as for `convexify`; `x`: one example, for its shape.
    """
    checks.choice("head", head, ("random", "logit_sum", "per_class"))
    checks.key("key", key)
    batch_size = checks.count("batch_size", batch_size)
    if hidden is not None:
        checks.function("hidden", hidden)
    f, features, params = _model(start)
    require_real_parameters("params", params)
    with calling(f, params=params, x=x):
        require_outputs(f, params, x)
    outputs = outputs_of("clients", lambda x: f(params, x), x).shape[-1]
    if head == "random":
        f = hidden or features or f
    elif hidden is not None:
        raise InputError(f"hidden: only head='random' uses it, head={head!r} was given")
    f, leaves = live_parameters(f, params, x)
    head_key, coords_key = jax.random.split(key)
    coords = None
    if n_coords is not None:
        everything = random_head(f, leaves, x, head_key)[1] if head == "random" else leaves
        largest = sum(leaf.size for leaf in jax.tree.leaves(everything))
        coords = sample_coordinates(
            everything, checks.count("n_coords", n_coords, at_most=largest), coords_key
        )
    return TangentMap(f, leaves, head, coords, head_key, batch_size), outputs


def live_parameters(
    f: Callable[[Params, Any], Any], params: Params, x: Any
) -> tuple[Callable[[list[Array], Any], Any], list[Array]]:
    """`f` as a function of those leaves of `params` that its program reads.

    The others have a zero gradient always.
    """
    leaves, layout = jax.tree.flatten(jax.tree.map(jnp.asarray, params))
    program = jax.make_jaxpr(lambda leaves: f(jax.tree.unflatten(layout, leaves), x))(leaves).jaxpr
    needed = {id(v) for v in program.outvars}
    for equation in reversed(program.eqns):
        if any(id(v) in needed for v in equation.outvars):
            needed.update(id(v) for v in equation.invars)
    live = [id(v) in needed for v in program.invars]
    if not any(live):
        raise InputError("f: its output depends on none of the parameters")

    return _Live(f, layout, tuple(live), tuple(leaves)), [
        a for k, a in zip(live, leaves, strict=True) if k
    ]


@dataclass(frozen=True)
class _Live:
    """`f` as a function of some leaves.

    The others are not read: functions that differ in them alone are equal.
    """

    f: Callable[[Params, Any], Any]
    layout: Any
    live: tuple[bool, ...]
    leaves: tuple[Array, ...] = field(compare=False)

    def __call__(self, some: list[Array], x: Any) -> Any:
        given = iter(some)
        leaves = [next(given) if k else a for k, a in zip(self.live, self.leaves, strict=True)]
        return self.f(jax.tree.unflatten(self.layout, leaves), x)


def _model(start: Any) -> tuple[Callable[..., Any], Callable[..., Any] | None, Params]:
    """(f, hidden features or None, params) of what `convexify` was given."""
    if isinstance(start, tuple) and len(start) == 2:
        return (
            checks.function("start", start[0]),
            None,
            jax.tree.map(lambda a: checks.real("start", a), start[1]),
        )
    if not isinstance(start, nnx.Module) and not (
        hasattr(start, "model") and hasattr(start, "params")
    ):
        raise InputError(
            f"start = {checks.shown(start)}; a federated run, a pair (f, params) or a module is "
            "needed"
        )
    module, params = (start, None) if isinstance(start, nnx.Module) else (start.model, start.params)
    if module is None:
        return start.f, None, params
    f, own = functional(module)
    features = None
    if callable(getattr(module, "features", None)):
        features = functional(module, method="features")[0]
    return f, features, own if params is None else params
