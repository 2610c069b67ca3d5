"""The record of what compiles holds every kernel of the packages, and the page follows it."""

import json

import collect
import page
import pytest
from conformance import PAGE, RESULTS

HOW = "run `python tests/aot/conformance.py` (CONTRIBUTING.md)"


@pytest.fixture(scope="module")
def record():
    return json.loads(RESULTS.read_text())


def test_every_kernel_is_in_the_record_and_no_other_is(record):
    named = {*record["reached"], *record["not_reached"]}
    assert set(collect.kernels()) == named, HOW


def test_the_kernels_are_found_by_reading_the_code():
    found = collect.kernels()
    # made by a decorator, by a call, by a shorthand for it, and inside of a function
    assert {
        "ridge.kernel:_prepare",
        "rmt.wigner:_solve",
        "shift.training_loops:one_step",
        "federated.execution:_stages",
    } <= set(found)
    assert "shift.training_loops:_compile" not in found  # the shorthand itself compiles nothing


def test_every_program_compiles_or_has_a_route(record):
    for label, row in [*record["programs"].items(), *record["meshes"].items()]:
        for device in ("h100", "v5e", "v5e 4x4", "h100 x 4"):
            found = row.get(device, {})
            assert "error" not in found or (label, device) in page.ROUTES, (label, device, found)


def test_what_is_known_to_fail_still_does(record):
    rows = {**record["programs"], **record["meshes"]}
    assert all("error" in rows.get(label, {}).get(device, {}) for label, device in page.ROUTES), HOW


def test_programs_without_float64_have_none_inside_and_none_waits_for_the_host(record):
    for label, row in record["programs"].items():
        for device in ("h100", "v5e", "v5e 4x4"):
            found = row.get(device, {})
            if "memory" in found:  # compiled: its text was read
                assert row["float64"] or not found["float64_inside"], (label, device)
                # a TPU hands what it decomposes in float64 to its host, and nothing else
                handed = row["float64"] and device != "h100"
                assert handed or found["host_transfers"] == 0, (label, device)


def test_a_mesh_sends_nothing_but_collectives_and_only_the_product_of_two_tiles_any(record):
    for label, row in record["meshes"].items():
        for device, found in row.items():
            sent = set(found.get("collectives", ()))
            assert sent <= ({"all-gather"} if label.endswith("contract") else set()), (
                label,
                device,
            )


def test_the_page_is_made_from_the_record(record):
    assert PAGE.read_text() == page.page(record), "run `python tests/aot/conformance.py --page`"
