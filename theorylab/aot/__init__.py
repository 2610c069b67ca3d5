"""Programs for accelerators that are not here: recorded, counted, compiled ahead of time."""

from theorylab.aot.build import Built, build
from theorylab.aot.record import Program, Recorder
from theorylab.aot.targets import TARGETS, Target, available, find_target
from theorylab.aot.work import Work, work_of

__all__ = [
    "TARGETS",
    "Built",
    "Program",
    "Recorder",
    "Target",
    "Work",
    "available",
    "build",
    "find_target",
    "work_of",
]
