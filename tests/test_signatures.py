"""One vocabulary: every public function of every method package is asked for its signature.

`key` comes first in a function that only draws something, and is keyword-only in one that does
something to given data; other words for what has a name in the house are not used. No two packages
give one name to different things, several results bear names, and clients are weighed alike
everywhere. Today's exceptions are listed, and the list may only shrink: an entry that is no longer
needed fails.
"""

import collections
import importlib
import inspect
import pkgutil
import typing

import pytest

import theorylab

# neural_tangents speaks the language of the library whose programs it runs
NOT_METHODS = {"cli", "report", "papers", "lab", "plotting", "neural_tangents"}
# the word that is not used: the one that is
WORDS = {
    "tolerance": "tol",
    "rtol": "tol",
    "atol": "tol",
    "iterations": "steps, or max_steps with tol",
    "n_iter": "steps, or max_steps with tol",
    "max_iter": "max_steps",
    "max_iterations": "max_steps",
    "n_steps": "steps",
    "num_steps": "steps",
    "n_rounds": "rounds",
    "num_rounds": "rounds",
    "minibatch": "batch_size",
    "n_batch": "batch_size",
    "memory": "memory_gb",
    "rng": "key",
    "seed": "key",
    "random_state": "key",
    "prng_key": "key",
    "penalty": "alpha",
    "ridge": "alpha",
    "reg": "alpha",
    "norm_n": "norm_w_n",
    "is_collective": "members",
}
# Packages that speak one language: there, a function that gives several things names them.
NAMED = {"federated", "mixtures", "shift", "matching", "collective", "rmt"}
# One name in two packages: each is known by the package in front of it, and they are the same kind
# of thing for other data.
SHARED = {
    "Sample",
    "Signal",
    "fit",
}
# Their code is in the key of committed results: rename them, with a warning of one release, when
# those are made again.
EXCEPTIONS = {
    "data.corrupt(key)",
    "federated.TangentMap(key)",
    "ntk.gradient_flow(ridge)",
    "ntk.random_head(key)",
    "ntk.sample_coordinates(key)",
    "ntk.sketch_ntk(key)",
    "ridge.fold_labels(key)",
    "ridge.gcv_slq(key)",
    "rmt.kappa_curve(key)",
    "rmt.lanczos_quadrature(key)",
    "rmt.slq_trace(key)",
}


def packages():
    found = []
    for module in pkgutil.iter_modules(theorylab.__path__, "theorylab."):
        if module.ispkg and module.name.split(".")[1] not in NOT_METHODS:
            package = importlib.import_module(module.name)
            found.append(package)
            found += [
                importlib.import_module(inner.name)
                for inner in pkgutil.iter_modules(package.__path__, f"{module.name}.")
                if inner.ispkg
            ]
    return found


def functions(package):
    """Name to what can be called: public functions, constructors, and methods that a class
    defines."""
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing):
            if not issubclass(thing, tuple | BaseException):
                yield name, thing
                for method, kind in vars(thing).items():
                    made = isinstance(kind, classmethod | staticmethod) or inspect.isfunction(kind)
                    if made and not method.startswith("_"):
                        yield f"{name}.{method}", getattr(thing, method)
        elif callable(thing):
            yield name, thing


def parameters(function):
    try:
        found = list(inspect.signature(function).parameters.values())
    except ValueError:  # built in
        return []
    return found[1:] if found and found[0].name == "self" else found


def violations(function):
    """What the signature of a function does against the vocabulary: the argument, and the rule."""
    found = {}
    for place, parameter in enumerate(parameters(function)):
        if parameter.name in WORDS:
            found[parameter.name] = f"is called {WORDS[parameter.name]} here"
        if parameter.name == "batch" and "int" in str(parameter.annotation):  # not a batch of data
            found["batch"] = "is called batch_size here"
        late = place and parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        if parameter.name in ("key", "keys") and late:
            found[parameter.name] = "comes first, or is keyword-only"
    return found


ALL = {
    f"{package.__name__.removeprefix('theorylab.')}.{name}": function
    for package in packages()
    for name, function in functions(package)
}


def unnamed_tuple(function):
    """Whether it is said to give a plain tuple of several things."""
    try:
        given = inspect.signature(function).return_annotation
    except ValueError:  # a type
        return False
    if isinstance(given, str):
        return given.replace(" ", "").startswith("tuple[")
    return typing.get_origin(given) is tuple


@pytest.mark.parametrize("name", ALL)
def test_arguments_bear_the_names_of_the_house(name):
    found = {
        a: rule for a, rule in violations(ALL[name]).items() if f"{name}({a})" not in EXCEPTIONS
    }
    assert not found


def test_every_exception_is_needed():
    today = {f"{name}({a})" for name, function in ALL.items() for a in violations(function)}
    assert today >= EXCEPTIONS, f"no longer needed: {sorted(EXCEPTIONS - today)}"


# A protocol's parts, which the user's own models and rules write too, and states that nobody reads.
PLAIN = ("weigh", "init", "update", "round", "propose")


@pytest.mark.parametrize(
    "name", [n for n in ALL if n.split(".")[0] in NAMED and n.split(".")[-1] not in PLAIN]
)
def test_several_results_bear_names(name):
    if not inspect.isclass(ALL[name]):
        assert not unnamed_tuple(ALL[name])


def test_one_name_is_one_thing_in_the_packages_of_one_language():
    of = collections.defaultdict(set)
    for package in packages():
        where = package.__name__.removeprefix("theorylab.")
        if where in NAMED:
            for name in package.__all__:
                thing = getattr(package, name)
                if callable(thing) and getattr(thing, "__module__", "").startswith("theorylab"):
                    of[name].add(where)
    assert {name for name, where in of.items() if len(where) > 1} <= SHARED


@pytest.mark.parametrize("name", [n for n in ALL if n.startswith("federated.")])
def test_clients_are_weighed_by_size_by_default(name):
    for parameter in parameters(ALL[name]):
        if parameter.name == "weights" and isinstance(parameter.default, str):
            assert parameter.default == "size"


def test_arguments_that_two_functions_share_come_in_one_order():
    shift = ALL["shift.nuisance_error"], ALL["shift.shift_bound"]
    first, second = ([p.name for p in parameters(f)] for f in shift)
    assert [n for n in first if n in second] == [n for n in second if n in first]
    assert first.index("norm_w_n") == second.index("norm_w_n") == 1


def pair() -> tuple[int, int]: ...


def one() -> int: ...


def test_a_plain_tuple_is_found():
    assert unnamed_tuple(pair) and not unnamed_tuple(one)


def draw_late(n, key): ...


def draw_first(key, n): ...


def treat(x, *, key): ...


def search(x, tolerance, iterations, batch: int): ...


def weigh(batch, tol, max_steps, batch_size): ...


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (draw_late, {"key"}),
        (draw_first, set()),
        (treat, set()),
        (search, {"tolerance", "iterations", "batch"}),
        (weigh, set()),
    ],
)
def test_a_violation_is_found(function, found):
    assert set(violations(function)) == found
