"""The devices that programs are compiled for, with what their makers say of them."""

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from theorylab.errors import InputError

# XLA's description of the card (`gpu_device_info`), from which it compiles without one
_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 84978434048
  shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


@dataclass(frozen=True)
class Target:
    """A kind of device.

    Attributes:
        name: as `--device` takes it.
        title: in words.
        backend: what `jax.default_backend()` says there: "gpu" or "tpu".
        platform: what XLA lowers for: "cuda" or "tpu".
        device_bytes: memory of one device.
        rate: float32 FLOP/s of one device at full precision, as its maker says.
        topologies: of several devices, by their number.
        packages: modules that have to be installed to compile for it.
    """

    name: str
    title: str
    backend: str
    platform: str
    device_bytes: int
    rate: float
    topologies: tuple[tuple[int, str], ...]
    packages: tuple[str, ...]

    def devices(self, count: int = 1) -> list[Any]:
        """Descriptions of `count` devices, for shardings of programs that are compiled for them."""
        return _devices(self.platform, dict(self.topologies)[count])[:count]


TARGETS = {
    "h100": Target(
        "h100",
        "H100 80 GB",
        "gpu",
        "cuda",
        84_978_434_048,
        67e12,  # the maker's float32 without tensor cores: full precision uses no TF32
        ((1, "1x1x1"), (4, "4x1x1")),
        ("jax_plugins.xla_cuda13", "nvidia.cu13"),
    ),
    "v5e": Target(
        "v5e",
        "TPU v5e chip",
        "tpu",
        "tpu",
        16 * 1024**3,
        197e12 / 6,  # bfloat16, of which full float32 precision takes six passes
        ((1, "v5e:2x2"), (4, "v5e:2x2"), (16, "v5e:4x4")),
        ("libtpu",),
    ),
}


def find_target(name: str) -> Target:
    """The target of this name.

    Raises:
        InputError: there is none.
    """
    if name not in TARGETS:
        raise InputError(f"unknown device '{name}'; choose one of: {', '.join(TARGETS)}")
    return TARGETS[name]


def available(target: Target) -> bool:
    """Whether what compiles for a target is installed (the extra `aot`)."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in target.packages)
    except ModuleNotFoundError:
        return False


@cache
def _devices(platform: str, topology: str) -> list[Any]:
    from jax.experimental import topologies

    if platform == "tpu":
        # it only compiles: other processes may too, and there is no cloud to ask about hosts
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        return topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    return topologies.get_topology_desc(
        platform="cuda", topology_name="", target_config=_H100, topology=topology
    ).devices
