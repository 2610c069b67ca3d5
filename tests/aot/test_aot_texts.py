"""The text of programs as they are handed to the compilers for GPUs and TPUs.

Lowering needs no compiler for the device, so these are tests like others. What only the compiled
program shows is in `test_aot_programs.py`.
"""

import re

import calls
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import texts

from theorylab.ntk.layout import Layout
from theorylab.ntk.plan import choose
from theorylab.ntk.xla import XlaEngine

PLATFORMS = ("cuda", "tpu")


def lowered(f, *args, platform):
    return jax.jit(f).trace(*args).lower(lowering_platforms=(platform,)).as_text()


def engine_texts(kind, reduce, platform, precision="highest"):
    """The two programs of the engine: features of a tile, and the product of two tiles."""
    f, params, x = calls.network(kind)
    with jax.default_matmul_precision(precision):
        engine = XlaEngine(f, reduce, True, None)
        analysis = engine.analysis(params, x)
        n, outputs = len(x), analysis.outputs
        plan = choose(analysis.blocks, reduce, outputs, n, n * n, 4)
        seeds = Layout(n, outputs, outputs, 2, plan, 0).seeds(0, reduce, analysis.dtype)
        features = lambda params, x, seeds: engine._features(plan, params, x, seeds)  # noqa: E731
        made = jax.eval_shape(features, params, x, seeds)
        product = lambda a, b: engine._contract(None, a, b)  # noqa: E731
        return [
            lowered(features, params, x, seeds, platform=platform),
            lowered(product, made, made, platform=platform),
        ]


def has_float64(text):
    return bool(re.search(r"\bf64\b|xf64", text))


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("reduce", calls.REDUCTIONS)
@pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
def test_kernels_have_full_float32_products_no_float64_and_no_host_transfer(kind, reduce, platform):
    found = engine_texts(kind, reduce, platform)
    seen = [product for text in found for product in texts.products(text)]
    assert seen and all(map(texts.is_highest, seen))
    assert not any(has_float64(text) or "custom_call" in text for text in found)


def test_the_check_of_precision_sees_what_may_take_tf32():
    found = engine_texts("convolutional", "trace", "cuda", precision="default")
    seen = [product for text in found for product in texts.products(text)]
    assert not any(map(texts.is_highest, seen))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_traced_kernel_has_full_float32_products_too(platform):
    from theorylab.ntk import empirical_ntk

    f, params, x = calls.network("convolutional")
    text = lowered(lambda p, x: empirical_ntk(f, p, x), params, x[:16], platform=platform)
    # the probe that looks for coupled samples comes first, in the caller's precision, and its
    # result is not used: XLA drops it
    assert any(map(texts.is_highest, texts.products(text))) and not has_float64(text)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_training_loop_of_float32_stays_on_the_device_and_in_float32(platform):
    import optax

    from theorylab.nets.losses import cross_entropy
    from theorylab.nets.steps import Training

    f, params, x = calls.network("convolutional")
    apply = lambda params, state, x: (f(params, x), state)  # noqa: E731
    training = Training(apply, cross_entropy, optax.sgd(0.1, 0.9), None, len(x), 32)
    carry = training.init(params, {}, jax.random.key(0))
    data = jnp.asarray(x), jnp.zeros(len(x), jnp.int32), None

    def loop(carry, key, data):
        return jax.lax.fori_loop(0, 50, lambda t, c: training.step(c, t, key, data)[0], carry)

    text = lowered(loop, carry, jax.random.key(1), data, platform=platform)
    assert "stablehlo.while" in text and not has_float64(text)
    assert not re.search(r"stablehlo\.(send|recv|infeed|outfeed)|callback", text)


def test_a_program_that_asks_the_host_is_not_lowered_for_a_device_that_is_not_here():
    def loop(x):
        def body(_, x):
            return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), x.dtype), x)

        return jax.lax.fori_loop(0, 3, body, x)

    # so that the programs above, which are, cannot hold a call of the host
    with pytest.raises(ValueError, match="platform"):
        lowered(loop, jnp.float32(1.0), platform="tpu")
