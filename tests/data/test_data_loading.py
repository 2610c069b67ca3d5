import numpy as np
import pytest
from data_builders import torch_file
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theorylab.data import digest, fetch, load, pretrained, sample
from theorylab.data.cache import write_npz
from theorylab.data.catalogue import CATALOGUE, KEEL
from theorylab.data.digests import DIGESTS
from theorylab.data.loading import split_rows
from theorylab.data.pickles import read_torch_legacy
from theorylab.errors import DataError, InputError


@pytest.fixture(scope="module")
def fashion():
    return load("fashion_mnist", sample=True)


def test_the_sample_has_the_counts_of_the_first_images_of_fashion_mnist(fashion):
    assert (
        fashion.is_sample
        and fashion.x_train.shape == (6000, 28, 28)
        and fashion.x_test.shape == (2000, 28, 28)
    )
    assert fashion.x_train.dtype == np.uint8 and fashion.y_train.dtype == np.int32
    # the published order starts: ankle boot, T-shirt, T-shirt, dress, T-shirt; test: ankle boot,
    # pullover, trouser
    assert [fashion.classes[k] for k in fashion.y_train[:4]] == [
        "Ankle boot",
        "T-shirt/top",
        "T-shirt/top",
        "Dress",
    ]
    assert [fashion.classes[k] for k in fashion.y_test[:4]] == [
        "Ankle boot",
        "Pullover",
        "Trouser",
        "Trouser",
    ]
    # 6,000 draws of 10 equal classes: 600 a class, standard deviation 23; 2,000: 200 and 13.4; 5 of
    # them is generous
    assert np.abs(np.bincount(fashion.y_train, minlength=10) - 600).max() < 116
    assert np.abs(np.bincount(fashion.y_test, minlength=10) - 200).max() < 67


def test_the_samples_mean_and_deviation_are_near_those_of_the_full_set(fashion):
    # full set: .2860 and .3530 (data sheet); image means scatter by .13, so 6,000 of them by .0017
    assert abs(fashion.mean.item() - 0.2860) < 0.006 and abs(fashion.std.item() - 0.3530) < 0.006
    np.testing.assert_allclose(fashion.mean, (fashion.x_train / 255).mean(), rtol=1e-12)


