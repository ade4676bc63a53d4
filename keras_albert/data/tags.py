"""Tags in the BIO scheme: B- begins an entity, I- goes on with it, O is none."""

from collections.abc import Sequence

from keras_albert.data.messages import bad, shown
from keras_albert.data.records import Place


def check_bio(tags: Sequence[str], place: Place, lines: Sequence[int] | None = None) -> None:
    """Raises `InputError` where a sentence's tags are not BIO, or an I- goes on with nothing.

    Args:
        tags: The tags, one a word.
        place: Where the sentence begins.
        lines: The line of each tag, where they do not all stand at that place.
    """
    for index, (before, tag) in enumerate(zip(["O", *tags], tags, strict=False)):
        prefix, _, kind = tag.partition("-")
        if tag == "O" or (prefix == "B" and kind):
            continue
        if prefix != "I" or not kind:
            rule = "A tag must be O, or B- or I- and a type"
        elif before in (f"B-{kind}", f"I-{kind}"):
            continue
        else:
            before = shown(before)
            rule = f"An I- must go on with an entity of its type, and {before} stands before it"
        if lines is not None:
            place = place._replace(line=lines[index])
        raise bad(rule, place, tag=tag, word=index + 1)
