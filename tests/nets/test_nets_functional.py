import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

from theorylab.errors import InputError
from theorylab.nets import CNN, MLP, count_parameters, functional, functional_train, predict


class Foreign(nnx.Module):
    """What another library's user might bring: shared layers, batch norm, dropout."""

    def __init__(self, rngs):
        self.first = nnx.Linear(3, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.5, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.middle = nnx.Linear(4, 4, rngs=rngs)
        self.again = self.middle

    def __call__(self, x):
        h = self.dropout(self.norm(self.first(x)))
        return self.again(jnp.tanh(self.middle(h)))


X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def test_params_are_the_parameters_alone_and_shared_ones_once():
    f, params = functional(Foreign(nnx.Rngs(0)))
    assert ravel_pytree(params)[0].size == count_parameters(params) == 3 * 4 + 4 + 8 + 4 * 4 + 4
    assert f(params, X).shape == (6, 4)


def test_function_is_pure_and_the_module_unchanged():
    model = Foreign(nnx.Rngs(0))
    before = jax.tree.map(jnp.copy, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    f, params = functional(model)
    a = f(params, X)
    np.testing.assert_array_equal(a, f(params, X))
    # running statistics: no interaction
    np.testing.assert_allclose(a[:2], f(params, X[:2]), rtol=1e-5, atol=1e-6)
    assert not model.norm.use_running_average
    jax.tree.map(
        np.testing.assert_array_equal, before, nnx.to_pure_dict(nnx.state(model, nnx.Param))
    )


@pytest.mark.long
def test_gradient_is_the_finite_difference_in_float64():
    with jax.enable_x64(True):
        f, params = functional(MLP((3, 4, 2), activation=jnp.tanh, rngs=nnx.Rngs(0)))
        theta, unravel = ravel_pytree(jax.tree.map(lambda a: a.astype(jnp.float64), params))
        x = X.astype(np.float64)
        value = lambda t: f(unravel(t), x).sum()  # noqa: E731
        direction = jnp.cos(jnp.arange(theta.size))
        h = 1e-5
        difference = (value(theta + h * direction) - value(theta - h * direction)) / (2 * h)
        # central difference: error h^2 f''' / 6 plus rounding 1e-16 / h
        assert abs(jax.grad(value)(theta) @ direction - difference) < 1e-8


def test_per_sample_gradients_sum_to_the_batch_gradient():
    f, params = functional(CNN((5, 5, 1), 2, channels=(2,), hidden=(), rngs=nnx.Rngs(0)))
    x = np.random.default_rng(1).normal(size=(3, 5, 5, 1)).astype(np.float32)
    each = jax.jit(jax.vmap(jax.grad(lambda p, x: f(p, x[None]).sum()), (None, 0)))(params, x)
    whole = jax.grad(lambda p: f(p, x).sum())(params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a.sum(0), b, rtol=1e-4, atol=1e-5), each, whole
    )


def test_method_chooses_what_is_called():
    model = MLP((3, 5, 2), rngs=nnx.Rngs(0))
    features, params = functional(model, method="features")
    np.testing.assert_allclose(features(params, X), model.features(X))


def test_training_form_normalises_by_the_batch_and_advances_its_state():
    model = Foreign(nnx.Rngs(0))
    model.dropout.rate = 0.0
    apply, params, state = functional_train(model)
    _, new = jax.jit(apply)(params, state, X)
    z = X @ np.asarray(params["first"]["kernel"]) + np.asarray(params["first"]["bias"])
    np.testing.assert_allclose(new["norm"]["mean"], 0.5 * z.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(new["norm"]["var"], 0.5 + 0.5 * z.var(0), rtol=1e-4)
    assert jax.tree.structure(new) == jax.tree.structure(state)


@pytest.mark.parametrize("n", [0, 1, 4, 10])
def test_prediction_in_batches_is_prediction_at_once(n):
    f, params = functional(MLP((3, 2), rngs=nnx.Rngs(0)))
    x = np.resize(X, (n, 3))
    np.testing.assert_allclose(predict(f, params, x, batch_size=4), f(params, x), rtol=1e-6)


def test_batch_size_zero_is_refused():
    with pytest.raises(InputError, match="batch_size"):
        predict(lambda p, x: x, {}, X, batch_size=0)
