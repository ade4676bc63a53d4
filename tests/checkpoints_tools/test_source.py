"""What a SOURCE names: every layout that people have, and every way in which it can be unclear."""

import ast
import contextlib
import json
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkpoints_tools import archive, extraction, parts
from checkpoints_tools import source as source_module
from checkpoints_tools.source import Source, locate
from keras_albert.errors import InputError
from tests.paths import SHARED, needs_shared

GOOGLE = json.dumps({"hidden_size": 8, "vocab_size": 30})
OURS = json.dumps({"keras_albert_schema": 1, "hidden_dim": 8})
THEIRS = json.dumps({"model_type": "bert", "hidden_size": 8})

CHECKPOINT = {
    "bert_config.json": GOOGLE,
    "bert_model.ckpt.index": "index",
    "bert_model.ckpt.data-00000-of-00001": "data",
    "bert_model.ckpt.meta": "graph",
    "checkpoint": 'model_checkpoint_path: "bert_model.ckpt"',
    "vocab.txt": "[PAD]",
}
HUB = {
    "saved_model.pb": "graph",
    "tfhub_module.pb": "\b\x03",
    "variables/variables.index": "index",
    "variables/variables.data-00000-of-00001": "data",
    "assets/albert_config.json": GOOGLE,
    "assets/30k-clean.model": "pieces",
    "assets/30k-clean.vocab": "pieces as text",
}
CONVERTED = {
    "config.json": OURS,
    "model.weights.h5": "weights",
    "vocab.txt": "[PAD]",
    "provenance.json": '{"source": "x"}',
}
HUGGING_FACE = {
    "config.json": THEIRS,
    "model.safetensors": "weights",
    "vocab.txt": "[PAD]",
    "tokenizer.json": "{}",
    "tokenizer_config.json": '{"do_lower_case": true}',
    "config_sentence_transformers.json": '{"model_type": "SentenceTransformer"}',
}
LAYOUTS = {
    "tf1": CHECKPOINT,
    "tf_hub": HUB,
    "keras": CONVERTED,
    "hugging_face": HUGGING_FACE,
}


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def pack(path: Path, files: dict[str, str], inside: str = "") -> Path:
    """Archive the files below a folder `inside`, in the format that the name says."""
    folder = fill(path.parent / f"{path.name}.files" / inside, files)
    top = path.parent / f"{path.name}.files"
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in files:
                archive.write(folder / name, (folder / name).relative_to(top))
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
            for entry in sorted(top.iterdir()):
                archive.add(entry, f"./{entry.name}")
    return path


def located(*arguments: Any, **options: Any) -> Source:
    with locate(*arguments, **options) as found:
        return found


