"""The converted directory: what is wrong with one is said, and an old one always loads."""

import json
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import keras_albert as ka
from keras_albert.directory import SCHEMA, DirectoryWeights, new_directory, replaced_files, sha256
from keras_albert.errors import InputError
from tests.checkpoints_tools.cases import BAR, distance, load_case
from tests.checkpoints_tools.folders import CHECKPOINTS, read_variables, same_bits
from tests.paths import GOLDEN

# Made once by
#   python -m checkpoints_tools convert tests/golden/reference/albert_race \
#       tests/golden/directory_v1 --task multiple_choice
# and never again: directories that people have must load for ever.
OLD = GOLDEN / "directory_v1"
CASE = "albert_race"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(OLD, tmp_path / "model")


@pytest.fixture
def change(folder):
    """Changes keys of a JSON file of the directory; None leaves one out."""

    def apply(name="config.json", **keys):
        path = folder / name
        content = json.loads(path.read_text()) | keys
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    return apply


def refusal(source, **options):
    """The one line with which a directory is refused."""
    with pytest.raises(InputError) as caught:
        DirectoryWeights(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# An old directory


def test_an_old_directory_still_gives_google_s_numbers():
    case = load_case(CASE)
    model = ka.load_model(OLD)
    assert model.task == "multiple_choice"
    for key in case.sets:
        found = keras.ops.convert_to_numpy(model(case.inputs(key, case.task))["logits"])
        expected = case.part(f"{key}/out")["classifier_logits"].reshape(found.shape)
        # JAX sums in another order.
        bar = BAR * (2 if keras.backend.backend() == "jax" else 1)
        assert distance(found, expected) <= bar


def test_an_old_directory_holds_google_s_weights_bit_for_bit():
    original = read_variables(CHECKPOINTS[CASE][0])
    weights = DirectoryWeights(OLD)
    names = weights.provenance["names"]
    assert set(names) == set(weights.shapes)
    assert set(names.values()) == set(original) - {"global_step"}
    for path, name in names.items():
        array = original[name].T if path == "classifier/kernel" else original[name]
        assert same_bits(weights.read(path), np.ascontiguousarray(array))
        assert weights.shapes[path] == array.shape
    weights.close()


def test_an_old_directory_is_small():
    assert sum(path.stat().st_size for path in OLD.iterdir()) < 150_000


def test_the_keys_of_the_weights_may_change_as_long_as_the_map_follows(folder, change):
    """Keras derives them from class names and the order of layers."""
    keys = json.loads((folder / "config.json").read_text())["weights"]
    with h5py.File(folder / "model.weights.h5", "a") as file:
        file.move(keys["pool/kernel"], "elsewhere/0")
    change(weights=keys | {"pool/kernel": "elsewhere/0"})
    change("provenance.json", weights_sha256=sha256(folder / "model.weights.h5"))
    outputs = [
        ka.load_encoder(source)({"token_ids": [[2, 7, 3]]})["pooled_output"]
        for source in (OLD, folder)
    ]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, outputs))


# What is wrong with a directory


