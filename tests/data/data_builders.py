"""Small archives of every kind, written byte by byte, independent of the readers under test."""

import gzip
import hashlib
import io
import pickle
import pickletools
import struct
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np

from theorylab.data import decode, digest
from theorylab.data.catalogue import Entry, Layout, Package


def idx_bytes(array):
    return (
        b"\x00\x00\x08"
        + bytes([array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def zip_archive(path: Path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tar_bytes(members, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tgz_archive(path: Path, members):
    path.write_bytes(tar_bytes(members, "w:gz"))
    return path


def deb_archive(path: Path, members, compression="xz"):
    """An `ar` with debian-binary, a control member of odd length (padded), and the data."""

    def member(name, data):
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        assert len(head) == 60
        return head + data + b"\n" * (len(data) % 2)

    payload = tar_bytes({f"./{name}": data for name, data in members.items()}, f"w:{compression}")
    parts = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        (f"data.tar.{compression}", payload),
    ]
    path.write_bytes(b"!<arch>\n" + b"".join(member(*part) for part in parts))
    return path


def mnist_like(n_train=12, n_test=6, seed=0):
    """The four IDX files of a tiny set, with its arrays."""
    rng = np.random.default_rng(seed)
    x, y = (
        rng.integers(0, 256, (n_train + n_test, 28, 28), np.uint8),
        np.arange(n_train + n_test, dtype=np.uint8) % 10,
    )
    arrays = {
        "x_train": x[:n_train],
        "y_train": y[:n_train],
        "x_test": x[n_train:],
        "y_test": y[n_train:],
    }
    files = {
        "train-images-idx3-ubyte": idx_bytes(arrays["x_train"]),
        "train-labels-idx1-ubyte": idx_bytes(arrays["y_train"]),
        "t10k-images-idx3-ubyte": idx_bytes(arrays["x_test"]),
        "t10k-labels-idx1-ubyte": idx_bytes(arrays["y_test"]),
    }
    return files, arrays


def toy_entry(folder: Path):
    """A catalogue entry "toy" of 12 + 6 images: the entry, its digest, an archive in `folder`, and
    its arrays."""
    files, arrays = mnist_like()
    archive = zip_archive(
        folder / "toy-1.0.whl", {f"deep/{name}": data for name, data in files.items()}
    )
    layouts = (Layout(decode.IDX, decode.idx("toy", decode.DIGITS)),)
    package = Package(
        "pip", "toy==1.0", "toy-1.0", hashlib.sha256(archive.read_bytes()).hexdigest()
    )
    labels = {
        key: np.asarray(value, np.int32) for key, value in arrays.items() if key.startswith("y")
    }
    expected = digest(arrays | labels | {"classes": np.array(decode.DIGITS)})
    return (
        Entry("toy", "Toy", "12 + 6", "CC0", "Nobody 2000", 1, package, layouts),
        expected,
        archive,
        arrays,
    )


def gz(files):
    return {f"{name}.gz": gzip.compress(data) for name, data in files.items()}


def python2_pickle(obj):
    """A pickle as Python 2 wrote it: bytes are "strings" (opcodes T, U in place of Python 3's B,
    C), protocol 2."""
    data = bytearray(pickle.dumps(obj, 3))
    for opcode, _, position in pickletools.genops(bytes(data)):
        if opcode.name in ("BINBYTES", "SHORT_BINBYTES"):
            data[position] = ord("T" if opcode.name == "BINBYTES" else "U")
    data[1] = 2
    return bytes(data)


class _Storage:
    """Stands for a torch storage: pickled as a persistent id, as torch does."""

    def __init__(self, kind, key, numel):
        self.kind, self.key, self.numel = kind, key, numel


class _Tensor:
    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


def torch_file(tensors, storages, *, extra=None, magic=0x1950A86A20F9469CFC6C):
    """A legacy torch file. `tensors`: name -> (storage key, offset, size, stride); `storages`: key
    -> 1-d array.

    A fake `torch` module, removed again, gives the pickler the global names that the real library
    writes.
    """
    from collections import OrderedDict

    fake, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError("only its name is pickled")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
    )
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in ("FloatStorage", "LongStorage"):
        setattr(fake, name, type(name, (), {"__module__": "torch"}))

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, _Storage):
                return ("storage", obj.kind, obj.key, "cpu", obj.numel, None)
            return None

    kinds = {np.dtype("f4"): fake.FloatStorage, np.dtype("i8"): fake.LongStorage}
    state = OrderedDict()
    for name, (key, offset, size, stride) in tensors.items():
        storage = _Storage(kinds[storages[key].dtype], key, storages[key].size)
        state[name] = _Tensor(storage, offset, size, stride, False, OrderedDict())
    state |= extra or {}
    buffer = io.BytesIO()
    saved = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": fake, "torch._utils": utils}
    try:
        for part in (
            magic,
            1001,
            {"protocol_version": 1001, "little_endian": True, "type_sizes": {}},
        ):
            Pickler(buffer, 2).dump(part)
        Pickler(buffer, 2).dump(state)
        Pickler(buffer, 2).dump(list(storages))
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    for array in storages.values():
        buffer.write(struct.pack("<q", array.size) + array.tobytes())
    return buffer.getvalue()
