import gzip
import json

import numpy as np
import pytest
import tensorflow as tf

from keras_albert.errors import InputError
from keras_albert.tokenization import Preprocessor, WordPieceTokenizer
from tests.keras_albert.tokenization.rows import albert_tokenizer, tokenizer_of
from tests.paths import REFERENCE, needs_shared

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d"]
NAMES = {"token_ids": "input_ids", "segment_ids": "segment_ids", "padding_mask": "input_mask"}


def preprocessor(max_length=12, **options):
    return Preprocessor(WordPieceTokenizer(VOCABULARY, lower_case=True), max_length, **options)


def rows(inputs):
    return {name: value.numpy().tolist() for name, value in inputs.items()}


@needs_shared
@pytest.mark.parametrize(
    ("name", "tokenizer"),
    [
        *((f"bert_{kind}", kind) for kind in ("uncased", "cased", "chinese")),
        pytest.param("bert_multi_cased", "multi_cased", marks=pytest.mark.slow),
        ("albert_lower", True),
        pytest.param("albert_cased", False, marks=pytest.mark.slow),
    ],
)
def test_features_are_googles_from_text_on(name, tokenizer):
    cut = (
        tokenizer_of(tokenizer)
        if isinstance(tokenizer, str)
        else albert_tokenizer(lower_case=tokenizer)
    )
    with gzip.open(REFERENCE / "classifier_features" / f"{name}.jsonl.gz", "rt") as file:
        examples = [row for row in map(json.loads, file) if row["task"] != "padding_example"]
    groups = {}
    for row in examples:
        groups.setdefault((row["max_seq_length"], row["text_b"] is None), []).append(row)
    assert sum(len(group) for group in groups.values()) == len(examples) > 50
    for (length, single), group in groups.items():
        # A fixed length, as Google's programs have it.
        preprocess = Preprocessor(cut, length, length=length)
        texts = [row["text_a"] for row in group]
        ours = preprocess(texts if single else (texts, [row["text_b"] for row in group]))
        for own, google in NAMES.items():
            np.testing.assert_array_equal(ours[own], [row[google] for row in group])


def test_a_list_is_a_batch_and_a_tuple_is_segments():
    preprocess = preprocessor()
    batch = {"token_ids": [[2, 4, 3], [2, 5, 3]], "segment_ids": [[0] * 3] * 2}
    pair = {"token_ids": [[2, 4, 3, 5, 3]], "segment_ids": [[0, 0, 0, 1, 1]]}
    for texts, expected in [
        (["a", "b"], batch),
        (np.array(["a", "b"]), batch),
        (tf.constant(["a", "b"]), batch),
        (("a", "b"), pair),
        ((["a"], ["b"]), pair),
        ([("a", "b")], pair),
        (np.array([["a", "b"]]), pair),
        ((tf.constant(["a"]), tf.constant(["b"])), pair),
    ]:
        inputs = rows(preprocess(texts))
        assert {name: inputs[name] for name in expected} == expected
    assert rows(preprocess("a"))["token_ids"] == [[2, 4, 3]]


def test_three_segments_share_the_ids_that_the_model_knows():
    inputs = rows(preprocessor()(("a b", "c", "d")))
    assert inputs["token_ids"] == [[2, 4, 5, 3, 6, 3, 7, 3]]
    assert inputs["segment_ids"] == [[0, 0, 0, 0, 1, 1, 1, 1]]
    inputs = rows(preprocessor(num_segments=3)(("a b", "c", "d")))
    assert inputs["segment_ids"] == [[0, 0, 0, 0, 1, 1, 2, 2]]


def test_batches_are_as_long_as_their_longest_row_unless_a_length_is_fixed():
    assert preprocessor()(["a b c", "a"])["token_ids"].shape == (2, 5)
    assert preprocessor(multiple_of=8)(["a b c", "a"])["token_ids"].shape == (2, 8)
    inputs = rows(preprocessor(length=12)(["a b"]))
    assert inputs["token_ids"] == [[2, 4, 5, 3] + [0] * 8]
    assert inputs["padding_mask"] == [[1] * 4 + [0] * 8]


def test_no_texts_make_an_empty_batch():
    assert preprocessor()([])["token_ids"].shape == (0, 0)


def test_ragged_inputs_are_padded_later():
    preprocess = preprocessor()
    ragged = preprocess.ragged(["a b", "c"])
    assert ragged["token_ids"].to_list() == [[2, 4, 5, 3], [2, 6, 3]]
    assert rows(preprocess.pad(ragged)) == rows(preprocess(["a b", "c"]))


def test_a_pipeline_gives_what_a_call_gives():
    texts = [" ".join("abcd"[i % 4] for i in range(n)) for n in range(20)]
    preprocess = preprocessor()
    data = tf.data.Dataset.from_tensor_slices((texts, texts[::-1])).batch(20)
    (inputs,) = data.map(lambda first, second: preprocess((first, second)))
    assert rows(inputs) == rows(preprocess((texts, texts[::-1])))


def test_windows_overlap_and_know_their_text():
    ragged, row = preprocessor(max_length=5).windows(["a b c d a", "", "d c"], stride=2)
    assert ragged["token_ids"].to_list() == [
        [2, 4, 5, 6, 3],
        [2, 6, 7, 4, 3],
        [2, 3],
        [2, 7, 6, 3],
    ]
    assert row.numpy().tolist() == [0, 0, 1, 2]


def test_windows_are_cut_from_single_texts():
    with pytest.raises(InputError, match="2 segments"):
        preprocessor().windows(("a", "b"), stride=2)


def test_too_long_a_text_is_refused_where_truncation_is_off():
    preprocess = preprocessor(max_length=4, truncate=False)
    assert rows(preprocess(["a b"]))["token_ids"] == [[2, 4, 5, 3]]
    with pytest.raises(InputError, match="max_length=4, text 1 of the batch has 5 tokens"):
        preprocess(["a", "a b c"])
    data = tf.data.Dataset.from_tensors(["a b c"]).map(preprocess)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most max_length"):
        list(data)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([("a", "b"), ("a",)], r"as many segments. Received: \[1, 2\]"),
        ([("a", "b"), "a"], r"as many segments. Received: \[1, 2\]"),
        ([3], "Texts are strings. Received: 3"),
    ],
)
def test_bad_texts_are_refused_in_one_line(texts, message):
    with pytest.raises(InputError, match=message) as error:
        preprocessor()(texts)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"max_length": 1}, "max_length=1"),
        ({"max_length": 8, "length": 4}, "length=4, max_length=8"),
        ({"multiple_of": 0}, "multiple_of=0"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(options, received):
    with pytest.raises(InputError, match=f"Received: {received}$"):
        preprocessor(**options)


def test_segments_need_room_for_their_separators():
    with pytest.raises(InputError, match="max_length=2, segments=2"):
        preprocessor(max_length=2)(("a", "b"))
