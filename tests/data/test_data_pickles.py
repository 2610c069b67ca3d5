import io
import os
import pickle
import struct

import numpy as np
import pytest
from data_builders import python2_pickle, torch_file

from theorylab.data.pickles import read_numpy_pickle, read_torch_legacy
from theorylab.errors import DataError

VALUES = np.arange(24, dtype="f4")


def test_contiguous_tensors_are_read_back():
    data = torch_file(
        {"w": ("0", 0, (2, 3, 4), (12, 4, 1)), "n": ("1", 0, (), ())},
        {"0": VALUES, "1": np.array([7], "i8")},
    )
    state = read_torch_legacy(data)
    assert list(state) == ["w", "n"]
    np.testing.assert_array_equal(state["w"], VALUES.reshape(2, 3, 4))
    assert (
        state["w"].dtype == np.float32
        and state["n"].dtype == np.int64
        and state["n"].shape == ()
        and state["n"] == 7
    )


def test_strides_of_a_transposed_kernel_are_honoured():
    data = torch_file({"w": ("0", 0, (4, 3, 2), (1, 4, 12))}, {"0": VALUES})
    np.testing.assert_array_equal(
        read_torch_legacy(data)["w"], VALUES.reshape(2, 3, 4).transpose(2, 1, 0)
    )


def test_views_share_a_storage_at_their_offsets():
    data = torch_file({"a": ("0", 0, (12,), (1,)), "b": ("0", 12, (3, 4), (4, 1))}, {"0": VALUES})
    state = read_torch_legacy(data)
    np.testing.assert_array_equal(state["a"], VALUES[:12])
    np.testing.assert_array_equal(state["b"], VALUES[12:].reshape(3, 4))


def test_an_empty_tensor_is_read():
    assert read_torch_legacy(torch_file({"e": ("0", 0, (0, 4), (4, 1))}, {"0": VALUES}))[
        "e"
    ].shape == (0, 4)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (25,), (1,)),
        (1, (24,), (1,)),
        (0, (2,), (24,)),
        (0, (2,), (-1,)),
        (-1, (1,), (1,)),
        (0, (2, 2), (1,)),
    ],
)
def test_a_view_outside_its_storage_is_refused(offset, size, stride):
    with pytest.raises(DataError, match="tensor"):
        read_torch_legacy(torch_file({"w": ("0", offset, size, stride)}, {"0": VALUES}))


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_malicious_global_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "sprung"
    data = torch_file({"w": ("0", 0, (24,), (1,))}, {"0": VALUES}, extra={"evil": _Evil(str(trap))})
    with pytest.raises(DataError, match=r"refused to unpickle (posix|nt)\.mkdir"):
        read_torch_legacy(data)
    with pytest.raises(DataError, match=r"refused to unpickle (posix|nt)\.mkdir"):
        read_numpy_pickle(pickle.dumps({"data": _Evil(str(trap))}))
    assert not trap.exists()


@pytest.mark.parametrize("module", ["builtins", "torch", "numpy.core.multiarray", "collections"])
def test_globals_beside_the_named_ones_are_refused(module):
    code = b"\x80\x02c" + module.encode() + b"\neval\n."
    for reader in (read_torch_legacy, read_numpy_pickle):
        with pytest.raises(DataError, match=f"refused to unpickle {module}.eval"):
            reader(code)


@pytest.mark.parametrize("kept", [10, 0.3, 0.6, 0.99])
def test_a_truncated_torch_file_is_refused(kept):
    data = torch_file({"w": ("0", 0, (24,), (1,))}, {"0": VALUES})
    with pytest.raises(DataError, match="truncated"):
        read_torch_legacy(data[: kept if kept > 1 else int(kept * len(data))])


def test_a_pickle_that_is_no_torch_file_is_refused():
    with pytest.raises(DataError, match="not a legacy"):
        read_torch_legacy(torch_file({}, {}, magic=12))
    with pytest.raises(DataError, match="malformed"):
        read_torch_legacy(b"PK\x03\x04")


def test_a_negative_storage_count_is_refused():
    data = torch_file({"w": ("0", 0, (24,), (1,))}, {"0": VALUES})
    head = data[: -VALUES.nbytes - 8]
    with pytest.raises(DataError):
        read_torch_legacy(head + struct.pack("<q", -1) + VALUES.tobytes())


def test_unknown_persistent_objects_are_refused():
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("module", "x", "y") if obj == "marked" else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(["marked"])
    with pytest.raises(DataError, match="persistent"):
        read_numpy_pickle(buffer.getvalue())


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickled_arrays_are_read_back(protocol):
    batch = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}
    read = read_numpy_pickle(pickle.dumps(batch, protocol))
    np.testing.assert_array_equal(read["data"], batch["data"])
    assert read["labels"] == [1, 2]


def test_a_python_2_pickle_is_read_as_cifar10_was_written():
    batch = {"data": np.arange(256, dtype=np.uint8).reshape(2, 128), "labels": [1, 2]}
    data = python2_pickle(batch)
    assert b"numpy" in data and data[:2] == b"\x80\x02"
    np.testing.assert_array_equal(read_numpy_pickle(data)["data"], batch["data"])


def test_a_damaged_numpy_pickle_is_refused():
    with pytest.raises(DataError, match="malformed"):
        read_numpy_pickle(pickle.dumps({"data": 1})[:-3])
