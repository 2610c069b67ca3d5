"""Generalised Marchenko-Pastur densities: time and error, against 50-digit arithmetic and the peers that can do it.

    python benchmarks/rmt.py                 # theorylab alone
    python benchmarks/rmt.py --peers DIR     # also freealg and scikit-rmt, installed into DIR

Prints a Markdown table and writes results/rmt-<device>.json. freealg estimates a density from eigenvalues and
scikit-rmt has the white Marchenko-Pastur law only, so the peer for a general spectrum is the plain damped fixed point
of Silverstein's equation in NumPy, which is what users write; the packages are timed on the white law.
"""

import argparse
import json
import subprocess
import sys
import time
import venv
from pathlib import Path

import jax
import mpmath
import numpy as np

from theorylab.rmt import MarchenkoPastur, SilversteinLaw, effective_regularization

PEER = """
import json, sys, time, numpy as np
out, x = {}, np.linspace(0.05, 3.0, 1000)
for name in ("skrmt", "freealg"):
    try:
        if name == "skrmt":
            from skrmt.ensemble.spectral_law import MarchenkoPasturDistribution
            law = MarchenkoPasturDistribution(ratio=0.5)
            run = lambda: law.pdf(x)
        else:
            from freealg.distributions import MarchenkoPastur
            law = MarchenkoPastur(0.5)
            run = lambda: law.density(x)
        run()
        best = min((lambda t: (run(), time.perf_counter() - t)[1])(time.perf_counter()) for _ in range(5))
        out[name] = best
    except Exception as error:
        out[name] = f"{type(error).__name__}: {error}"
print(json.dumps(out))
"""


def best_of(function, repeats: int = 7) -> float:  # type: ignore[no-untyped-def]
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return min(times)


def fixed_point(t: np.ndarray, gamma: float, x: np.ndarray, height: float = 1e-4, sweeps: int = 1000) -> np.ndarray:
    """The usual peer: damped fixed point in NumPy just above the axis, until it moves by less than 1e-10."""
    z = x + 1j * height
    m = -1 / z
    for _ in range(sweeps):
        new = 0.5 * m - 0.5 / (z - gamma * np.mean(t / (1 + t * m[:, None]), axis=1))
        done = np.max(np.abs(new - m)) < 1e-10
        m = new
        if done:
            break
    return m.imag / np.pi / gamma


def exact_density(t: np.ndarray, gamma: float, x: float, digits: int = 50) -> float:
    """Newton in m̃ at 50 digits, continued down in Im z: shares nothing with the solver."""
    with mpmath.workdps(digits):
        atoms, share = [mpmath.mpf(float(v)) for v in t], mpmath.mpf(gamma) / len(t)
        m = mpmath.mpc(0, 1) / (40 * max(atoms))
        for height in [40 * max(atoms) / mpmath.mpf(2) ** k for k in range(24)] + [mpmath.mpf(0)]:
            z = mpmath.mpc(float(x), height)
            for _ in range(2 if height else 9):
                parts = [v / (1 + v * m) for v in atoms]
                m -= (1 / m + z - share * sum(parts)) / (-1 / m**2 + share * sum(p * p for p in parts))
        return float(mpmath.im(m) / mpmath.pi / gamma)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder for the peers' virtual environment")
    arguments = parser.parse_args()
    rng, gamma = np.random.default_rng(0), 0.5
    t = np.exp(0.7 * rng.standard_normal(500))
    law = SilversteinLaw(t, None, gamma)
    x = np.linspace(0.01, 1.05 * law.edges().max(), 1000)
    rows, sweeps = {}, int(law.solve(x).steps)
    rows["theorylab, 1000 points, 500 atoms"] = best_of(lambda: law.density(x))
    start = time.perf_counter()
    peer = fixed_point(t, gamma, x)
    rows["NumPy damped fixed point, Im z = 1e-4"] = time.perf_counter() - start
    points = x[25::50][:20]
    exact = np.array([exact_density(t, gamma, v) for v in points])
    error = float(np.max(np.abs(np.asarray(law.density(points)) - exact)))
    peer_error = float(np.max(np.abs(peer[25::50][:20] - exact)))
    rows["theorylab, white law, 1000 points"] = best_of(lambda: MarchenkoPastur(0.5).density(x))
    spectrum = np.arange(1, 2_000_001.0) ** -1.5
    rows["theorylab, kappa, 2e6 modes"] = best_of(lambda: effective_regularization(spectrum, 1000, 0.0), 3)
    if arguments.peers:
        venv.create(arguments.peers, with_pip=True)
        python = arguments.peers / "bin" / "python"
        for package in ("scikit-rmt", "freealg"):
            subprocess.run([python, "-m", "pip", "install", "-q", package], check=False)
        found = subprocess.run([python, "-c", PEER], capture_output=True, text=True, check=False)
        rows.update({f"{k}, white law, 1000 points": v for k, v in json.loads(found.stdout.splitlines()[-1]).items()})
    device = jax.devices()[0].device_kind.replace(" ", "-").lower()
    # One sweep: a division and 13 multiply-adds for every pair (point, atom).
    result = {
        "device": device,
        "seconds": rows,
        "max_error_20_points": error,
        "peer_max_error_20_points": peer_error,
        "sweeps": sweeps,
        "needed_flops": sweeps * x.size * t.size * 27,
        "jax": jax.__version__,
        "python": sys.version.split()[0],
    }
    print("| what | seconds |\n|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds if isinstance(seconds, str) else f'{seconds:.4g}'} |")
    print(f"\nmax error at 20 points against 50 digits: theorylab {error:.2g}, fixed point {peer_error:.2g}")
    print(f"{sweeps} sweeps, {result['needed_flops']:.3g} flops needed")
    target = Path(__file__).parent / "results" / f"rmt-{device}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
