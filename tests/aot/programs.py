"""What is known of a traced program: its name, its digest, and what compilers say of it."""

import hashlib
import re
import time
from pathlib import Path

DEVICES = {"h100": ("h100", 1), "v5e": ("v5e", 1), "v5e 4x4": ("v5e", 16)}


def bytes_of(program) -> int:
    """Bytes of a program's arguments and of its largest value."""
    return program.bytes + program.work.largest


def _types(program) -> str:
    import jax

    leaves = [a for a in jax.tree.leaves((program.args, program.kwargs)) if hasattr(a, "dtype")]
    names = sorted({str(a.dtype) for a in leaves if "float" in str(a.dtype)})
    return "+".join(names) or "no floats"


def name_of(program, root) -> str:
    """Module, function and types; empty for what is not of the method packages."""
    import collect

    path = Path(program.place[0])
    if not path.is_relative_to(root / "theorylab"):
        return ""
    name = path.relative_to(root / "theorylab").with_suffix("").as_posix().replace("/", ".")
    if name.split(".")[0] not in collect.PACKAGES:
        return ""
    return f"{name}:{part_of(program)}, {_types(program)}"


def part_of(program) -> str:
    """Name of the function that a program was traced from."""
    inner = getattr(program.function, "func", program.function)
    name = getattr(inner, "__name__", type(inner).__name__)
    if name == "<lambda>":
        held = inner.__closure__ or ()
        named = [c.cell_contents for c in held if callable(c.cell_contents)]
        name = next((f.__name__ for f in named if hasattr(f, "__name__")), "a program")
        name = "a program" if name == "<lambda>" else name
    return name.strip("_").replace("_", " ")


def compiled(program, name: str) -> dict:
    """What the compiler for a device says of a program."""
    import texts

    from theorylab.aot import TARGETS, build

    target, count = DEVICES[name]
    before = time.process_time()
    try:
        built = build(program, TARGETS[target], count)
        row = {"memory": built.program_bytes, "temporary": built.temporary} | texts.facts(
            built.text
        )
        if built.flops and built.flops > 0:
            row["flops"] = built.flops
        if count > 1:
            row["collectives"] = sorted(texts.collectives(built.text))
    except Exception as error:
        row = {"error": " ".join(str(error).split())[:300]}
    return row | {"seconds": round(time.process_time() - before, 1)}


def digest(program) -> str:
    """Of what is compiled: the traced program, and what it is given."""
    import jax

    leaves = [
        (a.shape, str(a.dtype))
        for a in jax.tree.leaves((program.args, program.kwargs))
        if hasattr(a, "dtype")
    ]
    text = f"{program.closed} {leaves} {program.wide} {program.precision}"
    return hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", text).encode()).hexdigest()[:16]
