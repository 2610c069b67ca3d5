"""Corrective unlearning: undo manipulated training data of which only a part was identified.

`manipulate` spoils a training set, `identified_subset` says what of it was found, `pretrain` gives
the model to be mended, and each method takes that model and the deletion set. Deletion sets are
masks of fixed shape, so one compiled program serves all of them, and `jax.vmap` runs them at once.
"""

from theorylab.unlearning.bad_teacher import bad_teacher
from theorylab.unlearning.batches import Batches
from theorylab.unlearning.importance import ImportanceOptions, gradient_importance
from theorylab.unlearning.manipulations import (
    BackdoorPatch,
    InterclassConfusion,
    RandomLabelPermutation,
    TrainingSet,
    manipulate,
)
from theorylab.unlearning.metrics import Exam, Scores, deletion_agreement, exam, scores
from theorylab.unlearning.network import Model, Network, network, of_function
from theorylab.unlearning.newton import NewtonStep, tangent_newton_step
from theorylab.unlearning.potion import Potion, TriggerSearch, potion
from theorylab.unlearning.retrain import (
    exact_unlearn,
    fine_tune,
    pretrain,
    retrain_without_deletion,
)
from theorylab.unlearning.schedule import linear_budget_schedule
from theorylab.unlearning.scrub import ScrubOptions, scrub
from theorylab.unlearning.selection import healed_share, identification_requirement, select
from theorylab.unlearning.ssd import selective_synaptic_dampening
from theorylab.unlearning.subsets import identified_count, identified_subset
from theorylab.unlearning.training import Budget, Goal, train

__all__ = [
    "BackdoorPatch",
    "Batches",
    "Budget",
    "Exam",
    "Goal",
    "ImportanceOptions",
    "InterclassConfusion",
    "Model",
    "Network",
    "NewtonStep",
    "Potion",
    "RandomLabelPermutation",
    "Scores",
    "ScrubOptions",
    "TrainingSet",
    "TriggerSearch",
    "bad_teacher",
    "deletion_agreement",
    "exact_unlearn",
    "exam",
    "fine_tune",
    "gradient_importance",
    "healed_share",
    "identification_requirement",
    "identified_count",
    "identified_subset",
    "linear_budget_schedule",
    "manipulate",
    "network",
    "of_function",
    "potion",
    "pretrain",
    "retrain_without_deletion",
    "scores",
    "scrub",
    "select",
    "selective_synaptic_dampening",
    "tangent_newton_step",
    "train",
]