def refusal(*arguments: Any, **options: Any) -> str:
    """The one line with which a SOURCE is refused."""
    with pytest.raises(InputError) as caught, locate(*arguments, **options):
        pass
    message = str(caught.value)
    assert "\n" not in message
    assert message.count(" Received: ") == 1
    return message


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where archives are unpacked, to see what is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextlib.contextmanager
def working_directory(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# Folders


def test_a_folder_as_google_publishes_it(tmp_path: Path) -> None:
    folder = fill(tmp_path / "uncased", CHECKPOINT)
    assert located(str(folder)) == Source(
        kind="tf1",
        name=str(folder),
        directory=folder,
        config_path=folder / "bert_config.json",
        prefix=str(folder / "bert_model.ckpt"),
        vocabulary_path=folder / "vocab.txt",
        data_missing=[],
        notes=(),
    )


def test_a_hub_module(tmp_path: Path) -> None:
    folder = fill(tmp_path / "module", HUB)
    assert located(folder) == Source(
        kind="tf_hub",
        name=str(folder),
        directory=folder,
        config_path=folder / "assets" / "albert_config.json",
        prefix=str(folder / "variables" / "variables"),
        vocabulary_path=folder / "assets" / "30k-clean.model",
        data_missing=[],
        notes=(),
    )


def test_a_converted_directory(tmp_path: Path) -> None:
    folder = fill(tmp_path / "converted", CONVERTED)
    assert located(folder) == Source(
        kind="keras",
        name=str(folder),
        directory=folder,
        config_path=folder / "config.json",
        prefix=None,
        vocabulary_path=folder / "vocab.txt",
        data_missing=[],
        notes=(),
    )


def test_paths_relative_to_here_and_to_home_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "uncased", CHECKPOINT)
    with working_directory(folder):
        for source in (".", "bert_model.ckpt", "bert_model.ckpt.index"):
            assert located(source).config_path == Path("bert_config.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert located("~/uncased").directory == folder
    assert located("~/uncased").name == "~/uncased"


@pytest.mark.parametrize("pb", ["saved_model.pb", "tfhub_module.pb"])
def test_either_file_makes_a_hub_module(tmp_path: Path, pb: str) -> None:
    files = {name: text for name, text in HUB.items() if not name.endswith(".pb")}
    assert located(fill(tmp_path, {**files, pb: ""})).kind == "tf_hub"


def test_the_variables_of_a_hub_module_can_be_named_as_a_prefix(tmp_path: Path) -> None:
    folder = fill(tmp_path / "module", HUB)
    by_prefix = located(folder / "variables" / "variables")
    by_folder = located(folder)
    assert (by_prefix.kind, by_prefix.directory) == ("tf_hub", folder)
    assert by_prefix.prefix == by_folder.prefix
    assert by_prefix.config_path == by_folder.config_path
    assert by_prefix.vocabulary_path == by_folder.vocabulary_path


def test_variables_outside_a_hub_module_are_a_plain_checkpoint(tmp_path: Path) -> None:
    fill(tmp_path / "variables", {"variables.index": "", "bert_config.json": GOOGLE})
    found = located(tmp_path / "variables" / "variables")
    assert (found.kind, found.directory) == ("tf1", tmp_path / "variables")


def test_a_hub_module_without_configuration_takes_one_from_elsewhere(tmp_path: Path) -> None:
    files = {name: text for name, text in HUB.items() if "config" not in name}
    folder = fill(tmp_path / "module", files)
    assert "config_path=" in refusal(folder)
    fill(tmp_path, {"bert_config.json": GOOGLE})
    assert located(folder, config_path=tmp_path / "bert_config.json").kind == "tf_hub"
    fill(folder, {"bert_config.json": GOOGLE})  # or beside saved_model.pb
    assert located(folder).config_path == folder / "bert_config.json"


def test_a_hub_module_without_variables_says_so(tmp_path: Path) -> None:
    files = {name: text for name, text in HUB.items() if not name.startswith("variables")}
    config = fill(tmp_path / "other", {"albert_config.json": GOOGLE}) / "albert_config.json"
    message = refusal(fill(tmp_path / "module", files), config_path=config)
    assert "must have variables/variables.index" in message
    assert "assets/, saved_model.pb, tfhub_module.pb" in message


def test_an_empty_folder_says_what_it_should_hold(tmp_path: Path) -> None:
    message = refusal(tmp_path)
    assert "SOURCE must hold a configuration" in message
    assert "there is: nothing." in message


def test_a_folder_without_checkpoint_lists_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, {"bert_config.json": GOOGLE, "bert_model.ckpt.meta": "", "inner/x": ""})
    message = refusal(tmp_path)
    assert "must have an .index file" in message
    assert "bert_config.json, bert_model.ckpt.meta, inner/." in message


def test_a_long_listing_ends_in_a_number(tmp_path: Path) -> None:
    fill(tmp_path, {f"{index:03}.txt": "" for index in range(50)})
    assert "018.txt, 019.txt, 30 more." in refusal(tmp_path)


