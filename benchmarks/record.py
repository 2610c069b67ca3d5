"""What all benchmarks share: their sizes by preset, the clock, what the machine can do, and where
numbers are kept.

How times are taken, said once: a call is made once before the clock starts, so that compilation is
no part of it; it ends when its result is there (`jax.block_until_ready`); of several repetitions
the fastest counts, since load only ever adds; two sides are timed in turn, so that load hits both.
Seconds are by the wall clock unless their name says `cpu`: the processor's, over all threads.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def arguments(
    parser: argparse.ArgumentParser,
    *,
    smoke: Mapping[str, Any],
    full: Mapping[str, Any] | None = None,
) -> argparse.Namespace:
    """The options of a script, with `--preset` and `--out` added.

    `quick` takes the defaults, `smoke` sizes of seconds that show only that everything runs, `full`
    those for one GPU. What is said on the command line goes before the preset.
    """
    if "out" not in {action.dest for action in parser._actions}:
        parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--preset", choices=("smoke", "quick", "full"), default="quick")
    preset = parser.parse_known_args()[0].preset
    parser.set_defaults(**{"smoke": smoke, "quick": {}, "full": full or {}}[preset])
    return parser.parse_args()


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds by the wall clock and of the processor until a call's result is there, and it."""
    import jax

    wall, cpu = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(call())
    return time.perf_counter() - wall, time.process_time() - cpu, result


def fastest(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[float, float]]:
    """The least seconds (by the wall clock, of the processor) of each call, timed in turn."""
    best = dict.fromkeys(calls, (float("inf"), float("inf")))
    for _ in range(repeats):
        for name, call in calls.items():
            wall, cpu, _ = timed(call)
            best[name] = min(best[name][0], wall), min(best[name][1], cpu)
    return best


def steady(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """The least "wall" and "cpu" seconds of a call; "compilation": what the first took beyond."""
    first, *_ = timed(call)
    ((wall, cpu),) = fastest({"": call}, repeats).values()
    return {"wall": wall, "cpu": cpu, "compilation": first - wall}


def limits(repeats: int = 3) -> dict[str, float]:
    """What this device reaches: a product of matrices, and a copy in memory, both float32."""
    import jax
    import jax.numpy as jnp

    from theorylab.cli.doctor import matmul_rate

    with jax.enable_x64(False):
        much, copy = jnp.zeros(1 << 26, jnp.float32), jax.jit(lambda a: a + 1)  # no cache holds it
        copy(much).block_until_ready()
        seconds = min(timed(lambda: copy(much))[0] for _ in range(repeats))
        return {
            "matmul_gflop_per_s": matmul_rate(repeats=repeats),
            "copy_gbyte_per_s": 2 * much.nbytes / seconds / 1e9,
        }


def worker(
    python: str | Path | None, script: str, given: Sequence[str], *, path: str = ""
) -> dict[str, Any]:
    """What one fresh process of a script of this folder writes to its `--to`, or "not measured".

    `path` are folders for its imports, beside this one.
    """
    if python is None:
        return {"note": "not measured"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        done = subprocess.run(
            [str(python), str(HERE / script), *given, "--to", str(out)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), path])},
            capture_output=True,
            text=True,
            timeout=1800,
        )
        if done.returncode:
            return {"note": f"not measured: {done.stderr.strip().splitlines()[-1:]}"}
        return json.loads(out.read_text())


def keep(
    name: str,
    options: Mapping[str, Any],
    *packages: str,
    device: str | None = None,
    folder: Path | None = None,
    **numbers: Any,
) -> None:
    """Write <name>-<device>.json and say so; `packages` are those, beside JAX and NumPy, whose
    versions count.

    `device` is asked of JAX unless it is given, as it is where the measured processes are not this
    one. The folder is that of the options, unless it is given.
    """
    if device is None:
        import jax

        device = jax.devices()[0].device_kind
    record = {
        "device": device,
        "gpu": "not measured" if device == "cpu" else device,
        "cpu": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_average": os.getloadavg(),
        "limits": limits(),
        "versions": {p: version(p) for p in ("jax", "numpy", *packages)}
        | {"python": platform.python_version()},
        "options": {key: value for key, value in options.items() if key != "out"},
    }
    target = (folder or options.get("out") or RESULTS) / (
        f"{name}-{device.lower().replace(' ', '-')}.json"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record | numbers, indent=1, default=str) + "\n")
    print(f"\nwritten to {target}")
