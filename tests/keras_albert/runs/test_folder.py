"""A run's folder: its beginning, its end."""

import json

import pytest

from keras_albert.errors import InputError
from keras_albert.runs import folder as run_folder

GIVEN = {"epochs": 3, "train": "train.tsv", "freeze": ("a",)}
DATA = {"train": {"path": "train.tsv", "rows": 2, "sha256": "ab"}}


def begin(folder, given, data, **options):
    """Whether the run is finished."""
    with run_folder.begun(folder, given, data, **options) as is_finished:
        return is_finished


@pytest.fixture
def begun(tmp_path):
    assert not begin(tmp_path / "run", GIVEN, DATA)
    return tmp_path / "run"


def test_settings_and_data_are_there_from_the_beginning(begun):
    assert json.loads((begun / "settings.json").read_text()) == GIVEN | {"freeze": ["a"]}
    assert json.loads((begun / "data.json").read_text()) == DATA


def test_a_run_goes_on_where_its_files_lie_elsewhere_now(begun):
    moved = {"train": DATA["train"] | {"path": "data/train.tsv"}}
    given = GIVEN | {"train": "data/train.tsv", "save_every": 100}
    assert not begin(begun, given, moved, resume=True)
    (begun / "report.json").write_text("{}")
    assert begin(begun, given, moved, resume=True)


@pytest.mark.parametrize(
    ("given", "data", "message"),
    [
        (GIVEN | {"epochs": 4}, DATA, r"epochs=4 \(was 3\)"),
        (GIVEN | {"more": 1}, DATA, r"more=1 \(was None\)"),
        (GIVEN, {"train": DATA["train"] | {"sha256": "cd"}}, "data.json holds"),
        (GIVEN, DATA | {"test": DATA["train"]}, "test="),
    ],
)
def test_a_run_does_not_go_on_with_other_settings_or_data(begun, given, data, message):
    with pytest.raises(InputError, match=message):
        begin(begun, given, data, resume=True)


def test_a_folder_without_a_run_is_none_to_resume_but_an_empty_one_begins(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(InputError, match=r"settings.json: the folder of a run to resume"):
        begin(tmp_path, GIVEN, DATA, resume=True)
    (tmp_path / "empty").mkdir()
    assert not begin(tmp_path / "empty", GIVEN, DATA, resume=True)


def test_force_removes_what_is_of_an_earlier_run_and_keeps_its_model(begun):
    (begun / "checkpoints").mkdir()
    for name in ("metrics.jsonl", "report.json", "model.weights.h5"):
        (begun / name).write_text("")
    with pytest.raises(FileExistsError):
        begin(begun, GIVEN, DATA)
    assert not begin(begun, GIVEN | {"epochs": 1}, DATA, force=True)
    assert sorted(path.name for path in begun.iterdir()) == [
        "data.json",
        "model.weights.h5",
        "settings.json",
    ]
    assert json.loads((begun / "settings.json").read_text())["epochs"] == 1


def test_a_run_that_fails_before_a_step_leaves_nothing(tmp_path):
    (tmp_path / "mine").write_text("")
    for folder, left in ((tmp_path / "new", None), (tmp_path, ["mine"])):
        with (
            pytest.raises(InputError, match="bad"),
            run_folder.begun(folder, GIVEN, DATA, force=True),
        ):
            (folder / "metrics.jsonl").write_text("")
            raise InputError("bad")
        assert (sorted(p.name for p in folder.iterdir()) if folder.exists() else None) == left


@pytest.mark.parametrize("name", ["checkpoints", "metrics.jsonl"])
def test_a_run_that_fails_later_can_be_resumed(name, tmp_path):
    with pytest.raises(OSError, match="full"), run_folder.begun(tmp_path, GIVEN, DATA):
        (tmp_path / name).write_text("something")
        raise OSError("full")
    assert {path.name for path in tmp_path.iterdir()} == {name, "settings.json", "data.json"}
    assert not begin(tmp_path, GIVEN, DATA, resume=True)


def test_what_fails_at_the_end_leaves_everything_as_it_was(begun):
    (begun / "checkpoints").mkdir()
    (begun / "model.weights.h5").write_text("earlier")
    with pytest.raises(OSError, match="full"), run_folder.finished(begun) as new:
        (new / "model.weights.h5").write_text("half")
        raise OSError("full")
    assert (begun / "model.weights.h5").read_text() == "earlier"
    assert (begun / "checkpoints").is_dir()
    with run_folder.finished(begun) as new:
        (new / "model.weights.h5").write_text("new")
    assert (begun / "model.weights.h5").read_text() == "new"
    assert not (begun / "checkpoints").exists()
