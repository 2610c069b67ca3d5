"""Rows that neurons share, and convolutions as wide matrices: against what they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks as small
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab import robustness as rb
from theorylab.robustness import LpBall, packing
from theorylab.robustness.program import read
from theorylab.robustness.propagation import Flow


def second_layer(p):
    """(flow, the number of the second activation's input)"""
    program = read(small.strided, p, (16, 16, 1))
    return Flow(program, program.constants_at(p)), program.activations[1].inputs[0]


def test_receptive_fields_are_where_a_linear_network_has_a_derivative():
    with jax.enable_x64(True):
        p = jax.tree.map(jnp.abs, small.strided_params(0))
        flow, target = second_layer(p)
        fields = packing.receptive_fields(flow, target)

        def linear(x):
            x = small.convolve(x[None], p["a"], 2)
            return (x + small.convolve(x, p["b"], 1)).ravel()

        slopes = jax.jacobian(linear)(jnp.zeros((16, 16, 1)))
        np.testing.assert_array_equal(fields[flow.program.start], np.asarray(slopes) > 0)


def test_neurons_seven_positions_wide_share_a_fourth_of_the_rows():
    flow, target = second_layer(small.strided_params(0, jnp.float32))
    # fields of 7 entries two apart: every fourth position is free, 16 colours of two channels
    assert flow.packing(target).start.shape == (32, 1, 8, 8, 2)
    assert flow.packing(flow.program.end) is None  # every output reads every entry


THREATS = [LpBall(0.1), LpBall(0.6, 2), LpBall(0.2, clip=(0.0, 1.0)), LpBall(0.6, 2, (0.0, 1.0))]


@pytest.mark.long
@pytest.mark.parametrize("threat", THREATS, ids=["linf", "l2", "linf clipped", "l2 clipped"])
def test_bounds_with_shared_rows_are_those_of_each_neuron_alone(threat, monkeypatch):
    with jax.enable_x64(True):
        p = small.strided_params(1)
        x = np.random.default_rng(2).uniform(size=(2, 16, 16, 1))
        for method in ("crown", "coap"):
            shared = rb.activation_bounds(small.strided, p, x, threat, method=method)
            jax.clear_caches()
            with monkeypatch.context() as m:
                m.setattr(Flow, "packing", lambda *_: None)
                alone = rb.activation_bounds(small.strided, p, x, threat, method=method)
            jax.clear_caches()
            for a, b in zip(shared.lower + shared.upper, alone.lower + alone.upper, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.long
def test_gradients_through_shared_rows_are_those_of_each_neuron_alone(monkeypatch):
    from theorylab.robustness.objectives import Batch, Moment, Recipe, objective

    x, y = np.random.default_rng(2).uniform(size=(3, 16, 16, 1)), jnp.array([0, 1, 2])

    def slopes(p):
        def loss(p):
            moment = Moment(0.1, 0.1, 1.0, jax.random.key(0))
            batch = Batch(small.strided, p, jnp.asarray(x), y, LpBall(0.1), moment)
            return objective(Recipe("coap"), batch).mean()

        return jax.grad(loss)(p)

    with jax.enable_x64(True):
        p = small.strided_params(3)
        shared = slopes(p)
        monkeypatch.setattr(Flow, "packing", lambda *_: None)
        alone = slopes(p)
        for name, expected in alone.items():
            np.testing.assert_allclose(shared[name], expected, atol=1e-10)


@pytest.mark.long
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 3))
def test_what_neurons_add_to_a_shared_row_comes_back_to_each(seed, reach, channels):
    """Neurons on a line, each with `channels` at a place and a field `reach` long: random numbers
    inside the fields, added up in the shared rows, and summed over each field again."""
    rng = np.random.default_rng(seed)
    places = 20
    at = np.repeat(np.arange(places), channels)
    field = np.abs(np.arange(places) - at[:, None]) < reach
    field = np.repeat(field[..., None], 2, 2)  # all or nothing along the last axis
    found = packing.packed({7: field}, (places, channels))
    numbers = np.where(field, rng.standard_normal(field.shape), 0).astype(np.float32)
    row = found.start.reshape(len(found.start), -1).argmax(0)
    rows = np.zeros((len(found.start), places, 2), np.float32)
    np.add.at(rows, row, numbers)
    total = found.fields[7].total(jnp.asarray(rows))
    np.testing.assert_allclose(total, numbers.sum((1, 2)), atol=1e-5)
    assert len(found.start) <= channels * (2 * reach - 1)


@pytest.mark.long
@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(4, 9)
)
def test_a_wide_matrix_is_the_convolution(channels, stride, padding, taps, size):
    taps += 2
    rng = np.random.default_rng(channels + 10 * size)
    with jax.enable_x64(True):
        w = jnp.asarray(rng.standard_normal((taps, taps, channels, 3)))

        def f(w, x):
            return jax.nn.relu(small.convolve(x, w, stride, padding)).reshape(len(x), -1)

        shape = (size, size + 1, channels)
        program = read(f, w, shape)
        (step,) = [s for s in program.steps if s.name == "conv_general_dilated"]
        if step.wide is None:
            assert channels > 4 and stride == 1
            return
        value = program.constants_at(w)
        x = jnp.asarray(rng.standard_normal((1, *shape)))
        weights = {"full": w, "linear": w, "absolute": jnp.abs(w), "square": jnp.square(w)}
        for mode, expected in weights.items():
            expected = small.convolve(x, expected, stride, padding)
            np.testing.assert_allclose(step.wide(mode, [x], value), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("stride", "padding", "taps"), [(1, 1, 3), (2, 1, 4), (3, 0, 2), (2, 2, 3)]
)
@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("order", ["NHWC", "NCHW"])
def test_rows_pass_a_convolution_backward_as_its_transpose_has_them(
    order, channels, stride, padding, taps
):
    """Against the dense matrix of the convolution, from its values at unit images."""
    rng = np.random.default_rng(taps)
    with jax.enable_x64(True):
        w = jnp.asarray(rng.standard_normal((taps, taps, channels, 3)))

        def f(w, x):
            x = jax.lax.conv_general_dilated(
                x, w, (stride, stride), [(padding, padding)] * 2, None, None, (order, "HWIO", order)
            )
            return jax.nn.relu(x).reshape(len(x), -1)

        shape = (7, 6, channels) if order == "NHWC" else (channels, 7, 6)
        program = read(f, w, shape)
        (step,) = [s for s in program.steps if s.name == "conv_general_dilated"]
        value = program.constants_at(w)
        size = int(np.prod(shape))
        units = np.eye(size).reshape(size, 1, *shape)
        images = jax.vmap(lambda x: step.apply("linear", [x], value))(units)
        rows = rng.standard_normal((4, *images.shape[1:]))
        expected = rows.reshape(4, -1) @ np.asarray(images).reshape(size, -1).T
        found = step.back(jnp.asarray(rows), value)
        np.testing.assert_allclose(found.reshape(4, -1), expected, atol=1e-12)
