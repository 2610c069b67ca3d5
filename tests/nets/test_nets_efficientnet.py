import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import DataError, InputError
from theorylab.nets import (
    EfficientNetLite0,
    count_parameters,
    efficientnet_inputs,
    functional,
    load_efficientnet_lite0,
    predict,
)
from theorylab.nets.efficientnet import STAGES

pytestmark = pytest.mark.long  # the network is compiled for all of them


def random_weights():
    """A state dict with the published names and shapes (OIHW), scaled so that activations stay of
    order one."""
    rng = np.random.default_rng(0)
    weights = {}

    def conv(name, *shape):
        weights[f"{name}.weight"] = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(
            np.float32
        )

    def norm(name, c):
        for part, low, high in (
            ("weight", 0.8, 1.2),
            ("bias", -0.2, 1),
            ("running_mean", -0.3, 0.3),
            ("running_var", 0.4, 1),
        ):
            weights[f"{name}.{part}"] = rng.uniform(low, high, c).astype(np.float32)

    conv("_conv_stem", 32, 3, 3, 3)
    norm("_bn0", 32)
    index = 0
    for repeats, k, _, expansion, i, o in STAGES:
        for repeat in range(repeats):
            c = o if repeat else i
            name, wide = f"_blocks.{index}", c * expansion
            if expansion > 1:
                conv(f"{name}._expand_conv", wide, c, 1, 1)
                norm(f"{name}._bn0", wide)
            conv(f"{name}._depthwise_conv", wide, 1, k, k)
            norm(f"{name}._bn1", wide)
            conv(f"{name}._project_conv", o, wide, 1, 1)
            norm(f"{name}._bn2", o)
            index += 1
    conv("_conv_head", 1280, 320, 1, 1)
    norm("_bn1", 1280)
    weights["_fc.weight"] = rng.normal(0, 0.03, (1000, 1280)).astype(np.float32)
    weights["_fc.bias"] = rng.normal(0, 1, 1000).astype(np.float32)
    return weights


WEIGHTS = random_weights()


