"""Which random mutants the tests see: `python tests/mutants/mutants_run.py SEED NUMBER PACKAGE...`.

For it alone: `pip install mutmut`. The tree is copied, one line at a time changed in the copy, and
the tests of its package run until one fails (all tiers but the slow ones; those files first that
bear the module's name). Compiled programs are kept between runs: most mutants compile the same.
What is printed as LIVES is equivalent, a matter of speed, or a fact that no test states.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from mutants_draw import Mutant, drawn

ROOT = Path(__file__).resolve().parents[2]
MARKS = "not (slow or gpu or network or browser or aot)"
LIMIT = 900  # seconds: a mutant that does not end is seen


def test_files(tree: Path, mutant: Mutant) -> list[Path]:
    """The test files of a mutant's package, those that name its module most often first."""
    package, stem = mutant.path.relative_to(tree).parts[1], mutant.path.stem
    files = (tree / "tests").glob(f"{package}*/test_*.py")
    return sorted(files, key=lambda f: (stem not in f.stem, -f.read_text().count(stem), f.name))


def lives(tree: Path, mutant: Mutant, cache: Path) -> bool:
    """Whether all tests pass with the mutant in its place."""
    original = mutant.path.read_text()
    mutant.path.write_text(mutant.text)
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",  # a changed file may have its old size and time
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-m", MARKS]
    try:
        done = subprocess.run(
            [*command, *map(str, test_files(tree, mutant))],
            cwd=tree, env=environment, capture_output=True, timeout=LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    finally:
        mutant.path.write_text(original)
    return done.returncode == 0


def main(seed: str, number: str, *packages: str) -> None:
    """Draw, run and count."""
    with tempfile.TemporaryDirectory() as folder:
        tree, cache = Path(folder, "tree"), Path(folder, "programs")
        ignore = shutil.ignore_patterns(".*", "__pycache__")
        shutil.copytree(ROOT, tree, ignore=ignore)
        files = [
            file
            for package in packages
            for file in sorted((tree / "theorylab" / package).rglob("*.py"))
            if file.name != "__init__.py"
        ]
        counts: Counter[str] = Counter()
        for mutant in drawn(int(seed), int(number), files):
            verdict = "LIVES" if lives(tree, mutant, cache) else "seen"
            counts[verdict] += 1
            where = f"{mutant.path.relative_to(tree)}:{mutant.line} {mutant.kind}"
            print(verdict, where, *mutant.change, sep="\n   ", flush=True)
        print(dict(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
