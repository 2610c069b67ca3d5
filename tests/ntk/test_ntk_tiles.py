"""A kernel in tiles on disk is the kernel, whoever computes its tiles and whatever is killed."""

import inspect
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zarr
from tiles_toy import NETWORK, W, X, Y, files, journal, net

from theorylab.errors import InputError
from theorylab.ntk import empirical_ntk, plan_tiles, tiled_ntk
from theorylab.ntk.large import call, store, work


def exact(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    """The whole kernel (N1, N2, O, O) from dense Jacobians in float64."""
    with jax.enable_x64(True):
        w = W.astype(np.float64)
        first, second = (
            np.asarray(jax.jacobian(net)(w, x.astype(np.float64))).reshape(len(x), 3, -1)
            for x in (x1, x2)
        )
    return np.einsum("nop,mqp->nmoq", first, second)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The symmetric kernel of 3 x 3 tiles, of which the last ones hold three samples."""
    folder = tmp_path_factory.mktemp("kernel") / "finished"
    tiled_ntk(**NETWORK, out=folder)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "copied")
    return tmp_path / "copied"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The tiles that are finished from here on."""
    found: list[tuple[int, int]] = []
    finish = store.TileArray.finish

    def count(self: Any, tile: tuple[int, int], block: np.ndarray) -> None:
        finish(self, tile, block)
        found.append(tile)

    monkeypatch.setattr(store.TileArray, "finish", count)
    return found


def test_a_symmetric_kernel_is_that_of_dense_jacobians_and_its_tiles_are_the_engines_bytes(
    finished: Path,
) -> None:
    kernel = zarr.open_array(finished, mode="r")
    assert kernel.shape == (11, 11) and kernel.chunks == (4, 4) and len(journal(finished)) == 6
    whole = kernel[:]
    np.testing.assert_allclose(
        whole, np.einsum("nmoo->nm", exact(X, X)) / 3, rtol=1e-5, atol=1e-5 * whole.max()
    )
    np.testing.assert_array_equal(whole, whole.T)
    for i in range(3):
        for j in range(i, 3):
            rows, columns = X[4 * i : 4 * i + 4], None if i == j else X[4 * j : 4 * j + 4]
            np.testing.assert_array_equal(
                whole[4 * i : 4 * i + 4, 4 * j : 4 * j + 4],
                empirical_ntk(net, W, rows, columns, memory_gb=4.0),
            )


@pytest.mark.parametrize("reduce", ["full", "diagonal", "trace", "sum_logits"])
def test_rows_and_columns_of_two_sets_keep_the_outputs_that_the_reduction_keeps(
    tmp_path: Path, reduce: str
) -> None:
    kernel = tiled_ntk(**{**NETWORK, "x2": Y, "tile": 6}, reduce=reduce, out=tmp_path)
    whole = exact(X, Y)
    expected = {
        "full": whole,
        "diagonal": np.einsum("nmoo->nmo", whole),
        "trace": np.einsum("nmoo->nm", whole) / 3,
        "sum_logits": whole.sum((2, 3)) / 3,
    }[reduce]
    assert kernel.chunks == (6, 6, *expected.shape[2:])
    np.testing.assert_allclose(kernel[:], expected, rtol=1e-5, atol=1e-5 * abs(expected).max())


def test_the_mirror_image_of_a_tile_has_its_outputs_the_other_way_round(tmp_path: Path) -> None:
    kernel = tiled_ntk(**{**NETWORK, "x1": X[:5], "tile": 3}, reduce="full", out=tmp_path)
    np.testing.assert_array_equal(kernel[:], kernel[:].transpose(1, 0, 3, 2))
    np.testing.assert_allclose(kernel[:], exact(X[:5], X[:5]), rtol=1e-5, atol=1e-5)


def test_double_precision_is_that_of_empirical_ntk(tmp_path: Path) -> None:
    kernel = tiled_ntk(**{**NETWORK, "x1": X[:5]}, dtype="float64", out=tmp_path)
    assert kernel.dtype == np.float64
    np.testing.assert_allclose(
        kernel[:], np.einsum("nmoo->nm", exact(X[:5], X[:5])) / 3, rtol=1e-12, atol=1e-14
    )


def test_an_array_is_read_while_it_grows_and_what_is_missing_is_nan(tmp_path: Path) -> None:
    seen: list[int] = []
    finish = store.TileArray.finish

    def look(self: Any, tile: tuple[int, int], block: np.ndarray) -> None:
        finish(self, tile, block)
        now = zarr.open_array(tmp_path, mode="r")[:]
        i, j = tile
        np.testing.assert_array_equal(now[4 * i : 4 * i + 4, 4 * j : 4 * j + 4], block)
        seen.append(int(np.isfinite(now).sum()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.TileArray, "finish", look)
        tiled_ntk(**NETWORK, out=tmp_path)
    # 4 x 4, a tile of 16 or 12 with its mirror image, diagonal ones of 16 and 9
    assert seen == [16, 48, 72, 88, 112, 121]


def test_a_finished_kernel_is_not_computed_again(
    copied: Path, counted: list[tuple[int, int]]
) -> None:
    before = files(copied)
    tiled_ntk(**NETWORK, out=copied)
    assert counted == [] and files(copied) == before


@pytest.mark.parametrize(
    ("chunk", "tile"),
    [("c/0/0", (0, 0)), ("c/0/1", (0, 1)), ("c/2/1", (1, 2))],
    ids=["diagonal", "upper", "mirror"],
)
@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "swapped"])
def test_a_damaged_tile_is_computed_again_and_never_read_as_data(
    copied: Path, counted: list[tuple[int, int]], chunk: str, tile: tuple[int, int], damage: str
) -> None:
    before, path = files(copied), copied / chunk
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[5] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-7])
    elif damage == "gone":
        path.unlink()
    else:  # a whole chunk with a good CRC, but of another place
        shutil.copy(copied / "c/1/1", path)
    if damage in ("bit", "cut"):
        with pytest.raises(ValueError, match="checksum"):
            zarr.open_array(copied, mode="r")[:]
    tiled_ntk(**NETWORK, out=copied)
    assert counted == [tile] and files(copied) == before


