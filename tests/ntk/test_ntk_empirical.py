"""The empirical kernel equals the float64 dense Jacobian, on every architecture, by every method
and reduction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ntk_zoo import ZOO, dense_kernel, reduced

from theorylab.ntk import empirical, empirical_ntk

REDUCES = ("full", "diagonal", "trace", "sum_logits")


def _error(kernel: np.ndarray, reference: np.ndarray) -> float:
    assert kernel.shape == reference.shape
    return float(np.abs(kernel - reference).max() / np.abs(reference).max())


@pytest.mark.long
@pytest.mark.parametrize("name", ZOO)
def test_structured_kernel_equals_dense_jacobian(name: str) -> None:
    f, params, x = ZOO[name]()
    reference = dense_kernel(f, params, x)
    full = empirical_ntk(f, params, x, reduce="full", dtype=jnp.float64)
    assert full.dtype == np.float64
    assert _error(full, reference) < 1e-11
    single = empirical_ntk(f, params, x)
    assert single.dtype == np.float32
    assert _error(single, reduced(reference, "trace")) < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("name", ["grouped_conv", "tied_embedding"])
def test_every_reduction_of_two_sets_equals_dense_jacobian(name: str, reduce: str) -> None:
    f, params, x = ZOO[name]()
    reference = reduced(dense_kernel(f, params, x), reduce)
    assert _error(empirical_ntk(f, params, x[:2], x, reduce=reduce), reference[:2]) < 1e-5
    assert _error(empirical_ntk(f, params, x, reduce=reduce), reference) < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("method", ["jacobian", "ntk_vp"])
@pytest.mark.parametrize("name", ["shared_weights", "grouped_conv"])
def test_other_methods_equal_dense_jacobian(name: str, method: str) -> None:
    f, params, x = ZOO[name]()
    kernel = empirical_ntk(f, params, x, reduce="full", method=method, dtype="float64")
    assert _error(kernel, dense_kernel(f, params, x)) < 1e-11


@pytest.mark.long
@pytest.mark.parametrize("reduce", REDUCES)
def test_products_with_every_reduction_equal_dense_jacobian_in_any_tiles(reduce: str) -> None:
    f, params, x = ZOO["mlp"]()
    x = jnp.concatenate([x, 2 * x, -x])[:13]
    reference = reduced(dense_kernel(f, params, x), reduce)
    kernel = empirical_ntk(f, params, x, x[:7], reduce=reduce, method="ntk_vp", memory_gb=6e-6)
    assert _error(kernel, reference[:, :7]) < 1e-5
    traced = jax.jit(lambda p, x: empirical_ntk(f, p, x, reduce=reduce, method="ntk_vp"))(params, x)
    assert _error(np.asarray(traced), reference) < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("reduce", REDUCES)
def test_small_budget_cuts_samples_and_outputs_and_changes_nothing(reduce: str) -> None:
    f, params, x = ZOO["mlp"]()
    x = jnp.concatenate([x, 2 * x, -x])[:13]
    reference = reduced(dense_kernel(f, params, x), reduce)
    assert _error(empirical_ntk(f, params, x, reduce=reduce, memory_gb=6e-6), reference) < 1e-5
    assert (
        _error(empirical_ntk(f, params, x, x[:7], reduce=reduce, memory_gb=6e-6), reference[:, :7])
        < 1e-5
    )


@pytest.mark.parametrize("reduce", ["full", "diagonal"])
def test_the_last_chunk_of_outputs_may_be_a_shorter_one(reduce: str) -> None:
    rng, outputs, budget = np.random.default_rng(0), 5, 5e-7
    w, x = (jnp.asarray(rng.standard_normal(s), jnp.float32) for s in ((3, outputs), (4, 3)))
    f = lambda w, x: jnp.tanh(x @ w)  # noqa: E731
    layout = empirical._engine(f, reduce, "ntk_vp", None, "highest").layout(w, x, None, budget)
    assert reduce != "full" or outputs % layout.chunk > 0
    kernel = empirical_ntk(f, w, x, reduce=reduce, method="ntk_vp", memory_gb=budget)
    assert _error(kernel, reduced(dense_kernel(f, w, x), reduce)) < 1e-5


@pytest.mark.parametrize("method", ["auto", "ntk_vp"])
def test_the_seeds_of_a_traced_kernel_are_no_constants_to_its_compiler(method: str) -> None:
    """That for TPU v5e fails on them, once they are folded (128 samples, two outputs)."""
    f, params, x = ZOO["mlp"]()
    program = jax.jit(lambda p, x: empirical_ntk(f, p, x, method=method)).trace(params, x).jaxpr
    (barrier,) = [e for e in program.eqns if e.primitive.name == "optimization_barrier"]
    assert barrier.invars[0].aval.shape == (3, 3)


@pytest.mark.long
def test_kernel_inside_jit_and_grad_of_the_caller() -> None:
    f, params, x = ZOO["ntk_parametrisation"]()
    reference = reduced(dense_kernel(f, params, x), "trace")
    assert (
        _error(np.asarray(jax.jit(lambda p, x: empirical_ntk(f, p, x))(params, x)), reference)
        < 1e-5
    )
    scaled = lambda s: empirical_ntk(lambda p, x: s * f(p, x), params, x).sum()  # noqa: E731
    # K(s f) = s^2 K(f)
    assert jax.grad(scaled)(3.0) == pytest.approx(2 * 3.0 * reference.sum(), rel=1e-5)


def test_samples_in_any_order_permute_the_kernel() -> None:
    f, params, x = ZOO["strided_dilated_conv"]()
    order = np.array([3, 0, 4, 1, 2])
    kernel = empirical_ntk(f, params, x)
    # One sum in another order: float32 rounding of the largest entry.
    np.testing.assert_allclose(
        empirical_ntk(f, params, x[order]), kernel[np.ix_(order, order)], atol=1e-6 * kernel.max()
    )
    np.testing.assert_array_equal(kernel, kernel.T)


def test_numpy_inputs_single_outputs_and_empty_sets_are_accepted() -> None:
    w, x = np.ones(3), np.arange(6.0).reshape(2, 3)
    linear = lambda w, x: x @ w  # noqa: E731
    np.testing.assert_allclose(empirical_ntk(linear, w, x), x @ x.T)
    assert empirical_ntk(linear, w, x, x[:0]).shape == (2, 0)
    assert empirical_ntk(linear, w, x[:0], reduce="full").shape == (0, 0, 1, 1)


def test_bfloat16_network_is_summed_in_float32() -> None:
    x = np.random.default_rng(0).standard_normal((3, 64))
    kernel = empirical_ntk(lambda w, x: x @ w, jnp.zeros(64), x, dtype=jnp.bfloat16)
    rounded = np.asarray(jnp.asarray(x, jnp.bfloat16), np.float64)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, rounded @ rounded.T, rtol=1e-5, atol=1e-4)


def test_explain_names_every_leaf_and_the_chosen_order(capsys: pytest.CaptureFixture[str]) -> None:
    f, params, x = ZOO["custom_derivatives"]()
    empirical_ntk(f, params, x, explain=True)
    shown = capsys.readouterr().out
    assert shown.count("dense") == 1 and shown.count("jacobian") == 1 and "Grams" in shown


def test_progress_bar_reaches_the_last_tile(capsys: pytest.CaptureFixture[str]) -> None:
    f, params, x = ZOO["mlp"]()
    empirical_ntk(f, params, x, memory_gb=2e-5, progress=True)
    assert "tiles" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduce": "mean"}, "reduce = 'mean'"),
        ({"method": "fast"}, "method = 'fast'"),
        ({"method": "ntk_vp", "explain": True}, "method='ntk_vp'"),
        ({"memory_gb": 0}, "memory_gb = 0"),
        ({"memory_gb": 1e-7}, "allow that much"),
        ({"x2": np.ones((2, 5))}, "x2: samples must look like"),
        ({"x1": {"a": np.ones((2, 4)), "b": np.ones((3, 4))}}, "x1: every array"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    f, params, x = ZOO["mlp"]()
    with pytest.raises(ValueError, match=message):
        empirical_ntk(f, params, **{"x1": x, **options})


def test_few_samples_of_very_many_parameters_are_summed_in_pieces_without_loss() -> None:
    x = np.random.default_rng(0).standard_normal((3, 70_005)).astype(np.float32)
    kernel = empirical_ntk(lambda w, x: (w * x).sum(-1), np.zeros(70_005, np.float32), x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(kernel, wide @ wide.T, atol=1e-5 * 70_005)
