"""The embedded sample of Fashion-MNIST, under the MIT licence.

It holds the first 6,000 training and 2,000 test images.

`write_sample` rebuilds it once the full set is fetched.
"""

from pathlib import Path

import numpy as np

from theorylab.data.cache import digest, read_cached, read_npz, write_npz
from theorylab.errors import DataError

N_TRAIN, N_TEST = 6_000, 2_000
SAMPLE_PATH = Path(__file__).parent / "embedded" / "fashion_mnist.npz"
SAMPLE_DIGEST = "69794ad06ce4f89eb4cbbc801f1406002ad9209716d1f5664e3bd259fe1de462"


def read_sample() -> dict[str, np.ndarray]:
    """The verified arrays of the sample; `DataError` if the package's file was altered."""
    try:
        return read_npz(SAMPLE_PATH, "fashion_mnist", SAMPLE_DIGEST)
    except Exception as error:  # zip, zlib and I/O errors alike mean a damaged installation
        raise DataError(
            f"the embedded sample {SAMPLE_PATH} is damaged ({error}): install theorylab again"
        ) from error


def write_sample(path: Path = SAMPLE_PATH) -> str:
    """Cut the sample out of the fetched full set, write it to `path` and return its digest."""
    full = read_cached("fashion_mnist")
    arrays = {
        name: full[name][: N_TRAIN if name.endswith("train") else N_TEST] for name in sorted(full)
    }
    origin = "Fashion-MNIST, Copyright (c) 2017 Zalando SE, MIT licence: first 6,000 + 2,000 images"
    write_npz(path, {"fashion_mnist": arrays}, origin, compress=True)
    return digest(arrays)
