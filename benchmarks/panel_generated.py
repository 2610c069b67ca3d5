"""Networks that nobody tuned for: drawn from a grammar of layers, each from its number alone, in
plain JAX that runs on old releases and new.

`PANEL[name](outputs)` returns `(init, apply, sample)` as in `panel.py`; `ROWS` are the rows of the
comparison, by half. A network belongs to one of eight families (`FAMILIES`), which say from which
layers its trunk is drawn; widths, depths, activations, normalisation, residual branches, strides
and the way to the outputs are drawn too. Half of the networks are to work with ("work"), the
others are run once at the end ("held").
"""

import math
import random as draws

import jax
from jax import random
from panel_layers import (
    attention,
    chain,
    conv,
    dense,
    depthwise,
    feedforward,
    grouped,
    inverted,
    mixing,
    patches,
    readout,
    recurrent,
    separable,
    shared,
    stacked,
    trunk,
)

OUTPUTS = 10
# what a kernel may take, about: passes backward, and products of gradients
_GFLOP = 80.0
_SAMPLES = (8, 12, 16, 24, 32, 48, 64, 96, 128)

# of a family: the shapes of its samples, whether they become sequences of patches, its layers
FAMILIES = {
    "conv": ([(28, 28, 1), (32, 32, 3)], False, [conv]),
    "separable": ([(28, 28, 1), (32, 32, 3)], False, [separable, separable, inverted, conv]),
    "mixer": ([(32, 32, 3)], True, [mixing, feedforward]),
    "attention": ([(32, 32, 3)], True, [attention, feedforward, shared]),
    "recurrent": ([(24, 16), (32, 32), (48, 8)], False, [recurrent]),
    "stacked": ([(16, 64), (32, 64), (24, 96)], False, [stacked, dense]),
    "dense": ([(256,), (784,)], False, [dense, shared, stacked, dense]),
    "mixed": ([(28, 28, 1), (32, 32, 3)], False, [grouped, conv, depthwise, dense]),
}


def network(number, outputs=OUTPUTS):
    """The network of this number: its layers, its samples' shape, how many of them to take."""
    draw = draws.Random(f"ntk panel {number}")
    shapes, as_patches, kinds = list(FAMILIES.values())[number % len(FAMILIES)]
    shape = draw.choice(shapes)
    stem = patches if as_patches else conv if len(shape) == 3 else kinds[-1]
    first = stem(draw, shape)  # to the width of the trunk
    body = trunk(draw, first.shape, kinds, draw.choice([2, 3, 4, 5]))
    whole = chain([first, body, readout(draw, body.shape, outputs)])
    sizes = jax.eval_shape(whole.init, random.PRNGKey(0))
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree_util.tree_leaves(sizes))

    def gflop(n):
        return 1e-9 * (6 * n * outputs * whole.products + 0.3 * (n * outputs) ** 2 * parameters)

    return whole, shape, max([n for n in _SAMPLES if gflop(n) < _GFLOP] or _SAMPLES[:1])


def _entry(number):
    def build(outputs):
        layer, shape, _ = network(number, outputs)
        return layer.init, layer.apply, lambda key, n: random.normal(key, (n, *shape))

    return build


NUMBERS = {"work": range(16), "held": range(16, 32)}
PANEL = {
    f"{number:02}-{list(FAMILIES)[number % len(FAMILIES)]}": _entry(number) for number in range(32)
}


def rows(half):
    """The rows of one half: network, outputs, samples, reduce."""
    names = list(PANEL)
    return [(names[n], OUTPUTS, network(n)[2], "full") for n in NUMBERS[half]]
