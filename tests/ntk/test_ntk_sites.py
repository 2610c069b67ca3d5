"""Each parameter leaf is placed where theory says, and both orders of contraction give the same
kernel."""

import jax
import numpy as np
import pytest
from ntk_zoo import ZOO, dense_kernel, reduced

from theorylab.ntk import empirical_ntk
from theorylab.ntk.layout import Layout
from theorylab.ntk.plan import Cost, Plan
from theorylab.ntk.xla import XlaEngine

# kinds of the blocks in the order of the leaves; "jacobian" is the fallback
PLACES = {
    "mlp": ["dense+bias"] * 3,
    "ntk_parametrisation": ["dense", "dense"],
    "shared_weights": ["dense", "dense"],
    "tied_transpose": ["jacobian"],
    "stacked_layers": ["jacobian", "dense", "dense", "dense"],
    "scanned_layers": ["dense", "dense in a loop"],
    "strided_dilated_conv": ["conv+bias", "conv"],
    "grouped_conv": ["conv", "conv", "dense"],
    "conv_1d_channels_first": ["dense", "conv"],
    "max_pool": ["conv", "dense"],
    "weight_norm": ["jacobian"] * 4,
    "attention": ["embedding", "jacobian", "dense", "jacobian", "dense", "dense", "dense"],
    "tied_embedding": ["jacobian", "dense"],
    "per_head_weights": ["dense", "dense"],
    "custom_derivatives": ["dense", "jacobian"],
}


def _engine(name: str, reduce: str) -> tuple[XlaEngine, object, object]:
    f, params, x = ZOO[name]()
    return XlaEngine(f, reduce, True, None), params, x


@pytest.mark.parametrize("name", PLACES)
def test_leaves_are_placed_as_expected(name: str) -> None:
    engine, params, x = _engine(name, "trace")
    assert [block.kind for block in engine.analysis(params, x).blocks] == PLACES[name]


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "reduce"),
    [
        ("attention", "full"),
        ("shared_weights", "trace"),
        ("grouped_conv", "diagonal"),
        ("per_head_weights", "full"),
        ("scanned_layers", "full"),
    ],
)
@pytest.mark.parametrize("gram", [False, True])
def test_both_orders_of_contraction_agree_with_the_dense_jacobian(
    name: str, reduce: str, gram: bool
) -> None:
    engine, params, x = _engine(name, reduce)
    reference = reduced(dense_kernel(*ZOO[name]()), reduce)
    analysis = engine.analysis(params, x)
    plan = Plan(tuple(gram and bool(block.sites) for block in analysis.blocks), reduce == "trace")
    seeds = Layout(5, analysis.outputs, analysis.outputs, 2, plan, 0).seeds(
        0, reduce, analysis.dtype
    )
    with jax.default_matmul_precision("highest"):
        features = engine.features(params, x, seeds, plan)
        kernel = np.asarray(engine.contract(features, features)) / (
            analysis.outputs if reduce == "trace" else 1
        )
    assert np.abs(kernel - reference).max() < 1e-5 * np.abs(reference).max()


@pytest.mark.parametrize("method", ["structured", "auto"])
def test_a_weight_behind_a_constant_is_found(method: str) -> None:
    # the first operand is a constant, and an array: it is not to be compared with the weight
    mask = np.random.default_rng(0).integers(0, 2, (3, 2)).astype(np.float32)
    f = lambda w, x: jax.numpy.tanh(x @ (mask * w))  # noqa: E731
    w, x = (
        jax.random.normal(jax.random.key(0), (3, 2)),
        jax.random.normal(jax.random.key(1), (4, 3)),
    )
    found = empirical_ntk(f, w, x, reduce="full", method=method)
    slopes = 1 - np.asarray(f(w, x)) ** 2  # by hand: d f_na / d w_ka = slope_na mask_ka x_nk
    expected = np.einsum("na,ka,nk,ma,mk->nma", slopes, mask, x, slopes, x)
    np.testing.assert_allclose(found[:, :, [0, 1], [0, 1]], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[:, :, [0, 1], [1, 0]], 0)


def test_a_byte_that_is_moved_costs_as_much_as_some_operations() -> None:
    """5 to 20 on processors of today: float32 operations over bytes, both a second."""
    assert Cost(100.0, 0.0).total == 100.0
    assert 105.0 <= Cost(100.0, 1.0).total <= 120.0
