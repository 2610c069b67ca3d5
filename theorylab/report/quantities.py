"""What the keys of a benchmark's record mean.

Each has a name for the reader, a unit, and the kind of number that it is.

The scripts name their numbers as `ours_wall_s`, `peak_gb` or `instances_per_cpu_s`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["time", "rate", "ratio", "memory", "other"]
_UNITS = {
    "s": "s",
    "ms": "ms",
    "us": "µs",
    "gb": "GB",
    "mb": "MB",
    "gbyte": "GB",
    "byte": "bytes",
    "bytes": "bytes",
    "gflop": "GFLOP",
    "flop": "FLOP",
    "flops": "FLOP",
    "minutes": "min",
}
_TIMES = {"s", "ms", "µs", "min"}
_RATIOS = {"ratio", "ratios", "times", "speedup"}
_RESULTS = {"mean", "risk"}  # ratios of results, not of times
_UNSAID = {"wall", "cpu", "compile", "first"}  # seconds, where the key names no unit
_WORDS = {"ours": "theorylab", "compile": "compiling", "rss": "memory", "needs": "work"}


@dataclass(frozen=True)
class Quantity:
    """A column of numbers.

    `unit` is empty for a pure number; `processor` says that it is time of the processor and not by
    the clock.
    """

    name: str
    unit: str
    kind: Kind
    processor: bool = False

    @property
    def heading(self) -> str:
        """What a table writes above the column."""
        name = f"{self.name}, processor" if self.processor else self.name
        return f"{name}, {self.unit}" if self.unit and name else name or self.unit


def quantity(key: str) -> Quantity:
    """The meaning of a key. One that follows no rule keeps its words and has no unit."""
    if " " in key:
        return Quantity(key, "", "other")
    words = key.replace(".", "_").split("_")
    processor = "cpu" in words
    if "per" in words or "an" in words:
        return _rate(words, processor)
    if set(words) & _RATIOS and not set(words) & _RESULTS:
        left = [w for w in words if w not in (_RATIOS | {"cpu", "wall"})]
        return Quantity(_said(left) or "ratio", "×", "ratio", processor)
    if words[:2] == ["cpu", "of"] or words[:2] == ["wall", "of"]:
        return Quantity(f"ratio to the {_said(words[2:])}", "×", "ratio", processor)
    unit = ""
    if "seconds" in words:
        unit, words = "s", [w for w in words if w != "seconds"]
    for part in (-1, 0):
        if not unit and len(words) > 1 and words[part] in _UNITS:
            unit = _UNITS[words.pop(part)]
    if not unit and set(words) & _UNSAID:
        unit = "s"
    kind: Kind = "time" if unit in _TIMES else "memory" if unit in ("GB", "MB") else "other"
    left = [w for w in words if w not in ("cpu", "wall")]
    name = _said(left) or ("time" if kind == "time" else key)
    return Quantity(name, unit, kind, processor and kind == "time")


def _rate(words: list[str], processor: bool) -> Quantity:
    at = next(i for i, w in enumerate(words) if w in ("per", "an"))
    before = [w for w in words[:at] if w not in ("wall", "cpu")]
    after = [w for w in words[at + 1 :] if w not in ("wall", "cpu")]
    if after in (["s"], ["minute"]):
        if before and _UNITS.get(before[-1], "s") not in _TIMES:  # GFLOP or bytes a second
            unit = f"{_UNITS[before[-1]]}/{'s' if after == ['s'] else 'min'}"
            return Quantity(_said(before[:-1]) or "work", unit, "rate", processor)
        return Quantity(_said(before), {"s": "1/s", "minute": "1/min"}[after[0]], "rate", processor)
    if before and before[-1] in _UNITS:
        base = _UNITS[before[-1]]
        kind: Kind = "time" if base in _TIMES else "other"
        name = _said(before[:-1]) or ("time" if kind == "time" else "work")
        return Quantity(name, f"{base} {words[at]} {_said(after)}", kind, processor)
    return Quantity(_said([*before, words[at], *after]), "", "other")


def _said(words: list[str]) -> str:
    return " ".join(_WORDS.get(w, w) for w in words)
