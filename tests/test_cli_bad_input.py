"""Bad input: exit status 2, one line (or one and the list it announces), and nothing left."""

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_albert import cli
from tests.checkpoints_tools.folders import (
    CHECKPOINTS,
    DATA,
    INDEX,
    copy_case,
    flip,
    make_folder,
)
from tests.checkpoints_tools.hugging_face_folders import make, shard
from tests.paths import GOLDEN, REFERENCE, ROOT

CASE = "albert_race"  # the smallest
CONFIG = "albert_config.json"
POOLER = "bert/pooler/dense/bias"
DIRECTORY = GOLDEN / "directory_v1"


def truncated(name, size):
    def make(folder):
        os.truncate(copy_case(folder, CASE) / name, size)
        return folder

    return make


def without(name):
    def make(folder):
        (copy_case(folder, CASE) / name).unlink()
        return folder

    return make


def flipped(name, position):
    def make(folder):
        flip(copy_case(folder, CASE) / name, position)
        return folder

    return make


def with_variables(**arrays):
    return lambda folder: make_folder(folder, CASE, arrays)


def with_keys(case=CASE, **keys):
    return lambda folder: make_folder(folder, case, config=keys)


def with_config(text):
    def make(folder):
        copy_case(folder, CASE)
        (folder / CONFIG).write_text(text)
        return folder

    return make


def with_vocabulary(size):
    return lambda folder: make_folder(folder, CASE, vocabulary=size)


def twice(key):
    """The configuration with a key that stands twice."""
    text = (REFERENCE / CASE / CONFIG).read_text()
    return with_config(text.rstrip()[:-1] + f', "{key}": 1}}')


def tar_with(name, link=None):
    def make(folder):
        info = tarfile.TarInfo(name)
        if link is None:
            info.size = 4
        else:
            info.type, info.linkname = tarfile.SYMTYPE, link
        with tarfile.open(folder.with_suffix(".tar.gz"), "w:gz") as archive:
            archive.addfile(info, io.BytesIO(b"evil"))
        return folder.with_suffix(".tar.gz")

    return make


def zip_with(name, content):
    def make(folder):
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return path

    return make


def hugging_face(damage=None, **changes):
    """A folder in Hugging Face's layout with other keys, and one thing done to it."""

    def build(folder):
        make(folder, config=changes)
        if damage is not None:
            damage(folder)
        return folder

    return build


def without_shard(folder):
    shard(folder)
    (folder / "model-00001-of-00002.safetensors").unlink()


