"""What a reader yields: one small record type a task, each with the place it came from."""

from typing import NamedTuple


class Place(NamedTuple):
    """A line of a file, for messages: `str(place)` is `FILE:LINE`."""

    path: str
    line: int  # from 1; where the record begins

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class TextRecord(NamedTuple):
    """Text or several segments of text, and what is known of it.

    `label` is a class as it stands in the file, a number to regress to, several classes, or None
    where there is none.
    """

    texts: tuple[str, ...]
    label: str | float | tuple[str, ...] | None
    place: Place

    @property
    def text(self) -> str | tuple[str, ...]:
        """The text alone, or all segments where there are several."""
        return self.texts[0] if len(self.texts) == 1 else self.texts


class WordsRecord(NamedTuple):
    """The words of a sentence, one tag each; `tags` is None where there are none."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    place: Place


class Answer(NamedTuple):
    """An answer and where in its context it begins, in characters; -1 where that is not known."""

    text: str
    start: int


class QuestionRecord(NamedTuple):
    """A question on a context, with no, one or several answers that all count as right."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    is_impossible: bool
    place: Place


class ChoiceRecord(NamedTuple):
    """A question on a context and its possible answers; `label` is the right one's index."""

    id: str
    context: str
    question: str
    choices: tuple[str, ...]
    label: int | None
    place: Place
