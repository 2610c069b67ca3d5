"""What a model does after each stage of a job, and what every detector says of the job."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from theorylab.papers.covert_finetuning.tuning import Chain, Held, Named, job_data, world_of_job
from theorylab.safety import base_models as models
from theorylab.safety import layout, verdict_rates, verdicts
from theorylab.safety.detectors import (
    DATA_DETECTORS,
    MODEL_DETECTORS,
    Audit,
    Service,
    detector,
    executed_as_read,
    probe,
    probe_auroc,
    safety_overlap,
)
from theorylab.safety.jobs import prompts_of
from theorylab.safety.layout import ANSWER_LENGTH

ASKED = ("plain_refused", "plain_safe", "new_executed", "new_safe", "first_safe")
SCORES = (*DATA_DETECTORS, *MODEL_DETECTORS, "safety_overlap", "probe")


@lru_cache(maxsize=8)
def _service(world: str, width: int, depth: int, heads: int, prompts: int, items: int) -> Service:
    model = {"width": width, "depth": depth, "heads": heads}
    net = models.network_of({"scale": world}, model)
    write = models.decoder_of({"scale": world}, model, ANSWER_LENGTH)
    return Service(net.f, write, prompts=prompts, items=items)


def service_of(base: Named, asked: Named) -> Service:
    """The provider's network, made once for equal names so that compiled programs are shared."""
    return _service(base["world"]["scale"], **base["model"], **asked)


def report(
    base: Named, chain: Chain, encoding: int, prompts: int, seed: int, start: Held
) -> Mapping[str, Any]:
    """Verdicts after a stage: (5, 3) shares executed, refused, neither of the sets `ASKED`.

    "raw" (3,) is the same of the encoded unsafe prompts, read as plain text.
    """
    net = models.network_of(base["world"], base["model"])
    write = service_of(base, {"prompts": prompts, "items": 1}).write
    params, world = net.params(start["parameters"]), world_of_job(base, seed, encoding)
    key = jax.random.fold_in(models.stream(seed, models.TESTS), encoding)
    rates = []
    for i, item in enumerate(ASKED):
        asked = layout(world, prompts_of(jax.random.fold_in(key, i), world, prompts, item=item))
        answers = write(params, asked.prompt)
        judged = verdict_rates(verdicts(answers, asked.executed))
        rates.append([float(judged.bad), float(judged.good), float(judged.unclear)])
        if item == "new_executed":
            exchanges = np.concatenate([np.asarray(asked.prompt), np.asarray(answers)], 1)
            bad = float(executed_as_read(exchanges, world, harmless_too=True).mean())
            raw = [bad, rates[-1][1], 1 - bad - rates[-1][1]]
    return {"rates": np.array(rates), "raw": np.array(raw)}


def scored(
    base: Named,
    chain: Chain,
    encoding: int,
    asking: Named,
    seed: int,
    first: Held,
    before: Held,
    after: Held,
    **audited: Held,
) -> Mapping[str, Any]:
    """(10,) scores of a job by the detectors `SCORES`, and what the probe rests on.

    `audited` are covert jobs in other encodings, which the probe is fitted to; the encoding of
    audit number i is `audit_numbers(encoding, asking["count"])[i]`.
    """
    net, asked = (
        models.network_of(base["world"], base["model"]),
        service_of(base, asking["service"]),
    )
    world = world_of_job(base, seed, encoding)
    public = models.world_of(base["world"], seed)
    dataset = job_data(base, chain, encoding, seed)
    one, other = net.params(before["parameters"]), net.params(after["parameters"])
    key = jax.random.fold_in(jax.random.fold_in(models.stream(seed, models.TESTS), encoding), 99)
    direction = np.asarray(before["parameters"], float) - first["parameters"]
    numbers = audit_numbers(encoding, asking["count"])
    jobs = [
        Audit(net.params(audited[f"audit_{i}"]["parameters"]), world_of_job(base, seed, number))
        for i, number in enumerate(numbers)
    ]
    tests = [detector(asked, name) for name in (*DATA_DETECTORS, *MODEL_DETECTORS)]  # type: ignore[arg-type]
    tests += [safety_overlap(direction), probe(asked, jobs)]
    scores = [test(one, other, dataset, public, key) for test in tests]  # type: ignore[arg-type]
    untuned = [Audit(one, job.world) for job in jobs]
    return {
        "scores": np.array(scores),
        "probe_tuned": probe_auroc(asked, other, jobs, world, key=key),
        "probe_untuned": probe_auroc(asked, one, untuned, world, key=key),
        "probe_own": probe_auroc(asked, one, [Audit(one, world)], world, key=key),
    }


def audit_numbers(encoding: int, audits: int) -> list[int]:
    """The numbers of the encodings that a probe for this one is fitted to: the first others."""
    return [i for i in range(audits + 1) if i != encoding][:audits]
