"""The page of the benchmarks, from the JSON files that their scripts wrote."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from theorylab.report.charts import INK, Spec
from theorylab.report.markup import facts, folded, prose, table
from theorylab.report.quantities import Quantity, quantity

Row = Mapping[str, Any]
_MACHINE = ("versions", "device", "devices", "gpu", "cpu", "cores", "load_average", "limits")
_LONGEST = 90  # characters of a text in a table


def benchmark_page(folder: Path) -> tuple[str, dict[str, list[Spec]]]:
    """The Markdown of the benchmark page, and its charts by name.

    Both follow from the JSON files that the benchmarks wrote.
    """
    intro = (
        "Every figure stands beside a named peer that ran on the same machine. Times are by the "
        "wall clock unless a column says processor; a ratio above 1 means that theorylab is "
        "faster. What was not measured says so."
    )
    parts = ["# Benchmarks\n", prose(intro)]
    drawn: dict[str, list[Spec]] = {}
    for path in sorted(folder.glob("*.json")):
        script = _script(path)
        try:
            record = json.loads(path.read_bytes())
            parts += _section(path.stem, script, record, drawn)
        except (OSError, ValueError, AttributeError, TypeError):
            damaged = f"`{path.name}` is damaged; run its benchmark again."
            parts.append(f"## {title_of(script, {})}\n\n{prose(damaged)}\n")
    if len(parts) == 2:
        parts.append(prose(f"No results in {folder}."))
    return "\n".join(parts), drawn


def _section(
    stem: str, script: Path, record: Mapping[str, Any], drawn: dict[str, list[Spec]]
) -> list[str]:
    title = title_of(script, record)
    told = {"device": device_of(record), "versions": _versions(record)}
    if "limits" in record:
        told["measured limits"] = _limits(record["limits"])
    parts = [f"## {title}\n", facts(told)]
    tables = [(name, rows) for name, rows in tables_of(record) if rows]
    ratios = [ratio for _, rows in tables for ratio in _ratios(rows)]
    if ratios:
        drawn[stem] = [_dot_chart(ratios)]
        parts.append(
            f'<details class="tl-charts" data-name="{stem}" data-src="benchmarks/{stem}.js" open>'
            "<summary>Times faster than the peer</summary><div></div></details>\n"
        )
    whole = []
    for name, rows in tables:
        columns = _columns(rows)
        main = _main(columns)
        parts.append(_table(name or title, main, rows, heard=not name))
        if len(main) < len(columns):
            whole.append(_table(f"{name or title}: every number", columns, rows))
    made = facts({"script": f"`python benchmarks/{script.name}`", **_rest(record)})
    parts.append(folded("Every number, and how it was measured", "\n".join([*whole, made])))
    return parts


# What a section says of itself
def _script(path: Path) -> Path:
    """The script that wrote a file: `ntk-resnet18-cpu.json` is of `ntk.py`."""
    folder, name = path.parent.parent, path.stem
    while "-" in name:
        name = name.rpartition("-")[0]
        if (folder / f"{name}.py").is_file():
            return folder / f"{name}.py"
    return folder / f"{name}.py"


def title_of(script: Path, record: Mapping[str, Any]) -> str:
    """What the record says that it is, else the first sentence of its script."""
    if isinstance(record.get("what"), str):
        return str(record["what"])
    try:
        text = ast.get_docstring(ast.parse(script.read_text())) or ""
    except (OSError, SyntaxError):
        text = ""
    first = re.split(r":\s*`", " ".join(text.split()))[0].replace("`", "")
    first = re.split(r"(?<=\w)[.:](?:\s|$)", first)[0]
    name = first.rstrip(" .:") or script.stem.replace("_", " ")
    return name[:1].upper() + name[1:] if not name.startswith("theorylab") else name


def device_of(record: Mapping[str, Any]) -> str:
    """The machine in words, e.g. "CPU, x86_64, 2 cores; GPU not measured"."""
    device = str(record.get("device", "not said"))
    parts = ["CPU" if device == "cpu" else device, str(record.get("cpu") or "")]
    if "cores" in record:
        parts.append(f"{record['cores']} core{'s' * (record['cores'] != 1)}")
    said = ", ".join(p for p in parts if p)
    gpu = record.get("gpu", "not measured" if device == "cpu" else device)
    return f"{said}; GPU {gpu}" if gpu != device else said


def _limits(measured: Mapping[str, float]) -> str:
    """What the device reached in the same run, in words."""
    return (
        f"{measured['matmul_gflop_per_s']:.4g} GFLOP/s in a product of matrices, "
        f"{measured['copy_gbyte_per_s']:.4g} GB/s in a copy, both float32"
    )


def _versions(record: Mapping[str, Any]) -> str:
    named = record.get("versions") or {k: record[k] for k in ("jax", "python") if k in record}
    return ", ".join(f"{k} {v}" for k, v in {**named, **record.get("peers", {})}.items())


def _rest(record: Mapping[str, Any]) -> dict[str, str]:
    """Single numbers and options. Paths of the machine say nothing to a reader."""
    found = {}
    for key, value in _flat(record).items():
        path = isinstance(value, str) and value.startswith(("/", "~"))
        if key.split(".")[0] in (*_MACHINE, "peers", "what") or path or value is None:
            continue
        if isinstance(record.get(key.split(".")[0]), dict) and _named(record[key.split(".")[0]]):
            continue
        said = quantity(key.removeprefix("options."))
        found[said.heading] = _short(value)
    return found


# Rows
def tables_of(record: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """Every list of records in a file; what is named by sentences (a name to a number) as well."""
    named: dict[str, dict[str, Any]] = {}
    for key, value in record.items():
        if isinstance(value, dict) and _named(value):
            for name, number in value.items():
                named.setdefault(name, {"what": name})[_single(key)] = number
    found: list[tuple[str, list[Row]]] = [("", [*named.values()])]
    for key, value in record.items():
        if _is_rows(value):
            rows = [_flat(r) for row in value for r in _by_tool(row)]
            ratios = [_as_ratio(r) for r in rows if _is_ratio(r)]
            name = "" if key == "rows" else key.replace("_", " ").capitalize()
            found += [(name, [r for r in rows if not _is_ratio(r)])]
            found += [(f"{name}: ratios" if name else "Ratios", ratios)]
    return found


def _single(key: str) -> str:
    return "ratio" if key == "ratios" else key


def _named(value: Mapping[str, Any]) -> bool:
    """Whether the keys are sentences and the values numbers: rows, written in short."""
    numbers = all(isinstance(v, float | int) for v in value.values())
    return bool(value) and numbers and any(" " in k for k in value)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _by_tool(row: Row) -> list[Row]:
    """A row with the numbers of several tools as one row a tool."""
    tools = row.get("tools")
    if not isinstance(tools, dict):
        return [row]
    rest = {k: v for k, v in row.items() if k != "tools"}
    return [{**rest, "tool": name, **numbers} for name, numbers in tools.items()]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with keys joined by dots.

    Lists of records are left out. Two seconds in a list are those of the clock and of the
    processor.
    """
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            found |= _flat(item, f"{prefix}{key}.")
        elif prefix == "seconds." and isinstance(item, list) and len(item) == 2:
            found |= {f"{key}_wall_s": item[0], f"{key}_cpu_s": item[1]}
        elif not _is_rows(item):
            found[f"{prefix}{key}"] = item
    return found


