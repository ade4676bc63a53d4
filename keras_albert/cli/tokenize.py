"""`keras-albert tokenize`: texts to tokens, ids and offsets, or to files of ready inputs."""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

from keras_albert.cli.common import SOURCE_HELP
from keras_albert.cli.progress import Progress
from keras_albert.cli.reading import EPILOG as EPILOG
from keras_albert.cli.reading import add_file_arguments, add_text_arguments, read_texts

NAME = "tokenize"
HELP = "texts to tokens as JSON Lines, or to a TFRecord file that fit and predict take"

_CHUNK = 1024  # texts that are tokenized together
_STREAMED = 32  # of standard input, where somebody may wait for the answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help=f"{SOURCE_HELP}; or a vocab.txt or SentencePiece .model file itself",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="Google's JSON configuration, where it does not lie beside the checkpoint",
    )
    parser.add_argument(
        "--input", metavar="FILE", default="-", help="file of texts, or - for standard input"
    )
    add_file_arguments(parser)
    add_text_arguments(parser)
    parser.add_argument(
        "--special-token",
        metavar="TOKEN",
        action="append",
        default=[],
        help="take this token for itself in a text, such as [MASK]; may be repeated",
    )
    parser.add_argument(
        "--offsets",
        action="store_true",
        help="add [start, end) of every token, in characters of its text",
    )
    parser.add_argument(
        "--to",
        metavar="FILE.tfrecord",
        help="write model inputs with [CLS] and [SEP], and labels, instead of JSON Lines; for "
        "machines without tensorflow-text",
    )
    parser.add_argument(
        "--max-length",
        metavar="N",
        type=int,
        help="most tokens of an input in FILE.tfrecord (default: all that the model has room for)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE.tfrecord")


def run(args: argparse.Namespace) -> int:
    """Prints a JSON object a text, or writes the file and says so."""
    from keras_albert.errors import InputError
    from keras_albert.pretrained_text import load_preprocessor

    if args.to is not None and args.offsets:
        raise InputError("--offsets go with JSON Lines, not with --to. Received: both")
    records = read_texts(args.input, args)
    preprocess = load_preprocessor(
        args.source,
        args.max_length,
        lower_case=args.lower_case,
        special_tokens=args.special_token,
        config_path=args.config,
        vocabulary_path=args.vocabulary,
    )
    chunks = _chunks(records, _STREAMED if args.input == "-" and args.to is None else _CHUNK)
    if args.to is None:
        for chunk in chunks:
            sys.stdout.writelines(_lines(chunk, preprocess.tokenizer, args.offsets))
            sys.stdout.flush()
        return 0
    from keras_albert.data.tfrecords import write_tfrecord

    progress = Progress("texts")
    number = write_tfrecord(
        args.to,
        _rows(chunks, preprocess),
        force=args.force,
        progress=lambda done: progress(done, None, args.to),
    )
    print(f"{args.to}: {number} texts")
    return 0


def _chunks(records: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(itertools.islice(records, size)):
        yield chunk


def _lines(records: list[Any], tokenizer: Any, with_offsets: bool) -> Iterator[str]:
    """A line of JSON for each text; one of several segments lists them."""
    texts = [text for record in records for text in record.texts]
    tokens = tokenizer.tokens(texts).to_list()
    ids, starts, ends = (rows.to_list() for rows in tokenizer.spans(texts))
    segments = iter(zip(tokens, ids, starts, ends, strict=True))
    for record in records:
        parts = []
        for names, numbers, first, last in itertools.islice(segments, len(record.texts)):
            part = {"tokens": [name.decode("utf-8") for name in names], "ids": numbers}
            if with_offsets:
                part["offsets"] = list(zip(first, last, strict=True))
            parts.append(part)
        line = parts[0] if len(parts) == 1 else {"segments": parts}
        yield json.dumps(line, ensure_ascii=False) + "\n"


def _rows(chunks: Iterator[list[Any]], preprocess: Any) -> Iterator[Any]:
    """Model inputs without padding, with the label where there is one."""
    for records in chunks:
        inputs = preprocess.ragged(tuple(map(list, zip(*(r.texts for r in records), strict=True))))
        columns = (inputs[name].to_list() for name in ("token_ids", "segment_ids"))
        for record, token_ids, segment_ids in zip(records, *columns, strict=True):
            row = {"token_ids": token_ids, "segment_ids": segment_ids}
            yield row if record.label is None else (row, record.label)
