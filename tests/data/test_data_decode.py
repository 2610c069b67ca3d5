import io
import json

import numpy as np
import pytest
from data_builders import mnist_like, python2_pickle
from PIL import Image

from theorylab.data import decode
from theorylab.data.tables import unpack_columns
from theorylab.errors import DataError


def test_idx_files_keep_order_and_bytes():
    files, arrays = mnist_like()
    decoded = decode.idx("mnist", decode.DIGITS)(files)["mnist"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(decoded[name], array)
    assert decoded["x_train"].dtype == np.uint8 and decoded["y_train"].dtype == np.int32
    assert decoded["classes"].tolist() == list("0123456789")


def test_as_many_labels_as_images_are_needed():
    files, _ = mnist_like()
    files["train-labels-idx1-ubyte"] = mnist_like(n_train=11)[0]["train-labels-idx1-ubyte"]
    with pytest.raises(DataError, match="12 train images but 11 labels"):
        decode.idx("mnist", decode.DIGITS)(files)


@pytest.fixture(scope="module")
def cifar():
    """Six batches of four random images, and the three ways in which CIFAR-10 is published."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (6, 4, 32, 32, 3), np.uint8), rng.integers(0, 10, (6, 4))
    planar = x.transpose(0, 1, 4, 2, 3).reshape(6, 4, 3072)
    png, binary, python = {}, {}, {}
    for k in range(6):
        base = f"data_batch_{k + 1}" if k < 5 else "test_batch"
        buffer = io.BytesIO()
        Image.fromarray(x[k].reshape(4, 1024, 3)).save(buffer, "PNG")
        png[f"{base}.png"] = buffer.getvalue()
        binary[f"{base}.bin"] = np.concatenate(
            [y[k][:, None].astype(np.uint8), planar[k]], axis=1
        ).tobytes()
        python[base] = python2_pickle(
            {"data": planar[k], "labels": y[k].tolist(), "filenames": ["a"]}
        )
    png["train_lables.json"] = json.dumps(y[:5].ravel().tolist()).encode()
    png["test_lables.json"] = json.dumps(y[5].tolist()).encode()
    return x, y, png, binary, python


def test_the_three_forms_of_cifar10_decode_to_the_same_images(cifar):
    x, y, png, binary, python = cifar
    forms = [decode.cifar10_png(png), decode.cifar10_binary(binary), decode.cifar10_python(python)]
    for decoded in (form["cifar10"] for form in forms):
        np.testing.assert_array_equal(decoded["x_train"], x[:5].reshape(20, 32, 32, 3))
        np.testing.assert_array_equal(decoded["y_train"], y[:5].ravel())
        np.testing.assert_array_equal(decoded["x_test"], x[5])
        np.testing.assert_array_equal(decoded["y_test"], y[5])
        assert decoded["x_train"].flags.c_contiguous


def test_damaged_cifar10_batches_are_refused(cifar):
    _, _, png, binary, _ = cifar
    with pytest.raises(DataError, match="mosaic is damaged"):
        decode.cifar10_png(png | {"data_batch_2.png": png["data_batch_2.png"][:500]})
    with pytest.raises(DataError, match="truncated"):
        decode.cifar10_binary(binary | {"data_batch_2.bin": binary["data_batch_2.bin"][:-1]})


def test_mnist5k_reads_pixels_then_label():
    rows = np.random.default_rng(2).integers(0, 256, (3, 784))
    text = "\n".join(
        ",".join(map(str, [*row, label])) for row, label in zip(rows, [7, 0, 9], strict=True)
    )
    decoded = decode.mnist5k({"mnist_5k.csv": text.encode()})["mnist5k"]
    np.testing.assert_array_equal(decoded["x"], rows.reshape(3, 28, 28))
    assert decoded["y"].tolist() == [7, 0, 9] and decoded["x"].dtype == np.uint8


def test_keel_tables_have_the_label_last():
    files = {
        "balanced/raw/a.dat": b"1,2,x\r\n3,4,y\r\n",
        "balanced/raw/b.dat": b"red,0.5,10\nblue,1.5,9\n",
    }
    decoded = decode.keel(("a", "b"))(files)
    assert list(decoded) == ["keel/a", "keel/b"]
    np.testing.assert_array_equal(decoded["keel/a"]["x"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(decoded["keel/b"]["x"], [[1, 0.5], [0, 1.5]])
    assert decoded["keel/b"]["y"].tolist() == [1, 0] and decoded["keel/b"]["classes"].tolist() == [
        "9",
        "10",
    ]


def test_adult_skips_the_remark_and_the_dots_of_its_test_file():
    row = (
        "39, {work}, 77516, Bachelors, 13, Single, Clerical, Own, White, Male, 0, 0, 40, Cuba, "
        "{label}"
    )
    files = {
        "adult.data": "\n".join(
            row.format(work=w, label=y) for w, y in [("Private", "<=50K"), ("?", ">50K")]
        ).encode(),
        "adult.test": (
            "|1x3 Cross validator\n" + row.format(work="Gov", label=">50K.") + "\n\n"
        ).encode(),
    }
    decoded = decode.adult(files)["adult"]
    columns = unpack_columns(decoded["columns"])
    assert decoded["x_train"].shape == (2, 14) and decoded["x_test"].shape == (1, 14)
    assert decoded["y_train"].tolist() == [0, 1] and decoded["y_test"].tolist() == [1]
    assert columns[1].categories == ("Gov", "Private") and columns[0].categories == ()
    assert decoded["x_train"][0, 1] == 1 and np.isnan(decoded["x_train"][1, 1])


def test_german_labels_are_good_and_bad():
    rows = b"A11 6 " + b"A34 " * 18 + b"1\nA12 48 " + b"A32 " * 18 + b"2\n"
    decoded = decode.german({"german.data": rows})["german"]
    assert decoded["classes"][decoded["y"]].tolist() == ["good", "bad"] and decoded["x"].shape == (
        2,
        20,
    )


def test_compas_takes_the_first_of_two_columns_of_one_name():
    header = ",".join(["id", "name", *decode.COMPAS, "priors_count", "two_year_recid"])
    line = '1,"smith, ann",Female,30,25 - 45,Other,0,0,0,5,M,3,99,1'
    decoded = decode.compas(
        {"compas-scores-two-years.csv": f"{header}\n{line}\n{line}\n".encode()}
    )["compas"]
    assert decoded["x"][0, decode.COMPAS.index("priors_count")] == 5 and decoded["y"].tolist() == [
        0,
        0,
    ]


def test_fars_takes_its_names_from_the_header():
    text = (
        "@relation f\r\n@attribute STATE {A,B}\r\n@attribute AGE real [0,99]\r\n@attribute "
        "INJURY {x,y}\r\n@data\r\n"
    )
    decoded = decode.fars({"fars/fars.dat": (text + "A,20,x\r\nB,30,y\r\n").encode()})["fars"]
    assert [column.name for column in unpack_columns(decoded["columns"])] == ["STATE", "AGE"]
    assert decoded["y"].tolist() == [0, 1]
