"""What noise costs: against published numbers, dp-accounting and the exact Gaussian."""

import math

import dp_accounting
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import renyi
from theorylab.privacy.dp_sgd import noise_multiplier, spent_epsilon, total_epsilon

# (epsilon, 1 / sampling rate, steps): noise multipliers by Rényi and by privacy-loss distributions,
# dp-accounting 0.6.0 at delta = 1e-5
PUBLISHED = [
    (0.1, 44, 968, 24.10, 21.82),
    (0.1, 44, 484, 17.09, 15.46),
    (0.7, 44, 968, 4.10, 3.77),
]


@pytest.mark.parametrize("epsilon, every, steps, rdp, pld", PUBLISHED)
def test_noise_multipliers_are_the_published_ones(epsilon, every, steps, rdp, pld):
    given = {"delta": 1e-5, "sampling_rate": 1 / every, "steps": steps}
    for accountant, want in (("rdp", rdp), ("pld", pld)):
        found = noise_multiplier(epsilon, accountant=accountant, **given)
        assert found == pytest.approx(want, rel=2e-3)
        spent = spent_epsilon(found, accountant=accountant, **given)
        assert epsilon * (1 - 1e-3) <= spent <= epsilon


@pytest.mark.long
def test_epsilon_is_that_of_the_fine_privacy_loss_distribution():
    event = dp_accounting.PoissonSampledDpEvent(0.01, dp_accounting.GaussianDpEvent(1.0))
    library = dp_accounting.pld.PLDAccountant(value_discretization_interval=1e-5)
    want = library.compose(event, 300).get_epsilon(1e-5)
    got = spent_epsilon(1.0, delta=1e-5, sampling_rate=0.01, steps=300)
    assert got == pytest.approx(want, rel=2e-4)
    assert got < spent_epsilon(1.0, delta=1e-5, sampling_rate=0.01, steps=300, accountant="rdp")


@pytest.mark.parametrize("relation, change", [("add-remove", 1), ("replace", 2)])
def test_full_batches_are_one_exact_gaussian(relation, change):
    for accountant in ("pld", "rdp"):
        given = {"delta": 1e-6, "steps": 25, "relation": relation, "accountant": accountant}
        got = spent_epsilon(7.0, **given)
        assert got == pytest.approx(renyi.gaussian_epsilon(change * 5 / 7, delta=1e-6), rel=1e-12)
        noise = noise_multiplier(0.5, **given)
        assert renyi.gaussian_delta(change * 5 / noise, epsilon=0.5) == pytest.approx(
            1e-6, rel=1e-5
        )
        assert spent_epsilon(noise, **given) <= 0.5


def test_replacing_costs_more_than_adding_and_less_than_twice_the_norm_without_sampling():
    given = {"delta": 1e-5, "sampling_rate": 0.02, "steps": 200}
    added = spent_epsilon(2.0, accountant="rdp", **given)
    replaced = spent_epsilon(2.0, relation="replace", **given)
    assert added < replaced < 4 * added


def test_costs_of_several_parts_add_up():
    parts = [(3.0, 0.05, 40), (3.0, 0.05, 60)]
    one = {"delta": 1e-5, "sampling_rate": 0.05}
    for relation in ("add-remove", "replace"):
        both = total_epsilon(parts, delta=1e-5, relation=relation)
        assert both == pytest.approx(
            spent_epsilon(3.0, steps=100, relation=relation, **one), rel=1e-3
        )
        mixed = total_epsilon([*parts, (5.0, 1.0, 1)], delta=1e-5, relation=relation)
        alone = spent_epsilon(5.0, delta=1e-5, steps=1, relation=relation)
        assert max(both, alone) < mixed < both + alone
    assert total_epsilon([(3.0, 0.05, 40), (0.0, 1.0, 1)], delta=1e-5) == math.inf


@pytest.mark.long
def test_ends_of_the_scale():
    assert spent_epsilon(0.0, delta=1e-5, steps=1) == math.inf
    assert noise_multiplier(math.inf, delta=1e-5, steps=3) == 0.0
    assert spent_epsilon(100.0, delta=1e-5, sampling_rate=1e-3, steps=1) == 0.0
    small = noise_multiplier(40.0, delta=1e-5, sampling_rate=0.1, steps=10)
    assert 0 < small < 0.5
    assert spent_epsilon(small, delta=1e-5, sampling_rate=0.1, steps=10) <= 40.0
    epsilons = [spent_epsilon(s, delta=1e-5, steps=4) for s in np.geomspace(0.1, 100, 9)]
    assert np.all(np.diff(epsilons) < 0)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"epsilon": 0.0}, "epsilon = 0"),
        ({"epsilon": -1.0}, "epsilon = -1"),
        ({"epsilon": math.nan}, "epsilon = nan"),
        ({"delta": 0.0}, "delta = 0"),
        ({"delta": 1.0}, "delta = 1"),
        ({"sampling_rate": 0.0}, "sampling_rate = 0"),
        ({"sampling_rate": 1.1}, "sampling_rate = 1.1"),
        ({"steps": 0}, "steps = 0"),
        ({"relation": "swap"}, "relation = 'swap'"),
        ({"accountant": "clt"}, "accountant = 'clt'"),
        ({"epsilon": 1e-9, "delta": 1e-12, "steps": 10**9}, "not kept by a noise multiplier"),
    ],
)
def test_bad_input_is_one_line(change, told):
    given = {"epsilon": 1.0, "delta": 1e-5, "sampling_rate": 1.0, "steps": 10} | change
    with pytest.raises(InputError, match=told) as caught:
        noise_multiplier(given.pop("epsilon"), **given)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="noise_multiplier = -1"):
        spent_epsilon(-1.0, delta=1e-5, steps=1)
