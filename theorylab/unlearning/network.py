"""A classifier as the methods need it: pure functions in train and eval mode, and its layers.

Layers come in the order of the forward pass.
Source: our own form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register

Path = tuple[Any, ...]
Apply = Callable[[PyTree, PyTree, Any], tuple[Array, PyTree]]


@register()
@dataclass(frozen=True)
class Model:
    """Weights of a `Network`: what training changes.

    Attributes:
        params: trainable parameters.
        state: all else, running statistics of norms in the first place; empty without.
    """

    params: PyTree
    state: PyTree


@dataclass(frozen=True, eq=False)
class Network:
    """Pure functions of one architecture.

    Make it once with `network` and keep it: programs are compiled for this very object.

    Attributes:
        init: key -> `Model`.
        apply: last k layers that train -> (params, state, x) -> (logits (n, c), new state); the
            other layers are in eval mode. None for all layers.
        evaluate: (params, state, x) -> logits (n, c), all layers in eval mode.
        layers: paths of the layers into `params`, in the order of the forward pass.
    """

    init: Callable[[Key[Array, ""]], Model]
    apply: Callable[[int | None], Apply]
    evaluate: Callable[[PyTree, PyTree, Any], Float[Array, "n c"]]
    layers: tuple[Path, ...]

    def logits(self, model: Model, x: Any) -> Float[Array, "n c"]:
        """Outputs in eval mode."""
        return self.evaluate(model.params, model.state, x)

    def last(self, k: int | None) -> tuple[Path, ...]:
        """Paths of the last `k` layers; of all for None.

        Raises:
            InputError: k below 1 or above the number of layers.
        """
        if k is None:
            return self.layers
        return self.layers[-checks.count("k (number of last layers)", k, 1, len(self.layers)) :]


def require(network: Any, *models: Any) -> None:
    """Refuse what is no `Network`, and where a model is given, what is no `Model`."""
    checks.instance("network", network, Network, "a Network, made by network(...),")
    for model in models:
        checks.instance("model", model, Model, "a Model, such as network.init(key) gives,")


def network(make: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    """The `Network` of a Flax NNX module.

    Layers are the submodules with parameters in the order in which the module's constructor sets
    them, the members of an `nnx.List` one by one: those of theorylab's models come in the order of
    the forward pass, a residual pair being one layer.

    Args:
        make: `nnx.Rngs` -> module, such as `lambda rngs: ResNet9(10, rngs=rngs)`; called under
            `vmap`, to initialise many models at once.

    Returns:
        A `Network`.

    Raises:
        InputError: a function that gives no NNX module.
    """
    checks.function("make", make)
    try:
        template = make(nnx.Rngs(0))
    except TypeError as error:
        raise InputError(
            f"make = {checks.shown(make)}; a function of nnx.Rngs that gives a module is needed "
            f"({' '.join(str(error).split())[:80]})"
        ) from error
    checks.instance("make", template, nnx.Module, "a function that gives a Flax NNX module")
    layers = _layers(template)
    made: dict[int | None, Apply] = {}

    def apply(k: int | None) -> Apply:
        if k not in made:
            made[k] = _split(template, layers if k is None else layers[-k:])[0]
        return made[k]

    def init(key: Key[Array, ""]) -> Model:
        _, params, state = _split(make(nnx.Rngs(key)), layers)
        return Model(params, state)

    in_eval_mode = _split(template, ())[0]
    return Network(init, apply, lambda p, s, x: in_eval_mode(p, s, x)[0], layers)


def of_function(
    f: Callable[[PyTree, Any], Array], init: Callable[[Key[Array, ""]], PyTree]
) -> Network:
    """The `Network` of a pure function without state, its layers the entries of `params` in order.

    Args:
        f: (params, x) -> logits (n, c).
        init: key -> params, a dict, list or tuple of layers in the order of the forward pass.

    Returns:
        A `Network`.

    Raises:
        InputError: what is no function, or parameters that are no such collection.
    """
    checks.function("f", f), checks.function("init", init)
    given: list[Any] = []  # JAX gives a dictionary back in the order of its sorted keys

    def noted(key: Key[Array, ""]) -> PyTree:
        given.append(init(key))
        return given[0]

    shapes = jax.eval_shape(noted, jax.random.key(0))
    if isinstance(shapes, dict):
        names: list[Any] = list(given[0])
    elif isinstance(shapes, list | tuple):
        names = list(range(len(shapes)))
    else:
        raise InputError(
            f"init gives {checks.shown(shapes)}; a dict, list or tuple of layers is needed"
        )
    return Network(
        lambda key: Model(init(key), {}),
        lambda k: lambda p, s, x: (f(p, x), s),
        lambda p, s, x: f(p, x),
        tuple((name,) for name in names),
    )


def belongs(tree: PyTree, layers: tuple[Path, ...]) -> PyTree:
    """For every array of `tree`, a Python boolean: whether it lies below one of these layers."""

    def inside(path: tuple[Any, ...], _: Any) -> bool:
        names = tuple(getattr(entry, "key", getattr(entry, "idx", None)) for entry in path)
        return any(names[: len(layer)] == layer for layer in layers)

    return jax.tree_util.tree_map_with_path(inside, tree)


def _layers(module: nnx.Module) -> tuple[Path, ...]:
    found: list[Path] = []
    for name, value in vars(module).items():
        if isinstance(value, nnx.List):
            found += [(name, i) for i, part in enumerate(value) if _trains(part)]
        elif isinstance(value, nnx.Param) or (isinstance(value, nnx.Module) and _trains(value)):
            found.append((name,))
    return tuple(found)


def _trains(module: Any) -> bool:
    return bool(jax.tree.leaves(nnx.state(module, nnx.Param)))


def _split(module: nnx.Module, training: tuple[Path, ...]) -> tuple[Apply, PyTree, PyTree]:
    """(apply, params, state) of a module whose layers `training` are in train mode."""
    copy = nnx.clone(module)
    copy.eval()
    for path in training:
        part: Any = copy
        for name in path:
            part = part[name] if isinstance(name, int) else getattr(part, name)
        if isinstance(part, nnx.Module):
            part.train()
    graph, params, state = nnx.split(copy, nnx.Param, ...)  # type: ignore[misc]
    kept = nnx.All(nnx.Not(nnx.Param), nnx.Not(nnx.Intermediate))

    def apply(params: PyTree, state: PyTree, x: Any) -> tuple[Array, PyTree]:
        whole = nnx.merge(graph, params, state)
        return whole(x), nnx.to_pure_dict(nnx.state(whole, kept))

    return apply, nnx.to_pure_dict(params), nnx.to_pure_dict(state)
