"""Settings shared by all tests."""

import os

# Most of the suite's time is compilation: compile quickly, unless the caller has flags of their own. What users run,
# at full optimisation, is tested by `XLA_FLAGS= pytest`; CI does both. Must be set before JAX starts.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

import hypothesis

hypothesis.settings.register_profile("theorylab", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("theorylab")
