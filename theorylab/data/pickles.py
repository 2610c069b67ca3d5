"""Read numbers out of pickles without running them.

Only the named globals resolve, anything else is refused.
"""

import collections
import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab.errors import DataError

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_PROTOCOL = 1001
_STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Restricted(pickle.Unpickler):
    """An unpickler that knows the globals it is given and the storages of a torch file.

    It knows nothing else.
    """

    def __init__(
        self, file: io.BytesIO, known: Mapping[tuple[str, str], Any], **options: Any
    ) -> None:
        super().__init__(file, **options)
        self.known = known

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.known:
            raise DataError(
                f"refused to unpickle {module}.{name}: the file is not the one expected, do not "
                "trust it"
            )
        return self.known[module, name]

    def persistent_load(self, saved: Any) -> Any:
        kind, dtype, key, *_ = saved  # ("storage", storage type, key, device, count, view)
        if kind != "storage" or dtype not in _STORAGES.values():
            raise DataError("refused an unknown persistent object in a torch file")
        return dtype, key


_TORCH = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *_: (
        storage,
        offset,
        size,
        stride,
    ),
    **{("torch", name): dtype for name, dtype in _STORAGES.items()},
}
# `_reconstruct` is private by name but written in every pickled array; an array's own reduction
# hands it to us.
_NUMPY = {
    (f"numpy.{core}.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0]
    for core in ("core", "_core")
} | {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}


def read_torch_legacy(data: bytes) -> dict[str, np.ndarray]:
    """The tensors of a state dict saved by torch before 1.6 (five pickles, then the raw storages).

    Allows `collections.OrderedDict`, `torch._utils._rebuild_tensor_v2`, `torch.FloatStorage` and
    `torch.LongStorage`. Raises `DataError` for any other global, a foreign or truncated file, and a
    view outside its storage. Convolution kernels may be stored with transposed strides; they are
    honoured, so shapes and values are what torch would show.
    """
    file = io.BytesIO(data)

    def load() -> Any:
        return _Restricted(file, _TORCH).load()

    try:
        if (
            load() != _TORCH_MAGIC
            or load() != _TORCH_PROTOCOL
            or not load().get("little_endian", False)
        ):
            raise DataError("not a legacy little-endian torch file")
        state, keys = load(), load()
        dtypes = {storage[1]: storage[0] for storage, *_ in state.values()}
        storages = {}
        for key in keys:
            dtype = np.dtype(dtypes[key])
            count = int(np.frombuffer(file.read(8), "<i8")[0])
            body = file.read(count * dtype.itemsize) if count >= 0 else b""
            if len(body) != count * dtype.itemsize:
                raise DataError("the torch file is truncated: fetch it again")
            storages[key] = np.frombuffer(body, dtype)
        return {
            name: _view(storages[storage[1]], *place) for name, (storage, *place) in state.items()
        }
    except DataError:
        raise
    except Exception as error:  # a malformed pickle raises whatever its opcodes trip over
        raise DataError(
            f"the torch file is malformed or truncated ({type(error).__name__}: {error})"
        ) from error


def _view(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> np.ndarray:
    """The tensor of this offset, size and stride (in elements), copied.

    as_strided itself checks no bounds.
    """
    if len(size) != len(stride) or min((offset, *size, *stride)) < 0:
        raise DataError(
            f"a tensor has impossible layout: offset {offset}, size {size}, stride {stride}"
        )
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 in size:
        return np.zeros(size, storage.dtype)
    if last >= storage.size:
        raise DataError(f"a tensor reaches element {last} of a storage of {storage.size}")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


def read_numpy_pickle(data: bytes) -> Any:
    """A pickle (Python 2 or 3) of plain containers and NumPy arrays.

    A batch of CIFAR-10's "python version" is one.
    """
    try:
        return _Restricted(io.BytesIO(data), _NUMPY, encoding="latin1").load()
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"the pickle is malformed or truncated ({type(error).__name__}: {error})"
        ) from error