def test_damage_is_told_on_standard_error(copied: Path, capsys: pytest.CaptureFixture) -> None:
    (copied / "c/1/1").write_bytes(b"what")
    tiled_ntk(**{**NETWORK, "progress": True}, out=copied)
    told = capsys.readouterr()
    assert "tile (1, 1) is damaged and is computed again" in told.err and told.out == ""
    assert "6 of 6 tiles done; 1 of them now" in told.err


def test_a_line_cut_short_and_what_a_killed_writer_left_are_cleared_away(
    copied: Path, counted: list[tuple[int, int]]
) -> None:
    before, lines = files(copied), (copied / ".tiles" / "journal.txt").read_bytes()
    (copied / ".tiles" / "journal.txt").write_bytes(lines[:-30])
    (copied / "c" / "0" / "1.0123.partial").write_bytes(b"half a chunk")
    (copied / "zarr.json").write_bytes(b"{}")
    tiled_ntk(**NETWORK, out=copied)
    assert counted == [(2, 2)] and files(copied) == before
    assert sorted(journal(copied)) == sorted(lines.splitlines())


def other(w: Any, x: Any) -> Any:
    return jnp.tanh(x @ w) ** 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"f": other}, r"differs in f\)"),
        ({"params": 2 * W}, r"differs in params\)"),
        ({"x1": X + 1}, r"differs in x1\)"),
        ({"x2": X}, r"differs in x2\)"),
        ({"tile": 5}, r"differs in tile was 4, is 5\)"),
        ({"reduce": "sum_logits"}, r"reduce was 'trace', is 'sum_logits'"),
        ({"memory_gb": 1}, r"memory_gb was 4.0, is 1.0"),
        ({"dtype": "float64"}, r"dtype was None, is 'float64'"),
    ],
)
def test_the_array_of_another_run_is_refused_by_name_with_both_fingerprints(
    copied: Path, changes: dict, told: str
) -> None:
    before = files(copied)
    with pytest.raises(InputError, match=told) as caught:
        tiled_ntk(**{**NETWORK, **changes}, out=copied)
    ours = zarr.open_array(copied, mode="r").attrs["theorylab"]["fingerprint"]
    assert f"(fingerprint {ours}, this call's is " in str(caught.value)
    assert str(copied) in str(caught.value) and "\n" not in str(caught.value)
    assert files(copied) == before


