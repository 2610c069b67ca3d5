"""A large empirical kernel, tile by tile, here or on a cluster or over a mesh of devices."""

import contextlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree
from rich.console import Console

from theorylab import checks
from theorylab.digests import tree_digest
from theorylab.errors import InputError, OperationError
from theorylab.ntk.empirical import empirical_ntk
from theorylab.ntk.guard import require_real_parameters, samples
from theorylab.ntk.large import mesh as meshes
from theorylab.ntk.large.cluster import on_cluster, worker_device
from theorylab.ntk.large.store import Grid, Tile, TileArray, open_tiles, read_tiles, require_zarr
from theorylab.ntk.large.work import Network, description, device, head
from theorylab.precision import is_traced
from theorylab.progress import Progress

# one number for every machine: what is cut alike is rounded alike
_DEFAULTS = {
    "reduce": "trace",
    "method": "auto",
    "memory_gb": 4.0,
    "precision": "highest",
    "dtype": None,
}
_log = logging.getLogger(__name__)


def tiled_ntk(
    f: Callable[[PyTree, PyTree], PyTree],
    params: PyTree,
    x1: PyTree,
    x2: PyTree | None = None,
    *,
    out: str | Path,
    tile: int = 2048,
    executor: str | Mesh = "local",
    progress: bool = True,
    **settings: Any,
) -> Any:
    """Empirical neural tangent kernel, tile by tile in one zarr array on disk.

    Use it for a kernel of hours, or one that outgrows a machine: it can be read while it grows, any
    process of it may be killed, and the same call goes on with the tiles that are missing. A
    kernel that one machine finishes in minutes is simpler with `empirical_ntk` (and its `out`).
    What a kernel will take is told by `plan_tiles`; docs/guides/large_kernels.md goes through one.

    Every tile is a call of `empirical_ntk` for `tile` rows and columns, so that the bytes of the
    array do not depend on who computed which tile, as long as the machines are of one kind. Of a
    symmetric kernel the tiles on and above the diagonal are computed, and their mirror images
    written.

    A tile that is not there yet reads as NaN. A finished one has its checksum: a damaged tile makes
    zarr's reader fail, and is computed again by the next call. The array belongs to one kernel:
    another network, other parameters, data, settings, tiles, devices or versions are refused.

    Args:
        f: any JAX function of parameters and samples, as `empirical_ntk` takes it. A cluster
            receives it pickled, so its module must be there too.
        params: PyTree of arrays.
        x1: samples of the rows, leading axis N1.
        x2: samples of the columns, leading axis N2. None means `x1`, and a symmetric kernel.
        out: folder of the zarr array, one chunk per tile. This process alone writes it.
        tile: samples of a tile on each side, at least 1.
        executor: "local" for this process; "dask://HOST:PORT" for the workers of an existing Dask
            cluster, with one task per tile ("dask://local" makes one of this machine's cores); or a
            `jax.sharding.Mesh` over whose devices the samples of every tile are cut. The mesh may
            span the processes of `jax.distributed`, which must all make the same call.
        progress: tell on standard error how far it is.
        **settings: `reduce`, `method`, `precision` and `dtype` of `empirical_ntk`, and `memory_gb`,
            the working memory of one tile, 4 unless given. It is the same on every machine, since
            work that is cut in another way is rounded in another way.

    Returns:
        The zarr array, to read: (N1, N2), with the axes of outputs that `reduce` keeps after them,
        float32 or wider. Its attribute "theorylab" has what it belongs to and its fingerprint, and
        the `accuracy` of entries where that is less than the type promises. With a mesh of several
        processes, None in all but the first.

    Raises:
        InputError: what `empirical_ntk` refuses, an unknown executor or setting, a folder with
            another kernel, or no zarr or Dask.
        OperationError: a worker with another version of theorylab, JAX or NumPy, or another network
            or kind of device; a cluster without scheduler or workers for half a minute. Finished
            tiles are kept.

    Source:
        Jacot, Gabriel & Hongler 2018; see `empirical_ntk`.

    Examples:
        >>> import tempfile
        >>> import jax
        >>> import numpy as np
        >>> def f(w, x):
        ...     return jax.numpy.tanh(x @ w)
        >>> w = jax.random.normal(jax.random.key(0), (4, 2))
        >>> x = jax.random.normal(jax.random.key(1), (6, 4))
        >>> folder = tempfile.mkdtemp()
        >>> kernel = tiled_ntk(f, w, x, out=folder, tile=4, progress=False)
        >>> kernel.shape, kernel.chunks
        ((6, 6), (4, 4))
        >>> from theorylab.ntk import empirical_ntk
        >>> np.allclose(kernel[:], empirical_ntk(f, w, x), atol=1e-5)
        True
    """
    _check(params, x1, x2, out, tile, executor)
    checks.flag("progress", progress)
    require_zarr()
    call = _prepare(Network(f, params, _settings(settings)), x1, x2, Path(out), tile, progress)
    if isinstance(executor, Mesh):
        return _over_mesh(call, executor)
    if executor == "local":
        with call.opened({"device": device()}) as (array, advance):
            for number in array.missing():
                began = time.monotonic()
                array.finish(number, call.network.kernel(*call.samples(number)))
                advance(number, time.monotonic() - began)
        return read_tiles(call.folder)
    address = executor.removeprefix("dask://")
    symmetric = call.grid.symmetric
    with (
        on_cluster(address, call.network, call.identity, call.samples, symmetric) as workers,
        call.opened({"device": worker_device(workers)}) as (array, advance),
    ):
        for number, block, seconds in workers.blocks(array.missing(), call.say):
            array.finish(number, block)
            advance(number, seconds)
    return read_tiles(call.folder)


