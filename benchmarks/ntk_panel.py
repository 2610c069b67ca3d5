"""theorylab's empirical tangent kernel beside neural-tangents, on networks that nobody tuned for.

    python benchmarks/ntk_panel.py --half work   # the half to work with
    python benchmarks/ntk_panel.py --half held   # the other, to be run once, at the end

The networks are drawn by `panel_generated.py`. Processes, clocks, the peer's environment and the
arithmetic that a kernel needs are those of `ntk.py`; the tools run in turn, and the peer is the
method of neural-tangents with the least CPU time that ran. Writes `ntk_panel_<half>-cpu.json` and
`.md` to `--out`.
"""

import argparse
import math
import sys
from pathlib import Path

from ntk import HERE, METHODS, compare, peer_python
from panel_generated import rows
from record import RESULTS, arguments, keep


def best(result: dict) -> tuple[str, dict] | None:
    """The peer's method with the least CPU time."""
    ran = [(t, r) for t, r in result["tools"].items() if t in METHODS and "error" not in r]
    return min(ran, key=lambda one: one[1]["cpu"]) if ran else None


def row_of(result: dict) -> dict:
    """What is quoted of one network."""
    ours, peer = result["tools"]["theorylab"], best(result)
    if "error" in ours:
        return {"network": result["network"], "error": ours["error"]}
    found = {"network": result["network"], "N": result["samples"], "cpu_s": ours["cpu"]}
    found |= {"wall_s": ours["wall"], "needs_gflop": ours["gflop"]}
    found["of_matmul_rate"] = ours["gflop"] / ours["wall"] / ours["rate"]
    if peer:
        name, run = peer
        found |= {"peer": name, "peer_cpu_s": run["cpu"], "ratio": run["cpu"] / ours["cpu"]}
        found["difference"] = run.get("difference")
    return found


def summary(quoted: list[dict]) -> dict:
    """The geometric mean and the least of the ratios, and the mean share of the matmul rate."""
    ratios = [row["ratio"] for row in quoted if "ratio" in row]
    shares = [row["of_matmul_rate"] for row in quoted if "of_matmul_rate" in row]
    found = {"networks": len(quoted), "mean_of_matmul_rate": sum(shares) / max(1, len(shares))}
    if ratios:
        found["geometric_mean"] = math.exp(sum(map(math.log, ratios)) / len(ratios))
        found["least"] = min(ratios)
    return found


def table(quoted: list[dict]) -> str:
    """The rows as Markdown."""
    columns = ["network", "N", "cpu_s", "wall_s", "peer", "peer_cpu_s", "ratio", "needs_gflop"]
    columns += ["of_matmul_rate", "difference"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in quoted:
        cells = (row.get(column, row.get("error", "")) for column in columns)
        shown = (f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells)
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=("work", "held"), default="work")
    parser.add_argument("--only", nargs="*", help="networks whose names begin so")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=90.0, help="of one process")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--methods", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--peer-env", type=Path, default=HERE / ".peer-ntk")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = arguments(parser, smoke={"only": ["14"], "no_peer": True, "rounds": 1})
    chosen = [row for row in rows(options.half) if row[0].startswith(tuple(options.only or [""]))]
    tools = {"theorylab": Path(sys.executable)}
    if not options.no_peer:
        python = peer_python(options.peer_env)
        tools |= {name: python for name, method in METHODS.items() if method in options.methods}
    results = []
    for row in chosen:
        results.append(compare(row, tools, options.rounds, options.timeout, {}))
        quoted = [row_of(result) for result in results]
        numbers = {"summary": summary(quoted), "quoted": quoted, "rows": results}
        name = f"ntk_panel_{options.half}"
        keep(name, vars(options), device="cpu", folder=options.out, **numbers)
        (options.out / f"{name}-cpu.md").write_text(table(quoted))
    print(table(quoted), summary(quoted), sep="\n")


if __name__ == "__main__":
    main()
