"""The tangent features of one trained model: which scalar, which parameters, which coordinates; shared by everybody."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from theorylab.errors import InputError
from theorylab.nets.functional import Params, functional
from theorylab.ntk import entk_features, random_head, sample_coordinates

if TYPE_CHECKING:
    from theorylab.federated.fit import FederatedFit


@dataclass(frozen=True)
class TangentMap:
    """x -> gradients of a scalar head at fixed parameters, some coordinates of them. Made by `tangent_map`.

    Attributes:
        f: (params, x) -> hidden features for head="random", else the model's outputs.
        params: the leaves that `f` depends on: the trained K-way head is not among them with head="random".
        coords: (p,) numbers of the entries of the gradient, None for all.
        key: of the random head.
    """

    f: Callable[[list[Array], Any], Any]
    params: list[Array]
    head: Any
    coords: Any
    key: Key[Array, ""]
    batch_size: int

    def __call__(self, x: Any) -> Float[np.ndarray, "n ..."]:
        """(n, p), or (n, K, p) for head="per_class", in the model's precision."""
        return entk_features(
            self.f, self.params, x, head=self.head, coords=self.coords, key=self.key, batch_size=self.batch_size
        )


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
    """The map, and the number of outputs of the model. Arguments as `convexify`; `x`: one example, for its shape."""
    f, features, params = _model(start)
    outputs = jax.eval_shape(f, params, x).shape[-1]
    if head == "random":
        f = hidden or features or f
    elif hidden is not None:
        raise InputError(f"hidden: only head='random' uses it, head={head!r} was given")
    f, leaves = live_parameters(f, params, x)
    head_key, coords_key = jax.random.split(key)
    coords = None
    if n_coords is not None:
        everything = random_head(f, leaves, x, head_key)[1] if head == "random" else leaves
        coords = sample_coordinates(everything, n_coords, coords_key)
    return TangentMap(f, leaves, head, coords, head_key, batch_size), outputs


def live_parameters(
    f: Callable[[Params, Any], Any], params: Params, x: Any
) -> tuple[Callable[[list[Array], Any], Any], list[Array]]:
    """`f` as a function of those leaves of `params` that its program reads; the others have a zero gradient always."""
    leaves, layout = jax.tree.flatten(jax.tree.map(jnp.asarray, params))
    program = jax.make_jaxpr(lambda leaves: f(jax.tree.unflatten(layout, leaves), x))(leaves).jaxpr
    needed = {id(v) for v in program.outvars}
    for equation in reversed(program.eqns):
        if any(id(v) in needed for v in equation.outvars):
            needed.update(id(v) for v in equation.invars)
    live = [id(v) in needed for v in program.invars]
    if not any(live):
        raise InputError("f: its output depends on none of the parameters")

    def g(some: list[Array], x: Any) -> Any:
        given = iter(some)
        return f(jax.tree.unflatten(layout, [next(given) if k else a for k, a in zip(live, leaves, strict=True)]), x)

    return g, [a for k, a in zip(live, leaves, strict=True) if k]


def _model(start: Any) -> tuple[Callable[..., Any], Callable[..., Any] | None, Params]:
    """(f, hidden features or None, params) of what `convexify` was given."""
    if isinstance(start, tuple):
        return start[0], None, start[1]
    module, params = (start, None) if isinstance(start, nnx.Module) else (start.model, start.params)
    if module is None:
        return start.f, None, params
    f, own = functional(module)
    features = None
    if callable(getattr(module, "features", None)):
        features = functional(module, method="features")[0]
    return f, features, own if params is None else params
