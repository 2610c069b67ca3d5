import jax.numpy as jnp
import numpy as np
import scipy.special

from theorylab.nets import accuracy, cross_entropy, mse

Z = np.random.default_rng(0).normal(size=(4, 3))
Y = np.array([0, 2, 1, 2])


def test_cross_entropy_is_scipys_log_softmax_at_the_label():
    expected = -scipy.special.log_softmax(Z, 1)[np.arange(4), Y]
    np.testing.assert_allclose(cross_entropy(jnp.asarray(Z), jnp.asarray(Y)), expected, rtol=1e-5)
    np.testing.assert_allclose(
        cross_entropy(jnp.asarray(Z), jnp.asarray(np.eye(3)[Y])), expected, rtol=1e-5
    )


def test_mse_one_hot_encodes_labels_and_takes_numbers():
    expected = ((Z - np.eye(3)[Y]) ** 2).mean(1)
    np.testing.assert_allclose(mse(jnp.asarray(Z), jnp.asarray(Y)), expected, rtol=1e-5)
    np.testing.assert_allclose(mse(jnp.asarray(Z), jnp.asarray(np.eye(3)[Y])), expected, rtol=1e-5)
    np.testing.assert_allclose(
        mse(jnp.asarray(Z[:, :1]), jnp.asarray(Z[:, 1])), (Z[:, 0] - Z[:, 1]) ** 2, rtol=1e-5
    )


def test_accuracy_counts_hits():
    outputs = jnp.asarray(np.eye(3)[[0, 1, 1, 2]])
    np.testing.assert_array_equal(accuracy(outputs, jnp.asarray(Y)), [1, 0, 1, 1])
    np.testing.assert_array_equal(accuracy(outputs, jnp.asarray(np.eye(3)[Y])), [1, 0, 1, 1])
