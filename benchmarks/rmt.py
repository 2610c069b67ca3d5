"""Generalised Marchenko-Pastur densities: time and error, against 50-digit arithmetic and the peers
that can do it.

    python benchmarks/rmt.py                 # theorylab alone
    python benchmarks/rmt.py --peers DIR     # and freealg, scikit-rmt, imate, installed into DIR

Prints a Markdown table and writes results/rmt-<device>.json. The density for a general spectrum is
that of freealg's DeformedMarchenkoPastur and, through the companion, of its CompoundFreePoisson,
both just above the axis (its own choice, and one as near as theorylab's accuracy needs), and of the
plain damped fixed point of Silverstein's equation in NumPy, which is what users write. scikit-rmt
has the white law only. imate computes traces of matrix functions by stochastic Lanczos quadrature:
log det of a dense matrix, the same number of probes and steps for both.
"""

import argparse
import json
import subprocess
import tempfile
import venv
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from record import arguments, keep, timed

from theorylab.rmt import MarchenkoPastur, SilversteinLaw, effective_regularization, slq_trace

PEER = """
import json, sys, time, warnings
import numpy as np
from freealg.distributions import CompoundFreePoisson, DeformedMarchenkoPastur, MarchenkoPastur
from imate import logdet
from skrmt.ensemble.spectral_law import MarchenkoPasturDistribution

warnings.simplefilter("ignore")
data = np.load(sys.argv[1])
gamma, white, seconds, found = float(data["gamma"]), np.linspace(0.05, 3.0, 1000), {}, {}


def measure(name, run, repeats):
    try:
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            value = run()
            times.append(time.perf_counter() - start)
        seconds[name], found[name] = min(times), np.asarray(value).tolist()
    except Exception as error:
        seconds[name] = f"{type(error).__name__}: {error}"


for atoms in data["atoms"]:
    t, points = data[f"t{atoms}"], data[f"points{atoms}"]
    w = np.full(atoms, 1 / atoms)
    laws = {"DeformedMarchenkoPastur": (DeformedMarchenkoPastur(t, w, gamma), 1),
            "CompoundFreePoisson": (CompoundFreePoisson(t, w, gamma), gamma)}
    for name, (law, share) in laws.items():
        for eta in (2e-4, 1e-9):
            measure(f"freealg {name}, Im z = {eta:g}, {atoms} atoms",
                    lambda: law.density(points, eta=eta) / share, 3 if atoms == 20 else 1)
measure("scikit-rmt, white law", lambda: MarchenkoPasturDistribution(ratio=gamma).pdf(white), 5)
measure("freealg, white law", lambda: MarchenkoPastur(gamma).density(white), 5)
probes = int(data["probes"])
options = dict(method="slq", min_num_samples=probes, max_num_samples=probes,
               lanczos_degree=int(data["steps"]), orthogonalize=-1)
measure("imate, log det by SLQ", lambda: logdet(data["matrix"], **options), 2)
print(json.dumps({"seconds": seconds, "found": found}))
"""

PACKAGES = ("freealg", "scikit-rmt", "imate")
GAMMA = 0.5
SLQ = {"probes": 20, "steps": 50}


def best_of(function, repeats: int = 7) -> float:  # type: ignore[no-untyped-def]
    if repeats > 1:
        jax.block_until_ready(function())
    return min(timed(function)[0] for _ in range(repeats))


def log_determinant(matrix: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return slq_trace(
        lambda v: matrix @ v, len(matrix), jnp.log, key, probes=SLQ["probes"], steps=SLQ["steps"]
    )


def fixed_point(
    t: np.ndarray, gamma: float, x: np.ndarray, height: float = 1e-4, sweeps: int = 1000
) -> np.ndarray:
    """The usual peer: damped fixed point in NumPy just above the axis, until it moves by less than
    1e-10."""
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
                m -= (1 / m + z - share * sum(parts)) / (
                    -1 / m**2 + share * sum(p * p for p in parts)
                )
        return float(mpmath.im(m) / mpmath.pi / gamma)


def operator(dim: int) -> np.ndarray:
    """A dense matrix with eigenvalues 1e-3 + i^-1.5 in random directions."""
    q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((dim, dim)))
    return (q * (1e-3 + np.arange(1.0, dim + 1) ** -1.5)) @ q.T


