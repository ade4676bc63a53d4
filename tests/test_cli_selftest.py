"""`keras-albert selftest`: every strategy trains the model of one device."""

import csv
import json

import pytest

from keras_albert import cli
from keras_albert.cli import selftest as command
from keras_albert.errors import InputError
from keras_albert.selftest import comparison
from tests.paths import SHARED, needs_shared

EQUAL = {
    "optimizer": "sgd",
    "left_out": None,
    "equal": True,
    "largest_difference": 1e-7,
    "largest_move": 0.1,
    "prediction_difference": 1e-7,
    "rows_per_second": 50.0,
    "speed": 1.5,
}
UNEQUAL = EQUAL | {"left_out": 1, "equal": False, "largest_difference": 0.1}


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([EQUAL, UNEQUAL], 0),
        ([EQUAL | {"equal": False}, UNEQUAL], 1),
        # A comparison that notices nothing proves nothing.
        ([EQUAL, UNEQUAL | {"equal": True}], 1),
    ],
)
def test_the_status_says_whether_all_came_out_as_it_has_to(
    monkeypatch, capsys, tmp_path, found, status
):
    given = {}

    def compare(source, texts, labels, setups, **options):
        given.update(options, texts=len(texts), labels=set(labels), setups=setups)
        return found

    monkeypatch.setattr("keras_albert.selftest.compare", compare)
    file = tmp_path / "result.json"
    words = ["--strategy", "multi_worker", "--workers", "3", "--steps", "4", "--output", str(file)]
    assert cli.run(["selftest", *words]) == status
    assert given["setups"] == [{"strategy": "multi_worker", "backend": "tensorflow", "workers": 3}]
    assert (given["texts"], given["labels"], given["steps"]) == (120, {0, 1}, 4)
    assert json.loads(file.read_text()) == {"passed": not status, "comparisons": found}
    assert capsys.readouterr().out.splitlines()[-1] == ("FAILED" if status else "passed")


def test_too_small_a_test_is_refused():
    with pytest.raises(InputError, match="two steps of two rows"):
        command.run(cli.build_parser().parse_args(["selftest", "--steps", "1"]))
    with pytest.raises(InputError, match="Received: devices=0"):
        command.run(cli.build_parser().parse_args(["selftest", "--devices", "0"]))
    with pytest.raises(InputError, match="The self-test takes 72 texts"):
        comparison.compare("nowhere", ["a"] * 71, [0] * 71, [], steps=2)


def test_a_process_that_fails_is_named_with_its_last_words(tmp_path):
    job = {"source": "nowhere", "data": str(tmp_path / "missing.npz")}
    with pytest.raises(InputError, match=r"(?s)Process 0 of .*failed.*missing.npz"):
        comparison._run(tmp_path, job, {"strategy": "cpu"}, None, None)


SETUPS = [
    {"strategy": "mirrored", "devices": 2},
    {"strategy": "mirrored", "devices": 4},
    {"strategy": "multi_worker", "workers": 2},
    {"strategy": "multi_worker", "workers": 3},
    {"strategy": "auto", "devices": 2, "backend": "jax"},
]


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: "-".join(map(str, setup.values())))
def test_fifty_steps_on_real_rows_are_those_of_one_device(setup):
    with (SHARED / "data" / "SST-2" / "train.tsv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(reader)
        rows = [row for _, row in zip(range(51 * 24), reader, strict=False)]
    found = comparison.compare(
        SHARED / "real" / "bert_tiny_tf1",
        [text for _, text in rows],
        [int(label) for label, _ in rows],
        [setup],
    )
    assert {each["optimizer"] for each in found} == {"sgd", "adamw"}
    for each in found:
        assert each["equal"] == (each["left_out"] is None), each
        assert each["largest_move"] > 1e-3
        assert each["rows_once"] or setup.get("backend") == "jax"
    if setup.get("backend") != "jax":
        assert [each["left_out"] for each in found] == [None, 1, None, 1]
