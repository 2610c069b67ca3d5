"""The page of what compiles for accelerators, from the numbers that `conformance.py` keeps."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

TITLES = {"h100": "H100", "v5e": "v5e chip", "v5e 4x4": "v5e 4x4", "h100 x 4": "4 x H100"}
_HEAD = """# What compiles for GPUs and TPUs

Programs that the method packages compile, compiled ahead of time for an H100, a TPU v5e chip and a
mesh of 16 such chips on a machine that has none of them
([how](gpu-and-clusters.md#compiling-for-a-device-that-is-not-here)). It says that a kernel compiles
there and how much memory it takes at the size of its test, not that it is right or fast: no
accelerator has run this code. Made by `python tests/aot/conformance.py`, this page by its `--page`.
The presets of the papers at their own size: `theorylab plan`.

**v5e 4x4**: each array whose first axis divides by 16 is split along it over the chips, and the
others are on all of them; memory is that of one chip. Programs without such an array are left out
there, since each chip would run the program of one.

**Routes.** *compiles*: all of it runs on the device. *host*: an eigendecomposition, SVD, QR or LU
in float64, which a TPU would emulate and its compiler take minutes for, is handed to NumPy on the
TPU's host by the program itself (`theorylab.linalg`); the rest runs on the chip. *fails*: the
compiler cannot; what to do instead is said below.
"""
# (program, device): what to do where the compiler cannot
ROUTES: dict[tuple[str, str], str] = {}


def page(record: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    programs, meshes = record["programs"], record.get("meshes", {})
    parts = [_HEAD]
    parts.append("## In numbers\n")
    parts += ["| device | programs | compile | host | fail |", "|---|---|---|---|---|"]
    for device in (d for d in TITLES if any(d in row for row in programs.values())):
        parts.append(_numbers(TITLES[device], device, programs))
    for device in (d for d in TITLES if any(d in row for row in meshes.values())):
        parts.append(_numbers(f"{TITLES[device]}, `mesh=` of `empirical_ntk`", device, meshes))
    failures = [
        f"- `{name}`, {TITLES.get(device, device)}: {row[device]['error'][:160]} "
        f"{ROUTES.get((name, device), '')}".rstrip()
        for name, row in [*programs.items(), *meshes.items()]
        for device in row
        if isinstance(row[device], dict) and "error" in row[device]
    ]
    parts += ["\n### What fails\n", *(failures or ["Nothing."])]
    kernels = len(record["not_reached"] + record["reached"])
    parts += [
        "\n### Kernels\n",
        f"{len(record['reached'])} of the {kernels} functions that the packages give to `jax.jit` "
        "were called for this record, some of them as a part of another's program.",
    ]
    if record["not_reached"]:
        parts.append(
            "Called by no example, no call of the tier and no cell that was rehearsed, and not in "
            "the tables: " + ", ".join(f"`{name}`" for name in record["not_reached"]) + "."
        )
    if meshes:
        parts += ["\n## On meshes\n", *_table(meshes)]
    packages: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, row in programs.items():
        first = name.split(":")[0]
        package = "ntk, every form" if "," in first else first.split(".")[0]
        packages[package][name] = row
    for package, rows in sorted(packages.items()):
        parts += [f"\n## {package}\n", *_table(rows)]
    versions = ", ".join(f"{k} {v}" for k, v in sorted(record["versions"].items()))
    parts.append(f"\nCompiled with {versions}.")
    return "\n".join(parts) + "\n"


def _numbers(title: str, device: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    counts = Counter(_state(row.get(device)) for row in rows.values())
    total = sum(counts.values()) - counts["not tried"]
    return f"| {title} | {total} | {counts['compiles']} | {counts['host']} | {counts['fails']} |"


def _table(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    devices = [d for d in TITLES if any(d in row for row in rows.values())]
    heads = " | ".join(f"{TITLES[d]}, memory" for d in devices)
    lines = [f"| program | {heads} | MFLOP |", f"|---|{'---|' * len(devices)}---|"]
    for name, row in rows.items():
        cells = " | ".join(_cell(row.get(d)) for d in devices)
        lines.append(f"| {name} | {cells} | {_flops(row)} |")
    return lines


def _flops(row: Mapping[str, Any]) -> str:
    if "counted_flops" not in row:
        return ""
    return f"{'' if row['bounded'] else '≥ '}{row['counted_flops'] / 1e6:.3g}"


def _state(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not tried"
    return "fails" if "error" in found else "host" if found.get("host_transfers") else "compiles"


def _cell(found: Mapping[str, Any] | None) -> str:
    state = _state(found)
    if found is None:
        return ""
    if state == "fails":
        return state
    memory = found["memory"]
    size = f"{memory / 1e6:.3g} MB" if memory >= 1e5 else f"{memory / 1e3:.3g} kB"
    return f"{size}, host" if state == "host" else size
