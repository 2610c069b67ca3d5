"""Old names that go on working for one release: arguments, fields of records, functions.

What is renamed keeps its old name until the next MINOR version, and says so by a
`DeprecationWarning` (CONTRIBUTING.md, versions). Nothing of theorylab's own uses an old name.
"""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
GONE = "0.3"


def old_arguments(order: str = "", /, **renamed: str) -> Callable[[F], F]:
    """Decorator: a function also takes the arguments that it had before.

        @old_arguments("labels n key", tolerance="tol")
        def split(labels, n, *, key, tol): ...

    Args:
        order: the names of today, in the order in which they could be given by position before,
            where an argument has become keyword-only or has moved (of a class, those of its
            constructor, `self` first). A call is of the old form when it reaches one that is
            keyword-only today and does not also name it.
        **renamed: old name = name of today.

    Returns:
        A decorator that keeps the signature of today.
    """
    before = order.split()

    def decorate(function: F) -> F:
        if isinstance(function, type):
            function.__init__ = decorate(function.__init__)  # type: ignore[misc]
            return function
        keyword_only = {
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind is inspect.Parameter.KEYWORD_ONLY
        }
        own = [i for i, name in enumerate(before) if name in keyword_only]
        said = getattr(function, "__qualname__", "the function").removesuffix(".__init__")

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            for old in renamed.keys() & kwargs.keys():
                new = renamed[old]
                if new in kwargs:
                    raise TypeError(f"{said}: {old} is the old name of {new}; both are given")
                tell_old(said, f"{old}= is {new}= now")
                kwargs[new] = kwargs.pop(old)
            if own and len(before) >= len(args) > own[0] and before[own[0]] not in kwargs:
                names = [name for name in before if name in keyword_only]
                tell_old(said, f"give {', '.join(names)} by name")
                kwargs = _join(said, dict(zip(before, args, strict=False)), kwargs)
                args = ()
            return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def old_options(order: str = "", /, **groups: tuple[type, str]) -> Callable[[F], F]:
    """Decorator: a function also takes by themselves the arguments that a record holds today.

        @old_options(solver=(NewtonOptions, "tol max_steps iterations=max_steps"))
        def sweep(model, *, solver=NewtonOptions()): ...

    Args:
        order: the names that could be given by position before, in their order, where some of them
            are in a record today.
        **groups: argument of today = (its record, the arguments of before that made it), the latter
            separated by spaces, as old=field where the field is called otherwise. An argument that
            is a field of its own record joins the others: `methods=("sl",), weight=0.5` becomes
            `methods=Learners(methods=("sl",), weight=0.5)`.

    Returns:
        A decorator that keeps the signature of today. A call is of the old form when it names one
        of these arguments; one that gives the record as well raises a TypeError.
    """
    before = order.split()
    fields = {
        group: dict((pair.split("=") * 2)[:2] for pair in names.split())
        for group, (_, names) in groups.items()
    }

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            old = [name for own in fields.values() for name in own if name in kwargs]
            if not old:
                return function(*args, **kwargs)
            kwargs = _join(said, dict(zip(before, args, strict=False)), kwargs)
            args, wanted = args[len(before) :], []
            for group, (record, _) in groups.items():
                names = fields[group]
                own = {names[name]: kwargs.pop(name) for name in names if name in kwargs}
                if not own:
                    continue
                if isinstance(kwargs.get(group), record):
                    raise TypeError(f"{said}: {group}= holds {', '.join(own)}; both are given")
                if group in kwargs:
                    own[group] = kwargs.pop(group)
                kwargs[group] = record(**own)
                wanted.append(f"{group}={record.__name__}({', '.join(f'{n}=...' for n in own)})")
            tell_old(said, f"{', '.join(old)} are {', '.join(wanted)} now")
            return function(*args, **kwargs)

        said = getattr(function, "__qualname__", "the function")
        return wrapper  # type: ignore[return-value]

    return decorate


def old_name(package: str, name: str, new: dict[str, str]) -> Any:
    """What a package's `__getattr__` gives: under an old name the function or class of today.

        def __getattr__(name):
            return old_name(__name__, name, {"Linear": "LinearRule"})

    Args:
        package: `__name__` of the package.
        name: what is looked up.
        new: old names to those of today.

    Returns:
        The attribute of today, after a warning.

    Raises:
        AttributeError: a name that never was.
    """
    if name not in new:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    tell_old(package, f"{name} is {new[name]} now", above=1)
    return getattr(sys.modules[package], new[name])


def old_field(old: str, new: str) -> Any:
    """Make the old name of a record's field: write it without an annotation.

        @dataclass
        class Found:
            norm_w_n: float
            norm_n = old_field("norm_n", "norm_w_n")

    Args:
        old: the old name.
        new: the field of today.

    Returns:
        A property that warns and reads the field.
    """

    def read(record: Any) -> Any:
        tell_old(type(record).__name__, f".{old} is .{new} now")
        return getattr(record, new)

    return property(read, doc=f"Old name of `{new}`.")


def tell_old(said: str, message: str, *, above: int = 0) -> None:
    """Warn of an old form.

    Args:
        said: what was called.
        message: what to write instead.
        above: frames between the caller of this function and the user, beyond one.
    """
    warnings.warn(f"{said}: {message}; the old form goes in {GONE}", DeprecationWarning, 3 + above)


def _join(said: str, given: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    if twice := given.keys() & kwargs.keys():
        raise TypeError(f"{said} got multiple values for {', '.join(sorted(twice))}")
    return given | kwargs
