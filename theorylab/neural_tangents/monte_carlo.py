"""`monte_carlo_kernel_fn`: means of empirical kernels over random parameters."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import jax

from theorylab import checks
from theorylab.neural_tangents.batching import batch
from theorylab.neural_tangents.empirical import DEFAULT_NTK_IMPLEMENTATION, empirical_kernel_fn


def monte_carlo_kernel_fn(  # noqa: PLR0913
    init_fn: Callable[..., Any],
    apply_fn: Callable[..., Any],
    key: Any,
    n_samples: Any,
    batch_size: int = 0,
    device_count: int = -1,
    store_on_device: bool = True,
    trace_axes: Any = (-1,),
    diagonal_axes: Any = (),
    vmap_axes: Any = None,
    implementation: int = DEFAULT_NTK_IMPLEMENTATION,
    **ignored: Any,
) -> Callable[..., Any]:
    """A function `kernel_fn(x1, x2, get)` that averages empirical kernels over networks.

    Args:
        init_fn: `init_fn(key, shape)` -> (shape, params).
        apply_fn: `apply_fn(params, x, rng=key)`.
        key: of all random numbers.
        n_samples: how many networks; a collection of numbers for a generator of their means.
        batch_size: as for `batch`.
        device_count: as for `batch`.
        store_on_device: as for `batch`.
        trace_axes: output axes over which the mean is taken.
        diagonal_axes: output axes of which equal entries alone are kept.
        vmap_axes: as for `empirical_ntk_fn`.
        implementation: an `NtkImplementation`.
        **ignored: as for `empirical_ntk_fn`.

    Returns:
        The function, which gives one estimate, or a generator of estimates.

    Raises:
        InputError: numbers of samples below 1.

    Source:
        neural-tangents, `monte_carlo_kernel_fn`.
    """
    many = not isinstance(n_samples, int)
    counts = {checks.count("n_samples", int(n)) for n in (n_samples if many else (n_samples,))}
    kernel_fn = empirical_kernel_fn(
        apply_fn, trace_axes, diagonal_axes, vmap_axes, implementation, **ignored
    )
    once = sample_once(kernel_fn, init_fn, batch_size, device_count, store_on_device)

    def means(x1: Any, x2: Any, get: Any, kwargs: dict[str, Any]) -> Iterator[Any]:
        total, left = None, key
        for n in range(1, max(counts) + 1):
            left, own = jax.random.split(left)
            one = once(x1, x2, own, get, **kwargs)
            total = one if total is None else jax.tree.map(operator.add, total, one)
            if n in counts:
                yield jax.tree.map(lambda k, n=n: k / n, total)

    def averaged(x1: Any, x2: Any = None, get: Any = None, **apply_fn_kwargs: Any) -> Any:
        found = means(x1, x2, get, apply_fn_kwargs)
        return found if many else next(found)

    return averaged


def sample_once(
    kernel_fn: Callable[..., Any],
    init_fn: Callable[..., Any],
    batch_size: int = 0,
    device_count: int = -1,
    store_on_device: bool = True,
) -> Callable[..., Any]:
    """`kernel_fn(x1, x2, key, get)`: the empirical kernel of one random network."""

    def once(x1: Any, x2: Any, key: Any, get: Any, **apply_fn_kwargs: Any) -> Any:
        of_params, of_dropout = jax.random.split(key)
        params = init_fn(of_params, jax.tree.map(lambda x: x.shape, x1))[1]
        return kernel_fn(x1, x2, get, params, rng=of_dropout, **apply_fn_kwargs)

    return batch(once, batch_size, device_count, store_on_device)
