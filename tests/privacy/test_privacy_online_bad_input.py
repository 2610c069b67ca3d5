"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import online as po

KEY = jax.random.key(0)
ROWS = po.threshold_class(3)
STREAM = po.RunLengthStream(9, (2, 5))
LEARNER = po.AboveThreshold(3.0, 1.0, 1.0)
COUNTER = po.TreeCounter(4, 1.0)
RULE = po.BisectionAdversary(0.4)


def above_threshold(threshold, threshold_scale, test_scale):
    return po.AboveThreshold(threshold, threshold_scale, test_scale).concentration(5)


def quadrature(reach, panels, nodes):
    return po.AboveThreshold(1.0, 1.0, 1.0, po.Quadrature(reach, panels, nodes)).concentration(3)


def stationary(threshold, epsilon):
    return po.StationaryHazard(threshold, epsilon).concentration(5)


def shame(delta):
    return po.NameAndShame(delta).concentration(5)


def uniform(fires, feedback):
    return po.UniformFiring(fires, feedback).expected_mistakes(STREAM)


def adversary(epsilon, repeats, parts, first_cut, skip_middle):
    return po.BisectionAdversary(epsilon, repeats, parts, first_cut, None, skip_middle)(LEARNER, 9)


def tree_counter(rounds, epsilon, noise, delta):
    return po.TreeCounter(rounds, epsilon, noise, delta).scale


def spent(key):
    with po.separate_ledger():
        return int(jax.random.bits(po.spend(key)))


def released(key, bits):
    with po.separate_ledger():
        return COUNTER.release(key, bits)


def counted(key, bit):
    with po.separate_ledger():
        return float(COUNTER.step(COUNTER.start(key), bit)[1])


def neighbours(epsilon, changes, cuts):
    audits = po.neighbour_audits(LEARNER, STREAM, epsilon=epsilon, changes=changes, cuts=cuts)
    return [audit.log_ratio for audit in audits]


def mechanism(learner, key, one):
    with po.separate_ledger():
        made = po.SparseVector(learner)
        return float(made.step(made.start(key), one).ones)


