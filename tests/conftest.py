"""Settings shared by all tests."""

import gc
import os
from importlib.metadata import version
from pathlib import Path

import hypothesis
import pytest

# Most of the suite's time is compilation: compile quickly, unless the caller has flags of their
# own. What users run, at full optimisation, is tested by `XLA_FLAGS= pytest`; CI does so for the
# kernels. Must be set before JAX starts.
_QUICK = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
]
if version("jaxlib").startswith("0.10."):  # later versions know no such flag
    _QUICK.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(_QUICK))

hypothesis.settings.register_profile("theorylab", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("theorylab")


@pytest.fixture(scope="module", autouse=True)
def room_for_compiled_programs():
    """Drop compiled programs before the process has too many.

    Linux gives a process 65,530 memory maps. A compiled program takes three, and XLA crashes
    without a word when there is none left: the suite as a whole compiles more than that.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        import jax  # not above: it reads the flags

        jax.clear_caches()
        gc.collect()
