import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawing import assert_drawn

from theorylab.lab import Results, Row
from theorylab.papers.more_than_a_toy import (
    PAPER,
    images,
    networks,
    real,
    synthetic,
)
from theorylab.papers.more_than_a_toy.claims import gcv, pretrained, shared
from theorylab.papers.more_than_a_toy.claims.law import law_slopes


def psd(rng, n, p=80):
    x = rng.normal(size=(n, p)) * np.arange(1, p + 1) ** -0.6
    return x, x @ x.T


def test_splits_leave_the_skipped_images_out_and_keep_train_and_test_apart():
    first, labels, _, _ = images.split("fashion_mnist", True, None, 50, 10)
    rest, _, test, y_test = images.split("fashion_mnist", True, 3, 5950, 2000, skip=50)
    rows = {image.tobytes() for image in rest}
    assert len(rest) == 5950 and not rows & {image.tobytes() for image in first}
    assert (
        labels.shape == (50, 10)
        and abs(labels.sum()) < 1e-9
        and sorted(set(labels.ravel())) == [-0.1, 0.9]
    )
    assert test.shape == (2000, 28, 28, 1) and y_test.shape == (2000, 10)


@pytest.mark.long
def test_the_curve_is_ridge_regression_done_by_hand_on_every_block():
    rng = np.random.default_rng(0)
    x, kernel = psd(rng, 90)
    y, y_test = rng.normal(size=(90, 2)), rng.normal(size=(30, 2))
    z = rng.normal(size=(30, 80)) * np.arange(1, 81) ** -0.6
    found = real.curve(kernel, z @ x.T, y, y_test, [40], [0.0, 0.1])
    test, gcv, train = [], [], []
    for rows in (slice(0, 40), slice(40, 80)):
        k, target = kernel[rows, rows], y[rows]
        for r in (0.0, 0.1):
            smoother = k @ np.linalg.inv(k + r * np.trace(k) * np.eye(40)) if r else None
            dual = np.linalg.solve(k + r * np.trace(k) * np.eye(40), target)
            test.append(((z @ x.T[:, rows] @ dual - y_test) ** 2).sum(1).mean())
            inverse = np.linalg.inv(k)
            if r:
                residual = target - smoother @ target
                gcv.append((residual**2).sum() / 40 / (1 - np.trace(smoother) / 40) ** 2)
                train.append((residual**2).sum() / 40)
            else:
                gcv.append(
                    (inverse @ target).ravel()
                    @ (inverse @ target).ravel()
                    / 40
                    / (np.trace(inverse) / 40) ** 2
                )
                train.append(0.0)
    assert found["leverage_spread"].shape == (1, 2) and (found["leverage_spread"] > 0).all()
    for name, values in (("test", test), ("gcv", gcv), ("train", train)):
        np.testing.assert_allclose(
            found[name][0], np.reshape(values, (2, 2)).mean(0), rtol=1e-7, atol=1e-12
        )


@pytest.mark.long
@pytest.mark.parametrize("control", ["duplicated", "augmented", "elliptical"])
def test_gcv_collapses_on_spoiled_real_samples(control):
    found = real.spoiled("fashion_mnist", True, 0, 120, [0.0, 1e-2], 300, control)
    assert found["gcv"].shape == (1, 2) and (found["gcv"] / found["test"])[0, 0] < 0.6


def test_the_random_output_is_linear_in_the_features_and_the_same_for_everyone():
    features, params = (lambda p, x: jnp.tanh(x @ p)), jnp.eye(3)
    x = jnp.ones((2, 3))
    f, both = networks.with_random_output(features, params, x, seed=1)
    again = networks.with_random_output(features, params, x, seed=1)[1]
    np.testing.assert_allclose(f(both, x), jnp.tanh(x) @ both[1]["weight"])
    np.testing.assert_array_equal(both[1]["weight"], again[1]["weight"])


@pytest.mark.long
def test_a_trained_kernel_is_the_jacobian_product_of_the_trained_network():
    whole = {"data": "fashion_mnist", "sample": True}
    trained = networks.train("cnn", **whole, seed=0, images=64, epochs=1)
    cell = {"network": "cnn", "images": {**whole, "skip": 64, "pool": 4, "tests": 2}, "seed": 0}
    found = networks.kernel(**cell, weights="trained", epochs=1, trained=trained)
    initial = networks.kernel(**cell, weights="init", epochs=0)
    assert np.abs(found["kernel"] / initial["kernel"] - 1).max() > 0.01
    x, _, x_test, _ = images.split("fashion_mnist", True, 0, 4, 2, skip=64)
    from jax.flatten_util import ravel_pytree

    from theorylab import nets

    features, params = nets.functional(networks.build("cnn", x.shape[1:], 0), method="features")
    params = ravel_pytree(params)[1](jnp.asarray(trained["params"]))
    f, both = networks.with_random_output(features, params, x[:1], 0)

    @jax.jit
    def gradient(image):
        return ravel_pytree(jax.grad(lambda p: f(p, image[None])[0, 0])(both))[0]

    jac, jac_test = (np.stack([gradient(jnp.asarray(i)) for i in images]) for images in (x, x_test))
    np.testing.assert_allclose(found["kernel"], jac @ jac.T, rtol=2e-4)
    np.testing.assert_allclose(found["kernel_test"], jac_test @ jac.T, rtol=2e-4)


