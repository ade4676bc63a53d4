"""`keras-albert describe`: what a checkpoint is, or which checkpoints were published."""

import argparse

from keras_albert.cli.common import (
    GOOGLE_FLAGS,
    add_json_argument,
    add_source_arguments,
    print_result,
    reading,
)
from keras_albert.errors import InputError

NAME = "describe"
HELP = "architecture, parameters, operations per token, every variable and what claims it"
EPILOG = GOOGLE_FLAGS.format(config="--config", vocabulary="")

_EVERY = "every published checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_source_arguments(parser, optional=True)
    parser.add_argument(
        "--published",
        metavar="NAME",
        nargs="?",
        const=_EVERY,
        help="instead of a SOURCE, list a published checkpoint, or all: address, folder, config "
        "and vocabulary names, casing, parameters",
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the description."""
    if (args.source is None) == (args.published is None):
        raise InputError(
            "describe takes either a SOURCE or --published. "
            f"Received: source={args.source!r}, published={args.published!r}"
        )
    from checkpoints_tools import describe

    if args.published is None:
        description = describe.describe(args.source, **reading(args))
        print_result(description, describe.render, args.json)
    else:
        entries = describe.published(None if args.published == _EVERY else args.published)
        print_result(entries, describe.render_published, args.json)
    return 0
