"""A private classifier for scikit-learn: PILLAR with `fit` and `predict`.

It needs the `sklearn` extra. Directions come from public records, and full-batch gradient descent
with noise is trained on the private ones behind them, so that epsilon is that of one Gaussian
mechanism, exactly.

Source: Pinto, Hu, Yang & Sanyal 2024 (PILLAR); Balle & Wang 2018 for the accounting.
"""

import hashlib
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.dp_sgd import LinearHead, Training, noise_multiplier, private_descent
from theorylab.privacy.online.keys import separate_ledger
from theorylab.privacy.pillar import PublicBasis, public_basis

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "PillarClassifier needs scikit-learn >= 1.6: pip install 'theorylab[sklearn]'."
    ) from error


class PillarClassifier(ClassifierMixin, BaseEstimator):
    """A private linear classifier on the leading directions of public records.

    Without public records it is private gradient descent in all dimensions. Neighbours differ by
    one record that is added or removed. The set of classes, the width and the scale of the records
    count as public.

    Args:
        public: (m, d) unlabelled public records, none of them private; None for no projection.
        rank: how many directions; None takes 40, or as many as there are.
        epsilon: the privacy that `fit` spends, above 0; infinity for no privacy.
        delta: the chance that is left out of it, in (0, 1).
        steps: noisy gradients.
        step_size: of the descent, above 0.
        clip: norm that the gradient of one record is clipped to, above 0.
        random_state: None draws new noise in every fit. A whole number fixes it for each data
            set: the noise depends on the number and on all that `fit` is given, so that no two
            data sets ever share it and the same fit gives the same release. Keep it secret.

    Attributes:
        classes_: (c,) labels, sorted.
        coef_, intercept_: (1, d) and (1,) for two classes, else (c, d) and (c,), of raw records.
        epsilon_: what was spent.
        noise_multiplier_: standard deviation of the noise on sums of gradients, over `clip`.
        basis_: the `PublicBasis`; None without public records.

    Raises:
        InputError: from `fit`, an argument out of range, or public records of another width;
            scikit-learn's own errors for its checks.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = rng.choice([0, 1], 2000)
        >>> x = rng.normal(size=(2000, 30)) + np.outer(2 * y - 1, np.full(30, 0.4))
        >>> model = PillarClassifier(x[:500], rank=2, epsilon=0.5).fit(x[500:], y[500:])
        >>> round(model.epsilon_, 6), bool(model.score(x[500:], y[500:]) > 0.9)
        (0.5, True)
    """

    def __init__(
        self,
        public: Any = None,
        *,
        rank: int | None = None,
        epsilon: float = 1.0,
        delta: float = 1e-5,
        steps: int = 20,
        step_size: float = 1.0,
        clip: float = 1.0,
        random_state: int | None = None,
    ) -> None:
        self.public = public
        self.rank = rank
        self.epsilon = epsilon
        self.delta = delta
        self.steps = steps
        self.step_size = step_size
        self.clip = clip
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "PillarClassifier":
        """Spend `epsilon` on private records X (n, d) and their labels y (n,)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"y has one class, {self.classes_[0]!r}; two or more are needed")
        self.basis_ = self._directions(X.shape[1])
        inside = X if self.basis_ is None else self.basis_.project(X)
        noise = noise_multiplier(self.epsilon, delta=self.delta, steps=self.steps)
        training = Training(
            self.steps, step_size=self.step_size, clip=self.clip, noise_multiplier=noise
        )
        head = LinearHead("softmax")
        start = head.start(inside.shape[1], len(self.classes_))
        key = self._key(X, labels)
        records = inside.astype(np.float32)
        with separate_ledger():  # a key is new, or that of the same release: see `random_state`
            params = private_descent(
                head, start, records, labels, training=training, key=key
            ).params
        self.noise_multiplier_, self.epsilon_ = noise, float(training.epsilon(self.delta))
        self._keep(*(np.asarray(params[name], np.float64) for name in ("weights", "bias")))
        return self

    def _directions(self, width: int) -> PublicBasis | None:
        if self.rank is not None:
            checks.count("rank", self.rank)
        if self.public is None:
            if self.rank is not None:
                raise InputError(
                    f"rank = {self.rank} and public = None; directions come from "
                    "public records alone, give some (the private ones are no substitute)"
                )
            return None
        public = checks.finite("public", self.public, ndim=2)
        if public.shape[1] != width:
            raise InputError(f"public has {public.shape[1]} columns; X has {width}")
        most = min(width, public.shape[0] - 1)
        rank = self.rank if self.rank is not None else min(40, most)
        if rank > most:
            raise InputError(
                f"rank = {rank}, n_features = {width} and {public.shape[0]} public records; a rank "
                f"of at most {most} is needed: one direction a feature, one fewer than records"
            )
        return public_basis(public, rank=rank, centred=True, scaled=True)

    def _key(self, X: np.ndarray, labels: np.ndarray) -> jax.Array:
        if self.random_state is None:
            words = os.urandom(8)
        else:
            number = checks.count("random_state", self.random_state, at_least=0)
            settings = (number, self.epsilon, self.delta, self.steps, self.step_size, self.clip)
            mark = hashlib.blake2b(repr(settings).encode(), digest_size=8)
            basis = self.basis_
            seen = () if basis is None else (basis.vectors, basis.centre, basis.scale)
            for array in (X, labels, *seen):
                mark.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
            words = mark.digest()
        return jax.random.wrap_key_data(jnp.asarray(np.frombuffer(words, np.uint32)))

    def _keep(self, weights: np.ndarray, bias: np.ndarray) -> None:
        if self.basis_ is not None:
            weights, bias = self.basis_.lift(weights, bias)
        if len(self.classes_) == 2:
            weights, bias = weights[:, 1:] - weights[:, :1], bias[1:] - bias[:1]
        self.coef_, self.intercept_ = weights.T, bias

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (n,) of the second of two classes, or (n, c) of more, at X (n, d)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        scores = X @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, c) of the classes at X (n, d)."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return scores / scores.sum(1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Labels (n,) at X (n, d)."""
        scores = self.decision_function(X)
        return self.classes_[scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)]
