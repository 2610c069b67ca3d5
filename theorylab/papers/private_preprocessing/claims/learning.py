"""What claims on private learning measure: excess losses of pipelines, and what they paid."""

import numpy as np

from theorylab.lab import Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.private_preprocessing.real import WAYS
from theorylab.papers.private_preprocessing.synthetic import WAYS as PIPELINES
from theorylab.papers.private_preprocessing.tables import excess, only
from theorylab.papers.types import AllResults
from theorylab.privacy import pipelines, renyi, sensitivity, smooth


def reduced(way: str) -> Measure:
    """Excess over that of all dimensions: at most 0.8 at ε = 1, at most 1 at ε = .5 and 2, and
    within 30 % of it at ε = 8."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows, ours = results["pipelines"], PIPELINES.index(way)
        at = only(rows).cell["epsilons"]
        whole = PIPELINES.index("full dimension")
        ratio = {
            epsilon: excess(rows, ours, i) / excess(rows, whole, i) for i, epsilon in enumerate(at)
        }
        return [
            over_seeds("reduced / all dimensions, ε = 0.5", ratio[0.5], high=1.0),
            over_seeds("reduced / all dimensions, ε = 1", ratio[1.0], high=0.8),
            over_seeds("reduced / all dimensions, ε = 2", ratio[2.0], high=1.0),
            over_seeds("reduced / all dimensions, ε = 8", ratio[8.0], low=0.7, high=1.3),
        ]

    return measure


def directions(private: str, secret: str) -> Measure:
    """Private directions have at least the excess of secret ones at ε = .5, and no more at 2."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["pipelines"]
        at = only(rows).cell["epsilons"]

        def ratio(epsilon: float) -> np.ndarray:
            i = at.index(epsilon)
            return excess(rows, PIPELINES.index(private), i) / excess(
                rows, PIPELINES.index(secret), i
            )

        return [
            over_seeds("private / secret directions, ε = 0.5", ratio(0.5), low=1.0),
            over_seeds("private / secret directions, ε = 2", ratio(2.0), high=1.0),
        ]

    return measure


def spent(full: bool) -> Measure:
    """Epsilon of a whole pipeline, computed again from its noise, is at most what was asked for and
    not below 0.8 of it: descent behind PCA on data of nearly rank 3."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        row = only(results["pipelines"])
        n, descent = row.cell["data"]["n"], row.cell["descent"]
        moved = sensitivity.pca_reduction(n, eigengap=float(row["gap"]))
        orders = np.concatenate([np.arange(1.05, 12, 0.1), np.arange(12, 400, 4.0)])
        for epsilon in row.cell["epsilons"]:
            rho = renyi.epsilon_to_zcdp(epsilon, delta=1e-5)
            noise = pipelines.gradient_noise_std(
                n, steps=descent["steps"], rho=rho, factor=float(row["factor"]) if full else 1.0
            )
            mechanism = smooth.dp_gradient_descent(
                n,
                steps=descent["steps"],
                gradient_norm=1.0,
                smoothness=smooth.logistic_smoothness(descent["radius"]),
                noise_std=noise,
            )
            cost = mechanism.behind(moved, orders=orders).divergences
            slope = float((cost / orders).max())
            whole = renyi.to_epsilon(renyi.zcdp_curve(slope), delta=1e-5, orders=orders).epsilon
            found.append(Evidence(f"ε spent / asked, ε = {epsilon:g}", whole / epsilon, 0.75, 1.0))
        return found

    return measure


def imputed(way: str) -> Measure:
    """Excess loss less that by group privacy: at most -.1 on Adult and -.03 on FARS, at every ε;
    less that of the naive accounting at most .01 on Adult."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for name, room in (("adult", -0.1), ("fars", -0.03)):
            rows = results["missing"].where(name=name)
            every = rows.stack("excess").mean(-1)
            ours, naive, group = (every[:, WAYS.index(w)] for w in (way, "naive", "group"))
            for i, epsilon in enumerate(only(rows).cell["epsilons"]):
                at = f"{name}, ε = {epsilon:g}"
                found.append(
                    over_seeds(f"less that by groups, {at}", ours[:, i] - group[:, i], high=room)
                )
                if name == "adult":
                    found.append(
                        over_seeds(f"less that of naive, {at}", ours[:, i] - naive[:, i], high=0.01)
                    )
        return found

    return measure


def images(scale: float = 1.0) -> Measure:
    """Replacing one image moves the projections of all others within the bound, of which `scale` is
    left, and the full accounting asks for less than group privacy."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["images"]:
            ratio = float((row["worst"] / row["promised"]).max()) / scale
            source = row.cell["source"]
            found += [
                Evidence(f"{source}: largest movement / bound", ratio, high=1.0),
                Evidence(
                    f"{source}: largest factor / group privacy's",
                    float((row["factors"] / row["group"]).max()),
                    high=1.0,
                ),
            ]
        return found

    return measure


def copies(way: int) -> Measure:
    """Keeping one of each family of copies costs a mean at most 1 % more, dropping all of them at
    most four times; group privacy asks for a thousand times more on FARS."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = [
            Evidence(f"{row.cell['name']}: factor", float(row["factors"][way]), high=1.01)
            for row in results["copies"]
        ]
        fars = only(results["copies"], name="fars")["factors"]
        return [
            *found,
            Evidence("dropping copies, separated", float(fars[1]), high=4.0),
            Evidence("fars: group privacy's factor", float(fars[3]), low=1000.0),
        ]

    return measure
