"""`keras-albert serve-export`: a fine-tuned directory as a SavedModel for a server."""

import argparse

NAME = "serve-export"
HELP = "write a SavedModel that answers raw strings, for TensorFlow Serving"
EPILOG = """\
TensorFlow Serving wants a folder of numbered versions: let OUT be MODEL/1 and give it MODEL. The
tokenizer in OUT needs a server with tensorflow-text's operations, as TensorFlow Serving has them;
for one without, --tokens-only takes token ids, such as `keras-albert tokenize` makes.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("directory", metavar="DIR", help="a fine-tuned directory")
    parser.add_argument("out", metavar="OUT", help="the directory to write")
    parser.add_argument(
        "--max-length",
        metavar="N",
        type=int,
        help="most tokens of a text, [CLS] and [SEP] included; longer ones are cut (default: "
        "what the model has positions for)",
    )
    parser.add_argument(
        "--tokens-only",
        action="store_true",
        help="write no tokenizer, so that loading it needs no tensorflow-text",
    )
    parser.add_argument("--force", action="store_true", help="replace what OUT holds")


def run(args: argparse.Namespace) -> int:
    """Exports, and prints what the signatures take and give."""
    from keras_albert.serving import export_saved_model

    description = export_saved_model(
        args.directory,
        args.out,
        max_length=args.max_length,
        tokens_only=args.tokens_only,
        force=args.force,
    )
    print(f"{args.out}: {description['kind']}, {len(description['labels'])} labels")
    for name, signature in description["signatures"].items():
        given, answered = (
            ", ".join(f"{key} {spec}" for key, spec in signature[side].items())
            for side in ("inputs", "outputs")
        )
        print(f"{name}: {given} -> {answered}")
    return 0