CALLS = [
    (po.littlestone_dimension, {"hypotheses": ROWS}),
    (po.standard_optimal_algorithm(ROWS).mistakes, {"points": [0, 1], "labels": [0, 1]}),
    (
        po.name_and_shame_mistakes,
        {"hypotheses": ROWS, "points": [0, 1], "labels": [0, 1], "delta": 0.3},
    ),
    (po.name_and_shame_expected_mistakes, {"delta": 0.3, "ones": 4}),
    (po.point_class, {"points": 3}),
    (po.threshold_class, {"points": 3}),
    (po.k_point_class, {"points": 3, "most": 2}),
    (po.standard_optimal_algorithm, {"hypotheses": ROWS}),
    (po.RunLengthStream, {"rounds": 9, "ones": (2, 5)}),
    (STREAM.flipped, {"position": 4}),
    (po.front_loaded, {"rounds": 9, "ones": 3}),
    (above_threshold, {"threshold": 3.0, "threshold_scale": 1.0, "test_scale": 1.0}),
    (quadrature, {"reach": 60.0, "panels": 4, "nodes": 12}),
    (
        po.calibrate,
        {"rounds": 9, "beta": 0.1, "threshold_scale": 1.0, "test_scale": 1.0},
    ),
    (LEARNER.masses, {"stream": STREAM, "cuts": [3, 9]}),
    (LEARNER.law_at, {"stream": STREAM, "cuts": [0, 3, 9]}),
    (LEARNER.survival, {"stream": STREAM, "rounds": [0, 3, 9]}),
    (LEARNER.expected_mistakes, {"stream": STREAM}),
    (LEARNER.expected_front_loaded, {"rounds": 9, "tol": 1e-12}),
    (LEARNER.concentration, {"rounds": 9}),
    (stationary, {"threshold": 3.0, "epsilon": 0.5}),
    (shame, {"delta": 0.2}),
    (uniform, {"fires": LEARNER, "feedback": "mistakes"}),
    (
        adversary,
        {"epsilon": 0.4, "repeats": 1, "parts": 2, "first_cut": 1, "skip_middle": False},
    ),
    (RULE.__call__, {"law": LEARNER, "rounds": 9}),
    (RULE.bounds, {"beta": 0.1, "delta": 0.0, "steps": 3}),
    (RULE.steps, {"rounds": 9}),
    (RULE.group_delta, {"delta": 0.01}),
    (po.adversary_for, {"epsilon": 0.5}),
    (po.weighted_adversary, {"epsilon": 0.5}),
    (po.mistake_lower_bound, {"rounds": 9, "epsilon": 0.5, "delta": 0.01, "beta": 0.1}),
    (po.bisection_bound, {"adversary": RULE, "rounds": 9, "delta": 0.01, "beta": 0.1}),
    (po.concentration_bound, {"rounds": 9, "epsilon": 0.5, "delta": 0.01, "beta": 0.1}),
    (po.printed_lower_bounds, {"rounds": 9, "delta": 0.01, "beta": 0.1}),
    (
        po.firing_time_audit,
        {"law": LEARNER, "stream": STREAM, "position": 3, "epsilon": 1.0, "cuts": [3, 9]},
    ),
    (
        po.worst_neighbour,
        {"law": LEARNER, "stream": STREAM, "epsilon": 1.0, "changes": [1, 3], "cuts": [3, 9]},
    ),
    (po.audit_cuts, {"stream": STREAM, "near": 2}),
    (tree_counter, {"rounds": 8, "epsilon": 1.0, "noise": "gaussian", "delta": 1e-5}),
    (COUNTER.errors, {"key": KEY, "runs": 2}),
    (COUNTER.largest_errors, {"key": KEY, "runs": 2}),
    (COUNTER.simulate, {"key": KEY, "bits": np.array([0, 1, 1, 0])}),
    (released, {"key": KEY, "bits": np.array([0, 1, 1, 0])}),
    (po.gaussian_noise_scale, {"sensitivity": 1.0, "epsilon": 1.0, "delta": 1e-5}),
    (po.counter_to_learner, {"counts": np.ones((2, 4)), "alpha": 0.5}),
    (
        po.simulate_counter_learner,
        {
            "key": KEY,
            "counter": COUNTER,
            "stream": po.RunLengthStream(4, (2,)),
            "alpha": 1.0,
            "hypotheses": 2,
            "runs": 3,
        },
    ),
    (po.simulate_online_game, {"key": KEY, "learner": LEARNER, "stream": STREAM, "runs": 3}),
    (po.simulate_mistakes, {"key": KEY, "learner": LEARNER, "stream": STREAM, "runs": 3}),
    (po.quiet_point, {"marginals": np.full((2, 5), 0.01), "beta": 0.1, "reserved": 2}),
    (po.concentration_domain, {"rounds": 9, "most_ones": 2, "beta": 0.1}),
    (spent, {"key": KEY}),
    (counted, {"key": KEY, "bit": 1}),
    (neighbours, {"epsilon": 1.0, "changes": [1, 3], "cuts": [3, 9]}),
    (mechanism, {"learner": LEARNER, "key": KEY, "one": True}),
]
EXCUSED = {
    "REFERENCE_EPSILON": "a number",
    "AboveThreshold": "`above_threshold` above",
    "Attack": "a result",
    "Audit": "a result",
    "BisectionAdversary": "`adversary` above",
    "FiringLaw": "a type to derive from",
    "FirstCrossing": "a result",
    "Games": "a result",
    "HypothesisClass": "made by `standard_optimal_algorithm`, its arguments integers of its own",
    "KeyLedger": "`spent` above",
    "MistakeBound": "a result",
    "NameAndShame": "`shame` above",
    "PieceLaw": "a result",
    "Pieces": "a result",
    "PrintedBounds": "a result",
    "Quadrature": "`quadrature` above",
    "QuietPoint": "a result",
    "SparseVector": "`mechanism` above",
    "SparseVectorState": "a result",
    "StationaryHazard": "`stationary` above",
    "TreeCounter": "`tree_counter` above",
    "UniformFiring": "`uniform` above",
    "TreeCounterState": "a result",
    "neighbour_audits": "`neighbours` above",
    "pieces": "for laws of one's own, given what `law_at` has checked",
    "separate_ledger": "no arguments",
    "spend": "`spent` above",
}


