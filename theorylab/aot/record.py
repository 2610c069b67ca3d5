"""What programs a computation runs, found without running them.

While a `Recorder` is installed, `jax.jit` makes functions that trace their program, note it, and
hand back arrays of its results' shapes in place of its results. Host code goes on from there, so
that one pass through hours of computing shows every program at its own size in seconds. What is
small is computed all the same: it often decides where the host goes next.

Where made-up numbers decide where the host goes (when to stop, which shape comes next), it may go
elsewhere than a real run: what is recorded is an account of sizes, not a promise.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from theorylab.aot.work import Work, work_of

_SMALL_FLOPS, _SMALL_BYTES, _SMALL_OPERATIONS = 5e7, 1 << 24, 2000  # of a program that is run
_JIT = jax.jit


@dataclass
class Program:
    """One program of a computation: a function at certain shapes.

    Attributes:
        name: of the function.
        place: file and line where it is compiled.
        function: what `jax.jit` was given.
        options: and with what.
        args: of a call; arrays are `jax.ShapeDtypeStruct`.
        kwargs: likewise.
        wide: whether 64-bit types were on.
        precision: of matrix products.
        out: shapes of the results.
        closed: the traced program.
        platform: whose branches are counted.
        work: of one call, the largest.
        bytes: of arguments and results.
        total: work of all calls.
        calls: how often it was called.
    """

    name: str
    place: tuple[str, int]
    function: Callable[..., Any]
    options: dict[str, Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    wide: bool
    precision: Any
    out: Any
    closed: Any
    platform: str
    work: Work
    bytes: int
    total: Work = field(default_factory=Work)
    calls: int = 0
    _by_lengths: dict[Any, Work] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.free = self.work  # counted without knowing an argument

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """JAX's settings as they were when it was called."""
        with jax.enable_x64(self.wide), jax.default_matmul_precision(self.precision):
            yield

    def count(self, dynamic: list[Any]) -> None:
        """Count a call: arguments that are whole numbers may say how long loops are."""
        work = self.work
        if not self.free.bounded and len(dynamic) == len(self.closed.jaxpr.invars):
            known = {i: int(leaf) for i, leaf in enumerate(dynamic) if _is_whole(leaf)}
            lengths = tuple(known.items())
            if lengths not in self._by_lengths:
                self._by_lengths[lengths] = work_of(
                    self.closed, platform=self.platform, known=known
                )
            work = self._by_lengths[lengths]
            if self.calls == 0 or work.flops > self.work.flops:
                self.work = work
        self.total, self.calls = self.total + work, self.calls + 1

    @property
    def small(self) -> bool:
        """Whether it is run even while programs are recorded."""
        return (
            self.work.flops < _SMALL_FLOPS
            and self.work.operations < _SMALL_OPERATIONS
            and self.work.bounded
            and max(self.bytes, self.work.largest) < _SMALL_BYTES
        )


@dataclass
class Recorder:
    """Notes the programs that are run through `jax.jit` while it is installed.

    `install` comes before the modules are imported whose programs are wanted, in a process of its
    own: they look `jax.jit` up when they are imported.

    Args:
        backend: what `jax.default_backend()` says from then on: "gpu" or "tpu".
        platform: of which the branches are counted where programs differ: "cuda" or "tpu".

    Attributes:
        programs: what was noted.
        recording: whether calls are noted; else they run as ever.
        made: the functions that were made in place of `jax.jit`'s.
    """

    backend: str
    platform: str
    programs: dict[Any, Program] = field(default_factory=dict)
    recording: bool = False
    made: list["Recorded"] = field(default_factory=list)
    _inside: bool = False

    def install(self) -> None:
        """Take the place of `jax.jit` and `jax.default_backend`."""
        vars(jax).update(jit=self.jit, default_backend=lambda: self.backend)

    def jit(self, function: Any = None, /, **options: Any) -> Any:
        """What `jax.jit` is while the recorder is installed."""
        if function is None:
            return functools.partial(self.jit, **options)
        recorded = Recorded(self, function, options, _place())
        self.made.append(recorded)
        return recorded

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Note the programs that are called inside."""
        self.recording, before = True, self.recording
        try:
            yield
        finally:
            self.recording = before

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """Programs that are called by another one are part of it."""
        self._inside, before = True, self._inside
        try:
            yield
        finally:
            self._inside = before

    def notes(self, leaves: list[Any]) -> bool:
        """Whether a call with these arguments is one to note."""
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
        return self.recording and not self._inside and not traced

    def note(self, recorded: "Recorded", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
        """The program of a call, noted when it is the first of its shapes."""
        leaves, tree = jax.tree.flatten(_dynamic(recorded, args, kwargs))
        wide, precision = (
            getattr(jax.config, f"jax_{name}")
            for name in ("enable_x64", "default_matmul_precision")
        )
        specs = tuple(_spec(leaf) for leaf in leaves)
        key = (id(recorded), tree, specs, _fixed(recorded, args, kwargs), wide, precision)
        if key not in self.programs:
            with self.tracing():
                traced = recorded.real.trace(*args, **kwargs)
            inputs = traced.jaxpr.jaxpr.invars
            given, named = jax.tree.map(_abstract, (args, kwargs))
            sizes = [*(v.aval for v in inputs), *jax.tree.leaves(traced.out_info)]
            self.programs[key] = Program(
                name=getattr(recorded.function, "__name__", type(recorded.function).__name__),
                place=recorded.place,
                function=recorded.function,
                options=recorded.options,
                args=given,
                kwargs=named,
                wide=wide,
                precision=precision,
                out=traced.out_info,
                closed=traced.jaxpr,
                platform=self.platform,
                work=work_of(traced.jaxpr, platform=self.platform),
                bytes=sum(map(_nbytes, sizes)),
            )
        return self.programs[key]


class Recorded:
    """A function as `Recorder.jit` makes it: it can what one of `jax.jit` can.

    Args:
        recorder: who notes its calls.
        function: what is compiled.
        options: of `jax.jit`.
        place: file and line where it is made.

    Attributes:
        used: whether it was called, by itself or in another program.
    """

    def __init__(
        self,
        recorder: Recorder,
        function: Callable[..., Any],
        options: dict[str, Any],
        place: tuple[str, int] = ("", 0),
    ):
        self.recorder, self.function, self.options = recorder, function, options
        self.place, self.used = place, False
        self.real = _JIT(function, **options)
        with contextlib.suppress(AttributeError):
            functools.update_wrapper(self, function)
        self.static = _static(function, options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, or note the call and answer with arrays of the right shapes."""
        self.used |= self.recorder.recording
        if not self.recorder.notes(jax.tree.leaves((args, kwargs))):
            return self.real(*args, **kwargs)
        program = self.recorder.note(self, args, kwargs)
        program.count(jax.tree.leaves(_dynamic(self, args, kwargs)))
        if program.small:
            with self.recorder.tracing():
                return self.real(*args, **kwargs)
        return jax.tree.map(made_up, program.out)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["real"], name)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """As `jax.jit(f).lower`: what it compiles to is recorded when it is called."""
        if not self.recorder.recording:
            return self.real.lower(*args, **kwargs)
        self.used = True
        return _Lowered(self, self.recorder.note(self, args, kwargs), args, kwargs)