def test_odd_characters_in_names_keep_the_message_on_one_line(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a\nb", {"c\nd.index": "", "e\x1b[31m": ""})
    message = refusal(folder)
    assert "\x1b" not in message


def test_several_checkpoints_are_listed_and_one_is_named_by_its_prefix(tmp_path: Path) -> None:
    fill(tmp_path, CHECKPOINT)
    fill(tmp_path, {"model.ckpt-100.index": "", "model.ckpt-200.index": ""})
    message = refusal(tmp_path)
    for name in ("bert_model.ckpt", "model.ckpt-100", "model.ckpt-200"):
        assert str(tmp_path / name) in message
    assert "there are 3: " in message
    assert "give one of these as SOURCE" in message
    assert located(tmp_path / "model.ckpt-200").prefix == str(tmp_path / "model.ckpt-200")


def test_the_state_file_does_not_decide_between_checkpoints(tmp_path: Path) -> None:
    # It names the last one written, and Google's best one is often another.
    assert "bert_model.ckpt" in CHECKPOINT["checkpoint"]
    fill(tmp_path, {**CHECKPOINT, "model.ckpt-best.index": ""})
    assert "SOURCE must name one checkpoint" in refusal(tmp_path)


def test_a_checkpoint_beside_a_hub_module_is_ambiguous(tmp_path: Path) -> None:
    fill(tmp_path, {**HUB, "model.ckpt.index": ""})
    message = refusal(tmp_path)
    assert f"2: {tmp_path / 'model.ckpt'}, {tmp_path / 'variables' / 'variables'};" in message
    assert located(tmp_path / "model.ckpt").kind == "tf1"
    assert located(tmp_path / "variables" / "variables").kind == "tf_hub"


def test_a_subfolder_with_another_model_does_not_disturb(tmp_path: Path) -> None:
    fill(fill(tmp_path, CHECKPOINT) / "module", HUB)
    assert located(tmp_path).kind == "tf1"
    assert located(tmp_path / "module").kind == "tf_hub"


def test_hidden_twins_of_files_do_not_count(tmp_path: Path) -> None:
    fill(tmp_path, {**CHECKPOINT, **{f"._{name}": text for name, text in CHECKPOINT.items()}})
    assert located(tmp_path) == located(fill(tmp_path, {".index": ""}))


# Configurations


def test_the_configuration_is_known_by_its_keys(tmp_path: Path) -> None:
    fill(tmp_path, CHECKPOINT)
    fill(tmp_path, {"tokenizer_config.json": '{"do_lower_case": true}', "config2.json": "[1]"})
    assert located(tmp_path).config_path == tmp_path / "bert_config.json"


@pytest.mark.parametrize(
    "name", ["albert_config_tiny.json", "config.json", "bert_config.json", "ALBERT_Config.JSON"]
)
def test_published_names_of_configurations(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {name: GOOGLE, "model.ckpt-best.index": ""})
    assert located(tmp_path).config_path == tmp_path / name


def test_several_configurations_are_listed_and_one_can_be_named(tmp_path: Path) -> None:
    fill(tmp_path, {**CHECKPOINT, "albert_config.json": GOOGLE})
    message = refusal(tmp_path)
    assert str(tmp_path / "albert_config.json") in message
    assert str(tmp_path / "bert_config.json") in message
    for name in ("albert_config.json", "bert_config.json"):
        chosen = located(tmp_path / "bert_model.ckpt", config_path=tmp_path / name)
        assert chosen.config_path == tmp_path / name


def test_a_missing_configuration_lists_what_is_there_and_names_the_way_out(tmp_path: Path) -> None:
    fill(tmp_path, {"model.ckpt.index": "", "params.json": GOOGLE})
    for source in (tmp_path, tmp_path / "model.ckpt"):
        message = refusal(source)
        assert "name one that lies elsewhere with config_path=" in message
        assert "model.ckpt.index, params.json." in message
        assert located(source, config_path=tmp_path / "params.json").kind == "tf1"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"hidden_size": 8', "line 1 column"),
        (b"[" * 100_000, "recursion"),
        (b"\xff\xfe{}", "utf-8"),
        (b"", "Expecting value"),
        (b"3", "not an object"),
    ],
)
def test_a_damaged_configuration_is_named_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    fill(tmp_path, {"model.ckpt.index": ""})
    config = tmp_path / "bert_config.json"
    config.write_bytes(content)
    message = refusal(tmp_path)
    assert "bert_config.json is no JSON object (" in message
    assert reason in message
    assert reason in refusal(tmp_path, config_path=config)


def test_a_configuration_that_is_named_must_be_one(tmp_path: Path) -> None:
    fill(tmp_path, {**CHECKPOINT, "task.json": "{}"})
    assert "hidden_size" in refusal(tmp_path, config_path=tmp_path / "task.json")
    for path in (tmp_path / "absent.json", tmp_path):
        message = refusal(tmp_path, config_path=path)
        assert message == (
            f"config_path must be an existing file. Received: config_path={str(path)!r}"
        )


def test_a_byte_order_mark_does_not_hide_a_configuration(tmp_path: Path) -> None:
    fill(tmp_path, {**CHECKPOINT, "bert_config.json": "\ufeff" + GOOGLE})
    assert located(tmp_path).kind == "tf1"