@pytest.mark.long
def test_malformed_calls_end_in_a_finite_value_or_a_refusal():
    campaign = bad_input.Campaign()
    for function, arguments in CALLS:
        bad_input.attack(campaign, function, **arguments)
    print(campaign)
    assert campaign.faults == []


def test_every_public_name_is_in_the_table():
    assert bad_input.uncovered(po, CALLS, EXCUSED) == set()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: po.adversary_for(0.0), "epsilon = 0; finite numbers in \\(0, 20\\]"),
        (lambda: po.adversary_for(-1.0), "epsilon = -1"),
        (lambda: po.adversary_for(5e-324), "epsilon = .* at least 4.5e-17"),
        (
            lambda: po.adversary_for(1e-9)(po.StationaryHazard(3.0, 0.8), 2**30),
            "repeats = 405465108.* 1e\\+07 examples",
        ),
        (lambda: po.concentration_bound(2**40, 1e-12, 0.0, 0.1), "epsilon = 1e-12.* 1e\\+07 terms"),
        (lambda: po.concentration_bound(2**40, 5e-324, 0.1, 0.1), "epsilon = 4.94066e-324"),
        (lambda: po.mistake_lower_bound(9, 0.5, 1.0, 0.1), "delta = 1; .* in \\[0, 1\\)"),
        (lambda: po.mistake_lower_bound(0, 0.5, 0.0, 0.1), "rounds = 0; .* at least 1"),
        (lambda: po.RunLengthStream(0), "rounds = 0"),
        (lambda: po.RunLengthStream(4, (5,)), "ones = 5; .* at most 4"),
        (lambda: po.RunLengthStream(4, (3, 2)), "ones does not increase"),
        (lambda: po.RunLengthStream(2**40, (3,)).bits, "rounds = .* at most 2\\^28"),
        (lambda: po.TreeCounter(4, 0.0), "epsilon = 0"),
        (lambda: po.TreeCounter(4, 1.0, "gaussian"), "delta = None; Gaussian noise needs"),
        (lambda: po.TreeCounter(4, 1.0, "gaussian", 1.0), "delta = 1"),
        (lambda: po.TreeCounter(4, 1.0, "laplace", 0.1), "delta = 0.1; Laplace noise has none"),
        (lambda: po.NameAndShame(1.0), "delta = 1"),
        (lambda: po.calibrate(9, 1.0, threshold_scale=1.0, test_scale=1.0), "beta = 1"),
        (lambda: po.AboveThreshold(0.0, 0.0, 1.0), "threshold_scale = 0"),
        (lambda: po.AboveThreshold(0.0, 1e6, 1.0), "threshold_scale = 1e\\+06 is 1e\\+06 times"),
        (lambda: po.firing_time_audit(LEARNER, STREAM, 3, epsilon=0.0), "epsilon = 0"),
        (lambda: po.firing_time_audit(LEARNER, STREAM, 10, epsilon=1.0), "position = 10"),
        (lambda: LEARNER.firing_pmf(po.RunLengthStream(2**40)), "rounds = .* at most 65536"),
        (lambda: po.simulate_online_game(KEY, LEARNER, po.RunLengthStream(2**30), 1), "rounds = "),
        (lambda: po.SparseVector(LEARNER).start(0), "key = 0; a typed key"),
    ],
)
def test_refusals_say_what_was_given_and_what_is_needed(call, message):
    with pytest.raises(InputError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_counts_may_be_integers_of_jax():
    one, two, three = jnp.asarray(1), jnp.asarray(2), jnp.asarray(3)
    assert po.BisectionAdversary(0.4, one, three, two) == po.BisectionAdversary(0.4, 1, 3, 2)
    found = COUNTER.largest_errors(KEY, two)
    np.testing.assert_array_equal(found, COUNTER.largest_errors(KEY, 2))
