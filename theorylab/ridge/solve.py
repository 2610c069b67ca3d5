"""One penalty by Cholesky, for large N, and for gradients through the kernel.

A factorisation costs N³/3 flops and the leave-one-out diagonal as much again, against about 9 N³
for the eigenvectors of `KernelRidgePath`, so up to about ten penalties are cheaper here. No
eigenvectors are involved: gradients with respect to K, Y and alpha are finite also where
eigenvalues repeat.

Source: GCV, Craven & Wahba 1978; leave-one-out, Allen 1974 (PRESS).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.accuracy import entry_accuracy, resolution
from theorylab.double import float64_inside
from theorylab.errors import InputError
from theorylab.precision import as_float64, is_traced
from theorylab.pytrees import register
from theorylab.ridge.checks import require_targets
from theorylab.sparse import refuse_sparse


@register()
@dataclass(frozen=True)
class RidgeSolution:
    """Kernel ridge fit at one penalty; risks are summed over outputs.

    Attributes:
        dual: (N, C) weights with f(x) = Σ_i dual_i k(x_i, x).
        train_risk: mean squared training residual.
        gcv: generalised cross-validation.
        loo: exact leave-one-out risk.
        kappa: estimated effective regularisation κ̂.
        dof: effective degrees of freedom.
        leverage: (N,) diagonal of the smoother.
    """

    dual: Float[Array, "n c"]
    train_risk: Float[Array, ""]
    gcv: Float[Array, ""]
    loo: Float[Array, ""]
    kappa: Float[Array, ""]
    dof: Float[Array, ""]
    leverage: Float[Array, " n"]


def solve_ridge(
    K: Float[ArrayLike, "n n"],
    Y: Float[ArrayLike, "n *c"],
    alpha: float | Float[ArrayLike, ""],
    *,
    block: int = 2048,
    mesh: Mesh | None = None,
    accuracy: float | None = None,
) -> RidgeSolution:
    """Kernel ridge regression at one penalty, with exact GCV and leave-one-out.

    Use it for one penalty or up to about ten, and where N is too large for an eigendecomposition;
    for a whole path use `KernelRidgePath`, of which these are the same numbers at one alpha. It
    solves (K + N alpha I) a = Y by a blocked left-looking Cholesky factorisation.

    Args:
        K: (N, N) kernel between the training samples, not divided by N, positive semi-definite.
        Y: targets (N, C) or (N,).
        alpha: penalty >= 0, normalised convention (scikit-learn's is N alpha); K + N alpha I must
            be positive definite in float64.
        block: columns factored at a time. Only lower panels are kept: N²/2 numbers beside K.
        mesh: spread the rows of K over the first axis of this device mesh.
        accuracy: relative accuracy of the entries of K, where its dtype promises more (computed in
            bfloat16 or TF32, or cast to float64 afterwards); None to believe the dtype, or what a
            kernel of `ntk.empirical_ntk` carries.

    Returns:
        A `RidgeSolution`.

    Raises:
        InputError: bad shapes or values; a system that is not positive definite, or singular up to
            what K is accurate to.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(40, 5)), rng.normal(size=40)
        >>> fit = solve_ridge(x @ x.T, y, 0.1)
        >>> direct = np.linalg.solve(x @ x.T + 40 * 0.1 * np.eye(40), y)
        >>> np.allclose(fit.dual[:, 0], direct)
        True
    """
    refuse_sparse(K=K)
    checks.symmetric("K", K)
    require_targets(Y, np.shape(K)[0], of="K")
    if np.ndim(checks.real("alpha", alpha)):
        raise InputError(
            f"alpha has shape {np.shape(alpha)}; one penalty is needed (many: KernelRidgePath)"
        )
    checks.number("alpha", alpha, 0.0)
    block = checks.count("block", block)
    if mesh is not None:
        checks.instance("mesh", mesh, Mesh, "a jax.sharding.Mesh, or None,")
    epsilon = entry_accuracy(K, accuracy)
    solution, extremes = _solve(K, Y, alpha, block, mesh)
    if not is_traced(solution) and not np.isfinite(solution.gcv):
        raise InputError(
            "K + N alpha I is not positive definite in float64 at alpha = "
            f"{float(np.asarray(alpha)):.3g}; use a larger alpha, or KernelRidgePath, which knows "
            "the limit of a rank-deficient kernel"
        )
    if not is_traced(alpha, extremes):
        lowest, highest = (float(value) for value in np.asarray(extremes))
        rounding = resolution(np.shape(K)[0], epsilon)
        _require_resolved(float(np.asarray(alpha)), lowest, highest, rounding)
    return solution


def _require_resolved(alpha: float, lowest: float, highest: float, rounding: float) -> None:
    """The rule of `KernelRidgePath`, from the extreme eigenvalues of K/N + alpha."""
    noise = rounding * (highest - alpha)
    if alpha < noise and lowest < noise:
        raise InputError(
            f"alpha = {alpha:.3g} leaves a system that the input's precision cannot carry: its "
            f"smallest eigenvalue is {lowest:.3g}, the largest {highest:.3g} (of K/N + alpha), "
            f"resolved only down to {noise:.2g}; use alpha >= {noise:.2g} or KernelRidgePath"
        )


def gcv_score(
    K: Float[ArrayLike, "n n"], Y: Float[ArrayLike, "n *c"], alpha: Any
) -> Float[Array, ""]:
    """GCV at one penalty as a differentiable scalar, for kernel learning.

    Use it under `jax.grad` with respect to parameters of the kernel; to choose a penalty,
    `KernelRidgePath.select` costs less. The backward pass runs in float64 too, whatever the
    caller's types (JAX alone would leave it in float32).

    Args:
        K: (N, N) kernel, not divided by N.
        Y: targets (N, C) or (N,).
        alpha: penalty >= 0, normalised convention.

    Returns:
        A scalar, reverse-mode differentiable in K, Y and alpha.

    Raises:
        InputError: as `solve_ridge`.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> x = jnp.linspace(-1.0, 1.0, 12)
        >>> kernel = lambda width: jnp.exp(-((x[:, None] - x) ** 2) / width)
        >>> slope = jax.grad(lambda width: gcv_score(kernel(width), jnp.sin(3 * x), 1e-3))(0.5)
        >>> bool(jnp.isfinite(slope))
        True
    """
    return _score("gcv", K, Y, alpha) if is_traced(K, Y, alpha) else solve_ridge(K, Y, alpha).gcv


def loo_score(
    K: Float[ArrayLike, "n n"], Y: Float[ArrayLike, "n *c"], alpha: Any
) -> Float[Array, ""]:
    """Exact leave-one-out risk at one penalty as a differentiable scalar, as `gcv_score` is.

    Use it in place of `gcv_score` where leverages differ between samples.

    Args:
        K: (N, N) kernel, not divided by N.
        Y: targets (N, C) or (N,).
        alpha: penalty >= 0, normalised convention.

    Returns:
        A scalar, reverse-mode differentiable in K, Y and alpha.

    Raises:
        InputError: as `solve_ridge`.
    """
    return _score("loo", K, Y, alpha) if is_traced(K, Y, alpha) else solve_ridge(K, Y, alpha).loo


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _score(name: str, K: Any, Y: Any, alpha: Any) -> Any:
    return getattr(solve_ridge(K, Y, alpha), name)


def _score_forward(name: str, K: Any, Y: Any, alpha: Any) -> tuple[Any, Any]:
    return _score(name, K, Y, alpha), (K, Y, alpha)


def _score_backward(name: str, inputs: Any, cotangent: Any) -> Any:
    with jax.enable_x64(True):
        exact = [as_float64(x) for x in inputs]
        gradients = jax.grad(
            lambda K, Y, alpha: getattr(_solve(K, Y, alpha, 2048, None)[0], name), argnums=(0, 1, 2)
        )(*exact)
        return tuple(
            (cotangent * g).astype(jnp.asarray(x).dtype)
            for g, x in zip(gradients, inputs, strict=True)
        )


_score.defvjp(_score_forward, _score_backward)


@float64_inside
def _solve(
    K: Any, Y: Any, alpha: Any, block: int, mesh: Mesh | None
) -> tuple[RidgeSolution, Float[Array, "2"]]:
    """The solution, and the extreme eigenvalues of K/N + alpha (about, from within)."""
    K, Y, alpha = as_float64(K), as_float64(Y), as_float64(alpha)
    Y = Y[:, None] if Y.ndim == 1 else Y
    n = K.shape[0]
    system = (K + K.T) / 2 + n * alpha * jnp.eye(n)
    if mesh is not None:
        # Rows must divide over the devices: pad with an identity that decouples from the rest.
        pad = -n % mesh.devices.shape[0]
        system = jax.scipy.linalg.block_diag(system, jnp.eye(pad)) if pad else system
        system = jax.device_put(
            system, NamedSharding(mesh, PartitionSpec(mesh.axis_names[0], None))
        )
        Y = jax.device_put(jnp.pad(Y, ((0, pad), (0, 0))), NamedSharding(mesh, PartitionSpec()))
    start = jnp.where(jnp.arange(len(system)) < n, jnp.cos(jnp.arange(len(system)) ** 2.0), 0.0)
    dual, diagonal, extremes = _solve_and_invert_diagonal(system, Y, start, block)
    Y, dual, diagonal = Y[:n], dual[:n], diagonal[:n]
    residual, trace = n * alpha * dual, diagonal.sum()
    return RidgeSolution(
        dual=dual,
        train_risk=(residual**2).sum() / n,
        gcv=(dual**2).sum() * n / trace**2,
        loo=((dual / diagonal[:, None]) ** 2).sum() / n,
        kappa=1 / trace,
        dof=n - n * alpha * trace,
        leverage=1 - n * alpha * diagonal,
    ), extremes / n


@partial(jax.jit, static_argnames="block")
def _solve_and_invert_diagonal(
    A: Array, B: Array, seed: Array, block: int
) -> tuple[Array, Array, Array]:
    """A^{-1} B, the diagonal of A^{-1} and extreme eigenvalues for a positive definite A."""
    starts = range(0, A.shape[0], block)
    panels = _factor(A, block)
    solution = _backward(panels, _forward(panels, B), block)
    # (A^{-1})_ii is the squared norm of column i of L^{-1}; a column block of L^{-1} starts at its
    # diagonal.
    diagonal = []
    for i, start in enumerate(starts):
        width = min(block, A.shape[0] - start)
        unit = jnp.eye(A.shape[0] - start, width)
        diagonal.append((_forward(panels[i:], unit) ** 2).sum(0))
    fixed, factor = jax.lax.stop_gradient((A, panels))
    inverse = lambda v: _backward(factor, _forward(factor, v[:, None]), block)[:, 0]  # noqa: E731
    extremes = 1 / _largest(inverse, seed), _largest(lambda v: fixed @ v, seed)
    return solution, jnp.concatenate(diagonal), jnp.stack(extremes)


def _largest(product: Any, start: Array) -> Array:
    """The largest eigenvalue, to some per cent, by power iteration."""

    def step(_: Any, v: Array) -> Array:
        v = product(v)
        return v / jnp.linalg.norm(v)

    v = jax.lax.fori_loop(0, 12, step, start / jnp.linalg.norm(start))
    return v @ product(v)


def _factor(A: Array, block: int) -> list[Array]:
    """Lower panels L[j:, j:j+block] of the Cholesky factor."""
    panels: list[Array] = []
    for start in range(0, A.shape[0], block):
        stop = min(start + block, A.shape[0])
        panel = A[start:, start:stop]
        for i, left in enumerate(panels):
            rows = left[start - i * block :]
            panel = panel - rows @ rows[: stop - start].T
        corner = linalg.cholesky(panel[: stop - start])
        below = linalg.solve_triangular(corner, panel[stop - start :].T, lower=True).T
        panels.append(jnp.concatenate([corner, below]))
    return panels


def _forward(panels: list[Array], B: Array) -> Array:
    """L^{-1} B."""
    done = []
    for panel in panels:
        width = panel.shape[1]
        top = linalg.solve_triangular(panel[:width], B[:width], lower=True)
        B = B[width:] - panel[width:] @ top
        done.append(top)
    return jnp.concatenate(done)


def _backward(panels: list[Array], B: Array, block: int) -> Array:
    """L^{-T} B."""
    solution = B[:0]
    for i, panel in reversed(list(enumerate(panels))):
        width = panel.shape[1]
        top = B[i * block : i * block + width] - panel[width:].T @ solution
        top = linalg.solve_triangular(panel[:width], top, lower=True, trans=1)
        solution = jnp.concatenate([top, solution])
    return solution
