"""The private classifier: scikit-learn's own checks, what it spends, and what it refuses."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from theorylab.errors import InputError
from theorylab.privacy import renyi
from theorylab.privacy.estimators import PillarClassifier


class WithPublic(PillarClassifier):
    """Draws public records of the width that it is given, so that scikit-learn can check it."""

    def fit(self, X, y):
        shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
        width = shape[1] if len(shape) == 2 and shape[1] else 3
        self._drawn = np.random.default_rng(0).normal(size=(60, width)) * np.arange(1, width + 1)
        return super().fit(X, y)

    def _directions(self, width):
        kept, self.public = self.public, self._drawn
        try:
            return super()._directions(width)
        finally:
            self.public = kept


@pytest.mark.long
@parametrize_with_checks(
    [
        PillarClassifier(steps=5, step_size=3.0),
        # two of the two features that the checks' classes are told apart by
        WithPublic(rank=2, steps=5, step_size=3.0),
    ]
)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


def mixture(n, seed, d=30):
    rng = np.random.default_rng(seed)
    y = rng.choice(["no", "yes"], n)
    return rng.normal(size=(n, d)) + np.outer(np.where(y == "yes", 1, -1), np.full(d, 0.3)), y


def test_it_spends_what_it_says_by_the_noise_that_is_there():
    """Records of 0 leave noise alone in the coefficients, of which its size is read off."""
    n, d, steps, step_size = 40, 20_000, 7, 0.3
    x, y = np.zeros((n, d)), np.tile([0, 1], n // 2)
    settings = {"epsilon": 0.5, "delta": 1e-6, "steps": steps, "step_size": step_size, "clip": 2.0}
    model = PillarClassifier(**settings).fit(x, y)
    # a difference of two columns, each a sum of `steps` draws times step_size / n
    noise = model.coef_.std() * n / (step_size * np.sqrt(2 * steps))
    multiplier = noise / 2.0
    assert multiplier == pytest.approx(model.noise_multiplier_, rel=5 / np.sqrt(2 * d))
    # one Gaussian whose mean moves by at most √steps / multiplier
    delta = renyi.gaussian_delta(np.sqrt(steps) / model.noise_multiplier_, epsilon=0.5)
    assert delta == pytest.approx(1e-6, rel=1e-3) and model.epsilon_ <= 0.5


def test_public_directions_help_where_there_are_few_records():
    (x, y), (test, truth) = mixture(800, 1, 100), mixture(2000, 2, 100)
    public, _ = mixture(2000, 3, 100)
    scores = {
        name: np.mean([clone(model).fit(x, y).score(test, truth) for _ in range(4)])
        for name, model in {
            "with": PillarClassifier(public, rank=2, epsilon=0.2),
            "without": PillarClassifier(epsilon=0.2),
        }.items()
    }
    assert scores["with"] > 0.95 and scores["with"] > scores["without"] + 0.03


@pytest.mark.long
def test_predictions_are_those_of_the_lifted_coefficients():
    x, y = mixture(200, 0, 6)
    three = np.where(x[:, 0] > 0.5, "third", y)
    model = PillarClassifier(x, rank=3, epsilon=5.0).fit(x, three)
    scores = x @ model.coef_.T + model.intercept_
    assert (model.predict(x) == model.classes_[scores.argmax(1)]).all()
    np.testing.assert_allclose(model.predict_proba(x).sum(1), 1)
    two = PillarClassifier(epsilon=5.0).fit(x, y)
    assert two.coef_.shape == (1, 6) and two.decision_function(x).shape == (200,)
    np.testing.assert_allclose(
        two.predict_proba(x)[:, 1], 1 / (1 + np.exp(-two.decision_function(x))), rtol=1e-6
    )


def test_noise_is_new_in_every_fit_and_fixed_by_a_number_for_one_data_set_alone():
    x, y = mixture(100, 0, 5)
    free = [PillarClassifier().fit(x, y).coef_ for _ in range(2)]
    assert not np.allclose(*free)
    same = [PillarClassifier(random_state=3).fit(x, y).coef_ for _ in range(2)]
    np.testing.assert_array_equal(*same)
    other = x.copy()
    other[0] += 1e-9  # another data set: its noise has to be another, not the same
    moved = PillarClassifier(random_state=3).fit(other, y).coef_
    assert np.abs(moved - same[0]).max() > 1e-3


def test_noise_is_another_where_the_public_records_are_moved():
    """Two bases that differ by their centre alone give other gradients: with the same noise the
    difference of two releases would show them bare."""
    x, y = mixture(100, 0, 5)
    public = np.random.default_rng(4).integers(-4, 5, (64, 5)).astype(float)
    fitted = [
        PillarClassifier(shifted, rank=2, epsilon=1e-3, random_state=3).fit(x, y)
        for shifted in (public, public + 1.0)
    ]
    for name in ("vectors", "scale"):
        np.testing.assert_array_equal(*(getattr(m.basis_, name) for m in fitted))
    inside = [m.basis_.vectors.T @ (m.basis_.scale * m.coef_[0]) for m in fitted]
    noise = fitted[0].noise_multiplier_ * np.sqrt(2 * 20) / 100  # of each, and it is all there is
    assert np.abs(inside[0] - inside[1]).max() > 0.05 * noise


def test_it_sits_in_a_pipeline():
    x, y = mixture(400, 0)
    model = make_pipeline(StandardScaler(), PillarClassifier(epsilon=5.0)).fit(x, y)
    assert model.score(x, y) > 0.9


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"delta": 1.0}, "delta"),
        ({"steps": 0}, "steps"),
        ({"clip": 0.0}, "clip"),
        ({"rank": 2}, "public"),
        ({"public": np.eye(3), "rank": 1}, "columns"),
        ({"public": np.eye(5), "rank": 2}, "eigengap"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, says):
    x, y = mixture(50, 0, 5)
    with pytest.raises(InputError, match=says) as caught:
        PillarClassifier(**settings).fit(x, y)
    assert "\n" not in str(caught.value)


def test_one_class_is_refused():
    with pytest.raises(InputError, match="one class"):
        PillarClassifier().fit(np.eye(3), [1, 1, 1])