def _is_ratio(row: Row) -> bool:
    """A row that compares two others, "a / b": its times are ratios."""
    return " / " in str(row.get("what", "")) and "ratio" not in row


def _as_ratio(row: Row) -> Row:
    return {f"{k}_ratio" if k in ("wall", "cpu") else k: v for k, v in row.items()}


# Columns
def _columns(rows: Sequence[Row]) -> dict[str, Quantity | None]:
    """The quantity of every key, None for what names a row.

    Texts and settings (whole numbers without a unit) name a row.
    """
    found: dict[str, Quantity | None] = {}
    for key in dict.fromkeys(k for r in rows for k in r):
        values = [r[key] for r in rows if r.get(key) is not None]
        said = quantity(key)
        plain = said.kind == "other" and not said.unit
        names = all(isinstance(v, str) for v in values) or (
            plain and all(isinstance(v, int) for v in values)
        )
        found[key] = None if names and not said.unit else said
    return found


def _main(columns: Mapping[str, Quantity | None]) -> dict[str, Quantity | None]:
    """What one looks at first: names, and times, rates and ratios by the clock.

    Everything, where there are none of these.
    """
    chosen = {
        k: q
        for k, q in columns.items()
        if q is None
        or (q.kind in ("time", "rate", "ratio") and not q.processor)
        or q.name.startswith("peak")
    }
    return chosen if any(q is not None for q in chosen.values()) else dict(columns)


