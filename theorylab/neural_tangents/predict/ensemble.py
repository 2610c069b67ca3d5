"""Infinite ensembles: `gradient_descent_mse_ensemble` and `gp_inference`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.predict.layout import Gaussian, Layout, dtype_of, flow_of
from theorylab.neural_tangents.trees import any_ranks, is_pair, select, wanted
from theorylab.ntk import GradientFlow


def field(kernel: Any, name: str) -> Any:
    """A kernel's field; an array is its own."""
    if isinstance(kernel, dict):
        return kernel[name]
    if hasattr(kernel, "nngp") or hasattr(kernel, "ntk"):
        return getattr(kernel, name, None)
    return kernel


class Trained:
    """The training kernels, and one flow for each."""

    def __init__(
        self,
        layout: Layout,
        kernel: Callable[[str], Any],
        options: dict[str, Any],
    ) -> None:
        self.layout, self.kernel, self.options = layout, kernel, options
        self.flows: dict[str, GradientFlow] = {}

    def flow(self, name: str) -> GradientFlow:
        """Training by one of the kernels."""
        if name not in self.flows:
            self.flows[name] = flow_of(self.layout, self.kernel(name), **self.options)
        return self.flows[name]

    def mean(self, name: str, t: Any, k_test: Any) -> Any:
        """(*t, a, b) mean outputs; on the training points where `k_test` is None."""
        return self.flow(name).predict(t, k_test).mean

    def posterior(self, name: str, t: Any, k_test: Any, k_tt: Any) -> Any:
        """(*t, a, a): k_tt - k_td K⁻¹ (1 - exp(-2 η K t)) k_dt, of descent on a kernel's own GP."""
        with jax.enable_x64(True):
            flow = self.flow(name)
            own = self._raw(name)
            towards = own if k_test is None else jnp.asarray(k_test, jnp.float64)
            twice = dataclasses.replace(flow, y=towards.T)
            double = None if t is None else 2 * jnp.asarray(t, jnp.float64)
            gone = twice.predict(double, towards).mean
            start = own if k_tt is None else jnp.asarray(k_tt, jnp.float64)
            found = start - gone
            return (found + jnp.swapaxes(found, -1, -2)) / 2

    def spread(self, t: Any, k_test: Any, nngp_test: Any, nngp_tt: Any) -> Any:
        """(*t, a, a) covariance of networks trained by their tangent kernel."""
        with jax.enable_x64(True):
            flow = dataclasses.replace(self.flow("ntk"), nngp=self._raw("nngp"))
            if k_test is None:
                return flow.predict(t).covariance
            return flow.predict(t, k_test, nngp_test=nngp_test, nngp_test_test=nngp_tt).covariance

    def _raw(self, name: str) -> Any:
        k = jnp.asarray(self.layout.matrix(self.kernel(name)), jnp.float64)
        return (k + k.T) / 2


def gp_inference(
    k_train_train: Any,
    y_train: Any,
    diag_reg: float = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: Any = (-1,),
) -> Callable[..., Any]:
    """The posterior of the NNGP, of trained ensembles ("ntk"), or of a GP of the NTK ("ntkgp").

    Args:
        k_train_train: an array, or what has the fields `nngp` and `ntk`.
        y_train: targets.
        diag_reg: added to the diagonal.
        diag_reg_absolute_scale: whether it is no multiple of the mean of the diagonal.
        trace_axes: axes of the outputs that the kernel does not have.

    Returns:
        `predict_fn(get, k_test_train, k_test_test)`: the mean, or a `Gaussian` where `k_test_test`
        is given.

    Raises:
        InputError: a kernel that does not fit, or is singular; on a call, an NTK covariance without
            the NNGP kernels.

    Source:
        Lee et al. 2018, 2019; He et al. 2020 for "ntkgp".
    """
    layout = Layout(y_train, trace_axes)
    options = {"diag_reg": diag_reg, "absolute": diag_reg_absolute_scale}
    trained = Trained(layout, lambda name: field(k_train_train, name), options)
    rows = layout.row_sizes()

    @any_ranks
    def predict_fn(get: Any = None, k_test_train: Any = None, k_test_test: Any = None) -> Any:
        names = wanted(get)[1] or ("nngp", "ntk")
        out = {}
        for name in names:
            of = "ntk" if name == "ntkgp" else name
            k_dd = field(k_train_train, of)
            dtype = dtype_of(k_dd)
            if k_test_train is None:
                mean = layout.y.astype(dtype)
                zeros = jnp.zeros_like(jnp.asarray(k_dd))
                out[name] = mean if k_test_test is None else Gaussian(mean, zeros)
                continue
            k_td = field(k_test_train, of)
            after = layout.row_sizes(k_td)
            flat = layout.matrix(k_td)
            mean = layout.back(trained.mean(of, None, flat), after, dtype)
            if k_test_test is None:
                out[name] = mean
                continue
            k_tt = layout.matrix(field(k_test_test, of if name == "ntkgp" else "nngp"))
            if name == "ntk":
                _require_both(k_train_train, k_test_train)
                cross = layout.matrix(field(k_test_train, "nngp"))
                covariance = trained.spread(None, flat, cross, k_tt)
            else:
                covariance = trained.posterior(of, None, flat, k_tt)
            out[name] = Gaussian(mean, layout.pairs(covariance, after, dtype))
        return select("Gaussians", out, get)

    del rows
    return predict_fn