def test_our_key_makes_a_converted_directory_whatever_the_file_is_called(tmp_path: Path) -> None:
    files = {"model.weights.h5": "", "my_config.json": OURS, "checkpoint-3.index": ""}
    found = located(fill(tmp_path, files))
    assert found.kind == "keras"
    assert found.notes == ("took model.weights.h5, as the configuration says, not checkpoint-3",)


def test_our_key_counts_before_hugging_faces(tmp_path: Path) -> None:
    both = json.dumps({**json.loads(OURS), "model_type": "bert"})
    assert located(fill(tmp_path, {**CONVERTED, "config.json": both})).kind == "keras"


def test_googles_key_makes_a_checkpoint_even_in_config_json(tmp_path: Path) -> None:
    fill(tmp_path, {"config.json": GOOGLE, "model.ckpt.index": "", "model.weights.h5": ""})
    assert located(tmp_path).kind == "tf1"


def test_a_converted_directory_without_weights_says_so(tmp_path: Path) -> None:
    message = refusal(fill(tmp_path, {"config.json": OURS, "vocab.txt": ""}))
    assert "must hold model.weights.h5" in message


def test_the_configuration_that_is_named_decides_between_layouts(tmp_path: Path) -> None:
    fill(tmp_path, {**CHECKPOINT, **CONVERTED})
    assert "config_path=" in refusal(tmp_path)
    assert located(tmp_path, config_path=tmp_path / "config.json").kind == "keras"
    assert located(tmp_path, config_path=tmp_path / "bert_config.json").kind == "tf1"


# Hugging Face's layout


