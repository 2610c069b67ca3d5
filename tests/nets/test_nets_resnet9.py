import jax
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import count_parameters
from theorylab.nets.resnet9 import ResNet9

KEY = jax.random.key(19)


@pytest.mark.parametrize("width, classes, channels", [(64, 10, 3), (4, 7, 1)])
def test_the_parameters_of_a_resnet9_are_counted_by_hand(width, classes, channels):
    w = width
    convolutions = [(channels, w, 3), (w, 2 * w, 5), *[(2 * w, 2 * w, 3)] * 2]
    convolutions += [(2 * w, 4 * w, 3), *[(4 * w, 4 * w, 3)] * 2, (4 * w, 2 * w, 3)]
    total = sum(i * o * k * k + 3 * o for i, o, k in convolutions) + 2 * w * classes
    made = nnx.eval_shape(lambda: ResNet9(classes, in_channels=channels, width=w, rngs=nnx.Rngs(0)))
    assert count_parameters(nnx.to_pure_dict(nnx.state(made, nnx.Param))) == total
    if width == 64:
        assert total == 2_276_224


@pytest.mark.long
def test_the_residual_pairs_add_their_input():
    module = ResNet9(3, in_channels=1, width=2, rngs=nnx.Rngs(0))
    module.eval()
    x = jax.random.normal(KEY, (2, 5, 5, 4))
    pair = module.res1
    by_hand = x + pair.second(pair.first(x))
    np.testing.assert_allclose(pair(x), by_hand, rtol=1e-6)
    # CELU with alpha .075 of a convolution by hand at one position
    block = pair.first
    patch = np.asarray(x[0, 1:4, 1:4])
    z = (patch[..., None] * np.asarray(block.conv.kernel[...])).sum((0, 1, 2))
    z = (z + np.asarray(block.conv.bias[...])) / np.sqrt(1 + 1e-5)
    celu = np.maximum(z, 0) + np.minimum(0, 0.075 * (np.exp(z / 0.075) - 1))
    np.testing.assert_allclose(block(x)[0, 2, 2], celu, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side, positions", [(11, 1), (16, 2), (32, 6)])
def test_the_last_convolution_sees_a_quarter_of_the_side(side, positions):
    module = ResNet9(3, in_channels=1, width=2, rngs=nnx.Rngs(0))
    module.eval()
    y = jax.numpy.zeros((1, side, side, 1))
    for block in (module.conv1, module.conv2, module.res1, module.conv3, module.res2, module.conv4):
        y = nnx.eval_shape(lambda m, x: m(x), block, y)
    assert y.shape == (1, positions, positions, 4)


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"num_outputs": 0}, "num_outputs"),
        ({"num_outputs": 3, "in_channels": 0}, "in_channels"),
        ({"num_outputs": 3, "width": 1.5}, "width"),
        ({"num_outputs": "ten"}, "num_outputs"),
    ],
)
def test_impossible_sizes_are_refused_by_name(arguments, named):
    with pytest.raises(InputError, match=named):
        ResNet9(**arguments, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "x", [np.zeros((2, 10, 12, 1), "f"), np.zeros((2, 12, 12), "f"), np.zeros((2, 12, 12, 1), int)]
)
def test_inputs_that_do_not_fit_are_refused(x):
    module = ResNet9(3, in_channels=1, width=2, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="x"):
        module(x)
