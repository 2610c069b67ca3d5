import jax
import numpy as np
import pytest

from theorylab import unlearning as u
from theorylab.errors import InputError
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


def test_layers_of_a_dictionary_come_in_its_order():
    def init(key):
        return {"stem": key[:1], "layer2": key[:1], "layer10": key[:1], "head": key[:1]}

    made = u.of_function(lambda p, x: x, lambda key: init(jax.random.normal(key, (2,))))
    assert made.layers == (("stem",), ("layer2",), ("layer10",), ("head",))
    assert made.last(2) == (("layer10",), ("head",))
    assert list(made.init(KEY).params) == ["stem", "layer2", "layer10", "head"]