class _Lowered:
    def __init__(self, recorded: Recorded, program: Program, args: Any, kwargs: Any):
        self.recorded, self.program, self.out_info = recorded, program, program.out
        self._given = args, kwargs

    def compile(self, *_: Any, **__: Any) -> Any:
        return _Compiled(self.recorded, self.program)

    def __getattr__(self, name: str) -> Any:
        args, kwargs = self.__dict__["_given"]
        return getattr(self.recorded.real.lower(*args, **kwargs), name)


@dataclass(frozen=True)
class _Memory:
    """A guess at the compiler's account: two of the largest array inside exist at a time."""

    temp_size_in_bytes: int
    argument_size_in_bytes: int = 0
    output_size_in_bytes: int = 0
    alias_size_in_bytes: int = 0
    generated_code_size_in_bytes: int = 0


class _Compiled:
    def __init__(self, recorded: Recorded, program: Program):
        self.recorded, self.program, self.out_info = recorded, program, program.out

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.recorded(*args, **kwargs)

    def memory_analysis(self) -> _Memory:
        return _Memory(2 * self.program.work.largest)

    def cost_analysis(self) -> dict[str, float]:
        return {"flops": self.program.work.flops}


def made_up(info: Any) -> Any:
    """An array of this shape and type without a result's numbers: ones, True, or zeros if large.

    Large zeros take no memory until they are written to.
    """
    if jax.dtypes.issubdtype(info.dtype, jax.dtypes.prng_key):
        return jax.random.split(jax.random.key(0), info.shape)
    dtype, size = np.dtype(info.dtype), math.prod(info.shape)
    if size * dtype.itemsize < 1 << 20:
        fill = np.zeros if np.issubdtype(dtype, np.integer) else np.ones
        return jax.device_put(fill(info.shape, dtype))
    space = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -space.ctypes.data % 64  # aligned, so that JAX takes it as it is
    return jax.device_put(
        space[start : start + size * dtype.itemsize].view(dtype).reshape(info.shape)
    )


def _place() -> tuple[str, int]:
    """File and line outside of this module from which it was called."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def _static(function: Any, options: dict[str, Any]) -> tuple[set[int], set[str]]:
    """Positions and names of static arguments; each follows from the other."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    numbers, words = options.get("static_argnums", ()), options.get("static_argnames", ())
    numbers = {numbers} if isinstance(numbers, int) else set(numbers or ())
    words = {words} if isinstance(words, str) else set(words or ())
    positions = numbers | {names.index(word) for word in words if word in names}
    return positions, words | {names[i] for i in numbers if i < len(names)}


def _dynamic(recorded: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    positions, names = recorded.static
    return (
        [a for i, a in enumerate(args) if i not in positions],
        {name: a for name, a in kwargs.items() if name not in names},
    )


def _fixed(recorded: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Static arguments with their places, which can be hashed or JAX refuses them."""
    positions, names = recorded.static
    given = [(i, a) for i, a in enumerate(args) if i in positions]
    return (*given, *((k, kwargs[k]) for k in sorted(kwargs) if k in names))


def _is_whole(leaf: Any) -> bool:
    if isinstance(leaf, bool | jax.core.Tracer | jax.ShapeDtypeStruct):
        return False
    if isinstance(leaf, int):
        return True
    dtype = getattr(leaf, "dtype", None)
    plain = dtype is not None and not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)
    return plain and np.ndim(leaf) == 0 and np.issubdtype(dtype, np.integer)


def _spec(leaf: Any) -> Any:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return tuple(leaf.shape), str(leaf.dtype), bool(getattr(leaf, "weak_type", False))
    return type(leaf)


def _abstract(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | np.ndarray):
        dtype = (
            jax.dtypes.canonicalize_dtype(leaf.dtype)
            if isinstance(leaf, np.ndarray)
            else (leaf.dtype)
        )
        return jax.ShapeDtypeStruct(leaf.shape, dtype)
    return leaf


def _nbytes(aval: Any) -> int:
    return math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 8)
