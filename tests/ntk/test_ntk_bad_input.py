"""Every public function of `theorylab.ntk` refuses malformed arguments by name, or gives the right
finite number."""

import shutil

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import ntk
from theorylab.errors import InputError

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
X = RNG.normal(size=(4, 3)).astype(np.float32)
PARAMS = {"w": RNG.normal(size=(3, 2)).astype(np.float32), "b": np.zeros(2, np.float32)}
NETWORK = {"params": PARAMS, "x": X}
K = X @ X.T + np.eye(4)
Y = RNG.normal(size=(4, 2))


def f(params, x):
    return jnp.tanh(x @ params["w"]) + params["b"]


def tiled(**arguments):
    """The kernel in memory, from a folder that holds none yet."""
    shutil.rmtree("kernel", ignore_errors=True)
    return ntk.tiled_ntk(**arguments)[:]


FLOW = ntk.gradient_flow(K, Y, nngp=K, ridge=0.1)
TRAINING = ntk.kernel_training(K, Y, learning_rate=0.05)
OPERATOR = ntk.ntk_operator(f, PARAMS, X)

# Name: valid calls, each a function and its arguments.
CALLS = {
    "GradientFlow": [
        (
            FLOW.predict,
            {
                **{
                    "t": 1.0,
                    "k_test": K[:2],
                    "f_train": 0 * Y,
                    "f_test": Y[:2],
                    "nngp_test": K[:2],
                },
                **{"nngp_test_test": K[:2, :2]},
            },
        )
    ],
    "NTKOperator": [
        (OPERATOR.matvec, {"v": np.ones(8, np.float32)}),
        (OPERATOR.__matmul__, {"v": np.ones(8)}),
    ],
    "convolutions_as_products": [(ntk.convolutions_as_products, {"f": f, "largest": 100})],
    "empirical_ntk": [
        (
            ntk.empirical_ntk,
            {
                **{
                    "f": f,
                    "params": PARAMS,
                    "x1": X,
                    "x2": X,
                    "reduce": "trace",
                    "method": "jacobian",
                },
                **{
                    "memory_gb": 0.1,
                    "mesh": None,
                    "precision": "highest",
                    "dtype": None,
                    "out": None,
                },
                **{"progress": False, "explain": False},
            },
        )
    ],
    "entk_features": [
        (
            ntk.entk_features,
            {
                "f": f,
                **NETWORK,
                "head": "random",
                "coords": np.array([0, 3]),
                "key": KEY,
                "batch_size": 2,
            },
        )
    ],
    "from_neural_tangents": [
        (ntk.from_neural_tangents, {"kernel": np.ones((4, 4, 2, 2)), "output_shape": (2,)})
    ],
    "gradient_flow": [
        (
            ntk.gradient_flow,
            {
                "k_train": K,
                "y": Y,
                "nngp": K,
                "learning_rate": 1.0,
                "ridge": 0.1,
                "mean_loss": False,
            },
        )
    ],
    "KernelTraining": [
        (
            TRAINING.descend,
            {
                **{"steps": np.array([1, 4]), "k_test": K[:2], "momentum": 0.5, "nesterov": True},
                **{"f_train": 0 * Y, "f_test": Y[:2]},
            },
        ),
        (
            TRAINING.flow,
            {
                **{"t": np.array([0.1, 0.5]), "k_test": K[:2], "f_train": 0 * Y, "f_test": Y[:2]},
                **{"tol": 1e-6},
            },
        ),
    ],
    "TilePlan": [
        (ntk.plan_tiles(f, PARAMS, X, tile=2).seconds, {"rate": 1e9, "workers": 2}),
    ],
    "kernel_training": [
        (
            ntk.kernel_training,
            {
                **{"k_train": K, "y": Y, "loss": None, "outputs": 2, "learning_rate": 0.1},
                **{"mean_loss": False},
            },
        )
    ],
    "linearize": [(ntk.linearize, {"f": f, "params": PARAMS})],
    "max_learning_rate": [
        (ntk.max_learning_rate, {"k_train": K, "mean_loss": False, "outputs": 2, "momentum": 0.5})
    ],
    "ntk_operator": [
        (ntk.ntk_operator, {"f": f, **NETWORK, "reduce": "full", "precision": "highest"})
    ],
    "nystrom_features": [
        (
            ntk.nystrom_features,
            {"f": f, **NETWORK, "landmarks": np.array([0, 2]), "rcond": 1e-6, "reduce": "trace"},
        )
    ],
    "plan_tiles": [
        (
            ntk.plan_tiles,
            {"f": f, "params": PARAMS, "x1": X, "x2": X, "tile": 2, "reduce": "trace"},
        )
    ],
    "random_head": [(ntk.random_head, {"f": f, **NETWORK, "key": KEY})],
    "sample_coordinates": [(ntk.sample_coordinates, {"params": PARAMS, "p": 3, "key": KEY})],
    "sketch_ntk": [
        (
            ntk.sketch_ntk,
            {"f": f, **NETWORK, "k": 4, "key": KEY, "kind": "sjlt", "nonzeros": 2, "batch_size": 2},
        )
    ],
    "tiled_ntk": [
        (
            tiled,
            {
                **{"f": f, "params": PARAMS, "x1": X, "x2": X, "out": "kernel", "tile": 3},
                **{"executor": "local", "progress": False, "reduce": "trace", "method": "jacobian"},
                **{"memory_gb": 0.1, "precision": "highest", "dtype": None},
            },
        )
    ],
    "to_neural_tangents": [
        (ntk.to_neural_tangents, {"kernel": np.ones((4, 4, 2, 2)), "output_shape": (2,)})
    ],
}
# Results, which nobody makes by hand, and the package of infinite networks, which has a table of
# its own.
OTHERS = {"Prediction", "Sketch", "infinite"}


def test_every_public_name_is_attacked():
    assert CALLS.keys() | OTHERS == set(ntk.__all__)


@pytest.mark.long
@pytest.mark.parametrize("name", CALLS)
def test_malformed_arguments_are_refused_by_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # out="seven" is a folder
    assert bad_input.faults_in(CALLS[name]) == []


@pytest.mark.parametrize("coords", [[0, 0], [-1, 2], [0, 8], [0.5, 1.0], np.ones(3, bool)])
def test_coordinates_that_are_none_of_the_networks_are_refused(coords):
    """JAX clamps an index that is too large and counts negative ones from the end."""
    with pytest.raises(InputError, match="coords"):
        ntk.entk_features(f, PARAMS, X, coords=np.asarray(coords))


def test_a_mask_of_coordinates_names_its_true_places():
    mask = np.zeros(8, bool)
    mask[[1, 5]] = True
    np.testing.assert_array_equal(
        ntk.entk_features(f, PARAMS, X, coords=mask),
        ntk.entk_features(f, PARAMS, X, coords=np.array([1, 5])),
    )


@pytest.mark.parametrize("landmarks", [[4], [-1], [0.5]])
def test_landmarks_outside_the_data_are_refused(landmarks):
    with pytest.raises(InputError, match="landmarks"):
        ntk.nystrom_features(f, PARAMS, X, np.asarray(landmarks))


def test_a_covariance_with_nan_in_it_is_refused():
    with pytest.raises(InputError, match="nngp holds nan"):
        ntk.gradient_flow(K, Y, nngp=np.where(np.eye(4) == 1, np.nan, K))
