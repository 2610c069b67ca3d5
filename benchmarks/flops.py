"""The arithmetic of a program's products of matrices and convolutions, those in loops counted for
every step (XLA's own count takes a loop's body once)."""

import math
from typing import Any


def product_flop(jaxpr: Any) -> float:
    """Multiplications and additions of all products in a jaxpr."""
    total = 0.0
    for eqn in jaxpr.eqns:
        params = eqn.params
        if eqn.primitive.name == "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            size = math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
            total += 2.0 * math.prod(eqn.outvars[0].aval.shape) * size
        elif eqn.primitive.name == "conv_general_dilated":
            kernel, spec = eqn.invars[1].aval.shape, params["dimension_numbers"].rhs_spec
            size = math.prod(kernel) // kernel[spec[0]]
            total += 2.0 * math.prod(eqn.outvars[0].aval.shape) * size
        inside = [params[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in params]
        for closed in inside[:1]:
            steps = params["length"] if eqn.primitive.name == "scan" else 1
            total += steps * product_flop(getattr(closed, "jaxpr", closed))
    return total
