"""A package `neural_tangents` that is ours, so that neural-tangents' own files run against it.

A pytest plugin: `upstream.py` starts pytest with it, in a checkout of neural-tangents. Beside the
public modules there are

- the private names that its tests import: `batching._serial` and `_parallel`, which are `batch`
  with one of its arguments, and `monte_carlo._sample_once_kernel_fn`; others raise when called;
- `utils`, from the checkout itself: helpers with which the tests work out what they expect;
- `jax.tree_map`, which JAX has dropped;
- `tensorflow` and `tensorflow_datasets` where they are not installed: just what
  `examples/datasets.py` needs, with synthetic images.
"""

import functools
import importlib
import importlib.util
import json
import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from theorylab import neural_tangents as nt
from theorylab.neural_tangents.batching import batch
from theorylab.neural_tangents.monte_carlo import sample_once

CHECKOUT = Path(os.environ["NEURAL_TANGENTS_CHECKOUT"])
RESULTS = os.environ.get("NEURAL_TANGENTS_RESULTS")
SECONDS = int(os.environ.get("NEURAL_TANGENTS_SECONDS", "0"))
LARGE = os.environ.get("NEURAL_TANGENTS_LARGE") == "1"  # tests that skip themselves on CPU too
NAME = "neural_tangents"


def module(name: str, **content: Any) -> types.ModuleType:
    """A module of this name, with this in it; imports find it."""
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(content)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)
    return made


def public(source: types.ModuleType) -> dict[str, Any]:
    """What a module of ours exports."""
    return {name: getattr(source, name) for name in source.__all__}


def private(name: str) -> Any:
    """Stands for a private function of neural-tangents that has no counterpart."""

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"private to neural-tangents: {name}")

    return missing


def _serial(kernel_fn: Any, batch_size: int, store_on_device: bool = True) -> Any:
    return batch(kernel_fn, batch_size, 0, store_on_device)


def _parallel(kernel_fn: Any, use_serial: bool = True, device_count: int = -1) -> Any:
    return batch(kernel_fn, 0, device_count)


def install() -> None:
    """Put the modules in place."""
    if not hasattr(jax, "tree_map"):
        jax.tree_map = jax.tree.map
    names = {name: value for name, value in public(nt).items() if name not in ("stax", "predict")}
    module(NAME, **names, __version__="theorylab")
    module(f"{NAME}.stax", **public(nt.stax))
    module(f"{NAME}.predict", **public(nt.predict))
    module(f"{NAME}.experimental")
    module(f"{NAME}._src")
    module(
        f"{NAME}._src.batching",
        batch=batch,
        _serial=_serial,
        _parallel=_parallel,
        _jit_or_pmap_broadcast=private("batching._jit_or_pmap_broadcast"),
    )
    testing = nt.NtkImplementation.STRUCTURED_DERIVATIVES
    module(f"{NAME}._src.empirical", _DEFAULT_TESTING_NTK_IMPLEMENTATION=testing)
    module(
        f"{NAME}._src.monte_carlo",
        monte_carlo_kernel_fn=nt.monte_carlo_kernel_fn,
        _sample_once_kernel_fn=sample_once,
    )
    module(f"{NAME}._src.predict", _is_on_cpu=private("predict._is_on_cpu"))
    module(f"{NAME}._src.utils")
    module(f"{NAME}._src.utils.utils", **helpers())
    if importlib.util.find_spec("tensorflow_datasets") is None:
        data()
    sys.path.insert(0, str(CHECKOUT))
    if LARGE:
        importlib.import_module("tests.test_utils").skip_test = lambda *args, **kwargs: None


def helpers() -> dict[str, Any]:
    """The checkout's helpers for axes and shapes."""
    source = CHECKOUT / NAME / "_src" / "utils" / "utils.py"
    spec = importlib.util.spec_from_file_location("upstream_utils", source)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{source}: no such file; give the path of a checkout of neural-tangents")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return {name: value for name, value in vars(found).items() if not name.startswith("__")}


def data() -> None:
    """Modules that stand for TensorFlow's data sets: images of ten classes, drawn here."""
    tf = module("tensorflow")
    tf.config = types.SimpleNamespace(set_visible_devices=lambda *args: None)
    classes = types.SimpleNamespace(num_classes=10)
    builder = types.SimpleNamespace(info=types.SimpleNamespace(features={"label": classes}))
    module(
        "tensorflow_datasets",
        builder=lambda name: builder,
        as_numpy=lambda drawn: drawn,
        load=lambda name, split, **options: [images(part) for part in split],
    )


@functools.cache
def images(split: str) -> dict[str, np.ndarray]:
    """Images of 28 by 28 pixels: one of ten patterns each, and noise; `split` as for TensorFlow."""
    part, _, size = split.partition("[:")
    n = int(size.rstrip("]")) if size else {"train": 60000, "test": 10000}[part]
    patterns = np.random.default_rng(0).integers(0, 256, (10, 28, 28, 1))
    draw = np.random.default_rng([1, part == "test"])
    labels = draw.integers(0, 10, n)
    noise = draw.integers(0, 256, (n, 28, 28, 1), dtype=np.uint8)
    return {"image": (patterns[labels] // 4 + noise // 4 * 3).astype(np.uint8), "label": labels}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Any:
    """A test ends after its seconds."""

    def late(*args: Any) -> None:
        raise TimeoutError(f"over {SECONDS} seconds")

    if SECONDS:
        signal.signal(signal.SIGALRM, late)
        signal.alarm(SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)


def pytest_runtest_logreport(report: Any) -> None:
    """One line of JSON for each test, as it ends."""
    part = type(report).__name__ == "SubtestReport"  # a test fails with its parts
    if report.passed and (part or report.when != "call"):
        return
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        message = crash.message
    elif report.skipped:
        message = str(report.longrepr[-1])
    else:
        message = str(report.longrepr or "")
    outcome = "part failed" if part else report.outcome
    _write(report.nodeid, outcome, message, report.duration)


def pytest_collectreport(report: Any) -> None:
    """A file that does not import."""
    if report.failed:
        _write(report.nodeid, "not collected", str(report.longrepr).strip().splitlines()[-1], 0.0)


def _write(test: str, outcome: str, message: str, seconds: float) -> None:
    if RESULTS:
        line = {"test": test, "outcome": outcome, "message": message, "seconds": round(seconds, 2)}
        with open(RESULTS, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


install()
