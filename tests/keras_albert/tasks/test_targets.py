"""Labels to numbers, logits to answers."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_albert.data.in_graph import input_errors
from keras_albert.data.records import Place
from keras_albert.errors import InputError
from keras_albert.tasks.rows import Rows
from keras_albert.tasks.targets import targets_of

CLASSES = targets_of("classification", ["no", "yes"])
LABELS = targets_of("multi_label", ["a", "b", "c"])
NUMBER = targets_of("regression", None)


def rows(labels):
    return Rows((["text"] * len(labels),), labels, None, [Place("f.tsv", n + 1) for n in range(9)])


def test_classes_are_names_or_numbers():
    given = ["yes", b"no", 1, np.int64(0), True]
    assert CLASSES.encode(rows(given)).tolist() == [1, 0, 1, 0, 1]


def test_a_name_that_is_a_numeral_is_a_name_as_text_and_an_index_as_number():
    targets = targets_of("classification", ["1", "0"])
    assert targets.encode(rows(["0", 0])).tolist() == [1, 0]


def test_several_labels_are_lists_of_names_or_indicators():
    given = [["a", "c"], [], (1,), np.array([0, 1, 1])]
    expected = [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert LABELS.encode(rows(given)).tolist() == expected


def test_numbers_stay_what_they_are():
    assert NUMBER.encode(rows([1, -2.5, np.float32(0.25)])).tolist() == [1, -2.5, 0.25]


@pytest.mark.parametrize(
    ("targets", "label", "received"),
    [
        (CLASSES, "maybe", "label='maybe'"),
        (CLASSES, 2, "label=2"),
        (CLASSES, -1, "label=-1"),
        (CLASSES, None, "label=None"),
        (CLASSES, 0.5, "label=0.5"),
        (LABELS, ["a", "d"], "label='d'"),
        (LABELS, "a", "'a'"),
        (LABELS, np.array([0, 2, 1]), "[0, 2, 1]"),
        (LABELS, np.array([0, 1]), "[0, 1]"),
        (NUMBER, math.nan, "label=nan"),
        (NUMBER, math.inf, "label=inf"),
        (NUMBER, 1e39, "label=1e+39"),
        (NUMBER, "1", "label='1'"),
        (NUMBER, True, "label=True"),
        (NUMBER, None, "label=None"),
    ],
)
def test_a_bad_label_is_named_with_its_place(targets, label, received):
    good = {CLASSES: "no", LABELS: ["a"], NUMBER: 1.0}[targets]
    with pytest.raises(InputError) as error:
        targets.encode(rows([good, label]))
    assert "f.tsv:2. Received: " + received in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("targets", "given", "expected"),
    [
        (CLASSES, ["yes", "no"], [1, 0]),
        (CLASSES, [1, 0], [1, 0]),
        (LABELS, [[0, 1, 1]], [[0, 1, 1]]),
        (NUMBER, [0.5, 2.0], [0.5, 2.0]),
    ],
)
def test_labels_in_a_graph_are_encoded_alike(targets, given, expected):
    data = tf.data.Dataset.from_tensors(tf.constant(given)).map(targets.encode_tensor)
    assert next(iter(data)).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("targets", "given", "received"),
    [
        (CLASSES, ["yes", "maybe"], "maybe"),
        (CLASSES, [0, 2], "2"),
        (CLASSES, [0.0, 0.5], "0.5"),
        (LABELS, [[0, 1, 3]], "3"),
        (NUMBER, [math.nan, 1.0], "nan"),
    ],
)
def test_a_bad_label_in_a_graph_is_one_line(targets, given, received):
    data = tf.data.Dataset.from_tensors(tf.constant(given)).map(targets.encode_tensor)
    with pytest.raises(InputError) as error, input_errors():
        next(iter(data))
    assert received in str(error.value).partition("Received: ")[2]


def test_probabilities_are_softmax_sigmoid_and_the_number_itself():
    logits = np.array([[0.0, math.log(3)]], "float32")
    assert CLASSES.probabilities(logits, 1.0) == pytest.approx(np.array([[0.25, 0.75]]))
    # Twice the temperature takes the square root of the odds.
    odds = math.sqrt(3)
    cooled = np.array([[1 / (1 + odds), odds / (1 + odds)]])
    assert CLASSES.probabilities(logits, 2.0) == pytest.approx(cooled)
    several = LABELS.probabilities(np.array([[0.0, math.log(3), -1000.0]]), 1.0)
    assert several == pytest.approx(np.array([[0.5, 0.75, 0.0]]))
    assert NUMBER.probabilities(np.array([[2.5]]), 1.0).tolist() == [2.5]


def test_answers_name_the_labels():
    (answer,) = CLASSES.answers(np.array([[0.0, math.log(3)]]), 1.0, 0.5)
    assert answer["label"] == "yes"
    assert answer["scores"] == pytest.approx({"no": 0.25, "yes": 0.75})
    (answer,) = LABELS.answers(np.array([[0.0, math.log(3), -9.0]]), 1.0, 0.6)
    assert answer["labels"] == ["b"]
    assert list(answer["scores"]) == ["a", "b", "c"]
    assert NUMBER.answers(np.array([[2.5]]), 1.0, 0.5) == [{"score": 2.5}]


def test_weights_of_classes_are_by_name_or_number():
    labels = np.array([0, 1, 1])
    assert CLASSES.class_weights({"yes": 3}, labels).tolist() == [1, 3, 3]
    assert CLASSES.class_weights({0: 0.5}, labels).tolist() == [0.5, 1, 1]
    several = np.array([[1, 0, 1], [0, 0, 0]])
    assert LABELS.class_weights({"a": 2, "c": 5}, several).tolist() == [5, 1]
    with pytest.raises(InputError, match="A class weight is a finite number"):
        CLASSES.class_weights({"yes": -1}, labels)
    with pytest.raises(InputError, match=r"at class_weight\. Received: label='maybe'"):
        CLASSES.class_weights({"maybe": 1}, labels)
    with pytest.raises(InputError, match="Numbers have no classes"):
        NUMBER.class_weights({"yes": 1}, labels)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("classification", None),
        ("classification", ["one"]),
        ("classification", ["a", "a"]),
        ("classification", "ab"),
        ("multi_label", []),
        ("regression", ["a", "b"]),
        ("ranking", ["a", "b"]),
    ],
)
def test_kind_and_labels_must_fit(kind, labels):
    with pytest.raises(InputError, match="Received: "):
        targets_of(kind, labels)
