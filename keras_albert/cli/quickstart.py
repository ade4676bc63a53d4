"""`keras-albert quickstart`: the main job, end to end, on what the package holds."""

import argparse

NAME = "quickstart"
HELP = "convert, verify and fine-tune a small bundled checkpoint on bundled real rows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--output", metavar="DIR", default="quickstart", help="where the models are written"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of every random choice")


def run(args: argparse.Namespace) -> int:
    """Runs the whole, and prints what is done."""
    from keras_albert import quickstart

    report = quickstart.run(args.output, seed=args.seed)
    return 0 if report["parity"] else 1
