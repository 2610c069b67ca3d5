"""Whether a value that replaces one of a preset's is of its kind."""

import json
import math
from collections.abc import Sequence
from typing import Any

from theorylab.errors import InputError

_LARGEST = 2**63 - 1


def require_like(name: str, value: Any, models: Sequence[Any]) -> None:
    """Raise `InputError` unless `value` could stand where `models` stand.

    `models` are its values in the paper's presets.

    It must be of the same kind: a flag, a text, a list that is not empty of such elements, a
    dictionary with keys of theirs. A number is finite, whole where all of theirs are, and positive
    (or not negative) where all of theirs are.
    """
    wrong = _unlike(value, [_plain(m) for m in models])
    if wrong:
        example = json.dumps(models[0])
        example = example if len(example) <= 60 else example[:57] + "..."
        given = json.dumps(value)
        given = given if len(given) <= 60 else given[:57] + "..."
        raise InputError(f"{name}={given}: {wrong}; the preset has {name}={example}")


def _plain(value: Any) -> Any:
    """The value as JSON would give it back."""
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "flag"
    for types, kind in (
        ((int, float), "number"),
        (str, "text"),
        (list, "list"),
        (dict, "dictionary"),
    ):
        if isinstance(value, types):
            return kind
    return type(value).__name__


_NEEDED = {
    "null": "null",
    "flag": "true or false",
    "number": "a number",
    "text": "a text",
    "list": "a list",
    "dictionary": "a dictionary",
}


def _unlike(value: Any, models: Sequence[Any]) -> str:
    """What is wrong with `value`, in words; empty when nothing is."""
    same = [m for m in models if _kind(m) == _kind(value)]
    if not same:
        return f"give {' or '.join(dict.fromkeys(_NEEDED.get(_kind(m), _kind(m)) for m in models))}"
    if _kind(value) == "number":
        return _number(value, same)
    if _kind(value) == "text":
        return "" if value or "" in same else "give a text that is not empty"
    if _kind(value) == "list":
        return _list(value, same)
    if _kind(value) == "dictionary":
        return _dictionary(value, same)
    return ""


def _number(value: float, models: Sequence[float]) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "give a finite number"
    if isinstance(value, float) and all(isinstance(m, int) for m in models):
        return "give a whole number"
    if abs(value) > _LARGEST and isinstance(value, int):
        return f"give a number of at most {_LARGEST}"
    if value <= 0 and all(m > 0 for m in models):
        return "give a number above 0"
    return "give a number that is not negative" if value < 0 and all(m >= 0 for m in models) else ""


def _list(value: list[Any], models: Sequence[list[Any]]) -> str:
    if not value:
        return "" if [] in models else "give a list that is not empty"
    filled = [m for m in models if m]
    if not filled:
        return ""
    # a record: each place has a kind of its own
    if all(len({_kind(e) for e in m}) > 1 for m in filled):
        lengths = sorted({len(m) for m in filled})
        if len(value) not in lengths:
            return f"give a list of {' or '.join(map(str, lengths))} elements"
        wrong = [_unlike(v, [m[i] for m in filled if i < len(m)]) for i, v in enumerate(value)]
    else:
        wrong = [_unlike(v, [e for m in filled for e in m]) for v in value]
    at = next((i for i, w in enumerate(wrong) if w), None)
    return "" if at is None else f"element {at}: {wrong[at]}"


def _dictionary(value: dict[str, Any], models: Sequence[dict[str, Any]]) -> str:
    known = {k for m in models for k in m}
    missing = sorted(set.intersection(*(set(m) for m in models)) - set(value))
    if missing:
        return f"it lacks the key '{missing[0]}'"
    for key, item in value.items():
        if key not in known:
            return (
                f"it has a key '{key}' that is unknown here; known: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        wrong = _unlike(item, [m[key] for m in models if key in m])
        if wrong:
            return f"key '{key}': {wrong}"
    return ""
