"""`load` and `pretrained`: names to verified arrays."""

import numpy as np

from theorylab.data.cache import cache_path, read_cached
from theorylab.data.catalogue import Entry, find_entry
from theorylab.data.dataset import Dataset, image_statistics, table_statistics
from theorylab.data.digests import DIGESTS
from theorylab.data.sample import SAMPLE_DIGEST, read_sample
from theorylab.data.tables import unpack_columns
from theorylab.errors import InputError

_SAMPLED = "fashion_mnist"
_TEST_SHARE = 0.2


def load(name: str, *, sample: bool | None = None) -> Dataset:
    """Load a data set by name (`theorylab data list` shows them).

    Fashion-MNIST works with nothing fetched: by default the full set if it is cached, else the
    embedded sample. A set without an official split (KEEL, mnist5k, German credit, COMPAS, FARS)
    gets a fixed one: a fifth of each class, drawn by NumPy's frozen `RandomState(0)`, is the test
    part, both in file order; `merged()` gives all rows.

    Args:
        name: "fashion_mnist", "keel/optdigits", ...
        sample: of Fashion-MNIST: True takes the sample, False insists on the full set, None takes
            what is there (`is_sample` tells which).

    Returns:
        A `Dataset`.

    Raises:
        InputError: an unknown name or an impossible `sample`.
        DataError: the set is not in the cache or the cached copy is corrupted; the message names
            the command that mends it.

    Examples:
        >>> images = load("fashion_mnist", sample=True)
        >>> images.x_train.shape, images.classes[:2]
        ((6000, 28, 28), ('T-shirt/top', 'Trouser'))
        >>> x, y, x_test, y_test = images.normalised(flat=True)
        >>> x.shape, y_test.shape
        ((6000, 784), (2000,))
    """
    if sample is not None and not isinstance(sample, bool | np.bool_):
        raise InputError(f"sample = {sample!r}; True, False or None is needed")
    entry = find_entry(name)
    if entry.kind != "data":
        raise InputError(f"name={name!r} is a network: use theorylab.data.pretrained({name!r})")
    if name not in entry.names:
        raise InputError(
            f"name={name!r} is a collection: load one of {', '.join(entry.names[:4])}, ..."
        )
    if sample and name != _SAMPLED:
        raise InputError(
            f"sample=True: only {_SAMPLED!r} has an embedded sample, {name!r} must be fetched"
        )
    if name == _SAMPLED and (sample or (sample is None and not cache_path(entry).exists())):
        return _record(entry, name, read_sample(), SAMPLE_DIGEST, is_sample=True)
    return _record(entry, name, read_cached(name), DIGESTS[name], is_sample=False)


def _record(
    entry: Entry, name: str, arrays: dict[str, np.ndarray], sha256: str, *, is_sample: bool
) -> Dataset:
    columns = unpack_columns(arrays["columns"]) if "columns" in arrays else ()
    split = "official"
    if "x" in arrays:
        train, test = split_rows(arrays["y"], test_share=_TEST_SHARE)
        arrays = arrays | {
            f"{k}_{part}": arrays[k][rows]
            for k in "xy"
            for part, rows in (("train", train), ("test", test))
        }
        split = "seeded 80/20"
    mean, std = (table_statistics if columns else image_statistics)(arrays["x_train"])
    return Dataset(
        name=name,
        **{key: arrays[key] for key in ("x_train", "y_train", "x_test", "y_test")},
        classes=tuple(str(label) for label in arrays["classes"]),
        mean=mean,
        std=std,
        licence=entry.licence,
        citation=entry.citation,
        source=entry.package.spec,
        sha256=sha256,
        is_sample=is_sample,
        columns=columns,
        split=split,
    )


def split_rows(y: np.ndarray, *, test_share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of a stratified training and test part, each increasing.

    Every class keeps a training row.
    """
    # RandomState's stream is frozen by NumPy's compatibility policy; default_rng's may change
    # between versions.
    random = np.random.RandomState(seed)
    test = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = random.permutation(np.flatnonzero(y == label))
        test[rows[: min(round(test_share * len(rows)), len(rows) - 1)]] = True
    return np.flatnonzero(~test), np.flatnonzero(test)


def pretrained(name: str = "efficientnet_lite0") -> dict[str, np.ndarray]:
    """The state dict of a pretrained network, tensor name to array.

    Names and axis order are torch's; `nets.load_efficientnet_lite0` makes a network of it.

    Args:
        name: of a network in the catalogue.

    Returns:
        A dictionary of NumPy arrays.

    Raises:
        InputError: a name that is no network.
        DataError: it is not fetched, or the copy is corrupted.
    """
    entry = find_entry(name)
    if entry.kind != "network":
        raise InputError(
            f"name={name!r} is a data set, not a network: use theorylab.data.load({name!r})"
        )
    return read_cached(entry.name)
