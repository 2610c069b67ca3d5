import threading

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import online as po


def test_a_key_is_taken_once_whatever_object_holds_it():
    ledger, key = po.KeyLedger(), jax.random.key(7)
    assert ledger.spend(key) is key and ledger.spent(key) and len(ledger) == 1
    copies = [
        key,
        jax.random.key(7),
        jax.random.clone(key),
        jax.random.wrap_key_data(np.asarray(jax.random.key_data(key))),
    ]
    for copy in copies:
        with pytest.raises(InputError, match="key was used by a private release before"):
            ledger.spend(copy)


def test_other_keys_are_taken():
    ledger, key = po.KeyLedger(), jax.random.key(7)
    made = [
        key,
        jax.random.key(8),
        *jax.random.split(key),
        jax.random.fold_in(key, 3),
        jax.random.key(7, impl="rbg"),
    ]
    for other in made:
        ledger.spend(other)
    assert len(ledger) == len(made)
    with pytest.raises(InputError, match="used"):
        ledger.spend(jax.random.split(jax.random.key(7))[1])  # the same child


def test_traced_keys_are_refused_as_nobody_can_know_them():
    with pytest.raises(InputError, match="traced"):
        jax.jit(po.spend)(jax.random.key(0))
    with pytest.raises(InputError, match="traced"):
        jax.vmap(lambda k: po.TreeCounter(2, 1.0).release(k, np.zeros(2, int)))(
            jax.random.split(jax.random.key(0))
        )


def test_a_separate_ledger_knows_nothing_and_leaves_nothing():
    key = jax.random.key(2**31 - 5)
    for _ in range(2):
        with po.separate_ledger() as ledger:
            po.spend(key)
            assert ledger.spent(key)
    po.spend(key)
    with pytest.raises(InputError, match="used"):
        po.spend(key)


def test_of_many_threads_one_gets_the_key():
    ledger, key, got = po.KeyLedger(), jax.random.key(1), []

    def take():
        try:
            got.append(ledger.spend(key))
        except InputError:
            got.append(None)

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(k is not None for k in got) == 1 and len(got) == 16


def test_simulations_spend_nothing():
    key = jax.random.key(11)
    with po.separate_ledger() as ledger:
        first = po.TreeCounter(4, 1.0).errors(key, 3)
        np.testing.assert_array_equal(first, po.TreeCounter(4, 1.0).errors(key, 3))
        assert len(ledger) == 0
