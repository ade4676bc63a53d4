"""Multiple choice: DREAM's JSON, RACE's files, and JSON Lines."""

import os
from collections.abc import Iterator
from pathlib import Path

from keras_albert.data.messages import bad
from keras_albert.data.readers.json_lines import objects
from keras_albert.data.readers.json_values import Lines, Object, parse
from keras_albert.data.readers.text_file import TextFile
from keras_albert.data.records import ChoiceRecord
from keras_albert.errors import InputError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read_choices(file: TextFile) -> Iterator[ChoiceRecord]:
    """The questions of a JSON document, which is loaded whole, or of a folder of them.

    DREAM's layout is a list of dialogues `[[turn, ...], [{"question", "choice", "answer"}], id]`;
    the turns become lines of the context. RACE's is an object `{"article", "questions",
    "options", "answers", "id"}`, with a letter for each answer, or a list of such objects. Of a
    folder, all .txt and .json files are read, also those in folders below, in the order of their
    paths. Answers may be absent. A record's id is its dialogue's or article's and the number of
    the question, from 0; its line is that of the question in DREAM and of the article in RACE.

    Raises:
        InputError: The document is laid out otherwise, or an answer is none of the choices; and
            as of `TextFile.text`.
    """
    if not os.path.isdir(file.path):
        yield from _document(file)
        return
    paths = [path for path in Path(file.path).rglob("*") if path.suffix in (".txt", ".json")]
    if not paths:
        raise bad("A folder must hold .txt or .json files", file.name, files=0)
    for path in sorted(paths):
        try:
            yield from _document(TextFile(path, file.errors, file.report))
        except InputError as error:
            file.report(error)


def read_choice_lines(file: TextFile) -> Iterator[ChoiceRecord]:
    """The questions of JSON Lines, streaming.

    A line is an object as RACE has it, or a single question: `{"context", "question", "choices",
    "label"}` with the index of the right choice, or with "answer": its text or letter. `id` is
    the line's number where there is none.

    Raises:
        InputError: Malformed JSON, missing keys, or an answer that is none of the choices; and as
            of `TextFile.lines`.
    """
    for line in objects(file):
        if "questions" in line.value:
            yield from _article(line, file)
            continue
        try:
            yield _question(line)
        except InputError as error:
            file.report(error)


def _document(file: TextFile) -> Iterator[ChoiceRecord]:
    text = file.text()
    document = parse(text, file.place(1), file.errors)
    lines = Lines(text, "question", "article")
    if not isinstance(document, list | dict):
        rule = "A JSON document of choices must be DREAM's list of dialogues or RACE's object"
        raise bad(rule, file.place(1), document=document)
    for item in document if isinstance(document, list) else [document]:
        try:
            if isinstance(item, dict):
                place = file.place(lines.next(item.get("article")))
                yield from _article(Object(item, place, "An article"), file)
            else:
                yield from _dialogue(item, lines, file)
        except InputError as error:
            file.report(error)


def _dialogue(item: object, lines: Lines, file: TextFile) -> Iterator[ChoiceRecord]:
    """The questions on one of DREAM's dialogues."""
    match item:
        case [list(turns), list(questions), str(name)] if _are_texts(turns):
            context = "\n".join(turns)
        case _:
            rule = "A dialogue must be [[turn, ...], [question, ...], id]"
            raise bad(rule, file.place(lines.line), dialogue=item)
    for number, value in enumerate(questions):
        try:
            question = Object(value, file.place(lines.line), "A question")
            question.place = file.place(lines.next(question.get("question")))
            part = question.value | {"id": f"{name}-{number}", "context": context}
            yield _question(Object(part, question.place, "A question"))
        except InputError as error:
            file.report(error)


def _article(article: Object, file: TextFile) -> Iterator[ChoiceRecord]:
    """The questions on one of RACE's articles."""
    try:
        name = article.name("id", default=str(article.place.line))
        context, questions = article.text("article"), article.texts("questions")
        options = article.array("options")
        answers = article.get("answers")
        answers = [None] * len(questions) if answers is None else article.texts("answers")
        if not len(questions) == len(options) == len(answers):
            rule = f"must have options and an answer for each of {len(questions)} questions"
            raise article.wrong(rule, {"options": len(options), "answers": len(answers)})
    except InputError as error:
        file.report(error)
        return
    for number, (question, choices, answer) in enumerate(
        zip(questions, options, answers, strict=True)
    ):
        part = {"id": f"{name}-{number}", "context": context, "question": question}
        part |= {"choices": choices, "answer": answer}
        try:
            yield _question(Object(part, article.place, "A question"))
        except InputError as error:
            file.report(error)


def _question(question: Object) -> ChoiceRecord:
    """A record of `{"id", "context", "question", "choices", "label" or "answer"}`."""
    choices = question.texts("choices", "options", "choice")
    if len(choices) < 2:
        raise question.wrong("must have two choices or more", choices)
    return ChoiceRecord(
        question.name("id", default=str(question.place.line)),
        question.text("context", "article", "passage"),
        question.text("question"),
        choices,
        _label(question, choices),
        question.place,
    )


def _label(question: Object, choices: tuple[str, ...]) -> int | None:
    """The index of the right choice, by "label" or by "answer", its text or letter."""
    label, answer = question.get("label"), question.get("answer")
    if label is None and answer is None:
        return None
    if isinstance(answer, str) and label is None:
        if answer in choices:
            return choices.index(answer)
        letter = LETTERS.find(answer)
        label = letter if len(answer) == 1 else None
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(choices):
        rule = f"must have an answer that is one of its {len(choices)} choices"
        raise question.wrong(rule, question.get("label", "answer"))
    return label


def _are_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)
