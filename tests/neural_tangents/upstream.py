"""Run neural-tangents' own tests and examples against `theorylab.neural_tangents`, and count.

    git clone https://github.com/google/neural-tangents
    pip install absl-py flax more-itertools pytest
    python tests/neural_tangents/upstream.py neural-tangents

prints a table in Markdown, file by file, and with `--out FILE` writes every test with its outcome.
How their imports find our package is in `upstream_shim.py`.
"""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Reason(NamedTuple):
    """Why tests with this name and message do not pass."""

    test: str
    message: str
    text: str
    offered: bool


REASONS = (
    Reason("rules_test", "", "rules of its own structured derivatives, private", False),
    Reason("experimental/", "", "`experimental` is for TensorFlow", False),
    Reason("", "private to neural-tangents", "calls a private function", False),
    Reason("", "contraction of the axis of samples", "`DotGeneral` over samples", False),
    Reason("", "TimeoutError", "over the time of a test", True),
    Reason("", "singular up to rounding", "`t=None` of a singular kernel is refused", True),
    Reason("", "Relative ERROR", "values further apart than its tolerance", True),
)
MODULES = {
    "": "__init__.py",
    "predict.": "predict.py",
    "stax.": "stax.py",
    "experimental.": "experimental/__init__.py",
}
EXAMPLE = """
import runpy, sys
import upstream_shim
path = sys.argv[1]
main = runpy.run_path(path)["main"]
main(use_dummy_data=True) if path.endswith("imdb.py") else main(None)
"""


def reason(test: str, message: str) -> tuple[str, bool]:
    """(why it does not pass, whether what it is about is offered)."""
    for one in REASONS:
        if re.search(one.test, test) and re.search(one.message, message):
            return one.text, one.offered
    return message.strip().splitlines()[0][:100] if message.strip() else "no message", True


def public_names(checkout: Path) -> list[str]:
    """The names that neural-tangents' public modules import for their users."""
    found = []
    for prefix, file in MODULES.items():
        tree = ast.parse((checkout / "neural_tangents" / file).read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        found += [prefix + alias.name for node in imports for alias in node.names]
    return sorted(set(found) - {"experimental", "predict", "stax"})


def environment(checkout: Path, options: argparse.Namespace, results: Path) -> dict[str, str]:
    """The variables that `upstream_shim` reads; two devices on CPU, as its tests stub."""
    paths = [str(HERE), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in paths if p),
        "NEURAL_TANGENTS_CHECKOUT": str(checkout),
        "NEURAL_TANGENTS_RESULTS": str(results),
        "NEURAL_TANGENTS_SECONDS": str(options.seconds),
        "NEURAL_TANGENTS_LARGE": str(int(options.large)),
        "NT_NUM_GENERATED_CASES": str(options.cases),
    }


def run_tests(checkout: Path, file: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The tests of one file, with their outcomes."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", "."]
        command += ["-p", "no:cacheprovider", "-p", "upstream_shim", file]
        stopped = False
        try:
            subprocess.run(
                command,
                cwd=checkout,
                env=environment(checkout, options, results),
                capture_output=True,
                timeout=options.limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            stopped = True
        lines = results.read_text().splitlines() if results.exists() else []
        found = [json.loads(line) for line in lines]
        if stopped:
            text = "TimeoutError: the file's time was up; further tests were not run"
            found.append({"test": file, "outcome": "not run", "message": text, "seconds": 0.0})
        elif not found:
            found.append({"test": file, "outcome": "not collected", "message": "", "seconds": 0.0})
        return found


def run_example(checkout: Path, file: str, options: argparse.Namespace) -> dict[str, Any]:
    """One example, by its `main`."""
    start, message = time.time(), ""
    try:
        done = subprocess.run(
            [sys.executable, "-c", EXAMPLE, file],
            cwd=checkout,
            env=environment(checkout, options, Path(os.devnull)),
            capture_output=True,
            text=True,
            timeout=options.limit,
            check=False,
        )
        if done.returncode:
            message = done.stderr.strip().splitlines()[-1]
    except subprocess.TimeoutExpired:
        message = "TimeoutError"
    outcome = "failed" if message else "passed"
    seconds = round(time.time() - start, 1)
    return {"test": file, "outcome": outcome, "message": message, "seconds": seconds}


def row(file: str, tests: list[dict[str, Any]]) -> tuple[str, Counter[str]]:
    """(line of the table, counts)."""
    parts = {t["test"]: t["message"] for t in tests if t["outcome"] == "part failed"}
    named = {t["test"]: t for t in tests}  # a test with parts ends after them
    whole = list(named.values())
    counts: Counter[str] = Counter()
    why: Counter[str] = Counter()
    for test in whole:
        if test["outcome"] in ("passed", "skipped") and test["test"] not in parts:
            counts[test["outcome"]] += 1
            continue
        message = parts.get(test["test"], test["message"])
        text, offered = reason(test["test"], message)
        counts["failed" if offered else "not offered"] += 1
        why[text] += 1
    said = "; ".join(f"{text} ({n})" for text, n in why.most_common())
    cells = [counts[name] for name in ("passed", "failed", "not offered", "skipped")]
    return f"| `{file}` | " + " | ".join(map(str, cells)) + f" | {said} |", counts


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="a checkout of neural-tangents")
    parser.add_argument("files", nargs="*", help="tests/... or examples/...; all of them if none")
    parser.add_argument("--cases", type=int, default=1, help="cases drawn of each parametrised one")
    parser.add_argument("--seconds", type=int, default=300, help="of one test")
    parser.add_argument("--limit", type=int, default=3600, help="seconds of one file")
    parser.add_argument("--large", action="store_true", help="also what skips itself on CPU")
    parser.add_argument("--out", type=Path, help="a file for the outcome of every test, as JSON")
    options = parser.parse_args(arguments)
    checkout = options.checkout.resolve()
    files = options.files or sorted(
        str(path.relative_to(checkout))
        for pattern in ("tests/**/*_test.py", "examples/**/*.py")
        for path in checkout.glob(pattern)
        if path.name not in ("__init__.py", "datasets.py", "util.py")
    )
    recorded = (HERE / "public_names.txt").read_text(encoding="utf-8").split()
    if changed := set(recorded) ^ set(public_names(checkout)):
        print(f"Public names that public_names.txt does not have, or has beyond: {sorted(changed)}")
    print("| file | passed | failed | not offered | skipped by itself | reasons |")
    print("|---|---|---|---|---|---|", flush=True)
    total: Counter[str] = Counter()
    every = {}
    for file in files:
        if file.startswith("examples"):
            every[file] = [run_example(checkout, file, options)]
        else:
            every[file] = run_tests(checkout, file, options)
        line, counts = row(file, every[file])
        print(line, flush=True)
        total += counts
        if options.out:
            options.out.write_text(json.dumps(every, indent=1) + "\n")
    offered = total["passed"] + total["failed"]
    if offered:
        share = 100 * total["passed"] / offered
        print(f"\nOf {offered} whose subject is offered, {total['passed']} pass: {share:.0f} %.")


if __name__ == "__main__":
    main()
