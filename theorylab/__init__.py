"""theorylab: the numerical theory of machine learning in JAX. Compute it, draw it, check it.

Sub-packages load on first use, so `import theorylab` starts neither JAX nor matplotlib.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"
_SUBPACKAGES = (
    *("data", "errors", "lab", "nets", "ntk", "papers", "plotting", "report", "ridge", "rmt"),
    *("collective", "federated", "matching", "mixtures", "online", "privacy", "robustness"),
    *("neural_tangents", "safety", "shift", "unlearning"),
)
__all__ = [*_SUBPACKAGES, "__version__"]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"theorylab.{name}")
    raise AttributeError(f"module 'theorylab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
