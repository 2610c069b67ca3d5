"""The registry of papers: every sub-package here that declares a `PAPER` is a room."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from theorylab.errors import InputError
from theorylab.lab.paper import Paper

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "tct": "TCT: Convexifying Federated Learning using Bootstrapped Neural Tangent Kernels",
        "more_than_a_toy": "More Than a Toy: Random Matrix Models Predict How Real-World Neural "
        "Representations "
        "Generalize",
        "projection_norm": "Predicting Out-of-Distribution Error with the Projection Norm",
        "matching_markets": "Learning Equilibria in Matching Markets from Bandit Feedback",
        "learning_augmented": (
            "Optimal Robustness-Consistency Trade-offs for Learning-Augmented Online Algorithms"
        ),
        "covert_finetuning": (
            "Covert Malicious Finetuning: Challenges in Safeguarding LLM Adaptation"
        ),
        "jailbroken": "Jailbroken: How Does LLM Safety Training Fail?",
        "safety_finetuning": "What Makes and Breaks Safety Fine-tuning? A Mechanistic Study",
        "wrong_line": "Accuracy on the Wrong Line: On the Pitfalls of Noisy Data for "
        "Out-of-Distribution "
        "Generalisation",
        "collective_action": "The Role of Learning Algorithms in Collective Action",
        "private_preprocessing": "Provable Privacy with Non-Private Pre-Processing",
        "dp_online": (
            "On the Growth of Mistakes in Differentially Private Online Learning: A "
            "Lower Bound Perspective"
        ),
        "corrective_unlearning": "Corrective Machine Unlearning",
        "ssl_lower_bound": (
            "Can Semi-Supervised Learning Use All the Data Effectively? A Lower Bound Perspective"
        ),
        "certified_training": (
            "How Robust Accuracy Suffers from Certified Training with Convex Relaxations"
        ),
        "semi_private": "PILLAR: How to Make Semi-Private Learning More Effective",
        "certified_ensembles": (
            "Certifying Ensembles: A General Certification Theory with S-Lipschitzness"
        ),
    }
)


@cache
def rooms() -> Mapping[str, Paper]:
    """Slug to paper, for every room that is implemented."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            found[module.name] = importlib.import_module(f"{__name__}.{module.name}").PAPER
    return MappingProxyType(found)


def get(slug: str) -> Paper:
    """The paper of this slug. Raises `InputError` when it is unknown or not implemented yet."""
    if slug in rooms():
        return rooms()[slug]
    if slug in TITLES:
        raise InputError(
            f"paper '{slug}' is planned and not implemented yet; implemented: {', '.join(rooms())}"
        )
    raise InputError(f"unknown paper '{slug}'; choose one of: {', '.join(rooms())}, all")
