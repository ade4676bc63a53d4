"""Questions on a context: SQuAD's JSON (version 1 and 2), CMRC's, and JSON Lines."""

from collections.abc import Iterator
from typing import Any

from keras_albert.data.messages import bad
from keras_albert.data.readers.json_lines import objects
from keras_albert.data.readers.json_values import Lines, Object, parse
from keras_albert.data.readers.text_file import TextFile
from keras_albert.data.records import Answer, Place, QuestionRecord
from keras_albert.errors import InputError

_QUESTION = ("question", "query_text")
_CONTEXT = ("context", "context_text")
_ID = ("id", "query_id")


def read_questions(file: TextFile, *, check_answers: bool = True) -> Iterator[QuestionRecord]:
    """The questions of a JSON document, which is loaded whole: tens of megabytes are meant.

    Either SQuAD's layout, `{"data": [{"paragraphs": [{"context", "qas"}]}]}`, or CMRC's, a list
    of `{"context_text", "qas": [{"query_id", "query_text", "answers": [text]}]}`. A record's line
    is that of its question.

    Args:
        file: The file.
        check_answers: Whether the answers must be in their contexts. An answer with `answer_start`
            must stand there. One without (CMRC's; or -1) is where its text occurs first, and one
            of a question's answers must occur. What is not in its place has start -1; unchecked,
            that is no error.

    Raises:
        InputError: The document is laid out otherwise, an id stands twice, or an answer is not in
            its place.
    """
    text = file.text()
    document = parse(text, file.place(1), file.errors)
    lines = Lines(text, *_QUESTION)
    seen: set[str] = set()
    for paragraph in _paragraphs(document, file.place(1)):
        context = Object(paragraph, file.place(lines.line), "A paragraph")
        for question in context.array("qas"):
            try:
                placed = _placed(question, lines, file)
                name = placed.name(*_ID)
                if name in seen:
                    raise bad("An id must stand for one question", placed.place, id=name)
                seen.add(name)
                yield _record(context, placed, name, check_answers)
            except InputError as error:
                file.report(error)


def read_question_lines(file: TextFile, *, check_answers: bool = True) -> Iterator[QuestionRecord]:
    """The questions of JSON Lines, streaming: `{"id", "question", "context", "answers"}`.

    `id` is the line's number where there is none. `answers` is a list of texts, one of
    `{"text", "answer_start"}`, or `{"text": [...], "answer_start": [...]}`. Arguments and errors
    as of `read_questions`.
    """
    for line in objects(file):
        try:
            name = line.name(*_ID, default=str(line.place.line))
            yield _record(line, line, name, check_answers)
        except InputError as error:
            file.report(error)


def _paragraphs(document: Any, place: Place) -> Iterator[Any]:
    """The paragraphs of either layout."""
    if isinstance(document, list):
        yield from document
    elif isinstance(document, dict) and "data" in document:
        for article in Object(document, place, "SQuAD's document").array("data"):
            yield from Object(article, place, "An article").array("paragraphs")
    else:
        raise bad(
            "A JSON document of questions must be SQuAD's {\"data\": [...]} or CMRC's list of "
            "contexts",
            place,
            document=document,
        )


def _placed(question: object, lines: Lines, file: TextFile) -> Object:
    text = Object(question, file.place(lines.line), "A question").get(*_QUESTION)
    return Object(question, file.place(lines.next(text)), "A question")


def _record(paragraph: Object, question: Object, name: str, check_answers: bool) -> QuestionRecord:
    context = paragraph.text(*_CONTEXT)
    given = _given_answers(question)
    impossible = question.get("is_impossible")
    if impossible is None:
        impossible = given == []  # as SQuAD 2 is laid out without the key
    if not isinstance(impossible, bool) or (impossible and given and check_answers):
        raise question.wrong("must be impossible or have answers", impossible)
    answers = tuple(_answer(text, start, context) for text, start in given or ())
    if check_answers:
        _check(name, given or [], answers, question.place)
    return QuestionRecord(
        name, question.text(*_QUESTION), context, answers, impossible, question.place
    )


def _given_answers(question: Object) -> list[tuple[str, int | None]] | None:
    """Text and, where one is given, start of every answer; None where there is no list of them."""
    value = question.get("answers")
    if value is None:
        return None
    if isinstance(value, dict):  # as columns
        columns = Object(value, question.place, "Answers")
        texts, starts = columns.array("text"), columns.array("answer_start")
        if len(texts) != len(starts):
            raise question.wrong("must have as many answer_start as texts", starts)
        value = [
            {"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)
        ]
    if not isinstance(value, list):
        raise question.wrong("must have 'answers', a list", value)
    return [_given_answer(answer, question) for answer in value]


def _given_answer(answer: object, question: Object) -> tuple[str, int | None]:
    text, start = answer, None
    if isinstance(answer, dict):
        text, start = answer.get("text"), answer.get("answer_start")
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)  # CMRC has a few
    if not isinstance(text, str) or not text:
        raise question.wrong("must have answers that are texts", answer)
    if start is not None and (isinstance(start, bool) or not isinstance(start, int)):
        raise question.wrong("must have answers whose answer_start is a number", answer)
    return text, None if start == -1 else start


def _answer(text: str, start: int | None, context: str) -> Answer:
    if start is None:
        return Answer(text, context.find(text))
    return Answer(text, start if start >= 0 and context.startswith(text, start) else -1)


def _check(
    name: str,
    given: list[tuple[str, int | None]],
    answers: tuple[Answer, ...],
    place: Place,
) -> None:
    for (text, start), answer in zip(given, answers, strict=True):
        if start is not None and answer.start == -1:
            rule = f"An answer must stand in its context at answer_start, {start}"
            raise bad(rule, place, id=name, answer=text)
    if answers and all(answer.start == -1 for answer in answers):
        rule = "An answer must be in its question's context"
        raise bad(rule, place, id=name, answers=[answer.text for answer in answers])
