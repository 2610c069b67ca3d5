"""What safety fine-tuning changes inside a network, as measurements for the defender.

Networks are functions `f(params, tokens)` of `theorylab.nets.functional` from a `GPT`. A weight
matrix is (outputs, inputs): the transposed kernel of a Flax layer.

Source: Jain et al. 2024, sections 4 and 5, and the release's scripts; where these two differ, the
definitions of the paper, and all units of a layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register

Network = Callable[..., Any]
SITES = ("mlp_act", "mlp_pre", "mlp_out", "resid")


@register()
@dataclass(frozen=True)
class Separation:
    """How far safe and unsafe prompts lie apart in a layer.

    Attributes:
        gap: (...) mean tau of the safe prompts less that of the unsafe ones.
        standardised: (...) the gap in units of the standard deviation within the classes.
    """

    gap: Float[Any, "..."]
    standardised: Float[Any, "..."]


@dataclass(frozen=True)
class NullSpace:
    """Where the leading directions of a change lie, seen from the original weights.

    Attributes:
        projections: (k,) norm of the part of each leading left singular vector of the change that
            lies outside the original's leading column space.
        baseline: what a random direction has there, sqrt(1 - rank / outputs).
        rank: dimension of that leading column space.
        outputs: dimension of the whole space.
    """

    projections: Float[np.ndarray, " k"]
    baseline: float
    rank: int
    outputs: int

    def random(self, probability: float) -> float:
        """The quantile of a random direction's projection.

        Its square follows the Beta law with (outputs - rank) / 2 and rank / 2.

        Args:
            probability: in (0, 1).

        Returns:
            A norm between 0 and 1.

        Raises:
            InputError: a probability out of range.
        """
        from scipy.stats import beta

        p = checks.number("probability", probability, 0.0, 1.0, open_low=True, open_high=True)
        if self.rank in (0, self.outputs):
            return float(self.rank == 0)
        return float(np.sqrt(beta.ppf(p, (self.outputs - self.rank) / 2, self.rank / 2)))


@dataclass(frozen=True)
class Spectrum:
    """Singular values of a matrix and how much the first ones hold.

    Attributes:
        values: (r,) singular values, falling.
        leading_share: the first over the sum of all.
        leading_energy: the same of their squares.
    """

    values: Float[np.ndarray, " r"]
    leading_share: float
    leading_energy: float


def activations(
    f: Network,
    params: Any,
    tokens: Int[Array, "n t"] | None,
    places: Int[Array, "n k"],
    *,
    embeddings: Float[Array, "n t d"] | None = None,
) -> Mapping[str, Float[Array, "l n u"]]:
    """Activations of every layer, averaged over some places of each sequence.

    Args:
        f: network that takes `capture`.
        params: its parameters.
        tokens: (n, t) sequences, or None where embeddings are given.
        places: (n, k) the places of each sequence.
        embeddings: (n, t, d) in place of tokens.

    Returns:
        (layers, n, units) for each site: "mlp_act" behind the GELU, "mlp_pre" before it, "mlp_out"
        what the MLP adds, "resid" the residual stream behind the layer.

    Raises:
        InputError: places of another shape, or what the network refuses.
    """
    checks.function("f", f)
    if embeddings is None:
        given = {"tokens": checks.within("tokens", tokens, whole=True, ndim=2)}
    else:
        given = {"embeddings": checks.finite("embeddings", embeddings, ndim=3)}
    (length,) = {np.shape(array)[1] for array in given.values()}
    places = jnp.asarray(checks.within("places", places, 0, length - 1, whole=True, ndim=2))
    checks.same_length(**given, places=places)
    options = {} if embeddings is None else {"embeddings": embeddings}
    seen = f(params, tokens, capture=True, **options)[1]

    def mean(layer: Mapping[str, Array], site: str) -> Array:
        a = jax.nn.gelu(layer["mlp_pre"]) if site == "mlp_act" else layer[site]
        return jnp.take_along_axis(a, places[:, :, None], 1).mean(1)

    return {site: jnp.stack([mean(layer, site) for layer in seen]) for site in SITES}


def tau(
    a: Float[Any, "*l n u"], safe_mean: Float[Any, "*l u"], unsafe_mean: Float[Any, "*l u"]
) -> Float[Array, "*l n"]:
    """How much nearer an activation is to the mean of safe prompts than to that of unsafe ones.

    ||a - unsafe mean|| - ||a - safe mean||: above 0 looks safe. Take the means from other prompts
    than those that are judged, or the two classes are pushed apart.

    Args:
        a: (..., n, units) activations.
        safe_mean: (..., units).
        unsafe_mean: (..., units).

    Returns:
        (..., n), of magnitude at most the distance of the means.

    Raises:
        InputError: shapes that do not fit.

    Source:
        Jain et al. 2024, equation 2.

    Examples:
        >>> tau([[3.0, 4.0], [0.0, 0.0]], [3.0, 4.0], [0.0, 0.0]).tolist()
        [5.0, -5.0]
    """
    a = jnp.asarray(checks.finite("a", a))
    means = [
        jnp.asarray(checks.finite(name, m, shape=(*a.shape[:-2], a.shape[-1])))[..., None, :]
        for name, m in (("safe_mean", safe_mean), ("unsafe_mean", unsafe_mean))
    ]
    to_safe, to_unsafe = (jnp.linalg.norm(a - m, axis=-1) for m in means)
    return to_unsafe - to_safe


def separation(safe: Float[Any, "*l n"], unsafe: Float[Any, "*l m"]) -> Separation:
    """The gap of mean tau between the classes, as it is and in standard deviations.

    Args:
        safe: (..., n) tau of safe prompts, n at least 2.
        unsafe: (..., m) of unsafe ones.

    Returns:
        A `Separation`.

    Raises:
        InputError: numbers that are not finite, or fewer than two prompts.
    """
    one, other = (np.asarray(checks.finite(n, v)) for n, v in (("safe", safe), ("unsafe", unsafe)))
    if min(one.shape[-1], other.shape[-1]) < 2:
        raise InputError("safe, unsafe: at least two prompts of each class are needed")
    within = np.sqrt((one.var(-1, ddof=1) + other.var(-1, ddof=1)) / 2)
    gap = one.mean(-1) - other.mean(-1)
    return Separation(gap, gap / np.maximum(within, np.finfo(np.float32).tiny))


def null_space_projection(
    weight: Float[Any, "o i"],
    change: Float[Any, "o i"],
    *,
    energy: float = 0.9,
    leading: int = 5,
) -> NullSpace:
    """How much of a change's leading column space lies in the left null space of the weights.

    The left null space is what is orthogonal to the fewest left singular vectors that hold more
    than a share `energy` of the squared singular values, or to all whose singular value is not 0
    within rounding. A random direction has most of its length there too: compare with `baseline`.

    Args:
        weight: (o, i) original weights.
        change: (o, i) their change.
        energy: in (0, 1].
        leading: left singular vectors of the change, at most min(o, i).

    Returns:
        A `NullSpace`.

    Raises:
        InputError: shapes that do not fit, a change of 0, or counts and shares out of range.

    Source:
        Jain et al. 2024, section 5 and figure 4; the baseline is our derivation,
        docs/derivations/safety_finetuning.md, statement 2.
    """
    W, D = _matrices(weight, change)
    energy = float(checks.number("energy", energy, 0.0, 1.0, open_low=True))
    leading = checks.count("leading", leading, at_most=min(W.shape))
    if not D.any():
        raise InputError("change is 0 everywhere; it has no leading directions")
    left, values, _ = np.linalg.svd(W, full_matrices=False)
    held = np.cumsum(values**2) / max((values**2).sum(), np.finfo(float).tiny)
    eps = np.finfo(np.result_type(np.asarray(weight).dtype, np.float32)).eps
    not_zero = int((values > values[0] * max(W.shape) * eps).sum())
    rank = min(int(np.searchsorted(held, energy, side="right")) + 1, max(not_zero, 1))
    directions = np.linalg.svd(D, full_matrices=False)[0][:, :leading]
    inside = ((left[:, :rank].T @ directions) ** 2).sum(0)
    outputs = W.shape[0]
    projections = np.sqrt(np.maximum(1 - inside, 0))
    return NullSpace(projections, float(np.sqrt(1 - rank / outputs)), rank, outputs)


def selectivity(change: Float[Any, "o i"], inputs: Float[Any, "n i"]) -> Float[np.ndarray, " n"]:
    """How strongly a change of weights acts on each input: the norm of change times input.

    Args:
        change: (o, i).
        inputs: (n, i) inputs of the layer.

    Returns:
        (n,) norms.

    Raises:
        InputError: shapes that do not fit.
    """
    D, a = _with_inputs(change, inputs)
    return np.linalg.norm(a @ D.T, axis=1)


def row_space_profile(
    change: Float[Any, "o i"], inputs: Float[Any, "n i"], *, leading: int = 15
) -> Float[np.ndarray, "n j"]:
    """How strongly a change acts on each input through each of its singular directions.

    |s_j <a, v_j>| / ||a||, with the right singular vectors v_j of the change.

    Args:
        change: (o, i).
        inputs: (n, i) inputs of the layer.
        leading: directions; fewer where the matrix has fewer.

    Returns:
        (n, j), whose squares sum to at most (||change a|| / ||a||)^2.

    Raises:
        InputError: shapes that do not fit, or a count below 1.
    """
    D, a = _with_inputs(change, inputs)
    _, values, right = np.linalg.svd(D, full_matrices=False)
    j = min(checks.count("leading", leading), len(values))
    sizes = np.maximum(np.linalg.norm(a, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.abs(a @ right[:j].T) * values[:j] / sizes


def spectrum(a: Float[Any, "m n"], *, centred: bool = False) -> Spectrum:
    """Singular values of a change of weights, or of a cluster of activations.

    Args:
        a: (m, n).
        centred: take the mean row off first, as for a cluster (rows are its members).

    Returns:
        A `Spectrum`.

    Raises:
        InputError: what is no matrix of finite numbers.

    Examples:
        >>> found = spectrum([[3.0, 0.0], [0.0, 1.0]])
        >>> found.leading_share, round(found.leading_energy, 3)
        (0.75, 0.9)
    """
    matrix = np.asarray(checks.finite("a", a, ndim=2), float)
    if checks.flag("centred", centred):
        matrix = matrix - matrix.mean(0)
    values = np.linalg.svd(matrix, compute_uv=False)
    tiny = np.finfo(float).tiny
    energy = float(values[0] ** 2 / max((values**2).sum(), tiny))
    return Spectrum(values, float(values[0] / max(values.sum(), tiny)), energy)


def along_change(before: Any, after: Any, amount: float) -> Any:
    """Parameters on the line through two networks.

    Args:
        before: parameters without the change.
        after: parameters with it, of the same structure.
        amount: 0 is before, 1 after; above 1 extrapolates.

    Returns:
        Parameters.

    Raises:
        InputError: structures that differ, or an amount that is not finite.

    Source:
        Jain et al. 2024, section 5.

    Examples:
        >>> float(along_change({"w": 1.0}, {"w": 3.0}, 1.5)["w"])
        4.0
    """
    amount = checks.number("amount", amount)
    if jax.tree.structure(before) != jax.tree.structure(after):  # type: ignore[operator]
        raise InputError("before, after: parameters of one structure are needed")
    return jax.tree.map(lambda a, b: a + amount * (b - a), before, after)


# -------------------------------------------------------------------------------- inside


def _matrices(weight: Any, change: Any) -> tuple[np.ndarray, np.ndarray]:
    W, D = (
        np.asarray(checks.finite(name, matrix, ndim=2), float)
        for name, matrix in (("weight", weight), ("change", change))
    )
    if W.shape != D.shape:
        raise InputError(
            f"weight has shape {W.shape} and change {D.shape}; matrices of one shape are needed"
        )
    return W, D


def _with_inputs(change: Any, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    D = np.asarray(checks.finite("change", change, ndim=2), float)
    return D, np.asarray(checks.finite("inputs", inputs, shape=(None, D.shape[1])), float)
