"""The tokenizers and the preprocessor as Keras layers: saved, exported, inside of models."""

import gc
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_albert.errors import InputError
from keras_albert.tokenization import Preprocessor, SentencePieceTokenizer, WordPieceTokenizer
from tests.keras_albert.tokenization.rows import SMALL_MODEL
from tests.paths import ROOT

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "film", "good", "."]
TEXTS = ["Good film.", "", "ab [MASK] a中\0é", "A film, a good film"]


def wordpiece(**options):
    return WordPieceTokenizer(VOCABULARY, lower_case=True, **options)


def sentencepiece(**options):
    return SentencePieceTokenizer(SMALL_MODEL, **options)


KINDS = pytest.mark.parametrize("make", [wordpiece, sentencepiece])


@KINDS
def test_a_tokenizer_comes_back_from_its_config(make):
    tokenizer = make(special_tokens=["[MASK]"], name="cut")
    config = keras.saving.serialize_keras_object(tokenizer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == tokenizer.get_config()
    assert again.token_ids(TEXTS).to_list() == tokenizer.token_ids(TEXTS).to_list()


@KINDS
def test_a_special_token_stands_for_itself_where_it_is_asked_for(make):
    plain, tokenizer = make(), make().with_special_tokens("[MASK]")
    text = " ab [MASK][MASK]. É[MASK] "
    assert plain.tokenize(text).count("[MASK]") == 0
    tokens = tokenizer.tokenize(text)
    ids, offsets = tokenizer.encode(text)
    assert tokens.count("[MASK]") == ids.count(tokenizer.mask_id) == 3
    assert [
        text[slice(*o)] for o, i in zip(offsets, ids, strict=True) if i == tokenizer.mask_id
    ] == ["[MASK]"] * 3
    rest = [token for token in tokens if token != "[MASK]"]
    assert rest == [t for part in text.split("[MASK]") for t in plain.tokenize(part)]
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
    assert [rows.to_list() for rows in tokenizer.spans(["[MASK]", ""])] == [
        [[tokenizer.mask_id], []],
        [[0], []],
        [[6], []],
    ]


def test_a_special_token_must_be_in_the_vocabulary():
    with pytest.raises(InputError, match=r"The vocabulary has no \[X\]"):
        wordpiece(special_tokens=["[X]"])


def string_model(make, **options):
    preprocess = Preprocessor(make(), max_length=8, **options)
    texts = keras.Input((), dtype="string", name="texts")
    return keras.Model(texts, preprocess(texts)), preprocess


@KINDS
def test_a_functional_model_may_start_at_a_string(make, tmp_path):
    model, preprocess = string_model(make)
    expected = preprocess(TEXTS)
    found = model(tf.constant([text.encode() for text in TEXTS]))
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = again.predict(tf.constant([text.encode() for text in TEXTS]), verbose=0)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_model_of_pairs_takes_two_strings():
    preprocess = Preprocessor(wordpiece(), max_length=9, length=16)
    texts = [keras.Input((), dtype="string", name=name) for name in ("first", "second")]
    model = keras.Model(texts, preprocess(texts))
    assert model.output["token_ids"].shape == (None, 16)
    found = model([tf.constant(["good film"]), tf.constant(["a film"])])
    np.testing.assert_array_equal(found["token_ids"][0, :9], [2, 8, 7, 3, 5, 7, 3, 0, 0])


@KINDS
def test_an_exported_model_takes_strings_without_this_package(make, tmp_path):
    model, preprocess = string_model(make)
    model.export(tmp_path / "exported", verbose=False)
    expected = preprocess(TEXTS)
    np.savez(tmp_path / "expected.npz", **{k: v.numpy() for k, v in expected.items()})
    program = (
        "import sys; sys.modules['keras_albert'] = None\n"
        "import numpy as np, tensorflow as tf, tensorflow_text\n"
        f"texts = tf.constant({[text.encode() for text in TEXTS]!r})\n"
        f"found = tf.saved_model.load({str(tmp_path / 'exported')!r}).serve(texts)\n"
        f"expected = np.load({str(tmp_path / 'expected.npz')!r})\n"
        "assert sorted(found) == sorted(expected)\n"
        "for name in expected: np.testing.assert_array_equal(found[name], expected[name])\n"
    )
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment)


@KINDS
def test_a_tokenizer_outlives_a_cleared_session_and_its_twins(make):
    tokenizer, twin = make(), make()
    data = tf.data.Dataset.from_tensors(TEXTS).map(tokenizer.token_ids)
    before = tokenizer.token_ids(TEXTS).to_list()
    del twin
    keras.utils.clear_session()
    gc.collect()
    assert tokenizer.token_ids(TEXTS).to_list() == before
    assert tokenizer.spans(TEXTS)[0].to_list() == before
    assert [rows.to_list() for rows in data] == [before]


def test_a_tokenizer_is_a_layer_of_ragged_ids():
    tokenizer = wordpiece()
    symbolic = tokenizer(keras.Input((), dtype="string"))
    assert (symbolic.shape, symbolic.dtype, symbolic.ragged) == ((None, None), "int32", True)
    assert tokenizer(["good film."]).to_list() == [[8, 7, 9]]
    assert tokenizer.weights == []


@pytest.mark.parametrize("texts", [[1, 2], "one text", [None]])
def test_what_is_not_a_batch_of_strings_is_refused_in_one_line(texts):
    with pytest.raises(InputError, match="Received: ") as error:
        wordpiece().token_ids(texts)
    assert "\n" not in str(error.value)


def test_a_tensor_of_numbers_is_refused():
    with pytest.raises(InputError, match=r"Texts are strings\. Received: dtype=int32"):
        wordpiece().token_ids(tf.constant([1]))


def test_ids_are_made_inside_of_tf_data():
    data = tf.data.Dataset.from_tensor_slices(["A film", "", "abb."]).batch(2)
    rows = [row for batch in data.map(wordpiece()) for row in batch.to_list()]
    assert rows == [[5, 7], [], [5, 6, 6, 9]]


def test_without_tensorflow_text_one_line_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    for make in (wordpiece, sentencepiece):
        with pytest.raises(ImportError, match="pip install tensorflow-text"):
            make()


def run_with_jax(program):
    pytest.importorskip("jax")
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PATH": ""}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment)


def test_the_package_is_imported_without_tensorflow():
    run_with_jax(
        "import sys; sys.modules['tensorflow'] = sys.modules['tensorflow_text'] = None\n"
        "import keras_albert.tokenization"
    )


def test_with_jax_a_preprocessor_gives_arrays():
    run_with_jax(
        "import numpy as np\n"
        "from keras_albert.tokenization import Preprocessor, WordPieceTokenizer\n"
        f"preprocess = Preprocessor(WordPieceTokenizer({VOCABULARY}, lower_case=True), 8)\n"
        "inputs = preprocess(['good film', 'a'])\n"
        "assert {type(value) for value in inputs.values()} == {np.ndarray}\n"
        "assert inputs['token_ids'].tolist() == [[2, 8, 7, 3], [2, 5, 3, 0]]\n"
    )
