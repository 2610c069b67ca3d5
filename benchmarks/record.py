"""Where a benchmark's numbers are kept, and what is said of the machine beside them."""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def keep(
    name: str,
    options: Mapping[str, Any],
    *packages: str,
    device: str | None = None,
    folder: Path = RESULTS,
    **numbers: Any,
) -> None:
    """Write <name>-<device>.json and say so; `packages` are those, beside JAX and NumPy, whose
    versions count.

    `device` is asked of JAX unless it is given, as it is where the measured processes are not this
    one.
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
        "versions": {p: version(p) for p in ("jax", "numpy", *packages)}
        | {"python": platform.python_version()},
        "options": dict(options),
    }
    target = folder / f"{name}-{device.lower().replace(' ', '-')}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(record | numbers, indent=1, default=str) + "\n")
    print(f"\nwritten to {target}")
