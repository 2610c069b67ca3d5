"""Records as text: JSON that a reader can follow and a reviewer can compare, in few bytes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_WIDTH, _LEAF = 100, 400


def record_text(record: Mapping[str, Any]) -> str:
    """The JSON of a record: what is short stands on one line, such as one measurement, and the rest
    is indented."""
    return "".join(_lines(record, 0, 0)) + "\n"


def _lines(value: Any, depth: int, used: int) -> Iterator[str]:
    short = json.dumps(value, ensure_ascii=False)
    room = (_LEAF if _is_leaf(value) else _WIDTH) - depth - used
    if not isinstance(value, dict | list) or not value or len(short) <= room:
        yield short
        return
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    yield "{" if isinstance(value, dict) else "["
    items: Sequence[tuple[str, Any]] = (
        [(json.dumps(k, ensure_ascii=False) + ": ", v) for k, v in value.items()]
        if isinstance(value, dict)
        else [("", v) for v in value]
    )
    for i, (name, item) in enumerate(items):
        yield ("," if i else "") + inner + name
        yield from _lines(item, depth + 1, len(name))
    yield outer + ("}" if isinstance(value, dict) else "]")


def _is_leaf(value: Any) -> bool:
    """A container of numbers, texts and lists of such, but of no further names."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(not isinstance(v, dict) and _is_leaf(v) for v in items)
