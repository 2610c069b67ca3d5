"""Every public name of neural-tangents 0.6.5 is here, with its arguments, or on the list of what is
not offered (docs/guides/neural-tangents.md)."""

import inspect
import re
from pathlib import Path

import pytest

from theorylab import neural_tangents as nt

TOP = {
    "batch": "kernel_fn batch_size device_count store_on_device",
    "empirical_kernel_fn": "f trace_axes diagonal_axes vmap_axes implementation",
    "empirical_nngp_fn": "f trace_axes diagonal_axes",
    "empirical_ntk_fn": "f trace_axes diagonal_axes vmap_axes implementation",
    "empirical_ntk_vp_fn": "f x1 x2 params",
    "linearize": "f params",
    "taylor_expand": "f params degree",
    "monte_carlo_kernel_fn": "init_fn apply_fn key n_samples batch_size device_count "
    "store_on_device trace_axes diagonal_axes vmap_axes implementation",
}
PREDICT = {
    "gradient_descent": "loss k_train_train y_train learning_rate momentum trace_axes",
    "gradient_descent_mse": "k_train_train y_train learning_rate diag_reg diag_reg_absolute_scale "
    "trace_axes",
    "gradient_descent_mse_ensemble": "kernel_fn x_train y_train learning_rate diag_reg "
    "diag_reg_absolute_scale trace_axes",
    "gp_inference": "k_train_train y_train diag_reg diag_reg_absolute_scale trace_axes",
    "max_learning_rate": "ntk_train_train y_train_size momentum eps",
    "Gaussian": "mean covariance",
    "ODEState": "fx_train fx_test qx_train qx_test",
}
CONV = "out_chan filter_shape strides padding W_std b_std dimension_numbers parameterization s"
STAX = {
    "serial": "layers",
    "parallel": "layers",
    "repeat": "layer n",
    "Dense": "out_dim W_std b_std batch_axis channel_axis parameterization s",
    "Conv": CONV,
    "ConvTranspose": CONV,
    "ConvLocal": CONV,
    "AvgPool": "window_shape strides padding normalize_edges batch_axis channel_axis",
    "SumPool": "window_shape strides padding batch_axis channel_axis",
    "GlobalAvgPool": "batch_axis channel_axis",
    "GlobalSumPool": "batch_axis channel_axis",
    "Flatten": "batch_axis batch_axis_out",
    "GlobalSelfAttention": "n_chan_out n_chan_key n_chan_val n_heads linear_scaling W_key_std "
    "W_value_std W_query_std W_out_std b_std attention_mechanism pos_emb_type pos_emb_p_norm "
    "pos_emb_decay_fn n_chan_pos_emb W_pos_emb_std val_pos_emb batch_axis channel_axis",
    "LayerNorm": "axis eps batch_axis channel_axis",
    "Dropout": "rate mode",
    "Identity": "",
    "Aggregate": "aggregate_axis batch_axis channel_axis to_dense implementation",
    "DotGeneral": "lhs rhs dimension_numbers precision batch_axis channel_axis",
    "ImageResize": "shape method antialias precision batch_axis channel_axis",
    "Index": "idx batch_axis channel_axis",
    "FanOut": "num",
    "FanInSum": "",
    "FanInProd": "",
    "FanInConcat": "axis",
    "ABRelu": "a b do_stabilize",
    "Abs": "do_stabilize",
    "Cos": "a b c",
    "Elementwise": "fn nngp_fn d_nngp_fn",
    "ElementwiseNumerical": "fn deg df",
    "Erf": "a b c",
    "Exp": "a b",
    "ExpNormalized": "gamma shift do_clip",
    "Gabor": "",
    "Gaussian": "a b",
    "Gelu": "approximate",
    "Hermite": "degree",
    "LeakyRelu": "alpha do_stabilize",
    "Monomial": "degree",
    "Polynomial": "coef",
    "Rbf": "gamma",
    "RectifiedMonomial": "degree",
    "Relu": "do_stabilize",
    "Sigmoid_like": "",
    "Sign": "",
    "Sin": "a b c",
    "layer": "layer_fn",
    "requires": "static",
    "supports_masking": "remask_kernel",
    "unmask_fn": "fn",
    "MaskedArray": "masked_value mask",
    "Diagonal": "input output",
}
FIELDS = (
    "nngp ntk cov1 cov2 x1_is_x2 is_gaussian is_reversed is_input diagonal_batch diagonal_spatial "
    "shape1 shape2 batch_axis channel_axis mask1 mask2"
)


@pytest.mark.parametrize(
    ("home", "name", "arguments"),
    [
        (home, name, arguments)
        for home, names in ((nt, TOP), (nt.predict, PREDICT), (nt.stax, STAX))
        for name, arguments in names.items()
    ],
)
def test_a_public_name_takes_its_arguments_in_their_order(home, name, arguments):
    parameters = list(inspect.signature(getattr(home, name)).parameters)
    wanted = arguments.split()
    assert parameters[: len(wanted)] == wanted
    # beyond these there are only **kwargs
    assert len(parameters) <= len(wanted) + 1


def test_a_kernel_has_its_fields_in_their_order():
    assert list(inspect.signature(nt.Kernel).parameters) == FIELDS.split()


def test_enumerations_have_their_members():
    assert [m.name for m in nt.NtkImplementation] == [
        "AUTO",
        "JACOBIAN_CONTRACTION",
        "NTK_VECTOR_PRODUCTS",
        "STRUCTURED_DERIVATIVES",
    ]
    assert {m.value for m in nt.stax.Padding} == {"CIRCULAR", "SAME", "VALID"}
    assert {m.value for m in nt.stax.AttentionMechanism} == {"SOFTMAX", "IDENTITY", "ABS", "RELU"}
    assert {m.value for m in nt.stax.PositionalEmbedding} == {"NONE", "SUM", "CONCAT"}
    assert {m.value for m in nt.stax.AggregateImplementation} == {"DENSE", "SPARSE"}
    assert [m.name for m in nt.stax.Bool] == ["NO", "MAYBE", "YES"]
    assert nt.stax.Slice[1, :, 2:8] == (1, slice(None), slice(2, 8))


def documented():
    """{name on the migration page: what it says of it}, from its table of public functions."""
    page = Path(__file__).parents[2] / "docs" / "guides" / "neural-tangents.md"
    table = page.read_text(encoding="utf-8").split("### Every public function")[1].split("###")[0]
    found = {}
    for line in re.findall(r"^\| (`.*?) \| (.*) \|$", table, flags=re.M):
        names = re.findall(r"`([\w.]+)`", line[0])
        home = names[0].rpartition(".")[0]
        for name in names:
            found[name if "." in name or not home else f"{home}.{name}"] = line[1]
    return found


def test_every_public_name_is_on_the_migration_page_and_here_if_it_says_so():
    # public_names.txt is what `upstream.py` reads from a checkout (commit c17e770)
    recorded = (Path(__file__).parent / "public_names.txt").read_text(encoding="utf-8").split()
    said = documented()
    assert set(said) == set(recorded)
    here = {name for name, text in said.items() if text.startswith("yes")}
    assert set(recorded) - here == {
        "experimental.empirical_ntk_fn_tf",
        "experimental.get_apply_fn_and_params",
    }
    for name in here:
        home, _, last = name.rpartition(".")
        assert last in (getattr(nt, home) if home else nt).__all__, name
