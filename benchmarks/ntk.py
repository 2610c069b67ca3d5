"""theorylab's empirical tangent kernel beside neural-tangents, on the networks of `panel.py`.

    python benchmarks/ntk.py                       # all rows; makes the peer's environment on first use
    python benchmarks/ntk.py --rows mlp:10:64      # network:outputs:samples, repeatable; other rows' results are kept
    python benchmarks/ntk.py --no-peer
    python benchmarks/ntk.py --resnet FOLDER       # 2,000 images, one random head, 4 GB; run it again to resume
    python benchmarks/ntk.py --scaling             # time and peak over samples and over outputs: CSV and PNG

Every (row, tool) runs in a process of its own, tools interleaved, `--rounds` times; the table quotes minima, since
other work on the machine only ever adds. CPU seconds are the process's own and the figure to read on a busy machine;
the peer is the fastest, by them, of the methods that ran. "GFLOP" is the arithmetic that a kernel needs: a forward
pass, a backward pass for each output, the cheaper order of contraction for each block, the symmetric half; "share" is
that over theorylab's CPU seconds, of what a matrix product (2048 cubed) reached a CPU second in the same process.
Writes `ntk-cpu.json` and `.md` to `--out`. neural-tangents 0.6.5 needs Python 3.11 and JAX 0.4.25: its environment is
made with `uv` or `python3.11 -m venv`.
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
from record import RESULTS, keep

HERE = Path(__file__).resolve().parent
PINS = ["jax==0.4.25", "jaxlib==0.4.25", "numpy<2", "scipy<1.13", "absl-py", "dm-tree", "frozendict"]
METHODS = {"nt jacobian": 1, "nt vector products": 2, "nt structured": 3}

WORKER = """
import json, resource, sys, time
sys.path.insert(0, {here!r})
if {method}:
    from unittest.mock import MagicMock  # neural-tangents imports TensorFlow, which it does not need here
    for name in ("tensorflow", "tf2jax", "jax.experimental.jax2tf",
                 "neural_tangents.experimental.empirical_tf.empirical"):
        sys.modules[name] = MagicMock()
import jax
import numpy as np
from panel import PANEL
jax.config.update("jax_threefry_partitionable", False)  # the same random numbers on old releases and new
init, apply, sample = PANEL[{network!r}]({outputs})
params, x = init(jax.random.PRNGKey(0)), sample(jax.random.PRNGKey(1), {samples})
if {method}:
    import neural_tangents as nt
    fn = jax.jit(nt.empirical_ntk_fn(apply, trace_axes=(-1,), vmap_axes=0, implementation={method}))
    kernel = lambda: np.asarray(fn(x, None, params))
else:
    from theorylab.ntk import empirical_ntk
    kernel = lambda: empirical_ntk(apply, params, x)
extra = {{}}
if not {method}:
    square, product = jax.random.normal(jax.random.key(0), (2048, 2048)), jax.jit(lambda a: a @ a)
    def rate():
        jax.block_until_ready(product(square))
        used = time.process_time()
        jax.block_until_ready(product(square))
        return 2 * 2048**3 / (time.process_time() - used) / 1e9
    extra = dict(rate=max(rate() for _ in range(3)), jax=jax.__version__)
    from theorylab.ntk.features import analyse
    from theorylab.ntk.plan import gradient_cost, gram_cost
    blocks = analyse(apply, params, x).blocks
    sizes = "trace", {outputs}, {samples}, {samples} * ({samples} + 1) / 2, 4
    best = sum(min([gradient_cost(b, *sizes).flop] + [gram_cost(b, *sizes).flop] * bool(b.sites)) for b in blocks)
    forward = jax.jit(apply).lower(params, x).cost_analysis()["flops"]
    extra["gflop"] = (forward * (1 + {outputs}) + best) / 1e9
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
k = kernel()
first, wall, cpu = time.perf_counter() - start, [], []
for _ in range({repeats}):
    start, used = time.perf_counter(), time.process_time()
    kernel()
    wall.append(time.perf_counter() - start)
    cpu.append(time.process_time() - used)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(dict(wall=min(wall), cpu=min(cpu), first=first, peak_gb=peak / 1e6, base_gb=before / 1e6, **extra,
                      kernel=np.asarray(k, float)[:4, :4].tolist())))