Advance = Callable[[Tile, float], None]


@dataclass(frozen=True)
class _Call:
    """A call whose arguments were found good."""

    network: Network
    x1: PyTree
    x2: PyTree | None
    grid: Grid
    folder: Path
    identity: str
    accuracy: float | None
    progress: bool

    def samples(self, tile: Tile) -> tuple[PyTree, PyTree | None]:
        """Rows and columns of a tile; no columns on the diagonal of a symmetric kernel."""
        (i, j), grid = tile, self.grid
        rows = jax.tree.map(lambda leaf: leaf[grid.span(i, 0)], self.x1)
        if grid.symmetric and i == j:
            return rows, None
        other = self.x1 if self.x2 is None else self.x2
        return rows, jax.tree.map(lambda leaf: leaf[grid.span(j, 1)], other)

    def setup(self, where: dict[str, str]) -> dict[str, Any]:
        """What the array belongs to."""
        settings, versions = dict(self.network.settings), description()
        del versions["code"]  # which changes while a version is worked on
        return {
            "f": self.identity,
            "params": tree_digest(self.network.params),
            "x1": tree_digest(self.x1),
            "x2": None if self.x2 is None else tree_digest(self.x2),
            **settings,
            **versions,
            **where,
        }

    def say(self, text: str) -> None:
        """Tell the user something that is no progress."""
        if self.progress:
            Console(stderr=True).print(text, soft_wrap=True, highlight=False, markup=False)
        else:
            _log.warning("%s", text)

    @contextlib.contextmanager
    def opened(self, where: dict[str, str]) -> Iterator[tuple[TileArray, Advance]]:
        """The array, and what to call when a tile of it is finished."""
        setup = self.setup(where)
        with (
            open_tiles(self.folder, self.grid, setup, self.accuracy, self.say) as array,
            self._told(array) as advance,
        ):
            yield array, advance

    @contextlib.contextmanager
    def _told(self, array: TileArray) -> Iterator[Advance]:
        if not self.progress:
            yield lambda tile, seconds: None
            return
        console = Console(stderr=True)
        kinds = {str((i, j)): str(i == j) for i, j in self.grid.tiles()}
        title = f"kernel {array.fingerprint}"
        bar = console.is_terminal or console.is_jupyter
        with Progress(console, title, kinds, bar=bar, noun="tile") as shown:
            shown.found((str(tile), None) for tile in array.done)
            yield lambda tile, seconds: shown.finish(str(tile), seconds)


