"""`keras-albert verify`: how far a model is from the independent NumPy forward pass."""

import argparse

from keras_albert.cli.common import add_json_argument, add_source_arguments, print_result, reading
from keras_albert.cli.progress import Progress

NAME = "verify"
HELP = "largest difference of every output from an independent NumPy forward pass"
EPILOG = "The exit status is 1 where a difference is above the tolerance."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_source_arguments(parser)
    parser.add_argument(
        "--tolerance",
        metavar="T",
        type=float,
        default=1e-5,
        help="the largest difference accepted, times max(1, the output's largest magnitude)",
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the report."""
    from checkpoints_tools import verify

    report = verify.verify(
        args.source, tolerance=args.tolerance, progress=Progress("blocks"), **reading(args)
    )
    print_result(report, verify.render, args.json)
    return 0 if report["passed"] else 1