"""


def peer_python(folder: Path) -> Path:
    """The interpreter of the peer's environment, made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        make = ["uv", "venv", "--seed", "--python", "3.11"] if shutil.which("uv") else ["python3.11", "-m", "venv"]
        subprocess.run([*make, str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PINS], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "neural-tangents==0.6.5"], check=True)
    return python


def measure(python: Path, method: int, row: tuple[str, int, int], timeout: float, repeats: int = 3) -> dict:
    """One process: one tool, one row. A crash or a timeout is a result too."""
    network, outputs, samples = row
    script = WORKER.format(
        here=str(HERE), method=method, network=network, outputs=outputs, samples=samples, repeats=repeats
    )
    env = {**os.environ, "JAX_PLATFORMS": "cpu"} | ({} if method else {"PYTHONPATH": str(HERE.parent)})
    try:
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, timeout=timeout, env=env)
    except subprocess.TimeoutExpired:
        return {"error": f"over {timeout:.0f} s"}
    return json.loads(done.stdout) if done.returncode == 0 else {"error": (done.stderr or "killed")[-200:].strip()}


def summarise(runs: list[dict]) -> dict:
    good = [run for run in runs if "error" not in run]
    if not good:
        return runs[0]
    least = {key: min(run[key] for run in good) for key in ("wall", "cpu", "first", "peak_gb", "base_gb")}
    return good[0] | least | ({"rate": max(run["rate"] for run in good)} if "rate" in good[0] else {})