def _require_both(*kernels: Any) -> None:
    for kernel in kernels:
        if isinstance(kernel, dict):
            continue
        if getattr(kernel, "nngp", None) is None or getattr(kernel, "ntk", None) is None:
            raise InputError(
                "get='ntk' with a covariance: it depends on the NNGP kernels too; give kernels "
                "with both fields, kernel_fn(..., get=('nngp', 'ntk'))"
            )


def gradient_descent_mse_ensemble(
    kernel_fn: Callable[..., Any],
    x_train: Any,
    y_train: Any,
    learning_rate: float = 1.0,
    diag_reg: float = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: Any = (-1,),
    **kernel_fn_train_train_kwargs: Any,
) -> Callable[..., Any]:
    """Predicts the outputs of infinite ensembles during gradient flow on squared loss.

    Args:
        kernel_fn: `kernel_fn(x1, x2, get, **kwargs)` with "nngp" and "ntk".
        x_train: training inputs.
        y_train: targets.
        learning_rate: above 0.
        diag_reg: added to the diagonal.
        diag_reg_absolute_scale: whether it is no multiple of the mean of the diagonal.
        trace_axes: axes of the outputs that the kernel does not have.
        **kernel_fn_train_train_kwargs: for `kernel_fn(x_train, None, ...)`; pairs are of the two
            sides.

    Returns:
        `predict_fn(t, x_test, get, compute_cov, **kernel_fn_test_test_kwargs)`: the mean, or a
        `Gaussian`, for each kernel asked for; at times of any shape, None for the end.

    Raises:
        InputError: a kernel that does not fit; on a call, the end of training with a singular one.

    Source:
        Lee et al. 2019, equations 14 to 16; by `theorylab.ntk.gradient_flow`.
    """
    layout = Layout(y_train, trace_axes)
    named = kernel_fn_train_train_kwargs
    cache: dict[str, Any] = {}

    def train_kernel(name: str) -> Any:
        if name not in cache:
            cache.update(_kernels(kernel_fn, x_train, None, (name,), named))
        return cache[name]

    options = {
        "learning_rate": learning_rate,
        "diag_reg": diag_reg,
        "absolute": diag_reg_absolute_scale,
    }
    trained = Trained(layout, train_kernel, options)

    @any_ranks
    def predict_fn(
        t: Any = None,
        x_test: Any = None,
        get: Any = None,
        compute_cov: bool = False,
        **kernel_fn_test_test_kwargs: Any,
    ) -> Any:
        names = wanted(get)[1] or ("nngp", "ntk")
        if unknown := set(names) - {"nngp", "ntk"}:
            raise InputError(f"get = {sorted(unknown)}; 'nngp' and 'ntk' there are")
        needed = ("nngp", "ntk") if compute_cov and "ntk" in names else names
        missing = tuple(name for name in needed if name not in cache)
        if missing:
            cache.update(_kernels(kernel_fn, x_train, None, missing, named))
        cross: dict[str, Any] = {}
        if x_test is not None:
            mixed = _mixed(kernel_fn_test_test_kwargs, named)
            cross = _kernels(kernel_fn, x_test, x_train, needed, mixed)
            if compute_cov:
                shared = {n: v for n, v in named.items() if not is_pair(n, v)}
                own = {**shared, **kernel_fn_test_test_kwargs}
                cross["test"] = _kernels(kernel_fn, x_test, None, ("nngp",), own)["nngp"]
        out = {name: _predicted(trained, name, t, cross, compute_cov=compute_cov) for name in names}
        return select("Gaussians", out, get)

    return predict_fn


def _predicted(
    trained: Trained, name: str, t: Any, cross: dict[str, Any], *, compute_cov: bool
) -> Any:
    layout, k_dd = trained.layout, trained.kernel(name)
    dtype = dtype_of(k_dd)
    if not cross:
        rows = layout.row_sizes()
        if t is None:
            mean = layout.y.astype(dtype)
            return Gaussian(mean, jnp.zeros_like(jnp.asarray(k_dd))) if compute_cov else mean
        mean = layout.back(trained.mean(name, t, None), rows, dtype)
        if not compute_cov:
            return mean
        found = (
            trained.posterior(name, t, None, None)
            if name == "nngp"
            else trained.spread(t, None, None, None)
        )
        return Gaussian(mean, layout.pairs(found, rows, dtype))
    rows = layout.row_sizes(cross[name])
    flat = layout.matrix(cross[name])
    mean = layout.back(trained.mean(name, t, flat), rows, dtype)
    if not compute_cov:
        return mean
    own = layout.matrix(cross["test"])
    if name == "nngp":
        found = trained.posterior(name, t, flat, own)
    else:
        found = trained.spread(t, flat, layout.matrix(cross["nngp"]), own)
    return Gaussian(mean, layout.pairs(found, rows, dtype))


def _kernels(
    kernel_fn: Callable[..., Any],
    x1: Any,
    x2: Any,
    names: tuple[str, ...],
    kwargs: dict[str, Any],
) -> dict[str, Any]:
    if len(names) == 1:
        return {names[0]: kernel_fn(x1, x2, names[0], **kwargs)}
    found = kernel_fn(x1, x2, tuple(names), **kwargs)
    return {name: field(found, name) for name in names}


def _mixed(test: dict[str, Any], train: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of test against training points: a side of each pair."""
    mixed: dict[str, Any] = {}
    for name in {**train, **test}:
        value: Any = test.get(name, train.get(name))
        pair: Any = train.get(name, value)
        if is_pair(name, value) and is_pair(name, pair):
            mixed[name] = (value[0], pair[0])
        else:
            mixed[name] = value
    return mixed
