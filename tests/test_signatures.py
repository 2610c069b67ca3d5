"""One vocabulary of arguments: every public function of every method package is asked for its
signature.

`key` comes first in a function that only draws something, and is keyword-only in one that does
something to given data; other words for what has a name in the house are not used. Today's
exceptions are listed, and the list may only shrink: an entry that is no longer needed fails.
"""

import importlib
import inspect
import pkgutil

import pytest

import theorylab

NOT_METHODS = {"cli", "report", "papers", "lab", "plotting"}
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
}
# Their code is in the key of committed results: rename them, with a warning of one release, when
# those are made anew.
EXCEPTIONS = {
    "data.corrupt(key)",
    "federated.TangentMap(key)",
    "federated.dirichlet_partition(key)",
    "federated.iid_partition(key)",
    "federated.label_partition(key)",
    "matching.Linear(ridge)",
    "matching.auction_assignment(tolerance)",
    "matching.is_stable(tolerance)",
    "matching.linear(ridge)",
    "matching.simulate(batch)",
    "mixtures.fit_logistic(iterations)",
    "mixtures.fit_mixture(iterations)",
    "mixtures.fit_mixture(tolerance)",
    "mixtures.ssl_em(iterations)",
    "mixtures.ssl_em(tolerance)",
    "mixtures.sweep(iterations)",
    "mixtures.sweep(tolerance)",
    "ntk.gradient_flow(ridge)",
    "ntk.random_head(key)",
    "ntk.sample_coordinates(key)",
    "ntk.sketch_ntk(key)",
    "ridge.fold_labels(key)",
    "ridge.gcv_slq(key)",
    "rmt.kappa_curve(key)",
    "rmt.lanczos_quadrature(key)",
    "rmt.slq_trace(key)",
    "shift.LogisticFit(iterations)",
    "shift.PseudoTraining.many(key)",
    "shift.Sweep(iterations)",
    "shift.colour_images(key)",
    "shift.colour_noise(key)",
    "shift.finetune(key)",
    "shift.projection_norms(key)",
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


@pytest.mark.parametrize("name", ALL)
def test_arguments_bear_the_names_of_the_house(name):
    found = {
        a: rule for a, rule in violations(ALL[name]).items() if f"{name}({a})" not in EXCEPTIONS
    }
    assert not found


def test_every_exception_is_needed():
    today = {f"{name}({a})" for name, function in ALL.items() for a in violations(function)}
    assert today >= EXCEPTIONS, f"no longer needed: {sorted(EXCEPTIONS - today)}"


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
