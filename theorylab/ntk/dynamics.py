"""Training of a linearised network by steps, with momentum, and with losses other than squared.

The outputs of a network that is linear in its parameters move by f = f_0 + K a, where a (n, k) sums
what descent has taken so far: a <- a - eta v, v <- beta v + dL/df. With squared loss that is a
linear recursion for each eigenvalue, and t steps are its matrix to the power t, in log2(t)
products. With another loss it is a loop over the n outputs, and gradient flow an ordinary
differential equation. Nothing is inverted, so that singular kernels will do.

Source: Lee et al. 2019, equations 4 to 6; momentum as in Polyak (1964), and as `optax.sgd` has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.ode import odeint
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced

Loss = Callable[[Array, Any], Array]
BITS = 31  # of a number of steps that is not known yet


@dataclass(frozen=True)
class KernelTraining:
    """Training of a linearised network from its tangent kernel; make it with `kernel_training`.

    `descend` takes steps, `flow` runs in continuous time. Both give outputs in NumPy float64, under
    `jit` and `vmap` in the caller's precision.

    Attributes:
        k_train: (n, n) kernel.
        y: targets, as given.
        loss: (outputs, y) -> (n,), or None for half the square.
        outputs: k.
        learning_rate: per step, or per unit of time.
        share: what a sample's loss is multiplied by.
    """

    k_train: Any
    y: Any
    loss: Loss | None
    outputs: int
    learning_rate: Any
    share: float

    @float64_inside
    def descend(
        self,
        steps: ArrayLike,
        k_test: ArrayLike | None = None,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        f_train: ArrayLike | None = None,
        f_test: ArrayLike | None = None,
    ) -> Float[Array, "*t m k"]:
        """Outputs after numbers of full-batch steps, exactly those of descent on the parameters.

        Args:
            steps: numbers of steps (*t), whole, at least 0. With another loss than squared they
                must be known under `jit`.
            k_test: (m, n) NTK between test and training points; None predicts on the training
                points themselves.
            momentum: beta of v <- beta v + gradient, in [0, 1).
            nesterov: the step is along beta v + gradient, as with `optax.sgd(nesterov=True)`.
            f_train: (n, k) outputs at initialisation on the training points; 0 when left out.
            f_test: (m, k) the same on the test points.

        Returns:
            (*t, m, k) outputs.

        Raises:
            InputError: shapes that do not fit, values out of range, or steps so long that training
                diverges beyond float64.

        Source:
            Lee et al. 2019, equations 4 to 6; Polyak (1964).
        """
        count = checks.within("steps", steps, 0, 2.0**BITS - 1, whole=True)
        checks.number("momentum", momentum, 0.0, 1.0, open_high=True)
        checks.flag("nesterov", nesterov)
        start, test = self._initial(k_test, f_train, f_test)
        if self.loss is None:
            dual = self._powers(jnp.asarray(count).astype(int), start, momentum, nesterov)
        elif is_traced(count):
            raise InputError(
                "steps is traced; with a loss other than squared the numbers of steps must be known"
            )
        else:
            dual = self._loop(np.asarray(count, int), start, momentum, nesterov)
        return self._outputs(dual, start, k_test, test)

    @float64_inside
    def flow(
        self,
        t: ArrayLike,
        k_test: ArrayLike | None = None,
        *,
        f_train: ArrayLike | None = None,
        f_test: ArrayLike | None = None,
        tol: float = 1e-9,
    ) -> Float[Array, "*t m k"]:
        """Outputs after times of gradient flow, by an adaptive Runge-Kutta method.

        For squared loss `gradient_flow` has the closed form, and the limit. Heavy-ball descent with
        short steps is this flow at the rate learning_rate / (1 - momentum).

        Args:
            t: times (*t), finite, at least 0, in any order.
            k_test: (m, n) NTK between test and training points, or None, as for `descend`.
            f_train: (n, k) outputs at initialisation on the training points; 0 when left out.
            f_test: (m, k) the same on the test points.
            tol: relative and absolute tolerance of the solver, in the unit of the coefficients.

        Returns:
            (*t, m, k) outputs.

        Raises:
            InputError: shapes that do not fit, values out of range.

        Source:
            Lee et al. 2019, equation 3; Dormand and Prince (1980).
        """
        time = as_float64(checks.nonnegative("t", t))
        checks.number("tol", tol, 0.0, open_low=True)
        start, test = self._initial(k_test, f_train, f_test)
        order = jnp.argsort(time.ravel())
        marks = jnp.concatenate([jnp.zeros(1), time.ravel()[order]])
        rate = as_float64(self.learning_rate)

        # the times are in units of the learning rate, whose scale the solver then does not see
        def slope(a: Array, _: Array, start: Array, kernel: Array) -> Array:
            return -self._gradient(start + kernel @ a)

        dual = odeint(
            slope, jnp.zeros_like(start), rate * marks, start, self.k_train, rtol=tol, atol=tol
        )
        # the solver interpolates over its last step, and has none before a time of 0
        solved = jnp.where(marks[1:, None, None] > 0, dual[1:], 0.0)
        back = jnp.zeros_like(solved).at[order].set(solved)
        return self._outputs(back.reshape(*time.shape, *start.shape), start, k_test, test)

    def _initial(self, k_test: Any, f_train: Any, f_test: Any) -> tuple[Array, Any]:
        """Outputs at initialisation on training and test points."""
        n = self.k_train.shape[0]
        start = jnp.zeros((n, self.outputs))
        if f_train is not None:
            start = _outputs("f_train", f_train, (n, self.outputs))
        if k_test is None:
            if f_test is not None:
                raise InputError(
                    "f_test: given without k_test; leave it out to predict on the training points"
                )
            return start, start
        m = np.shape(checks.finite("k_test", k_test, shape=(None, n)))[0]
        if f_test is None:
            return start, 0.0
        return start, _outputs("f_test", f_test, (m, self.outputs), of=" to match k_test")

    def _gradient(self, f: Array) -> Array:
        """dL/df of the loss of all samples."""
        if self.loss is None:
            return self.share * (f - self.y)

        def total(f: Array) -> Array:
            value = self.loss(f, self.y)  # type: ignore[misc]
            return self.share * jnp.sum(value.reshape(len(f), -1).mean(1))

        return jax.grad(total)(f)

    def _powers(self, steps: Array, start: Array, momentum: Any, nesterov: bool) -> Array:
        """The coefficients a after these steps of squared loss, (*t, n, k)."""
        values, vectors = linalg.eigh(self.k_train)
        rate, lam = as_float64(self.learning_rate) * self.share, values
        one, zero = jnp.ones_like(lam), jnp.zeros_like(lam)
        # q sums the steps taken for a residual of 1: gradient 1 - lam q, v <- beta v + gradient;
        # a step takes `now` of the gradient and `keep` of the velocity
        now, keep = (1 + momentum, momentum**2) if nesterov else (1.0, momentum)
        step = jnp.stack(
            [
                jnp.stack([1 - rate * now * lam, rate * keep * one, rate * now * one], -1),
                jnp.stack([-lam, momentum * one, one], -1),
                jnp.stack([zero, zero, one], -1),
            ],
            -2,
        )
        bits = BITS if is_traced(steps) else int(np.asarray(steps).max()).bit_length()
        whole = steps[..., None, None, None]
        done = jnp.broadcast_to(jnp.eye(3), (*steps.shape, *step.shape))
        for bit in range(bits):
            taken = (whole >> bit) % 2 == 1
            done = jnp.where(taken, step @ done, done)
            step = step @ step
        residual = vectors.T @ (self.y - start)
        return vectors @ (done[..., 0, 2][..., None] * residual)

    def _loop(self, steps: np.ndarray, start: Array, momentum: Any, nesterov: bool) -> Array:
        """The coefficients a after these steps of any loss, (*t, n, k)."""
        order = np.argsort(steps.ravel(), kind="stable")
        counts = np.diff(steps.ravel()[order], prepend=0)
        rate = as_float64(self.learning_rate)

        def step(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
            a, v = state
            gradient = self._gradient(start + self.k_train @ a)
            v = momentum * v + gradient
            return a - rate * (gradient + momentum * v if nesterov else v), v

        def advance(state: tuple[Array, Array], count: Array) -> tuple[tuple[Array, Array], Array]:
            state = jax.lax.fori_loop(0, count, step, state)
            return state, state[0]

        zero = jnp.zeros_like(start)
        found = jax.lax.scan(advance, (zero, zero), jnp.asarray(counts))[1]
        back = jnp.zeros_like(found).at[order].set(found)
        return back.reshape(*steps.shape, *start.shape)

    def _outputs(self, dual: Array, start: Array, k_test: Any, test: Any) -> Array:
        kernel = self.k_train if k_test is None else as_float64(k_test)
        found = test + kernel @ dual
        if not is_traced(found) and not np.isfinite(np.asarray(found)).all():
            raise InputError(
                "learning_rate: training diverges beyond float64; give a smaller one "
                "(max_learning_rate says how large it may be), or fewer steps"
            )
        return found


def kernel_training(
    k_train: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | None = None,
    outputs: int | None = None,
    learning_rate: float = 1.0,
    mean_loss: bool = False,
) -> KernelTraining:
    """Training of a wide network by steps, with momentum, or with a loss of your own.

    For squared loss in continuous time use `gradient_flow`, which has the closed form, the limit
    and the covariance of ensembles. `max_learning_rate` says at which steps squared loss converges.

    Args:
        k_train: (n, n) training NTK, one kernel for all outputs; a ridge is added to its diagonal.
        y: targets: (n,) or (n, k) numbers for squared loss, else what the loss takes.
        loss: (outputs (n, k), y) -> a value for each sample, (n,) or (n, ...): those of
            `theorylab.nets` or your own, differentiable. None is half the square, summed over
            outputs.
        outputs: k; needed where it does not follow from y, as with integer labels.
        learning_rate: above 0.
        mean_loss: the loss is the mean over samples instead of their sum, and half the square is a
            mean over outputs too, as for `gradient_flow`.

    Returns:
        A `KernelTraining`, whose `descend` and `flow` give outputs at many times at once.

    Raises:
        InputError: shapes that do not fit, a kernel that is not symmetric, values out of range.

    Source:
        Lee et al. 2019, equations 4 to 6.

    Examples:
        >>> from theorylab.nets import cross_entropy
        >>> kernel, y = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, -1.0])
        >>> training = kernel_training(kernel, y, learning_rate=0.5)
        >>> training.descend([0, 1, 2], momentum=0.5)[..., 0].round(4).tolist()
        [[0.0, 0.0], [0.5, -0.5], [1.0, -1.0]]
        >>> classes = kernel_training(kernel, np.array([0, 1]), loss=cross_entropy, outputs=2)
        >>> classes.flow([0.0, 1.0]).argmax(-1).tolist()
        [[0, 0], [0, 1]]
    """
    kernel = checks.symmetric("k_train", k_train)
    n = kernel.shape[0]
    checks.number("learning_rate", learning_rate, 0.0, open_low=True)
    checks.flag("mean_loss", mean_loss)
    if loss is not None:
        checks.function("loss", loss)
    k = None if outputs is None else checks.count("outputs", outputs)
    shape = np.shape(checks.finite("y", y)) if loss is None else np.shape(jax.tree.leaves(y)[0])
    if not shape or shape[0] != n or (loss is None and len(shape) > 2):
        raise InputError(f"y: shape {shape}; needs ({n},) or ({n}, outputs) to match k_train")
    if k is None:
        if loss is not None and len(shape) < 2:
            raise InputError("outputs: give their number; y, one entry a sample, does not tell it")
        k = 1 if len(shape) < 2 else shape[1]
    with jax.enable_x64(True):
        matrix: Any = as_float64(kernel)
        matrix = (matrix + matrix.T) / 2
        targets = as_float64(y).reshape(n, -1) if loss is None else jax.tree.map(jnp.asarray, y)
        if loss is None and targets.shape[1] != k:
            raise InputError(f"outputs = {k}; y has {targets.shape[1]}")
        matrix, targets = jax.tree.map(
            lambda a: a if is_traced(a) else np.asarray(a), (matrix, targets)
        )
    share = 1.0 / (n * (k if loss is None else 1)) if mean_loss else 1.0
    return KernelTraining(matrix, targets, loss, k, learning_rate, share)


def _outputs(name: str, value: Any, shape: tuple[int, int], *, of: str = "") -> Array:
    """Outputs at initialisation, (n, k), or (n,) for one output."""
    array = as_float64(checks.finite(name, value))
    array = array[:, None] if array.ndim == 1 and shape[1] == 1 else array
    if array.shape != shape:
        raise InputError(f"{name}: shape {array.shape}; needs {shape}{of}")
    return array
