"""Cells of features: what a public network, or nothing, makes of images and tables.

Nothing here depends on a seed, so that all seeds of a run share these cells. Images go through
EfficientNet-Lite0 trained on ImageNet, where the paper has ResNet-50, or are pooled pixels.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from theorylab import data as sets
from theorylab import nets

BATCH = 125


def images(
    data: str, sample: bool | None, part: str, count: int, network: str, size: int
) -> Mapping[str, Any]:
    """Features (count, d) in float16 of the first images of a part, and their labels.

    network: "efficientnet_lite0", images enlarged to `size` a side, or "pixels", pooled to `size`.
    """
    whole = sets.load(data, sample=sample)
    x, y = (whole.x_train, whole.y_train) if part == "train" else (whole.x_test, whole.y_test)
    x, y = x[:count], y[:count]
    if network == "pixels":
        return {"features": pooled(x, size).astype(np.float16), "labels": y}
    model = nets.load_efficientnet_lite0(num_outputs=None, rngs=nnx.Rngs(0))
    f, params = nets.functional(model)
    compiled = jax.jit(f)
    found = [
        np.asarray(compiled(params, nets.efficientnet_inputs(batch, size=size)), np.float16)
        for batch in np.split(x, range(BATCH, len(x), BATCH))
    ]
    return {"features": np.concatenate(found), "labels": y}


def pooled(x: np.ndarray, size: int) -> np.ndarray:
    """Pixels in [0, 1], averaged to (size, size) or the next size that divides, flat."""
    grey = x.reshape(*x.shape[:3], -1).astype(np.float32) / 255
    n, height, width, channels = grey.shape
    step = max(1, round(height / size))
    rows, cols = height // step * step, width // step * step
    blocks = grey[:, :rows, :cols].reshape(n, rows // step, step, cols // step, step, channels)
    return blocks.mean((2, 4)).reshape(n, -1)
