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


def mutate(mutant: Mutant, text: str) -> str:
    """The text of the mutant's file with the mistake in it.

    Raises:
        ValueError: What is to be replaced is not there exactly once.
    """
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.name}: the text to replace must be in {mutant.path} exactly once. "
            f"Received: {mutant.old!r}, {text.count(mutant.old)} times"
        )
    return text.replace(mutant.old, mutant.new)


@contextmanager
def mutated(mutant: Mutant, tree: Path) -> Iterator[None]:
    """A tree with the mutant in it, for the length of a block."""
    path = tree / mutant.path
    before = path.read_text(encoding="utf-8")
    path.write_text(mutate(mutant, before), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def run_tests(tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess:
    """Runs default tests of a tree until the first failure."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        # Cached bytecode knows a file by its second and size, which a mutant may keep.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "160"},
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
        for mutant in mutants:  # a text that is not there shows before minutes of work
            mutate(mutant, (ROOT / mutant.path).read_text(encoding="utf-8"))
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        ran = run_tests(trees.queue[0], tests)
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
            by = failed[0][7:] if failed else f"pytest's exit code is {ran.returncode}"
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
