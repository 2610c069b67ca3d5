"""Structures of different types differ, so that a compiled function never runs another type's
program."""

import importlib
import itertools
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.tree_util import register_dataclass

import theorylab
from theorylab.errors import InputError
from theorylab.pytrees import register

ROOT = Path(__file__).parents[1]
LEAF = jax.tree.structure(0)


@register("power")
@dataclass(frozen=True)
class Monomial:
    scale: Any
    power: int = 1
    shift: Any = 0.0

    def __call__(self, x: Any) -> Any:
        return self.scale * x**self.power + self.shift


@register("power")
@dataclass(frozen=True)
class Child(Monomial):
    offset: Any = field(default=None)
    label: str = field(default="", metadata={"static": True})


@register()
@dataclass(frozen=True)
class Counted:
    value: Any
    twice: InitVar[Any] = None

    def __post_init__(self, twice: Any) -> None:
        if isinstance(self.value, float) and self.value < 0:
            raise ValueError("negative")


def numbered(count: int, decorate: Any) -> list[Any]:
    """Objects of `count` types without fields, which differ by the number that their class
    holds."""
    return [
        decorate(make_dataclass("T", [], frozen=True, namespace={"number": i}))()
        for i in range(count)
    ]


def wrongly_run(decorate: Any) -> list[int]:
    """For which of 100 types one compiled function returns the number of another."""
    function = jax.jit(lambda tree: tree.number)
    return [tree.number for tree in numbered(100, decorate) if int(function(tree)) != tree.number]


# What JAX's own registration does
# --------------------------------------------------------------------------------


@pytest.fixture
def fault() -> None:
    """Skip on a JAX whose own registration tells types apart: there is nothing left to show."""
    first, second = map(jax.tree.structure, numbered(2, register_dataclass))
    if first != second:
        pytest.skip(
            f"JAX {jax.__version__} tells types of register_dataclass apart: the fault is mended "
            "there"
        )


def test_jax_hands_out_the_type_of_the_branch_not_taken(fault):
    first, second = numbered(2, register_dataclass)
    # false takes the second
    assert jax.lax.cond(False, lambda: first, lambda: second).number == first.number


def test_jax_runs_the_program_of_another_type(fault):
    wrong = wrongly_run(register_dataclass)  # a dozen; none has odds of about exp(-12)
    # caches compare stored 64-bit hashes before structures since then
    if jax.__version_info__ >= (0, 11):
        assert wrong == []
        pytest.skip(
            f"JAX {jax.__version__}: structures are equal, but no wrong program can be provoked"
        )
    assert len(wrong) > 0


# What ours does
# --------------------------------------------------------------------------------------------------


def test_every_type_runs_its_own_program():
    assert wrongly_run(register()) == []


def test_branches_of_two_types_are_refused():
    first, second = numbered(2, register())
    with pytest.raises(TypeError, match="same pytree structure"):
        jax.lax.cond(False, lambda: first, lambda: second)


def test_loops_that_change_the_type_are_refused():
    first, second = numbered(2, register())
    with pytest.raises(TypeError, match="same pytree structure"):
        jax.lax.scan(lambda carry, _: (second, None), first, length=2)


def test_named_tuples_of_two_types_differ():
    first, second = NamedTuple("A", [("x", int)]), NamedTuple("A", [("x", int)])
    assert jax.tree.structure(first(0)) != jax.tree.structure(second(0))


def test_structures_of_one_type_are_equal():
    assert jax.tree.structure(Monomial(1.0, 2)) == jax.tree.structure(Monomial(np.ones(3), 2))
    assert hash(jax.tree.structure(Monomial(1.0, 2))) == hash(
        jax.tree.structure(Monomial(np.ones(3), 2))
    )
    assert jax.tree.structure(Monomial(1.0, 2)) != jax.tree.structure(Monomial(1.0, 3))


def test_a_subclass_is_another_type():
    assert jax.tree.structure(Child(1.0, offset=None)) != jax.tree.structure(Monomial(1.0))


# All types of the package
# ----------------------------------------------------------------------------------------


def subclasses(cls: type) -> Iterator[type]:
    for sub in type.__subclasses__(cls):
        yield sub
        yield from subclasses(sub)


