"""theorylab's empirical tangent kernel beside neural-tangents, on the networks of `panel.py`.

    python benchmarks/ntk.py                        # all rows; makes the peer's environment first
    python benchmarks/ntk.py --rows cnn:10:64:full  # network:outputs:samples:reduce; again for more
    python benchmarks/ntk.py --chunked --peer-python PYTHON  # Jacobian in chunks, and torch.func
    python benchmarks/ntk.py --resnet FOLDER        # 2,000 images, 4 GB; run it again to resume
    python benchmarks/ntk.py --scaling              # over samples, outputs and width: CSV and PNG

Every (row, tool) runs in a process of its own, tools interleaved, `--rounds` times; the table
quotes minima, since other work on the machine only ever adds. CPU seconds are the process's own;
they include threads that wait by spinning. The peer is the fastest, by wall time, of
neural-tangents' methods that ran. "GFLOP" is the arithmetic that a kernel needs: a forward pass, a
backward pass for each output, the cheaper order of contraction for each block, the symmetric half;
the rate is that of a matrix product (2048 cubed) in the same process. "Above base" is the peak
memory less what the process had before the kernel, where that is least; "memory" the ratio of the
two. Writes `ntk-cpu.json` and `.md` to `--out`. neural-tangents 0.6.5 needs Python 3.11 and JAX
0.4.25: its environment is made with `uv` or `python3.11 -m venv`.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ntk_workers import script
from record import RESULTS, arguments, keep

HERE = Path(__file__).resolve().parent
PINS = [
    "jax==0.4.25",
    "jaxlib==0.4.25",
    "numpy<2",
    "scipy<1.13",
    "absl-py",
    "dm-tree",
    "frozendict",
]
METHODS = {"nt jacobian": 1, "nt vector products": 2, "nt structured": 3}
Row = tuple[str, int, int, str]  # network, outputs, samples, reduce


def peer_python(folder: Path) -> Path:
    """The interpreter of the peer's environment, made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        make = (
            ["uv", "venv", "--seed", "--python", "3.11"]
            if shutil.which("uv")
            else ["python3.11", "-m", "venv"]
        )
        subprocess.run([*make, str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PINS], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--no-deps", "neural-tangents==0.6.5"],
            check=True,
        )
    return python


def measure(
    python: Path, tool: str, row: Row, timeout: float, repeats: int = 3, width: int | None = None
) -> dict:
    """One process: one tool, one row. A crash or a timeout is a result too."""
    network, outputs, samples, reduce = row
    options = str(outputs) if width is None else f"{outputs}, {width}"
    program = script(
        tool,
        here=str(HERE),
        network=network,
        outputs=outputs,
        options=options,
        samples=samples,
        reduce=reduce,
        repeats=repeats,
        threads=os.cpu_count(),
    )
    env = {**os.environ, "JAX_PLATFORMS": "cpu"} | (
        {"PYTHONPATH": str(HERE.parent)} if tool == "theorylab" else {}
    )
    try:
        done = subprocess.run(
            [python, "-c", program], capture_output=True, text=True, timeout=timeout, env=env
        )
    except subprocess.TimeoutExpired:
        return {"error": f"over {timeout:.0f} s"}
    return (
        json.loads(done.stdout)
        if done.returncode == 0
        else {"error": (done.stderr or "killed")[-200:].strip()}
    )


def summarise(runs: list[dict]) -> dict:
    good = [run for run in runs if "error" not in run]
    if not good:
        return runs[0]
    least = {key: min(run[key] for run in good) for key in ("wall", "cpu", "first")}
    leanest = min(good, key=lambda run: run["peak_gb"] - run["base_gb"])
    memory = {key: leanest[key] for key in ("peak_gb", "base_gb")}
    return (
        good[0]
        | least
        | memory
        | ({"rate": max(run["rate"] for run in good)} if "rate" in good[0] else {})
    )


