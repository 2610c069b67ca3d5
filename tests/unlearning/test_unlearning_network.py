import jax
import numpy as np
import pytest

from theorylab import unlearning as u
from theorylab.errors import InputError
from theorylab.nets import count_parameters
from theorylab.nets.resnet9 import ResNet9

KEY = jax.random.key(19)


def test_layers_come_in_the_order_of_the_forward_pass(mlp, small_resnet, linear):
    assert mlp.layers == (("layers", 0), ("layers", 1), ("layers", 2))
    names = ("conv1", "conv2", "res1", "conv3", "res2", "conv4", "fc")
    assert small_resnet.layers == tuple((name,) for name in names)
    assert linear.layers == (("b",), ("w",))


@pytest.mark.long
def test_a_network_is_the_module_it_was_made_of():
    from flax import nnx

    module = ResNet9(5, width=2, rngs=nnx.Rngs(KEY))
    net = u.network(lambda rngs: ResNet9(5, width=2, rngs=rngs))
    x = jax.random.normal(KEY, (3, 16, 16, 3))
    module.eval()
    np.testing.assert_allclose(net.logits(net.init(KEY), x), module(x), rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_training_mode_updates_statistics_of_the_trained_layers_alone(small_resnet):
    model = small_resnet.init(KEY)
    x = jax.random.normal(KEY, (6, 12, 12, 1)) + 1
    _, state = small_resnet.apply(2)(model.params, model.state, x)
    moved = {
        name: any(
            not np.array_equal(a, b)
            for a, b in zip(
                jax.tree.leaves(state[name]), jax.tree.leaves(model.state[name]), strict=True
            )
        )
        for name in state
    }
    assert {name for name, it in moved.items() if it} == {"conv4"}


def test_many_models_are_initialised_at_once(mlp):
    keys = jax.random.split(KEY, 3)
    together = jax.vmap(mlp.init)(keys)
    for i in range(3):
        alone = mlp.init(keys[i])
        jax.tree.map(lambda a, b, i=i: np.testing.assert_array_equal(a[i], b), together, alone)


@pytest.mark.parametrize("k", [0, 4, 1.5])
def test_more_layers_than_there_are_are_refused(mlp, k):
    with pytest.raises(InputError, match="layers"):
        mlp.last(k)


@pytest.mark.parametrize("width, classes, channels", [(64, 10, 3), (4, 7, 1)])
def test_the_parameters_of_a_resnet9_are_counted_by_hand(width, classes, channels):
    from flax import nnx

    w = width
    convolutions = [(channels, w, 3), (w, 2 * w, 5), *[(2 * w, 2 * w, 3)] * 2]
    convolutions += [(2 * w, 4 * w, 3), *[(4 * w, 4 * w, 3)] * 2, (4 * w, 2 * w, 3)]
    total = sum(i * o * k * k + 3 * o for i, o, k in convolutions) + 2 * w * classes
    made = nnx.eval_shape(lambda: ResNet9(classes, in_channels=channels, width=w, rngs=nnx.Rngs(0)))
    assert count_parameters(nnx.to_pure_dict(nnx.state(made, nnx.Param))) == total
    if width == 64:
        assert total == 2_276_224


def test_the_residual_pairs_add_their_input():
    from flax import nnx

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
