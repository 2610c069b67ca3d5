import numpy as np
import pytest
import scipy.signal
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import CNN, count_parameters, functional


def test_default_network_has_the_published_parameter_count():
    # 80 + 1168 + 4640 + (4*4*32*64 + 64) + 65, the small Fashion-MNIST network of the TCT
    # experiments
    assert count_parameters(nnx.eval_shape(lambda: CNN((28, 28, 1), 1, rngs=nnx.Rngs(0)))) == 38_785


@pytest.mark.parametrize("pool", [None, "max", "avg"])
def test_forward_pass_is_scipys_correlation(pool):
    model = CNN(
        (6, 6, 2), 3, channels=(4,), strides=1, pool=pool, head="mean", hidden=(), rngs=nnx.Rngs(0)
    )
    f, params = functional(model)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)
    kernel = np.asarray(params["convs"][0]["kernel"], float)
    y = np.zeros((2, 6, 6, 4))
    for n in range(2):
        for o in range(4):
            y[n, :, :, o] = sum(
                scipy.signal.correlate(x[n, :, :, i], kernel[:, :, i, o], "same") for i in range(2)
            )
    y = np.maximum(y, 0)
    if pool:
        windows = y.reshape(2, 3, 2, 3, 2, 4)
        y = windows.max((2, 4)) if pool == "max" else windows.mean((2, 4))
    expected = y.mean((1, 2)) @ np.asarray(params["dense"][0]["kernel"])
    np.testing.assert_allclose(f(params, x), expected, rtol=2e-5, atol=1e-5)


@pytest.mark.long
def test_layers_take_their_own_kernel_and_stride():
    # the certified-training network: 4x4 kernels with stride 2 and one zero on every side halve the
    # image
    model = CNN(
        (28, 28, 1),
        10,
        channels=(4, 4, 8, 8),
        kernel_size=(3, 4, 3, 4),
        strides=(1, 2, 1, 2),
        padding=1,
        hidden=(9,),
        rngs=nnx.Rngs(0),
    )
    x = np.ones((2, 28, 28, 1), np.float32)
    shapes = [
        nnx.eval_shape(call, model, x).shape for call in (CNN.convolve, CNN.features, CNN.__call__)
    ]
    assert shapes == [(2, 7, 7, 8), (2, 9), (2, 10)]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"channels": (4, 4), "strides": (1, 2, 1)}, "strides: 3 values given for 2 layers"),
        ({"pool": "sum"}, "pool"),
        ({"head": "sum"}, "head"),
        ({"input_shape": (28, 28)}, "input_shape"),
        ({"input_shape": (4, 4, 1), "padding": "VALID"}, "nothing is left"),
        ({"num_outputs": 0}, "num_outputs"),
    ],
)
def test_bad_options_are_named(options, word):
    with pytest.raises(InputError, match=word):
        CNN(**{"input_shape": (8, 8, 1), "num_outputs": 2, "rngs": nnx.Rngs(0)} | options)


def test_missing_channel_axis_is_told_how_to_mend():
    with pytest.raises(InputError, match=r"x\[\.\.\., None\]"):
        CNN((8, 8, 1), 2, rngs=nnx.Rngs(0))(np.ones((3, 8, 8), np.float32))
