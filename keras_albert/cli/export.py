"""`keras-albert export`: a converted directory back into a foreign format."""

import argparse

from keras_albert.cli.progress import Progress
from keras_albert.errors import InputError

NAME = "export"
HELP = "write a TensorFlow 1 checkpoint that Google's own code restores, or Hugging Face's layout"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "directory",
        metavar="DIR",
        help="a converted or fine-tuned directory; with --format hugging_face, any source",
    )
    parser.add_argument(
        "out",
        metavar="OUT",
        help="google: the prefix of the checkpoint to write, such as back/bert_model.ckpt; "
        "hugging_face: the directory to write",
    )
    parser.add_argument(
        "--format",
        choices=("google", "hugging_face"),
        default="google",
        help="google: checkpoint, config and vocabulary; hugging_face: model.safetensors, "
        "config.json, tokenizer files and a model card, for transformers",
    )
    parser.add_argument(
        "--lower-case",
        action=argparse.BooleanOptionalAction,
        help="hugging_face: whether the tokenizer lower-cases; otherwise the source's settings or "
        "the vocabulary's upper-case letters decide",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")


def run(args: argparse.Namespace) -> int:
    """Exports, and prints what was written."""
    progress = Progress("variables")
    if args.format == "hugging_face":
        from checkpoints_tools.hugging_face_export import export_hugging_face

        report = export_hugging_face(
            args.directory,
            args.out,
            lower_case=args.lower_case,
            force=args.force,
            progress=progress,
        )
        written = f"{report['directory']}: {report['architecture']}"
    else:
        if args.lower_case is not None:
            raise InputError(
                "Google's files do not say whether text is lower-cased. "
                "Received: --lower-case or --no-lower-case with --format google"
            )
        from checkpoints_tools.convert import export

        report = export(args.directory, args.out, force=args.force, progress=progress)
        written = report["prefix"]
    print(f"{written}, {report['variables']} variables; {', '.join(report['files'])}")
    return 0
