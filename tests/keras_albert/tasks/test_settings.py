"""task.json, and folders that are not of a task."""

import json
import re
import shutil

import pytest

from keras_albert.errors import InputError
from keras_albert.tasks import TextClassifier, load
from tests.keras_albert.tasks.small import NAMES, write_source


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a task, to copy."""
    folder = tmp_path_factory.mktemp("made")
    TextClassifier.from_pretrained(write_source(folder), NAMES).save(folder / "saved")
    return folder / "saved"


@pytest.fixture
def saved(made, tmp_path):
    return shutil.copytree(made, tmp_path / "saved")


def change(folder, **values):
    """Sets entries of task.json; None removes one."""
    path = folder / "task.json"
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_the_file_says_schema_task_and_settings(saved):
    content = json.loads((saved / "task.json").read_text())
    assert content["keras_albert_task"] == 1
    assert content["task"] == "text_classification"
    assert content["labels"] == NAMES
    assert content["kind"] == "classification"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keras_albert_task": 2}, "this version reads schema 1. Received: keras_albert_task=2"),
        ({"task": "juggling"}, "one of the tasks text_classification. Received: task='juggling'"),
        ({"labels": [*NAMES, "neutral"]}, "Received: 2 outputs, 3 labels"),
        ({"labels": ["a", "a"]}, "There are at least 2 labels, each once"),
        ({"labels": ["a", 1]}, "labels are texts. Received: ['a', 1]"),
        ({"labels": None}, "settings that must be there. Received: no ['labels']"),
        ({"max_length": "long"}, "max_length is of another type. Received: 'long'"),
        ({"max_length": True}, "max_length is of another type. Received: True"),
        ({"max_length": 64}, "positions for 32 tokens. Received: max_length=64"),
        ({"temperature": 0}, "A temperature is above 0. Received: temperature=0"),
        ({"threshold": 1.5}, "A threshold is between 0 and 1. Received: threshold=1.5"),
        ({"stride": 31}, "at most the 30 tokens of a window. Received: stride=31"),
        ({"long_texts": "fold"}, "Received: long_texts='fold'"),
        ({"colour": "red"}, "Received: ['colour']"),
    ],
)
def test_a_folder_of_something_else_is_one_line(saved, values, message):
    change(saved, **values)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        load(saved)
    assert "\n" not in str(error.value)
    assert str(saved) in str(error.value)


def test_a_folder_without_a_task_is_one_line(tmp_path):
    source = write_source(tmp_path)
    with pytest.raises(InputError, match="the folder of a fine-tuned task has this file"):
        load(source)


def test_damaged_json_is_one_line(saved):
    (saved / "task.json").write_text("{")
    with pytest.raises(InputError, match=r"task\.json"):
        load(saved)
