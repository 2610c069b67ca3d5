"""What is known about two batches of signals between two layers: their covariances.

They are covariances over random weights. A signal is a field over positions (the pixels of an
image, or a single position for vectors) with infinitely many exchangeable channels. Shapes: S is
the tuple of spatial sizes, `()` for vectors.

* `nngp`, `ntk`: (n1, n2, *S) for covariances at equal positions, (n1, n2, *S, *S) when `full`;
* `cov1`, `cov2`: the same for each sample with itself, (n, *S) or (n, *S, *S).

Samples of variable length are padded, and `mask1`, `mask2` say where: covariances are 0 there.

`full` states cost S times more memory; layers that average over positions need them,
`Layer.needs_full` says which.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


@dataclass(frozen=True)
class State:
    """Covariances of two batches after some layers; lives only while a kernel is traced."""

    nngp: Float[Array, "n1 n2 ..."]
    ntk: Float[Array, "n1 n2 ..."]
    cov1: Float[Array, "n1 ..."]
    cov2: Float[Array, "n2 ..."]
    same: Bool[Array, "n1 n2"] | None  # pairs that are one sample met twice; None: there are none
    spatial: tuple[int, ...]
    full: bool
    wanted: bool  # does what follows need covariances between different positions?
    gaussian: bool = False  # is the field Gaussian, so that a nonlinearity's expectation is known?
    depth: int = 0  # how many `parallel` enclose this place
    # zero mean given everything that enters the `parallel` of this depth (and those around it)
    fresh: int = -1
    mask1: Bool[Array, "n1 ..."] | None = (
        None  # (n1, *S): positions that do not exist; None: all do
    )
    mask2: Bool[Array, "n2 ..."] | None = None
    # pairs under one and the same dropout mask, where these are not `same`
    met: Bool[Array, "n1 n2"] | None = None
    sides: tuple[int, int] = (1, 2)  # which batches these are: (1, 1) for the first with itself

    def linear(self, op: Callable[[Array, int], Array], **changes: object) -> "State":
        """Apply `op(covariance, number of batch axes)` to the four covariances."""
        new = replace(
            self,
            nngp=op(self.nngp, 2),
            ntk=op(self.ntk, 2),
            cov1=op(self.cov1, 1),
            cov2=op(self.cov2, 1),
        )
        return replace(new, **changes)  # type: ignore[arg-type]

    def at_equal_positions(self) -> "State":
        """Forget covariances between different positions."""
        if not self.full:
            return self
        return self.linear(lambda c, lead: diagonal(c, lead, self.spatial), full=False)

    def variances(self) -> tuple[Array, Array, Array, Array]:
        """Variances of either side, shaped to broadcast against the covariances.

        The first two are for `nngp`, the others for `cov1` and `cov2` themselves.
        """
        var1, var2 = self.cov1, self.cov2
        if self.full:
            var1, var2 = diagonal(var1, 1, self.spatial), diagonal(var2, 1, self.spatial)
        return self.left(var1)[:, None], self.right(var2)[None], var1, var2

    def left(self, per_position: Array) -> Array:
        """Values per (batch..., position) as the first position of a pair."""
        return (
            per_position.reshape(*per_position.shape, *[1] * len(self.spatial))
            if self.full
            else per_position
        )

    def right(self, per_position: Array) -> Array:
        """Values per (sample, position) as the second position of a pair."""
        if not self.full:
            return per_position
        return per_position.reshape(
            per_position.shape[0], *[1] * len(self.spatial), *per_position.shape[1:]
        )

    def same_position(self) -> Bool[Array, "..."]:
        """Mask over the position pairs held.

        It is (*S, *S), or a scalar True when only equal positions are.
        """
        if not self.full:
            return jnp.asarray(True)
        size = positions(self.spatial)
        return jnp.eye(size, dtype=bool).reshape(*self.spatial, *self.spatial)

    def masked(self) -> "State":
        """Zeros at positions that do not exist."""
        if self.mask1 is None and self.mask2 is None:
            return self
        seen1, seen2 = (
            jnp.ones((c.shape[0], *self.spatial), bool) if m is None else ~m
            for c, m in ((self.cov1, self.mask1), (self.cov2, self.mask2))
        )
        pair = self.left(seen1)[:, None] & self.right(seen2)[None]
        own1, own2 = (self.left(seen) & self.right(seen) for seen in (seen1, seen2))
        return replace(
            self,
            nngp=jnp.where(pair, self.nngp, 0.0),
            ntk=jnp.where(pair, self.ntk, 0.0),
            cov1=jnp.where(own1, self.cov1, 0.0),
            cov2=jnp.where(own2, self.cov2, 0.0),
        )

    def same_value(self) -> Bool[Array, "n1 n2 ..."] | None:
        """Mask, broadcastable to `nngp`, of entries that pair one scalar with itself.

        None when there are none.
        """
        if self.same is None:
            return None
        mask = self.same.reshape(*self.same.shape, *[1] * (self.nngp.ndim - 2))
        return mask & self.same_position()


def positions(spatial: tuple[int, ...]) -> int:
    """Number of positions of a field."""
    size = 1
    for n in spatial:
        size *= n
    return size


def diagonal(cov: Array, lead: int, spatial: tuple[int, ...]) -> Array:
    """Equal positions of a full covariance: (*batch, *S, *S) to (*batch, *S)."""
    batch, size = cov.shape[:lead], positions(spatial)
    return jnp.diagonal(cov.reshape(*batch, size, size), axis1=-2, axis2=-1).reshape(
        *batch, *spatial
    )
