"""Tokenizer and preprocessor of every kind of source."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import keras_albert as ka
from checkpoints_tools import convert
from checkpoints_tools.hugging_face_export import export_hugging_face
from keras_albert.errors import InputError
from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from keras_albert.tokenization.vocabulary import SPECIAL_TOKENS
from tests.keras_albert.tokenization.rows import SMALL_MODEL
from tests.paths import SHARED, needs_shared

MINI = Path(ka.__file__).parent / "quickstart_data" / "albert_mini"
TOKENS = [*SPECIAL_TOKENS, "a", "A", "b", "##b", "é", "e", "."]


@pytest.fixture
def made(tmp_path):
    """Makes a checkpoint of Google's with a vocabulary, in a folder of any name."""

    def make(name, tokens=TOKENS):
        folder = tmp_path / name
        config = ka.EncoderConfig(
            vocab_size=len(TOKENS), hidden_dim=8, num_layers=1, num_heads=2, intermediate_dim=16
        )
        ka.save_pretrained(ka.bert_encoder(config), tmp_path / "made", force=True)
        convert.export(tmp_path / "made", folder / "bert_model.ckpt")
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
        return folder

    return make


def token_ids(inputs):
    return np.asarray(inputs["token_ids"]).tolist()


def test_a_folder_an_archive_and_a_prefix_give_the_same_inputs(made, tmp_path):
    folder = made("uncased_L-1")
    archive = shutil.make_archive(str(tmp_path / "uncased_L-1"), "zip", tmp_path, "uncased_L-1")
    for source in (folder, archive, folder / "bert_model.ckpt"):
        assert token_ids(ka.load_preprocessor(source)(["A bb É"])) == [[2, 5, 7, 8, 10, 3]]


@pytest.mark.parametrize(
    ("name", "lower_case"),
    [("cased_L-1", False), ("multi_cased_L-1", False), ("uncased_L-1", True), ("mine", True)],
)
def test_text_is_lower_cased_unless_the_folder_is_called_cased(name, lower_case, made, capsys):
    tokenizer = ka.load_tokenizer(made(name))
    assert tokenizer.lower_case is lower_case
    assert tokenizer.tokenize("A") == ["a" if lower_case else "A"]
    said = capsys.readouterr().err
    assert ("text is lower-cased (the default)" in said) is lower_case
    assert ("text keeps its case (by its name)" in said) is not lower_case


def test_a_converted_directory_knows_the_case_that_its_sources_name_told(made, tmp_path):
    convert.convert(made("cased_L-1"), tmp_path / "converted", verify=False)
    model = ka.load_model(tmp_path / "converted")
    ka.save_pretrained(model, tmp_path / "saved")
    for directory in ("converted", "saved"):
        assert ka.load_tokenizer(tmp_path / directory).tokenize("A") == ["A"]
    convert.convert(made("uncased_L-1"), tmp_path / "lower", verify=False)
    assert ka.load_tokenizer(tmp_path / "lower").tokenize("A") == ["a"]


def test_hugging_faces_settings_decide_in_their_layout(made, tmp_path):
    export_hugging_face(made("any"), tmp_path / "theirs", lower_case=False)
    assert ka.load_tokenizer(tmp_path / "theirs").lower_case is False
    assert ka.load_tokenizer(tmp_path / "theirs", lower_case=True).lower_case is True
    assert ka.load_preprocessor(tmp_path / "theirs").max_length == 512


def test_settings_that_google_does_not_have_are_a_warning(made, caplog):
    folder = made("any")
    settings = {"do_lower_case": True, "strip_accents": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    ka.load_tokenizer(folder)
    assert "strip_accents=False is not followed" in caplog.text


def test_googles_check_of_names_is_a_warning(made, caplog):
    folder = made("cased_L-12_H-768_A-12")
    ka.load_tokenizer(folder)
    assert caplog.text == ""
    ka.load_tokenizer(folder, lower_case=True)
    assert "was trained on cased text" in caplog.text


def test_a_vocabulary_file_is_a_source_itself(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(TOKENS), encoding="utf-8")
    preprocess = ka.load_preprocessor(path)
    assert (type(preprocess.tokenizer), preprocess.max_length) == (WordPieceTokenizer, 512)
    shutil.copyfile(path, tmp_path / "cased.txt")
    assert ka.load_tokenizer(tmp_path / "cased.txt").lower_case is False
    assert isinstance(ka.load_tokenizer(SMALL_MODEL), SentencePieceTokenizer)


def test_an_albert_may_have_either_kind_of_vocabulary():
    assert isinstance(ka.load_tokenizer(MINI), WordPieceTokenizer)
    hub = SMALL_MODEL.parents[1]
    tokenizer = ka.load_tokenizer(hub)
    assert isinstance(tokenizer, SentencePieceTokenizer)
    with pytest.raises(InputError, match="vocab_size") as error:
        ka.load_tokenizer(hub, vocabulary_path=MINI / "vocab.txt")
    assert "\n" not in str(error.value)


def test_a_bert_has_no_sentencepiece_model(made):
    with pytest.raises(InputError, match=r"has a WordPiece vocabulary .*Received: a \.model"):
        ka.load_tokenizer(made("any"), vocabulary_path=SMALL_MODEL)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (TOKENS[:-1], "Received: 11 entries, vocab_size=12"),
        ([*TOKENS, "more"], "Received: 13 entries, vocab_size=12"),
        (["[PAD]", *TOKENS[2:], "x"], r"Received: \[UNK\] nowhere"),
        ([*TOKENS[:-1], "[CLS]"], r"Received: \[CLS\] on the lines \[3, 12\]"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused_in_one_line(tokens, message, made):
    with pytest.raises(InputError, match=message) as error:
        ka.load_tokenizer(made("any", tokens))
    assert "vocab.txt: " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_source_without_a_vocabulary_is_refused(made):
    folder = made("any")
    (folder / "vocab.txt").unlink()
    with pytest.raises(InputError, match=r"there is no vocabulary .*--vocabulary"):
        ka.load_tokenizer(folder)


@pytest.mark.parametrize("options", [{"max_length": 129}, {"length": 200}])
def test_a_length_beyond_the_models_positions_is_refused(options):
    with pytest.raises(InputError, match=r"positions for 128 tokens\. Received: "):
        ka.load_preprocessor(MINI, **options)


def test_the_longest_input_is_the_models_own():
    assert ka.load_preprocessor(MINI).max_length == 128
    assert ka.load_preprocessor(MINI, length=64).max_length == 64


def test_special_tokens_are_those_of_the_vocabulary():
    tokenizer = ka.load_tokenizer(MINI, special_tokens=["[MASK]"])
    assert tokenizer.tokenize("a [MASK] film").count("[MASK]") == 1
    with pytest.raises(InputError, match=r"no \[BLANK\]"):
        ka.load_tokenizer(MINI, special_tokens=["[BLANK]"])


@needs_shared
def test_inputs_go_from_strings_into_the_real_encoder():
    source = SHARED / "real" / "minilm_l6_tf1"
    inputs = ka.load_preprocessor(source, max_length=16)(["a gripping film", "no wit"])
    assert token_ids(inputs) == [[101, 1037, 13940, 2143, 102], [101, 2053, 15966, 102, 0]]
    assert ka.load_encoder(source)(inputs)["pooled_output"].shape == (2, 384)
