"""The base of every combinator: a finite network and its infinite-width kernel in one object."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.engine import Kernels, compute
from theorylab.ntk.infinite.state import State
from theorylab.pytrees import register

Shape = tuple[int, ...]
T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def layer(*static: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: a frozen dataclass and PyTree, whose leaves are the hyperparameters.

    The `static` ones are no leaves. Because hyperparameters are leaves, two networks of one shape
    share a compiled kernel and `jax.grad(lambda s: dense(sigma_w=s).kernel(x).sum())` needs nothing
    special.
    """

    return lambda cls: register(*static)(dataclass(frozen=True)(cls))


class Layer:
    """A network `f(params, x)` in NTK parametrisation together with its limit at infinite width.

    Finite width: `params = net.init(key, x.shape)`, `net.apply(params, x)`; weights and biases are
    standard normal and scaled in `apply`, so that gradient descent on `params` has the NTK that
    `kernel` computes. Make networks with `serial`; a new combinator implements `init`, `apply`,
    `output_shape`, `propagate` and `needs_full`.

    Source:
        Jacot et al. 2018; Lee et al. 2019; for convolutions Arora et al. 2019.
    """

    # What a new combinator implements
    # ---------------------------------------------------------------------------

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> Any:
        """Parameters of a finite network for inputs of shape (batch, *spatial, channels)."""
        return ()

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """Outputs of the finite network; `key` is needed by networks with dropout only."""
        raise NotImplementedError

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of `apply`'s result for inputs of the given shape, batch axis first."""
        return input_shape

    def propagate(self, state: State) -> State:
        """Carry the covariances through this layer."""
        raise NotImplementedError

    def needs_full(self, full: bool) -> bool:
        """Whether covariances between different positions are needed before this layer.

        `full` says whether they are needed after it.
        """
        return full

    # What a user calls
    # ------------------------------------------------------------------------------------------

    def kernel(
        self,
        x1: ArrayLike,
        x2: ArrayLike | None = None,
        *,
        get: str = "ntk",
        positions: str = "all",
        dtype: Any = None,
        memory_gb: float = 1.0,
        mesh: jax.sharding.Mesh | None = None,
    ) -> Float[Array, "n1 n2 ..."] | Kernels:
        """Infinite-width kernel of this network between two batches.

        Use it for the limit of wide networks, where nothing depends on a draw of the weights; for a
        network of finite width, or one that no combinator here describes, use `empirical_ntk`. It
        is differentiable in the inputs and hyperparameters, also where x1 meets itself. Use under
        `jit` is possible; without it compiled tiles are cached by network structure.

        Args:
            x1: (n, d) vectors or (n, *spatial, channels) fields.
            x2: as `x1`. None means x1 with itself: only one triangle is computed, the result is
                exactly symmetric, its diagonal comes from closed forms, and each sample is the same
                sample on both sides (which matters for dropout alone).
            get: "ntk", "nngp" or "both".
            positions: what to return when the network ends without `flatten` or `global_avg_pool`:
                "all" pairs, (n1, n2, *S, *S), or the "same" position only, (n1, n2, *S).
            dtype: float64 by default, on every device and whatever the global JAX setting;
                `jnp.float32` is faster on accelerators. JAX does arithmetic on a float64 array in
                float32 unless 64 bits are enabled: go on with `numpy.asarray(k)`, or under
                `jax.enable_x64(True)`. Gradients taken outside of it have float32 accuracy too.
            memory_gb: working memory of one tile in GB; the result itself comes on top.
            mesh: rows of each tile are spread over the first axis of the mesh.

        Returns:
            A kernel (n1, n2, ...), or a `Kernels` pair of them.

        Raises:
            InputError: inputs of wrong rank, differing shapes, empty or non-finite inputs, a
                nonlinearity that does not follow a dense or conv layer, or a budget that cannot
                hold one pair.

        Source:
            Jacot et al. 2018; Lee et al. 2019; for convolutions Arora et al. 2019.
        """
        return compute(
            self, x1, x2, get=get, positions=positions, dtype=dtype, memory_gb=memory_gb, mesh=mesh
        )


def check_gaussian(state: State, name: str) -> None:
    """A closed form for E[φ(u)φ(v)] exists for Gaussian (u, v) only."""
    if not state.gaussian:
        raise InputError(
            f"{name}: its input must be Gaussian in the infinite-width limit, but it follows the "
            f"input or another nonlinear layer; put a dense or conv layer right before {name}"
        )


def check_drawing(key: Any, input_shape: Any) -> None:
    """Refuse what is no key, or no shape (batch, *spatial, channels)."""
    checks.key("key", key)
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 2:
        raise InputError(
            f"input_shape = {checks.shown(input_shape)}; (batch, *spatial, channels) is needed"
        )
    for size in input_shape:
        checks.count("input_shape", size)
