"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from theorylab import nets
from theorylab.errors import InputError

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.arange(6) % 2
IMAGES = np.random.default_rng(1).uniform(size=(2, 4, 4, 2)).astype(np.float32)
LOGITS = np.array([[0.1, 2.0], [1.0, 0.0]], np.float32)
START = {"w": jnp.zeros((3, 2))}
SGD = optax.sgd(0.1)
KEY = jax.random.key(0)
KERNEL = np.ones((3, 3, 1, 2), np.float32)


def rngs():
    return nnx.Rngs(0)


def linear(params, x):
    return x @ params["w"]


def start_of(rngs):
    return nets.MLP((3, 2), rngs=rngs)


MLP = nets.MLP((3, 4, 2), rngs=rngs())
LAYER = nets.NTKLinear(3, 2, rngs=rngs())
CNN = nets.CNN((4, 4, 2), 2, channels=(2,), hidden=(), rngs=rngs())
RESNET = nets.ResNet(8, 2, in_channels=2, width=2, norm=None, rngs=rngs())
TRANSFORMER = nets.Transformer(5, 4, width=4, depth=1, heads=2, rngs=rngs())
TOKENS = np.array([[0, 1, 2], [4, 3, 0]])
DEPTHWISE = nets.DepthwiseConv(2, 3, 1, rngs=rngs())

CALLS = [
    (
        nets.MLP,
        {
            "widths": (3, 4, 2),
            "activation": jax.nn.relu,
            "bias": True,
            "parametrization": "ntk",
            "w_std": 1.0,
            "b_std": 1.0,
            "dropout": 0.1,
            "rngs": rngs(),
        },
    ),
    (MLP.__call__, {"x": X}),
    (MLP.features, {"x": X}),
    (
        nets.NTKLinear,
        {"in_features": 3, "out_features": 2, "w_std": 1.0, "b_std": 0.5, "rngs": rngs()},
    ),
    (LAYER.__call__, {"x": X}),
    (
        nets.CNN,
        {
            "input_shape": (4, 4, 2),
            "num_outputs": 2,
            "channels": (2, 3),
            "kernel_size": 3,
            "strides": (1, 2),
            "padding": "SAME",
            "pool": None,
            "head": "mean",
            "hidden": (4,),
            "activation": jax.nn.relu,
            "bias": True,
            "rngs": rngs(),
        },
    ),
    (CNN.__call__, {"x": IMAGES}),
    (CNN.features, {"x": IMAGES}),
    (CNN.convolve, {"x": IMAGES}),
    (
        nets.ResNet,
        {
            "depth": 8,
            "num_outputs": 2,
            "in_channels": 2,
            "norm": "group",
            "width": 2,
            "stem": "cifar",
            "rngs": rngs(),
        },
    ),
    (RESNET.__call__, {"x": IMAGES}),
    (RESNET.features, {"x": IMAGES}),
    (nets.ResNet9, {"num_outputs": 2, "in_channels": 2, "width": 2, "rngs": rngs()}),
    (
        nets.Transformer,
        {
            "vocabulary": 5,
            "context": 4,
            "width": 4,
            "depth": 1,
            "heads": 2,
            "mlp_ratio": 2,
            "causal": True,
            "tied": False,
            "positions": "sinusoidal",
            "rngs": rngs(),
        },
    ),
    (TRANSFORMER.__call__, {"tokens": TOKENS, "capture": True}),
    (TRANSFORMER.__call__, {"embeddings": np.ones((2, 3, 4), np.float32)}),
    (TRANSFORMER.embed, {"tokens": TOKENS}),
    (
        nets.DepthwiseConv,
        {"channels": 2, "kernel_size": 3, "stride": 1, "lowering": "auto", "rngs": rngs()},
    ),
    (DEPTHWISE.__call__, {"x": IMAGES}),
    (
        nets.depthwise_conv,
        {"x": IMAGES, "kernel": KERNEL, "strides": 1, "padding": "SAME", "lowering": "shifted"},
    ),
    (
        nets.depthwise_conv,
        {"x": IMAGES, "kernel": KERNEL, "strides": (1, 2), "padding": ((1, 1), (0, 1))},
    ),
    (nets.efficientnet_inputs, {"images": 255 * IMAGES[..., 0], "size": 5}),
    (nets.functional, {"model": MLP, "method": "features"}),
    (nets.functional_train, {"model": MLP}),
    (nets.count_parameters, {"params_or_model": MLP}),
    (nets.predict, {"f": linear, "params": START, "x": X, "batch_size": 4}),
    (nets.cross_entropy, {"outputs": LOGITS, "targets": np.array([0, 1])}),
    (
        nets.cross_entropy,
        {"outputs": LOGITS, "targets": np.array([[0.0, 1.0], [0.5, 0.5]], np.float32)},
    ),
    (nets.mse, {"outputs": LOGITS, "targets": LOGITS}),
    (nets.mse, {"outputs": LOGITS, "targets": np.array([0, 1])}),
    (nets.accuracy, {"outputs": LOGITS, "targets": np.array([0, 1])}),
]
EXCUSED = {
    "DivergenceError": "an error",
    "Fit": "a result",
    "EfficientNetLite0": "attacked below",
    "load_efficientnet_lite0": "attacked below",
    "fit": "attacked below",
    "fit_seeds": "attacked below",
}