# What is wrong -> how to make it, and what the line says.
SOURCES = {
    "data truncated": (truncated(DATA, 30_000), "missing or damaged"),
    "data empty": (truncated(DATA, 0), "missing or damaged"),
    "data missing": (without(DATA), "Received: no model.ckpt.data-?????-of-?????"),
    "byte flipped in data": (flipped(DATA, 20_000), "missing or damaged"),
    "index truncated": (truncated(INDEX, 600), "not a readable TensorFlow checkpoint index"),
    "index empty": (truncated(INDEX, 0), "not a readable TensorFlow checkpoint index"),
    "index missing": (without(INDEX), "must have an .index file"),
    "byte flipped in index": (flipped(INDEX, 300), "model.ckpt"),
    "NaN": (
        with_variables(**{POOLER: np.full(32, np.nan, np.float32)}),
        f"{POOLER}: weights must be finite (allow_nonfinite, --allow-nonfinite)",
    ),
    "infinity": (
        with_variables(**{POOLER: np.full(32, -np.inf, np.float32)}),
        "Received: 32 values that are NaN or infinite",
    ),
    "integers": (with_variables(**{POOLER: np.zeros(32, np.int32)}), "weights are floats"),
    "another architecture": (
        with_keys(num_hidden_groups=None, inner_group_num=None, embedding_size=None),
        "a albert config needs the keys ['embedding_size']",
    ),
    "config not JSON": (with_config('{"hidden_size": 32,'), f"{CONFIG} is no JSON object"),
    "config no object": (with_config("[3]"), f"{CONFIG} is no JSON object (not an object)"),
    "config missing": (without(CONFIG), "name one that lies elsewhere with config_path="),
    "key missing": (with_keys(vocab_size=None), "needs the keys ['vocab_size']"),
    "key twice": (twice("gap_size"), "each key may stand once. Received: ['gap_size']"),
    "key misspelt": (with_keys(hidden_sise=32), "unknown key; did you mean 'hidden_size'?"),
    "key unknown": (with_keys(colour="blue"), "name it in ignore_keys (--ignore-config-key)"),
    "key contradictory": (with_keys(ln_type="postln"), "contradicts a config of the albert family"),
    "value contradictory": (with_keys(num_attention_heads=5), "a multiple of num_heads"),
    "another graph": (with_keys(net_structure_type=1), "net_structure_type other than 0"),
    "value of another type": (with_keys(vocab_size="290"), "must be a positive integer"),
    "vocabulary too short": (with_vocabulary(289), "289 entries, vocab_size=290"),
    "vocabulary empty": (with_vocabulary(0), "0 entries, vocab_size=290"),
    "absolute path in an archive": (tar_with("/tmp/evil/vocab.txt"), "/tmp/evil/vocab.txt"),
    "upward path in an archive": (zip_with("../../evil/vocab.txt", "x"), "../../evil/vocab.txt"),
    "link in an archive": (tar_with("bert/vocab.txt", "/etc/passwd"), "bert/vocab.txt"),
    "bomb": (zip_with("bert/vocab.txt", bytes(20 * 2**20)), "at most 200 times its size"),
    "no archive": (with_config("x"), "is no JSON object"),
    "safetensors truncated": (
        hugging_face(lambda folder: os.truncate(folder / "model.safetensors", 9_000)),
        "model.safetensors: not a readable safetensors file",
    ),
    "shard missing": (hugging_face(without_shard), "the index names this file"),
    "pickled weights": (
        hugging_face(lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin")),
        "Weights must be in model.safetensors",
    ),
    "another model": (hugging_face(model_type="roberta"), "bert and albert are read"),
    "relative positions": (
        hugging_face(position_embedding_type="relative_key"),
        "position_embedding_type other than 'absolute'",
    ),
    "nothing": (lambda folder: folder, "neither such a file or folder nor a checkpoint"),
}


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def temporary(tmp_path_factory, monkeypatch):
    """Where archives are unpacked, to see what is left there."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def refused(capsys):
    """Runs a command that must end in status 2; gives back its line, and the list after it."""

    def run(*words):
        capsys.readouterr()
        assert cli.run([str(word) for word in words]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        first, *rest = captured.err.splitlines()
        assert first.startswith("keras-albert: error: ")
        return first.removeprefix("keras-albert: error: "), rest

    return run


@pytest.mark.parametrize("what", SOURCES)
def test_a_bad_source_is_one_line_and_leaves_nothing(what, tmp_path, temporary, refused):
    make, text = SOURCES[what]
    source = make(tmp_path / "source")
    before = everything(tmp_path)
    line, rest = refused("convert", source, tmp_path / "out")
    assert text in line
    assert rest == []
    assert everything(tmp_path) == before
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("what", ["byte flipped in data", "data missing", "NaN"])
def test_verify_refuses_what_convert_refuses(what, tmp_path, refused):
    make, text = SOURCES[what]
    line, rest = refused("verify", make(tmp_path / "source"))
    assert text in line
    assert rest == []


@pytest.mark.parametrize("what", ["index truncated", "key misspelt", "vocabulary too short"])
def test_describe_refuses_what_convert_refuses(what, tmp_path, refused):
    make, text = SOURCES[what]
    line, rest = refused("describe", make(tmp_path / "source"))
    assert text in line
    assert rest == []


def test_variables_that_do_not_fit_are_one_line_and_a_list(tmp_path, refused):
    arrays = {
        POOLER: None,
        "bert/embeddings/word_embeddings": np.zeros((7, 16), np.float32),
        "extra": np.zeros((3, 4), np.float32),
    }
    source = make_folder(tmp_path / "source", CASE, arrays)
    line, rest = refused("convert", source, tmp_path / "out")
    assert line.startswith("checkpoint and configuration (albert) do not match")
    assert rest == [
        "  ! bert/embeddings/word_embeddings: [290, 16] by the configuration, "
        "[7, 16] in the checkpoint",
        "  + extra [3, 4]",
        f"  - {POOLER} [32]",
    ]
    assert not (tmp_path / "out").exists()


def test_the_configuration_of_another_checkpoint_is_one_line_or_a_list(tmp_path, refused):
    prefix, _ = CHECKPOINTS["bert_tiny"]
    for other in ("albert_tiny", "bert_squad"):
        words = ("convert", prefix, tmp_path / "out", "--config", CHECKPOINTS[other][1])
        line, rest = refused(*words)
        assert all(one[:4] in ("  - ", "  + ", "  ! ") for one in rest)
        assert bool(rest) == (other == "bert_squad"), line
    assert not list(tmp_path.iterdir())


# Where it is written


def test_a_folder_that_is_not_empty_is_refused_without_force(tmp_path, refused):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    before = everything(tmp_path)
    line, rest = refused("convert", REFERENCE / CASE, tmp_path / "out")
    assert "must be new or empty (force, --force to replace it)" in line
    assert rest == []
    assert everything(tmp_path) == before


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path, refused, force):
    """What a folder without permission to write is to others is this to a superuser."""
    (tmp_path / "file").write_text("x")
    before = everything(tmp_path)
    for out in ("file", "file/out"):
        line, rest = refused("convert", REFERENCE / CASE, tmp_path / out, "--no-verify", *force)
        assert "file" in line
        assert rest == []
    line, rest = refused("export", DIRECTORY, tmp_path / "file" / "model.ckpt", *force)
    assert "file" in line
    assert rest == []
    assert everything(tmp_path) == before


def test_force_does_not_replace_the_source(tmp_path, refused):
    copy_case(tmp_path / "source", CASE)
    before = everything(tmp_path)
    line, _ = refused("convert", tmp_path / "source", tmp_path / "source", "--force")
    assert line.startswith("OUT must not hold what is converted")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("command", ["convert", "export", "export to Hugging Face"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, refused, command):
    words = {
        "convert": ("convert", REFERENCE / CASE, tmp_path / "out", "--no-verify"),
        "export": ("export", DIRECTORY, tmp_path / "out" / "model.ckpt"),
        "export to Hugging Face": (
            *("export", REFERENCE / CASE, tmp_path / "out"),
            *("--format", "hugging_face"),
        ),
    }[command]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        line, rest = refused(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in line
    assert rest == []
    assert not list(tmp_path.iterdir())


# Converted directories


def another_byte(folder):
    flip(folder / "model.weights.h5", 5_000)


def newer_schema(folder):
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | {"keras_albert_schema": 2}))


DIRECTORIES = {
    "weights of another sum": (another_byte, "not those that provenance.json was written for"),
    "newer schema": (newer_schema, "this version reads schema 1. Received: keras_albert_schema=2"),
    "no provenance": (lambda f: (f / "provenance.json").unlink(), "a converted directory has this"),
    "damaged": (lambda f: os.truncate(f / "config.json", 500), "config"),
}


@pytest.mark.parametrize("what", DIRECTORIES)
def test_a_bad_directory_is_one_line_for_every_command(what, tmp_path, refused):
    damage, text = DIRECTORIES[what]
    folder = shutil.copytree(DIRECTORY, tmp_path / "model")
    damage(folder)
    before = everything(tmp_path)
    for words in (
        ("describe", folder),
        ("verify", folder),
        ("export", folder, tmp_path / "google" / "model.ckpt"),
    ):
        line, rest = refused(*words)
        assert text in line
        assert rest == []
    assert everything(tmp_path) == before


def test_what_is_converted_is_not_converted_again(tmp_path, refused):
    line, rest = refused("convert", DIRECTORY, tmp_path / "out")
    assert "converted already" in line
    assert rest == []


def test_what_is_no_converted_directory_is_not_exported(tmp_path, refused):
    line, rest = refused("export", REFERENCE / CASE, tmp_path / "model.ckpt")
    assert "a converted directory has this file" in line
    assert rest == []
    assert not list(tmp_path.iterdir())


def test_lower_case_is_nothing_that_googles_files_say(tmp_path, refused):
    line, rest = refused("export", DIRECTORY, tmp_path / "out", "--no-lower-case")
    assert "Google's files do not say whether text is lower-cased" in line
    assert rest == []


def test_a_list_of_what_is_missing_keeps_its_place_in_a_process_of_its_own(tmp_path):
    source = make_folder(tmp_path / "source", CASE, {POOLER: None, "output_bias": None})
    ran = subprocess.run(
        [sys.executable, "-m", "checkpoints_tools", "convert", source, tmp_path / "out"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    first, *rest = ran.stderr.splitlines()
    assert first.startswith("keras-albert: error: checkpoint and configuration (albert)")
    assert rest == [f"  - {POOLER} [32]", "  - output_bias [any]"]
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
