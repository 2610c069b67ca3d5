"""Closed-form training of wide networks: gradient flow of the linearised model.

Source: Lee et al. 2019, "Wide neural networks of any depth evolve as linear models under gradient
descent" (equations 8-11 and 14-16). The loss is ½ Σ (f - y)²; with neural-tangents' loss (mean
instead of sum, over n·outputs entries) its time is n·outputs times ours at equal learning rate,
hence `mean_loss=True`.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from theorylab import checks, linalg
from theorylab.accuracy import DOUBLE, entry_accuracy, resolution
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.sparse import refuse_sparse


@dataclass(frozen=True)
class Prediction:
    """What training predicts, in float64 NumPy arrays; under `jit` in the caller's precision.

    Attributes:
        mean: (*t, m, k), one column per output; *t are the axes of the times, none for one time.
        covariance: (*t, m, m), shared by all outputs; None where no NNGP kernel was given, since
            the initial function was then taken as fixed.
    """

    mean: Float[np.ndarray, "*t m k"]
    covariance: (
        Float[np.ndarray, "*t m m"] | None
    )  # None: no NNGP kernel was given, the initial function was taken as fixed


@dataclass(frozen=True)
class GradientFlow:
    """Gradient flow of a linearised network, solved by one eigendecomposition in float64.

    Make it with `gradient_flow`; `predict` evaluates it at any time, or at many.

    Attributes:
        eigenvalues: (n,) of the training NTK plus the ridge.
        eigenvectors: (n, n).
        y: (n, k) targets.
        nngp: (n, n), or None.
        learning_rate: per unit of time, for the loss ½ sum.
        rounding: share of the largest eigenvalue below which others are rounding of the kernel.
    """

    eigenvalues: Any  # (n,), of the training NTK plus ridge
    eigenvectors: Any  # (n, n)
    y: Any  # (n, k)
    nngp: Any  # (n, n), or None
    learning_rate: Any
    # eigenvalues below this share of the largest are rounding of the kernel
    rounding: float = 0.0

    def predict(
        self,
        t: ArrayLike | None,
        k_test: ArrayLike | None = None,
        *,
        f_train: ArrayLike | None = None,
        f_test: ArrayLike | None = None,
        nngp_test: ArrayLike | None = None,
        nngp_test_test: ArrayLike | None = None,
    ) -> Prediction:
        """Outputs of the network after time t of training.

        mean(t) = f_test + K_test K⁻¹ (1 - e^{-ηKt}) (y - f_train).

        Args:
            t: time, at least 0; None or infinity for training to the end, 0 for initialisation. An
                array of times (*t) gives a prediction for each, from the one decomposition.
            k_test: (m, n) NTK between test and training points; None predicts on the training
                points themselves.
            f_train: (n, k) outputs of the network at initialisation on the training points; 0 when
                left out (the ensemble mean).
            f_test: (m, k) the same on the test points.
            nngp_test: (m, n) NNGP kernel between test and training points. With it and
                `nngp_test_test`, and `nngp=` given to `gradient_flow`, the covariance over random
                initialisations at time t is added. Trained to the end under the kernel K = NNGP
                itself, that is `gradient_flow(nngp, y, nngp=nngp)`, this is the Gaussian-process
                posterior.
            nngp_test_test: (m, m) NNGP kernel of the test points.

        Returns:
            A `Prediction`.

        Raises:
            InputError: shapes that do not fit, a negative time, or a time so long, t = infinity
                above all, that eigenvalues decide which are rounding of the kernels: those of a
                singular kernel, which training does not determine (under `jit` such a limit comes
                out infinite or NaN).

        Source:
            Lee et al. 2019, equations 8 to 11; covariance: equation 16.
        """
        return Prediction(*self._predict(t, k_test, f_train, f_test, nngp_test, nngp_test_test))

    @float64_inside
    def _predict(
        self,
        t: ArrayLike | None,
        k_test: ArrayLike | None,
        f_train: ArrayLike | None,
        f_test: ArrayLike | None,
        nngp_test: ArrayLike | None,
        nngp_test_test: ArrayLike | None,
    ) -> tuple[Any, Any]:
        """Mean and covariance."""
        on_train = k_test is None
        n = self.y.shape[0]
        own_kernel = (self.eigenvectors * self.eigenvalues) @ self.eigenvectors.T
        k = own_kernel if k_test is None else _matrix("k_test", k_test)
        if k.shape[1] != n:
            raise InputError(f"k_test: shape {k.shape}; needs one column per training point, {n}")
        coarse = 0.0 if k_test is None else entry_accuracy(k_test)
        rounding = max(self.rounding, resolution(n, coarse) if coarse > DOUBLE else 0.0)
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
        progress = self._progress(t, rounding)[..., None]  # (*t, n, 1)
        modes = k @ self.eigenvectors
        covariance = None
        if self.nngp is not None:
            cross = self.nngp if on_train else _given("nngp_test", nngp_test, k.shape, of="k_test")
            own = (
                self.nngp
                if on_train
                else _given("nngp_test_test", nngp_test_test, (k.shape[0], k.shape[0]), of="k_test")
            )
            # (*t, m, n): K_test K⁻¹ (1 - e^{-ηKt})
            transfer = modes @ (progress * self.eigenvectors.T)
            mixed = transfer @ cross.T
            covariance = own - mixed - mixed.mT + transfer @ self.nngp @ transfer.mT
            covariance = (covariance + covariance.mT) / 2
        mean = base + modes @ (progress * (self.eigenvectors.T @ (self.y - start)))
        return mean, covariance

    def _progress(self, t: ArrayLike | None, rounding: float) -> Any:
        """(1 - e^{-ηλt})/λ per time and eigenvalue, (*t, n); its limit ηt where λ = 0."""
        lam = self.eigenvalues
        time = _float64("t", np.inf if t is None else t, low=0.0, infinite=True)[..., None]
        rate = self.learning_rate * time
        if not is_traced(rate, lam):
            longest = time.max(initial=0.0)
            noise = rounding * lam.max()
            if lam.min() <= noise and longest == np.inf:
                raise InputError(
                    f"t={checks.shown(t)}: the training kernel is singular up to rounding of its "
                    f"input (smallest eigenvalue {lam.min():.3g}, resolved down to {noise:.2g}), "
                    "training does not determine the limit; remove duplicate points, give a ridge, "
                    "compute the kernels in float64, or stop at a finite t"
                )
            vanish = rounding <= lam.size * DOUBLE and lam.min() <= 0
            if lam.min() <= noise and rate.max(initial=0.0) * noise > 1 and not vanish:
                raise InputError(
                    f"t={longest:.3g}: so long that rounding of the kernels is trained on "
                    f"(smallest eigenvalue {lam.min():.3g}, resolved down to {noise:.2g}); stop at "
                    f"t <= {1 / (self.learning_rate * noise):.2g}, give a ridge, or compute them "
                    "in float64"
                )
        xp: Any = jnp if is_traced(rate, lam) else np
        safe = xp.where(lam > 0, lam, 1.0)
        # directions that vanish in every kernel are trained at no time
        still = xp.where(rate * rounding * lam.max() > 1, 0.0, rate)
        return xp.where(lam > 0, -xp.expm1(-rate * safe) / safe, still)


def gradient_flow(
    k_train: ArrayLike,
    y: ArrayLike,
    *,
    nngp: ArrayLike | None = None,
    learning_rate: float = 1.0,
    ridge: float = 0.0,
    mean_loss: bool = False,
    accuracy: float | None = None,
) -> GradientFlow:
    """Gradient descent in continuous time on the squared loss, in the linearised regime.

    Use it for the training curve and the end of training of a wide network, and in place of
    `predict.gradient_descent_mse` and `predict.gradient_descent_mse_ensemble` of neural-tangents.
    For the choice of a ridge penalty use `ridge.KernelRidgePath`; for other losses, and for
    gradient descent in steps, with momentum, `kernel_training`. Everything is done in float64, on
    the host unless arrays are traced; eigenvalues below n·eps·largest count as zero, and those that
    are rounding of the kernel's own precision (1e-7 of the largest in float32) are not trained on
    to the end. It runs under `jit` and `vmap`, where only shapes are checked. (Its derivative with
    respect to a kernel with repeated eigenvalues is that of `eigh`: NaN.)

    Args:
        k_train: (n, n) training NTK, one kernel for all outputs.
        y: (n,) or (n, k) targets.
        nngp: (n, n) covariance of the outputs at initialisation, for ensembles; None for a fixed
            initial function.
        learning_rate: above 0.
        ridge: at least 0; added to the diagonal in units of the mean of that diagonal (the relative
            `diag_reg` of neural-tangents).
        mean_loss: the loss is ½ mean instead of ½ sum over the n·k entries.
        accuracy: relative accuracy of the entries of k_train, where its dtype promises more
            (computed in bfloat16 or TF32, or cast to float64 afterwards); None to believe the
            dtype, or what a kernel of `empirical_ntk` carries.

    Returns:
        A `GradientFlow`, whose `predict` gives the outputs at any time.

    Raises:
        InputError: shapes that do not fit, non-finite entries, or a kernel that is not symmetric
            and positive semi-definite.

    Source:
        Lee et al. 2019, equations 8 to 11 and 14 to 16.

    Examples:
        >>> import numpy as np
        >>> kernel, y = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, -1.0])
        >>> flow = gradient_flow(kernel, y)
        >>> flow.predict(None).mean.round(6).ravel().tolist()
        [1.0, -1.0]
        >>> flow.predict(np.log(2.0)).mean.round(6).ravel().tolist()
        [0.5, -0.5]
        >>> flow.predict([0.0, np.log(2.0), np.inf]).mean[..., 0].round(6).tolist()
        [[0.0, 0.0], [0.5, -0.5], [1.0, -1.0]]
    """
    with jax.enable_x64(True):
        return _flow(k_train, y, nngp, learning_rate, ridge, mean_loss, accuracy)


def _flow(
    k_train: ArrayLike,
    y: ArrayLike,
    nngp: ArrayLike | None,
    learning_rate: float,
    ridge: float,
    mean_loss: bool,
    accuracy: float | None,
) -> GradientFlow:
    k = _matrix("k_train", k_train)
    n, epsilon = k.shape[0], entry_accuracy(k_train, accuracy)
    targets = _float64("y", y)
    targets = targets[:, None] if targets.ndim == 1 else targets
    if k.shape != (n, n):
        raise InputError(
            f"k_train: shape {k.shape}; needs a square matrix, training points against themselves"
        )
    if targets.ndim != 2 or targets.shape[0] != n:
        raise InputError(f"y: shape {np.shape(y)}; needs ({n},) or ({n}, outputs) to match k_train")
    _require_symmetric("k_train", k)
    checks.number("ridge", ridge, 0.0)
    checks.number("learning_rate", learning_rate, 0.0, open_low=True)
    checks.flag("mean_loss", mean_loss)
    regularised = (k + k.T) / 2 + ridge * k.trace() / n * np.eye(n)
    traced = is_traced(regularised)
    values, vectors = linalg.eigh(regularised) if traced else np.linalg.eigh(regularised)
    if not traced:
        scale = np.abs(k).max()
        # float32 kernels have negative rounding eigenvalues of size n·eps32; anything beyond is no
        # kernel.
        if values[0] < -max(1e-4, epsilon) * scale * n:
            raise InputError(
                f"k_train: smallest eigenvalue {values[0]:.3g} of scale {scale:.3g}; it must be "
                "positive"
            )
    xp: Any = jnp if traced else np
    least = n * np.finfo(np.float64).eps * xp.maximum(values[-1], 0.0)
    values = xp.where(values > least, values, 0.0)
    rate = learning_rate / targets.size if mean_loss else learning_rate
    initial = None if nngp is None else _like("nngp", nngp, (n, n))
    if initial is not None:
        _require_symmetric("nngp", initial)
    return GradientFlow(values, vectors, targets, initial, rate, resolution(n, epsilon))


def max_learning_rate(
    k_train: ArrayLike, *, mean_loss: bool = False, outputs: int = 1, momentum: float = 0.0
) -> float:
    """Largest step at which gradient descent on the linearised model converges.

    It is 2 (1 + momentum)/λ_max.

    Args:
        k_train: (n, n) NTK of the training points.
        mean_loss: the loss is ½ mean over the n·outputs entries (as in `predict.max_learning_rate`
            of neural-tangents) instead of ½ sum.
        outputs: number of outputs; matters for `mean_loss` alone.
        momentum: of heavy-ball descent, in [0, 1).

    Returns:
        A float; under `jit` a traced one.

    Raises:
        InputError: a kernel that is not square, symmetric and finite, or that has no positive
            eigenvalue.

    Source:
        Lee et al. 2019, after equation 15.
    """
    checks.flag("mean_loss", mean_loss)
    checks.count("outputs", outputs)
    checks.number("momentum", momentum, 0.0, 1.0, open_high=True)
    largest = _largest(k_train)
    if not is_traced(largest) and largest <= 0:
        raise InputError(
            f"k_train: largest eigenvalue {largest:.3g}; a kernel with a positive one is needed"
        )
    rate = 2 * (1 + momentum) / largest * (np.shape(k_train)[0] * outputs if mean_loss else 1)
    return rate if is_traced(rate) else float(rate)


@float64_inside
def _largest(k_train: ArrayLike) -> Any:
    """The largest eigenvalue of a symmetric kernel."""
    k = _matrix("k_train", k_train)
    if k.shape[0] != k.shape[1]:
        raise InputError(
            f"k_train: shape {k.shape}; needs a square matrix, training points against themselves"
        )
    _require_symmetric("k_train", k)
    even = (k + k.T) / 2
    return (linalg.eigh(even)[0] if is_traced(even) else np.linalg.eigvalsh(even))[-1]


def _float64(name: str, value: Any, *, low: float = -np.inf, infinite: bool = False) -> Any:
    """Numbers from `low` on in float64, NumPy or traced; call it with 64-bit types on."""
    array = checks.within(name, value, low, infinite=infinite)
    return as_float64(array) if is_traced(array) else np.asarray(array, np.float64)


def _matrix(name: str, value: ArrayLike) -> Any:
    refuse_sparse(**{name: value})
    matrix = _float64(name, value)
    if matrix.ndim != 2:
        raise InputError(
            f"{name}: shape {matrix.shape}; needs a matrix (for O outputs give the reduced kernel)"
        )
    return matrix


def _require_symmetric(name: str, matrix: Any) -> None:
    if is_traced(matrix):
        return
    gap = np.abs(matrix - matrix.T).max()
    if gap > 1e-4 * np.abs(matrix).max():  # float32 kernels, tile by tile
        raise InputError(
            f"{name}: differs from its transpose by {gap:.3g}; needs a symmetric kernel"
        )


def _like(name: str, value: ArrayLike, shape: tuple[int, ...], *, of: str = "k_train and y") -> Any:
    array = _float64(name, value)
    array = array[:, None] if array.ndim == 1 and len(shape) == 2 and shape[1] == 1 else array
    if array.shape != shape:
        raise InputError(f"{name}: shape {array.shape}; needs {shape} to match {of}")
    return array


def _given(name: str, value: ArrayLike | None, shape: tuple[int, ...], *, of: str) -> Any:
    if value is None:
        raise InputError(
            f"{name}=None: the covariance at test points needs it; give it, or leave out nngp"
        )
    return _like(name, value, shape, of=of)
