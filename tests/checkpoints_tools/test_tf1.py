"""TensorFlow 1 checkpoints: damage is seen, nothing is half written, every bit comes back."""

import errno
import os
import shutil
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from checkpoints_tools.foreign import check_vocabulary
from checkpoints_tools.source import locate
from checkpoints_tools.tf1 import Checkpoint, TF1Weights, write_checkpoint
from keras_albert.errors import InputError
from tests.checkpoints_tools.folders import (
    CHECKPOINTS,
    DATA,
    HUB,
    INDEX,
    copy_case,
    flip,
    make_folder,
    read_variables,
    same_bits,
)
from tests.paths import REFERENCE

CASE = "albert_race"  # the smallest
WORDS = "bert/embeddings/word_embeddings"


@pytest.fixture
def folder(tmp_path):
    return copy_case(tmp_path / "source", CASE)


@pytest.fixture(scope="module")
def truth():
    return read_variables(CHECKPOINTS[CASE][0])


def refusal(call, *arguments, **options):
    """The one line with which something is refused."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def array_of(checkpoint, name):
    return np.asarray(checkpoint.tensor(name))


def weights(folder, **reading):
    with locate(folder) as located:
        return TF1Weights(located, **reading)


# Reading


def test_names_shapes_and_dtypes_come_from_the_index_alone(folder, truth):
    (folder / DATA).unlink()
    checkpoint = Checkpoint(str(folder / "model.ckpt"))
    assert checkpoint.shapes == {name: truth[name].shape for name in sorted(truth)}
    assert checkpoint.dtypes == {name: array.dtype.name for name, array in truth.items()}


def test_every_variable_is_read_bit_for_bit(truth):
    checkpoint = Checkpoint(str(CHECKPOINTS[CASE][0]))
    assert all(same_bits(array_of(checkpoint, name), array) for name, array in truth.items())


def test_variables_come_in_our_layout_under_our_paths(truth):
    found = weights(REFERENCE / CASE)
    assert set(found.names) == set(found.shapes)
    for path, name in found.names.items():
        array = truth[name].T if name == "output_weights" else truth[name]
        assert same_bits(np.ascontiguousarray(found.read(path)), np.ascontiguousarray(array))
        assert found.shapes[path] == array.shape


def test_a_folder_of_the_checkpoint_s_name_is_no_checkpoint(folder):
    (folder / "model.ckpt").mkdir()
    assert Checkpoint(str(folder / "model.ckpt")).shapes[WORDS] == (290, 16)


def test_a_flipped_byte_in_any_variable_is_found(folder, truth):
    """The index holds where each variable lies only inside, so the file is searched for it."""
    content = (folder / DATA).read_bytes()
    for name, array in truth.items():
        position = content.find(array.tobytes())
        assert position >= 0
        flip(folder / DATA, position + array.nbytes // 2)
        message = refusal(Checkpoint(str(folder / "model.ckpt")).tensor, name)
        assert f"the data of {name} is missing or damaged" in message
        (folder / DATA).write_bytes(content)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_truncated_data_is_found_in_the_variables_that_it_cuts(folder, truth, kept):
    content = (folder / DATA).read_bytes()
    (folder / DATA).write_bytes(content[: int(kept * len(content))])
    checkpoint = Checkpoint(str(folder / "model.ckpt"))
    lost = []
    for name, array in truth.items():
        try:
            assert same_bits(array_of(checkpoint, name), array)
        except InputError:
            lost.append(name)
    assert lost
    assert (len(lost) == len(truth)) == (kept == 0.0)


def test_missing_data_is_named(folder):
    (folder / DATA).unlink()
    message = refusal(Checkpoint(str(folder / "model.ckpt")).tensor, WORDS)
    assert f"the data of {WORDS} is missing or damaged" in message
    message = refusal(weights(folder).read, "pool/kernel")
    assert message.endswith("data is missing. Received: no model.ckpt.data-?????-of-?????")


def test_a_missing_index_is_named(tmp_path):
    message = refusal(Checkpoint, str(tmp_path / "model.ckpt"))
    assert "model.ckpt.index: not a readable TensorFlow checkpoint index" in message


def test_a_flipped_byte_in_the_index_is_found_or_changes_nothing(folder, truth):
    """Every 20th byte: the blocks, their checksums, the footer and its padding."""
    content = (folder / INDEX).read_bytes()
    refused = 0
    positions = range(0, len(content), len(content) // 60)
    for position in positions:
        flip(folder / INDEX, position)
        try:
            checkpoint = Checkpoint(str(folder / "model.ckpt"))
            found = {name: array_of(checkpoint, name) for name in checkpoint.shapes}
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert found.keys() == truth.keys()
            assert all(same_bits(found[name], array) for name, array in truth.items())
        (folder / INDEX).write_bytes(content)
    assert refused > 0.8 * len(positions)


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_index_is_refused(folder, kept):
    content = (folder / INDEX).read_bytes()
    (folder / INDEX).write_bytes(content[: int(kept * len(content))])
    assert "not a readable" in refusal(Checkpoint, str(folder / "model.ckpt"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_unless_allowed(tmp_path, truth, value):
    array = truth["bert/pooler/dense/bias"].copy()
    array[[1, 5]] = value
    folder = make_folder(tmp_path / "source", CASE, {"bert/pooler/dense/bias": array})
    message = refusal(weights(folder).read, "pool/bias")
    assert "bert/pooler/dense/bias: weights must be finite" in message
    assert "--allow-nonfinite" in message
    assert message.endswith("Received: 2 values that are NaN or infinite")
    assert same_bits(weights(folder, allow_nonfinite=True).read("pool/bias"), array)


def test_large_finite_weights_are_no_infinity(tmp_path):
    array = np.full(32, np.finfo(np.float32).max)
    folder = make_folder(tmp_path / "source", CASE, {"bert/pooler/dense/bias": array})
    assert same_bits(weights(folder).read("pool/bias"), array)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_float_types_are_read_and_written(tmp_path, dtype):
    array = np.arange(32).astype(dtype)
    folder = make_folder(tmp_path / "source", CASE, {"bert/pooler/dense/bias": array})
    assert same_bits(weights(folder).read("pool/bias"), array)


def test_weights_that_are_no_floats_are_refused(tmp_path):
    change = {"bert/pooler/dense/bias": np.zeros(32, np.int32)}
    folder = make_folder(tmp_path / "source", CASE, change)
    assert refusal(weights, folder).endswith(
        "weights are floats. Received: bert/pooler/dense/bias int32"
    )


def test_a_source_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"keras_albert_schema": 1}')
    (tmp_path / "model.weights.h5").touch()
    assert "not a TensorFlow 1 checkpoint" in refusal(weights, tmp_path)


def test_without_tensorflow_it_says_what_is_needed(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="needs tensorflow: pip install tensorflow"):
        Checkpoint(str(folder / "model.ckpt"))


# Vocabularies


@pytest.mark.parametrize(
    ("content", "size"),
    [(b"", 0), (b"\n", 0), (b"a", 1), (b"a\n", 1), (b"a\n\nb\n", 3), (b"a\r\nb\r\n", 2)],
)
def test_a_vocabulary_has_as_many_entries_as_lines(tmp_path, content, size):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    message = refusal(check_vocabulary, path, 9)
    assert message.endswith(f"Received: {size} entries, vocab_size=9")
    check_vocabulary(path, size)


def test_a_sentencepiece_model_has_as_many_entries_as_pieces():
    path = REFERENCE / HUB / "module" / "assets" / "30k-clean.model"
    check_vocabulary(path, 420)
    assert refusal(check_vocabulary, path, 421).endswith("420 entries, vocab_size=421")


@pytest.mark.parametrize("kept", [0, 1000, -1])
def test_a_damaged_sentencepiece_model_is_refused(tmp_path, kept):
    path = tmp_path / "x.model"
    content = (REFERENCE / HUB / "module" / "assets" / "30k-clean.model").read_bytes()
    path.write_bytes(content[:kept])
    assert "not a readable SentencePiece model" in refusal(check_vocabulary, path, 420)


@pytest.mark.parametrize("content", [b"\x08\x01", b"\xff" * 20, b"\x0a\x05abc", b"\x02\x00"])
def test_what_is_no_sentencepiece_model_is_refused(tmp_path, content):
    path = tmp_path / "x.model"
    path.write_bytes(content)
    message = refusal(check_vocabulary, path, 420)
    assert message.endswith(f"not a readable SentencePiece model. Received: {len(content)} bytes")


def test_a_checkpoint_with_another_vocabulary_is_refused(tmp_path):
    folder = make_folder(tmp_path / "source", CASE, vocabulary=289)
    assert refusal(weights, folder).endswith("Received: 289 entries, vocab_size=290")
    weights(make_folder(tmp_path / "right", CASE, vocabulary=290))


# Writing


ARRAYS = {
    "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a/bias": np.array([np.nan, -0.0, np.inf], np.float16),
    "b": np.array(2**40 + 1),
    "empty": np.zeros((0, 3), np.float32),
}


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["model.ckpt", "model [1] é.ckpt"])
def test_what_is_written_comes_back_bit_for_bit(tmp_path, name):
    write_checkpoint(str(tmp_path / name), ARRAYS.items())
    assert left_in(tmp_path) == [f"{name}.data-00000-of-00001", f"{name}.index"]
    if name != "model.ckpt":  # TensorFlow writes to such a name, and takes it for a pattern then
        for suffix in (".index", ".data-00000-of-00001"):
            shutil.copyfile(tmp_path / f"{name}{suffix}", tmp_path / f"model.ckpt{suffix}")
    found = read_variables(tmp_path / "model.ckpt")
    assert found.keys() == ARRAYS.keys()
    assert all(same_bits(found[key], array) for key, array in ARRAYS.items())


def disk_full(**arguments):
    Path(arguments["prefix"] + ".data-00000-of-00001.tempstate").write_bytes(b"half")
    raise tf.errors.ResourceExhaustedError(None, None, "{{node x}} No space left on device\nmore")


def index_refused(replace):
    def stand_in(source, target):
        if str(target).endswith(".index"):
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        replace(source, target)

    return stand_in


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tf.raw_ops, "SaveV2", disk_full)
    with pytest.raises(OSError, match=r"cannot write the checkpoint: No space left on device$"):
        write_checkpoint(str(tmp_path / "model.ckpt"), ARRAYS.items())
    assert left_in(tmp_path) == []


def test_a_file_in_the_place_of_the_folder_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="cannot write the checkpoint"):
        write_checkpoint(str(tmp_path / "file" / "model.ckpt"), ARRAYS.items())
    assert (tmp_path / "file").read_text() == "mine"
    assert left_in(tmp_path) == ["file"]


def test_without_its_index_there_is_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", index_refused(os.replace))
    with pytest.raises(PermissionError):
        write_checkpoint(str(tmp_path / "model.ckpt"), ARRAYS.items())
    assert not any(name.startswith(".") or name.endswith(".index") for name in left_in(tmp_path))
