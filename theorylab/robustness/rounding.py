"""By how much rounding may have moved a bound: a margin that is proved.

With it float32 bounds stay below the exact ones. A bound is a sum of products along paths through
the network. Computed with unit roundoff u, each of its terms is off by a factor within (1 + u)^K, K
the number of roundings on a path, in whatever order the sums are taken (Higham 2002, lemma 3.1). So
the error is at most gamma_K = K u / (1 - K u) times the sum of the absolute values of all terms,
which one forward pass with absolute weights bounds for every neuron at once. The machine epsilon,
twice u, is used for u: that covers the margin's own rounding. K grows with widths, so the margin of
wide float32 networks is large; certify them under `jax.enable_x64`.

Source: our derivation, docs/derivations/robust_bounds.md, statement 1.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab.robustness.steps import Step
from theorylab.robustness.threats import Threat


class Rounding:
    """Sizes of the terms and numbers of roundings of each value of a program, for one sample."""

    def __init__(self, flow: Any, x: Array, threat: Threat):
        low, high = threat.box(x)
        self.flow, self.reach = flow, jnp.maximum(jnp.abs(low), jnp.abs(high)) + jnp.abs(x)

    def margin(
        self,
        target: int,
        lines: Mapping[int, Any],
        *,
        by_ibp: bool,
    ) -> Array:
        """How far the bounds of each entry of a value may be off; `by_ibp`: those of intervals."""
        program = self.flow.program
        size = {program.start: self.reach}
        count = {program.start: 4.0 + 2 * np.prod(self.reach.shape)}
        for step in program.ancestors(target):
            size[step.output] = self._size(step, size, lines, by_ibp)
            count[step.output] = max(count[i] for i in step.inputs) + self._roundings(step)
        epsilon = float(jnp.finfo(self.reach.dtype).eps)
        steps = count[target] + 2 * len(program.steps)
        gamma = float(steps * epsilon / max(1 - steps * epsilon, 1e-3))
        return gamma * size[target]

    def _size(
        self, step: Step, size: dict[int, Array], lines: Mapping[int, Any], by_ibp: bool
    ) -> Array:
        """A bound of the sum of absolute values of all terms of a value."""
        given = [size[i] for i in step.inputs]
        if step.kind == "linear":
            assert step.apply is not None
            total = step.apply("absolute", given, self.flow.value)
            if step.affine:
                zeros = [jnp.zeros_like(a) for a in given]
                total = total + jnp.abs(step.apply("full", zeros, self.flow.value))
            return total
        if by_ibp:  # an interval's ends pass a rectifier whole
            apply = step.apply
            return given[0] if apply is None else apply("full", given, 0.0).max(0)  # type: ignore[arg-type]
        here = lines[step.output]
        if step.kind == "maximum":
            assert step.apply is not None
            return step.apply("full", given, 0.0).max(0) + jnp.abs(here.intercept)  # type: ignore[arg-type]
        # intercept = -chord * l: its terms are the chord's at z and at l, both within the size
        slope = jnp.maximum(here.lower, here.upper)
        return slope * given[0] + jnp.abs(here.intercept)

    def _roundings(self, step: Step) -> float:
        """Roundings that a step adds to a path, forward or backward, with the sums of constants."""
        shapes = self.flow.program.shapes
        out = float(np.prod(shapes[step.output].shape))
        into = float(max(np.prod(shapes[i].shape) for i in step.inputs))
        if step.kind != "linear":
            return out + 8
        return (into + out if step.mixes else 4.0) + (out if step.affine else 0.0)
