"""What this room alone can get wrong; what every room must satisfy is in test_papers_compliance."""

import numpy as np
import pytest
from paper_room import PAPER, sampling

from theorylab.lab import Results, Row


def test_the_spread_is_that_of_a_brute_force_loop():
    found = sampling.spread(n=5, draws=50, seed=3)
    rng = np.random.default_rng(3)
    samples = [[rng.normal() for _ in range(5)] for _ in range(50)]
    assert found["mean"] == pytest.approx(np.std([np.mean(s) for s in samples]))
    assert found["median"] == pytest.approx(np.std([sorted(s)[2] for s in samples]))


@pytest.mark.parametrize(("factor", "status"), [(1.0, "holds"), (0.9, "fails")])
def test_the_claim_sees_an_error_that_is_a_tenth_too_small(factor, status):
    quick, rng = PAPER.preset("quick"), np.random.default_rng(0)
    rows = [
        Row(
            cell,
            {"mean": (x := factor * rng.normal(1, 0.01) * cell["n"] ** -0.5), "median": 1.3 * x},
        )
        for cell in PAPER.experiment("spread").cells(quick)
    ]
    (claim,) = PAPER.claims
    assert claim.evaluate({"spread": Results(tuple(rows))}, quick).status == status