@pytest.mark.long
def test_gcv_is_right_on_independent_samples_and_wrong_on_duplicated_ones():
    arguments = {
        "n": 100,
        "population": {"p": 400, "alpha": 1.5, "delta": 1.6, "noise": 0.0},
        "ridges": [1e-3],
        "seed": 0,
        "draws": 8,
    }
    ratio = {d: synthetic.gcv(d, **arguments) for d in ("gaussian", "duplicated")}
    assert 0.8 < (ratio["gaussian"]["gcv"] / ratio["gaussian"]["risk"]).mean() < 1.3
    assert (ratio["duplicated"]["gcv"] / ratio["duplicated"]["risk"]).mean() < 0.3


@pytest.mark.long
def test_the_true_risk_of_a_fit_is_its_population_error():
    population = {"p": 60, "alpha": 1.5, "delta": 1.6, "noise": 0.1}
    found = synthetic.gcv("gaussian", 40, population, [1e-2], 3, 1)
    # The same draw, with the risk estimated on 50,000 fresh samples: standard error below 1 %.
    from theorylab.data import synthetic as designs
    from theorylab.ridge import RidgePath

    with jax.enable_x64(True):
        spectrum, power = designs.power_law_spectrum(60, 1.5), designs.power_law_spectrum(60, 1.6)
        beta = designs.teacher(jax.random.key(0), spectrum, power)
        x, y = synthetic._draw(
            "gaussian", jax.random.fold_in(jax.random.key(3), 0), 40, spectrum, beta, 0.1
        )
        fresh = designs.gaussian_design(jax.random.key(9), 50_000, spectrum)
        predicted = RidgePath.fit(x, y).predict(fresh, [1e-2])[0, :, 0]
        measured = float(((predicted - np.asarray(fresh @ beta)) ** 2).mean()) + 0.1
    assert found["risk"][0, 0] == pytest.approx(measured, rel=0.02)


def table_of(name, results):
    preset = PAPER.preset("smoke")
    figure = next(f for f in PAPER.figures if f.name == name)
    return figure.table(results, preset)


@pytest.fixture(scope="module")
def drawn():
    """Results of the right shapes with made-up numbers: the figures must draw whatever comes."""
    preset, rng = PAPER.preset("smoke"), np.random.default_rng(0)
    results = {}
    for experiment in PAPER.experiments:
        rows = []
        for cell in experiment.cells(preset):
            arrays = {}
            if experiment.name in ("analytic", "network_curves"):
                shape = (len(cell["sizes"]), len(cell["ridges"]))
                names = (
                    "test",
                    "gcv",
                    "loo",
                    "train",
                    "kappa",
                    "norm_bound",
                    "spectrum_only",
                    "plugin",
                )
                arrays = {n: rng.uniform(0.1, 1.0, shape) for n in names} | {
                    "diag_cv": np.full(shape[0], 0.4)
                }
                arrays |= {"spectrum": np.arange(1, 51) ** -1.5, "power": rng.uniform(size=(50,))}
            elif experiment.name == "gcv_controls":
                arrays = {n: rng.uniform(0.5, 1, (2, len(cell["ridges"]))) for n in ("gcv", "risk")}
            elif experiment.name == "local_law":
                arrays = {
                    "averaged": rng.normal(size=(3, 2)),
                    "anisotropic": rng.normal(size=(3, 2, 2)),
                }
            rows.append(Row(cell, arrays))
        results[experiment.name] = Results(tuple(rows))
    return results


@pytest.mark.long
@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(drawn, figure):
    assert_drawn(figure, drawn, PAPER.preset("smoke"))


def test_the_training_risk_is_caught_as_an_estimator_and_the_right_one_is_not():
    rows = tuple(
        Row(
            {"data": "d", "sizes": [250], "ridges": [0.0, 0.1], "seed": s},
            {
                "test": np.array([[0.4, 0.5]]),
                "gcv": np.array([[0.41, 0.5]]) + s / 100,
                "train": np.array([[0.0, 0.3]]),
            },
        )
        for s in range(3)
    )
    results = {"analytic": Results(rows), "spoiled": Results(())}
    assert all(e.holds for e in gcv.real_ratio("gcv")(results, None))
    assert not any(e.holds for e in gcv.real_ratio("train")(results, None))


