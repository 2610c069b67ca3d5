"""Kernel axes of two libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.ntk import from_neural_tangents, to_neural_tangents


@pytest.mark.long
@given(st.lists(st.integers(1, 3), min_size=0, max_size=3))
def test_interleaving_is_undone_by_its_inverse(output: list[int]) -> None:
    shape = tuple(output)
    kernel = np.random.default_rng(0).standard_normal(
        (2, 3, int(np.prod(shape)), int(np.prod(shape)))
    )
    there = to_neural_tangents(kernel, shape)
    assert there.shape == (2, 3, *(s for s in shape for _ in (0, 1)))
    np.testing.assert_array_equal(from_neural_tangents(there, shape), kernel)


def test_entry_of_two_output_axes_is_where_neural_tangents_puts_it() -> None:
    kernel = np.arange(36.0).reshape(1, 1, 6, 6)  # outputs (2, 3), raveled
    there = to_neural_tangents(kernel, (2, 3))
    assert there[0, 0, 1, 0, 2, 1] == kernel[0, 0, 1 * 3 + 2, 0 * 3 + 1]


def test_wrong_output_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"output_shape=\(2,\)"):
        to_neural_tangents(np.zeros((1, 1, 3, 3)), (2,))
    with pytest.raises(ValueError, match=r"output_shape=\(2,\)"):
        from_neural_tangents(np.zeros((1, 1, 3, 3)), (2,))