def reference(w, x):
    """The network straight from the published tensors: OIHW grouped convolutions and the batch-norm
    formula."""

    def conv(x, name, stride=1, groups=1):
        numbers = ("NHWC", "OIHW", "NHWC")
        k = jnp.asarray(w[f"{name}.weight"])
        return jax.lax.conv_general_dilated(
            x, k, (stride, stride), "SAME", dimension_numbers=numbers, feature_group_count=groups
        )

    def norm(x, name):
        mean, var, scale, bias = (
            w[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / jnp.sqrt(var + 1e-3) * scale + bias

    x = jnp.clip(norm(conv(x, "_conv_stem", 2), "_bn0"), 0, 6)
    index = 0
    for repeats, _, stride, expansion, _, _ in STAGES:
        for repeat in range(repeats):
            name, y = f"_blocks.{index}", x
            if expansion > 1:
                y = jnp.clip(norm(conv(y, f"{name}._expand_conv"), f"{name}._bn0"), 0, 6)
            y = conv(y, f"{name}._depthwise_conv", 1 if repeat else stride, y.shape[-1])
            y = norm(
                conv(jnp.clip(norm(y, f"{name}._bn1"), 0, 6), f"{name}._project_conv"),
                f"{name}._bn2",
            )
            x = x + y if repeat else y
            index += 1
    x = jnp.clip(norm(conv(x, "_conv_head"), "_bn1"), 0, 6).mean((1, 2))
    return x @ w["_fc.weight"].T + w["_fc.bias"]


@pytest.mark.parametrize(
    ("outputs", "count"), [(1000, 4_652_008), (1, 3_372_289), (None, 3_371_008)]
)
def test_parameter_count_is_the_published_one(outputs, count):
    assert (
        count_parameters(nnx.eval_shape(lambda: EfficientNetLite0(outputs, rngs=nnx.Rngs(0))))
        == count
    )


def test_loaded_network_is_the_reference_on_its_published_tensors():
    f, params = functional(
        load_efficientnet_lite0(
            pretrained=WEIGHTS, num_outputs=1000, lowering="grouped", rngs=nnx.Rngs(0)
        )
    )
    x = np.random.default_rng(1).normal(size=(2, 17, 20, 3)).astype(np.float32)
    expected = jax.jit(lambda x: reference(WEIGHTS, x))(x)
    # the image matters, not the bias alone
    assert float(jnp.std(expected - WEIGHTS["_fc.bias"])) > 0.1
    np.testing.assert_allclose(jax.jit(f)(params, x), expected, rtol=1e-3, atol=1e-3)


def test_fresh_head_and_features_share_the_pretrained_body():
    one = load_efficientnet_lite0(pretrained=WEIGHTS, num_outputs=1, rngs=nnx.Rngs(0))
    none = load_efficientnet_lite0(pretrained=WEIGHTS, num_outputs=None, rngs=nnx.Rngs(1))
    kernel = np.asarray(one.fc.kernel[...])
    assert kernel.shape == (1280, 1)
    assert none.fc is None
    # PyTorch's law: uniform on +-1/sqrt(1280), variance 1/(3 1280); 5 standard errors of the
    # variance of 1280 draws
    assert np.abs(kernel).max() <= 1280**-0.5
    assert abs(kernel.var() * 3 * 1280 - 1) < 5 * np.sqrt(0.8 / 1280)
    np.testing.assert_array_equal(one.conv_head.kernel[...], none.conv_head.kernel[...])
    np.testing.assert_array_equal(
        none.conv_head.kernel[...], WEIGHTS["_conv_head.weight"][:, :, 0, 0].T
    )
    assert one.bn0.use_running_average


def test_reinitialised_network_has_unit_statistics():
    model = load_efficientnet_lite0(pretrained=False, rngs=nnx.Rngs(0))
    for _, variable in nnx.to_flat_state(nnx.state(model, nnx.BatchStat)):
        assert float(variable[...].min()) == float(variable[...].max()) in (0.0, 1.0)


def test_missing_and_misshapen_tensors_are_named():
    with pytest.raises(InputError, match=r"_blocks\.3\._bn1\.bias.*missing"):
        load_efficientnet_lite0(
            pretrained={k: v for k, v in WEIGHTS.items() if k != "_blocks.3._bn1.bias"},
            rngs=nnx.Rngs(0),
        )
    with pytest.raises(InputError, match=r"_conv_stem\.weight.*shape"):
        load_efficientnet_lite0(
            pretrained=WEIGHTS | {"_conv_stem.weight": np.zeros((32, 1, 3, 3), np.float32)},
            rngs=nnx.Rngs(0),
        )


def test_inputs_are_scaled_greys_repeated_and_sizes_changed():
    grey = np.array([[[127, 255], [-1, 127]]])
    x = efficientnet_inputs(grey)
    assert x.shape == (1, 2, 2, 3)
    np.testing.assert_allclose(x[0, :, :, 2], [[0, 1], [-1, 0]])
    flat = efficientnet_inputs(np.full((1, 4, 4, 3), 191, np.uint8), size=9)
    np.testing.assert_allclose(flat, np.full((1, 9, 9, 3), 0.5), atol=1e-5)
    with pytest.raises(InputError, match="images"):
        efficientnet_inputs(np.zeros((2, 4, 4, 1)))


def real(name):
    data = pytest.importorskip("theorylab.data")
    try:
        return data.pretrained("efficientnet_lite0"), data.load(name)
    except DataError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_pretrained_stem_agrees_with_its_own_statistics_on_cifar10():
    weights, cifar = real("cifar10")
    f, params = functional(
        load_efficientnet_lite0(num_outputs=None, rngs=nnx.Rngs(0)), method="stem"
    )
    y = np.asarray(predict(f, params, efficientnet_inputs(cifar.x_train[:500])))
    # per-channel variances hardly depend on the brightness of the images, the means do (.94 on all
    # of CIFAR-10)
    log_variance = np.log(y.var((0, 1, 2)) + 1e-6), np.log(weights["_bn0.running_var"] + 1e-6)
    assert np.corrcoef(*log_variance)[0, 1] > 0.99
    assert np.corrcoef(y.mean((0, 1, 2)), weights["_bn0.running_mean"])[0, 1] > 0.85


@pytest.mark.slow
def test_pretrained_network_names_cifar10_objects():
    _, cifar = real("cifar10")
    f, params = functional(load_efficientnet_lite0(num_outputs=1000, rngs=nnx.Rngs(0)))
    # airliner, warplane: 2 of 1,000 classes; measured .22 on enlarged airplanes, so 60 images give
    # at least 6 of them (binomial, 2.5 standard deviations) where chance gives .1 of an image
    images = cifar.x_test[np.asarray(cifar.y_test) == 0][:60]
    top = np.asarray(
        predict(lambda p, x: f(p, efficientnet_inputs(x, size=96)), params, images)
    ).argmax(1)
    assert np.isin(top, (404, 895)).sum() >= 6