def test_a_folder_as_hugging_face_publishes_it(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bert", HUGGING_FACE)
    assert located(folder) == Source(
        kind="hugging_face",
        name=str(folder),
        directory=folder,
        config_path=folder / "config.json",
        prefix=None,
        vocabulary_path=folder / "vocab.txt",
        data_missing=[],
        safetensors_path=folder / "model.safetensors",
        tokenizer_config_path=folder / "tokenizer_config.json",
    )
    assert located(folder).text_paths == [folder / "vocab.txt", folder / "tokenizer_config.json"]


def test_the_index_stands_for_the_shards(tmp_path: Path) -> None:
    index = "model.safetensors.index.json"
    shards = {f"model-0000{i}-of-00002.safetensors": "" for i in (1, 2)}
    fill(tmp_path, {"config.json": THEIRS, index: "{}", **shards})
    assert located(tmp_path).safetensors_path == tmp_path / index
    (tmp_path / index).unlink()
    assert "must have their index" in refusal(tmp_path)


def test_a_safetensors_file_or_its_index_may_be_the_source(tmp_path: Path) -> None:
    index = "model.fp16.safetensors.index.json"
    fill(tmp_path, {**HUGGING_FACE, index: "{}"})
    message = refusal(tmp_path)
    assert "SOURCE must name one checkpoint, and there are 2" in message
    for name in ("model.safetensors", index):
        found = located(tmp_path / name)
        assert (found.kind, found.safetensors_path) == ("hugging_face", tmp_path / name)
        assert found.vocabulary_path == tmp_path / "vocab.txt"


def test_a_tokenizer_json_alone_is_no_vocabulary(tmp_path: Path) -> None:
    files = {name: text for name, text in HUGGING_FACE.items() if name != "vocab.txt"}
    assert located(fill(tmp_path, files)).vocabulary_path is None


def test_two_vocabularies_in_hugging_faces_layout_are_ambiguous(tmp_path: Path) -> None:
    fill(tmp_path, {**HUGGING_FACE, "spiece.model": ""})
    assert "give one as vocabulary_path=" in refusal(tmp_path)
    found = located(tmp_path, vocabulary_path=tmp_path / "spiece.model")
    assert found.vocabulary_path == tmp_path / "spiece.model"


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"])
@pytest.mark.parametrize("packed", [False, True])
def test_weights_that_are_not_safetensors_are_refused_with_the_way_out(
    tmp_path: Path, weights: str, packed: bool
) -> None:
    files = {"config.json": THEIRS, weights: "", "vocab.txt": ""}
    path = pack(tmp_path / "a.zip", files, "bert") if packed else fill(tmp_path / "a", files)
    message = refusal(path)
    assert "Weights must be in model.safetensors" in message
    assert "save_pretrained" in message
    assert weights in message


def test_hugging_faces_configuration_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    message = refusal(fill(tmp_path, {"config.json": THEIRS}))
    assert "must have model.safetensors" in message


def test_another_model_of_hugging_faces_is_named(tmp_path: Path) -> None:
    fill(tmp_path, {"config.json": '{"model_type": "distilbert", "dim": 8}'})
    fill(tmp_path, {"model.safetensors": ""})
    assert "bert and albert are read, not 'distilbert'" in refusal(tmp_path)


def test_hugging_faces_layout_is_found_in_an_archive(tmp_path: Path, temporary: Path) -> None:
    path = pack(tmp_path / "a.tar.gz", {**HUGGING_FACE, "pytorch_model.bin": "left"}, "bert")
    with locate(path) as found:
        assert found.kind == "hugging_face"
        unpacked = {entry.name for entry in found.directory.iterdir()}
    assert unpacked == set(HUGGING_FACE)
    assert not list(temporary.iterdir())


def test_googles_checkpoint_among_hugging_faces_files_is_read_when_named(tmp_path: Path) -> None:
    fill(tmp_path, {"config.json": THEIRS, "model.safetensors": "", "model.ckpt.index": ""})
    assert "there are 2: " in refusal(tmp_path)
    assert located(tmp_path / "model.ckpt").kind == "tf1"
    assert located(tmp_path / "model.safetensors").kind == "hugging_face"


# Vocabularies


@pytest.mark.parametrize("name", ["vocab.txt", "vocab_chinese.txt", "30k-clean.model"])
def test_published_names_of_vocabularies(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {"bert_config.json": GOOGLE, "model.ckpt.index": "", name: ""})
    assert located(tmp_path).vocabulary_path == tmp_path / name


def test_sentencepieces_text_listing_is_no_vocabulary(tmp_path: Path) -> None:
    fill(tmp_path, {"bert_config.json": GOOGLE, "model.ckpt.index": "", "30k-clean.vocab": ""})
    assert located(tmp_path).vocabulary_path is None
    fill(tmp_path, {"30k-clean.model": ""})
    assert located(tmp_path).vocabulary_path == tmp_path / "30k-clean.model"


def test_several_vocabularies_are_listed_and_one_can_be_named(tmp_path: Path) -> None:
    fill(tmp_path, {**CHECKPOINT, "30k-clean.model": ""})
    message = refusal(tmp_path)
    assert "vocabulary_path=" in message
    assert str(tmp_path / "30k-clean.model") in message
    chosen = located(tmp_path, vocabulary_path=tmp_path / "vocab.txt")
    assert chosen.vocabulary_path == tmp_path / "vocab.txt"


def test_a_vocabulary_that_is_named_must_exist(tmp_path: Path) -> None:
    fill(tmp_path, CHECKPOINT)
    message = refusal(tmp_path, vocabulary_path=tmp_path / "absent.txt")
    assert message.startswith("vocabulary_path must be an existing file. Received: vocabulary_path")


def test_a_distant_configuration_brings_its_vocabulary_and_says_so(tmp_path: Path) -> None:
    pretrained = fill(tmp_path / "pretrained", CHECKPOINT)
    tuned = fill(tmp_path / "tuned", {"model.ckpt.index": ""})
    found = located(tuned, config_path=pretrained / "bert_config.json")
    assert found.vocabulary_path == pretrained / "vocab.txt"
    assert found.notes == ("took the vocabulary vocab.txt beside the configuration",)
    fill(tuned, {"vocab_own.txt": ""})
    found = located(tuned, config_path=pretrained / "bert_config.json")
    assert (found.vocabulary_path, found.notes) == (tuned / "vocab_own.txt", ())


# Prefixes and shards


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_prefix_may_carry_the_suffix_of_any_of_its_files(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path, {**CHECKPOINT, "other.index": ""})
    found = located(str(tmp_path / "bert_model.ckpt") + suffix)
    assert (found.kind, found.directory) == ("tf1", tmp_path)
    assert found.prefix == str(tmp_path / "bert_model.ckpt")


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_prefix_without_index_lists_what_is_there(tmp_path: Path, suffix: str) -> None:
    files = {name: text for name, text in CHECKPOINT.items() if not name.endswith(".index")}
    fill(tmp_path, files)
    message = refusal(str(tmp_path / "bert_model.ckpt") + suffix)
    assert "bert_model.ckpt.index" in message
    assert "bert_config.json, bert_model.ckpt.data-00000-of-00001" in message
    with working_directory(tmp_path):
        assert "bert_model.ckpt.index" in refusal(f"bert_model.ckpt{suffix}")


def test_a_folder_wins_over_a_checkpoint_of_the_same_name_and_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "model", CHECKPOINT)
    fill(tmp_path, {"model.index": "", "bert_config.json": GOOGLE})
    found = located(tmp_path / "model")
    assert found.directory == tmp_path / "model"
    assert found.notes == ("took the folder model, not the checkpoint beside it",)
    assert located(tmp_path / "model.index").prefix == str(tmp_path / "model")