def test_the_samples_checksum_is_that_of_its_arrays(fashion):
    arrays = {name: getattr(fashion, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    assert digest(arrays | {"classes": np.array(fashion.classes)}) == fashion.sha256


def test_the_sample_is_small_and_its_licence_lies_beside_it():
    assert sample.SAMPLE_PATH.stat().st_size <= 4_000_000
    assert "MIT License" in sample.SAMPLE_PATH.with_name("LICENSE.fashion_mnist").read_text()


def test_a_damaged_installation_is_said(monkeypatch, tmp_path):
    data = bytearray(sample.SAMPLE_PATH.read_bytes())
    data[len(data) // 3] ^= 1
    (tmp_path / "x.npz").write_bytes(data)
    monkeypatch.setattr(sample, "SAMPLE_PATH", tmp_path / "x.npz")
    with pytest.raises(DataError, match=r"damaged.*install theorylab again"):
        load("fashion_mnist", sample=True)


def test_fashion_mnist_falls_back_on_the_sample_only_when_asked_or_absent(
    cache_folder, monkeypatch
):
    assert load("fashion_mnist").is_sample
    with pytest.raises(DataError, match="theorylab data fetch fashion_mnist"):
        load("fashion_mnist", sample=False)
    # a full set in the cache wins: its place is taken by a set of three images
    x, y = np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.int32)
    arrays = {"x_train": x, "y_train": y, "x_test": x, "y_test": y, "classes": np.array(["a"])}
    monkeypatch.setitem(DIGESTS, "fashion_mnist", digest(arrays))
    cache_folder.mkdir()
    write_npz(cache_folder / "fashion_mnist.npz", {"fashion_mnist": arrays}, "", compress=False)
    assert not load("fashion_mnist").is_sample and not load("fashion_mnist", sample=False).is_sample
    assert load("fashion_mnist", sample=True).is_sample
    assert sample.write_sample(cache_folder / "cut.npz") == digest(arrays)
    (cache_folder / "fashion_mnist.npz").write_bytes(b"broken")
    with pytest.raises(DataError, match="corrupted"):  # never silently replaced by the sample
        load("fashion_mnist")


def test_bad_requests_are_one_line_of_advice(cache_folder):
    for call, match in [
        (lambda: load("keel"), "load one of keel/australian"),
        (lambda: load("efficientnet_lite0"), "pretrained"),
        (lambda: pretrained("mnist"), "theorylab.data.load"),
        (lambda: load("mnist", sample=True), "only 'fashion_mnist' has an embedded sample"),
        (lambda: load("optdigits"), "keel/optdigits"),
    ]:
        with pytest.raises(InputError, match=match):
            call()
    for name in ("mnist", "keel/optdigits", "adult"):
        with pytest.raises(DataError, match=f"`theorylab data fetch {name.split('/')[0]}`"):
            load(name)
    with pytest.raises(DataError, match="`theorylab data fetch efficientnet_lite0`"):
        pretrained()


def test_a_fetched_set_is_loaded_with_its_record(cache_folder, toy):
    entry, archive, arrays = toy
    fetch("toy", archive=archive, progress=False)
    data = load("toy")
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(data, name), array)
    assert data.licence == "CC0" and data.citation == entry.citation and data.source == "toy==1.0"
    assert data.sha256 == DIGESTS["toy"] and data.split == "official" and data.columns == ()


def test_a_table_without_split_gets_one_that_keeps_every_row(cache_folder, monkeypatch):
    from theorylab.data import decode

    rng = np.random.default_rng(0)
    text = "\n".join(f"{u:.3f},{'ab'[k % 2]},{k % 3}" for k, u in enumerate(rng.random(60)))
    arrays = decode.keel(("iris",))({"balanced/raw/iris.dat": text.encode()})["keel/iris"]
    monkeypatch.setitem(DIGESTS, "keel/iris", digest(arrays))
    cache_folder.mkdir()
    write_npz(cache_folder / "keel.npz", {"keel/iris": arrays}, "", compress=False)
    data = load("keel/iris")
    assert data.split == "seeded 80/20" and np.bincount(data.y_test).tolist() == [4, 4, 4]
    x, y = data.merged()
    order, original = np.lexsort((*x.T, y)), np.lexsort((*arrays["x"].T, arrays["y"]))
    np.testing.assert_array_equal(x[order], arrays["x"][original])
    np.testing.assert_array_equal(load("keel/iris").x_test, data.x_test)
    np.testing.assert_allclose(data.normalised().x_train[:, 0].std(), 1, atol=1e-6)


@given(hnp.arrays(np.int32, st.integers(1, 60), elements=st.integers(0, 4)), st.floats(0, 0.9))
def test_split_is_stratified_disjoint_and_complete(y, share):
    train, test = split_rows(y, test_share=share)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))
    assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    for label in np.unique(y):
        n, k = (y == label).sum(), (y[test] == label).sum()
        assert (y[train] == label).any() and (k == round(share * n) or k == n - 1)


def test_the_split_is_the_same_for_ever():
    # RandomState(0).permutation(10) of NumPy's documented, frozen stream is 2 8 4 9 1 6 7 3 0 5
    assert split_rows(np.zeros(10, int), test_share=0.2)[1].tolist() == [2, 8]


def test_a_pretrained_network_comes_back_tensor_for_tensor(cache_folder, monkeypatch, tmp_path):
    values = np.arange(12, dtype="f4")
    data = torch_file({"_bn0.weight": ("0", 0, (3, 4), (1, 3))}, {"0": values})
    monkeypatch.setitem(DIGESTS, "efficientnet_lite0", digest(read_torch_legacy(data)))
    (tmp_path / "efficientnet-lite0-57934424.pth").write_bytes(data)
    fetch(
        "efficientnet_lite0", archive=tmp_path / "efficientnet-lite0-57934424.pth", progress=False
    )
    state = pretrained()
    assert list(state) == ["_bn0.weight"]
    np.testing.assert_array_equal(state["_bn0.weight"], values.reshape(4, 3).T)


def test_every_name_of_the_catalogue_has_a_checksum_and_a_complete_record():
    names = [name for entry in CATALOGUE.values() for name in entry.names]
    assert set(names) == set(DIGESTS) and len(names) == len(set(names)) and len(KEEL) == 43
    for name, entry in CATALOGUE.items():
        assert (
            name == entry.name
            and entry.size > 1e6
            and entry.licence
            and entry.citation
            and entry.shapes
        )
        assert (
            len(entry.package.sha256) == 64 and entry.kind in ("data", "network") and entry.layouts
        )