def blank(cls: Any) -> Any:
    """An instance that no constructor has seen, with None in every field."""
    if issubclass(cls, tuple):
        return cls._make([None] * len(cls._fields))
    made = object.__new__(cls)
    for each in fields(cls):
        object.__setattr__(made, each.name, None)
    return made


@pytest.fixture(scope="module")
def structures() -> dict[type, Any]:
    """The structure of every dataclass and named tuple of theorylab that JAX looks into."""
    for module in pkgutil.walk_packages(theorylab.__path__, "theorylab."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = {cls for cls in subclasses(object) if str(cls.__module__).startswith("theorylab.")}
    nodes = {c for c in ours if is_dataclass(c) or (issubclass(c, tuple) and hasattr(c, "_fields"))}
    found = {cls: jax.tree.structure(blank(cls)) for cls in nodes}
    return {cls: structure for cls, structure in found.items() if structure != LEAF}


@pytest.mark.long
def test_no_two_types_of_the_package_have_equal_structures(structures):
    assert sum(is_dataclass(cls) for cls in structures) >= 80
    equal = [
        (a, b) for a, b in itertools.combinations(structures, 2) if structures[a] == structures[b]
    ]
    assert equal == []


@pytest.mark.long
def test_registered_by_jax_the_types_of_the_package_would_be_equal_in_groups(structures, fault):
    """The control of the test above: the same numbers of data and static fields, registered by
    JAX's own function."""
    groups: dict[Any, list[type]] = {}
    for cls, structure in structures.items():
        if is_dataclass(cls):
            data = [f"d{i}" for i in range(len(structure.children()))]
            static = [f"s{i}" for i in range(len(structure.node_data()[1]))]
            twin = make_dataclass("Twin", data + static, frozen=True)
            node = jax.tree.structure(
                blank(register_dataclass(twin, data_fields=data, meta_fields=static))
            )
            groups.setdefault(next((known for known in groups if known == node), node), []).append(
                cls
            )
    assert sum(len(group) > 1 for group in groups.values()) >= 10


SPELLINGS = {
    "called": "import jax\n\njax.tree_util.register_dataclass(int)\n",
    "imported": "from jax.tree_util import register_dataclass\n",
    "renamed": "from jax import tree_util as t\n\nt.register_pytree_node(int, None, None)\n",
    "partial": (
        "import functools as f\n\nimport "
        "jax\n\nf.partial(jax.tree_util.register_dataclass, data_fields=[])\n"
    ),
    "keys": "from jax.tree_util import register_pytree_with_keys as r\n",
    "class": (
        "import jax.tree_util as "
        "t\n\nt.register_pytree_node_class(int)\nt.register_pytree_with_keys_class(int)\n"
    ),
    "static": "import jax\n\njax.tree_util.register_static(int)\n",
    "flax": "from flax import struct\n\nstruct.dataclass(int)\n",
}


def banned(code: str, path: str) -> bool:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--select",
        "TID251",
        "--stdin-filename",
        path,
        "-",
    ]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return "TID251" in done.stdout


@pytest.mark.parametrize("code", SPELLINGS.values(), ids=SPELLINGS)
def test_the_linter_refuses_other_registrations(code):
    assert banned(code, "theorylab/online/policies.py")
    assert not banned(code, "theorylab/pytrees.py")


def test_the_package_registers_types_in_one_place_only():
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--ignore-noqa", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# What stays as JAX's own registration does it
# ---------------------------------------------------------------------


LAYOUTS = st.lists(st.sampled_from(["data", "named", "marked"]), max_size=6)


