"""Estimators for scikit-learn whose penalty is chosen by GCV or exact leave-one-out.

They need the `sklearn` extra. `alphas` are in theorylab's normalised convention (1/N)‖y - f‖² +
alpha ‖f‖²; scikit-learn's alpha is N * alpha.

Source: GCV, Craven & Wahba 1978; exact leave-one-out, Allen 1974 (PRESS).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from theorylab import checks
from theorylab.ridge.checks import require_penalties
from theorylab.ridge.kernel import KernelRidgePath
from theorylab.ridge.linear import RidgePath
from theorylab.ridge.path import RidgePathBase
from theorylab.ridge.results import Criterion
from theorylab.sparse import refuse_sparse

try:
    from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
    from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS, pairwise_kernels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "KernelRidgeGCV and RidgeGCV need scikit-learn >= 1.6: pip install 'theorylab[sklearn]'."
    ) from error


class _SelectedRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """What both estimators share.

    It validates (X, y, sample_weight), selects the penalty, and shapes the results.
    """

    alphas: Any
    criterion: Criterion
    alpha_per_target: bool
    fit_intercept: bool

    def _validated(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        checks.flag("fit_intercept", self.fit_intercept)
        checks.flag("alpha_per_target", self.alpha_per_target)
        checks.choice("criterion", self.criterion, ("gcv", "loo"))
        if not hasattr(X, "nnz"):  # scikit-learn refuses those of SciPy
            refuse_sparse(X=X, y=y)
        if self.alphas is not None:
            require_penalties(self.alphas)
        pairwise = self.__sklearn_tags__().input_tags.pairwise
        # Kernels and features keep their precision: it tells how far small eigenvalues, or
        # singular values, can be trusted.
        own = getattr(self, "kernel", "precomputed") != "precomputed"  # computed here, in float64
        dtype = np.float64 if own else [np.float64, np.float32]
        X, y = validate_data(self, X, y, dtype=dtype, multi_output=True, y_numeric=True)
        if sample_weight is None:
            return X, y, None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        keep = weights > 0
        X = X[keep][:, keep] if pairwise else X[keep]
        return X, y[keep], weights[keep]

    def _select(self, path: RidgePathBase) -> None:
        self.path_ = path
        constant = path.scale == 0 and self.alphas is None  # any penalty then gives the same fit
        alphas: Any = [1.0] if constant else self.alphas
        self.selection_ = path.select(self.criterion, alphas, per_output=self.alpha_per_target)
        self.alpha_, self.best_score_ = self.selection_.alpha, self.selection_.score

    def _at_selected(self, quantity: Callable[[Any], Any]) -> np.ndarray:
        """A quantity (L, ..., C) of the path at the selected penalty of each output: (..., C)."""
        if not self.alpha_per_target:
            return np.asarray(quantity([self.alpha_]))[0]
        penalties = np.unique(self.alpha_)
        values = np.asarray(quantity(penalties))
        rows = np.searchsorted(penalties, self.alpha_)
        return np.stack([values[row, ..., c] for c, row in enumerate(rows)], axis=-1)


class KernelRidgeGCV(_SelectedRidge):
    """Kernel ridge regression with a penalty chosen by GCV: one eigendecomposition, no refits.

    Use it in scikit-learn pipelines. For arrays without scikit-learn use `KernelRidgePath`; where
    leverages differ between samples, criterion "loo".

    Args:
        alphas: (L,) penalties offered, >= 0, normalised convention (scikit-learn's is N * alpha);
            None for 40 relative to tr K / N.
        kernel: a name of `sklearn.metrics.pairwise.pairwise_kernels`, "precomputed", or a function
            (N, P), (M, P) -> (N, M) that returns the whole kernel matrix (unlike scikit-learn's,
            which takes one pair of rows).
        gamma: parameter of the named kernel, as in `sklearn.kernel_ridge.KernelRidge`.
        degree: parameter of the named kernel.
        coef0: parameter of the named kernel.
        kernel_params: further parameters of the named kernel, or of a function.
        criterion: "gcv" or "loo".
        alpha_per_target: one penalty for each output.
        fit_intercept: fit an unpenalised intercept (`KernelRidge` has none).

    Attributes:
        alpha_, best_score_: selected penalty and its criterion (arrays (C,) if per target).
        dual_coef_, intercept_, X_fit_: (N,) or (N, C), the intercept, and the training samples.
        path_: the `KernelRidgePath`.
        selection_: the whole curve, a `Selection`.

    Raises:
        InputError: from `fit`, as `KernelRidgePath.fit`; scikit-learn's own errors for its checks.

    Examples:
        >>> import numpy as np
        >>> x = np.linspace(-1, 1, 30)[:, None]
        >>> y = np.sin(3 * x[:, 0])
        >>> model = KernelRidgeGCV(kernel="rbf", gamma=2.0).fit(x, y)
        >>> bool(np.abs(model.predict(x) - y).max() < 1e-2)
        True
        >>> model.selection_.criterion
        'gcv'
    """

    def __init__(  # noqa: PLR0913
        self,
        alphas: Any = None,
        *,
        kernel: str | Callable[..., Any] = "linear",
        gamma: float | None = None,
        degree: float = 3,
        coef0: float = 1,
        kernel_params: dict[str, Any] | None = None,
        criterion: Criterion = "gcv",
        alpha_per_target: bool = False,
        fit_intercept: bool = False,
    ) -> None:
        self.alphas = alphas
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.criterion = criterion
        self.alpha_per_target = alpha_per_target
        self.fit_intercept = fit_intercept

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags

    def _kernel_matrix(self, X: np.ndarray, Z: np.ndarray | None = None) -> np.ndarray:
        for name in ("gamma", "degree", "coef0"):
            if (value := getattr(self, name)) is not None:
                checks.number(name, value)
        if not callable(self.kernel):
            checks.choice("kernel", self.kernel, ("precomputed", *PAIRWISE_KERNEL_FUNCTIONS))
        extra = (
            checks.instance(
                "kernel_params", self.kernel_params, (dict, type(None)), "a dictionary, or None,"
            )
            or {}
        )
        if callable(self.kernel):
            return np.asarray(self.kernel(X, X if Z is None else Z, **extra))
        named = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0, **extra}
        return pairwise_kernels(X, Z, metric=self.kernel, filter_params=True, **named)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "KernelRidgeGCV":
        """Fit on X (N, P), or on the kernel (N, N) if precomputed, and y (N,) or (N, C)."""
        X, y, weights = self._validated(X, y, sample_weight)
        self.X_fit_ = X
        self._select(
            KernelRidgePath.fit(
                self._kernel_matrix(X), y, weights=weights, center=self.fit_intercept
            )
        )
        self.dual_coef_ = self._at_selected(self.path_.dual)
        self.intercept_ = self._at_selected(self.path_.intercept)
        if y.ndim == 1:
            self.dual_coef_, self.intercept_ = self.dual_coef_[:, 0], self.intercept_[0]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (M,) or (M, C) at X (M, P), or from the kernel (M, N) if precomputed."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        kernel = self._kernel_matrix(X, self.X_fit_)
        path: Any = self.path_
        found = self._at_selected(lambda alphas: path.predict(kernel, alphas))
        return found[:, 0] if np.ndim(self.dual_coef_) == 1 else found


class RidgeGCV(_SelectedRidge):
    """Linear ridge regression that selects its penalty by GCV, by one decomposition, no refits.

    Use it in scikit-learn pipelines. For arrays without scikit-learn use `RidgePath`.

    Args:
        alphas: (L,) penalties offered, >= 0, normalised convention (`RidgeCV`'s is N * alpha); None
            for 40 relative to tr XX^T / N.
        criterion: "gcv" or "loo".
        alpha_per_target: one penalty for each output.
        fit_intercept: fit an unpenalised intercept.

    Attributes:
        alpha_, best_score_: selected penalty and its criterion (arrays (C,) if per target).
        coef_, intercept_: (P,) or (C, P), and the intercept.
        path_: the `RidgePath`.
        selection_: the whole curve, a `Selection`.

    Raises:
        InputError: from `fit`, as `RidgePath.fit`; scikit-learn's own errors for its checks.
    """

    def __init__(
        self,
        alphas: Any = None,
        *,
        criterion: Criterion = "gcv",
        alpha_per_target: bool = False,
        fit_intercept: bool = True,
    ) -> None:
        self.alphas = alphas
        self.criterion = criterion
        self.alpha_per_target = alpha_per_target
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "RidgeGCV":
        """Fit on X (N, P) and y (N,) or (N, C)."""
        X, y, weights = self._validated(X, y, sample_weight)
        path = RidgePath.fit(X, y, weights=weights, center=self.fit_intercept)
        self._select(path)
        self.coef_, self.intercept_ = (
            self._at_selected(path.coef).T,
            self._at_selected(path.intercept),
        )
        if y.ndim == 1:
            self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (M,) or (M, C) at X (M, P)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return X @ self.coef_.T + self.intercept_
