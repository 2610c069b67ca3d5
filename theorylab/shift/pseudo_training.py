"""Fine-tuning on pseudo-labels: one compiled program for many data sets of one size.

Source: Yu, Yang, Wei, Ma, Steinhardt (ICML 2022), algorithm 1, and its public code.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from theorylab import linalg
from theorylab.checks import choice, count, function, instance, real
from theorylab.checks import key as checked_key
from theorylab.cores import parallel_map
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError
from theorylab.nets.functional import Apply, Params, State
from theorylab.nets.losses import cross_entropy
from theorylab.ntk.convolutions import has_convolutions
from theorylab.shift import training_loops as loops
from theorylab.shift.checks import arrays
from theorylab.shift.fine_tuning import FineTuning, batch_order
from theorylab.shift.training_loops import Classifier, Loss

SetAxis = Literal["threads", "host", "map", "vmap"]
TrainMode = tuple[Apply, State]


class PseudoTraining:
    """`FineTuning` of a classifier: one compiled program for all data sets of one size.

    Use it where many data sets are fine-tuned on; `finetune` serves one.

    Args:
        f: logits `f(params, x)` of a batch. Give the same function object again and nothing is
            compiled again.
        recipe: a `FineTuning`.
        train_mode: `(apply, state)` of `nets.functional_train` for a network with batch norm or
            dropout: it is trained in train mode from that state; statistics are no parameters and
            do not enter the norm.
        loss: (logits, labels) -> one value per sample.
        set_axis: how data sets are run. "threads": each one compiled loop, as many at a time as
            there are cores; "host": the same, each step driven from Python, so that one compiled
            step serves every size of data set and number of steps; "map": one after the other in
            one compiled loop; "vmap": at once, which stacks all parameters. By default "vmap" on an
            accelerator, "threads" on CPU, and "host" there for large convolutions, whose gradients
            XLA runs several times slower inside loops (small ones are computed as products).
        mesh: devices over which "vmap" spreads the data sets, along the mesh's first axis.
        eval_batch_size: samples of which pseudo-labels are computed at once.

    Raises:
        InputError: values of another kind; a mesh with another axis than "vmap".
    """

    def __init__(
        self,
        f: Classifier,
        recipe: FineTuning,
        *,
        train_mode: TrainMode | None = None,
        loss: Loss = cross_entropy,
        set_axis: SetAxis | None = None,
        mesh: Mesh | None = None,
        eval_batch_size: int = 500,
    ) -> None:
        function("f", f)
        instance("recipe", recipe, FineTuning, "a FineTuning")
        function("loss", loss)
        choice("set_axis", set_axis, ("threads", "host", "map", "vmap", None))
        instance("mesh", mesh, (Mesh, type(None)), "a jax.sharding.Mesh, or None,")
        if train_mode is not None and not (isinstance(train_mode, tuple) and len(train_mode) == 2):
            raise InputError(
                "train_mode is no pair (apply, state); take it from nets.functional_train"
            )
        if mesh is not None and set_axis not in ("vmap", None):
            raise InputError(f"mesh: devices are used with set_axis='vmap', not {set_axis!r}")
        self.f, self.recipe, self.mesh, self.set_axis = f, recipe, mesh, set_axis
        self.eval_batch_size = count("eval_batch_size", eval_batch_size)
        self._state = train_mode[1] if train_mode else {}
        apply = loops.in_train_mode(train_mode[0]) if train_mode else loops.stateless(f)
        self._outputs: dict[Any, int] = {}  # by batch and kind of parameters: number of outputs
        # by batch: whether convolutions remain in the network
        self._large: dict[jax.ShapeDtypeStruct, bool] = {}
        self._static: dict[str, Any] = {"apply": apply, "loss": loss, "momentum": recipe.momentum}

    @old_arguments("self theta0 x y key")
    def __call__(
        self,
        theta0: Params,
        x: Float[ArrayLike, "n ..."],
        y: Int[ArrayLike, " n"],
        *,
        key: Key[Array, ""],
    ) -> Params:
        """Parameters after T steps from `theta0` on one labelled data set.

        `key` fixes the order of the batches.
        """
        x, y, order = self._prepared(theta0, x, y, key, 1)
        if self._axis(theta0, x) != "host":
            return _finite(
                loops.train(theta0, self._state, x, y, *self._schedule(order), **self._static)
            )
        carry = theta0, jax.tree.map(jnp.zeros_like, theta0), self._state
        for rows, rate in zip(np.asarray(order), self.recipe.rates(), strict=True):
            carry = loops.one_step(carry, *loops.batch(x, y, rows), rate, **self._static)
        return _finite(carry[0])

    def _schedule(self, order: Array) -> tuple[Array, np.ndarray, int]:
        """Batches, learning rates and their number, filled up to a power of 2.

        So few programs serve many lengths.
        """
        steps = self.recipe.steps
        fill = (1 << (steps - 1).bit_length()) - steps
        return jnp.pad(order, ((0, fill), (0, 0))), np.pad(self.recipe.rates(), (0, fill)), steps

    def _axis(self, theta0: Params, x: Array) -> SetAxis:
        if self.set_axis is not None:
            return self.set_axis
        if self.mesh is not None or jax.default_backend() != "cpu":
            return "vmap"
        batch = jax.ShapeDtypeStruct((self.recipe.batch_size, *x.shape[1:]), x.dtype)
        if batch not in self._large:
            self._large[batch] = has_convolutions(self._static["apply"], theta0, self._state, batch)
        return "host" if self._large[batch] else "threads"

    @old_arguments("self theta0 x y key")
    def many(
        self,
        theta0: Params,
        x: Float[ArrayLike, "s n ..."],
        y: Int[ArrayLike, "s n"],
        *,
        key: Key[Array, ""],
    ) -> Params:
        """Fine-tune on S data sets of one size, all with the same order of batches.

        Arrays get a leading axis S.
        """
        x, y, order = self._prepared(theta0, x, y, key, 2)
        axis = self._axis(theta0, x[0])
        if axis in ("threads", "host"):
            batch = jax.ShapeDtypeStruct((self.recipe.batch_size, *x.shape[2:]), x.dtype)
            alone = linalg.waiting_calls(self._static["apply"], theta0, self._state, batch)
            pairs = list(zip(x, y, strict=True))
            runs = parallel_map(
                lambda pair: self(theta0, *pair, key=key), pairs, threads=1 if alone else None
            )
            return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
        train = loops.train_in_turn if axis == "map" else loops.train_at_once
        rest = self._schedule(order)
        if self.mesh is None:
            return _finite(train(theta0, self._state, x, y, *rest, **self._static))
        sets = len(x)
        # what fills the last round is dropped
        filled = jnp.arange(sets + -sets % self.mesh.devices.shape[0]) % sets
        along = NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names[0]))
        x, y = (jax.device_put(a[filled], along) for a in (x, y))
        return _finite(
            jax.tree.map(
                lambda leaf: leaf[:sets], train(theta0, self._state, x, y, *rest, **self._static)
            )
        )

    def _prepared(
        self, theta0: Any, x: Any, y: Any, key: Any, axes: int
    ) -> tuple[Array, Array, Array]:
        checked_key("key", key)
        x, y = (jnp.asarray(arrays(name, real(name, a))) for name, a in (("x", x), ("y", y)))
        if (
            y.ndim != axes
            or x.shape[:axes] != y.shape
            or not jnp.issubdtype(y.dtype, jnp.integer)
            or 0 in y.shape
        ):
            need = "(S, m, ...) and (S, m)" if axes == 2 else "(m, ...) and (m,)"
            raise InputError(
                f"x, y: shapes {x.shape}, {y.shape}, labels {y.dtype} given; {need}, integers, "
                "are needed"
            )
        if y.shape[-1] < self.recipe.batch_size:
            raise InputError(
                f"batch_size: {self.recipe.batch_size} given for {y.shape[-1]} samples; give a "
                "smaller batch size, the same for every data set and the reference"
            )
        outputs = self._width(theta0, x[0] if axes == 2 else x)
        low, high = int(np.asarray(y).min()), int(np.asarray(y).max())
        if low < 0 or (high >= outputs and self._static["loss"] is cross_entropy):
            raise InputError(
                f"y: labels {low} to {high} given for {outputs} outputs of f; 0 to {outputs - 1} "
                "are needed"
            )
        return x, y, batch_order(key, y.shape[-1], self.recipe.steps, self.recipe.batch_size)

    def _width(self, theta0: Any, x: Array) -> int:
        """How many outputs the network has for samples like these; refuses what it cannot take."""
        batch = jax.ShapeDtypeStruct((self.recipe.batch_size, *x.shape[1:]), x.dtype)
        leaves, tree = jax.tree.flatten(arrays("theta0", theta0))
        kind = batch, tree, tuple((np.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)
        if kind not in self._outputs:
            try:
                outputs = jax.eval_shape(self._static["apply"], theta0, self._state, batch)[0]
            except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
                said = " ".join(str(error).split())[:120]
                raise InputError(
                    f"f(theta0, x) fails for x of shape {batch.shape}: {said}"
                ) from error
            if getattr(outputs, "ndim", 0) < 2:
                raise InputError(
                    f"f(theta0, x) gives {outputs}; a row of outputs for each sample is needed"
                )
            self._outputs[kind] = outputs.shape[-1]
        return self._outputs[kind]


@old_arguments("f theta0 x y key recipe")
def finetune(
    f: Classifier,
    theta0: Params,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    recipe: FineTuning,
    *,
    key: Key[Array, ""],
    **options: Any,
) -> Params:
    """Fine-tune from `theta0` on one labelled data set by a recipe.

    Args:
        f: logits `f(params, x)`.
        theta0: parameters to start from.
        x: (n, ...) samples.
        y: (n,) integer labels.
        recipe: a `FineTuning`.
        key: fixes the order of the batches.
        options: of `PseudoTraining`.

    Returns:
        Parameters after the steps.

    Raises:
        InputError: labels that do not fit the outputs, values that are not finite.
    """
    return PseudoTraining(f, recipe, **options)(theta0, x, y, key=key)


def _finite(params: Params) -> Params:
    for leaf in jax.tree.leaves(params):
        if not bool(jnp.isfinite(leaf).all()):
            raise InputError(
                "recipe: fine-tuning diverged (NaN or infinite parameters); use a smaller lr"
            )
    return params