def _table(
    caption: str,
    columns: Mapping[str, Quantity | None],
    rows: Sequence[Row],
    *,
    heard: bool = False,
) -> str:
    """Names first, then numbers, with the unit in the head of the column."""
    order = sorted(columns, key=lambda k: (columns[k] is not None, _is_later(columns[k])))
    heads = [_heading(k, columns[k]) for k in order]
    values = [[_value(r.get(k)) for k in order] for r in rows]
    return table(caption, heads, values, kind="tl-pairs", heard=heard)


def _is_later(q: Quantity | None) -> int:
    return 0 if q is None else ["time", "rate", "ratio", "memory", "other"].index(q.kind)


def _heading(key: str, q: Quantity | None) -> str:
    if q is not None:
        return q.heading
    words = re.split(r"[._]", key)
    return key if min(map(len, words)) == 1 else " ".join(words)  # n_i is a symbol


def _value(v: Any) -> Any:
    return v if isinstance(v, float | int) and not isinstance(v, bool) else _short(v)


def _short(v: Any) -> Any:
    if isinstance(v, float):
        return f"{v:.4g}"
    if isinstance(v, list):
        return ", ".join(str(_short(x)) for x in v)
    if isinstance(v, str):
        first = v.strip().splitlines()[0] if v.strip() else ""
        return first if len(first) <= _LONGEST else f"{first[: _LONGEST - 1]}…"
    return v


# The chart
def _ratios(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every ratio of our speed to a peer's by the clock, named by its row."""
    columns = _columns(rows)
    keys = [k for k, q in columns.items() if q and q.kind == "ratio" and not q.processor]
    found = []
    for row in rows:
        names = [str(v) for k, v in row.items() if columns[k] is None and isinstance(v, str)]
        settings = [f"{k} = {v}" for k, v in row.items() if columns[k] is None]
        label = " ".join(names or settings[:2])
        for key in keys:
            value = row.get(key)
            if isinstance(value, float | int) and value > 0:
                one = label if len(keys) == 1 else f"{label}: {quantity(key).name}"
                found.append({"y": one, "x": float(value)})
    return found


def _dot_chart(ratios: Sequence[Mapping[str, Any]]) -> Spec:
    """Ratios on a logarithmic axis, with a line where ours is as fast as the peer."""
    x = {
        "type": "quantitative",
        "title": "times faster (1: as fast)",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"format": "~g"},
    }
    y = {"type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 320}}
    dot = {"type": "point", "filled": True, "size": 90, "color": "#0072B2"}
    return {
        "title": [],
        "x": x,
        "y": y,
        "tip": {"x": "times faster", "y": "what"},
        "series": [],
        "step": 22,
        "columns": {
            "ratios": {k: [r[k] for r in ratios] for k in ("x", "y")},
            "even": {"x": [1.0]},
        },
        "layer": [
            {"mark": dot, "data": "ratios", "encoding": {}},
            {
                "mark": {"type": "rule", "color": INK, "opacity": 0.6},
                "data": "even",
                "encoding": {"y": None},
            },
        ],
    }
