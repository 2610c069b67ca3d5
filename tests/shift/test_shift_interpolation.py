import jax
import numpy as np
import optax
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import MLP
from theorylab.shift import train_to_interpolation


def train(labels, max_epochs, **options):
    x = np.random.default_rng(0).normal(size=(16, 30)).astype(np.float32)
    model = MLP((30, 32, 2), rngs=nnx.Rngs(0))
    return x, train_to_interpolation(
        model,
        (x, labels),
        key=jax.random.key(0),
        optimizer=optax.sgd(0.1),
        batch_size=16,
        max_epochs=max_epochs,
        round_epochs=10,
        **options,
    )


@pytest.mark.long
def test_random_labels_are_fitted_and_training_stops_there():
    labels = np.random.default_rng(1).integers(0, 2, 16)
    x, found = train(labels, 2000)
    assert (
        found.interpolates and found.epochs < 2000 and found.epochs == 10 * len(found.train_error)
    )
    assert found.error(x, labels) == 0 and found.error(x, 1 - labels) == 1
    assert (np.asarray(found.f(found.params, x)).argmax(1) == labels).all()
    assert (found.train_error[:-1] > 0).all()


@pytest.mark.long
def test_one_epoch_is_early_stopping():
    labels = np.random.default_rng(1).integers(0, 2, 16)
    _, found = train(labels, 1)
    assert not found.interpolates and found.epochs == 1 and found.train_error.shape == (1,)


def test_bad_input_is_refused_by_name():
    with pytest.raises(InputError, match="max_epochs = 0"):
        train(np.zeros(16, int), 0)
    with pytest.raises(InputError, match="is empty"):
        train_to_interpolation(
            MLP((3, 2), rngs=nnx.Rngs(0)),
            (np.zeros((0, 3)), np.zeros(0, int)),
            key=jax.random.key(0),
            optimizer=optax.sgd(0.1),
            batch_size=4,
            max_epochs=1,
        )