def _check(params: Any, x1: Any, x2: Any, out: Any, tile: Any, executor: Any) -> None:
    if is_traced((params, x1, x2)):
        raise InputError(
            "params, x1 and x2 are traced; tiled_ntk writes to the disk and cannot be called "
            "inside jit, grad or vmap: use empirical_ntk there"
        )
    checks.instance("out", out, (str, Path), "the path of a folder")
    checks.count("tile", tile)
    checks.instance("executor", executor, (str, Mesh), "a text or a jax.sharding.Mesh")
    if isinstance(executor, str) and not re.fullmatch("local|dask://[^/:].*", executor):
        raise InputError(
            f"executor = {executor!r}; give 'local', 'dask://HOST:PORT', 'dask://local' or a mesh"
        )
    require_real_parameters("params", params)
    samples("x1", x1, some=True)
    if x2 is not None:
        samples("x2", x2, some=True)


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in _DEFAULTS:
            raise InputError(f"{name}: no setting of tiled_ntk; there are {', '.join(_DEFAULTS)}")
    settings = {**_DEFAULTS, **given}
    checks.number("memory_gb", settings["memory_gb"], 0.0, open_low=True)
    return {**settings, "memory_gb": float(settings["memory_gb"])}


def _prepare(
    network: Network, x1: PyTree, x2: PyTree | None, folder: Path, tile: int, progress: bool
) -> _Call:
    """What is computed, found by the kernel of two samples: it refuses what cannot be."""
    few = head(x1, 2), None if x2 is None else head(x2, 2)
    probe = empirical_ntk(network.f, network.params, *few, **network.settings)
    n1, n2 = samples("x1", x1), samples("x2", x1 if x2 is None else x2)
    dtype = network.settings["dtype"]
    settings = {**network.settings, "dtype": None if dtype is None else jnp.dtype(dtype).name}
    held = Network(network.f, _on_host(network.params), settings)
    return _Call(
        held,
        _on_host(x1),
        None if x2 is None else _on_host(x2),
        Grid((n1, n2, *probe.shape[2:]), np.dtype(probe.dtype), int(tile), x2 is None),
        folder,
        held.identity(x1),
        getattr(probe, "accuracy", None),
        progress,
    )


def _on_host(tree: PyTree) -> PyTree:
    """The arrays as NumPy's; typed keys as they are."""

    def one(leaf: Any) -> Any:
        is_key = jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key)
        return leaf if is_key else np.asarray(leaf)

    return jax.tree.map(one, tree)


def _over_mesh(call: _Call, mesh: Mesh) -> Any:
    network, settings = call.network, call.network.settings
    if settings["method"] == "ntk_vp":
        raise InputError("method='ntk_vp': a mesh is for the other methods; it has no shards")
    meshes.require_mesh(mesh)
    where = {"device": mesh.devices.flat[0].device_kind, "mesh": meshes.described(mesh)}
    meshes.agree(json.dumps(call.setup(where), sort_keys=True))
    array: TileArray | None = None
    trouble: Exception | None = None
    with contextlib.ExitStack() as stack:
        if meshes.first():
            try:
                array, advance = stack.enter_context(call.opened(where))
            except Exception as error:  # the others wait to hear of it
                trouble = error
        heard = meshes.told(str(trouble or ""))
        if trouble is not None:
            raise trouble
        if heard:
            raise OperationError(f"the first process of the mesh has stopped: {heard}")
        missing = meshes.wanted(array.missing() if array else None, call.grid.tiles())
        engine = meshes.MeshEngine(
            network.f, settings["reduce"], settings["method"] != "jacobian", mesh
        )
        with network.numbers():
            for tile, block, seconds in meshes.blocks(engine, network, missing, call.samples):
                if array is not None:
                    array.finish(tile, block)
                    advance(tile, seconds)
    return read_tiles(call.folder) if meshes.first() else None
