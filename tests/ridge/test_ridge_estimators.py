"""KernelRidgeGCV and RidgeGCV against scikit-learn's own estimators and its compliance checks."""

import subprocess
import sys

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from sklearn.gaussian_process.kernels import RBF  # noqa: E402
from sklearn.kernel_ridge import KernelRidge  # noqa: E402
from sklearn.linear_model import Ridge, RidgeCV  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from theorylab.errors import InputError  # noqa: E402
from theorylab.ridge import KernelRidgeGCV, RidgeGCV  # noqa: E402

N = 18
rng = np.random.default_rng(0)
X, X_new = rng.normal(size=(N, 4)), rng.normal(size=(5, 4))
Y = np.sin(X[:, :1]) + X[:, :2] + 0.3 * rng.normal(size=(N, 2))
ALPHAS = np.geomspace(1e-4, 10, 12)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "callable", "precomputed"])
def test_the_selected_fit_is_kernel_ridge_at_n_alpha(kernel):
    gram = RBF(length_scale=1.0)  # the callable form of gamma = 1/2
    options = {"rbf": {"kernel": "rbf", "gamma": 0.5}, "callable": {"kernel": gram}}.get(
        kernel, {"kernel": kernel}
    )
    train, new = (gram(X), gram(X_new, X)) if kernel == "precomputed" else (X, X_new)
    ours = KernelRidgeGCV(ALPHAS, **options).fit(train, Y)
    theirs = {"callable": {"kernel": "rbf", "gamma": 0.5}}.get(kernel, options)
    reference = KernelRidge(alpha=N * ours.alpha_, **theirs).fit(train, Y)
    np.testing.assert_allclose(ours.predict(new), reference.predict(new), rtol=1e-8, atol=1e-10)
    assert ours.best_score_ == pytest.approx(ours.path_.gcv(ALPHAS).min(), rel=1e-12)


@pytest.mark.long
def test_leave_one_out_selection_is_ridge_cv():
    """RidgeCV's default is exact leave-one-out, whatever scikit-learn calls it; alphas are N times
    ours."""
    ours = RidgeGCV(ALPHAS, criterion="loo").fit(X, Y)
    theirs = RidgeCV(N * ALPHAS).fit(X, Y)
    assert N * ours.alpha_ == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8, atol=1e-12)
    each = RidgeGCV(ALPHAS, criterion="loo", alpha_per_target=True).fit(X, Y)
    reference = RidgeCV(N * ALPHAS, alpha_per_target=True).fit(X, Y)
    np.testing.assert_allclose(N * each.alpha_, reference.alpha_, rtol=1e-12)
    np.testing.assert_allclose(each.coef_, reference.coef_, rtol=1e-8)
    np.testing.assert_allclose(each.predict(X_new), reference.predict(X_new), rtol=1e-8)


@pytest.mark.long
def test_weighted_fits_are_ridge_with_sample_weights():
    w = rng.uniform(0.5, 2.0, N)
    w[3] = 0.0  # a sample of weight zero is dropped, and N counts the others
    ours = RidgeGCV(ALPHAS).fit(X, Y[:, 0], sample_weight=w)
    reference = Ridge(alpha=(N - 1) * ours.alpha_).fit(X, Y[:, 0], sample_weight=w)
    np.testing.assert_allclose(ours.coef_, reference.coef_, rtol=1e-8)
    np.testing.assert_allclose(ours.predict(X_new), reference.predict(X_new), rtol=1e-8)
    assert ours.coef_.shape == (4,) and ours.predict(X_new).shape == (5,)
    K = X @ X.T
    precomputed = KernelRidgeGCV([ours.alpha_], kernel="precomputed", fit_intercept=True)
    with pytest.raises(ValueError, match="features"):
        precomputed.fit(K, Y[:, 0]).predict(X_new)
    linear = KernelRidgeGCV([ours.alpha_], fit_intercept=True).fit(X, Y[:, 0], sample_weight=w)
    np.testing.assert_allclose(linear.predict(X_new), ours.predict(X_new), rtol=1e-7)


def test_the_estimator_works_in_a_grid_search():
    search = GridSearchCV(KernelRidgeGCV(kernel="rbf"), {"gamma": [0.05, 5.0]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"gamma": 0.05}  # the smooth target favours the wide kernel
    assert search.best_estimator_.score(X, Y) > 0.5


def test_an_indefinite_kernel_is_refused():
    with pytest.raises(InputError, match="positive semi-definite"):
        KernelRidgeGCV(kernel="precomputed").fit(-np.eye(4), np.ones(4))


def test_without_scikit_learn_the_estimators_say_what_to_install():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import theorylab.ridge\n"
        "try: theorylab.ridge.RidgeGCV\n"
        "except ImportError as error: assert 'theorylab[sklearn]' in str(error); sys.exit(7)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}
        ).returncode
        == 7
    )
    with pytest.raises(AttributeError, match="no attribute"):
        import theorylab.ridge

        _ = theorylab.ridge.NoSuchName


WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "GCV counts samples: two copies are not one of weight 2"
    )
}
NOT_A_KERNEL = {
    "check_positive_only_tag_during_fit": (
        "the check passes a matrix that is not positive semi-definite: refused"
    ),
    "check_estimators_dtypes": (
        "the check passes a kernel of float32 accuracy labelled float64: refused"
    ),
    "check_regressors_train": (
        "the check passes a kernel of float32 accuracy labelled float64: refused"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator, not_applicable",
    [
        (RidgeGCV(), WEIGHTS),
        (KernelRidgeGCV(), WEIGHTS),
        (KernelRidgeGCV(kernel="rbf", fit_intercept=True), WEIGHTS),
        (KernelRidgeGCV(kernel="precomputed"), NOT_A_KERNEL),
    ],
    ids=["RidgeGCV", "linear", "rbf", "precomputed"],
)
def test_scikit_learn_finds_it_compliant(estimator, not_applicable):
    results = check_estimator(
        estimator, expected_failed_checks=not_applicable, on_fail=None, on_skip=None
    )
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == set(not_applicable)
    assert sum(r["status"] == "passed" for r in results) >= 50
