import json

import pytest

from keras_albert.errors import InputError
from keras_albert.report.history import curves, read_history
from tests.keras_albert.report.runs import write_history


def read(path, *lines):
    path.write_text("".join(lines), encoding="utf-8")
    return read_history(path)


def test_training_and_validation_are_two_curves_and_loss_comes_first(tmp_path):
    found = curves(read_history(write_history(tmp_path / "metrics.jsonl")))
    assert list(found) == ["loss", "accuracy", "f1_负面", "learning_rate"]
    assert found["loss"]["training"] == [[1, 1], [2, 1 / 2], [3, 1 / 3], [4, 1 / 4]]
    assert found["accuracy"] == {"training": [], "validation": [[2, 0.4], [4, 0.8]]}


def test_of_a_step_that_was_repeated_after_a_resume_the_later_line_counts(tmp_path):
    lines = ['{"step": 1, "loss": 3}\n', '{"step": 2, "loss": 9}\n', '{"step": 2, "loss": 2}\n']
    found = read(tmp_path / "metrics.jsonl", *lines)
    assert [line["loss"] for line in found] == [3, 2]


def test_half_a_line_at_the_end_of_a_killed_run_is_passed_over(tmp_path):
    found = read(tmp_path / "metrics.jsonl", '{"step": 1, "loss": 3}\n', '{"step": 2, "lo')
    assert found == [{"step": 1, "loss": 3}]


def test_a_loss_that_is_no_number_leaves_a_gap(tmp_path):
    lines = ['{"step": 1, "loss": NaN}\n', '{"step": 2, "loss": 2, "note": "x", "best": true}\n']
    found = curves(read(tmp_path / "metrics.jsonl", *lines))
    assert found == {"loss": {"training": [[2, 2]], "validation": []}}


def test_a_long_curve_is_shown_by_means_of_neighbours(tmp_path):
    lines = [json.dumps({"step": step, "loss": step % 2}) + "\n" for step in range(1, 601)]
    pairs = curves(read(tmp_path / "metrics.jsonl", *lines))["loss"]["training"]
    assert len(pairs) == 300
    assert pairs[0] == [1.5, 0.5]


@pytest.mark.parametrize("line", ["[]", "{", '{"loss": 1}', '{"step": true}', ""])
def test_a_damaged_line_is_refused_with_its_place(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(InputError) as error:
        read(path, '{"step": 1}\n', line + "\n")
    assert f"with a number 'step', at {path}:2. Received: line={line!r}" in str(error.value)
