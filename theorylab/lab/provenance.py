"""Where a result comes from: versions, device, commit.

Facts only, gathered without side effects.
"""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import theorylab
from theorylab.errors import InputError


@cache
def versions() -> dict[str, str]:
    """Versions of theorylab, Python and the numerical libraries."""
    found = {"theorylab": theorylab.__version__, "python": platform.python_version()}
    for package in ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "matplotlib"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


@cache
def device() -> str:
    """The device that JAX computes on, in words, e.g. "cpu (2 cores)" or "NVIDIA H200".

    Raises `InputError` when JAX finds none.
    """
    import jax

    from theorylab.cores import available_cores

    try:
        first = jax.devices()[0]
    except RuntimeError as error:
        wanted = os.environ.get("JAX_PLATFORMS", "")
        reason = " ".join(str(error).split())
        raise InputError(
            f"JAX finds no device with JAX_PLATFORMS='{wanted}' ({reason}); set it to cpu"
        ) from None
    if first.platform == "cpu":
        return f"cpu ({available_cores()} cores)"
    return f"{len(jax.devices())} x {first.device_kind}"


@cache
def commit() -> str | None:
    """The commit of the checkout that theorylab runs from, or None outside a checkout.

    "+changes" follows it if files differ.
    """
    root = Path(theorylab.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(
            ["git", "-C", root, "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        changed = subprocess.run(
            ["git", "-C", root, "status", "--porcelain", "--untracked-files=no", "--", "theorylab"],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (
        head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")
        if head.returncode == 0
        else None
    )


def record() -> dict[str, Any]:
    """All of the above."""
    return {"versions": versions(), "device": device(), "commit": commit()}
