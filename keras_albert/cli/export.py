"""`keras-albert export`: a converted directory back into Google's format."""

import argparse

from keras_albert.cli.progress import Progress

NAME = "export"
HELP = "write a TensorFlow 1 checkpoint, config and vocabulary that Google's own code restores"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("directory", metavar="DIR", help="a converted or fine-tuned directory")
    parser.add_argument(
        "prefix", metavar="PREFIX", help="the checkpoint to write: OUT/bert_model.ckpt"
    )
    parser.add_argument("--force", action="store_true", help="replace a checkpoint of that name")


def run(args: argparse.Namespace) -> int:
    """Exports, and prints what was written."""
    from checkpoints_tools import convert

    progress = Progress("variables")
    report = convert.export(args.directory, args.prefix, force=args.force, progress=progress)
    print(f"{report['prefix']}: {report['variables']} variables; {', '.join(report['files'])}")
    return 0
