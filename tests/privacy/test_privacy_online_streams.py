import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.privacy import online as po

streams = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.just(n), st.sets(st.integers(1, n)), st.sets(st.integers(1, n), min_size=1)
    )
)


@given(streams)
def test_pieces_are_the_runs_of_the_counts(made):
    rounds, ones, cuts = made
    stream = po.RunLengthStream(rounds, tuple(sorted(ones)))
    got = po.pieces(stream, sorted(cuts))
    counts = np.cumsum(stream.bits)[: max(cuts)]
    assert np.repeat(got.counts, got.lengths).tolist() == counts.tolist()
    assert np.cumsum(got.lengths).tolist() == list(got.ends) and cuts <= set(got.ends)
    starts = {1, *(o for o in ones if o <= max(cuts)), *(c + 1 for c in cuts if c < max(cuts))}
    assert len(got.counts) == len(starts)


@given(streams)
def test_a_neighbour_differs_in_one_example_and_is_its_own_inverse(made):
    rounds, ones, cuts = made
    stream = po.RunLengthStream(rounds, tuple(sorted(ones)))
    at = min(cuts)
    other = stream.flipped(at)
    assert np.flatnonzero(stream.bits != other.bits).tolist() == [at - 1]
    assert other.flipped(at) == stream


def test_positions_beyond_floats_are_exact():
    stream = po.RunLengthStream(2**143, (2**60, 2**60 + 1))
    assert po.pieces(stream, [2**143]).lengths == (2**60 - 1, 1, 2**143 - 2**60)
    assert stream.count(2**60) == 1


def test_front_loaded_streams_start_with_their_ones():
    assert po.front_loaded(5, 2).bits.tolist() == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda t: po.RunLengthStream(t),
        lambda t: po.calibrate(t, 0.1, threshold_scale=1.0, test_scale=1.0),
    ],
)
def test_rounds_beyond_the_range_of_floats_are_refused_in_one_short_line(call):
    call(2**1000)
    with pytest.raises(InputError, match=r"rounds is beyond 2\^1100; at most 2\^1000") as caught:
        call(2**1100)
    assert len(str(caught.value)) < 80
