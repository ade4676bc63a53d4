"""How fast, and in how much memory, does a large TSV stream through `read_records`?

Writes a table of a label and a sentence into a temporary folder, then reads it from end to end in
fresh processes. Prints one JSON line: medians of rows and megabytes (10^6 bytes) a second, and the
peak of resident memory above that of the idle process, in MiB.

    python benchmarks/read_tsv.py [--gigabytes 0.2] [--folder DIR] [--runs 3]
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _machine import machine, memory_kb, versions

BLOCK_ROWS = 100_000


def write_table(path: Path, gigabytes: float) -> int:
    """Rows of 1 to 40 words under a header; returns how many."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=k % 9 + 2)) for k in range(5000)]
    block = "".join(
        f"{draw.randrange(2)}\t{' '.join(draw.choices(words, k=draw.randint(1, 40)))}\n"
        for _ in range(BLOCK_ROWS)
    ).encode()
    blocks = max(1, round(gigabytes * 1e9 / len(block)))
    with path.open("wb") as file:
        file.write(b"label\tsentence\n")
        for _ in range(blocks):
            file.write(block)
    return blocks * BLOCK_ROWS


def measure(path: str) -> None:
    """Reads the file in this process and prints seconds, rows and memory as JSON."""
    from keras_albert.data.readers import read_records

    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew: imports are not in it
    idle = memory_kb("VmRSS")
    start = time.perf_counter()
    rows = sum(1 for _ in read_records(path, "text"))
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "rows": rows, "kb": memory_kb("VmHWM") - idle}))


def main() -> None:
    """Writes, reads in processes of their own, and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=0.2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure)
        return

    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "table.tsv"
        rows = write_table(path, args.gigabytes)
        size = path.stat().st_size
        command = [sys.executable, __file__, "--measure", str(path)]
        runs = []
        for _ in range(args.runs):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    assert all(run["rows"] == rows for run in runs)
    seconds = statistics.median(run["seconds"] for run in runs)
    report = {
        "benchmark": "read_tsv",
        "gigabytes": round(size / 1e9, 2),
        "rows": rows,
        "rows_per_second": round(rows / seconds),
        "megabytes_per_second": round(size / 1e6 / seconds, 1),
        "peak_above_idle_mib": round(statistics.median(run["kb"] for run in runs) / 1024, 1),
        "runs": args.runs,
    }
    print(json.dumps(report | machine() | versions()))


if __name__ == "__main__":
    main()