def compare(row: tuple[str, int, int], tools: dict[str, tuple[Path, int]], rounds: int, timeout: float) -> dict:
    runs: dict[str, list[dict]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool, (python, method) in tools.items():
            runs[tool].append(measure(python, method, row, timeout))
            print(row, tool, {k: v for k, v in runs[tool][-1].items() if k != "kernel"}, flush=True)
    return {
        "network": row[0],
        "outputs": row[1],
        "samples": row[2],
        "load_average": os.getloadavg()[0],
        "tools": {t: summarise(r) for t, r in runs.items()},
    }


def table(results: list[dict]) -> str:
    """Markdown: theorylab against the fastest peer of the same run."""
    lines = [
        "| network | K | N | theorylab wall / CPU s | peak GB | best peer | wall / CPU s | peak GB | times, CPU "
        "| GFLOP | share | largest difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        ours = result["tools"]["theorylab"]
        peers = {t: r for t, r in result["tools"].items() if t != "theorylab" and "error" not in r}
        name = min(peers, key=lambda t: peers[t]["cpu"]) if peers else None
        cells = [result["network"], result["outputs"], result["samples"]]
        cells += [_pair(ours), "" if "error" in ours else f"{ours['peak_gb']:.2f}"]
        cells += [name, _pair(peers[name]), f"{peers[name]['peak_gb']:.2f}"] if name else ["none ran", "", ""]
        cells.append(f"{peers[name]['cpu'] / ours['cpu']:.2f}" if name and "error" not in ours else "")
        if "error" not in ours:
            cells += [f"{ours['gflop']:.0f}", f"{ours['gflop'] / ours['cpu'] / ours['rate']:.0%}"]
        if name and "error" not in ours and "kernel" in ours:
            mine, theirs = np.array(ours["kernel"]), np.array(peers[name]["kernel"])
            cells.append(f"{np.abs(mine - theirs).max() / np.abs(theirs).max():.0e}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _pair(run: dict) -> str:
    return run["error"] if "error" in run else f"{run['wall']:.2f} / {run['cpu']:.2f}"


def resnet(folder: Path, samples: int = 2000, memory_gb: float = 4.0) -> dict:
    """The kernel of one random head of ResNet-18 on `samples` images, in pieces if need be; time by finished tiles."""
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
    """Minutes of the paper's own kernel on one H200 by count of arithmetic: a projection, nothing was measured there.

    The cheaper order for each block, a forward and a backward pass a sample, at 60 % of the rate: of float32 without
    TF32 (67 TFLOP/s), and of three TF32 products in its place (989 / 2 / 3). The columns are among the rows, so that
    their square takes half.
    """
    import jax

    from theorylab.ntk.features import analyse
    from theorylab.ntk.plan import gradient_cost, gram_cost

    sizes = "trace", 1, rows, columns**2 / 2 + (rows - columns) * columns, 4
    blocks = analyse(apply, params, x).blocks
    flop = sum(min([gradient_cost(b, *sizes).flop] + [gram_cost(b, *sizes).flop] * bool(b.sites)) for b in blocks)
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

    points = [("samples", n, k, s) for n in ("mlp", "cnn") for k, s in ((1, 16), (1, 64), (1, 256))]
    points += [("outputs", n, k, 32) for n in ("mlp", "cnn") for k in (1, 4, 16)]
    found = []
    for axis, network, outputs, samples in points:
        run = measure(Path(sys.executable), 0, (network, outputs, samples), 300, repeats=2)
        print(axis, network, outputs, samples, run.get("cpu"), flush=True)
        keys = ("wall", "cpu", "peak_gb", "gflop")
        found.append({"over": axis, "network": network, "outputs": outputs, "samples": samples}
                     | {key: run.get(key) for key in keys})  # fmt: skip
    with open(out / f"ntk-scaling-{device}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(found)
    shown = {"cpu": "CPU seconds", "peak_gb": "peak memory of the process, GB"}
    figure, axes = plt.subplots(2, 2, figsize=(8, 6), layout="constrained")
    for column, over in enumerate(("samples", "outputs")):
        for row, (key, label) in enumerate(shown.items()):
            for network, marker in (("mlp", "o"), ("cnn", "s")):
                line = [r for r in found if r["over"] == over and r["network"] == network and r[key] is not None]
                axes[row, column].plot([r[over] for r in line], [r[key] for r in line], marker=marker, label=network)
            axes[row, column].set(xscale="log", yscale="log" if key == "cpu" else "linear", xlabel=over, ylabel=label)
            values = sorted({r[over] for r in found if r["over"] == over})
            axes[row, column].set_xticks(values, list(map(str, values)))
            axes[row, column].minorticks_off()
        axes[0, column].set_title("one output" if over == "samples" else "32 samples")
    axes[0, 0].legend(frameon=False)
    figure.savefig(out / f"ntk-scaling-{device}.png", dpi=110)


def main() -> None:
    from panel import ROWS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", action="append", help="network:outputs:samples", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--methods", type=int, nargs="*", default=[1, 3], help="neural-tangents' methods 1, 2, 3")
    parser.add_argument("--peer-env", type=Path, default=HERE / ".peer-ntk")
    parser.add_argument("--resnet", type=Path, metavar="FOLDER", help="where the kernel of 2,000 images is kept")
    parser.add_argument("--images", type=int, default=2000, help="of --resnet")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
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
    rows = [(n, int(k), int(s)) for n, k, s in (row.split(":") for row in options.rows)] if options.rows else ROWS
    tools = {"theorylab": (Path(sys.executable), 0)}
    if not options.no_peer:
        python = peer_python(options.peer_env)
        tools |= {name: (python, method) for name, method in METHODS.items() if method in options.methods}
    target = options.out / f"ntk-{device}.json"
    known = json.loads(target.read_text())["rows"] if target.exists() and options.rows else []
    for row in rows:
        result = compare(row, tools, options.rounds, options.timeout)
        known = [r for r in known if (r["network"], r["outputs"], r["samples"]) != row] + [result]
        known.sort(key=lambda r: (-r["outputs"], r["network"]))
        keep("ntk", vars(options), device=device, folder=options.out, rows=known)
        target.with_suffix(".md").write_text(table(known))
    print(table(known))


if __name__ == "__main__":
    main()
