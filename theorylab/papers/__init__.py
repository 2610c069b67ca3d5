"""The registry of papers: every sub-package here that declares a `PAPER` is a room.

A room says all there is to say of its paper; papers without one wait in `planned`. Titles,
summaries and counts are those of the two together.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from theorylab.errors import InputError
from theorylab.lab.paper import Paper
from theorylab.papers.planned import PLANNED, Planned

__all__ = ["PLANNED", "Planned", "get", "rooms", "titles"]


class _Rooms(Mapping[str, Paper]):
    """The rooms by slug, each imported when it is asked for: all of them take seconds."""

    def __getitem__(self, slug: str) -> Paper:
        if slug not in self._names():
            raise KeyError(slug)
        return _room(slug)

    def __contains__(self, slug: object) -> bool:
        return slug in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    @staticmethod
    def _names() -> list[str]:
        return [module.name for module in pkgutil.iter_modules(__path__) if module.ispkg]


def rooms() -> Mapping[str, Paper]:
    """Slug to paper, for every room that is implemented; a room is imported when it is asked for.

    A room whose slug is not the name of its folder raises `InputError` then.
    """
    return _Rooms()


def titles() -> Mapping[str, str]:
    """Slug to title of every paper: those with a room, then those to come."""
    built = {slug: room.title for slug, room in rooms().items()}
    return built | {slug: paper.title for slug, paper in PLANNED.items() if slug not in built}


def get(slug: str) -> Paper:
    """The paper of this slug. Raises `InputError` when it is unknown or not implemented yet."""
    built = rooms()
    if slug in built:
        return built[slug]
    if slug in PLANNED:
        raise InputError(
            f"paper '{slug}' is planned and not implemented yet; implemented: {', '.join(built)}"
        )
    raise InputError(f"unknown paper '{slug}'; choose one of: {', '.join(built)}, all")


def _room(name: str) -> Paper:
    room = importlib.import_module(f"{__name__}.{name}").PAPER
    if room.slug != name:
        raise InputError(
            f"the room in theorylab/papers/{name} has slug = {room.slug!r}; the slug is the name "
            f"of the folder: write slug={name!r} in __init__.py"
        )
    return room