def test_missing_shards_are_named(tmp_path: Path) -> None:
    fill(tmp_path, {"bert_config.json": GOOGLE, "m.index": ""})
    assert located(tmp_path).data_missing == ["m.data-?????-of-?????"]
    fill(tmp_path, {"m.data-00001-of-00003": "", "m2.data-00000-of-00001": "", "m.data-0": ""})
    expected = ["m.data-00000-of-00003", "m.data-00002-of-00003"]
    assert located(tmp_path).data_missing == expected
    fill(tmp_path, dict.fromkeys(expected, ""))
    assert located(tmp_path / "m").data_missing == []


def test_shards_of_two_checkpoints_under_one_name_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, {**CHECKPOINT, "bert_model.ckpt.data-00000-of-00002": ""})
    message = refusal(tmp_path)
    assert "agree in their number" in message
    assert "bert_model.ckpt.data-00000-of-00002" in message


# What is no SOURCE


@pytest.mark.parametrize(
    "source",
    ["https://tfhub.dev/google/albert_base/3", "gs://bert_models/x.zip", "file:///models/bert"],
)
def test_an_address_is_refused_without_a_look_at_the_network(source: str) -> None:
    message = refusal(source)
    assert "local path: nothing is downloaded" in message
    assert message.endswith(f"Received: source={source!r}")


@pytest.mark.parametrize("source", ["google/albert-base-v2", "bert-base-uncased", "absent/x.index"])
def test_a_hubs_name_is_refused_without_listing_the_working_directory(
    tmp_path: Path, source: str
) -> None:
    fill(tmp_path, {"private.txt": ""})
    with working_directory(tmp_path):
        message = refusal(source)
    assert "must be a local path" in message
    assert "nothing is downloaded" in message
    assert "private.txt" not in message


def test_a_path_that_is_not_there_lists_its_folder(tmp_path: Path) -> None:
    fill(tmp_path, {"uncased.zip": ""})
    message = refusal(tmp_path / "uncased_L-12")
    assert "neither such a file or folder nor a checkpoint uncased_L-12.index" in message
    assert "there is: uncased.zip." in message


@pytest.mark.parametrize("name", ["vocab.txt", "bert_config.json", "saved_model.pb"])
def test_another_file_is_refused(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {**CHECKPOINT, "saved_model.pb": ""})
    assert "give the folder that holds it" in refusal(tmp_path / name)


@pytest.mark.parametrize("source", ["", None, 3, b"model"])
def test_what_is_no_path_is_refused(source: object) -> None:
    assert refusal(source).endswith(f"Received: source={source!r}")


@pytest.mark.parametrize("source", ["a\0b", "x" * 10_000, "./" + "x" * 10_000])
def test_what_no_disk_can_hold_is_refused(source: str) -> None:
    assert "must be a local path" in refusal(source)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "neither" in refusal(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "closed", CHECKPOINT)
    (tmp_path / "closed.zip").write_bytes(b"")
    for path in (folder, tmp_path / "closed.zip"):
        path.chmod(0)
        assert "must be readable" in refusal(path)
        path.chmod(0o755)


