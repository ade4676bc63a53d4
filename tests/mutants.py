"""`make mutants`: break the code on purpose; every break must fail a default test.

The tree is copied without what lies beside it, so that the golden numbers of this repository must
catch the break by themselves. First the tests of every mutant pass on the copy as it is; then each
mutant is applied alone, and its tests must fail (an error before they run does not count).
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.mutants_table import MUTANTS, Mutant
from tests.paths import ROOT

_PASSED, _FAILED = 0, 1  # pytest's exit codes
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "*.egg-info")


def apply(mutant: Mutant, tree: Path) -> str:
    """Applies a mutant to a tree.

    Returns:
        What the file held before.

    Raises:
        ValueError: The text to replace is not there exactly once.
    """
    path = tree / mutant.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.name}: the text to replace must be in {mutant.path} exactly once. "
            f"Received: {text.count(mutant.old)} times {mutant.old!r}"
        )
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return text


@contextmanager
def mutated(mutant: Mutant, tree: Path) -> Iterator[None]:
    """A tree with the mutant in it, for the length of a block."""
    before = apply(mutant, tree)
    try:
        yield
    finally:
        (tree / mutant.path).write_text(before, encoding="utf-8")


def run_tests(tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess:
    """Runs default tests of a tree until the first failure."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        # Cached bytecode knows a file by its second and size, which a mutant may keep.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all mutants, or those named; prints a table; 1 if one survives."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="some of the mutants; all by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trees at a time")
    args = parser.parse_args(argv)
    mutants = [mutant for mutant in MUTANTS if not args.names or mutant.name in args.names]

    with tempfile.TemporaryDirectory() as scratch:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(min(args.jobs, len(mutants))):
            trees.put(shutil.copytree(ROOT, Path(scratch, str(number), "tree"), ignore=_LEFT_OUT))
        tree = trees.queue[0]
        for mutant in mutants:
            with mutated(mutant, tree):
                pass  # a text that is not there shows before minutes of work
        ran = run_tests(tree, sorted({test for mutant in mutants for test in mutant.tests}))
        if ran.returncode != _PASSED:
            print(f"the tests fail without a mutant:\n{ran.stdout[-4000:]}{ran.stderr}")
            return 1
        print(f"without a mutant: {ran.stdout.splitlines()[-1]}", flush=True)

        def kill(mutant: Mutant) -> tuple[bool, str, float]:
            own = trees.get()
            start = time.perf_counter()
            with mutated(mutant, own):
                ran = run_tests(own, mutant.tests)
            trees.put(own)
            failed = [line for line in ran.stdout.splitlines() if line.startswith("FAILED ")]
            by = failed[0].split()[1] if failed else f"pytest's exit code is {ran.returncode}"
            return ran.returncode == _FAILED, by, time.perf_counter() - start

        survivors = 0
        with ThreadPoolExecutor(args.jobs) as pool:
            for mutant, (killed, by, seconds) in zip(mutants, pool.map(kill, mutants), strict=True):
                survivors += not killed
                state = "killed" if killed else "SURVIVES"
                print(f"{state:9} {mutant.name:44} {seconds:4.0f} s  {by}", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
