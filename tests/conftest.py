"""Settings shared by all tests."""

import os
from importlib.metadata import version

import hypothesis

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