@pytest.mark.long
def test_with_a_unit_diagonal_the_norms_of_the_samples_do_not_matter():
    rng = np.random.default_rng(0)
    _, k = psd(rng, 50)
    y, norms = rng.normal(size=(50, 2)), np.exp(rng.normal(size=50))
    cell = {
        "kernel": {},
        "network": "cnn",
        "weights": "init",
        "data": "d",
        "seed": 0,
        "n": 40,
        "ridges": [0.0, 0.1],
    }
    plain, scaled = (
        real.unit_diagonal(**cell, kernels={"kernel": gram, "y": y})
        for gram in (k, k * np.outer(norms, norms))
    )
    order = np.random.default_rng(0).permutation(50)[:40]
    root = np.sqrt(np.diag(k)[order])
    inverse = np.linalg.inv(k[np.ix_(order, order)] / root[:, None] / root + 40 * 0.1 * np.eye(40))
    loo = (((inverse @ y[order]) / np.diag(inverse)[:, None]) ** 2).sum() / 40
    assert plain["loo"][1] == pytest.approx(loo, rel=1e-9)
    for name, values in plain.items():
        np.testing.assert_allclose(scaled[name], values, rtol=1e-7)


def test_gcv_off_the_band_is_reported_with_its_reason_and_explained_by_the_spread():
    def row(seed, ratio, spread):
        two = {
            "test": [0.5, 0.5],
            "gcv": [0.5 * ratio, 0.5],
            "loo": [0.5, 0.5],
            "train": [0.1, 0.1],
            "leverage_spread": [spread, 0.0],
        }
        arrays = {k: np.array([v]) for k, v in two.items()} | {"diag_cv": np.array([0.7])}
        cell = {
            "network": "net",
            "weights": "pretrained",
            "data": "d",
            "sizes": [1000],
            "ridges": [0.0, 0.1],
        }
        return Row(cell | {"seed": seed}, arrays)

    results = {
        "analytic": Results(()),
        "network_curves": Results(tuple(row(s, 5.0 + s / 10, 4.2) for s in range(3))),
    }
    first, second = pretrained.gcv_everywhere(results, None)
    assert not first.holds and second.holds
    assert "LOO / test 1.000, GCV / LOO 5.100, diag K varies by 0.70" in first.label
    assert all(e.holds for e in pretrained.uneven_leverage(True)(results, None))
    assert not pretrained.uneven_leverage(False)(results, None)[0].holds
    assert pretrained.pretrained_ratio("network_curves", 1.3, np.inf)(results, None)[0].holds
    assert not pretrained.pretrained_ratio("network_curves", 0.9, 1.1)(results, None)[0].holds
    assert pretrained.gcv_where_selected("gcv", "d")(results, None)[0].holds
    assert not pretrained.gcv_where_selected("train", "d")(results, None)[0].holds


def test_the_jackknifed_evidence_is_the_statistic_with_an_interval_that_narrows_with_the_draws():
    rng = np.random.default_rng(0)
    # a power law that is known: errors of standard deviation 1 / sqrt(N), so rms slope -1/2
    sizes = np.array([50, 100, 200, 400])
    draws = rng.normal(size=(400, 4)) / np.sqrt(sizes)
    slope = lambda d: np.polyfit(np.log(sizes), np.log(shared.rms(d)), 1)[0]  # noqa: E731
    few, many = (shared.jackknifed("slope", slope, draws[:n]) for n in (40, 400))
    assert many.measured == pytest.approx(slope(draws), abs=1e-3)
    assert many.interval[0] < -0.5 < many.interval[1]
    # the error of a log-rms of n draws is 1 / sqrt(2 n), that of the slope over the spread of log N
    spread = np.log(sizes).std() * 2
    assert np.ptp(many.interval) == pytest.approx(2 * 1.96 / np.sqrt(800) / spread, rel=0.15)
    assert np.ptp(few.interval) > 2 * np.ptp(many.interval)
    # pseudo-values of a mean are the values themselves
    values = rng.normal(size=10)
    assert shared.jackknifed("mean", np.mean, values).sample.values == pytest.approx(values)


def test_the_local_law_is_judged_by_its_upper_bounds_alone():
    rng = np.random.default_rng(1)

    def law(power):
        rows = []
        for n in (100, 200, 400):
            noise = rng.normal(size=(60, 2, 2)) * n**-power
            rows.append(
                Row(
                    {"design": "d", "n": n, "modes": [1, 10]},
                    {"averaged": noise[..., 0] * n**-power, "anisotropic": noise},
                )
            )
        return law_slopes("d")({"local_law": Results(tuple(rows))}, None)

    assert all(e.outcome == "holds" for e in law(0.9))  # steeper than the law promises
    assert all(e.outcome == "fails" for e in law(0.0))
