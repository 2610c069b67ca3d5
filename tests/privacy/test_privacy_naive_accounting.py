"""The attack that shows naive accounting wrong, and the accounting that it does not."""

from itertools import product

import numpy as np
import pytest
from divergences import renyi_of_mixtures
from scipy.stats import norm

from theorylab.errors import InputError
from theorylab.privacy import naive_accounting as na
from theorylab.privacy import preprocessing, renyi, sensitivity, smooth

STD = 0.01


def imputed(n, missing):
    pair = na.missing_neighbours(n, missing=missing)
    return na.attack_noisy_mean(preprocessing.impute_mean, *pair, noise_std=STD)


@pytest.mark.parametrize(("n", "missing"), [(1000, 100), (200, 50), (20, 1)])
def test_two_neighbours_refute_naive_accounting_of_imputation(n, missing):
    attack = imputed(n, missing)
    assert attack.refutes
    assert attack.exact_rho / attack.claimed_rho == pytest.approx((n / (n - missing)) ** 2)
    exact = renyi_of_mixtures(2.0, [1], [attack.exact_shift], [0.0], 1.0)
    assert exact == pytest.approx(2 * attack.exact_rho, rel=1e-9)


def test_the_full_accounting_of_imputation_holds_on_these_neighbours_exactly():
    attack = imputed(200, 50)
    mean = smooth.gaussian_mechanism(lipschitz=1 / 200, noise_std=STD)
    cost = mean.behind(sensitivity.mean_imputation(200, missing=50), orders=[2.0, 9.0])
    np.testing.assert_allclose(cost.divergences, [2 * attack.exact_rho, 9 * attack.exact_rho])


def test_without_missing_records_there_is_nothing_to_refute():
    attack = imputed(100, 0)
    assert not attack.refutes and attack.exact_rho == pytest.approx(attack.claimed_rho)


def test_the_exact_delta_is_that_of_the_best_threshold_test():
    attack = imputed(200, 50)
    level = renyi.gaussian_epsilon(attack.claimed_shift, delta=1e-5)
    cut = level / attack.exact_shift + attack.exact_shift / 2  # likelihood ratio e^level
    best = norm.sf(cut - attack.exact_shift) - np.exp(level) * norm.sf(cut)
    found = attack.exact_delta(claimed_delta=1e-5)
    assert found == pytest.approx(best, rel=1e-9) and found > 5e-5


def test_two_neighbours_refute_naive_accounting_of_projection_and_not_the_full_one():
    n = 60
    first, second = na.turning_neighbours(n, along=34)

    def project(rows):
        return preprocessing.pca_project(rows, rank=1)

    attack = na.attack_noisy_mean(project, first, second, noise_std=STD)
    gap = min(preprocessing.eigengaps(x, rank=1) for x in (first, second))
    mean = smooth.gaussian_mechanism(lipschitz=1 / n, noise_std=STD)
    moved = sensitivity.pca_projection(n, eigengap=float(gap))
    assert attack.refutes and attack.exact_rho > 3 * attack.claimed_rho
    assert attack.exact_rho <= mean.behind(moved, orders=[1.5]).divergences[0] / 1.5


def test_data_sets_that_differ_in_two_records_are_refused():
    rows = np.zeros((5, 1))
    other = rows.copy()
    other[:2] = 0.5
    with pytest.raises(InputError, match="differs from first in 2 records"):
        na.attack_noisy_mean(lambda x: x, rows, other, noise_std=1.0)


@pytest.mark.parametrize("centre", ["none", "covariance"])
def test_public_labels_show_the_whole_movement_of_a_projection(centre):
    """In one dimension of movement the attack with labels reaches what the full accounting pays."""
    n = 60
    first, second = na.turning_neighbours(n, along=34)

    def project(rows):
        return preprocessing.pca_project(rows, rank=1, centre=centre)

    signs = na.aligned_signs(project, first, second)
    attack = na.attack_noisy_mean(project, first, second, noise_std=STD, signs=signs)
    plain = na.attack_noisy_mean(project, first, second, noise_std=STD)
    gaps = [preprocessing.eigengaps(x, rank=1, centred=centre != "none") for x in (first, second)]
    moved = sensitivity.pca_projection(n, eigengap=float(min(gaps)), centre=centre).total
    assert plain.exact_rho <= attack.exact_rho <= attack.claimed_rho * (1 + moved / 2) ** 2


def test_labels_are_aligned_by_brute_force_over_all_labels():
    rng = np.random.default_rng(5)
    first = rng.uniform(-1, 1, (7, 1))
    second = first.copy()
    second[3] = -1.0

    def scale(rows):
        return preprocessing.standardise(rows[:, 0])[:, None] / 9

    signs = na.aligned_signs(scale, first, second)
    best = max(
        na.attack_noisy_mean(scale, first, second, noise_std=1.0, signs=np.array(s)).exact_rho
        for s in product([-1.0, 1.0], repeat=7)
    )
    found = na.attack_noisy_mean(scale, first, second, noise_std=1.0, signs=signs)
    assert found.exact_rho == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("leaves", [2, 5])
def test_stars_of_near_duplicates_refute_naive_accounting(leaves):
    first, second = na.star_neighbours(40, leaves=leaves)

    def drop(rows):
        return preprocessing.drop_duplicates(rows, radius=0.2).records

    zeros = 40 - 2 * leaves - 1  # the records that are left are copies of one another
    assert (np.linalg.norm(drop(first) - drop(second), axis=1) > 0).sum() == 2 * leaves
    assert (drop(first)[-zeros:] == 0).all()
    signs = na.aligned_signs(drop, first, second)
    attack = na.attack_noisy_mean(drop, first, second, noise_std=STD, signs=signs)
    factor = attack.exact_rho / attack.claimed_rho
    assert attack.refutes and factor == pytest.approx(leaves**2 * (1 - 0.2**2), rel=1e-9)
    moved = sensitivity.deduplication_dropping(40, duplicates=leaves)
    assert factor <= (1 + moved.total / 2) ** 2
