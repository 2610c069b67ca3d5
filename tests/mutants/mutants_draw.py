"""Random mutants of the code: a place first, each line equally likely, then a change there.

Most changes are mutmut's. Strings, assignments of None and arguments of None are left out: whatever
runs the line sees them. Added are the kinds that tests of values overlook: numbers a little off, a
branch always or never taken, a call for its effect alone (a guard) or an argument with a name (a
default) left out. Annotations, decorators, messages and what is raised are not touched.
"""

import random
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

KINDS = {
    mutators.operator_name,
    mutators.operator_augmented_assignment,
    mutators.operator_remove_unary_ops,
    mutators.operator_keywords,
    mutators.operator_swap_op,
    mutators.operator_match,
    mutators.operator_if_exp,
}
UNTOUCHED = (
    cst.Annotation,
    cst.Decorator,
    cst.Raise,
    cst.FormattedString,
    cst.Import,
    cst.ImportFrom,
    cst.ConcatenatedString,
)


class Mutant(NamedTuple):
    """A changed file: its path, the line, the kind of change, the text, and what differs."""

    path: Path
    line: int
    kind: str
    text: str
    change: list[str]


def numbers(node: Any) -> Iterator[cst.CSTNode]:
    """One more and one less; a tenth more and half of what has a decimal point."""
    value = getattr(node, "evaluated_value", None)
    if isinstance(node, cst.Integer):
        yield cst.Integer(str(value + 1))
        yield cst.parse_expression("(-1)") if value == 0 else cst.Integer(str(value - 1))
    elif isinstance(node, cst.Float):
        yield cst.Float(repr(value * 1.1 if value else 0.1))
        yield cst.Float(repr(value / 2 if value else 1.0))


def left_out(node: Any) -> Iterator[cst.CSTNode]:
    """A branch always and never taken, a call without effect, a call without a named argument."""
    if isinstance(node, cst.If):
        for constant in ("True", "False"):
            yield node.with_changes(test=cst.Name(constant))
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call):
        yield cst.Pass()
    if isinstance(node, cst.Call):
        for argument in node.args:
            if argument.keyword is not None:
                rest = [a for a in node.args if a is not argument]
                if rest:
                    rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
                yield node.with_changes(args=rest)


def changes(node: cst.CSTNode) -> Iterator[tuple[str, cst.CSTNode]]:
    """Every change of a node, with its kind."""
    for kind, operator in mutators.mutation_operators:
        if operator in KINDS and isinstance(node, kind):
            yield from ((operator.__name__, new) for new in operator(node))
    yield from (("number", new) for new in numbers(node))
    yield from (("left_out", new) for new in left_out(node))


def untouched(node: cst.CSTNode) -> bool:
    """Annotations, decorators, messages, what is raised, aliases of types, imports for them."""
    if isinstance(node, cst.Call):
        name = cst.Module([]).code_for_node(node.func).split(".")[-1]
        return name in ("warn", "cast", "TypeVar", "Literal", "NewType") or name.endswith("Error")
    if isinstance(node, cst.If):
        return isinstance(node.test, cst.Name) and node.test.value == "TYPE_CHECKING"
    return isinstance(node, UNTOUCHED)


def alias(node: cst.CSTNode) -> bool:
    """A union of types with a name, or a dunder: only outside of functions and classes."""
    if not isinstance(node, cst.Assign):
        return False
    names = [t.target.value for t in node.targets if isinstance(t.target, cst.Name)]
    union = isinstance(node.value, cst.BinaryOperation)
    return any(name.startswith("__") for name in names) or (
        union and isinstance(node.value.operator, cst.BitOr)
    )


class Places(cst.CSTVisitor):
    """The changes of a module, by line."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.found: dict[int, list[tuple[cst.CSTNode, str, cst.CSTNode]]] = {}
        self.inside = 0  # of how many functions and classes

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Note the changes here, and go on inside of what may be touched."""
        if untouched(node) or (self.inside == 0 and alias(node)):
            return False
        self.inside += isinstance(node, cst.FunctionDef | cst.ClassDef)
        line = self.get_metadata(PositionProvider, node).start.line
        self.found.setdefault(line, []).extend((node, *change) for change in changes(node))
        return super().on_visit(node)

    def on_leave(self, node: cst.CSTNode) -> None:
        """Count the way out."""
        self.inside -= isinstance(node, cst.FunctionDef | cst.ClassDef)
        super().on_leave(node)


def mutants(path: Path) -> tuple[dict[int, Any], cst.Module]:
    """The changes of a file by line, of lines that have any; and the file."""
    wrapper, places = MetadataWrapper(cst.parse_module(path.read_text())), Places()
    wrapper.visit(places)
    return {line: found for line, found in places.found.items() if found}, wrapper.module


def drawn(seed: int, number: int, files: list[Path]) -> Iterator[Mutant]:
    """So many different mutants of these files; longer files have more."""
    rng, seen, known = random.Random(seed), set(), {}
    lines = [len(path.read_text().splitlines()) for path in files]
    while len(seen) < number:
        path = rng.choices(files, lines)[0]
        if path not in known:
            known[path] = mutants(path)
        found, module = known[path]
        if not found:
            continue
        line = rng.choice(sorted(found))
        node, kind, new = rng.choice(found[line])
        text = module.deep_replace(node, new).code
        if text in seen or text == module.code:
            continue
        seen.add(text)
        compile(text, str(path), "exec")
        before, after = module.code.splitlines(), text.splitlines()
        change = list(unified_diff(before, after, lineterm="", n=0))[3:]
        yield Mutant(path, line, kind, text, change)
