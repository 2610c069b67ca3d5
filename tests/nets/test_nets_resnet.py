import jax
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import ResNet, count_parameters, functional


@pytest.mark.long
@pytest.mark.parametrize(
    ("depth", "outputs", "stem", "count"),
    [
        (14, 10, "cifar", 172_506),  # Yu et al. 2022, TCT: small_resnet14
        (14, 1, "cifar", 171_921),
        (20, 10, "cifar", 269_722),  # He et al. 2016, table 6: .27 M
        (18, 10, "cifar", 11_173_962),
        # torchvision resnet18 with one output (Wei, Hu, Steinhardt 2022)
        (18, 1, "imagenet", 11_177_025),
        (34, 1000, "imagenet", 21_797_672),  # torchvision resnet34
    ],
)
def test_parameter_count_is_the_published_one(depth, outputs, stem, count):
    assert (
        count_parameters(
            nnx.eval_shape(lambda: ResNet(depth, outputs, stem=stem, rngs=nnx.Rngs(0)))
        )
        == count
    )


@pytest.mark.long
@pytest.mark.parametrize("norm", ["batch", "group", None])
def test_samples_do_not_interact_in_eval_mode(norm):
    f, params = functional(ResNet(8, 3, in_channels=1, width=4, norm=norm, rngs=nnx.Rngs(0)))
    f = jax.jit(f)
    x = np.random.default_rng(0).normal(size=(4, 9, 7, 1)).astype(np.float32)
    other = np.concatenate([x[:1], 7 * x[1:]])
    a, b = f(params, x), f(params, other)
    np.testing.assert_allclose(a[:1], b[:1], rtol=1e-4, atol=1e-5)
    assert a.shape == (4, 3)
    assert not np.allclose(a[1:], b[1:])


@pytest.mark.long
def test_fresh_batch_norm_in_eval_mode_is_the_identity_up_to_epsilon():
    batch = ResNet(8, 3, in_channels=1, width=4, norm="batch", rngs=nnx.Rngs(0))
    plain = ResNet(8, 3, in_channels=1, width=4, norm=None, rngs=nnx.Rngs(0))
    for block in plain.blocks:
        block.branch_scale = 1.0  # without a norm the branches are scaled by 1 / sqrt(blocks)
    kernels = {
        path: v
        for path, v in nnx.to_flat_state(nnx.state(batch, nnx.Param))
        if path[-1] == "kernel"
    }
    for path, variable in nnx.to_flat_state(nnx.state(plain, nnx.Param)):
        variable[...] = kernels[path][...] if path in kernels else 0 * variable[...]
    plain.head.bias[...] = batch.head.bias[...]
    batch.eval()
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    # seven norms, each a factor (1 + 1e-5)^(-1/2)
    np.testing.assert_allclose(batch(x), plain(x), rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_imagenet_stem_divides_the_size_by_four():
    model = ResNet(8, 2, width=2, stem="imagenet", norm=None, rngs=nnx.Rngs(0))
    assert model.features(np.ones((1, 32, 32, 3), np.float32)).shape == (1, 8)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"depth": 15}, "depth"),
        ({"norm": "layer"}, "norm"),
        ({"stem": "big"}, "stem"),
        ({"width": 0}, "width"),
    ],
)
def test_bad_options_are_named(options, word):
    with pytest.raises(InputError, match=word):
        ResNet(**{"depth": 8, "num_outputs": 2, "rngs": nnx.Rngs(0)} | options)


def test_wrong_number_of_channels_is_named():
    with pytest.raises(InputError, match=r"\(any, any, any, 3\)"):
        ResNet(8, 2, width=2, rngs=nnx.Rngs(0))(np.ones((1, 8, 8, 1), np.float32))
