"""The path of a CPU: strided convolutions by phases, biases folded into their layers, gradients in
pieces by BLAS."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from ntk_zoo import ZOO, dense_kernel, reduced

from theorylab.ntk import empirical_ntk, gradients, host, strides, sums, workers
from theorylab.ntk.analysis import analyse
from theorylab.ntk.graph import trace
from theorylab.ntk.layout import Layout
from theorylab.ntk.sites import find_blocks
from theorylab.ntk.stages import cut, whole

NHWC, NCHW = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")


def _normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@pytest.mark.long
@pytest.mark.parametrize(
    ("numbers", "x", "w", "stride", "padding"),
    [
        (NHWC, (2, 11, 9, 3), (4, 3, 3, 5), (3, 2), "VALID"),
        (NHWC, (2, 8, 8, 3), (1, 1, 3, 5), (2, 2), "SAME"),
        (NHWC, (2, 9, 8, 3), (2, 3, 3, 5), (1, 1), ((2, 1), (0, 3))),
        (NHWC, (2, 9, 8, 3), (4, 3, 3, 5), (3, 1), ((7, 5), (-1, 3))),
        (NHWC, (2, 4, 4, 128), (3, 3, 128, 130), (1, 1), "SAME"),
        (NCHW, (2, 128, 5, 4), (130, 128, 3, 2), (1, 1), ((2, 0), (-1, 2))),
        (NHWC, (2, 8, 8, 128), (3, 3, 128, 130), (2, 2), "SAME"),
        (NHWC, (2, 9, 7, 2), (2, 3, 2, 4), (3, 1), ((2, 1), (0, 3))),
        (NCHW, (2, 3, 8, 10), (5, 3, 3, 5), (2, 4), "SAME"),
        (("NWC", "WIO", "NWC"), (2, 12, 3), (5, 3, 4), (2,), "SAME"),
        (("NDHWC", "DHWIO", "NDHWC"), (1, 5, 6, 4, 2), (3, 2, 2, 2, 3), (2, 2, 1), "SAME"),
    ],
)
def test_convolutions_in_other_forms_and_their_derivatives_are_the_same(
    numbers: Any, x: Any, w: Any, stride: Any, padding: Any
) -> None:
    x, w = _normal(0, *x), _normal(1, *w)

    def plain(x: Any, w: Any) -> list[Any]:
        return [
            lax.conv_general_dilated(
                x, w, stride, padding, dimension_numbers=numbers, precision="highest"
            )
        ]

    (op,) = trace(plain, x, w).ops
    ct = _normal(2, *plain(x, w)[0].shape)
    (reference,) = [jax.vjp(lambda x, w: plain(x, w)[0], x, w)[1](ct)]
    value, pullback = jax.vjp(lambda x, w: strides.apply(op, x, w)[0], x, w)
    wanted = plain(x, w)[0]
    np.testing.assert_allclose(value, wanted, atol=2e-5 * float(jnp.abs(wanted).max()))
    for found, wanted in zip(pullback(ct), reference, strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-5 * float(jnp.abs(wanted).max()))


def _blocks(f: Any, params: list[Any], x: jax.Array) -> list[tuple[str, int]]:
    graph = trace(lambda params, x: [f(params, x[None])[0]], params, x)
    return [(block.kind, block.leaf) for block in find_blocks(graph, len(params), 1)]


def test_a_bias_is_folded_only_where_it_is_one() -> None:
    w, b, x = _normal(0, 4, 3), _normal(1, 3), _normal(2, 4)
    assert _blocks(lambda p, x: x @ p[0] + p[1], [w, b], x) == [("dense+bias", 0)]
    assert _blocks(lambda p, x: p[1] + x @ p[0], [w, b], x) == [("dense+bias", 0)]
    apart = [("dense", 0), ("jacobian", 1)]
    # not the layer's own result
    assert _blocks(lambda p, x: 2 * (x @ p[0]) + p[1], [w, b], x) == apart
    # used elsewhere too
    assert _blocks(lambda p, x: (z := x @ p[0]) + p[1] + jnp.tanh(z), [w, b], x) == apart
    assert _blocks(lambda p, x: jnp.tanh(x @ p[0] + p[1]) + p[1], [w, b], x) == apart  # added twice
    assert _blocks(lambda p, x: x @ p[0] + 2 * p[1], [w, b], x) == apart
    # one number for all features
    assert _blocks(lambda p, x: x @ p[0] + p[1], [w, _normal(1, 1)], x) == apart
    assert _blocks(lambda p, x: x @ (2 * p[0]) + p[1], [w, b], x) == apart
    positions = _normal(3, 5, 4)
    # one row for each position
    assert _blocks(lambda p, x: x @ p[0] + p[1], [w, _normal(1, 5, 3)], positions) == apart
    assert _blocks(lambda p, x: x @ p[0] + p[1], [w, b], positions) == [("dense+bias", 0)]


def test_a_weight_that_is_also_added_leaves_its_bias_in_the_kernel() -> None:
    params, x = [_normal(0, 4, 4), _normal(1, 4)], _normal(2, 5, 4, 4)

    def f(p: Any, x: Any) -> Any:
        return jnp.sum(jnp.tanh(jnp.tanh(x @ p[0] + p[1]) + p[0]), 1)

    assert _blocks(f, params, x[0]) == [("jacobian", 0), ("jacobian", 1)]
    wanted = dense_kernel(f, params, x)
    np.testing.assert_allclose(
        empirical_ntk(f, params, x, reduce="full"), wanted, atol=1e-5 * np.abs(wanted).max()
    )


def test_blocks_of_two_precisions_are_summed_in_the_wider() -> None:
    with jax.enable_x64(True):
        params, x = [_normal(0, 4, 4), _normal(1, 4, 3).astype(jnp.float64)], _normal(2, 5, 4)

        # the float32 block is a small part, so that its rounding is smaller still
        def f(p: Any, x: Any) -> Any:
            return jnp.tanh(
                (x.astype(jnp.float64) + 1e-5 * jnp.tanh(x @ p[0]).astype(jnp.float64)) @ p[1]
            )

        found, wanted = empirical_ntk(f, params, x), reduced(dense_kernel(f, params, x), "trace")
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


def network(params: Any, x: Any) -> Any:
    """Convolutions of stride 1 and 2 with biases, one that leaves a single position, a matrix."""
    for (w, b), stride, padding in zip(
        params["conv"], (1, 2, 1), ("SAME", "SAME", "VALID"), strict=True
    ):
        x = jax.nn.relu(
            lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=NHWC) + b
        )
    return x[:, 0, 0] @ params["w"] + params["b"]


def _network() -> tuple[Any, jax.Array]:
    sizes = [(3, 3, 2, 4), (3, 3, 4, 6), (4, 4, 6, 5)]
    conv = [(0.3 * _normal(i, *size), _normal(9 + i, size[-1])) for i, size in enumerate(sizes)]
    return {"conv": conv, "w": _normal(5, 5, 3), "b": _normal(6, 3)}, _normal(7, 7, 8, 8, 2)


@pytest.mark.long
@pytest.mark.parametrize("reduce", ["full", "diagonal", "trace", "sum_logits"])
def test_pieces_batches_and_tiles_of_any_size_give_the_kernel(
    reduce: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, x = _network()
    wanted = reduced(dense_kernel(network, params, x), reduce)
    monkeypatch.setattr("theorylab.ntk.layout.TILE", 3)
    for piece, batch, samples, rows, stage in (
        (1, 6, 1024, 2, 1),
        (3000, 1, 4, 512, 1 << 12),
        (1 << 26, 320, 4, 2, 1),
    ):
        for name, value in (
            ("_PASS", ((batch, batch),) * 2),
            ("_WHOLE", samples),
            ("_STAGE", stage),
            ("_LARGE", stage),
        ):
            monkeypatch.setattr(host, name, value)
        monkeypatch.setattr(gradients, "PIECE", piece)
        monkeypatch.setattr(sums, "PIECE", piece)
        monkeypatch.setattr(sums, "ROWS", rows)
        fresh = lambda params, x: network(params, x)  # noqa: E731  # an engine of its own
        for columns in (None, x[:4]):
            kernel = empirical_ntk(fresh, params, x, columns, reduce=reduce)
            np.testing.assert_allclose(
                kernel, wanted[:, : kernel.shape[1]], atol=1e-5 * np.abs(wanted).max()
            )


@pytest.mark.long
@pytest.mark.parametrize("reduce", ["full", "diagonal", "trace", "sum_logits"])
def test_tiles_made_anew_for_every_pair_give_the_kernel(
    reduce: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, x = _network()
    wanted, made = reduced(dense_kernel(network, params, x), reduce), []
    monkeypatch.setattr(host, "_WHOLE", 3)
    monkeypatch.setattr(host, "_STAGE", 1)
    monkeypatch.setattr(
        Layout, "derived", lambda self, _: made.append(self.plan.held) or 100 + self.plan.held
    )
    fresh = lambda params, x: network(params, x)  # noqa: E731  # an engine of its own
    for columns in (None, x[:4]):
        kernel = empirical_ntk(fresh, params, x, columns, reduce=reduce)
        np.testing.assert_allclose(
            kernel, wanted[:, : kernel.shape[1]], atol=1e-5 * np.abs(wanted).max()
        )
    assert made == [True, False] * 2


@pytest.mark.slow
def test_large_tiles_are_made_anew_where_the_memory_holds_few_gradients() -> None:
    params, x = (
        [_normal(0, 3, 3, 2, 64), _normal(1, 3, 3, 64, 256), _normal(2, 256, 1)],
        _normal(3, 600, 8, 8, 2),
    )

    def f(p: Any, x: Any) -> Any:
        for w in p[:2]:
            x = (
                jax.nn.relu(lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=NHWC))
                / 10
            )
        return x.mean((1, 2)) @ p[2]

    engine = host.HostEngine(f, "trace", True, None)
    layout = engine.layout(params, x, None, 0.15)
    assert not layout.plan.held and 64 < layout.tile < 600
    wanted = empirical_ntk(f, params, x, memory_gb=4)
    np.testing.assert_allclose(empirical_ntk(f, params, x, memory_gb=0.15), wanted, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("name", ZOO)
def test_a_backward_pass_in_stages_gives_the_kernel(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    f, params, x = ZOO[name]()
    monkeypatch.setattr(host, "_STAGE", 1)
    monkeypatch.setattr(host, "_LARGE", 0)
    wanted = reduced(dense_kernel(f, params, x), "trace")
    fresh = lambda params, x: f(params, x)  # noqa: E731  # an engine of its own
    np.testing.assert_allclose(
        empirical_ntk(fresh, params, x), wanted, atol=1e-5 * np.abs(wanted).max()
    )


def test_stages_hold_every_block_once_and_cut_none() -> None:
    params, x = _network()
    analysis = analyse(network, params, x)
    stages = cut(analysis.graph, analysis.blocks, analysis.flow, 1)
    assert len(stages) == 4  # three convolutions and a matrix, each with its bias
    assert sorted(i for stage in stages for i in stage.blocks) == list(range(len(analysis.blocks)))
    assert [stage.stop for stage in stages[:-1]] == [stage.start for stage in stages[1:]]
    assert all(len(stage.enter) == 1 for stage in stages[1:])
    for stage in stages:
        for block in (analysis.blocks[i] for i in stage.blocks):
            assert all(stage.start <= site.op < stage.stop for site in block.sites)
    assert cut(analysis.graph, analysis.blocks, analysis.flow, 10**9) == [
        whole(analysis.graph, analysis.blocks)
    ]


def test_a_leaf_that_enters_twice_keeps_its_operations_in_one_stage() -> None:
    w, x = _normal(0, 4, 4), _normal(1, 3, 4)
    analysis = analyse(
        lambda p, x: jnp.tanh(jnp.tanh(x @ p[0]) @ p[1]) @ p[0], [w, _normal(2, 4, 4)], x
    )
    (stage,) = cut(analysis.graph, analysis.blocks, analysis.flow, 1)
    assert stage.blocks == (0, 1)


def test_every_unit_of_work_is_done_once_and_errors_are_told() -> None:
    done: list[int] = []
    workers.share(
        [lambda _, i=i: done.append(i) for i in range(100)], [workers.Scratch() for _ in range(4)]
    )
    assert sorted(done) == list(range(100))

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        workers.share([fail, fail], [workers.Scratch() for _ in range(2)])


@pytest.mark.parametrize("name", ["mlp", "attention", "strided_dilated_conv"])
def test_a_traced_kernel_and_the_hosts_agree(name: str) -> None:
    f, params, x = ZOO[name]()
    traced = jax.jit(lambda x: empirical_ntk(f, params, x, reduce="full"))(x)
    np.testing.assert_allclose(
        empirical_ntk(f, params, x, reduce="full"), traced, atol=1e-5 * np.abs(traced).max()
    )
