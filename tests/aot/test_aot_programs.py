"""Kernels compiled for an H100 and a TPU v5e on a machine that has neither: `pytest -m aot`.

`THEORYLAB_AOT=rota` takes three calls and a package's examples, in turn; without it a dozen calls.
All that the record holds is made again by `python tests/aot/conformance.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import calls
import meshes
import page
import pytest
import texts
from collect import ROOT

from theorylab.aot.build import account

pytestmark = pytest.mark.aot


def chosen() -> list[str]:
    names = list(calls.CALLS)
    if os.environ.get("THEORYLAB_AOT") == "all":
        return [""]
    if os.environ.get("THEORYLAB_AOT") != "rota":
        return [n for n in names if "perceptron" in n and "float32" in n]
    counted = ["git", "rev-list", "--count", "HEAD"]
    turn = int(subprocess.run(counted, capture_output=True, text=True, cwd=ROOT).stdout or 0)
    return [names[(3 * turn + i) % len(names)] for i in range(3)]


def test_kernels_compile_for_an_h100_and_a_tpu(tmp_path):
    out = tmp_path / "found.json"
    script = Path(calls.__file__).with_name("conformance.py")
    told = [sys.executable, "-W", "ignore", str(script), "--out", str(out), "--only", *chosen()]
    done = subprocess.run(told, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    programs = json.loads(out.read_text())["programs"]
    assert programs
    for label, row in programs.items():
        for device in ("h100", "v5e"):
            assert "error" not in row[device] or (label, device) in page.ROUTES, (label, row)
            assert row["float64"] or not row[device].get("float64_inside"), (label, device)
            handed = row["float64"] and device == "v5e"  # a decomposition: `theorylab.linalg`
            assert handed or not row[device].get("host_transfers"), (label, device)


@pytest.mark.parametrize("name", ["v5e", "h100 x 4"])
def test_a_mesh_gathers_the_right_side_of_a_product_and_sends_nothing_else(name):
    found = meshes.programs("perceptron", "trace", meshes.mesh_of(name))
    assert texts.collectives(account(found["features"]).text) == set()
    assert texts.collectives(account(found["contract"]).text) == {"all-gather"}


@pytest.mark.parametrize("name", ["v5e", "h100"])
def test_products_of_gradients_copy_no_large_operand_and_have_full_precision(name):
    import jax
    import jax.numpy as jnp
    from jax.sharding import SingleDeviceSharding

    from theorylab.aot.targets import TARGETS
    from theorylab.ntk.contract import contract

    side = 256, 2, 4096
    one = SingleDeviceSharding(TARGETS[name].devices()[0])
    tile = [(jax.ShapeDtypeStruct(side, jnp.float32, sharding=one),)]
    with jax.default_matmul_precision("highest"):
        made = jax.jit(lambda a, b: contract(a, b, "trace")).lower(tile, tile).compile()
    text = account(made).text
    assert texts.copies(text, side[0] * side[1] * side[2]) == 0
    assert "tf32" not in text.lower()
    assert all(p == "highest,highest" for p in texts.of_one(text))
