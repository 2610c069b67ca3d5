"""Data sets, pretrained weights and synthetic designs.

`load("fashion_mnist")` works at once on an embedded sample; everything else is fetched once into a
cache (`fetch`) and checked against known checksums at every read. Generators with known spectra are
in `theorylab.data.synthetic`; `corrupt(images, "gaussian_noise", 3, key)` makes shifted test sets.
"""

import importlib
from typing import Any

from theorylab.data import reviews  # two further entries of the catalogue
from theorylab.data.cache import Status, available, cache_dir, digest, status, verify
from theorylab.data.catalogue import CATALOGUE, Entry
from theorylab.data.dataset import Arrays, Dataset
from theorylab.data.encoding import Encoded, encode
from theorylab.data.fetching import fetch
from theorylab.data.loading import load, pretrained
from theorylab.data.tables import Column

__all__ = [
    "CATALOGUE",
    "CORRUPTIONS",
    "Arrays",
    "Column",
    "Dataset",
    "Encoded",
    "Entry",
    "Status",
    "available",
    "cache_dir",
    "corrupt",
    "digest",
    "encode",
    "fetch",
    "load",
    "pretrained",
    "reviews",
    "status",
    "synthetic",
    "verify",
]


def __getattr__(name: str) -> Any:
    # these start JAX; the rest of the package does not need it, so a command line stays quick
    if name == "synthetic":
        return importlib.import_module("theorylab.data.synthetic")
    if name in ("CORRUPTIONS", "corrupt"):
        return getattr(importlib.import_module("theorylab.data.corruptions"), name)
    raise AttributeError(f"module 'theorylab.data' has no attribute {name!r}")
