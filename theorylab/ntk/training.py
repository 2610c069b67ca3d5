"""Closed-form training of wide networks: the linearised model and gradient flow on the squared
loss.

Source: Lee et al. 2019, "Wide neural networks of any depth evolve as linear models under gradient
descent" (equations 8-11 and 14-16). The loss is ½ Σ (f - y)²; with neural-tangents' loss (mean
instead of sum, over n·outputs entries) its time is n·outputs times ours at equal learning rate,
hence `mean_loss=True`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.guard import require_arrays

Model = Callable[..., Any]


def linearize(f: Model, params: Any) -> Model:
    """The first-order Taylor expansion of `f(params, *inputs)` around `params`, as a function of
    the same signature.

    `linearize(f, p0)(p, x) = f(p0, x) + ∂f/∂p (p0, x) (p - p0)`. Outputs may be any PyTree; cost:
    one forward-mode pass, the Jacobian is never formed. Lee et al. 2019, equation 3.
    """

    checks.function("f", f)
    require_arrays("params", params)

    def linear(new_params: Any, *inputs: Any, **options: Any) -> Any:
        step = jax.tree.map(jnp.subtract, new_params, params)
        value, change = jax.jvp(lambda p: f(p, *inputs, **options), (params,), (step,))
        return jax.tree.map(jnp.add, value, change)

    return linear


@dataclass(frozen=True)
class Prediction:
    """What training predicts, in float64 NumPy arrays: a mean per output, a covariance that all
    outputs share."""

    mean: Float[np.ndarray, "m k"]
    covariance: (
        Float[np.ndarray, "m m"] | None
    )  # None: no NNGP kernel was given, the initial function was taken as fixed


@dataclass(frozen=True)
class GradientFlow:
    """Gradient flow of a linearised network, solved by one eigendecomposition in float64. See
    `gradient_flow`."""

    eigenvalues: np.ndarray  # (n,), of the training NTK plus ridge
    eigenvectors: np.ndarray  # (n, n)
    y: np.ndarray  # (n, k)
    nngp: np.ndarray | None  # (n, n)
    learning_rate: float

    def predict(
        self,
        t: float | None,
        k_test: ArrayLike | None = None,
        *,
        f_train: ArrayLike | None = None,
        f_test: ArrayLike | None = None,
        nngp_test: ArrayLike | None = None,
        nngp_test_test: ArrayLike | None = None,
    ) -> Prediction:
        """Outputs after time t (None or inf: trained to the end; 0: at initialisation).

        k_test: (m, n) NTK between test and training points; None predicts on the training points
        themselves.
        f_train (n, k), f_test (m, k): outputs of the network at initialisation, 0 when left out
        (the ensemble mean).
        nngp_test (m, n), nngp_test_test (m, m): with them, and `nngp=` given to `gradient_flow`,
        the covariance over random initialisations at time t is added. Trained to the end under the
        kernel K = NNGP itself (that is, `gradient_flow(nngp, y, nngp=nngp)`) this is the
        Gaussian-process posterior.

        mean(t) = f_test + K_test K⁻¹ (1 - e^{-ηKt}) (y - f_train): equations 8-11 of Lee et al.
        2019; covariance: 16.
        """
        on_train = k_test is None
        n = self.y.shape[0]
        own_kernel = (self.eigenvectors * self.eigenvalues) @ self.eigenvectors.T
        k = own_kernel if k_test is None else _matrix("k_test", k_test)
        if k.shape[1] != n:
            raise InputError(f"k_test: shape {k.shape}; needs one column per training point, {n}")
        transfer = (
            k @ self.eigenvectors * self._progress(t)
        ) @ self.eigenvectors.T  # (m, n): K_test K⁻¹ (1 - e^{-ηKt})
        start = 0.0 if f_train is None else _like("f_train", f_train, self.y.shape)
        if on_train and f_test is not None:
            raise InputError(
                "f_test: given without k_test; leave it out to predict on the training points"
            )
        if on_train:
            base: Any = start
        else:
            base = (
                0.0
                if f_test is None
                else _like("f_test", f_test, (k.shape[0], self.y.shape[1]), of="k_test")
            )
        covariance = None
        if self.nngp is not None:
            cross = self.nngp if on_train else _given("nngp_test", nngp_test, k.shape, of="k_test")
            own = (
                self.nngp
                if on_train
                else _given("nngp_test_test", nngp_test_test, (k.shape[0], k.shape[0]), of="k_test")
            )
            mixed = transfer @ cross.T
            covariance = own - mixed - mixed.T + transfer @ self.nngp @ transfer.T
            covariance = (covariance + covariance.T) / 2
        mean = base + transfer @ (self.y - start)
        return Prediction(mean, covariance)

    def _progress(self, t: float | None) -> np.ndarray:
        """(1 - e^{-ηλt})/λ per eigenvalue; its limit ηt where λ = 0."""
        lam = self.eigenvalues
        if t is not None:
            checks.number("t", t, 0.0, infinite=True)
        if t is None or np.isinf(t):
            if lam.min() <= 0:
                raise InputError(
                    f"t={t}: the training kernel is singular (smallest eigenvalue "
                    f"{lam.min():.3g}), training does not determine the limit; remove duplicate "
                    "points, give a ridge, or stop at a finite t"
                )
            return 1 / lam
        rate = self.learning_rate * t
        safe = np.where(lam > 0, lam, 1.0)
        return np.where(lam > 0, -np.expm1(-rate * safe) / safe, rate)


def gradient_flow(
    k_train: ArrayLike,
    y: ArrayLike,
    *,
    nngp: ArrayLike | None = None,
    learning_rate: float = 1.0,
    ridge: float = 0.0,
    mean_loss: bool = False,
) -> GradientFlow:
    """Set up continuous-time gradient descent on the squared loss in the linearised regime;
    `predict` evaluates it.

    k_train: (n, n) training NTK, one kernel for all outputs; y: (n,) or (n, k). nngp: (n, n), the
    covariance of the outputs at initialisation, for ensembles. ridge: added to the diagonal, in
    units of the mean of that diagonal (neural-tangents' relative `diag_reg`). mean_loss: the loss
    is ½ mean instead of ½ sum over the n·k entries. Everything is done in float64 on the host;
    eigenvalues below n·eps·largest count as zero.

    Raises InputError for shapes that do not fit, non-finite entries, or a kernel that is not
    symmetric and positive semi-definite. Replaces neural-tangents' `predict.gradient_descent_mse`
    and `..._mse_ensemble`.
    """
    k = _matrix("k_train", k_train)
    n = k.shape[0]
    targets = np.asarray(checks.finite("y", y), np.float64)
    targets = targets[:, None] if targets.ndim == 1 else targets
    if k.shape != (n, n):
        raise InputError(
            f"k_train: shape {k.shape}; needs a square matrix, training points against themselves"
        )
    if targets.ndim != 2 or targets.shape[0] != n:
        raise InputError(f"y: shape {np.shape(y)}; needs ({n},) or ({n}, outputs) to match k_train")
    scale = np.abs(k).max()
    _require_symmetric("k_train", k)
    checks.number("ridge", ridge, 0.0)
    checks.number("learning_rate", learning_rate, 0.0, open_low=True)
    checks.flag("mean_loss", mean_loss)
    regularised = (k + k.T) / 2 + ridge * np.trace(k) / n * np.eye(n)
    values, vectors = np.linalg.eigh(regularised)
    # float32 kernels have negative rounding eigenvalues of size n·eps32; anything beyond is no
    # kernel.
    if values[0] < -1e-4 * scale * n:
        raise InputError(
            f"k_train: smallest eigenvalue {values[0]:.3g} of scale {scale:.3g}; it must be "
            "positive"
        )
    values = np.where(values > n * np.finfo(np.float64).eps * max(values[-1], 0.0), values, 0.0)
    rate = learning_rate / targets.size if mean_loss else learning_rate
    initial = None if nngp is None else _like("nngp", nngp, (n, n))
    if initial is not None:
        _require_symmetric("nngp", initial)
    return GradientFlow(values, vectors, targets, initial, rate)


def max_learning_rate(
    k_train: ArrayLike, *, mean_loss: bool = False, outputs: int = 1, momentum: float = 0.0
) -> float:
    """Largest step at which gradient descent on the linearised model converges: 2 (1 +
    momentum)/λ_max.

    k_train: (n, n) NTK. For the loss ½ sum; `mean_loss=True` for ½ mean over the n·outputs entries
    (neural-tangents' `predict.max_learning_rate`). momentum: of heavy-ball descent. Lee et al.
    2019, after equation 15.
    """
    k = _matrix("k_train", k_train)
    checks.flag("mean_loss", mean_loss)
    checks.count("outputs", outputs)
    checks.number("momentum", momentum, 0.0, 1.0, open_high=True)
    if k.shape[0] != k.shape[1]:
        raise InputError(
            f"k_train: shape {k.shape}; needs a square matrix, training points against themselves"
        )
    _require_symmetric("k_train", k)
    largest = np.linalg.eigvalsh((k + k.T) / 2)[-1]
    if largest <= 0:
        raise InputError(
            f"k_train: largest eigenvalue {largest:.3g}; a kernel with a positive one is needed"
        )
    return float(2 * (1 + momentum) / largest * (k.shape[0] * outputs if mean_loss else 1))


def _matrix(name: str, value: ArrayLike) -> np.ndarray:
    matrix = np.asarray(checks.finite(name, value), np.float64)
    if matrix.ndim != 2:
        raise InputError(
            f"{name}: shape {matrix.shape}; needs a matrix (for O outputs give the reduced kernel)"
        )
    return matrix


def _require_symmetric(name: str, matrix: np.ndarray) -> None:
    gap = np.abs(matrix - matrix.T).max()
    if gap > 1e-4 * np.abs(matrix).max():  # float32 kernels, tile by tile
        raise InputError(
            f"{name}: differs from its transpose by {gap:.3g}; needs a symmetric kernel"
        )


def _like(
    name: str, value: ArrayLike, shape: tuple[int, ...], *, of: str = "k_train and y"
) -> np.ndarray:
    array = np.asarray(checks.finite(name, value), np.float64)
    array = array[:, None] if array.ndim == 1 and len(shape) == 2 and shape[1] == 1 else array
    if array.shape != shape:
        raise InputError(f"{name}: shape {array.shape}; needs {shape} to match {of}")
    return array


def _given(name: str, value: ArrayLike | None, shape: tuple[int, ...], *, of: str) -> np.ndarray:
    if value is None:
        raise InputError(
            f"{name}=None: the covariance at test points needs it; give it, or leave out nngp"
        )
    return _like(name, value, shape, of=of)