def ask_peers(folder: Path, **arrays: Any) -> dict[str, Any]:
    """Seconds and results of the peers, in an environment of their own that is made on the first
    call."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    with tempfile.TemporaryDirectory() as place:
        np.savez(f"{place}/data.npz", **arrays)
        done = subprocess.run(
            [python, "-c", PEER, f"{place}/data.npz"], capture_output=True, text=True, check=True
        )
    frozen = subprocess.run(
        [python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    ).stdout
    versions = dict(
        line.split("==")
        for line in frozen.split()
        if line.split("==")[0].lower() in (*PACKAGES, "numpy")
    )
    return {**json.loads(done.stdout.splitlines()[-1]), "versions": versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--peers",
        type=Path,
        help="folder of the peers' virtual environment, made if it is not there",
    )
    parser.add_argument("--atoms", type=int, nargs=2, default=[20, 500], help="of two spectra")
    parser.add_argument("--points", type=int, default=1000, help="at which densities are taken")
    parser.add_argument("--modes", type=int, default=2_000_000, help="of the power law for kappa")
    parser.add_argument("--dim", type=int, default=3000, help="of the matrix for the log det")
    options = arguments(parser, smoke={"atoms": [3, 5], "points": 100, "modes": 1000, "dim": 60})
    count, largest, dim = options.points, options.atoms[-1], options.dim
    seconds: dict[str, float | str] = {}  # of 1,000 points
    errors: dict[str, float] = {}
    exact: dict[int, np.ndarray] = {}
    arrays: dict[str, Any] = {"gamma": GAMMA, "atoms": options.atoms}
    for atoms in options.atoms:
        t = np.exp(0.7 * np.random.default_rng(0).standard_normal(atoms))
        law = SilversteinLaw(t, None, GAMMA)
        x = np.linspace(0.01, 1.05 * law.edges().max(), count)
        points = x[count // 40 :: count // 20][:20]
        exact[atoms] = np.array([exact_density(t, GAMMA, v) for v in points])
        arrays |= {f"t{atoms}": t, f"points{atoms}": points}
        sweeps = int(law.solve(x).steps)
        first, _, _ = timed(partial(law.density, x))
        seconds[f"theorylab SilversteinLaw, compiling, {atoms} atoms"] = first
        for name, run, repeats in (
            (f"theorylab SilversteinLaw, {atoms} atoms", law.density, 7),
            (
                f"NumPy damped fixed point, Im z = 1e-4, {atoms} atoms",
                partial(fixed_point, t, GAMMA),
                1,
            ),
        ):
            seconds[name] = best_of(partial(run, x), repeats)
            errors[name] = float(np.max(np.abs(np.asarray(run(points)) - exact[atoms])))
    white = np.linspace(0.05, 3.0, count)
    seconds["theorylab, white law"] = best_of(lambda: MarchenkoPastur(GAMMA).density(white))
    spectrum = np.arange(1, options.modes + 1.0) ** -1.5
    seconds[f"theorylab, kappa, {options.modes:.0e} modes".replace("e+0", "e")] = best_of(
        lambda: effective_regularization(spectrum, 1000, 0.0), 3
    )
    matrix = operator(dim)
    slq = {"exact": float(np.linalg.slogdet(matrix)[1])}
    with jax.enable_x64(True):
        on_device, log_det, key = jnp.asarray(matrix), jax.jit(log_determinant), jax.random.key(0)
        seconds["theorylab, log det by SLQ"] = best_of(lambda: log_det(on_device, key), 2)
        slq["theorylab"], slq["theorylab_standard_error"] = (
            float(v) for v in log_det(on_device, key)
        )
    peers: dict[str, Any] = {"versions": "not measured"}
    if options.peers:
        peers = ask_peers(
            options.peers, **arrays, matrix=matrix, probes=SLQ["probes"], steps=SLQ["steps"]
        )
        slq["imate"] = peers["found"].pop("imate, log det by SLQ", None)
        for name, value in peers["seconds"].items():
            general = "atoms" in name and not isinstance(value, str)
            # A point costs as much as the next one, so 20 of the 1,000 are timed.
            seconds[name] = value * count / 20 if general else value
            if general:
                errors[name] = float(
                    np.max(np.abs(np.array(peers["found"][name]) - exact[int(name.split()[-2])]))
                )
    # One sweep: a division and 13 multiply-adds for every pair (point, atom). SLQ: one product and
    # one full reorthogonalisation in two passes for every probe and step.
    result = {
        "seconds": seconds,
        "extrapolated": "freealg on a spectrum: 20 points timed, x 50",
        "max_error_20_points": errors,
        "slq": slq | SLQ | {"dim": dim},
        "sweeps": sweeps,
        "needed_flops": {
            "density": sweeps * count * largest * 27,
            "slq": SLQ["probes"] * SLQ["steps"] * (2 * dim**2 + 4 * SLQ["steps"] * dim),
        },
        "needed_bytes": {"slq": SLQ["probes"] * SLQ["steps"] * 8 * dim**2},
        "peers": peers["versions"],
    }
    print(
        f"Densities on {count} points (freealg: 20 points x {count // 20}); errors at 20 "
        f"points, against 50 digits.\n"
    )
    print("| what | seconds | / theorylab | largest error |\n|---|---|---|---|")
    for name, value in seconds.items():
        if isinstance(value, str) or name not in errors:
            print(f"| {name} | {value if isinstance(value, str) else f'{value:.4g}'} | | |")
        else:
            ours = seconds[f"theorylab SilversteinLaw, {name.split()[-2]} atoms"]
            print(f"| {name} | {value:.4g} | {value / ours:.1f} | {errors[name]:.1e} |")
    print(f"\nlog det: {slq}\n{sweeps} sweeps, flops needed: {result['needed_flops']}")
    keep("rmt", vars(options), "scipy", **result)


if __name__ == "__main__":
    main()
