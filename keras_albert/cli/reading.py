"""Arguments of the commands that read a person's file, and what the readers make of them."""

import argparse
from collections.abc import Iterator
from typing import Any

from keras_albert.cli.common import GOOGLE_FLAGS

EPILOG = GOOGLE_FLAGS.format(config="--config", vocabulary=", or --vocabulary")


def add_text_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds what says how text becomes tokens."""
    parser.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="vocab.txt or SentencePiece model, where it does not lie beside the checkpoint",
    )
    parser.add_argument(
        "--lower-case",
        action=argparse.BooleanOptionalAction,
        help="lower-case the text and drop its accents (default: as the checkpoint was trained, by "
        "its tokenizer_config.json or its name)",
    )


def add_file_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds what says how a file of texts is read; see docs/data.md."""
    parser.add_argument(
        "--format",
        choices=("tsv", "csv", "jsonl", "text"),
        help="of the file (default: by its extension; text for standard input)",
    )
    column = "a column's name or its number from 0"
    parser.add_argument("--text", metavar="COLUMN", help=f"of the text: {column}")
    parser.add_argument("--text-pair", metavar="COLUMN", help="of the second text, where pairs are")
    parser.add_argument("--label", metavar="COLUMN", help="of the label")
    parser.add_argument(
        "--no-label", dest="label", action="store_const", const=False, help="take no label"
    )
    parser.add_argument(
        "--label-type",
        choices=("class", "number"),
        help="class names, or numbers to regress to (default: class)",
    )
    parser.add_argument(
        "--label-separator", metavar="TEXT", help="between several classes in one label"
    )
    parser.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line of every file names the columns (default: of each file, if it "
        "holds known names)",
    )
    parser.add_argument(
        "--errors",
        choices=("strict", "replace", "ignore"),
        default="strict",
        help="what becomes of bytes that are not UTF-8",
    )


def read_texts(path: str, args: argparse.Namespace, **options: Any) -> Iterator[Any]:
    """The `TextRecord`s of a file, or of standard input for "-", as the arguments say."""
    from keras_albert.data.readers import read_records

    format = args.format or ("text" if path == "-" else None)
    table = {
        "text": _column(args.text),
        "text_pair": _column(args.text_pair),
        "label": _column(args.label),
        "label_type": args.label_type,
        "label_separator": args.label_separator,
        "header": args.header,
    }
    return read_records(path, "text", format=format, errors=args.errors, **table, **options)


def _column(name: Any) -> Any:
    """Digits are a column's number."""
    return int(name) if isinstance(name, str) and name.lstrip("-").isdecimal() else name