@pytest.mark.long
def test_malformed_calls_end_in_a_finite_value_or_a_refusal():
    assert bad_input.faults_in(CALLS) == []


def test_every_public_name_is_in_the_table():
    assert bad_input.uncovered(nets, CALLS, EXCUSED) == set()


def train(**options):
    return nets.fit(options.pop("model"), options.pop("data"), **options)


@pytest.mark.long
def test_malformed_training_is_refused():
    options = {
        "optimizer": SGD,
        "batch_size": 3,
        "steps": 2,
        "loss": nets.cross_entropy,
        "augment": lambda key, x: x,
        "eval_data": (X, Y),
        "eval_batch_size": 4,
        "chunk": 1,
        "loop": "device",
        "checkpoint_every": 1,
        "progress": False,
    }
    calls = [
        (
            train,
            {
                "model": linear,
                "data": (X, Y),
                "params": START,
                "key": KEY,
                "weights": np.ones(6, np.float32),
                **options,
            },
        ),
        (
            nets.fit,
            {
                "model": MLP,
                "data": (X, Y),
                "key": KEY,
                "optimizer": SGD,
                "batch_size": 3,
                "epochs": 1,
            },
        ),
        (
            nets.fit_seeds,
            {
                "model": start_of,
                "data": (X, Y),
                "keys": jax.random.split(KEY, 2),
                "optimizer": SGD,
                "batch_size": 3,
                "epochs": 1,
            },
        ),
    ]
    assert bad_input.faults_in(calls) == []


@pytest.mark.long
def test_malformed_efficientnets_are_refused():
    names = {"num_outputs": 2, "lowering": "grouped", "rngs": rngs()}
    load = nets.load_efficientnet_lite0
    skip = {load: ("num_outputs", "rngs")}
    assert bad_input.faults_in([(load, {"pretrained": False, **names})], skip) == []
    for argument, bad in (
        ("num_outputs", 0),
        ("num_outputs", 1.5),
        ("lowering", "fast"),
        ("rngs", 0),
    ):
        with pytest.raises(InputError, match=argument):
            nets.EfficientNetLite0(**{**names, argument: bad})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nets.accuracy(LOGITS, np.array([[0], [1]])), "targets has shape"),
        (lambda: nets.accuracy(LOGITS, np.array([0, 2])), "targets .*holds 2"),
        (lambda: nets.accuracy(LOGITS, np.array([-1, 1])), "targets .*holds -1"),
        (lambda: nets.cross_entropy(LOGITS, np.array([0, 5])), "targets .*holds 5"),
        (lambda: nets.cross_entropy(LOGITS, np.array([0.0, 1.0])), "targets has dtype"),
        (lambda: nets.cross_entropy(LOGITS, np.array([[0, 1], [1, 0]])), "targets has dtype"),
        (lambda: nets.mse(LOGITS, np.array([0.5, 1.0])), "targets .*holds 0.5"),
        (lambda: nets.mse(LOGITS, LOGITS[:, :1]), "targets has shape"),
        (lambda: TRANSFORMER(TOKENS + 1), "tokens holds 5"),
        (lambda: MLP(X * np.nan), "x holds nan"),
        (lambda: nets.MLP((3, 2), dropout=1.5, rngs=rngs()), "dropout = 1.5"),
        (lambda: nets.MLP((3.0, 2), rngs=rngs()), "widths = 3.0"),
        (
            lambda: train(
                model=linear,
                data=(X, Y),
                params=START,
                key=KEY,
                optimizer=SGD,
                batch_size=3,
                steps=1,
                weights=-np.ones(6),
            ),
            "weights holds -1",
        ),
        (
            lambda: train(
                model=linear,
                data=(X, Y),
                params=START,
                key=KEY,
                optimizer=SGD,
                batch_size=3,
                steps=1.9,
            ),
            "steps = 1.9",
        ),
        (
            lambda: train(
                model=MLP,
                data=(X, Y),
                params={"a": jnp.ones(3)},
                key=KEY,
                optimizer=SGD,
                batch_size=3,
                steps=1,
            ),
            "params has 1 arrays",
        ),
    ],
)
def test_what_gave_wrong_numbers_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_masked_class_keeps_its_loss():
    logits = jnp.array([[0.0, -jnp.inf, 0.0]])
    np.testing.assert_allclose(nets.cross_entropy(logits, jnp.array([0])), np.log(2), rtol=1e-6)
