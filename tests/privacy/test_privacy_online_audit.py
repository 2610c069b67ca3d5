"""Audits against laws written out by hand."""

import numpy as np
import pytest

from theorylab.privacy import online as po


class Table(po.FiringLaw):
    """A law given round by round for streams without a one and with one: for tests alone."""

    def __init__(self, without, with_one):
        self.laws = np.asarray(without), np.asarray(with_one)

    def piece_law(self, stretches):
        pmf = self.laws[max(stretches.counts) > 0]
        ends = np.array(stretches.ends)
        passed = np.concatenate([[0], np.cumsum(pmf)])[ends]
        return po.PieceLaw(np.diff(passed, prepend=0), 1 - passed)


def test_log_ratio_and_hockey_stick_of_a_law_by_hand():
    p, q = np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.2, 0.1])
    found = po.firing_time_audit(Table(p, q), po.RunLengthStream(3), 1, epsilon=np.log(2))
    assert found.log_ratio == pytest.approx(np.log(3)) and found.exact
    assert found.delta == pytest.approx(0.1)  # 0.3 - 2 * 0.1 in one round, either way
    assert found.log_ratios[-1] == pytest.approx(0, abs=1e-12)  # no firing: 0.4 under both
    grouped = po.firing_time_audit(
        Table(p, q), po.RunLengthStream(3), 1, epsilon=np.log(2), cuts=[3]
    )
    assert grouped.log_ratio == pytest.approx(0, abs=1e-12) and not grouped.exact


def test_an_event_that_only_one_stream_allows_is_infinitely_telling():
    found = po.firing_time_audit(
        Table([0.0, 0.5], [0.1, 0.4]), po.RunLengthStream(2), 2, epsilon=1.0
    )
    assert found.log_ratio == np.inf and found.delta == pytest.approx(0.1)


@pytest.mark.parametrize("b1, b2", [(2.0, 2.0), (1.0, 2.5)])
def test_above_threshold_is_as_private_as_it_says_and_no_more(b1, b2):
    learner = po.calibrate(31, 0.1, threshold_scale=b1, test_scale=b2)
    worst = max(
        (
            po.worst_neighbour(learner, stream, epsilon=learner.epsilon)
            for stream in (po.RunLengthStream(31), po.front_loaded(31, 25))
        ),
        key=lambda audit: audit.log_ratio,
    )
    assert worst.exact and 0.99 * learner.epsilon < worst.log_ratio <= learner.epsilon + 1e-6
    assert worst.delta <= 1e-12


def test_too_little_noise_is_found_out():
    learner = po.calibrate(31, 0.1, threshold_scale=0.9, test_scale=0.9)
    worst = po.worst_neighbour(learner, po.front_loaded(31, 4), epsilon=1.0)
    assert worst.log_ratio > 1.05 and worst.delta > 1e-3


@pytest.mark.long
def test_over_sixty_doublings_the_audit_still_holds():
    learner = po.calibrate(2**60, 0.1, threshold_scale=2.0, test_scale=2.0)
    stream = po.adversary_for(0.4)(learner, 2**60).stream
    worst = po.worst_neighbour(learner, stream, epsilon=0.5, changes=[1, 2**40, stream.ones[3]])
    assert not worst.exact and 0.3 < worst.log_ratio <= 0.5 + 1e-6


def test_a_stationary_hazard_looks_private_in_each_round_and_is_not():
    trap = po.StationaryHazard(12.0, 0.5)
    assert max(trap.step_log_ratio(c) for c in range(60)) <= 0.5 + 1e-12
    by_rounds = [
        po.firing_time_audit(trap, po.front_loaded(n, 8), 8, epsilon=0.5).log_ratio
        for n in (32, 128, 512)
    ]
    assert by_rounds[1] > 1 and (np.diff(by_rounds) > 1).all()


def test_the_law_of_the_stationary_hazard_is_a_product():
    trap = po.StationaryHazard(3.0, 0.8)
    counts = np.cumsum(po.RunLengthStream(9, (2, 5)).bits)
    h = 1 / (1 + np.exp(-0.8 * (counts - 3.0)))
    np.testing.assert_allclose(trap.hazard(counts), h, rtol=1e-12)
    silent = np.concatenate([[1], np.cumprod(1 - h)])
    np.testing.assert_allclose(
        trap.firing_pmf(po.RunLengthStream(9, (2, 5))),
        np.append(silent[:-1] * h, silent[-1]),
        rtol=1e-12,
    )


def test_name_and_shame_tells_with_probability_delta():
    """The total variation between neighbours is delta (1 - delta)^{ones before}, the law's own."""
    for before in (0, 3):
        stream = po.front_loaded(10, before)
        found = po.firing_time_audit(po.NameAndShame(0.2), stream, 10, epsilon=1e-12)
        assert found.delta == pytest.approx(0.2 * 0.8**before, rel=1e-9)


def test_rounds_of_an_audit_are_all_or_near_what_matters():
    assert po.audit_cuts(po.RunLengthStream(40, (3,))) == tuple(range(1, 41))
    marks = po.audit_cuts(po.RunLengthStream(2**50, (12345,)), 777)
    assert {1, 2, 2**50, 2**50 - 1, 12344, 12345, 12346, 777, 2**30} <= set(marks)
    assert len(marks) < 600 and list(marks) == sorted(set(marks))
