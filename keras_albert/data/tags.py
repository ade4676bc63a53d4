"""Tags in the BIO scheme: B- begins an entity, I- goes on with it, O is none."""

from collections.abc import Sequence

from keras_albert.data.records import Place
from keras_albert.errors import InputError


def check_bio(tags: Sequence[str], place: Place) -> None:
    """Raises `InputError` where a sentence's tags are not BIO, or an I- goes on with nothing.

    Args:
        tags: The tags, one a word.
        place: Where the sentence begins.
    """
    for number, (before, tag) in enumerate(zip(["O", *tags], tags, strict=False), 1):
        prefix, _, kind = tag.partition("-")
        if tag == "O" or (prefix == "B" and kind):
            continue
        if prefix != "I" or not kind:
            rule = "A tag must be O, or B- or I- and a type"
        elif before in (f"B-{kind}", f"I-{kind}"):
            continue
        else:
            rule = f"An I- must go on with an entity of its type, and {before!r} stands before it"
        raise InputError(f"{rule}, at {place}. Received: tag={tag!r:.80}, word={number}")
