"""theorylab's empirical tangent kernel beside neural-tangents, on the networks of `panel.py`.

    python benchmarks/ntk.py                       # all rows; makes the peer's environment on first use
    python benchmarks/ntk.py --rows mlp:10:64      # network:outputs:samples, repeatable
    python benchmarks/ntk.py --no-peer

Every (row, tool) runs in a process of its own, tools interleaved, `--rounds` times; the table quotes medians. CPU
seconds are the process's own and the figure to read on a busy machine. Writes `ntk.md` and `ntk.json` to `--out`.
neural-tangents 0.6.5 needs Python 3.11 and JAX 0.4.25: its environment is made with `uv` or `python3.11 -m venv`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

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
init, apply, sample = PANEL[{network!r}]({outputs})
params, x = init(jax.random.PRNGKey(0)), sample(jax.random.PRNGKey(1), {samples})
if {method}:
    import neural_tangents as nt
    fn = jax.jit(nt.empirical_ntk_fn(apply, trace_axes=(-1,), vmap_axes=0, implementation={method}))
    kernel = lambda: np.asarray(fn(x, None, params))
else:
    from theorylab.ntk import empirical_ntk
    kernel = lambda: empirical_ntk(apply, params, x)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
k = kernel()
first, wall, cpu = time.perf_counter() - start, [], []
for _ in range(3):
    start, used = time.perf_counter(), time.process_time()
    kernel()
    wall.append(time.perf_counter() - start)
    cpu.append(time.process_time() - used)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(dict(wall=min(wall), cpu=min(cpu), first=first, peak_gb=peak / 1e6, base_gb=before / 1e6,
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


def measure(python: Path, method: int, row: tuple[str, int, int], timeout: float) -> dict:
    """One process: one tool, one row. A crash or a timeout is a result too."""
    network, outputs, samples = row
    script = WORKER.format(here=str(HERE), method=method, network=network, outputs=outputs, samples=samples)
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
    keys = ("wall", "cpu", "first", "peak_gb", "base_gb")
    return {key: statistics.median(run[key] for run in good) for key in keys} | {"kernel": good[0]["kernel"]}


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
        "tools": {t: summarise(r) for t, r in runs.items()},
    }


def table(results: list[dict]) -> str:
    """Markdown: theorylab against the fastest peer of the same run."""
    lines = ["| network | K | N | theorylab wall / CPU s | peak GB | best peer | wall / CPU s | peak GB | CPU ratio |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for result in results:
        ours = result["tools"]["theorylab"]
        peers = {t: r for t, r in result["tools"].items() if t != "theorylab" and "error" not in r}
        name = min(peers, key=lambda t: peers[t]["cpu"]) if peers else None
        cells = [result["network"], result["outputs"], result["samples"]]
        cells += [_pair(ours), "" if "error" in ours else f"{ours['peak_gb']:.2f}"]
        cells += [name, _pair(peers[name]), f"{peers[name]['peak_gb']:.2f}"] if name else ["none ran", "", ""]
        cells.append(f"{peers[name]['cpu'] / ours['cpu']:.2f}" if name and "error" not in ours else "")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _pair(run: dict) -> str:
    return run["error"] if "error" in run else f"{run['wall']:.2f} / {run['cpu']:.2f}"


def main() -> None:
    from panel import ROWS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", action="append", help="network:outputs:samples", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--methods", type=int, nargs="*", default=[1, 3], help="neural-tangents' methods 1, 2, 3")
    parser.add_argument("--peer-env", type=Path, default=HERE / ".peer-ntk")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    rows = [(n, int(k), int(s)) for n, k, s in (row.split(":") for row in options.rows)] if options.rows else ROWS
    tools = {"theorylab": (Path(sys.executable), 0)}
    if not options.no_peer:
        python = peer_python(options.peer_env)
        tools |= {name: (python, method) for name, method in METHODS.items() if method in options.methods}
    results = []
    for row in rows:
        results.append(compare(row, tools, options.rounds, options.timeout))
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "ntk.json").write_text(json.dumps(results, indent=1))
        (options.out / "ntk.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
