"""`keras-albert selftest`: whether a strategy trains the model that one device trains."""

import argparse
import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_albert.cli.common import SOURCE_HELP, add_json_argument, print_result
from keras_albert.cli.strategies import NAMES
from keras_albert.cli.writing import text_file
from keras_albert.errors import InputError, check_least

NAME = "selftest"
HELP = "check on this machine that a strategy trains the same model as one device, and how fast"
EPILOG = """\
The same steps are trained, without dropout, on one CPU and under the strategy, in processes of
their own; then weights, metrics and predictions are compared. A second training leaves one
replica's gradient out, and has to be found unequal. The exit status is 1 where a check fails.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--strategy", choices=NAMES, default="mirrored", help="the strategy to check"
    )
    parser.add_argument("--devices", metavar="N", type=int, help="of this machine")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        default=2,
        help="processes of multi_worker, on this machine",
    )
    parser.add_argument(
        "--backend", choices=("tensorflow", "jax"), default="tensorflow", help="Keras' backend"
    )
    parser.add_argument(
        "--pretrained", metavar="SOURCE", help=SOURCE_HELP + " (default: a small bundled ALBERT)"
    )
    parser.add_argument("--steps", metavar="N", type=int, default=50, help="batches to train on")
    parser.add_argument("--batch-size", metavar="N", type=int, default=24, help="of all replicas")
    parser.add_argument(
        "--threads", metavar="N", type=int, help="of each process, to compare speeds"
    )
    parser.add_argument("--output", metavar="FILE", help="write the results as JSON there too")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the comparisons; status 1 where one does not come out as it has to."""
    if args.steps < 2 or args.batch_size < 2:
        raise InputError(
            "The self-test has two steps of two rows at least. "
            f"Received: steps={args.steps}, batch_size={args.batch_size}"
        )
    check_least(1, devices=args.devices, workers=args.workers, threads=args.threads)
    from keras_albert.cli.progress import Progress
    from keras_albert.config_json import json_bytes
    from keras_albert.selftest import compare

    setup: dict[str, Any] = {"strategy": args.strategy, "backend": args.backend}
    if args.devices is not None:
        setup["devices"] = args.devices
    elif args.strategy == "mirrored":
        setup["devices"] = 2
    if args.strategy == "multi_worker":
        setup["workers"] = args.workers
    needed = args.batch_size * (args.steps + 1)
    with _bundled() as folder:
        texts, labels = _texts(folder / "train.tsv", needed)
        found = compare(
            args.pretrained or folder / "albert_mini",
            texts,
            labels,
            [setup],
            steps=args.steps,
            batch_size=args.batch_size,
            threads=args.threads,
            say=Progress("trainings").note,
        )
    passed = all(each["equal"] == (each["left_out"] is None) for each in found)
    result = {"passed": passed, "comparisons": found}
    if args.output is not None:
        with text_file(args.output, force=args.force) as file:
            file.write(json_bytes(result).decode())
    print_result(result, _render, args.json)
    return 0 if passed else 1


@contextlib.contextmanager
def _bundled() -> Iterator[Path]:
    from importlib.resources import as_file, files

    with as_file(files("keras_albert") / "quickstart_data") as folder:
        yield Path(folder)


def _texts(path: Path, count: int) -> tuple[list[str], list[int]]:
    """So many bundled texts and their labels, from the beginning again where there are fewer."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = (rows * (count // len(rows) + 1))[:count]
    return [row["text"] for row in rows], [int(row["label"]) for row in rows]


def _render(result: dict[str, Any]) -> str:
    """One line a comparison."""
    lines = []
    for each in result["comparisons"]:
        what = "equal" if each["equal"] else "unequal"
        note = (
            "" if each["left_out"] is None else f", without replica {each['left_out']}'s gradient"
        )
        lines.append(
            f"{each['optimizer']:6} {what:8} weights differ by {each['largest_difference']:.1e}, "
            f"moved by {each['largest_move']:.1e}; predictions by "
            f"{each['prediction_difference']:.1e}; {each['rows_per_second']:.4g} rows/s, "
            f"{each['speed']:.2f} of one device{note}"
        )
    return "\n".join([*lines, "passed" if result["passed"] else "FAILED"])
