"""`keras-albert convert`: a checkpoint into a Keras directory."""

import argparse

from absl import logging

from keras_albert.cli.common import GOOGLE_FLAGS, add_source_arguments, reading
from keras_albert.cli.progress import Progress

NAME = "convert"
HELP = "read a checkpoint of Google's or Hugging Face's, verify it and write a Keras directory"
EPILOG = GOOGLE_FLAGS.format(config="--config", vocabulary=", or --vocabulary")

# Those of keras_albert.heads, whose import takes Keras; a test compares.
TASKS = (
    "encoder",
    "pretraining",
    "classification",
    "token_classification",
    "question_answering",
    "question_answering_v2",
    "multiple_choice",
    "masked_lm",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_source_arguments(parser)
    parser.add_argument("out", metavar="OUT", help="the directory to write")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="of the weights that are written",
    )
    parser.add_argument(
        "--task",
        choices=TASKS,
        metavar="TASK",
        help=f"what the model is for: {', '.join(TASKS)} (default: what the source was made for)",
    )
    parser.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="vocab.txt or SentencePiece model, where it does not lie beside the checkpoint",
    )
    parser.add_argument(
        "--dropout",
        metavar="RATE",
        type=float,
        help="instead of the configuration's, for hidden states and attention; ALBERT v2 was "
        "trained with 0",
    )
    parser.add_argument("--force", action="store_true", help="replace what OUT holds")
    parser.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="write without comparing with the independent NumPy forward pass",
    )
    parser.add_argument(
        "--allow-nonfinite", action="store_true", help="accept weights that are NaN or Inf"
    )


def run(args: argparse.Namespace) -> int:
    """Converts, and prints the parity report and what was written."""
    from checkpoints_tools import convert, verify

    arguments = reading(args)
    if args.dropout is not None:
        rates = {"dropout": args.dropout, "attention_dropout": args.dropout}
        arguments["overrides"] |= rates
    report = convert.convert(
        args.source,
        args.out,
        task=args.task,
        dtype=args.dtype,
        vocabulary_path=args.vocabulary,
        force=args.force,
        verify=args.verify,
        allow_nonfinite=args.allow_nonfinite,
        progress=Progress("variables"),
        **arguments,
    )
    for note in report["notes"]:
        logging.warning("%s: %s", args.source, note)
    if report["parity"] is not None:
        print(verify.render(report["parity"]))
    fresh = f"; fresh: {', '.join(report['fresh'])}" if report["fresh"] else ""
    print(f"{args.out}: {report['task']}, from {', '.join(report['parts'])}{fresh}")
    return 0
