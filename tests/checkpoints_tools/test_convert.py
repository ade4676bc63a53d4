"""Google's checkpoint -> Keras directory -> Google's checkpoint, with nothing lost on the way."""

import contextlib
import errno
import json
import os
import resource
from pathlib import Path

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from checkpoints_tools.convert import convert, export
from checkpoints_tools.describe import describe
from checkpoints_tools.verify import verify
from keras_albert import directory, filling
from keras_albert.directory import DirectoryWeights
from keras_albert.errors import InputError
from tests.checkpoints_tools.cases import load_case
from tests.checkpoints_tools.folders import (
    CASES,
    CHECKPOINTS,
    HUB,
    copy_case,
    make_folder,
    read_variables,
    same_bits,
)
from tests.paths import REFERENCE, SHARED, needs_shared

CASE = "albert_race"  # the smallest
VOCABULARY = 290


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def model_variables(prefix) -> dict[str, np.ndarray]:
    """What of a checkpoint belongs to the model: no optimizer slots, no step."""
    return {
        name: array
        for name, array in read_variables(prefix).items()
        if not name.endswith(("/adam_m", "/adam_v")) and name != "global_step"
    }


@contextlib.contextmanager
def no_file_beyond(size: int):
    """A file system that is full after `size` bytes of any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def there_and_back(tmp_path_factory):
    """(converted directory, exported folder) of a checkpoint of the reference, made once."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("convert")
            prefix, config_path = CHECKPOINTS[name]
            task = load_case(name).task if name in CASES else None
            convert(prefix, folder / "keras", task=task, config_path=config_path, verify=False)
            export(folder / "keras", folder / "google" / prefix.name)
            made[name] = folder / "keras", folder / "google"
        return made[name]

    return make


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    """A conversion with everything beside it: what `convert` returned, its source, its folder."""
    folder = tmp_path_factory.mktemp("verified")
    source = make_folder(folder / "source", CASE, vocabulary=VOCABULARY)
    progress = []
    report = convert(source, folder / "keras", progress=lambda *step: progress.append(step))
    return report, source, folder / "keras", progress


# There and back


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_converting_and_exporting_gives_every_variable_back_bit_for_bit(name, there_and_back):
    prefix, _ = CHECKPOINTS[name]
    _, google = there_and_back(name)
    original, found = model_variables(prefix), read_variables(google / prefix.name)
    assert found.keys() == original.keys()
    assert all(same_bits(found[key], array) for key, array in original.items())


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert_tiny_tf1", "minilm_l6_tf1"])
def test_a_real_checkpoint_is_exact_and_comes_back_bit_for_bit(name, tmp_path):
    source = SHARED / "real" / name
    assert convert(source, tmp_path / "keras")["parity"]["passed"]
    export(tmp_path / "keras", tmp_path / "google" / "bert_model.ckpt")
    original, found = (
        model_variables(folder / "bert_model.ckpt") for folder in (source, tmp_path / "google")
    )
    assert found.keys() == original.keys()
    assert all(same_bits(found[key], array) for key, array in original.items())
    vocabularies = [(folder / "vocab.txt").read_bytes() for folder in (source, tmp_path / "google")]
    assert vocabularies[0] == vocabularies[1]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_exported_configuration_is_the_original_key_for_key(name, there_and_back):
    _, config_path = CHECKPOINTS[name]
    (path,) = there_and_back(name)[1].glob("*.json")
    assert json.loads(path.read_text()) == json.loads(config_path.read_text())


@pytest.mark.parametrize("name", CASES)
def test_the_exported_checkpoint_loads_again_with_equal_outputs(name, there_and_back):
    case = load_case(name)
    inputs = case.inputs(case.ragged, case.task)
    outputs = [
        ka.load_model(source, case.task, **case.options)(inputs)
        for source in (REFERENCE / name, *there_and_back(name))
    ]
    for output, expected in outputs[0].items():
        for other in outputs[1:]:
            found, wanted = (keras.ops.convert_to_numpy(x) for x in (other[output], expected))
            assert same_bits(found, wanted), output


