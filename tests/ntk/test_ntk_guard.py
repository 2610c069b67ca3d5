"""Networks whose kernel is not defined pair by pair are refused with the reason."""

import itertools

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.ntk import empirical_ntk, linearize

X = jax.random.normal(jax.random.key(0), (4, 3))


def test_normalisation_by_the_statistics_of_the_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="couples the samples"):
        empirical_ntk(lambda w, x: (x @ w - (x @ w).mean(0)) / (x @ w).std(0), jnp.ones((3, 2)), X)


def test_flax_batch_norm_in_training_mode_is_refused_and_in_evaluation_mode_is_not() -> None:
    class Net(nnx.Module):
        def __init__(self, training: bool):
            self.dense = nnx.Linear(3, 3, rngs=nnx.Rngs(0))
            self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0), use_running_average=not training)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.norm(self.dense(x))

    def kernel(training: bool) -> object:
        graph, params, rest = nnx.split(Net(training), nnx.Param, ...)
        return empirical_ntk(lambda p, x: nnx.merge(graph, p, rest)(x), params, X)

    assert kernel(False).shape == (4, 4)
    with pytest.raises(ValueError, match="evaluation mode"):
        kernel(True)


def test_dropout_is_refused() -> None:
    def f(w: jax.Array, x: jax.Array) -> jax.Array:
        return (x * jax.random.bernoulli(jax.random.key(1), 0.5, x.shape)) @ w

    with pytest.raises(ValueError, match="couples the samples"):
        empirical_ntk(f, jnp.ones((3, 2)), X)


def test_function_that_answers_differently_each_call_is_refused() -> None:
    calls = itertools.count(1)
    with pytest.raises(ValueError, match="two calls on the same data differ"):
        empirical_ntk(lambda w, x: next(calls) * (x @ w), jnp.ones((3, 2)), X)


def test_one_sample_is_its_own_batch() -> None:
    assert empirical_ntk(lambda w, x: x @ w, jnp.ones((3, 2)), X[:1]).shape == (1, 1)


@pytest.mark.parametrize("where", ["params", "x"])
def test_non_finite_inputs_are_refused(where: str) -> None:
    w, x = jnp.ones((3, 2)), X
    w, x = (w.at[0, 0].set(jnp.nan), x) if where == "params" else (w, x.at[3, 1].set(jnp.inf))
    with pytest.raises(ValueError, match="non-finite"):
        empirical_ntk(lambda w, x: jnp.tanh(x @ w) * (x @ w), w, x)


def test_an_expansion_where_there_is_no_derivative_is_refused() -> None:
    """The root at 0: the value is finite, its first-order change is not."""
    linear = linearize(lambda w, x: jnp.sqrt(jnp.abs(x @ w)), jnp.zeros((3, 2)))
    with pytest.raises(ValueError, match="the linearised f has non-finite entries"):
        linear(jnp.ones((3, 2)), X)


def test_what_f_cannot_be_called_with_is_named_with_its_shapes() -> None:
    with pytest.raises(InputError, match=r"called with params \(2, 5\) and x1 \(4, 3\)"):
        empirical_ntk(lambda w, x: x @ w, jnp.ones((2, 5)), X)
