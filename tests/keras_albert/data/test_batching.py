import collections
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_albert.data.batching import length_batches, predict_in_order
from keras_albert.data.in_graph import input_errors
from keras_albert.data.padding import IGNORED
from keras_albert.errors import InputError
from keras_albert.heads import classification
from tests.keras_albert.tiny import BERT

ROWS = 103  # a multiple of no batch size used here
LONGEST = 23


def rows(count=ROWS):
    """Ragged inputs, and labels that say which row it is, as does the first token."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, LONGEST + 1, count)
    lengths[count // 2] = LONGEST
    token_ids = [rng.integers(1, 50, length).astype("int32") for length in lengths]
    for row, ids in enumerate(token_ids):
        ids[0] = row
    return {"token_ids": token_ids, "segment_ids": [ids % 2 for ids in token_ids]}


def labelled(count=ROWS):
    return rows(count), {"logits": np.arange(count)}


def as_dataset(data):
    """Chunks of 10 rows, which is no multiple of a batch size used here."""
    return tf.data.Dataset.from_tensor_slices(_tensors(data)).ragged_batch(10)


def _tensors(data):
    inputs, labels = data
    inputs = {
        name: tf.RaggedTensor.from_row_lengths(
            np.concatenate(values), [len(value) for value in values]
        )
        for name, values in inputs.items()
    }
    return inputs, labels


FORMS = {
    "arrays": lambda data: data,
    "dataset": as_dataset,
    "rows": lambda data: tf.data.Dataset.from_tensor_slices(_tensors(data)),
}
EVERY_FORM = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def order(batches):
    """The labels of each batch."""
    return [batch[1]["logits"].tolist() for batch in batches.as_numpy_iterator()]


@EVERY_FORM
@pytest.mark.parametrize(
    ("batch_size", "shuffle"), [(1, True), (8, False), (8, True), (ROWS, False), (ROWS + 1, True)]
)
def test_every_row_occurs_once_an_epoch(form, batch_size, shuffle):
    batches = length_batches(form(labelled()), batch_size, shuffle=shuffle, seed=1, window=3)
    for _ in range(2):
        found = order(batches)
        assert sorted(row for batch in found for row in batch) == list(range(ROWS))
        assert max(map(len, found)) == min(batch_size, ROWS)


@EVERY_FORM
def test_rows_keep_their_features_and_lose_all_padding_but_that_of_their_batch(form):
    expected = rows()
    longest = []
    for inputs, labels in length_batches(form(labelled()), 8, window=3).as_numpy_iterator():
        lengths = inputs["padding_mask"].sum(axis=1)
        longest.append(lengths.max())
        assert inputs["token_ids"].shape == (len(lengths), lengths.max())
        for position, row in enumerate(labels["logits"]):
            for name, values in expected.items():
                found = inputs[name][position]
                np.testing.assert_array_equal(found[: lengths[position]], values[row])
                assert not found[lengths[position] :].any()
            assert inputs["padding_mask"][position, : lengths[position]].all()
    assert longest[:3] == sorted(longest[:3], reverse=True)


@EVERY_FORM
def test_the_order_follows_the_seed_and_differs_every_epoch(form):
    def epochs(seed, **options):
        batches = length_batches(form(labelled()), 8, shuffle=True, seed=seed, window=3, **options)
        return [order(batches) for _ in range(3)]

    first = epochs(1)
    assert epochs(1) == first
    assert epochs(2)[0] != first[0]
    assert first[0] != first[1] != first[2]
    assert epochs(1, first_epoch=1)[:2] == first[1:]


def test_repeating_gives_the_orders_of_the_epochs():
    batches = length_batches(labelled(), 8, shuffle=True, seed=1)
    epochs = [order(batches) for _ in range(2)]
    again = length_batches(labelled(), 8, shuffle=True, seed=1).repeat(2)
    assert order(again) == epochs[0] + epochs[1]


def test_without_a_seed_keras_seed_decides():
    def drawn(seed):
        keras.utils.set_random_seed(seed)
        return order(length_batches(labelled(), 8, shuffle=True))

    assert drawn(3) == drawn(3) != drawn(4)


@EVERY_FORM
def test_an_iterator_goes_on_where_it_was_saved(form, tmp_path):
    def iterator():
        return iter(length_batches(form(labelled()), 8, shuffle=True, seed=1, window=3))

    saved = iterator()
    for _ in range(5):
        next(saved)
    path = tf.train.Checkpoint(iterator=saved).save(tmp_path / "position")
    restored = iterator()
    tf.train.Checkpoint(iterator=restored).restore(path)
    rest = [labels["logits"].numpy().tolist() for _, labels in saved]
    assert [labels["logits"].numpy().tolist() for _, labels in restored] == rest
    assert len(rest) == -(-ROWS // 8) - 5


def test_rows_are_mixed_across_windows_and_batches_within_them():
    batches = order(length_batches(labelled(), 5, shuffle=True, seed=0, window=4))
    flat = list(itertools.chain.from_iterable(batches))
    windows = [flat[start : start + 20] for start in range(0, ROWS, 20)]
    assert all(max(window) - min(window) > ROWS // 3 for window in windows[:-1])
    lengths = [len(ids) for ids in rows()["token_ids"]]
    longest = [max(lengths[row] for row in batch) for batch in batches]
    permutations = {tuple(np.argsort(longest[start : start + 4])) for start in range(0, 20, 4)}
    assert len(permutations) > 1


def test_the_number_of_batches_is_known_for_what_is_in_memory():
    assert len(length_batches(labelled(), 8)) == 13
    assert len(length_batches(labelled(), 8, remainder="fill")) == 13
    assert len(length_batches(labelled(), 8, remainder="drop")) == 12
    dataset = length_batches(as_dataset(labelled()), 8)
    assert dataset.cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert len(length_batches(as_dataset(labelled()), 8, cache=True)) == 13


@pytest.mark.parametrize("shuffle", [False, True])
def test_lengths_are_those_of_a_fixed_set(shuffle):
    batches = length_batches(labelled(), 8, shuffle=shuffle, lengths=[4, 12, 32], window=2)
    lengths = [len(ids) for ids in rows()["token_ids"]]
    for inputs, labels in batches.as_numpy_iterator():
        longest = max(lengths[row] for row in labels["logits"])
        fitting = min(length for length in (4, 12, 32) if length >= longest)
        assert inputs["token_ids"].shape[1] == fitting


def test_lengths_are_rounded_up_to_a_multiple():
    lengths = {
        inputs["token_ids"].shape[1]
        for inputs, _ in length_batches(labelled(), 8, multiple_of=8).as_numpy_iterator()
    }
    assert lengths <= {8, 16, 24}


def test_one_length_and_whole_batches_have_a_static_shape():
    for remainder in ("drop", "fill"):
        batches = length_batches(labelled(), 8, lengths=[32], remainder=remainder)
        inputs, labels, *weights = batches.element_spec
        assert {tuple(spec.shape) for spec in inputs.values()} == {(8, 32)}
        assert [tuple(spec.shape) for spec in (labels["logits"], *weights)] == [
            (8,) for _ in (labels, *weights)
        ]


def test_dropped_rows_are_others_every_epoch_and_not_the_longest():
    batches = length_batches(labelled(), 50, remainder="drop", shuffle=True, seed=0)
    dropped = []
    for _ in range(3):
        kept = {row for batch in order(batches) for row in batch}
        assert len(kept) == 100
        dropped.append(set(range(ROWS)) - kept)
    assert dropped[0] != dropped[1] != dropped[2]


def test_copies_that_fill_a_batch_weigh_nothing():
    token_weights = [np.full(len(ids), 0.5, "float32") for ids in rows()["token_ids"]]
    for data, weight in ((labelled(), 1.0), ((*labelled(), np.full(ROWS, 2.0)), 2.0)):
        total = collections.Counter()
        for _, labels, weights in length_batches(data, 8, remainder="fill").as_numpy_iterator():
            assert weights.shape == (8,)
            for row, value in zip(labels["logits"], weights, strict=True):
                total[int(row)] += value
        assert total == dict.fromkeys(range(ROWS), weight)
    batches = length_batches((*labelled(), token_weights), 8, remainder="fill")
    found = sum(weights.sum() for _, _, weights in batches.as_numpy_iterator())
    assert found == sum(map(np.sum, token_weights))


def test_labels_and_weights_of_tokens_are_padded_by_what_is_ignored():
    data = (
        {"token_ids": [[2, 5, 3], [2, 3]], "answer_mask": [[0, 1, 0], [1, 1]]},
        {"logits": [[0, 1, 0], [4, 4]]},
        {"logits": [[1.0, 0.5, 1.0], [1.0, 1.0]]},
    )
    (batch,) = length_batches(data, 2).as_numpy_iterator()
    assert batch[1]["logits"].tolist() == [[0, 1, 0], [4, 4, IGNORED]]
    assert batch[2]["logits"].tolist() == [[1, 0.5, 1], [1, 1, 0]]
    assert batch[0]["answer_mask"].tolist() == [[0, 1, 0], [1, 1, 0]]
    values = {"logits": 9, "token_ids": 7}
    (batch,) = length_batches(data, 2, pad_values=values).as_numpy_iterator()
    assert batch[0]["token_ids"].tolist() == [[2, 5, 3], [2, 3, 7]]
    assert batch[1]["logits"].tolist() == [[0, 1, 0], [4, 4, 9]]
    assert batch[0]["padding_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_strings_are_labels_too():
    data = ({"token_ids": [[1, 2], [3]]}, [["B", "O"], ["O"]])
    (batch,) = length_batches(data, 2).as_numpy_iterator()
    assert batch[1].tolist() == [[b"B", b"O"], [b"O", b""]]


def test_masked_positions_have_a_length_of_their_own():
    data = (
        {"token_ids": [[1, 2, 3, 4], [5, 6, 7]], "masked_positions": [[1], [0, 2]]},
        {"mlm_logits": [[9], [8, 7]]},
    )
    (batch,) = length_batches(data, 2).as_numpy_iterator()
    assert batch[0]["masked_positions"].tolist() == [[1, 0], [0, 2]]
    assert batch[1]["mlm_logits"].tolist() == [[9, IGNORED], [8, 7]]
    fixed = {"masked_positions": 3, "mlm_logits": 3}
    batches = length_batches(data, 2, lengths=[8], lengths_of=fixed, remainder="drop")
    assert batches.element_spec[0]["masked_positions"].shape == (2, 3)
    with pytest.raises(InputError, match="masked_positions has at most 1 values"), input_errors():
        list(length_batches(data, 2, lengths_of={"masked_positions": 1}))


def test_labels_may_be_none():
    batches = length_batches(({"token_ids": [[1]]}, None, None), 2)
    assert [sorted(batch) for batch in batches] == [["padding_mask", "token_ids"]]


def test_choices_of_a_row_are_padded_together():
    choices = [[[2, 5, 3], [2, 6, 7, 3]], [[2, 3], [2, 8, 3]]]
    data = ({"token_ids": choices, "segment_ids": choices}, np.array([1, 0]))
    (batch,) = length_batches(data, 2).as_numpy_iterator()
    expected = [[[2, 5, 3, 0], [2, 6, 7, 3]], [[2, 3, 0, 0], [2, 8, 3, 0]]]
    assert batch[0]["token_ids"].tolist() == expected
    assert batch[0]["segment_ids"].tolist() == expected
    assert batch[0]["padding_mask"].tolist() == (np.array(expected) > 0).astype(int).tolist()
    assert batch[1].tolist() == [1, 0]


@pytest.mark.parametrize("choices", [False, True])
def test_padding_of_arrays_is_cut_by_their_mask(choices):
    token_ids = np.array([[2, 5, 3, 0, 0], [2, 3, 0, 0, 0]])
    if choices:
        token_ids = np.stack([token_ids, token_ids[::-1]], axis=1)
    data = {"token_ids": token_ids, "padding_mask": (token_ids != 0).astype("int8")}
    (batch,) = length_batches(data, 2).as_numpy_iterator()
    np.testing.assert_array_equal(batch["token_ids"], token_ids[..., :3])
    np.testing.assert_array_equal(batch["padding_mask"], token_ids[..., :3] != 0)
    (batch,) = length_batches({"token_ids": token_ids}, 2).as_numpy_iterator()
    assert batch["padding_mask"].all()


def test_a_ragged_mask_is_a_mask():
    mask = tf.ragged.constant([[1, 1], [1]])
    data = {"token_ids": np.array([[1, 2], [3, 0]]), "padding_mask": mask}
    (batch,) = length_batches(data, 2).as_numpy_iterator()
    assert batch["padding_mask"].tolist() == [[1, 1], [1, 0]]


def first_letters(texts):
    """Token ids [1, code of each letter]; a pair has two segments."""
    parts = texts if isinstance(texts, tuple) else (texts,)
    letters = [tf.strings.unicode_decode(part, "UTF-8") for part in parts]
    return {
        "token_ids": tf.concat(letters, axis=1),
        "segment_ids": tf.concat(
            [tf.ones_like(part) * number for number, part in enumerate(letters)], axis=1
        ),
    }


@pytest.mark.parametrize("cache", [False, True])
def test_texts_are_preprocessed_many_at_once(cache):
    texts = ["a" * (1 + number % 7) for number in range(50)]
    sizes = []

    def preprocess(texts):
        tf.py_function(lambda texts: sizes.append(len(texts)), [texts], [])
        return first_letters(texts)

    batches = length_batches(
        (texts, np.arange(50)), 4, preprocess=preprocess, shuffle=True, window=5, cache=cache
    )
    for _ in range(2):
        seen = {}
        for inputs, labels in batches.as_numpy_iterator():
            seen |= dict(zip(labels.tolist(), inputs["padding_mask"].sum(axis=1), strict=True))
        assert seen == {number: len(text) for number, text in enumerate(texts)}
    assert sorted(sizes) == ([50] if cache else [10, 10, 20, 20, 20, 20])


def test_pairs_are_tuples_of_texts():
    data = ((["ab", "c"], np.array(["d", "ef"])), [1, 0])
    for form in (data, tf.data.Dataset.from_tensor_slices(data)):
        (batch,) = length_batches(form, 2, preprocess=first_letters).as_numpy_iterator()
        assert batch[0]["segment_ids"].tolist() == [[0, 0, 1], [0, 1, 1]]
        assert batch[1].tolist() == [1, 0]


def test_pairs_without_labels_are_a_tuple_within_the_tuple():
    pairs = (["ab", "c"], ["d", "ef"])
    outputs = predict_in_order(
        lambda inputs: inputs["segment_ids"].sum(axis=1), (pairs,), 1, preprocess=first_letters
    )
    assert list(outputs) == [1, 2]
    with pytest.raises(InputError, match="a tuple within the tuple"):
        next(predict_in_order(lambda inputs: inputs, pairs, 1, preprocess=first_letters))


def test_an_object_with_ragged_preprocesses():
    class Preprocessor:
        ragged = staticmethod(first_letters)

    (batch,) = length_batches(["ab"], 2, preprocess=Preprocessor()).as_numpy_iterator()
    assert batch["token_ids"].tolist() == [[97, 98]]


@EVERY_FORM
@pytest.mark.parametrize("options", [{}, {"remainder": "fill", "lengths": [32]}])
def test_outputs_come_in_the_order_of_the_rows(form, options):
    shapes = set()

    def predict(inputs):
        shapes.add(inputs["token_ids"].shape)
        return {"sum": inputs["token_ids"].sum(axis=1)}

    found = list(predict_in_order(predict, form(labelled()), 8, window=3, **options))
    assert [output["sum"] for output in found] == [sum(ids) for ids in rows()["token_ids"]]
    assert (len(shapes) == 1) == bool(options)


def test_outputs_of_endless_data_come_while_it_is_read():
    texts = tf.data.Dataset.from_tensors(["a", "bcd"]).repeat()
    outputs = predict_in_order(lambda x: x["token_ids"], texts, 2, preprocess=first_letters)
    assert [next(outputs)[0] for _ in range(4)] == [97, 98, 97, 98]


def test_no_row_is_dropped_from_the_outputs():
    with pytest.raises(InputError, match="Every row has outputs"):
        next(predict_in_order(lambda inputs: inputs, labelled(), 8, remainder="drop"))


def test_a_model_fits_evaluates_and_predicts():
    keras.utils.set_random_seed(0)
    data = {name: [ids[:16] % 50 for ids in values] for name, values in rows().items()}
    labels = {"logits": np.array([int(ids[1:].sum() % 2) for ids in data["token_ids"]])}
    data["segment_ids"] = [ids % 2 for ids in data["segment_ids"]]
    model = classification(BERT, num_labels=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss={"logits": loss}, weighted_metrics={"logits": ["accuracy"]})
    batches = length_batches((data, labels), 8, shuffle=True, seed=0, vocab_size=50)
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
    assert len(history["loss"]) == 2
    scores = [
        model.evaluate(length_batches((data, labels), 8, remainder=remainder), verbose=0)[-1]
        for remainder in ("keep", "fill")
    ]
    assert scores[0] == pytest.approx(scores[1])
    found = predict_in_order(model.predict_on_batch, data, 8)
    expected = [
        model(
            {"token_ids": data["token_ids"][0][None], "segment_ids": data["segment_ids"][0][None]}
        )["logits"][0]
    ]
    np.testing.assert_allclose(next(found)["logits"], expected[0], atol=1e-5)


ONE = {"token_ids": [[1]]}
BAD = {
    "A batch has at least one row, and fewer than 2**31. Received: batch_size=0": (
        ONE,
        {"batch_size": 0},
    ),
    "A window has at least one batch. Received: window=0": (ONE, {"window": 0}),
    "A remainder is one of ('keep', 'drop', 'fill'). Received: remainder='pad'": (
        ONE,
        {"remainder": "pad"},
    ),
    "Without the remainder there is at least one batch. Received: rows=1, batch_size=2": (
        ONE,
        {"remainder": "drop"},
    ),
    "Lengths ascend from 1 or more. Received: lengths=[8, 4]": (ONE, {"lengths": [8, 4]}),
    "Lengths ascend from 1 or more. Received: lengths=[]": (ONE, {"lengths": []}),
    "Lengths are a positive multiple. Received: multiple_of=0": (ONE, {"multiple_of": 0}),
    "A fixed set of lengths is not rounded. Received: lengths=[8], multiple_of=2": (
        ONE,
        {"lengths": [8], "multiple_of": 2},
    ),
    "The longest row fits the largest of lengths=[1, 2]; texts are shortened when they are "
    "tokenized. Received: tokens=3": ({"token_ids": [[1], [1, 2, 3]]}, {"lengths": [1, 2]}),
    "A row has at least one token. Received: tokens=0": ({"token_ids": [[1, 2], []]}, {}),
    "segment_ids has one value a token. Received: values=4": (
        {"token_ids": [[1, 2], [3]], "segment_ids": [[0, 0], [0, 0]]},
        {},
    ),
    "answer_mask has one value a token. Received: values=2": (
        {"token_ids": [[1, 2], [3]], "answer_mask": [[0], [0]]},
        {},
    ),
    "labels has one value a token. Received: values=1": (({"token_ids": [[1, 2]]}, [[1]]), {}),
    "Token ids are at least 0 and less than vocab_size=9. Received: token_ids=9": (
        {"token_ids": [[8, 9]]},
        {"vocab_size": 9},
    ),
    "Token ids are at least 0 and less than vocab_size=9. Received: token_ids=-1": (
        {"token_ids": [[8, -1]]},
        {"vocab_size": 9},
    ),
    "Token ids are at least 0 and less than vocab_size=9. Received: token_ids=2147483647": (
        {"token_ids": np.array([[2**32 + 1]])},
        {"vocab_size": 9},
    ),
    "Texts become token ids by `preprocess`. Received: preprocess=None": (["text"], {}),
    "Inputs have 'token_ids'. Received: ['input_ids']": ({"input_ids": [[1]]}, {}),
    "Data has one row or more, and as many labels and weights. Received: rows=[1, 2]": (
        ({"token_ids": [[1]]}, [1, 2]),
        {},
    ),
    "Data has one row or more, and as many labels and weights. Received: rows=[0]": ([], {}),
    "A dataset gives inputs, labels and sample weights; inputs of several texts are a tuple "
    "within that tuple. Received: a tuple of 4": ((1, 2, 3, 4), {}),
}


@pytest.mark.parametrize(("message", "case"), BAD.items(), ids=range(len(BAD)))
def test_what_is_wrong_is_said_in_one_line_at_once(message, case):
    data, options = case
    with pytest.raises(InputError) as error:
        length_batches(data, **{"batch_size": 2} | options)
    assert str(error.value) == message


@pytest.mark.parametrize("options", [{"vocab_size": 9}, {"lengths": [1, 2]}])
def test_what_is_wrong_in_a_dataset_is_said_in_one_line_when_it_is_read(options):
    dataset = tf.data.Dataset.from_tensors(tf.ragged.constant([[1], [2, 3, 40]], tf.int32))
    with pytest.raises(InputError, match=r"Received: \w+=\d+$") as error:
        list(predict_in_order(lambda inputs: inputs["token_ids"], dataset, 2, **options))
    assert "\n" not in str(error.value)


def test_another_failure_of_the_data_is_one_line_too():
    numbers = tf.data.Dataset.from_tensors(["1", "x"])
    dataset = numbers.map(lambda text: tf.strings.to_number(text, tf.int32)[:, tf.newaxis])
    with pytest.raises(InputError, match=r"^The data cannot be read. Received: .*: x$"):
        list(predict_in_order(lambda inputs: inputs["token_ids"], dataset, 2))


def test_a_strategy_takes_the_batches():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    batches = strategy.experimental_distribute_dataset(
        length_batches(labelled(), 8, shuffle=True, seed=1)
    )
    epochs = [[int(row) for _, labels in batches for row in labels["logits"]] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(ROWS))
    assert epochs[0] != epochs[1]