@pytest.mark.parametrize("name", ["model.ckpt-best", "finetuned/model.ckpt"])
def test_a_hub_module_s_names_keep_their_prefix(name, there_and_back):
    prefix, _ = CHECKPOINTS[f"{HUB}/{name}"]
    _, google = there_and_back(f"{HUB}/{name}")
    names = read_variables(google / prefix.name)
    prefixed = [key for key in names if key.startswith("module/")]
    assert bool(prefixed) == (name != "model.ckpt-best")


def test_what_the_task_has_no_use_for_is_kept_beside(there_and_back):
    keras_directory, _ = there_and_back("bert_squad")
    with h5py.File(keras_directory / "model.weights.h5") as file:
        assert set(file["unused/pool"]) == {"kernel", "bias"}
    weights = DirectoryWeights(keras_directory)
    original = read_variables(CHECKPOINTS["bert_squad"][0])
    assert same_bits(weights.read("pool/kernel"), original["bert/pooler/dense/kernel"])
    weights.close()
    assert not any("pool/" in v.path for v in ka.load_model(keras_directory).weights)
    assert any("pool/" in v.path for v in ka.load_model(keras_directory, "encoder").weights)


def test_a_head_that_the_source_lacks_starts_fresh_and_is_named(tmp_path):
    report = convert(CHECKPOINTS[CASE][0], tmp_path / "out", task="question_answering")
    assert (report["task"], report["fresh"]) == ("question_answering", ["span"])
    assert "classifier" in report["parts"]
    found = ka.load_model(tmp_path / "out")
    assert found.task == "question_answering"
    kernel = keras.ops.convert_to_numpy(found.get_layer("span").kernel)
    assert np.std(kernel) > 0
    export(tmp_path / "out", tmp_path / "model.ckpt")
    assert same_bits(read_variables(tmp_path / "model.ckpt")["cls/squad/output_weights"].T, kernel)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_rounds_each_weight_once(tmp_path, dtype):
    convert(CHECKPOINTS[CASE][0], tmp_path / "half", dtype=dtype, verify=False)
    original = read_variables(CHECKPOINTS[CASE][0])
    weights = DirectoryWeights(tmp_path / "half")
    word = weights.read("token_embedding/embeddings")
    rounded = original["bert/embeddings/word_embeddings"].astype(dtype)
    assert same_bits(word, rounded)
    assert weights.read("classifier/kernel").dtype == "float32"  # logits are float32 always
    weights.close()
    loaded = ka.load_model(tmp_path / "half").get_layer("token_embedding").embeddings
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded), rounded.astype("float32"))
    assert verify(tmp_path / "half")["passed"]
    export(tmp_path / "half", tmp_path / "google" / "model.ckpt")
    found = read_variables(tmp_path / "google" / "model.ckpt")
    assert same_bits(found["bert/embeddings/word_embeddings"], rounded.astype("float32"))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_a_checkpoint_in_half_precision_comes_back_as_it_was(tmp_path, dtype):
    names = ("bert/pooler/dense/kernel", "bert/embeddings/word_embeddings")
    original = read_variables(CHECKPOINTS["bert_squad"][0])
    changed = {name: original[name].astype(dtype) for name in names}  # one unused, one used
    source = make_folder(tmp_path / "source", "bert_squad", changed)
    convert(source, tmp_path / "keras", verify=False)
    export(tmp_path / "keras", tmp_path / "google" / "model.ckpt")
    found = read_variables(tmp_path / "google" / "model.ckpt")
    assert all(same_bits(found[name], array) for name, array in changed.items())


