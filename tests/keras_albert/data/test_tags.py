import pytest

from keras_albert.data.records import Place
from keras_albert.data.tags import check_bio
from keras_albert.errors import InputError

PLACE = Place("train.txt", 7)


@pytest.mark.parametrize(
    "tags", ["", "O", "B-PER", "B-PER I-PER I-PER O B-PER", "B-PER B-PER I-PER", "B-A-B I-A-B"]
)
def test_tags_that_chain_are_accepted(tags):
    check_bio(tags.split(), PLACE)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (
            "O I-PER",
            "An I- must go on with an entity of its type, and 'O' stands before it, "
            "at train.txt:7. Received: tag='I-PER', word=2",
        ),
        (
            "B-LOC I-PER",
            "An I- must go on with an entity of its type, and 'B-LOC' stands before it, "
            "at train.txt:7. Received: tag='I-PER', word=2",
        ),
        (
            "I-PER",
            "An I- must go on with an entity of its type, and 'O' stands before it, "
            "at train.txt:7. Received: tag='I-PER', word=1",
        ),
        (
            "O PER",
            "A tag must be O, or B- or I- and a type, at train.txt:7. Received: tag='PER', word=2",
        ),
        (
            "B-",
            "A tag must be O, or B- or I- and a type, at train.txt:7. Received: tag='B-', word=1",
        ),
    ],
)
def test_tags_that_do_not_chain_are_refused_with_their_place(tags, message):
    with pytest.raises(InputError) as error:
        check_bio(tags.split(), PLACE)
    assert str(error.value) == message


def test_a_bad_tag_is_named_by_its_own_line():
    with pytest.raises(InputError) as error:
        check_bio(["O", "B-PER", "I-LOC"], PLACE, [7, 8, 10])
    assert str(error.value) == (
        "An I- must go on with an entity of its type, and 'B-PER' stands before it, "
        "at train.txt:10. Received: tag='I-LOC', word=3"
    )


def test_names_that_cannot_be_printed_are_escaped_and_long_tags_are_cut():
    with pytest.raises(InputError) as error:
        check_bio(["B-\n" + "x" * 100, "I-a"], Place("a\nb.txt", 1))
    message = str(error.value)
    assert message.isprintable()
    assert "at a\\nb.txt:1. Received: tag='I-a', word=2" in message
    assert "'B-\\n" + "x" * 77 + "'… stands before it" in message