# Archives


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
@pytest.mark.parametrize("inside", ["", "uncased_L-2", "deeper/uncased_L-2"])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_an_archive_is_read_like_its_folder(
    tmp_path: Path, temporary: Path, suffix: str, inside: str, kind: str
) -> None:
    path = pack(tmp_path / f"model{suffix}", LAYOUTS[kind], inside)
    folder = fill(tmp_path / "model", LAYOUTS[kind])
    with locate(path) as packed, locate(folder) as plain:
        assert (packed.kind, packed.name) == (kind, str(path))
        assert packed.notes == ()
        assert packed.data_missing == []
        root = packed.directory
        assert temporary in root.parents
        assert packed.config_path.read_bytes() == plain.config_path.read_bytes()
        for ours, theirs in (
            (packed.config_path, plain.config_path),
            (packed.vocabulary_path, plain.vocabulary_path),
            (packed.prefix, plain.prefix),
        ):
            if theirs is not None:
                assert Path(ours).relative_to(root) == Path(theirs).relative_to(folder)
    assert list(temporary.iterdir()) == []


def test_only_files_that_matter_are_unpacked(tmp_path: Path, temporary: Path) -> None:
    useless = {
        "README.md": "",
        "bert_model.ckpt.meta": "",
        "__MACOSX/._bert_config.json": GOOGLE,
        "__MACOSX/config.json": GOOGLE,
        "._bert_config.json": GOOGLE,
        "run.py": "",
    }
    path = pack(tmp_path / "a.tgz", {**CHECKPOINT, **useless, "assets/extra.bin": ""})
    with locate(path) as found:
        names = {p.relative_to(found.directory).as_posix() for p in found.directory.rglob("*")}
    assert names == {
        "assets",
        "assets/extra.bin",
        "bert_config.json",
        "bert_model.ckpt.data-00000-of-00001",
        "bert_model.ckpt.index",
        "vocab.txt",
    }


def test_an_archive_without_a_model_lists_all_that_it_holds(
    tmp_path: Path, temporary: Path
) -> None:
    message = refusal(pack(tmp_path / "a.zip", {"README.md": "", "weights.npz": ""}))
    assert "In the archive there is: README.md, weights.npz." in message
    assert str(temporary) not in message
    assert list(temporary.iterdir()) == []


def test_an_archive_of_two_models_is_ambiguous(tmp_path: Path, temporary: Path) -> None:
    files = {f"{size}/{name}": text for size in "ab" for name, text in CHECKPOINT.items()}
    message = refusal(pack(tmp_path / "two.zip", files))
    assert "a/bert_config.json" in message
    assert "b/bert_config.json" in message
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "more", [{"x.index": ""}, {"albert_config.json": GOOGLE}, {"vocab_b.txt": ""}]
)
def test_messages_about_an_archive_do_not_show_the_temporary_folder(
    tmp_path: Path, temporary: Path, more: dict[str, str]
) -> None:
    message = refusal(pack(tmp_path / "a.zip", {**CHECKPOINT, **more}, "base"))
    assert "2: base/" in message
    assert "unpack the archive and give" in message
    assert str(temporary) not in message


def test_configuration_and_vocabulary_may_lie_outside_an_archive(
    tmp_path: Path, temporary: Path
) -> None:
    own = fill(tmp_path / "own", {"bert_config.json": GOOGLE, "tokens.txt": ""})
    path = pack(tmp_path / "a.zip", {"m.index": "", "m.data-00000-of-00001": ""})
    found = located(path, config_path=own / "bert_config.json", vocabulary_path=own / "tokens.txt")
    assert (found.config_path, found.vocabulary_path) == (
        own / "bert_config.json",
        own / "tokens.txt",
    )


def test_vocabularies_outside_an_archive_are_listed_with_their_paths(
    tmp_path: Path, temporary: Path
) -> None:
    own = fill(tmp_path / "own", {"bert_config.json": GOOGLE, "vocab_a.txt": "", "vocab_b.txt": ""})
    path = pack(tmp_path / "a.zip", {"m.index": ""})
    message = refusal(path, config_path=own / "bert_config.json")
    assert f"2: {own / 'vocab_a.txt'}, {own / 'vocab_b.txt'}; give one" in message


def test_an_error_while_an_archive_is_in_use_leaves_nothing(
    tmp_path: Path, temporary: Path
) -> None:
    path = pack(tmp_path / "a.zip", CHECKPOINT)
    with pytest.raises(RuntimeError, match="the caller's"), locate(path):
        assert list(temporary.iterdir()) != []
        raise RuntimeError("the caller's")
    assert list(temporary.iterdir()) == []


def test_an_evil_archive_is_refused_and_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as evil:
        evil.writestr("bert_config.json", GOOGLE)
        evil.writestr("../../vocab.txt", "evil")
    before = set(tmp_path.rglob("*"))
    assert "plain relative paths" in refusal(tmp_path / "evil.zip")
    assert set(tmp_path.rglob("*")) == before


