"""Cells of features of reviews: sentence vectors, and whether the article was recommended."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab.data.reviews import review_table, review_texts
from theorylab.nets.minilm import MiniLM


def reviews(count: int, skip: int, longest: int) -> Mapping[str, Any]:
    """Vectors (count, 384) in float16 of reviews with a text, in a fixed order, after the first
    `skip`; labels 1 where the article is recommended."""
    if count == 0:  # of a preset that needs no download
        return {"features": np.zeros((0, 1), np.float16), "labels": np.zeros(0, np.int32)}
    texts, recommended = review_texts(), review_table()["recommended"]
    order = np.random.default_rng(0).permutation([k for k, text in enumerate(texts) if text])
    rows = order[skip : skip + count]
    vectors = MiniLM().encode([texts[k] for k in rows], longest=longest)
    return {"features": vectors.astype(np.float16), "labels": recommended[rows]}
