"""Poisson samples of records in buffers of a fixed size: nothing is cut off, nothing approximated.

Every record is in the sample of a step with the same probability, independently of all others. The
records are gone through in their order. Each slot of a buffer draws how many records are passed
over until the next one that is in; since a Bernoulli process has no memory, a slot may also say
"the next J records are all out". When the slots are used up before the records are, another buffer
goes on where this one stopped (`passes`), so that a sample larger than the buffer costs another
pass and is never cut.

The draws compare whole random numbers of 32 bits with a table, made in float64, whose steps are
rounded so that no record is in the sample more often than the rate says; less often by a relative
1e-8 / rate at most.
Source: samples as in Abadi et al. 2016; how they are drawn is ours.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.pytrees import register

DEPTH = 4.0  # a slot looks ahead this number of mean gaps
LONGEST = 2**16
TWO_32 = 2**32


@register("n", "buffer")
@dataclass(frozen=True)
class Poisson:
    """How Poisson samples of n records are drawn.

    Attributes:
        table: (J,) how many of 2^32 draws say that the next record in is among the next 1, ..., J.
        n: number of records.
        buffer: slots of one pass.
    """

    table: Any
    n: int
    buffer: int

    def passes(self, key: jax.Array, visit: Any, start: Any) -> Any:
        """Fold a function over the buffers of one sample.

        Args:
            key: typed key of the sample.
            visit: from (carry, positions, member) to the next carry. positions: (buffer,) record
                numbers, in range everywhere; member: (buffer,) 1.0 where the slot holds a record of
                the sample and 0.0 elsewhere.
            start: the first carry, a tree of arrays.

        Returns:
            The last carry.
        """

        def go_on(state: Any) -> Any:
            return state[0] < self.n

        def one(state: Any) -> Any:
            reached, number, carry = state
            positions, member, after = self._slots(jax.random.fold_in(key, number), reached)
            return after, number + 1, visit(carry, positions, member)

        begin = (jnp.int32(0), jnp.int32(0), start)
        return jax.lax.while_loop(go_on, one, begin)[2]

    def _slots(self, key: jax.Array, reached: Any) -> Any:
        bits = jax.random.bits(key, (self.buffer,), jnp.uint32)
        ahead = self.table.shape[0]
        gap = jnp.searchsorted(self.table, bits, side="right").astype(jnp.int32)
        after = reached + jnp.cumsum(jnp.minimum(gap + 1, ahead))
        member = (gap < ahead) & (after <= self.n)
        return jnp.minimum(after, self.n) - 1, member.astype(jnp.float32), after[-1]


def poisson(n: int, rate: float, buffer: int | None = None) -> Poisson:
    """The sampler of n records at a rate below 1.

    Args:
        n: number of records.
        rate: probability that a record is in a sample, above 0 and below 1.
        buffer: slots of one pass; None takes what one pass needs but for once in a thousand million
            samples. There are never more than n.

    Returns:
        A `Poisson` sampler.
    """
    table = _table(float(rate))
    if buffer is None:
        ahead = len(table)
        out = 1 - table[-1] / TWO_32
        mean = n * rate / (1 - out)  # slots: a slot goes (1 - out) / rate records ahead
        buffer = math.ceil(mean + 6 * math.sqrt(mean) + 8) if ahead > 1 else n
    most = (2**31 - 1 - n) // len(table)  # record numbers stay within 32 bits
    return Poisson(jnp.asarray(table), n, max(1, min(buffer, n, most)))


@lru_cache(maxsize=64)
def _table(rate: float) -> np.ndarray:
    depth = DEPTH / -math.log1p(-rate)
    ahead = min(max(int(depth), 1), LONGEST)
    left, out = TWO_32, []
    for _ in range(ahead):
        left = min(math.ceil(left * (1 - rate)), TWO_32 - 1)
        out.append(TWO_32 - left)
    return np.asarray(out, np.uint32)
