"""Tagged words: CoNLL's column files, JSON Lines, and plain text without tags."""

import itertools
import re
from collections.abc import Iterator, Sequence

from keras_albert.data.messages import bad
from keras_albert.data.readers.json_lines import objects
from keras_albert.data.readers.text_file import TextFile
from keras_albert.data.records import Place, WordsRecord
from keras_albert.data.tags import check_bio
from keras_albert.errors import InputError

TAG_SCHEMES = ("bio", "iob1", "none")
DOCUMENT_START = "-DOCSTART-"  # the word that CoNLL-2003 begins a document with
_BLANKS = re.compile("[ \t]+")  # other white space, such as U+3000, is a word


def read_conll(
    file: TextFile, *, word: int | str = 0, tag: int | str | None = None, tag_scheme: str = "bio"
) -> Iterator[WordsRecord]:
    """Sentences of a column file, streaming: a word a line, a blank line after every sentence.

    Columns stand between spaces or tabs. A file with the words alone has no tags. Lines that
    begin with -DOCSTART- only end a sentence.

    Args:
        file: The file.
        word, tag: Numbers of the columns, from 0, negative ones from the end; by default the
            first and the second.
        tag_scheme: "bio": B- begins every entity, which is checked. "iob1", as in the original
            CoNLL-2003: B- only parts entities of one type; such tags are turned into BIO. "none":
            tags are taken as they stand.

    Raises:
        InputError: A line has more or fewer columns than the first, there is no such column, or
            the tags do not chain; and as of `TextFile.lines`.
    """
    _check_scheme(tag_scheme)
    columns = {"word": _number("word", word)}
    if tag is not None:
        columns["tag"] = _number("tag", tag)

    def read() -> Iterator[WordsRecord]:
        width = 0
        sentence: list[tuple[int, list[str]]] = []
        reported = file.reported
        for line, text in itertools.chain(file.lines(), [(0, "")]):
            cells = _BLANKS.split(text.strip(" \t"))
            if cells == [""] or cells[0] == DOCUMENT_START:
                # What lost a line to an error is no sentence.
                if sentence and file.reported == reported:
                    yield from _sentence(file, sentence, columns, tag_scheme)
                sentence, reported = [], file.reported
                continue
            if not width:
                width = len(cells)
                if width > 1:
                    columns.setdefault("tag", 1)
                _check_columns(columns, width, file.place(line))
            if len(cells) == width:
                sentence.append((line, cells))
            else:
                rule = f"Every line must have as many columns as the first, which has {width}"
                file.report(bad(rule, file.place(line), columns=len(cells)))

    return read()


def read_tagged_lines(file: TextFile, *, tag_scheme: str = "bio") -> Iterator[WordsRecord]:
    """Sentences of JSON Lines, streaming: `{"words", "tags"}` (or "tokens", "ner_tags").

    `tag_scheme` as of `read_conll`. Either all sentences have tags or none has.

    Raises:
        InputError: Malformed JSON, missing keys, or tags that do not chain or do not match the
            words in number; and as of `TextFile.lines`.
    """
    _check_scheme(tag_scheme)

    def read() -> Iterator[WordsRecord]:
        tagged = None
        for line in objects(file):
            try:
                words = line.texts("words", "tokens")
                has_tags = line.get("tags", "ner_tags") is not None
                tagged = has_tags if tagged is None else tagged
                if tagged is not has_tags:
                    raise line.wrong("must have 'tags' where the first has, and only there", words)
                tags = line.texts("tags", "ner_tags") if tagged else None
                if tags is not None and len(tags) != len(words):
                    raise line.wrong(f"must have as many tags as words, {len(words)}", tags)
                yield WordsRecord(words, _chained(tags, tag_scheme, line.place), line.place)
            except InputError as error:
                file.report(error)

    return read()


def read_untagged(file: TextFile) -> Iterator[WordsRecord]:
    """Sentences of plain text, streaming: a sentence a line, words between white space."""
    for line, text in file.lines():
        yield WordsRecord(tuple(text.split()), None, file.place(line))


def _sentence(
    file: TextFile, lines: list[tuple[int, list[str]]], columns: dict[str, int], tag_scheme: str
) -> Iterator[WordsRecord]:
    """The sentence, unless its tags are wrong."""
    numbers = [line for line, _ in lines]
    words = tuple(cells[columns["word"]] for _, cells in lines)
    tags = tuple(cells[columns["tag"]] for _, cells in lines) if "tag" in columns else None
    place = file.place(numbers[0])
    try:
        yield WordsRecord(words, _chained(tags, tag_scheme, place, numbers), place)
    except InputError as error:
        file.report(error)


def _chained(
    tags: tuple[str, ...] | None,
    tag_scheme: str,
    place: Place,
    lines: Sequence[int] | None = None,
) -> tuple[str, ...] | None:
    """The tags in BIO, checked at `place` or `lines`; as they stand for "none"."""
    if tags is None or tag_scheme == "none":
        return tags
    if tag_scheme == "iob1":
        before = ("O", *tags)
        tags = tuple(
            f"B-{tag[2:]}" if tag.startswith("I-") and last[2:] != tag[2:] else tag
            for last, tag in zip(before, tags, strict=False)
        )
    check_bio(tags, place, lines)
    return tags


def _check_scheme(tag_scheme: str) -> None:
    if tag_scheme not in TAG_SCHEMES:
        raise InputError(
            f"tag_scheme must be one of {TAG_SCHEMES}. Received: tag_scheme={tag_scheme!r}"
        )


def _number(role: str, column: int | str) -> int:
    try:
        return int(column)
    except ValueError:
        raise InputError(
            f"Columns of a CoNLL file go by number. Received: {role}={column!r}"
        ) from None


def _check_columns(columns: dict[str, int], width: int, place: Place) -> None:
    for role, number in columns.items():
        if not -width <= number < width:
            rule = f"A column must exist, and there are {width} columns"
            raise bad(rule, place, **{role: number})
