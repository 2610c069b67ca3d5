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
        "jailbroken": Planned(
            "Jailbroken: How Does LLM Safety Training Fail?",
            "Two failure modes of safety training predict which inputs break it: competing "
            "objectives and mismatched generalisation. Here on the abstract prompts of a "
            "synthetic grammar.",
        ),
        "private_preprocessing": Planned(
            "Provable Privacy with Non-Private Pre-Processing",
            "Imputing, scaling or PCA on private data before a differentially private "
            "algorithm couples the records, so the guarantee of the algorithm alone is wrong. "
            "The paper bounds what it really is.",
        ),
        "semi_private": Planned(
            "PILLAR: How to Make Semi-Private Learning More Effective",
            "A little private labelled data and public unlabelled data: project the private "
            "features on the principal components of the public ones, at no cost in privacy, "
            "and private training gains accuracy.",
        ),
        "certified_ensembles": Planned(
            "Certifying Ensembles: A General Certification Theory with S-Lipschitzness",
            "When is an ensemble of robust classifiers more robust than each member, and when "
            "less? A theory of Lipschitz continuity with respect to convex sets gives the "
            "exact certificate.",
        ),
    }
)
