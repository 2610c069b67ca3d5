"""What runs in the processes of `ntk.py`: one tool makes one kernel, timed. Each script prints one
JSON line."""

HEAD = """
import json, resource, sys, time
# Running out of memory is a result, not a crash.
resource.setrlimit(resource.RLIMIT_DATA, (14 << 30, resource.RLIM_INFINITY))
sys.path.insert(0, {here!r})
import numpy as np
"""

JAX = """
import jax
import panel, panel_generated
# The same random numbers on old releases and new ones.
jax.config.update("jax_threefry_partitionable", False)
init, apply, sample = (panel.PANEL | panel_generated.PANEL)[{network!r}]({options})
params, x = init(jax.random.PRNGKey(0)), sample(jax.random.PRNGKey(1), {samples})
"""

THEORYLAB = """
from theorylab.ntk import empirical_ntk
kernel = lambda: empirical_ntk(apply, params, x, reduce={reduce!r})
"""

NEURAL_TANGENTS = """
import neural_tangents as nt
traced = (-1,) if {reduce!r} == "trace" else ()
options = dict(trace_axes=traced, vmap_axes=0, implementation={method})
fn = jax.jit(nt.empirical_ntk_fn(apply, **options))
kernel = lambda: np.asarray(fn(x, None, params))
"""

# neural-tangents imports TensorFlow, which it does not need here.
STUBS = """
from unittest.mock import MagicMock
for name in ("tensorflow", "tf2jax", "jax.experimental.jax2tf",
             "neural_tangents.experimental.empirical_tf.empirical"):
    sys.modules[name] = MagicMock()
"""

# The algorithm of the code of "More Than a Toy" (aw31/empirical-ntks): the Jacobian of some
# parameters at a time, here of one leaf, with the backward pass made again for each, and its
# products added up.
CHUNKED = """
import functools
leaves, tree = jax.tree.flatten(params)
@functools.partial(jax.jit, static_argnums=0)
def piece(number, leaves, x):
    def outputs(leaf, one):
        replaced = [*leaves[:number], leaf, *leaves[number + 1:]]
        return apply(jax.tree.unflatten(tree, replaced), one[None])[0]
    rows = jax.vmap(lambda one: jax.jacrev(outputs)(leaves[number], one))(x)
    rows = rows.reshape(*rows.shape[:2], -1)
    return jax.numpy.einsum("nqp,mrp->nmqr" if {reduce!r} == "full" else "nqp,mqp->nm", rows, rows)
kernel = lambda: np.asarray(sum(piece(i, leaves, x) for i in range(len(leaves))))
"""

# The Jacobian contraction of PyTorch's tutorial on neural tangent kernels.
TORCH = """
import torch
from panel_torch import PANEL
from torch.func import jacrev, vmap
torch.set_num_threads({threads})
params, apply, sample = PANEL[{network!r}]({options})
x = sample({samples})
def kernel():
    jacobian = vmap(jacrev(lambda p, one: apply(p, one[None])[0]), (None, 0))(params, x)
    rows = [leaf.flatten(2) for leaf in jacobian]
    formula = "nqp,mrp->nmqr" if {reduce!r} == "full" else "nqp,mqp->nm"
    return sum(torch.einsum(formula, leaf, leaf) for leaf in rows).numpy()
"""

TAIL = """
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
k = np.asarray(kernel())
first, wall, cpu = time.perf_counter() - start, [], []
k = k[:4, :4].astype(float)  # to compare; the rest would count as the tool's memory
for _ in range({repeats}):
    start, used = time.perf_counter(), time.process_time()
    kernel()
    wall.append(time.perf_counter() - start)
    cpu.append(time.process_time() - used)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = dict(wall=min(wall), cpu=min(cpu), first=first, peak_gb=peak / 1e6, base_gb=before / 1e6)
found["kernel"] = k.tolist()
"""

# After the timing: the arithmetic that the kernel needs, and what a product reaches here.
WORK = """
from flops import product_flop
from theorylab.ntk.analysis import analyse
from theorylab.ntk.plan import gradient_cost, gram_cost
square, product = jax.random.normal(jax.random.key(0), (2048, 2048)), jax.jit(lambda a: a @ a)
def rate():
    jax.block_until_ready(product(square))
    start = time.perf_counter()
    jax.block_until_ready(product(square))
    return 2 * 2048**3 / (time.perf_counter() - start) / 1e9
blocks = analyse(apply, params, x).blocks
sizes = {reduce!r}, {outputs}, {samples}, {samples} * ({samples} + 1) / 2, 4
def cheapest(block):
    ways = [gradient_cost(block, *sizes).flop]
    return min(ways + [gram_cost(block, *sizes).flop] * bool(block.sites))
forward = product_flop(jax.make_jaxpr(apply)(params, x).jaxpr)
work = forward * (1 + {outputs}) + sum(map(cheapest, blocks))
found |= dict(rate=max(rate() for _ in range(5)), jax=jax.__version__, gflop=work / 1e9)
"""

PRINT = "print(json.dumps(found))"


def script(tool: str, **sizes: object) -> str:
    """The program of one tool; `sizes` are network, outputs, options, samples, reduce, repeats,
    here, threads."""
    parts = {
        "theorylab": [HEAD, JAX, THEORYLAB, TAIL, WORK],
        "chunked jacobian": [HEAD, JAX, CHUNKED, TAIL],
        "torch.func": [HEAD, TORCH, TAIL],
    }
    for method, name in enumerate(("jacobian", "vector products", "structured"), start=1):
        parts[f"nt {name}"] = [
            HEAD,
            STUBS,
            JAX,
            NEURAL_TANGENTS.replace("{method}", str(method)),
            TAIL,
        ]
    return "".join([*parts[tool], PRINT]).format(**sizes)
