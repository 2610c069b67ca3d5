"""Each parameter leaf is placed where theory says, and both orders of contraction give the same
kernel."""

import jax
import numpy as np
import pytest
from ntk_zoo import ZOO, dense_kernel, reduced

from theorylab.ntk.engine import Engine, Layout
from theorylab.ntk.plan import Plan

# kinds of the blocks in the order of the leaves; "jacobian" is the fallback
PLACES = {
    "mlp": ["dense+bias"] * 3,
    "ntk_parametrisation": ["dense", "dense"],
    "shared_weights": ["dense", "dense"],
    "tied_transpose": ["jacobian"],
    "stacked_layers": ["jacobian", "dense", "dense", "dense"],
    "scanned_layers": ["dense", "jacobian"],
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


def _engine(name: str, reduce: str) -> tuple[Engine, object, object]:
    f, params, x = ZOO[name]()
    return Engine(f, reduce, True, None), params, x


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
