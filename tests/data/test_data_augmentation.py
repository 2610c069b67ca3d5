import jax
import numpy as np
import pytest

from theorylab.data.augmentation import CropFlip

KEY = jax.random.key(0)


def _pictures():
    return np.random.default_rng(0).normal(size=(10, 6, 6)).astype(np.float32), np.arange(10) % 2


@pytest.mark.parametrize("pad, flip", [(0, False), (0, True), (2, True)])
def test_crops_and_flips_are_windows_of_the_padded_image_or_their_mirror(pad, flip):
    x, _ = _pictures()
    out = np.asarray(CropFlip(pad, flip)(KEY, x))
    wide = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    for image, original in zip(out, wide, strict=True):
        windows = [
            original[i : i + 6, j : j + 6] for i in range(2 * pad + 1) for j in range(2 * pad + 1)
        ]
        mirrored = [w[:, ::-1] for w in windows] if flip else []
        assert any(np.array_equal(image, w) for w in windows + mirrored)
    if flip and not pad:
        assert 0 < sum(np.array_equal(a, b) for a, b in zip(out, x, strict=True)) < len(x)
