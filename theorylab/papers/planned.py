"""The papers that have no room yet. Who builds a room deletes its entry here; nothing else lists
papers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Planned:
    """A paper to come: its title, and what it says in two or three plain sentences."""

    title: str
    summary: str


PLANNED: Mapping[str, Planned] = MappingProxyType({})