def test_another_version_or_device_is_refused(copied: Path, monkeypatch: Any) -> None:
    ours = work.description()
    monkeypatch.setattr(call, "description", lambda: {**ours, "jax": "0.9.0"})
    monkeypatch.setattr(call, "device", lambda: "NVIDIA H200")
    with pytest.raises(
        InputError, match=r"device was 'cpu', is 'NVIDIA H200', jax was .*'0\.9\.0'"
    ):
        tiled_ntk(**NETWORK, out=copied)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"setup.txt is missing.*choose another folder"):
        tiled_ntk(**NETWORK, out=tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(InputError, match=r"^out='.*another folder"):
        tiled_ntk(**NETWORK, out=tmp_path / "mine.txt")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"executor": "slurm"}, "executor = 'slurm'"),
        ({"executor": "dask://"}, "executor = 'dask://'"),
        ({"tile": 0}, "tile = 0"),
        ({"colour": "red"}, "colour: no setting of tiled_ntk; there are reduce, method"),
        ({"memory_gb": None}, "memory_gb"),
        ({"x1": X[:0]}, "x1 holds no samples"),
        ({"x2": Y[:, :3]}, "x2"),
        ({"x1": np.where(X[7, 0] == X, np.nan, X)}, "x1 holds nan"),
        ({"method": "ntk_vp", "executor": jax.make_mesh((1,), ("a",))}, "method='ntk_vp'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, changes: dict, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        tiled_ntk(**{**NETWORK, **changes}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inside_of_a_transformation_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="params, x1 and x2 are traced"):
        jax.jit(lambda w: tiled_ntk(**{**NETWORK, "params": w}, out=tmp_path))(W)


def test_a_mesh_of_one_device_gives_the_kernel(tmp_path: Path) -> None:
    mesh = jax.make_mesh((1,), ("samples",))
    kernel = tiled_ntk(**NETWORK, executor=mesh, out=tmp_path)
    np.testing.assert_allclose(kernel[:], empirical_ntk(net, W, X), rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match=r"mesh was '1 cpu', is None"):
        tiled_ntk(**NETWORK, out=tmp_path)


def test_a_process_with_other_versions_or_code_objects() -> None:
    ours = work.description()
    assert work.objection(tuple(sorted(ours.items()))) == ""
    for name, said in (("jax", f"jax {jax.__version__}"), ("code", "another code of theorylab")):
        wrong = work.objection(tuple(sorted({**ours, name: "0"}.items())))
        assert wrong == f"it has {said}, this is 0"


def test_a_network_that_is_another_one_on_the_worker_is_found(monkeypatch: Any) -> None:
    pytest.importorskip("distributed")
    settings = call._settings({})
    packed = work.pack(work.Network(net, W, settings))
    identity = work.Network(net, W, settings).identity(X)
    assert work._unlike(identity, packed, X) == ""
    elsewhere = work.pack(work.Network(other, W, settings))
    assert work._unlike(identity, elsewhere, X).startswith("f computes something else there")
    assert work._unlike(identity, b"nothing", X).startswith("it cannot open f (UnpicklingError")


def test_the_plan_counts_tiles_bytes_and_products_by_hand() -> None:
    plan = plan_tiles(net, W, jax.ShapeDtypeStruct((1000, 4), "float32"), tile=300)
    assert plan.tiles == 10 and plan.shape == (1000, 1000) and plan.array_bytes == 4_000_000
    assert plan.tile_bytes == 360_000 and plan.sample_bytes == 2 * 300 * 16
    # pairs on and above the diagonal: products of the inputs, products of the cotangents
    pairs = 500_000
    assert 2 * pairs * (4 + 3) <= plan.contraction_flop <= 2 * pairs * 4 * 3 * 3 * 1.1
    halves = plan_tiles(net, W, jax.ShapeDtypeStruct((1000, 4), "float32"), tile=500)
    # every tile on the diagonal derives its samples, every other one both of its sides
    assert plan.derivation_flop / halves.derivation_flop == pytest.approx(4000 / 2000)
    assert plan.seconds(rate=plan.flop, workers=3) == pytest.approx(0.4)
    assert f"{plan}".splitlines()[0].split() == ["kernel", "1,000", "x", "1,000", "float32"]


def test_a_plan_is_of_the_tiles_that_the_call_makes_when_neither_is_told() -> None:
    sets = [jax.ShapeDtypeStruct((n, 4), "float32") for n in (2048, 2049)]
    assert [plan_tiles(net, W, x).tiles for x in sets] == [1, 3]
    planned, made = (inspect.signature(one).parameters["tile"] for one in (plan_tiles, tiled_ntk))
    assert planned.default == made.default


@pytest.mark.parametrize("changes", [{"tile": 0}, {"reduce": "none"}, {"x1": X[:0]}, {"f": 3}])
def test_a_plan_of_nothing_is_refused(changes: dict) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        plan_tiles(**{"f": net, "params": W, "x1": X, **changes})
