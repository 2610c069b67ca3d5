"""Cells on synthetic data: the Gaussian mixture, where the dimension alone is what privacy pays
for, and a spiked distribution, where too few directions lose the classifier."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from theorylab.privacy import renyi
from theorylab.privacy.dp_sgd import (
    LinearHead,
    Training,
    noise_multiplier,
    simulate_descents,
    spent_epsilon,
)
from theorylab.privacy.large_margin import gaussian_mixture, mixture_accuracy, spiked_margin
from theorylab.privacy.pillar import public_basis

Found = Mapping[str, Any]
STEPS = 10  # noisy gradients


def sample_sizes(
    d: int,
    sizes: list[int],
    methods: list[str],
    epsilon: float,
    delta: float,
    accounting: str,
    draws: int,
    seed: int,
) -> Found:
    """Exact accuracies (methods, sizes) on the mixture with theta = variance = 1/√d, in the mean
    over noise; `free` without noise. 20 d public records; records are replaced.

    methods: "PILLAR" (two public directions), "no projection", or "Johnson-Lindenstrauss" (16
    random directions).
    accounting: "exact", of the Gaussian, or "zcdp", which is what the reference numbers rest on.
    """
    keys = jax.random.split(jax.random.key(seed), 4)
    law = {"theta": d**-0.5, "variance": d**-0.5}
    public = gaussian_mixture(keys[0], 20 * d, d, **law).records
    private = gaussian_mixture(keys[1], max(sizes), d, **law)
    random = np.random.default_rng(seed).standard_normal((d, 16))
    bases = {
        "PILLAR": lambda: public_basis(public, rank=2).vectors,
        "Johnson-Lindenstrauss": lambda: np.linalg.qr(random)[0],
        "no projection": lambda: None,
    }
    if accounting == "exact":
        noise = noise_multiplier(epsilon, delta=delta, steps=STEPS, relation="replace")
    else:
        noise = 2 * np.sqrt(STEPS / (2 * renyi.epsilon_to_zcdp(epsilon, delta=delta)))
    found: dict[str, list[list[float]]] = {"accuracy": [], "free": []}
    for method in methods:
        basis = bases[method]()
        x = private.records if basis is None else (private.records @ basis).astype(np.float32)
        line: list[list[float]] = [[], []]
        for n in sizes:
            # few shapes are compiled: what is left over has weight 0
            padded = next(size for size in (*_shapes(max(sizes)),) if size >= n)
            weights = _descend(x, private.labels, n, padded, noise, draws, keys[2])
            lifted = weights if basis is None else weights @ basis.T
            exact = mixture_accuracy(lifted, **law)  # (draws, 2)
            line[0].append(float(exact[:, 0].mean()))
            line[1].append(float(exact[:, 1].mean()))
        found["accuracy"].append(line[0])
        found["free"].append(line[1])
    spent = spent_epsilon(noise, delta=delta, steps=STEPS, relation="replace")
    return {name: np.array(lines) for name, lines in found.items()} | {"spent": spent}


def _shapes(largest: int) -> Sequence[int]:
    return (*(size for size in (400, 1600) if size < largest), largest)


def _descend(x: Any, y: Any, n: int, padded: int, noise: float, draws: int, key: Any) -> np.ndarray:
    """Mean iterates (draws, 2, d) of descent on the hinge, with the noise and without."""
    head = LinearHead("hinge")
    training = Training(
        STEPS, step_size=1.0, clip=1.0, noise_multiplier=np.array([noise, 0.0]), expected=n
    )
    found = simulate_descents(
        head,
        head.start(x.shape[1], bias=False),
        x[:padded].astype(np.float32),
        y[:padded].astype(np.float32),
        training=training,
        keys=jax.random.split(key, draws),
        weights=(np.arange(padded) < n).astype(np.float32),
    )
    return np.asarray(found.average["weights"])


def directions(
    d: int,
    n: int,
    spikes: int,
    gamma: float,
    ranks: list[int],
    epsilons: list[float],
    delta: float,
    seed: int,
) -> Found:
    """Accuracies (ranks, epsilons) on the spiked distribution, whose classifier needs all spikes.

    epsilons: 0 stands for no privacy.
    """
    keys = jax.random.split(jax.random.key(seed), 4)
    law: dict[str, Any] = {"d": d, "spikes": spikes, "gamma": gamma, "decay": 1.0, "tail": 0.02}
    public, private, test = (
        spiked_margin(key, size, **law) for key, size in zip(keys, (10 * d, n, 4000), strict=False)
    )
    basis = public_basis(public.records, rank=d)
    noises = [
        noise_multiplier(e, delta=delta, steps=STEPS, relation="replace") if e else 0.0
        for e in epsilons
    ]
    head = LinearHead("hinge", 0.1)
    accuracy, defects = [], []
    for rank in ranks:
        moving = (np.arange(d) < rank).astype(np.float32)
        inside, outside = (
            (basis.project(part.records) * moving).astype(np.float32) for part in (private, test)
        )
        found = simulate_descents(
            head,
            head.start(d, bias=False),
            inside,
            private.labels.astype(np.float32),
            training=Training(
                STEPS, step_size=1.0, clip=1.0, noise_multiplier=np.array(noises), radius=1.0
            ),
            keys=jax.random.split(keys[3], 4),
            moving={"weights": moving},
        )
        scores = np.asarray(found.average["weights"]) @ outside.T
        accuracy.append((np.sign(scores) == test.labels).mean((0, 2)))
        defects.append(1 - np.linalg.norm(basis.vectors[:, :rank].T @ public.weights))
    spent = [
        spent_epsilon(z, delta=delta, steps=STEPS, relation="replace") if z else 0.0 for z in noises
    ]
    return {"accuracy": np.array(accuracy), "defect": np.array(defects), "spent": np.array(spent)}
