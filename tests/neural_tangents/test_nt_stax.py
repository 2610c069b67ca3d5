"""The layers: against the engine's own networks, explicit linear algebra, and one another."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.neural_tangents import stax
from theorylab.ntk import infinite

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 4, 5, 2)).astype(np.float32)
OTHERS = RNG.normal(size=(2, 4, 5, 2)).astype(np.float32)
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def interleave(kernel):
    """(n, n, h, w, h, w) to (n, n, h, h, w, w)."""
    return np.asarray(kernel).transpose(0, 1, 2, 4, 3, 5)


NETWORK = [
    stax.Conv(8, (2, 3), padding="SAME", W_std=1.3, b_std=0.2),
    stax.Relu(),
    stax.AvgPool((2, 2), (1, 2)),
    stax.Conv(8, (2, 2), W_std=1.1),
]
ENGINE = [
    infinite.conv(8, (2, 3), padding="SAME", sigma_w=1.3, sigma_b=0.2),
    infinite.relu(),
    infinite.avg_pool((2, 2), strides=(1, 2)),
    infinite.conv(8, (2, 2), sigma_w=1.1),
]


def test_kernels_are_those_of_the_engine_with_pairs_of_axes_side_by_side():
    kernel_fn = stax.serial(*NETWORK)[2]
    expected = infinite.serial(*ENGINE).kernel(IMAGES, OTHERS, get="both")
    k = kernel_fn(IMAGES, OTHERS)
    np.testing.assert_allclose(k.nngp, interleave(expected.nngp), **CLOSE)
    np.testing.assert_allclose(k.ntk, interleave(expected.ntk), **CLOSE)
    own = infinite.serial(*ENGINE).kernel(IMAGES, get="nngp")
    diagonal = np.moveaxis(np.diagonal(interleave(own)), -1, 0)
    np.testing.assert_allclose(k.cov1, diagonal, **CLOSE)
    assert k.shape1 == (3, 2, 1, 8) and k.shape2 == (2, 2, 1, 8)
    assert k.is_gaussian and not k.diagonal_spatial and k.cov1.shape == (3, 2, 2, 1, 1)


def test_get_chooses_fields_by_name():
    kernel_fn = stax.serial(stax.Dense(8), stax.Erf(), stax.Dense(1))[2]
    x = IMAGES[:, 0, 0]
    both = kernel_fn(x, None, ("ntk", "nngp"))
    assert both._fields == ("ntk", "nngp")
    np.testing.assert_array_equal(both.ntk, kernel_fn(x, None, "NTK"))
    assert kernel_fn(x, None, "nngp").dtype == jnp.float32
    with pytest.raises(InputError, match="no such field"):
        kernel_fn(x, None, "ntkk")


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("NCHW")][::11])
def test_any_order_of_axes_gives_the_same_kernel(order):
    spec = (order, "IWOH", order)
    axes = (order.index("N"), order.index("C"))

    def net(spec, axes, filters, window, strides):
        return stax.serial(
            stax.Conv(8, filters, strides, "SAME", 1.2, 0.3, dimension_numbers=spec),
            stax.LayerNorm(axes[1], batch_axis=axes[0], channel_axis=axes[1]),
            stax.Relu(),
            stax.AvgPool(window, batch_axis=axes[0], channel_axis=axes[1]),
            stax.GlobalAvgPool(*axes),
            stax.Dense(
                1, 1.0, 0.1, batch_axis=int(axes[0] > axes[1]), channel_axis=int(axes[0] < axes[1])
            ),
        )

    window = (1, 2) if order.index("H") < order.index("W") else (2, 1)
    moved = [np.transpose(x, ["NHWC".index(c) for c in order]) for x in (IMAGES, OTHERS)]
    init_fn, apply_fn, kernel_fn = net(spec, axes, (3, 2), window, (2, 1))  # filters are (W, H)
    reference = net(None, (0, 3), (2, 3), (1, 2), (1, 2))
    expected = reference[2](IMAGES, OTHERS)
    found = kernel_fn(*moved)
    for name in ("nngp", "ntk", "cov1", "cov2"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), **CLOSE)
    shape, params = init_fn(jax.random.key(0), moved[0].shape)
    assert apply_fn(params, moved[0]).shape == shape
    assert found.shape1 == shape


@pytest.mark.parametrize("layer", [stax.Dense, lambda *a, **k: stax.Conv(a[0], (3, 2), **k)])
def test_standard_parameterisation_has_the_gradients_of_its_own_parameters(layer):
    net = stax.serial(
        layer(64, W_std=1.3, b_std=0.4, parameterization="standard", s=(1, 2)), stax.Flatten()
    )
    # the kernel of one affine layer is exact at any width: its weights' own covariance and their
    # gradients, which do not depend on them
    k = net[2](IMAGES)
    patches = IMAGES if layer is stax.Dense else None
    if patches is None:
        patches = np.stack(
            [
                IMAGES[:, i : i + 2, j : j + 4].reshape(3, 2, 4, 2)
                for i in range(3)
                for j in range(2)
            ],
            -2,
        ).reshape(3, 2, 4, 12)
    inner = np.einsum("ihwc,jhwc->ij", patches, patches) / (patches.shape[1] * patches.shape[2])
    np.testing.assert_allclose(k.nngp, 1.69 * inner / patches.shape[-1] + 0.16, **CLOSE)
    np.testing.assert_allclose(k.ntk, inner + 1.0, **CLOSE)
    params = net[0](jax.random.key(0), IMAGES.shape)[1]
    w, b = params[0]
    assert w.shape[-1] == 128 and np.allclose(np.std(w), 1.3 / patches.shape[-1] ** 0.5, rtol=0.1)
    assert np.allclose(np.std(b), 0.4, rtol=0.3)


def test_a_padded_sentence_has_the_kernel_of_the_sentence_alone():
    words = RNG.normal(size=(2, 6, 3)).astype(np.float32)
    lengths = [6, 3]
    padded = words.copy()
    for sentence, length in zip(padded, lengths, strict=True):
        sentence[length:] = 100.0
    net = stax.serial(
        stax.Dense(8, 1.2, 0.3),
        stax.GlobalSelfAttention(8, 8, 2, 4, b_std=0.1),
        stax.Relu(),
        stax.Dense(8, 1.1, 0.2),
        stax.LayerNorm(),
        stax.Erf(),
        stax.GlobalAvgPool(),
        stax.Dense(1),
    )
    params = net[0](jax.random.key(0), padded.shape)[1]
    found = net[2](padded, None, ("nngp", "ntk"), mask_constant=100.0)
    outputs = stax.unmask_fn(net[1])(params, padded, mask_constant=100.0)
    for i, length in enumerate(lengths):
        short = words[i : i + 1, :length]
        alone = net[2](short, None, ("nngp", "ntk"))
        np.testing.assert_allclose(found.ntk[i, i], alone.ntk[0, 0], rtol=1e-4)
        np.testing.assert_allclose(found.nngp[i, i], alone.nngp[0, 0], rtol=1e-4)
        np.testing.assert_allclose(outputs[i], net[1](params, short)[0], rtol=1e-4, atol=1e-5)


def test_all_pairs_of_samples_are_held_where_asked_for():
    kernel_fn = stax.serial(*NETWORK, stax.GlobalAvgPool())[2]
    k = kernel_fn(IMAGES, OTHERS, diagonal_batch=False)
    np.testing.assert_allclose(k.cov1, kernel_fn(IMAGES, None, "nngp"), **CLOSE)
    np.testing.assert_allclose(k.cov2, kernel_fn(OTHERS, None, "nngp"), **CLOSE)


def test_equal_positions_suffice_before_flatten_and_not_before_pooling():
    block = stax.serial(stax.Conv(8, (2, 2)), stax.Relu())
    flat = stax.serial(stax.Flatten(), stax.Dense(1))
    pooled = stax.serial(stax.GlobalAvgPool(), stax.Dense(1))
    whole = stax.serial(block, flat)[2](IMAGES, OTHERS)
    assert block[2](IMAGES, OTHERS, diagonal_spatial=True).nngp.shape == (3, 2, 3, 4)
    by_parts = flat[2](block[2](IMAGES, OTHERS, diagonal_spatial=True))
    np.testing.assert_allclose(by_parts.ntk, whole.ntk, **CLOSE)
    with pytest.raises(ValueError, match="diagonal_spatial"):
        pooled[2](block[2](IMAGES, OTHERS, diagonal_spatial=True))
    with pytest.raises(ValueError, match="diagonal_spatial"):
        stax.serial(block, pooled)[2](IMAGES, diagonal_spatial=True)


def test_repeat_is_a_row_of_the_same_layer():
    block = stax.serial(stax.Dense(3, 1.2, 0.1), stax.Relu())
    x = IMAGES[:, 0, 0].repeat(2, 1)[:, :3]
    for n in (0, 1, 3):
        row = stax.serial(*[block] * n) if n else stax.Identity()
        for a, b in zip(
            row[2](x, None, ("nngp", "ntk", "cov1")),
            stax.repeat(block, n)[2](x, None, ("nngp", "ntk", "cov1")),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, **CLOSE)
    shape, params = stax.repeat(block, 3)[0](jax.random.key(0), x.shape)
    assert shape == x.shape and stax.repeat(block, 3)[1](params, x).shape == shape
    with pytest.raises(InputError, match="keep it"):
        stax.repeat(stax.Dense(7), 2)[0](jax.random.key(0), x.shape)


def fields(seed, *layers):
    """A kernel after a Dense layer, and the layers applied to it."""
    x = np.random.default_rng(seed).normal(size=(3, 4, 5, 2)).astype(np.float32)
    before = stax.Dense(8, 1.2, 0.3)[2](x)
    return before, stax.serial(*layers)[2](before)


def together(k):
    return np.asarray(k).transpose(0, 1, 2, 4, 3, 5)


def test_linear_maps_of_positions_act_on_both_positions_of_a_pair():
    # the nngp of a field is a Gram matrix: a linear map of signals maps both of its sides
    matrix = RNG.normal(size=(4, 6)).astype(np.float32)
    before, after = fields(
        1, stax.DotGeneral(rhs=matrix, dimension_numbers=(((1,), (0,)), ((), ())))
    )
    expected = np.einsum("ijhgwv,ha,gb->ijwvab", before.nngp, matrix, matrix)
    np.testing.assert_allclose(after.nngp, expected, **CLOSE)
    assert after.shape1 == (3, 5, 8, 6) and after.channel_axis == 2
    before, after = fields(2, stax.Index(stax.Slice[1:, ::2, -1]))
    np.testing.assert_allclose(
        after.nngp, np.asarray(before.nngp)[1:, 1:, ::2, ::2, -1, -1], **CLOSE
    )
    before, after = fields(3, stax.ImageResize((-1, 2, 5, -1), "linear"))
    resize = jax.image.resize(np.eye(4, dtype=np.float32), (2, 4), "linear")
    expected = np.einsum("ijhgwv,ah,bg->ijabwv", before.nngp, resize, resize)
    np.testing.assert_allclose(after.nngp, expected, rtol=1e-4, atol=1e-5)


def test_sums_over_neighbours_are_products_with_adjacency():
    nodes = RNG.normal(size=(3, 4, 2)).astype(np.float32)
    others = RNG.normal(size=(2, 4, 2)).astype(np.float32)
    p1, p2 = RNG.random((3, 4, 4)).astype(np.float32), RNG.random((2, 4, 4)).astype(np.float32)
    block = stax.serial(stax.Dense(8, 1.2, 0.3), stax.Relu())
    plain = block[2](nodes, others)
    found = stax.serial(block, stax.Aggregate())[2](nodes, others, pattern=(p1, p2))
    np.testing.assert_allclose(
        found.ntk, np.einsum("ijab,iac,jbd->ijcd", plain.ntk, p1, p2), **CLOSE
    )
    np.testing.assert_allclose(
        found.cov2, np.einsum("jab,jac,jbd->jcd", plain.cov2, p2, p2), **CLOSE
    )
    edges = np.array([[[0, 1], [2, 1], [3, 3], [-1, -1]]] * 3)
    dense = np.zeros((3, 4, 4), np.float32)
    dense[:, [0, 2, 3], [1, 1, 3]] = 1.0
    both = [
        stax.serial(block, layer)[2](nodes, None, "ntk", pattern=(p, p))
        for layer, p in (
            (stax.Aggregate(), dense),
            (stax.Aggregate(implementation="SPARSE"), edges),
        )
    ]
    np.testing.assert_allclose(*both, **CLOSE)
    applied = [
        layer[1]((), nodes, pattern=p)
        for layer, p in (
            (stax.Aggregate(), dense),
            (stax.Aggregate(implementation="SPARSE"), edges),
        )
    ]
    np.testing.assert_allclose(*applied, **CLOSE)
    np.testing.assert_allclose(applied[0], np.einsum("iac,iab->ibc", nodes, dense), **CLOSE)
    with pytest.raises(NotImplementedError, match="give both"):
        stax.Aggregate()[2](plain, pattern=(p1, None))


def test_branches_add_multiply_and_stand_side_by_side():
    x = IMAGES
    left = stax.serial(stax.Dense(6, 1.1, 0.2), stax.Relu(), stax.Dense(6, 0.9))
    right = stax.serial(stax.Dense(6, 0.8), stax.Erf(), stax.Dense(6, 1.4, 0.1))
    a, b = left[2](x), right[2](x)

    def joined(layer):
        return stax.serial(stax.FanOut(2), stax.parallel(left, right), layer)[2](x)

    total = joined(stax.FanInSum())
    np.testing.assert_allclose(total.ntk, a.ntk + b.ntk, **CLOSE)
    product = joined(stax.FanInProd())
    np.testing.assert_allclose(product.nngp, a.nngp * b.nngp, **CLOSE)
    np.testing.assert_allclose(product.ntk, a.ntk * b.nngp + a.nngp * b.ntk, **CLOSE)
    channels = joined(stax.FanInConcat(-1))
    np.testing.assert_allclose(channels.cov1, (a.cov1 + b.cov1) / 2, **CLOSE)
    rows = joined(stax.FanInConcat(1))
    assert rows.nngp.shape == (3, 3, 8, 8, 5, 5) and rows.shape1 == (3, 8, 5, 6)
    np.testing.assert_allclose(rows.nngp[:, :, :4, :4], a.nngp, **CLOSE)
    np.testing.assert_allclose(rows.nngp[:, :, 4:, 4:], b.nngp, **CLOSE)
    assert not np.any(rows.nngp[:, :, :4, 4:])
    with pytest.raises(NotImplementedError, match="independent"):
        stax.serial(
            stax.FanOut(2),
            stax.parallel(stax.Dense(6), stax.serial(stax.Dense(6), stax.Relu())),
            stax.FanInSum(),
        )[2](x)


def test_diagonal_requirements_compose_associatively():
    every = [stax.Diagonal(i, o) for i in stax.Bool for o in stax.Bool]
    for a, b, c in itertools.product(every, repeat=3):
        assert (a >> b) >> c == a >> (b >> c) == c << (b << a)
    dense, flatten = stax.Diagonal(), stax.Diagonal(output=stax.Bool.YES)
    pool = stax.Diagonal(stax.Bool.MAYBE, stax.Bool.YES)
    assert bool(dense >> flatten) and not bool(dense >> pool)


def test_a_layer_of_ones_own_joins_the_others():
    @stax.layer
    def Halve():
        def init_fn(rng, input_shape):
            return input_shape, ()

        def apply_fn(params, inputs, **kwargs):
            return inputs / 2

        def kernel_fn(k, **kwargs):
            names = ("nngp", "ntk", "cov1", "cov2")
            values = {n: getattr(k, n) for n in names}
            return k.replace(**{n: None if v is None else v / 4 for n, v in values.items()})

        return init_fn, apply_fn, kernel_fn

    net = stax.serial(stax.Dense(6), Halve(), stax.Relu(), stax.Dense(1))
    plain = stax.serial(stax.Dense(6), stax.Relu(), stax.Dense(1))
    np.testing.assert_allclose(
        net[2](IMAGES, None, "ntk"), np.asarray(plain[2](IMAGES, None, "ntk")) / 4, **CLOSE
    )
    assert Halve()[2].__name__ == "Halve"


@pytest.mark.parametrize(
    "use",
    [
        lambda: stax.serial(stax.Relu())[2](IMAGES),
        lambda: stax.serial(stax.Dense(2), stax.Relu(), stax.Erf())[2](IMAGES),
        lambda: stax.Index(stax.Slice[0])[2](IMAGES),
        lambda: stax.Index(stax.Slice[..., :1])[2](IMAGES),
        lambda: stax.ImageResize((-1, 2, 2, -1), "cubic")[2](IMAGES),
        lambda: stax.Elementwise(jnp.tanh)[2](stax.Dense(2)[2](IMAGES)),
        lambda: stax.GlobalSelfAttention(4, 4, 2, 2, linear_scaling=False)[2](IMAGES),
    ],
)
def test_what_has_no_limit_says_so(use):
    with pytest.raises((NotImplementedError, InputError)):
        use()


@pytest.mark.parametrize(
    "make",
    [
        lambda: stax.Dense(3, parameterization="mean field"),
        lambda: stax.Conv(3, (2, 2), padding="FULL"),
        lambda: stax.Conv(3, (2, 2), dimension_numbers=("NHWC", "HWIO", "NHDC")),
        lambda: stax.Dropout(0.0),
        lambda: stax.Dropout(0.5, mode="maybe"),
        lambda: stax.Flatten(batch_axis_out=2),
        lambda: stax.DotGeneral(lhs=1.0, rhs=2.0),
        lambda: stax.Elementwise(),
        lambda: stax.Dropout(0.5)[1]((), IMAGES),
        lambda: stax.Dense(3)[2](IMAGES[:, 0, 0, 0]),
        lambda: stax.LayerNorm(1)[2](stax.Dense(2)[2](IMAGES)),
        lambda: stax.Dense(3, channel_axis=1)[2](stax.Dense(2)[2](IMAGES)),
    ],
)
def test_bad_layers_are_refused(make):
    with pytest.raises(ValueError):
        make()
