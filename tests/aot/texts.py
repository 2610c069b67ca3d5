"""What the text of a program says: precision of products, host transfers, collectives, copies."""

import math
import re

_HOST = re.compile(r"\b(send|recv|infeed|outfeed)\(|python_(cpu|gpu)_callback|xla_ffi_python")
_COLLECTIVE = re.compile(
    r"\b(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
)
_COPY = re.compile(r"= \w+\[([\d,]*)\][^ ]* copy\(")
_PRODUCT = re.compile(r"^.*stablehlo\.(?:dot_general|convolution)\b.*$", re.MULTILINE)


def facts(compiled: str) -> dict[str, bool | int]:
    """What is kept of a compiled program: whether there is float64, and its host transfers."""
    return {
        "float64_inside": bool(re.search(r"\bf64\[", compiled)),
        "host_transfers": len(_HOST.findall(compiled)),
    }


def collectives(compiled: str) -> set[str]:
    """Kinds of collective operations in a compiled program."""
    return set(_COLLECTIVE.findall(compiled))


def copies(compiled: str, entries: int) -> int:
    """Copies of at least this number of entries in a compiled program."""
    sizes = [math.prod(map(int, filter(None, s.split(",")))) for s in _COPY.findall(compiled)]
    return sum(size >= entries for size in sizes)


def products(lowered: str) -> list[str]:
    """The products of matrices and convolutions of a lowered program (StableHLO), a line each."""
    return _PRODUCT.findall(lowered)


def is_highest(product: str) -> bool:
    """Whether both sides of a product have full precision, so that a GPU takes no TF32."""
    return len(re.findall(r"\bHIGHEST\b", product)) == 2


def of_one(compiled: str, product: str = "dot") -> list[str]:
    """Operand precisions of the products that a compiled program still shows."""
    return re.findall(rf"\b{product}\(.*?operand_precision={{([a-z,]+)}}", compiled)
