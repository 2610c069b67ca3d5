"""Old names that go on working for one release: arguments, fields of records, functions.

What is renamed keeps its old name until the next MINOR version, and says so by a
`DeprecationWarning` (CONTRIBUTING.md, versions). Nothing of theorylab's own uses an old name.
"""

import functools
import inspect
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
            where an argument has become keyword-only or has moved. A call is of the old form when
            it reaches one that is keyword-only today and does not also name it.
        **renamed: old name = name of today.

    Returns:
        A decorator that keeps the signature of today.
    """
    before = order.split()

    def decorate(function: F) -> F:
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
                _tell(said, f"{old}= is {new}= now")
                kwargs[new] = kwargs.pop(old)
            if own and len(before) >= len(args) > own[0] and before[own[0]] not in kwargs:
                names = [name for name in before if name in keyword_only]
                _tell(said, f"give {', '.join(names)} by name")
                kwargs = _join(said, dict(zip(before, args, strict=False)), kwargs)
                args = ()
            return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def old_name(name: str, new: F) -> F:
    """Make a function or class that does what `new` does, and warns of its old name.

    Args:
        name: the old one, as `package.name`.
        new: what it is called today.

    Returns:
        A function with the signature of `new`.
    """

    @functools.wraps(new, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        package = name.rpartition(".")[0]
        _tell(name, f"it is {package}.{new.__name__} now")
        return new(*args, **kwargs)

    wrapper.__name__ = wrapper.__qualname__ = name.rpartition(".")[2]
    return wrapper  # type: ignore[return-value]


def old_field(name: str, new: str) -> Any:
    """Property under the old name of a record's field: write it without an annotation.

        @dataclass
        class Found:
            norm_w_n: float
            norm_n = old_field("norm_n", "norm_w_n")

    Args:
        name: the old one.
        new: the field of today.

    Returns:
        A property that warns.
    """

    def read(record: Any) -> Any:
        _tell(type(record).__name__, f".{name} is .{new} now")
        return getattr(record, new)

    return property(read, doc=f"Old name of `{new}`.")


def _tell(said: str, message: str) -> None:
    warnings.warn(f"{said}: {message}; the old form goes in {GONE}", DeprecationWarning, 3)


def _join(said: str, given: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    if twice := given.keys() & kwargs.keys():
        raise TypeError(f"{said} got multiple values for {', '.join(sorted(twice))}")
    return given | kwargs
