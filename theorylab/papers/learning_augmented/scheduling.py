"""Cells on non-clairvoyant scheduling: identities, worst-case searches, hard instances, and PSK's
experiment."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from theorylab import online
from theorylab.online import competitive_ratio, schedule

Arrays = Mapping[str, Any]
POLICIES: Mapping[str, Callable[[float], online.Policy]] = {
    "two_stage": online.TwoStage,
    "two_stage_blind": lambda lam: online.TwoStage(lam, detect_overrun=False),
    "two_stage_longer": lambda lam: online.TwoStage(1.2 * lam),
    "prr": online.PreferentialRoundRobin,
}


def pareto(rng: np.random.Generator, shape: tuple[int, ...], alpha: float = 1.1) -> np.ndarray:
    """Sizes with P(x > t) = t^-alpha, t >= 1."""
    return rng.uniform(size=shape) ** (-1 / alpha)


def identities(n: int, instances: int, shares: list[float], seed: int) -> Arrays:
    """Simulated and closed-form ratios on correct predictions, Pareto sizes.

    simulated, formula: (shares, instances) of preferential round robin; round_robin, opt, total
    size: (instances,).
    """
    x = pareto(np.random.default_rng(seed), (instances, n))
    opt = online.opt_cost(x)
    simulated = [schedule(online.PreferentialRoundRobin(a), x).cost / opt for a in shares]
    formula = [online.prr_perfect_cost(x, a) / opt for a in shares]
    return {
        "simulated": np.stack(simulated),
        "formula": np.stack(formula),
        "opt": opt,
        "total": x.sum(1),
        "round_robin": schedule(online.RoundRobin(), x).cost,
    }


def search(
    policy: str, n: int, parameter: float, perfect: bool, instances: int, seed: int
) -> Arrays:
    """The worst ratio found over `instances` or more instances, its instance, and how many were
    evaluated."""
    worst = online.worst_case_search(
        POLICIES[policy](parameter),
        n,
        key=jax.random.key(seed),
        instances=instances,
        perfect=perfect,
    )
    found = worst.instance
    return {
        "ratio": worst.ratio,
        "evaluated": worst.evaluated,
        "sizes": found.sizes,
        "nudge": found.nudge,
        "predictions": found.predictions,
    }


def hard(n: int, lams: list[float]) -> Arrays:
    """Per lambda (L,): the lower bound, the two-stage schedule's and preferential round robin's
    worst known ratios.

    two_stage: the largest formula over how many predictions are right, `correct` of n; simulated:
    that instance run.
    prr: exact at the same consistency; prr_simulated: its hard instance run; attacked: the proof's
    adversary against both policies (L, 2). small_job: worst of the two-stage schedule with one
    small right job (0 above n = 10).
    """
    found: dict[str, list[Any]] = {
        k: [] for k in ("simulated", "prr_simulated", "correct", "attacked", "small_job")
    }
    lams_ = np.asarray(lams)
    ratios = np.asarray(online.two_stage_hard_ratios(n, lams_))
    shares = np.asarray(online.prr_share(n, lams_))
    for lam, share, row in zip(lams, shares, ratios, strict=True):
        correct = int(row.argmax()) + 1
        two_stage, prr = online.TwoStage(lam), online.PreferentialRoundRobin(share)
        found["correct"].append(correct)
        found["simulated"].append(
            _ratio(two_stage, online.two_stage_hard_instance(n, lam, correct))
        )
        found["prr_simulated"].append(_ratio(prr, online.prr_hard_instance(n, share)))
        found["attacked"].append(
            [online.proof_adversary(p, n).ratio if n <= 10 else 0.0 for p in (two_stage, prr)]
        )
        small = (
            online.two_stage_small_job_instances(n, lam, np.geomspace(1e-3, 1, 400))
            if 3 <= n <= 10
            else None
        )
        found["small_job"].append(_ratio(two_stage, small) if small else 0.0)
    arrays = {k: np.asarray(v) for k, v in found.items()}
    return arrays | {
        "bound": online.scheduling_lower_bound(n, lams_),
        "two_stage": ratios.max(1),
        "prr": online.prr_robustness(n, shares),
        "share": shares,
    }


def _ratio(policy: Any, instance: online.Instance) -> float:
    """The worst ratio of a policy on one or many instances."""
    cost = schedule(policy, instance.sizes, instance.predictions, nudge=instance.nudge).cost
    return float(np.max(competitive_ratio(cost, instance.sizes)))


JOB_POLICIES: Mapping[str, online.Policy] = {
    "round robin": online.RoundRobin(),
    "shortest predicted first": online.ShortestPredictedFirst(),
    "PRR(0.5)": online.PreferentialRoundRobin(0.5),
    "two-stage(0.1)": online.TwoStage(0.1),
}


def psk(n: int, sigmas: list[float], instances: int, seed: int) -> Arrays:
    """PSK's experiment: Pareto(1.1) jobs, normal noise, predictions cut at 0; ratios (policies,
    sigmas, instances)."""
    rng = np.random.default_rng(seed)
    x = pareto(rng, (instances, n))
    noise = rng.normal(size=x.shape)
    opt = online.opt_cost(x)
    ratios = [
        [schedule(policy, x, np.maximum(x + sigma * noise, 0.0)).cost / opt for sigma in sigmas]
        for policy in JOB_POLICIES.values()
    ]
    return {"ratio": np.asarray(ratios)}