@given(LAYOUTS)
def test_leaves_paths_and_copies_are_those_of_jax(kinds):
    """Twins of one layout, the one registered by JAX: same leaves, key paths and printed structure;
    equal copies."""
    names = [f"f{i}" for i in range(len(kinds))]
    static = {name for name, kind in zip(names, kinds, strict=True) if kind != "data"}
    marks = [{"static": True} if kind == "marked" else {} for kind in kinds]
    layout = [(name, Any, field(metadata=mark)) for name, mark in zip(names, marks, strict=True)]
    named = [name for name, kind in zip(names, kinds, strict=True) if kind == "named"]
    ours = register(*named)(make_dataclass("Twin", layout, frozen=True))
    theirs = register_dataclass(
        make_dataclass("Twin", layout, frozen=True),
        data_fields=[name for name in names if name not in static],
        meta_fields=[name for name in names if name in static],
    )
    values = [
        (i, {"a": 2 * i, "b": None}) if name not in static else f"s{i}"
        for i, name in enumerate(names)
    ]
    mine, twin = ours(*values), theirs(*values)
    assert jax.tree.leaves(mine) == jax.tree.leaves(twin)
    assert jax.tree.leaves_with_path(mine) == jax.tree.leaves_with_path(twin)
    assert str(jax.tree.structure(mine)) == str(jax.tree.structure(twin))
    assert jax.tree.unflatten(jax.tree.structure(mine), jax.tree.leaves(mine)) == mine
    assert vars(jax.tree.map(lambda leaf: leaf + 1, mine)) == vars(
        jax.tree.map(lambda leaf: leaf + 1, twin)
    )


def test_key_paths_are_attribute_names():
    paths = [
        jax.tree_util.keystr(path)
        for path, _ in jax.tree.leaves_with_path(Child(1.0, 2, 3.0, offset=(4.0,)))
    ]
    assert paths == [".scale", ".shift", ".offset[0]"]


def test_copies_are_made_by_the_constructor():
    structure = jax.tree.structure(Counted(1.0))
    assert jax.tree.unflatten(structure, [2.0]) == Counted(2.0)
    # placeholders pass through
    assert jax.tree.unflatten(structure, [marker := object()]).value is marker
    with pytest.raises(ValueError, match="negative"):
        jax.tree.map(lambda leaf: -leaf, Counted(1.0))


def test_goes_through_jit_vmap_grad_and_scan():
    x = jnp.arange(1.0, 4.0)
    model = Monomial(jnp.float32(2.0), 3, 1.0)
    np.testing.assert_allclose(
        jax.jit(lambda m, x: m(x))(model, x), 2 * np.arange(1.0, 4.0) ** 3 + 1
    )
    slopes = jax.grad(lambda m: m(x).sum())(model)
    assert (slopes.power, float(slopes.scale), float(slopes.shift)) == (3, 1 + 8 + 27, 3)
    many = jax.vmap(lambda scale: Monomial(scale, 2))(x)
    np.testing.assert_allclose(jax.vmap(lambda m: m(2.0))(many), 4 * np.arange(1.0, 4.0))
    axes = Monomial(0, 2, None)
    np.testing.assert_allclose(
        jax.vmap(lambda m: m(2.0), in_axes=(axes,))(Monomial(x, 2, 5.0)),
        4 * np.arange(1.0, 4.0) + 5,
    )
    last, _ = jax.lax.scan(
        lambda m, _: (Monomial(m.scale * 2, m.power, m.shift), None), model, length=3
    )
    assert float(last.scale) == 16.0


def test_a_static_field_compiles_anew():
    traces = []

    @jax.jit
    def evaluate(model: Monomial) -> Any:
        traces.append(model.power)
        return model(2.0)

    assert [float(evaluate(Monomial(1.0, p))) for p in (1, 2, 1, 3)] == [2.0, 4.0, 2.0, 8.0]
    assert traces == [1, 2, 3]


def test_objects_and_structures_survive_pickling():
    model = Child(1.0, 2, 3.0, (4.0, 5.0), "name")
    structure = jax.tree.structure(model)
    assert pickle.loads(pickle.dumps(model)) == model
    assert pickle.loads(pickle.dumps(structure)) == structure
    assert (
        jax.tree.unflatten(pickle.loads(pickle.dumps(structure)), jax.tree.leaves(model)) == model
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: register()(type("Plain", (), {})), "Plain is no dataclass"),
        (
            lambda: dataclass(register()(type("Sub", (Monomial,), {}))),
            "Sub is no dataclass; put @register",
        ),
        (
            lambda: register("nn")(make_dataclass("Model", ["n"])),
            r"Model has no field \['nn'\]; its fields are \['n'\]",
        ),
        (
            lambda: register()(make_dataclass("Model", [("n", int, field(init=False))])),
            r"sets \['n'\] itself",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_type_is_registered_once():
    with pytest.raises(ValueError, match="Duplicate"):
        register()(Monomial)
