import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.federated import pad_clients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 2)).astype(np.float32)
Y = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
PARTS = [np.array([0, 3, 6]), np.array([1, 4, 5, 7, 8, 9]), np.array([2])]


def test_every_client_gets_its_own_examples_back():
    data = pad_clients(X, Y, PARTS)
    assert data.x.shape == (3, 6, 2)
    assert data.counts.tolist() == [3, 6, 1]
    for i, part in enumerate(PARTS):
        x, y = data.client(i)
        np.testing.assert_array_equal(x, X[part])
        np.testing.assert_array_equal(y, Y[part])
    # the padding holds copies of the client's own examples
    np.testing.assert_array_equal(data.x[0, 3:], X[PARTS[0]])
    np.testing.assert_array_equal(data.x[2], np.tile(X[2], (6, 1)))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("size", [0.3, 0.6, 0.1]), ("uniform", [1 / 3] * 3), ([1, 2, 1], [0.25, 0.5, 0.25])],
)
def test_weights_sum_to_one(weights, expected):
    np.testing.assert_allclose(
        pad_clients(X, Y, PARTS, weights=weights).weights, expected, rtol=1e-6
    )


def test_pooled_data_hold_every_example_once():
    pooled = pad_clients(X, Y, PARTS).pooled()
    assert pooled.n_clients == 1
    np.testing.assert_array_equal(np.sort(pooled.x[0], 0), np.sort(X, 0))
    assert pooled.mask.all()


def test_client_data_are_a_pytree_and_go_through_jit():
    data = pad_clients({"a": X, "b": X[:, 0]}, Y, PARTS)
    few = jax.jit(lambda d: d.take(jnp.array([2, 0])))(data)
    assert few.counts.tolist() == [1, 3]
    np.testing.assert_array_equal(few.x["b"][1, :3], X[PARTS[0], 0])


def nan_at(row):
    x = X.copy()
    x[row, 1] = np.nan
    return x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pad_clients(nan_at(4), Y, PARTS), "NaN or infinite entries at client 1"),
        (
            lambda: pad_clients(X, Y, [PARTS[0], np.array([], int)]),
            "client 1 has shape .* is empty",
        ),
        (lambda: pad_clients(X, Y, [np.array([0, 3])]), "class 2 is held by none of the 1 clients"),
        (lambda: pad_clients(X, Y, [np.array([0, 10])]), "client 0 has indices 0 to 10, 0 to 9"),
        (lambda: pad_clients(X, Y, [np.array([0.5])]), "client 0 has float64"),
        (lambda: pad_clients(X, Y[:5], PARTS), "the same leading axis"),
        (lambda: pad_clients(X, Y, []), "no clients given"),
        (lambda: pad_clients(X, Y, PARTS, weights=[1, 1]), r"weights has shape \(2,\)"),
        (lambda: pad_clients(X, Y, PARTS, weights=[1, 0, 1]), "weights holds 0"),
        (lambda: pad_clients(X, Y, PARTS, weights="equal"), "'equal' given"),
    ],
)
def test_bad_clients_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_missing_class_can_be_accepted():
    assert pad_clients(X, Y, [np.array([0, 3])], allow_missing=True).n_clients == 1


def test_examples_beyond_the_floating_type_are_refused_by_name():
    x, parts = np.full((4, 1), 1e160), [np.array([0, 1]), np.array([2, 3])]
    with pytest.raises(InputError, match=r"^x holds 1e\+160"):
        pad_clients(x, np.array([0, 1, 0, 1]), parts)
