"""Every distinct fault of a package: `python tests/fuzz/fuzz_campaign.py ridge 200`.

The folders `tests` and `tests/fuzz` are on PYTHONPATH. Arguments: package, examples for each call,
part of a name, seed, CPU seconds for each call at most.
"""

import faulthandler
import gc
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import fuzz_register as register
import jax
import numpy as np
from fuzz_trial import Base, one

HANGS = 180  # seconds, after which a call is shown where it stands and the campaign ends


def tried(entry, examples, rng, cap):
    """Outcomes of the calls of an entry, and its distinct faults."""
    start, counts, faults = time.process_time(), Counter(), {}
    base = Base(entry)
    for _ in range(examples):
        if time.process_time() - start > cap:
            break
        faulthandler.dump_traceback_later(HANGS, exit=True)
        said, verdict = one(base, lambda options: options[rng.integers(len(options))])
        faulthandler.cancel_dump_traceback_later()
        counts[verdict if verdict in ("refused", "value") else "fault"] += 1
        if verdict not in ("refused", "value"):
            faults.setdefault((said, verdict.partition(":")[0]), verdict)
    return counts, faults


def main(package, examples, part="", seed=0, cap=1e9):
    rng, total = np.random.default_rng(int(seed)), Counter()
    warnings.simplefilter("ignore")
    for entry in register.entries(package):
        if part not in entry.name:
            continue
        start = time.process_time()
        counts, faults = tried(entry, int(examples), rng, float(cap))
        print(f"## {entry.name} {dict(counts)} {time.process_time() - start:.1f} s", flush=True)
        for (said, _), verdict in faults.items():
            print(f"   {said} -> {verdict}", flush=True)
        total += counts
        if Path("/proc/self/maps").read_bytes().count(b"\n") > 20_000:
            jax.clear_caches()
            gc.collect()
    print(f"TOTAL {package} {dict(total)}, {time.process_time():.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