def compare(row: Row, tools: dict[str, Path], rounds: int, timeout: float, known: dict) -> dict:
    """Every tool in turn, `rounds` times; results of tools that do not run now are kept."""
    runs: dict[str, list[dict]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool, python in tools.items():
            if any("error" in run for run in runs[tool]):
                continue
            runs[tool].append(measure(python, tool, row, timeout))
            print(row, tool, {k: v for k, v in runs[tool][-1].items() if k != "kernel"}, flush=True)
    named = dict(zip(("network", "outputs", "samples", "reduce"), row, strict=True))
    found = {t: summarise(r) | {"rounds": len(r)} for t, r in runs.items()}
    corners = {t: np.array(run.pop("kernel")) for t, run in found.items() if "kernel" in run}
    for tool, corner in corners.items():
        if "theorylab" in corners:
            found[tool]["difference"] = float(
                np.abs(corner - corners["theorylab"]).max() / np.abs(corner).max()
            )
    return named | {"load_average": os.getloadavg()[0], "tools": known | found}


def table(results: list[dict]) -> str:
    """Markdown: theorylab against the fastest peer of the same run."""
    lines = [
        "| network | K | N | kernel | theorylab wall / CPU s | above base GB | best method of "
        "neural-tangents | wall / CPU s | above base GB | times faster, wall / CPU | memory | "
        "GFLOP | of the matmul rate | chunked Jacobian, torch.func: wall s | largest difference |",
        "|" + "---|" * 15,
    ]
    for result in results:
        tools = result["tools"]
        ours = tools["theorylab"]
        peers = {t: r for t, r in tools.items() if t in METHODS and "error" not in r}
        name = min(peers, key=lambda t: peers[t]["wall"]) if peers else None
        cells = [result[key] for key in ("network", "outputs", "samples", "reduce")] + [
            _pair(ours),
            _grown(ours),
        ]
        cells += [name, _pair(peers[name]), _grown(peers[name])] if name else ["none ran", "", ""]
        both = name and "error" not in ours
        best = peers[name] if name else {}
        cells.append(
            f"{best['wall'] / ours['wall']:.2f} / {best['cpu'] / ours['cpu']:.2f}" if both else ""
        )
        cells.append(
            f"{(ours['peak_gb'] - ours['base_gb']) / (best['peak_gb'] - best['base_gb']):.2f}"
            if both
            else ""
        )
        if "error" not in ours:
            cells += [f"{ours['gflop']:.0f}", f"{ours['gflop'] / ours['wall'] / ours['rate']:.0%}"]
        others = [tools.get(tool, {}) for tool in ("chunked jacobian", "torch.func")]
        cells.append(
            ", ".join(
                f"{r['wall']:.2f}" if "wall" in r else "-" if not r else "failed" for r in others
            )
        )
        cells.append(f"{best['difference']:.0e}" if "difference" in best else "")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _pair(run: dict) -> str:
    return run["error"] if "error" in run else f"{run['wall']:.2f} / {run['cpu']:.2f}"


def _grown(run: dict) -> str:
    return "" if "error" in run else f"{run['peak_gb'] - run['base_gb']:.2f}"


def resnet(folder: Path, samples: int = 2000, memory_gb: float = 4.0) -> dict:
    """The kernel of one random head of ResNet-18 on `samples` images, in pieces if need be; time by
    finished tiles."""
    import jax
    from panel import resnet18

    from theorylab.ntk import empirical_ntk

    init, apply, sample = resnet18(1)
    params, x = init(jax.random.PRNGKey(0)), sample(jax.random.PRNGKey(1), samples)
    journal, before = folder / "journal.txt", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def entries() -> int:
        lines = journal.read_text().splitlines() if journal.exists() else []
        ends = {tuple(map(int, line.split()[:4])) for line in lines if line.endswith(" end")}
        return sum((b - a) * (d - c) * (1 if a == c else 2) for a, b, c, d in ends)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    done, start, used = entries(), time.perf_counter(), time.process_time()
    try:
        empirical_ntk(apply, params, x, memory_gb=memory_gb, out=folder, progress=True)
    except KeyboardInterrupt:
        print("stopped; the same command resumes")
    history = folder / "sessions.json"
    sessions = json.loads(history.read_text()) if history.exists() else []
    sessions.append(
        {
            "entries": entries() - done,
            "wall_s": time.perf_counter() - start,
            "cpu_s": time.process_time() - used,
            "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
            "before_gb": before / 1e6,
        }
    )
    history.write_text(json.dumps(sessions))
    total = {key: sum(s[key] for s in sessions) for key in ("entries", "wall_s", "cpu_s")}
    return {
        "what": f"ResNet-18, 32 x 32 x 3, one random head, {samples} images, memory_gb={memory_gb}",
        "complete": entries() == samples**2,
        **total,
        "wall_ms_an_entry": 1e3 * total["wall_s"] / max(total["entries"], 1),
        "cpu_ms_an_entry": 1e3 * total["cpu_s"] / max(total["entries"], 1),
        "sessions": sessions,
        **project(apply, params, x),
    }


def project(apply, params, x, rows: int = 60_000, columns: int = 50_000) -> dict:  # type: ignore[no-untyped-def]
    """Minutes of the paper's own kernel on one H200 by count of arithmetic: a projection, nothing
    was measured there.

    The cheaper order for each block, a forward and a backward pass a sample, at 60 % of the rate:
    of float32 without TF32 (67 TFLOP/s), and of three TF32 products in its place (989 / 2 / 3). The
    columns are among the rows, so that their square takes half.
    """
    import jax

    from theorylab.ntk.analysis import analyse
    from theorylab.ntk.plan import gradient_cost, gram_cost

    sizes = "trace", 1, rows, columns**2 / 2 + (rows - columns) * columns, 4
    blocks = analyse(apply, params, x).blocks
    flop = sum(
        min([gradient_cost(b, *sizes).flop] + [gram_cost(b, *sizes).flop] * bool(b.sites))
        for b in blocks
    )
    flop += 2.0 * rows * jax.jit(apply).lower(params, x[:1]).cost_analysis()["flops"]
    return {
        "projected_flop_60000_x_50000": flop,
        "projected_minutes_h200_float32": flop / (0.6 * 67e12) / 60,
        "projected_minutes_h200_three_tf32_products": flop / (0.6 * 989e12 / 2 / 3) / 60,
    }


def scaling(out: Path, device: str) -> None:
    """Time and peak memory over the samples and over the outputs, each in a process of its own."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    points = [
        ("samples", n, k, s, None)
        for n in ("mlp", "cnn")
        for k, s in ((1, 16), (1, 64), (1, 256), (1, 1024))
    ]
    points += [("outputs", n, k, 32, None) for n in ("mlp", "cnn") for k in (1, 4, 16)]
    points += [
        ("width", n, 1, 64, w)
        for n, ws in (("mlp", (256, 1024, 4096)), ("cnn", (16, 64, 256)))
        for w in ws
    ]
    found = []
    for axis, network, outputs, samples, width in points:
        row = network, outputs, samples, "trace"
        run = measure(Path(sys.executable), "theorylab", row, 300, repeats=2, width=width)
        print(axis, network, outputs, samples, width, run.get("wall"), flush=True)
        keys = ("wall", "cpu", "peak_gb", "base_gb", "gflop")
        found.append(
            {
                "over": axis,
                "network": network,
                "outputs": outputs,
                "samples": samples,
                "width": width,
            }
            | {key: run.get(key) for key in keys}
        )
    with open(out / f"ntk-scaling-{device}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(found)
    shown = {"wall": "seconds", "peak_gb": "peak memory of the process, GB"}
    titles = {"samples": "one output", "outputs": "32 samples", "width": "one output, 64 samples"}
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for column, over in enumerate(titles):
        for row, (key, label) in enumerate(shown.items()):
            for network, marker in (("mlp", "o"), ("cnn", "s")):
                line = [
                    r
                    for r in found
                    if r["over"] == over and r["network"] == network and r[key] is not None
                ]
                axes[row, column].plot(
                    [r[over] for r in line], [r[key] for r in line], marker=marker, label=network
                )
            axes[row, column].set(
                xscale="log", yscale="log" if key == "wall" else "linear", xlabel=over, ylabel=label
            )
            values = sorted({r[over] for r in found if r["over"] == over})
            axes[row, column].set_xticks(values, list(map(str, values)))
            axes[row, column].minorticks_off()
        axes[0, column].set_title(titles[over])
    axes[0, 0].legend(frameon=False)
    figure.savefig(out / f"ntk-scaling-{device}.png", dpi=110)


def main() -> None:
    from panel import ROWS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", action="append", help="network:outputs:samples:reduce", metavar="ROW"
    )
    parser.add_argument("--chunked", action="store_true", help="the chunked Jacobian too")
    parser.add_argument(
        "--peer-python", "--torch", dest="torch", help="python of an environment with PyTorch"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument(
        "--methods", type=int, nargs="*", default=[1, 3], help="neural-tangents' methods 1, 2, 3"
    )
    parser.add_argument("--peer-env", type=Path, default=HERE / ".peer-ntk")
    parser.add_argument(
        "--resnet", type=Path, metavar="FOLDER", help="where the kernel of 2,000 images is kept"
    )
    parser.add_argument("--images", type=int, default=2000, help="of --resnet")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = arguments(parser, smoke={"rows": ["mlp:2:8:trace"], "no_peer": True, "rounds": 1})
    options.out.mkdir(parents=True, exist_ok=True)
    device = "cpu"  # what the workers run on
    if options.resnet:
        record = resnet(options.resnet, options.images)
        print(json.dumps(record, indent=1))
        keep("ntk-resnet18", vars(options), device=device, folder=options.out, **record)
        return
    if options.scaling:
        scaling(options.out, device)
        return
    split = (row.split(":") for row in options.rows or ())
    rows = [(n, int(k), int(s), r) for n, k, s, r in split] or ROWS
    tools = {"theorylab": Path(sys.executable)}
    if not options.no_peer:
        python = peer_python(options.peer_env)
        tools |= {name: python for name, method in METHODS.items() if method in options.methods}
        tools |= {"chunked jacobian": Path(sys.executable)} if options.chunked else {}
        tools |= {"torch.func": Path(options.torch)} if options.torch else {}
    target = options.out / f"ntk-{device}.json"
    known = json.loads(target.read_text())["rows"] if target.exists() and options.rows else []
    for row in rows:
        before = [
            r for r in known if (r["network"], r["outputs"], r["samples"], r["reduce"]) == row
        ]
        earlier = before[0]["tools"] if before else {}
        result = compare(row, tools, options.rounds, options.timeout, earlier)
        known = [r for r in known if r not in before] + [result]
        known.sort(key=lambda r: (-r["outputs"], r["reduce"], r["network"]))
        keep("ntk", vars(options), device=device, folder=options.out, rows=known)
        target.with_suffix(".md").write_text(table(known))
    print(table(known))


if __name__ == "__main__":
    main()
