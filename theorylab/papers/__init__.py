"""The registry of papers: every sub-package here that declares a `PAPER` is a room.

A room says all there is to say of its paper; papers without one wait in `planned`. Titles,
summaries and counts are those of the two together.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from theorylab.errors import InputError
from theorylab.lab.paper import Paper
from theorylab.papers.planned import PLANNED, Planned

__all__ = ["PLANNED", "Planned", "get", "rooms", "titles"]


@cache
def rooms() -> Mapping[str, Paper]:
    """Slug to paper, for every room that is implemented.

    Raises `InputError` for a room whose slug is not the name of its folder.
    """
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            room = importlib.import_module(f"{__name__}.{module.name}").PAPER
            if room.slug != module.name:
                raise InputError(
                    f"the room in theorylab/papers/{module.name} has slug = {room.slug!r}; the "
                    f"slug is the name of the folder: write slug={module.name!r} in __init__.py"
                )
            found[module.name] = room
    return MappingProxyType(found)


def titles() -> Mapping[str, str]:
    """Slug to title of every paper: those with a room, then those to come."""
    built = {slug: room.title for slug, room in rooms().items()}
    return built | {slug: paper.title for slug, paper in PLANNED.items() if slug not in built}


def get(slug: str) -> Paper:
    """The paper of this slug. Raises `InputError` when it is unknown or not implemented yet."""
    if slug in rooms():
        return rooms()[slug]
    if slug in PLANNED:
        raise InputError(
            f"paper '{slug}' is planned and not implemented yet; implemented: {', '.join(rooms())}"
        )
    raise InputError(f"unknown paper '{slug}'; choose one of: {', '.join(rooms())}, all")
