"""The two entries that come with `theorylab.data.reviews`: decoding, and what was published."""

import json
import sys
import zipfile

import numpy as np
import pytest

from theorylab.data import CATALOGUE, load, pretrained, reviews, status
from theorylab.errors import DataError


def need(name):
    if not status(name).cached:
        pytest.skip(f"not cached: run `theorylab data fetch {name}`")


def test_texts_survive_packing():
    texts = ["", "naïve 東京", 'a "quoted"\nline']
    packed = reviews.pack_texts(texts)
    assert packed.dtype == np.uint8 and list(reviews.unpack_texts(packed)) == texts


def safetensors(**tensors):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[array.dtype.name]
        data = array.tobytes()
        places = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": places}
        body += data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_safetensors_are_read_by_their_offsets():
    ids, weight = np.arange(3), np.arange(6, dtype=np.float32).reshape(2, 3)
    found = reviews.read_safetensors(safetensors(ids=ids, weight=weight))
    assert list(found) == ["weight"]
    np.testing.assert_array_equal(found["weight"], weight)


@pytest.mark.parametrize("cut", [4, 60, 1])
def test_a_truncated_file_is_refused(cut):
    data = safetensors(weight=np.ones((2, 3), np.float32))
    short = data[:-cut] if cut < 60 else data[:20]
    with pytest.raises(DataError, match="download"):
        reviews.read_safetensors(short)


def test_the_network_is_read_from_the_zip_in_the_wheel(tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.safetensors", safetensors(weight=np.ones(2, np.float32)))
        archive.writestr("tokenizer.json", json.dumps({"model": {"vocab": {"b": 1, "a": 0}}}))
    found = reviews.decode_minilm({"model.zip": path.read_bytes()})["minilm"]
    assert reviews.unpack_texts(found["vocabulary"]) == ("a", "b") and found["weight"].shape == (2,)


def test_without_pyarrow_it_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"theorylab\[data\]") as caught:
        reviews.decode_reviews({reviews.PARQUET: b""})
    assert "\n" not in str(caught.value)


def test_the_table_and_its_texts_are_decoded_from_parquet():
    pyarrow = pytest.importorskip("pyarrow", reason="pip install 'theorylab[data]'")
    import io

    import pyarrow.parquet as parquet

    names = [*reviews.COLUMNS, "Title", "Review Text", "Recommended IND"]
    rows = [[7, 33, 4, 0, "General", "Tops", "Knits", None, "Good", 1]]
    rows += [[8, 60, 1, 2, None, None, None, "Bad", None, 0]]
    columns = zip(*rows, strict=True)
    table = pyarrow.table({n: list(c) for n, c in zip(names, columns, strict=True)})
    file = io.BytesIO()
    parquet.write_table(table, file)
    found = reviews.decode_reviews({reviews.PARQUET: file.getvalue()})["reviews"]
    assert reviews.unpack_texts(found["text"]) == ("Good", "Bad")
    np.testing.assert_array_equal(found["y"], [1, 0])
    np.testing.assert_array_equal(found["x"][:, 1], [33, 60])
    assert np.isnan(found["x"][1, 5])


def test_the_reviews_are_the_published_ones():
    need("reviews")
    table, texts = reviews.review_table(), reviews.review_texts()
    assert len(texts) == 23_486 and np.bincount(table["recommended"]).tolist() == [4172, 19_314]
    assert np.bincount(table["stars"]).tolist() == [0, 842, 1565, 2871, 5077, 13_131]
    names, counts = np.unique(table["department"], return_counts=True)
    known = {"Tops": 10_468, "Dresses": 6319, "Bottoms": 3799, "Intimate": 1735, "Jackets": 1032}
    found = dict(zip(names.tolist(), counts.tolist(), strict=True))
    assert found == {**known, "Trend": 119, "": 14}
    assert texts[0] == "Absolutely wonderful - silky and sexy and comfortable"
    assert load("reviews").x_train.shape[1] == len(reviews.COLUMNS)


def test_the_network_has_its_published_size():
    need("minilm")
    weights = pretrained("minilm")
    numbers = sum(v.size for k, v in weights.items() if k != "vocabulary")
    assert numbers == 22_713_216 and len(weights) == 104
    assert len(reviews.unpack_texts(weights["vocabulary"])) == 30_522


def test_both_are_in_the_catalogue():
    assert CATALOGUE["reviews"].kind == "data" and CATALOGUE["minilm"].kind == "network"
