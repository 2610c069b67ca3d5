"""States of a training run on disk: read back bit by bit, into the run they belong to, or not at
all."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from theorylab.errors import InputError
from theorylab.nets import fit, mse
from theorylab.nets.checkpoint import Checkpoints

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
STATE = [
    jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3),
    jnp.float32(np.nan),
    jnp.zeros((0, 2)),
    jax.random.key(3),
    jax.random.split(jax.random.key(4, impl="rbg")),
    jnp.array([True, False]),
    {"count": jnp.int32(7)},
]


def linear(w: Any, x: Any) -> Any:
    return x @ w


def train(folder: Path | None, **changes: Any) -> np.ndarray:
    options: dict[str, Any] = {
        "model": linear,
        "data": (X, X[:, 0]),
        "params": jnp.zeros((3, 1)),
        "loss": mse,
        "optimizer": optax.adam(0.1),
        "steps": 8,
        "batch_size": 4,
        "key": jax.random.key(0),
        "checkpoint": folder,
        "chunk": 2,
    }
    options |= changes
    run = fit(options.pop("model"), options.pop("data"), **options)
    return np.concatenate([np.ravel(run.params), run.loss])


def bits(tree: Any) -> list[tuple]:
    raw = [
        jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a
        for a in jax.tree.leaves(tree)
    ]
    return [(np.asarray(a).dtype, np.shape(a), np.asarray(a).tobytes()) for a in raw]


def test_every_type_of_array_comes_back_bit_by_bit(tmp_path: Path) -> None:
    history = {
        "loss": np.arange(3.0),
        "eval_steps": np.zeros(0, int),
        "seeds": np.ones((2, 0), np.float32),
    }
    with Checkpoints(tmp_path, {"data": "a", "sizes": (1, 2)}) as store:
        assert store.restore(STATE) is None
        store.save(5, STATE, history)
    with Checkpoints(tmp_path, {"data": "a", "sizes": (1, 2)}) as store:
        found = store.restore(jax.tree.map(lambda a: a, STATE))
    assert found is not None and found[0] == 5
    assert bits(found[1]) == bits(STATE)
    assert list(found[2]) == list(history) and bits(found[2]) == bits(history)
    np.testing.assert_array_equal(jax.random.normal(found[1][3]), jax.random.normal(STATE[3]))


def test_two_newest_states_stay(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, {}) as store:
        for step in (1, 2, 10):
            store.save(step, [jnp.ones(step)], {})
    assert {path.name for path in tmp_path.glob("*.*t")} == {"2.checkpoint", "10.checkpoint"}


def test_run_without_evaluation_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, steps=4)
    np.testing.assert_array_equal(train(tmp_path), train(None))


@pytest.mark.long
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "another step"])
def test_damaged_newest_state_is_passed_over_with_a_warning(tmp_path: Path, damage: str) -> None:
    whole = train(tmp_path)
    newest = tmp_path / "8.checkpoint"
    content = bytearray(newest.read_bytes())
    content[-3] ^= 1  # inside of the numbers
    replaced = {
        "flip": bytes(content),
        "truncate": newest.read_bytes()[:-1],
        "empty": b"",
        "another step": (tmp_path / "6.checkpoint").read_bytes(),
    }
    newest.write_bytes(replaced[damage])
    with pytest.warns(RuntimeWarning, match=r"8\.checkpoint in .* damaged; going on from step 6"):
        np.testing.assert_array_equal(train(tmp_path), whole)
    np.testing.assert_array_equal(train(tmp_path), whole)  # without a warning: it is whole again


def test_folder_without_a_whole_state_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    for path in tmp_path.glob("*.checkpoint"):
        os.truncate(path, 100)
    with pytest.raises(
        InputError, match=r"every file in .* is damaged; delete the folder"
    ) as caught:
        train(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"optimizer": optax.adam(0.2)}, "step .model, loss, augmentation, optimizer"),
        ({"optimizer": optax.adam(optax.cosine_decay_schedule(0.1, 8))}, "step"),
        ({"loss": lambda out, y: 2 * mse(out, y)}, "step"),
        ({"model": lambda w, x: jnp.tanh(x @ w)}, "step"),
        ({"augment": lambda key, x: -x}, "step"),
        ({"params": jnp.ones((3, 1))}, "start was"),
        ({"data": (X[::-1], X[:, 0])}, "data was"),
        ({"key": jax.random.key(1)}, "key was"),
        ({"batch_size": 8}, "batch size was 4, now 8"),
        ({"chunk": 4}, "chunk was 2, now 4"),
        ({"eval_data": (X, X[:, 0])}, "eval_data was"),
    ],
)
def test_another_run_is_refused_by_name(tmp_path: Path, changes: dict, told: str) -> None:
    train(tmp_path)
    with pytest.raises(InputError, match=f"belongs to another run .{told}") as caught:
        train(tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_state_of_other_shapes_is_refused(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, {}) as store:
        store.save(1, [jnp.zeros(3), jnp.zeros(2)], {})
        for other in (
            [jnp.zeros(3)],
            [jnp.zeros(3), jnp.zeros(3)],
            [jnp.zeros(3), jnp.zeros(2, int)],
        ):
            with pytest.raises(InputError, match=r"belongs to another run .state was"):
                store.restore(other)


def test_what_is_no_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(InputError, match=f"^checkpoint='{folder}'.*another folder"):
            train(folder)
    assert (tmp_path / "file").read_text() == "mine"


def test_second_run_waits_and_takes_over_the_result_of_the_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(train, tmp_path) for _ in range(2)]
        for run in runs:
            np.testing.assert_array_equal(run.result(), train(None))
