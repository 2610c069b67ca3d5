"""Noisy-SGD as its theorem states it: n² - 1 steps on single records, with the theorem's noise.

For practice take `private_descent`: it reaches the same guarantee with a modern accountant, and
samples of any size.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.dp_sgd.calibration import accounting_library
from theorylab.privacy.dp_sgd.descent import Descent, add_noise
from theorylab.privacy.dp_sgd.gradients import PerExample
from theorylab.privacy.dp_sgd.inputs import fitting
from theorylab.privacy.online.keys import spend


@dataclass(frozen=True)
class NoisySgdPlan:
    """What the theorem prescribes, `noisy_sgd_plan`.

    Attributes:
        records: n, the number of records that it is made for.
        parameters: p, the number of parameters that it is made for.
        steps: number of steps, n² - 1.
        noise_std: standard deviation of the noise on n times the gradient of one record.
        first_step: step size of the first step; that of step t is this over √t.
        lipschitz: norm that the gradient of one record is clipped to.
        radius: of the ball that the parameters stay in.

    Source:
        Bassily, Smith & Thakurta 2014, algorithm 1 and theorem 2.4.
    """

    records: int
    parameters: int
    steps: int
    noise_std: float
    first_step: float
    lipschitz: float
    radius: float


def noisy_sgd_plan(
    n: int, p: int, *, epsilon: float, delta: float, lipschitz: float, radius: float
) -> NoisySgdPlan:
    """Steps, noise and step sizes of the theorem.

    Args:
        n: number of records, from 2 to 46340.
        p: number of parameters.
        epsilon: above 0; the theorem is for values up to 1, which is not enforced.
        delta: above 0 and below 1.
        lipschitz: bound L on the norm of the gradient of one record, above 0.
        radius: the parameters stay in the ball of this radius, above 0, whose diameter is twice
            that.

    Returns:
        A `NoisySgdPlan`.

    Raises:
        InputError: an argument out of range.

    Source:
        Bassily, Smith & Thakurta 2014, algorithm 1 and theorem 2.4: variance
        32 L² n² log(n / delta) log(1 / delta) / epsilon², steps ‖W‖ / √(t (n² L² + p variance)).
    """
    many, size = checks.count("n", n, 2, 46340), checks.count("p", p)
    budget = float(checks.number("epsilon", epsilon, 0.0, open_low=True))
    chance = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    bound = float(checks.number("lipschitz", lipschitz, 0.0, open_low=True))
    ball = float(checks.number("radius", radius, 0.0, open_low=True))
    variance = 32 * (bound * many / budget) ** 2 * math.log(many / chance) * math.log(1 / chance)
    first = 2 * ball / math.sqrt((many * bound) ** 2 + size * variance)
    return NoisySgdPlan(many, size, many**2 - 1, math.sqrt(variance), first, bound, ball)


def noisy_sgd(
    gradient: Any, params: Any, x: Any, y: Any, *, plan: NoisySgdPlan, key: jax.Array
) -> Descent:
    """Private training by Noisy-SGD, (epsilon, delta) when a record is replaced.

    Gradients longer than the plan's `lipschitz` are clipped to it, so that the guarantee does not
    hang on a promise.

    Args:
        gradient: as in `private_descent`.
        params: where to start, a tree of floats in the ball.
        x: (n, ...) inputs, 2 at least.
        y: (n, ...) targets.
        plan: `noisy_sgd_plan` for n records and these parameters.
        key: typed key of samples and noise; it is spent, and refused if it was used before.

    Returns:
        A `Descent`; the theorem is about its `params`.

    Raises:
        InputError: a plan for other sizes, or a key that was used before.

    Source:
        Bassily, Smith & Thakurta 2014, algorithm 1 and theorem 2.4.
    """
    rule = gradient if hasattr(gradient, "sums") else PerExample(gradient)
    start, inputs, targets = fitting(rule, params, x, y)
    sizes = len(inputs), sum(np.size(leaf) for leaf in jax.tree.leaves(start))
    checks.instance("plan", plan, NoisySgdPlan, "a noisy_sgd_plan(...)")
    if sizes != (plan.records, plan.parameters):
        raise InputError(
            f"plan is for {plan.records} records and {plan.parameters} parameters, and given are "
            f"{sizes[0]} and {sizes[1]}; call noisy_sgd_plan for these"
        )
    numbers = (plan.noise_std, plan.first_step, plan.lipschitz, plan.radius)
    return _run(rule, start, (inputs, targets), numbers, spend(key), steps=plan.steps)


@partial(jax.jit, static_argnames="steps")
def _run(rule: Any, params: Any, data: Any, numbers: Any, key: Any, *, steps: int) -> Descent:
    x, y = data
    n = x.shape[0]
    noise_std, first, lipschitz, radius = numbers

    def step(carry: Any, t: Any) -> Any:
        params, total, context = carry
        context = rule.prepare(params, context)
        record_key, noise_key = jax.random.split(jax.random.fold_in(key, t))
        at = jax.random.randint(record_key, (1,), 0, n)
        pull = rule.sums(params, context, x[at], y[at], jnp.ones(1), lipschitz)
        noisy = add_noise(jax.tree.map(lambda g: n * g, pull), noise_std, noise_key)
        way = rule.direction(params, context, noisy, lipschitz)
        size = first / jnp.sqrt(t + 1.0)
        params = jax.tree.map(lambda p, w: p - size * w, params, way)
        norm = jnp.sqrt(sum(jnp.sum(p**2) for p in jax.tree.leaves(params)))
        shrink = jnp.minimum(1.0, radius / jnp.where(norm > 0, norm, 1.0))
        params = jax.tree.map(lambda p: shrink * p, params)
        return (params, jax.tree.map(jnp.add, total, params), context), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    (last, total, _), _ = jax.lax.scan(step, (params, zeros, rule.begin(params)), jnp.arange(steps))
    return Descent(last, jax.tree.map(lambda a: a / steps, total))


def noisy_sgd_epsilon(n: int, *, epsilon: float, delta: float) -> float:
    """What Noisy-SGD with the noise of its theorem spends by a modern account.

    Args:
        n: number of records, 2 at least.
        epsilon: that the noise was made for, above 0.
        delta: above 0 and below 1.

    Returns:
        Epsilon when a record is replaced, by the Rényi curve of samples of one record without
        replacement.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.

    Source:
        Wang, Balle & Kasiviswanathan 2019, as computed by dp-accounting.
    """
    plan = noisy_sgd_plan(n, 1, epsilon=epsilon, delta=delta, lipschitz=1.0, radius=1.0)
    library = accounting_library()
    orders = np.unique(np.concatenate([np.arange(2, 64), np.geomspace(64, 4096, 60).astype(int)]))
    accountant = library.rdp.RdpAccountant(orders.tolist(), library.NeighboringRelation.REPLACE_ONE)
    event = library.SampledWithoutReplacementDpEvent(
        n, 1, library.GaussianDpEvent(plan.noise_std / (2 * n))
    )
    return float(accountant.compose(event, plan.steps).get_epsilon(delta))