# Real ones


REAL_FOLDERS = {
    "bert_tiny_tf1": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 0),
    "minilm_l6_tf1": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 0),
    "index_only/albert_base_zh_google": (
        "albert_config.json",
        "model.ckpt-best",
        "vocab_chinese.txt",
        1,
    ),
    "index_only/albert_tiny_zh": ("albert_config_tiny.json", "albert_model.ckpt", "vocab.txt", 1),
    "index_only/albert_tiny_zh_250k": (
        "albert_config_tiny.json",
        "albert_model.ckpt",
        "vocab.txt",
        1,
    ),
    "index_only/albert_tiny_zh_489k": (
        "albert_config_tiny.json",
        "albert_model.ckpt",
        "vocab.txt",
        1,
    ),
    "index_only/bert_base_chinese": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 1),
    "index_only/bert_medium_uncased": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 1),
    "index_only/bert_wwm_chinese": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 1),
}


@needs_shared
@pytest.mark.parametrize("name", REAL_FOLDERS)
def test_published_folders_are_found(name: str) -> None:
    folder = SHARED / "real" / name
    config, prefix, vocabulary, missing = REAL_FOLDERS[name]
    for source in (folder, folder / prefix, folder / f"{prefix}.index"):
        found = located(source)
        assert (found.kind, found.directory) == ("tf1", folder)
        assert found.config_path == folder / config
        assert found.prefix == str(folder / prefix)
        assert found.vocabulary_path == folder / vocabulary
        assert len(found.data_missing) == missing


@needs_shared
def test_the_folder_of_vocabularies_alone_is_refused() -> None:
    assert "SOURCE must hold a configuration" in refusal(SHARED / "real" / "albert_spm")


@needs_shared
@pytest.mark.parametrize(
    "case", sorted(p.parent.name for p in SHARED.glob("reference/*/*_config.json"))
)
def test_reference_cases_are_found(case: str) -> None:
    found = located(SHARED / "reference" / case)
    assert (found.kind, found.data_missing, found.notes) == ("tf1", [], ())
    assert Path(f"{found.prefix}.index").is_file()


@needs_shared
def test_a_module_and_what_was_made_of_it_are_told_apart() -> None:
    case = SHARED / "reference" / "albert_hub"
    top, module = located(case), located(case / "module")
    assert (top.kind, top.prefix) == ("tf1", str(case / "model.ckpt-best"))
    assert top.config_path == case / "albert_config.json"
    assert top.vocabulary_path is None
    assert (module.kind, module.prefix) == ("tf_hub", str(case / "module/variables/variables"))
    assert module.config_path == case / "module/assets/albert_config.json"
    assert module.vocabulary_path == case / "module/assets/30k-clean.model"
    assert module.data_missing == []

    assert "config_path=" in refusal(case / "finetuned")
    tuned = located(case / "finetuned", config_path=module.config_path)
    assert (tuned.kind, tuned.prefix) == ("tf1", str(case / "finetuned/model.ckpt"))
    assert tuned.vocabulary_path == module.vocabulary_path


@needs_shared
def test_a_real_folder_and_module_survive_packing(tmp_path: Path, temporary: Path) -> None:
    for folder in (
        SHARED / "real" / "bert_tiny_tf1",
        SHARED / "reference" / "albert_hub" / "module",
    ):
        path = tmp_path / f"{folder.name}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as packed:
            packed.add(folder, folder.name)
        with locate(path) as found, locate(folder) as plain:
            assert found.kind == plain.kind
            shard = f"{found.prefix}.data-00000-of-00001"
            assert (
                Path(shard).read_bytes() == Path(f"{plain.prefix}.data-00000-of-00001").read_bytes()
            )


# Floors


@pytest.mark.parametrize("module", [source_module, parts, archive, extraction])
def test_finding_needs_the_standard_library_only(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    ours = {
        name for name in imported if name.split(".")[0] in ("keras_albert", "checkpoints_tools")
    }
    assert {name.split(".")[0] for name in imported - ours} <= sys.stdlib_module_names
    assert ours <= {
        "keras_albert.errors",
        "checkpoints_tools",
        "checkpoints_tools.archive",
        "checkpoints_tools.extraction",
        "checkpoints_tools.parts",
    }
