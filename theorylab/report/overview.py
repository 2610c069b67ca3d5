"""The pages about everything: the index with its verdicts, the benchmarks, the environment."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from theorylab.lab import provenance
from theorylab.lab.claim import FAILING
from theorylab.report.charts import INK, Spec
from theorylab.report.markup import badge, facts, folded, link, prose, table
from theorylab.report.paper_page import Room

_SHOWN = ("theorylab", "python", "jax", "numpy", "scipy")
_OTHER = re.compile("mean|risk")  # ratios of results, not of times
_RATIO = re.compile(r"(^|_)(ratio|times|speedup)s?(_|$)|(^|_)times$")


def verdict_table(titles: Mapping[str, str], rooms: Mapping[str, Room]) -> str:
    """All papers with what became of them, those without a room as well."""
    rows: list[tuple[Any, ...]] = []
    for slug, title in sorted(titles.items(), key=lambda item: item[0] not in rooms):
        page = link(f"papers/{slug}.html", title)
        if slug not in rooms:
            rows.append((page, "", badge("missing", "not implemented yet"), 0, 0, ""))
            continue
        room = rooms[slug]
        counts = room.stock.counts()
        state = "missing" if counts["missing"] else "stale" if counts["stale"] else "fresh"
        words = {"missing": "incomplete", "stale": "of older code", "fresh": "of today's code"}[
            state
        ]
        drawn = sum(d.there for d in room.drawings)
        rows.append(
            (
                page,
                room.paper.venue,
                badge(room.status, room.words),
                drawn,
                len(room.record["claims"]),
                badge(state, words),
            )
        )
    return table("Papers", ("paper", "venue", "verdict", "figures", "claims", "results"), rows)


def summary(titles: Mapping[str, str], rooms: Mapping[str, Room]) -> str:
    """The verdict of everything in one line."""
    failing = sorted(slug for slug, room in rooms.items() if room.failing)
    totals: Counter[str] = sum((room.tally for room in rooms.values()), start=Counter())
    said = (
        f"{len(rooms)} of {len(titles)} papers implemented. Claims: {totals['holds']} hold "
        f"with controls rejected"
    )
    said += (
        f", {totals['finding']} do not reproduce and are told as findings"
        if totals["finding"]
        else ""
    )
    said += f", {totals['undecided']} undecided" if totals["undecided"] else ""
    said += f", {sum(totals[s] for s in FAILING)} fail"
    mark = badge("holds", "no claim fails") if rooms else badge("missing")
    if failing:
        mark = badge("fails", f"failing: {', '.join(failing)}")
    return f'<p class="tl-verdict">{mark.html}</p>\n' + prose(said + ".")


def index_page(
    head: str, titles: Mapping[str, str], rooms: Mapping[str, Room], command: str
) -> str:
    """`head` is the start page of the documentation; the verdicts come first under it."""
    legend = (
        "A claim is a sentence of a paper with a number in it. It holds when the measurement lies "
        "within its bound and "
        "every control, a deliberately wrong variant, is rejected; it is undecided where an "
        "interval reaches over a "
        "bound. Where a paper was replicated over several base seeds, the verdict is that of all "
        "of them. Click a "
        "column's head to sort."
    )
    return (
        f"{head}\n\n## The "
        f"papers\n\n{summary(titles, rooms)}\n{prose(legend)}\n{verdict_table(titles, rooms)}\n"
    ) + (f"{prose('This site was made by: ' + command)}")


def benchmark_page(folder: Path) -> tuple[str, dict[str, list[Spec]]]:
    """The Markdown of the benchmark page and its charts by name, from the JSON files that the
    benchmarks wrote."""
    intro = (
        "Every figure stands beside a named peer that ran in the same process on the same "
        "machine. What was not "
        "measured says so. The scripts are in benchmarks/, the numbers in benchmarks/results/."
    )
    parts = ["# Benchmarks\n", prose(intro)]
    drawn: dict[str, list[Spec]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_bytes())
        except (OSError, ValueError):
            parts.append(
                f"## {path.stem}\n\n{prose(f'{path.name} is damaged; run its benchmark again.')}\n"
            )
            continue
        parts.append(f"## {path.stem}\n")
        script = f"python benchmarks/{path.stem.rpartition('-')[0]}.py"
        told = {
            "device": record.get("device", "not said"),
            "GPU": record.get("gpu", "see the device"),
            "script": script,
        }
        parts.append(facts({**told, **_versions(record)}))
        ratios = _ratios(record)
        if ratios:
            drawn[path.stem] = [_dot_chart(ratios)]
            parts.append(
                f'<details class="tl-charts" data-name="{path.stem}" '
                f'data-src="benchmarks/{path.stem}.js" '
                "open><summary>Times faster than the peer</summary><div></div></details>\n"
            )
        parts += [
            _records(f"{path.stem}: {name}", rows)
            for name, rows in record.items()
            if _is_rows(rows)
        ]
        rest = {
            k: v
            for k, v in _flat(record).items()
            if not k.startswith(("versions.", "device", "gpu", "cpu"))
        }
        if rest:
            parts.append(
                folded("Options and single numbers", facts({k: _short(v) for k, v in rest.items()}))
            )
    if len(parts) == 2:
        parts.append(prose(f"No results in {folder}."))
    return "\n".join(parts), drawn


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _versions(record: Mapping[str, Any]) -> dict[str, str]:
    named = record.get("versions") or {k: record[k] for k in ("jax", "python") if k in record}
    return {"versions": ", ".join(f"{k} {v}" for k, v in named.items())}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots; lists of records are left out."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            found |= _flat(item, f"{prefix}{key}.")
        elif not _is_rows(item):
            found[f"{prefix}{key}"] = item
    return found


def _short(v: Any) -> Any:
    if isinstance(v, float):
        return f"{v:.4g}"
    return ", ".join(str(_short(x)) for x in v) if isinstance(v, list) else v


def _records(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    flat = [_flat(r) for r in rows]
    columns = list(dict.fromkeys(k for r in flat for k in r))
    values = [
        [r[c] if isinstance(r.get(c), float | int) else _short(r.get(c)) for c in columns]
        for r in flat
    ]
    return table(name, columns, values)


def _ratios(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every ratio of our speed to a peer's, named by its record."""
    found: list[tuple[str, Any]] = []
    for key, value in record.items():
        for row in value if _is_rows(value) else []:
            texts = [str(v) for v in row.values() if isinstance(v, str)]
            label = " ".join(texts or [f"{k} = {v}" for k, v in list(row.items())[:2]])
            found += [
                (f"{label}: {k}", v)
                for k, v in row.items()
                if _RATIO.search(k) and not _OTHER.match(k)
            ]
        if key == "ratios":
            found += list(value.items())
    return [{"y": name, "x": float(v)} for name, v in found if isinstance(v, float | int) and v > 0]


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


def environment_page(rooms: Mapping[str, Room]) -> str:
    """Which machine and versions made the report, and which made the results."""
    made = provenance.record()
    parts = ["# Environment\n", "## This report\n"]
    parts.append(
        facts(
            {
                "commit": made["commit"] or "not a checkout",
                "device": made["device"],
                **made["versions"],
            }
        )
    )
    parts.append("## The results\n")
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for slug, room in rooms.items():
        for row in (r for found in room.stock.results.values() for r in found):
            used = ", ".join(
                f"{k} {v}" for k, v in row.meta.get("versions", {}).items() if k in _SHOWN
            )
            groups[slug, str(row.meta.get("device", "unknown")), used].append(
                float(row.meta.get("seconds", 0.0))
            )
    rows = [(*key, len(seconds), round(sum(seconds), 1)) for key, seconds in groups.items()]
    parts.append(
        table(
            "Results by paper and machine",
            ("paper", "device", "versions", "cells", "seconds"),
            rows,
        )
    )
    return "\n".join(parts)