def test_weights_that_are_not_finite_come_back_where_they_are_allowed(tmp_path):
    name = "bert/pooler/dense/bias"
    bias = read_variables(CHECKPOINTS[CASE][0])[name]
    bias[3] = np.nan
    source = make_folder(tmp_path / "source", CASE, {name: bias})
    with pytest.raises(InputError, match="weights must be finite"):
        convert(source, tmp_path / "keras")
    assert not (tmp_path / "keras").exists()
    report = convert(source, tmp_path / "keras", allow_nonfinite=True)
    assert report["parity"]["passed"]  # NaN where Google's graph has NaN
    export(tmp_path / "keras", tmp_path / "google" / "model.ckpt")
    assert same_bits(read_variables(tmp_path / "google" / "model.ckpt")[name], bias)


# What a conversion leaves


def test_a_directory_holds_four_files(verified):
    _, source, out, _ = verified
    assert sorted(content(out)) == [
        "config.json",
        "model.weights.h5",
        "provenance.json",
        "vocab.txt",
    ]
    assert (out / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()


def test_provenance_says_where_the_weights_come_from_to_the_byte(verified):
    report, source, out, _ = verified
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["source"] == str(source)
    assert provenance["sha256"] == {
        path.name: directory.sha256(path) for path in source.glob("model.ckpt.*")
    }
    assert len(provenance["sha256"]) == 2
    assert provenance["weights_sha256"] == directory.sha256(out / "model.weights.h5")
    assert {"python", "keras-albert", "tensorflow", "numpy"} <= set(provenance["versions"])
    assert provenance["versions"]["keras"] == keras.__version__
    assert provenance["names"]["classifier/kernel"] == "output_weights"
    assert set(provenance["dtypes"].values()) == {"float32"}
    assert provenance["notes"] == ["left behind: global_step"]
    parity = provenance["parity"]
    assert parity["passed"]
    assert set(parity["outputs"]) >= {"sequence_output", "pooled_output", "logits"}
    del provenance["weights_sha256"]
    assert {key: report[key] for key in provenance} == provenance


def test_progress_is_told_for_the_reference_and_for_the_weights(verified):
    *_, progress = verified
    assert all(0 < done <= total for done, total, _ in progress)
    assert sum(done == total for done, total, _ in progress) == 3  # float64, float32, assignment


def test_a_converted_directory_is_a_source_for_everything(verified):
    _, source, out, _ = verified
    before, after = describe(source), describe(out)
    assert (before["kind"], after["kind"]) == ("tf1", "keras")
    for key in ("family", "task", "config", "parameters", "flops_per_token", "absent_parts"):
        assert after[key] == before[key], key
    assert {variable["claimed_by"] for variable in after["variables"]} == {
        variable["claimed_by"]
        for variable in before["variables"]
        if not variable["claimed_by"].startswith("(")
    }
    assert verify(out)["passed"]
    assert ka.load_model(out).files["vocab.txt"] == (source / "vocab.txt").read_bytes()


def test_the_exported_folder_has_the_vocabulary_and_is_a_source(verified, tmp_path):
    _, source, out, _ = verified
    steps = []
    report = export(out, tmp_path / "bert.ckpt", progress=lambda *step: steps.append(step[:2]))
    assert report["variables"] == len(steps) == steps[-1][0] == steps[-1][1]
    assert sorted(map(Path, report["files"])) == sorted(tmp_path.iterdir())
    assert (tmp_path / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()
    assert describe(tmp_path)["parameters"] == describe(source)["parameters"]


def test_converting_what_is_converted_is_refused(verified, tmp_path):
    with pytest.raises(InputError, match="converted already"):
        convert(verified[2], tmp_path / "again")
    assert not list(tmp_path.iterdir())


# Where it is written


def test_a_folder_that_is_not_empty_is_refused_before_the_work(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(FileExistsError, match="must be new or empty"):
        convert("no such source", tmp_path)
    with pytest.raises(FileExistsError, match="must be a folder, and this is a file"):
        convert("no such source", tmp_path / "mine", force=True)
    assert content(tmp_path) == {"mine": b"x"}


def test_force_replaces_the_folder_as_a_whole(tmp_path):
    out = tmp_path / "out"
    (out / "inner").mkdir(parents=True)
    (out / "inner" / "old").touch()
    (out / ".hidden").touch()
    (out / "config.json").write_text("old")
    convert(CHECKPOINTS[CASE][0], out, verify=False, force=True)
    assert sorted(content(out)) == ["config.json", "model.weights.h5", "provenance.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    ka.load_model(out)


def test_an_empty_folder_is_filled_where_it_is(tmp_path, monkeypatch):
    """It may be the working directory, or where a volume is mounted."""
    monkeypatch.chdir(tmp_path)
    node = os.stat(".").st_ino
    convert(CHECKPOINTS[CASE][0], ".", verify=False)
    assert os.stat(tmp_path).st_ino == node
    ka.load_model(tmp_path)


@pytest.mark.parametrize("name", ["", "model.ckpt"])
def test_the_source_is_not_replaced_by_what_is_made_of_it(tmp_path, name):
    source = copy_case(tmp_path / "source", CASE)
    before = content(source)
    for out in (source, tmp_path):
        with pytest.raises(InputError, match="OUT must not hold what is converted"):
            convert(source / name, out, force=True, verify=False)
    assert content(source) == before


def save_weights(self, path, **options):
    Path(path).write_bytes(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def no_space(path, *arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def fails_at(count):
    """`os.replace` that fails the n-th time, and undoes when it is asked again."""
    replace, calls = os.replace, []

    def stand_in(source, target):
        calls.append(target)
        if len(calls) == count:
            no_space(target)
        replace(source, target)

    return stand_in


FAILURES = {
    "the weights": (keras.Model, "save_weights", save_weights),
    "the sha256": (directory, "sha256", no_space),
    "the configuration": (directory, "write_json", no_space),
    "the last move": (directory.os, "replace", None),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("state", ["absent", "empty", "full"])
def test_a_failure_midway_leaves_what_was_there(tmp_path, monkeypatch, failure, state):
    out = tmp_path / "out"
    if state != "absent":
        out.mkdir()
    if state == "full":
        (out / "config.json").write_text("old")
        (out / "inner").mkdir()
    with monkeypatch.context() as patched:
        module, name, stand_in = FAILURES[failure]
        last = {"absent": 1, "empty": 3, "full": 5}[state]
        patched.setattr(module, name, stand_in or fails_at(last))
        with pytest.raises(OSError, match="No space left on device"):
            convert(CHECKPOINTS[CASE][0], out, verify=False, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ([] if state == "absent" else ["out"])
    if state == "empty":
        assert not list(out.iterdir())
    if state == "full":
        assert sorted(path.name for path in out.iterdir()) == ["config.json", "inner"]
        assert (out / "config.json").read_text() == "old"


@pytest.mark.parametrize("size", [100, 50_000])
def test_a_disk_that_is_really_full_is_one_error_and_leaves_nothing(tmp_path, capfd, size):
    with no_file_beyond(size), pytest.raises(OSError, match=r"File too large.*model\.weights\.h5"):
        convert(CHECKPOINTS[CASE][0], tmp_path / "out", verify=False)
    assert not list(tmp_path.iterdir())
    assert "Traceback" not in capfd.readouterr().err  # HDF5 would print one a variable


def test_where_space_cannot_be_reserved_the_conversion_goes_on(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    convert(CHECKPOINTS[CASE][0], tmp_path / "out", verify=False)
    ka.load_model(tmp_path / "out")


BUILD, ASSIGN = filling.build_model, filling.assign


def another_weight(model, weights, **arguments):
    ASSIGN(model, weights, **arguments)
    model.weights[0].assign(1.01 * keras.ops.convert_to_tensor(model.weights[0]))


def another_epsilon(config, task, **options):
    fields = config.get_config() | {"layer_norm_epsilon": 1e-2}
    return BUILD(ka.EncoderConfig.from_config(fields), task, **options)


@pytest.mark.parametrize(
    ("name", "stand_in"), [("assign", another_weight), ("build_model", another_epsilon)]
)
def test_a_model_that_is_not_exact_is_not_written(tmp_path, monkeypatch, name, stand_in):
    monkeypatch.setattr(filling, name, stand_in)
    with pytest.raises(RuntimeError, match="the model is not exact"):
        convert(CHECKPOINTS[CASE][0], tmp_path / "new" / "out")
    assert not list(tmp_path.iterdir())


def test_a_model_with_a_layer_that_no_key_is_found_for_is_not_written(tmp_path, monkeypatch):
    model = ka.load_model(CHECKPOINTS[CASE][0])
    model.weights[0]._path = "elsewhere/kernel"
    with pytest.raises(RuntimeError, match="no place for elsewhere/kernel"):
        ka.save_pretrained(model, tmp_path / "out")
    assert not list(tmp_path.iterdir())


# Exporting


def test_what_is_no_converted_directory_is_not_exported(tmp_path):
    for source in (tmp_path / "absent", REFERENCE / CASE):
        with pytest.raises(InputError, match=r"config\.json: a converted directory has this file"):
            export(source, tmp_path / "model.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("prefix", ["out", "out/", "new/"])
def test_a_folder_is_no_prefix(verified, tmp_path, prefix):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="PREFIX must be a path without suffixes"):
        export(verified[2], f"{tmp_path}/{prefix}")
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


@pytest.mark.parametrize(
    "name",
    ["model.ckpt.index", "model.ckpt.data-00000-of-00001", "albert_config.json", "vocab.txt"],
)
def test_files_are_only_exported_over_with_force(verified, tmp_path, name):
    (tmp_path / name).write_text("old")
    (tmp_path / "other").write_text("mine")
    before = content(tmp_path)
    with pytest.raises(FileExistsError, match=f"{name}: will not be replaced"):
        export(verified[2], tmp_path / "model.ckpt")
    assert content(tmp_path) == before
    export(verified[2], tmp_path / "model.ckpt", force=True)
    after = content(tmp_path)
    assert len(after) == 5
    assert after["other"] == b"mine"
    assert after[name] != b"old"


EXPORT_FAILURES = {
    "the checkpoint": (tf.raw_ops, "SaveV2", lambda **arguments: no_space(arguments["prefix"])),
    "the configuration": (ka.EncoderConfig, "to_json", lambda self, path: no_space(path)),
    "a move": (directory.os, "replace", None),
}


@pytest.mark.parametrize("failure", EXPORT_FAILURES)
def test_an_export_that_fails_midway_leaves_what_was_there(
    verified, tmp_path, monkeypatch, failure
):
    (tmp_path / "model.ckpt.index").write_text("old")
    (tmp_path / "albert_config.json").write_text("old")
    before = content(tmp_path)
    with monkeypatch.context() as patched:
        module, name, stand_in = EXPORT_FAILURES[failure]
        patched.setattr(module, name, stand_in or fails_at(6))
        with pytest.raises(OSError, match="No space left on device"):
            export(verified[2], tmp_path / "model.ckpt", force=True)
    assert content(tmp_path) == before


def test_what_google_s_files_cannot_say_is_not_exported(tmp_path):
    convert(CHECKPOINTS[CASE][0], tmp_path / "out", overrides={"activation": "gelu"}, verify=False)
    with pytest.raises(InputError, match="activation has no name in Google's files"):
        export(tmp_path / "out", tmp_path / "google" / "model.ckpt")
    assert not (tmp_path / "google").exists()


def test_a_variable_without_a_name_in_google_s_files_is_not_exported(tmp_path):
    encoder = ka.load_encoder(CHECKPOINTS[CASE][0])
    adapter = keras.layers.Dense(2, name="adapter")(encoder.output["pooled_output"])
    ka.save_pretrained(
        keras.Model(encoder.input, adapter), tmp_path / "out", config=encoder.encoder_config
    )
    with pytest.raises(InputError, match=r"no name in a albert checkpoint.*adapter/kernel"):
        export(tmp_path / "out", tmp_path / "google" / "model.ckpt")
    assert not (tmp_path / "google").exists()
