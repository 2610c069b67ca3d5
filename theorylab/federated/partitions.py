"""Who holds which example: label skew, Dirichlet skew, consecutive classes, iid.

All return one increasing index array per client; the draw depends on the key and on the labels
alone. The two laws of label skew are those of the benchmark of Li, Diao, Chen, He (2022).
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int, Key

from theorylab import checks
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError

Partition = list[Int[np.ndarray, " n_i"]]
_TRIES = 10_000  # draws of a Dirichlet partition before giving up


@old_arguments("labels n_clients key")
def iid_partition(
    labels: Int[ArrayLike, " n"], n_clients: int, *, key: Key[Array, ""]
) -> Partition:
    """Deal all examples out in random order, in parts whose sizes differ by one at most.

    Use it as the homogeneous control; `label_partition` and `dirichlet_partition` make clients
    differ.

    Args:
        labels: (n,) class of every example; only their number counts.
        n_clients: N.
        key: typed key.

    Returns:
        N sorted arrays of indices.

    Raises:
        InputError: fewer examples than clients.

    Source:
        McMahan et al. (2017), section 3, IID.

    Examples:
        >>> import jax
        >>> [len(part) for part in iid_partition(np.zeros(10, int), 3, key=jax.random.key(0))]
        [4, 3, 3]
    """
    labels, n_clients = _labels(labels), checks.count("n_clients", n_clients)
    return _checked(np.array_split(generator(key).permutation(len(labels)), n_clients))


@old_arguments("labels n_clients classes_per_client key")
def label_partition(
    labels: Int[ArrayLike, " n"],
    n_clients: int,
    classes_per_client: int,
    *,
    key: Key[Array, ""],
    allow_missing: bool = False,
) -> Partition:
    """Give each client a number of classes (#C = c): class i mod K, and c - 1 others at random.

    The examples of a class, shuffled, are split evenly among the clients that hold it.

    Args:
        labels: (n,) class of every example.
        n_clients: N.
        classes_per_client: c.
        key: typed key.
        allow_missing: accept classes that no client holds; their examples take no part.

    Returns:
        N arrays of indices.

    Raises:
        InputError: c outside 1 to K, a class held by nobody, a client without examples.

    Source:
        Li, Diao, Chen, He (2022), quantity-based label imbalance, as its public code draws it.

    Examples:
        >>> import jax
        >>> labels = np.arange(12) % 3
        >>> parts = label_partition(labels, 3, 1, key=jax.random.key(0))
        >>> [sorted(set(labels[part].tolist())) for part in parts]
        [[0], [1], [2]]
    """
    labels, rng = _labels(labels), generator(key)
    n_clients = checks.count("n_clients", n_clients)
    classes = np.unique(labels)
    (
        checks.count("classes_per_client", classes_per_client, at_most=len(classes)),
        checks.flag("allow_missing", allow_missing),
    )
    held = []
    for i in range(n_clients):
        own = i % len(classes)
        others = np.delete(np.arange(len(classes)), own)
        held.append({own, *rng.choice(others, classes_per_client - 1, replace=False)})
    return _split_classes(labels, classes, held, rng, allow_missing)


def consecutive_pairs_partition(
    labels: Int[ArrayLike, " n"],
    n_clients: int | None = None,
    *,
    classes_per_client: int = 2,
    stride: int | None = None,
    key: Key[Array, ""] | None = None,
    allow_missing: bool = False,
) -> Partition:
    """Give client i the classes i s, ..., i s + c - 1 (mod K): {0, 1}, {2, 3}, ... by default.

    Args:
        labels: (n,) class of every example.
        n_clients: K / s by default, which must then be whole.
        classes_per_client: c.
        stride: s, c by default. With s < c neighbours share classes, whose examples, shuffled by
            `key`, are split evenly among them: {0, 1, 2}, {2, 3, 4}, ... for c = 3, s = 2.
        key: typed key, needed where classes are shared.
        allow_missing: accept classes that no client holds; their examples take no part.

    Returns:
        N arrays of indices.

    Raises:
        InputError: as `label_partition`.

    Source:
        the authors' MNIST example of Yu et al. (2022, TCT).
    """
    labels = _labels(labels)
    classes = np.unique(labels)
    k = len(classes)
    (
        checks.count("classes_per_client", classes_per_client, at_most=k),
        checks.flag("allow_missing", allow_missing),
    )
    stride = classes_per_client if stride is None else checks.count("stride", stride)
    if key is not None:
        checks.key("key", key)
    if n_clients is None:
        if k % stride:
            raise InputError(
                f"n_clients: {k} classes cannot be dealt out {stride} at a time; give n_clients"
            )
        n_clients = k // stride
    n_clients = checks.count("n_clients", n_clients)
    held = [{(i * stride + j) % k for j in range(classes_per_client)} for i in range(n_clients)]
    shared = n_clients * classes_per_client > len(set().union(*held))
    if shared and key is None:
        raise InputError(
            "key: clients share classes here; give jax.random.key(0) to shuffle what they share"
        )
    return _split_classes(
        labels, classes, held, None if key is None else generator(key), allow_missing
    )


@old_arguments("labels n_clients alpha key")
def dirichlet_partition(
    labels: Int[ArrayLike, " n"],
    n_clients: int,
    alpha: float,
    *,
    key: Key[Array, ""],
    min_size: int = 10,
) -> Partition:
    """Deal each class out by shares q ~ Dir(alpha 1_N): small alpha, dissimilar clients.

    Their sizes become very unequal. Clients that already hold n / N examples or more get no share
    of the next class; the whole draw is repeated until every client holds `min_size` examples.

    Args:
        labels: (n,) class of every example.
        n_clients: N.
        alpha: concentration; 0.1 is strong heterogeneity, 100 nearly none.
        key: typed key.
        min_size: examples that every client must hold.

    Returns:
        N arrays of indices.

    Raises:
        InputError: alpha not positive, more than n / N examples asked for each client, no luck in
            10,000 draws.

    Source:
        Li, Diao, Chen, He (2022), distribution-based label imbalance, as its public code draws it.

    Examples:
        >>> import jax
        >>> labels = np.repeat(np.arange(2), 50)
        >>> parts = dirichlet_partition(labels, 4, 0.5, key=jax.random.key(0))
        >>> sorted(np.concatenate(parts).tolist()) == list(range(100))
        True
        >>> [np.bincount(labels[part], minlength=2).tolist() for part in parts]
        [[7, 23], [2, 18], [11, 9], [30, 0]]
    """
    labels, rng = _labels(labels), generator(key)
    n_clients = checks.count("n_clients", n_clients)
    alpha = float(checks.number("alpha", alpha, 0, open_low=True))
    if len(labels) < n_clients:
        raise InputError(
            f"n_clients = {n_clients}; at most {len(labels)}, the number of examples, are possible"
        )
    checks.count("min_size", min_size, at_most=len(labels) // n_clients)
    by_class = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    for _ in range(_TRIES):
        parts = _dirichlet_draw(by_class, len(labels), n_clients, alpha, rng)
        if min(map(len, parts)) >= min_size:
            return _checked(parts)
    raise InputError(
        f"alpha: no draw of {_TRIES} at alpha={alpha} left every one of {n_clients} clients "
        f"{min_size} examples; raise alpha or lower min_size"
    )


def _dirichlet_draw(
    by_class: list[np.ndarray], n: int, n_clients: int, alpha: float, rng: np.random.Generator
) -> Partition:
    parts: list[list[np.ndarray]] = [[] for _ in range(n_clients)]
    sizes = np.zeros(n_clients, int)
    for members in by_class:
        open_to = sizes < n / n_clients
        for _ in range(_TRIES):  # at tiny alpha all the mass may sit on full clients, or underflow
            shares = rng.dirichlet(np.full(n_clients, alpha)) * open_to
            if shares.sum() > 0:
                break
        else:
            raise InputError(
                f"alpha: {alpha} given, too small to draw shares with it; 0.001 is possible"
            )
        cuts = (np.cumsum(shares / shares.sum()) * len(members)).astype(int)[:-1]
        for i, piece in enumerate(np.split(rng.permutation(members), cuts)):
            parts[i].append(piece)
            sizes[i] += len(piece)
    return [np.concatenate(pieces) for pieces in parts]


def _split_classes(
    labels: np.ndarray,
    classes: np.ndarray,
    held: Sequence[set[int]],
    rng: np.random.Generator | None,
    allow_missing: bool,
) -> Partition:
    missing = [classes[c].item() for c in range(len(classes)) if not any(c in own for own in held)]
    if missing and not allow_missing:
        raise InputError(
            f"labels: class {', '.join(map(str, missing))} held by none of the {len(held)} "
            "clients; take more clients, more classes a client, or allow_missing=True to train "
            "without"
        )
    parts: list[list[np.ndarray]] = [[] for _ in held]
    for c, label in enumerate(classes):
        holders = [i for i, own in enumerate(held) if c in own]
        members = np.flatnonzero(labels == label)
        members = members if rng is None else rng.permutation(members)
        for i, piece in zip(holders, np.array_split(members, max(1, len(holders))), strict=False):
            parts[i].append(piece)
    return _checked([np.concatenate(pieces) for pieces in parts])


def _checked(parts: Sequence[np.ndarray]) -> Partition:
    empty = [i for i, part in enumerate(parts) if not len(part)]
    if empty:
        raise InputError(
            f"n_clients: client {', '.join(map(str, empty[:5]))} of {len(parts)} got no examples; "
            "take fewer clients"
        )
    return [np.sort(part).astype(np.int64) for part in parts]


def generator(key: Key[Array, ""]) -> np.random.Generator:
    """NumPy's generator seeded by a typed key.

    Partitions are drawn on the host, from sizes known only there.
    """
    checks.key("key", key)
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())


def _labels(labels: ArrayLike) -> np.ndarray:
    labels = np.asarray(checks.real("labels", labels, ndim=1))
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels has dtype {labels.dtype}; integers are needed")
    return labels
