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


PLANNED: Mapping[str, Planned] = MappingProxyType(
    {
        "covert_finetuning": Planned(
            "Covert Malicious Finetuning: Challenges in Safeguarding LLM Adaptation",
            "A customer can change a model through a fine-tuning interface although every "
            "data point looks innocuous and every check of the provider passes. Here as a "
            "measurement of defences, on an abstract grammar.",
        ),
    }
)
