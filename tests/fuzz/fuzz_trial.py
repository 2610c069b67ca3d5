"""One fuzzed call: one or two arguments of a valid call changed, and what came of it."""

from typing import Any

import fuzz_mutations as mutations
import ml_dtypes
import numpy as np
from fuzz_judge import distance, holds, outcome
from fuzz_register import Entry

# A result may differ by this many times the precision of the numbers, or in single precision by
# 1e-5, where an argument comes in another form.
LOOSE, SINGLE = 100.0, 1e-5


class Base:
    """An entry whose numbers have few digits, so that every floating type holds them exactly."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.arguments = dict(entry.arguments)
        verdict, self.result = outcome(entry.function, self.arguments, infinite=True)
        if verdict != "value":
            raise ValueError(f"{entry.name}: the valid call ends in {verdict}")
        self.infinite = holds(self.result, np.isinf)
        self.exact = True
        for name, value in entry.arguments.items():
            if isinstance(value, float) or (
                mutations.is_array(value) and np.asarray(value).dtype.kind == "f"
            ):
                self._round(name, value)

    def _round(self, name: str, value: Any) -> None:
        array = np.asarray(value)
        coarse: Any = array.astype(ml_dtypes.bfloat16).astype(array.dtype)
        changed = {**self.arguments, name: coarse if array.ndim else float(coarse)}
        verdict, result = outcome(self.entry.function, changed, infinite=True)
        if verdict == "value":
            self.arguments, self.result = changed, result
        else:  # rounded, it is no law, no basis, ...
            self.exact = False

    def call(self, arguments: dict[str, Any], *, infinite: bool) -> tuple[str, Any]:
        verdict, result = outcome(self.entry.function, arguments, infinite)
        if self.entry.documented and verdict in ("NaN", "infinity"):
            verdict = "value"
        return verdict, result


def one(base: Base, pick: mutations.Pick) -> tuple[str, str]:
    """What was changed, and `refused`, `value` or the fault."""
    arguments = base.arguments
    formed = [n for n, value in arguments.items() if any(mutations.forms(value))]
    numbers = [n for n, v in arguments.items() if mutations.is_array(v) or mutations.is_number(v)]
    ways = [("form", formed), ("extreme", numbers), ("extreme", numbers), ("malformed", arguments)]
    able = [way for way, names in ways if names]
    if not able:
        return "nothing to change", "value"
    match pick(able):
        case "form":
            return _formed(base, pick(formed), pick)
        case "extreme":
            said, changed = [], dict(arguments)
            for name in sorted({pick(numbers), pick(numbers)}):
                what, changed[name] = mutations.extreme(arguments[name], pick)
                said.append(f"{name}: {what}")
            return "; ".join(said), base.call(changed, infinite=base.infinite)[0]
    name = pick(list(arguments))
    what, value = mutations.malformed(arguments[name], pick)
    return f"{name}: {what}", base.call({**arguments, name: value}, infinite=True)[0]


def _formed(base: Base, name: str, pick: mutations.Pick) -> tuple[str, str]:
    what, precision, value = pick(list(mutations.forms(base.arguments[name])))
    verdict, result = base.call({**base.arguments, name: value}, infinite=True)
    if verdict == "value" and base.exact:
        gap = distance(result, base.result)
        if gap > max(SINGLE, LOOSE * precision):
            verdict = f"another value, {gap:.2g} away"
    return f"{name}: {what}", verdict