@pytest.mark.parametrize("name", ["config.json", "provenance.json", "model.weights.h5"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert refusal(folder) == f"{folder / name}: a converted directory has this file"


@pytest.mark.parametrize("name", ["config.json", "provenance.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1, "a": 2}', "\xff"])
def test_a_damaged_description_is_named(folder, name, content):
    (folder / name).write_bytes(content.encode("latin-1"))
    assert refusal(folder).startswith(f"{folder / name}: ")


def test_weights_that_are_not_those_of_the_provenance_are_refused(folder):
    path = folder / "model.weights.h5"
    wanted = sha256(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert refusal(folder) == (
        f"{path}: the weights are not those that provenance.json was written for. "
        f"Received: sha256={sha256(path)}, provenance.json has {wanted}"
    )


def test_a_provenance_without_the_sum_of_the_weights_is_refused(change, folder):
    change("provenance.json", weights_sha256=None)
    assert refusal(folder).endswith("provenance.json has None")


def test_weights_that_are_no_hdf5_are_refused(folder, change):
    (folder / "model.weights.h5").write_bytes(b"x")
    change("provenance.json", weights_sha256=sha256(folder / "model.weights.h5"))
    assert refusal(folder).startswith(f"{folder / 'model.weights.h5'}: ")


@pytest.mark.parametrize("schema", [SCHEMA + 1, "1", None])
def test_another_schema_is_refused(folder, change, schema):
    change(keras_albert_schema=schema)
    assert refusal(folder) == (
        f"{folder / 'config.json'}: this version reads schema {SCHEMA}. "
        f"Received: keras_albert_schema={schema!r}"
    )


@pytest.mark.parametrize(
    ("key", "kind"), [("config", "dict"), ("task", "str"), ("task_options", "dict"),
                      ("weights", "dict")]
)  # fmt: skip
@pytest.mark.parametrize("value", [None, 3, ["x"]])
def test_a_key_that_is_missing_or_of_another_kind_is_named(folder, change, key, kind, value):
    change(**{key: value})
    assert refusal(folder) == (
        f"{folder / 'config.json'}: the key {key!r} has a {kind}. Received: {value!r}"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_heads", 5), ("num_heads", "4"), ("layers", 2), ("inert", [1]), ("inert", 7)],
)
def test_a_configuration_that_breaks_a_rule_is_refused(folder, change, field, value):
    config = json.loads((folder / "config.json").read_text())["config"]
    change(config=config | {field: value})
    assert refusal(folder).startswith(f"{folder / 'config.json'}: ")


@pytest.mark.parametrize("key", ["layers/nowhere/vars/0", "layers", 5])
def test_a_map_that_leads_nowhere_is_refused(folder, change, key):
    keys = json.loads((folder / "config.json").read_text())["weights"]
    change(weights=keys | {"pool/kernel": key})
    message = refusal(folder)
    assert "its map leads to no weights in model.weights.h5" in message
    assert message.endswith("Received: pool/kernel")


def test_a_variable_that_the_map_leaves_out_is_missed_by_the_model(folder, change):
    keys = json.loads((folder / "config.json").read_text())["weights"]
    del keys["encoder_block_0/output/bias"]
    change(weights=keys)
    with pytest.raises(InputError, match="no encoder_block_0/output/bias"):
        ka.load_model(folder)


def test_a_task_that_is_not_known_is_refused(folder, change):
    change(task="translation")
    with pytest.raises(InputError, match="task must be one of"):
        ka.load_model(folder)


# How it is read


def test_overrides_take_the_place_of_the_file_s_fields():
    weights = DirectoryWeights(OLD, overrides={"dropout": 0.25})
    assert (weights.config.dropout, weights.config.attention_dropout) == (0.25, 0)
    weights.close()
    assert "dropout must be a rate" in refusal(OLD, overrides={"dropout": 2})


def test_a_configuration_of_another_name_is_read(folder):
    (folder / "config.json").rename(folder / "race_config.json")
    case = load_case(CASE)
    inputs = case.inputs(case.ragged, case.task)
    for options in ({}, {"config_path": folder / "race_config.json"}):
        found = ka.load_model(folder, **options)(inputs)["logits"]
        assert found.shape == (*inputs["token_ids"].shape[:2],)


# How it is written


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_takes_its_name_when_it_is_whole(tmp_path):
    with new_directory(tmp_path / "new" / "folder") as folder:
        (folder / "a").touch()
        assert names(tmp_path / "new") == [folder.parent.name]
    assert names(tmp_path / "new") == ["folder"]
    assert names(tmp_path / "new" / "folder") == ["a"]


def test_files_that_are_replaced_leave_the_others(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    with replaced_files(tmp_path) as folder:
        (folder / "b").write_text("new")
        (folder / "c").mkdir()
    assert names(tmp_path) == ["a", "b", "c"]
    assert [(tmp_path / name).read_text() for name in "ab"] == ["old", "new"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, OSError])
def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path, interrupt):
    with pytest.raises(interrupt), new_directory(tmp_path / "new") as folder:
        (folder / "a").touch()
        raise interrupt
    assert names(tmp_path) == []
