import gzip
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_albert.data.batching import length_batches, predict_in_order
from keras_albert.data.padding import IGNORED
from keras_albert.data.tfrecord_schema import HEADER
from keras_albert.data.tfrecords import TFRecords, read_tfrecord, rows_of, write_tfrecord
from keras_albert.errors import InputError
from tests.paths import REFERENCE, needs_shared

PRETRAINING = REFERENCE / "pretraining_data"
RUNS = [
    "albert_ngram_sop",
    "albert_ngram_sop_longer_favoured",
    "albert_random_next",
    "albert_wordpiece_vocab",
    "bert_short_sequences",
    "bert_whole_word_mask",
    "bert_wordpiece_mask",
]
LENGTHS = (3, 7, 2, 5, 4, 6, 3)


def ids(length):
    return np.arange(1, length + 1)


# One file a kind of row that a task has.
KINDS = {
    "inputs": [{"token_ids": ids(n), "segment_ids": ids(n) % 2} for n in LENGTHS],
    "classes": [({"token_ids": ids(n)}, n % 2) for n in LENGTHS],
    "class names": [({"token_ids": ids(n)}, "neg" if n % 2 else "pos") for n in LENGTHS],
    "regression": [({"token_ids": ids(n)}, {"logits": n / 2}) for n in LENGTHS],
    "many classes": [({"token_ids": ids(n)}, [n % 2, 1.0, 0.5]) for n in LENGTHS],
    "weights": [({"token_ids": ids(n)}, {"logits": n}, {"logits": n / 4}) for n in LENGTHS],
    "tokens": [({"token_ids": ids(n)}, {"logits": -ids(n)}, ids(n) / 2) for n in LENGTHS],
    "token tags": [({"token_ids": ids(n)}, [b"B"] + [b"O"] * (n - 1)) for n in LENGTHS],
    "objects": [({"token_ids": ids(n)}, np.array(["B"] * n, object)) for n in LENGTHS],
    "answers": [
        (
            {"token_ids": ids(n), "answer_mask": ids(n) % 2, "start_positions": n - 1},
            {"start_logits": n - 1, "end_logits": n - 1, "unanswerable_logits": True},
        )
        for n in LENGTHS
    ],
    "masked": [
        (
            {"token_ids": ids(n), "masked_positions": ids(n // 2)},
            {"mlm_logits": ids(n // 2), "sentence_relation_logits": n % 2},
        )
        for n in LENGTHS
    ],
    "choices": [
        ({"token_ids": [ids(n), ids(2)], "segment_ids": [[0] * n, [0, 1]]}, n % 2) for n in LENGTHS
    ],
}


def plain(value):
    """Lists and numbers for whatever arrays a row has, strings as bytes."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    return value.encode() if isinstance(value, str) else value


def example(**features):
    """A serialised record, as other programs write it."""

    def feature(values):
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    return tf.train.Example(
        features=tf.train.Features(feature={n: feature(v) for n, v in features.items()})
    ).SerializeToString()


def write_records(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_back_as_they_were_written(kind, suffix, tmp_path):
    path = tmp_path / f"rows.tfrecord{suffix}"
    assert write_tfrecord(path, KINDS[kind]) == len(LENGTHS)
    records = TFRecords(path)
    assert records.rows == len(LENGTHS)
    assert records.ignored == ()
    found = [plain(row) for row in rows_of(records)]
    expected = [plain(row if isinstance(row, tuple) else (row,)) for row in KINDS[kind]]
    assert found == expected
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_is_compressed_is_recognised_by_its_content(tmp_path):
    write_tfrecord(tmp_path / "rows.tfrecord.gz", KINDS["classes"])
    with gzip.open(tmp_path / "rows.tfrecord.gz") as file:
        assert HEADER.encode() in file.read()
    shutil.move(tmp_path / "rows.tfrecord.gz", tmp_path / "rows.tfrecord")
    assert TFRecords(tmp_path / "rows.tfrecord").rows == len(LENGTHS)


def test_the_file_takes_part_in_batching_like_any_data(tmp_path):
    path = tmp_path / "rows.tfrecord"
    write_tfrecord(path, KINDS["classes"])
    batches = length_batches(TFRecords(path), 3)
    assert len(batches) == 3
    assert [batch[0]["token_ids"].shape for batch in batches] == [(3, 7), (3, 4), (1, 2)]
    found = predict_in_order(lambda inputs: inputs["padding_mask"].sum(axis=1), TFRecords(path), 3)
    assert tuple(found) == LENGTHS
    epochs = length_batches(TFRecords(path), 3, shuffle=True, seed=0)
    first, second = ([batch[1].numpy().tolist() for batch in epochs] for _ in range(2))
    assert first != second
    cached = length_batches(read_tfrecord(path, rows=2), 3, cache=True)
    assert len(cached) == 3


@pytest.mark.parametrize("shuffle_rows", [4, 100])
def test_every_row_of_all_files_occurs_once_an_epoch(shuffle_rows, tmp_path):
    paths = [tmp_path / f"{number}.tfrecord" for number in range(3)]
    for number, path in enumerate(paths):
        rows = [({"token_ids": ids(n)}, 10 * number + at) for at, n in enumerate(LENGTHS)]
        write_tfrecord(path, rows)
    records = TFRecords(paths, shuffle_rows=shuffle_rows)
    assert records.rows == 3 * len(LENGTHS)
    batches = length_batches(records, 4, shuffle=True, seed=0, window=2)
    epochs = [np.concatenate([batch[1] for batch in batches]).tolist() for _ in range(2)]
    again = length_batches(records, 4, shuffle=True, seed=0, window=2, first_epoch=1)
    expected = [10 * number + at for number in range(3) for at in range(len(LENGTHS))]
    assert sorted(epochs[0]) == sorted(epochs[1]) == expected
    assert epochs[0] != epochs[1]
    assert np.concatenate([batch[1] for batch in again]).tolist() == epochs[1]
    in_order = [chunk[1].numpy().tolist() for chunk in read_tfrecord(paths, rows=100)]
    assert in_order == [expected]


def test_a_shuffled_iterator_goes_on_where_it_was_saved(tmp_path):
    write_tfrecord(tmp_path / "rows", KINDS["regression"])

    def iterator():
        return iter(length_batches(TFRecords(tmp_path / "rows"), 2, shuffle=True, seed=1, window=1))

    saved, restored = iterator(), iterator()
    next(saved)
    position = tf.train.Checkpoint(iterator=saved).save(tmp_path / "position")
    tf.train.Checkpoint(iterator=restored).restore(position)
    rest = [labels["logits"].numpy().tolist() for _, labels in saved]
    assert [labels["logits"].numpy().tolist() for _, labels in restored] == rest


def test_progress_is_told_and_an_existing_file_stays(tmp_path):
    path = tmp_path / "rows.tfrecord"
    written = []
    write_tfrecord(path, KINDS["classes"], progress=written.append)
    assert written == list(range(1, len(LENGTHS) + 1))
    with pytest.raises(FileExistsError, match="will not be replaced"):
        write_tfrecord(path, KINDS["inputs"])
    write_tfrecord(path, KINDS["inputs"][:2], force=True)
    assert TFRecords(path).rows == 2


def test_a_failure_leaves_the_file_that_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "rows.tfrecord"
    write_tfrecord(path, KINDS["classes"])

    def rows():
        yield from KINDS["inputs"] * 200
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write_tfrecord(path, rows(), force=True)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert sorted(TFRecords(path).schema) == ["labels", "token_ids"]


def test_where_nothing_can_be_written_one_line_says_so(tmp_path):
    with pytest.raises(OSError, match=r"nowhere.rows: cannot be written \(") as error:
        write_tfrecord(tmp_path / "nowhere" / "rows", KINDS["classes"])
    assert "\n" not in str(error.value)


@needs_shared
@pytest.mark.parametrize("run", RUNS)
def test_googles_pretraining_records_come_under_our_names_without_padding(run):
    with (PRETRAINING / f"{run}.json").open() as file:
        expected = json.load(file)
    records = TFRecords(PRETRAINING / f"{run}.tfrecord")
    assert records.rows == expected["instances"]
    assert set(records.ignored) <= {"token_boundary"}
    inputs, labels = next(iter(read_tfrecord(PRETRAINING / f"{run}.tfrecord")))
    for row, google in enumerate(expected["examples"]):
        tokens = sum(google["input_mask"])
        masked = int(sum(google["masked_lm_weights"]))
        assert inputs["token_ids"][row].numpy().tolist() == google["input_ids"][:tokens]
        assert inputs["segment_ids"][row].numpy().tolist() == google["segment_ids"][:tokens]
        positions = google["masked_lm_positions"][:masked]
        assert inputs["masked_positions"][row].numpy().tolist() == positions
        assert labels["mlm_logits"][row].numpy().tolist() == google["masked_lm_ids"][:masked]
        assert [int(labels["sentence_relation_logits"][row])] == google["next_sentence_labels"]


def googles_classifier_records():
    common = {"segment_ids": [0] * 5, "label_ids": [1]}
    full = example(
        input_ids=[2, 7, 8, 3, 0], input_mask=[1, 1, 1, 1, 0], is_real_example=[1], **common
    )
    filling = example(input_ids=[0] * 5, input_mask=[0] * 5, is_real_example=[0], **common)
    return [full, filling]


def test_googles_classifier_records_weigh_examples_that_only_fill_nothing(tmp_path):
    path = write_records(tmp_path / "train.tf_record", googles_classifier_records())
    (batch,) = length_batches(TFRecords(path), 2).as_numpy_iterator()
    inputs, labels, weights = batch
    assert inputs["token_ids"].tolist() == [[2, 7, 8, 3], [0, 0, 0, 0]]
    assert inputs["padding_mask"].tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert labels.tolist() == [1, 1]
    assert weights.tolist() == [1.0, 0.0]


def test_googles_answers_are_labels_and_its_mask_is_inverted(tmp_path):
    record = example(
        unique_ids=[1000000000],
        input_ids=[2, 7, 3, 8, 9, 3, 0],
        input_mask=[1, 1, 1, 1, 1, 1, 0],
        segment_ids=[0, 0, 0, 1, 1, 1, 0],
        p_mask=[0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0],
        start_positions=[3],
        end_positions=[4],
        is_impossible=[0],
    )
    records = TFRecords(write_records(tmp_path / "train.tf_record", [record]))
    assert records.ignored == ("unique_ids",)
    (batch,) = length_batches(records, 2).as_numpy_iterator()
    assert batch[0]["token_ids"].tolist() == [[2, 7, 3, 8, 9, 3]]
    assert batch[0]["answer_mask"].tolist() == [[1, 0, 0, 1, 1, 0]]
    assert {name: value.tolist() for name, value in batch[1].items()} == {
        "start_logits": [3],
        "end_logits": [4],
        "unanswerable_logits": [0],
    }


def test_records_without_a_schema_are_understood_under_our_own_names_too(tmp_path):
    records = [example(token_ids=ids(n).tolist(), labels=[n / 2, 1.0], note=[n]) for n in LENGTHS]
    found = TFRecords(write_records(tmp_path / "own", records))
    assert found.ignored == ("note",)
    assert [plain(row) for row in rows_of(found)] == [
        [{"token_ids": ids(n).tolist()}, [n / 2, 1.0]] for n in LENGTHS
    ]


def test_masked_labels_are_ignored_where_rows_are_short(tmp_path):
    write_tfrecord(tmp_path / "masked", KINDS["masked"])
    batch = next(iter(length_batches(TFRecords(tmp_path / "masked"), 7)))
    assert set(batch[1]["mlm_logits"].numpy()[-1].tolist()) == {1, IGNORED}


BAD_ROWS = {
    "A TFRecord file holds at least one row. Received: no rows": [],
    "A row has 'token_ids'. Received: ['input_ids']": [{"input_ids": [1]}],
    "Rows are written without padding, and so without a padding_mask. "
    "Received: ['padding_mask', 'token_ids']": [{"token_ids": [1], "padding_mask": [1]}],
    "All rows have the same features, ['token_ids']. Received: row 2 with "
    "['segment_ids', 'token_ids']": [{"token_ids": [1]}, {"token_ids": [1], "segment_ids": [0]}],
    "labels is a value, a list, or a list of lists in every row. Received: ranks=[0, 1]": [
        ({"token_ids": [1]}, 1),
        ({"token_ids": [1]}, [1]),
    ],
    "token_ids has a value in every row. Received: 0 in row 2": [
        {"token_ids": [1]},
        {"token_ids": []},
    ],
    "segment_ids has one value a token in every row. Received: 1, not 2 in row 1": [
        {"token_ids": [1, 2], "segment_ids": [0]}
    ],
    "labels has one value a token in every row. Received: 1, not 2 in row 1": [
        ({"token_ids": [1, 2]}, [0]),
        ({"token_ids": [1, 2]}, [0, 1, 1]),
    ],
    "token_ids has 32 bits in every row. Received: 1 to 2147483648 in row 1": [
        {"token_ids": [1, 2**31]}
    ],
    "labels is int32 in every row. Received: <U1 in row 1001": [
        *[({"token_ids": [1]}, 1)] * 1000,
        ({"token_ids": [1]}, "a"),
    ],
    "labels has rank 0 in every row. Received: rank 1 in row 1001": [
        *[({"token_ids": [1]}, 1)] * 1000,
        ({"token_ids": [1]}, [1]),
    ],
    "labels has 2 values in every row. Received: 3 in row 1001": [
        *[({"token_ids": [1]}, [1, 0])] * 1000,
        ({"token_ids": [1]}, [1, 0, 0]),
    ],
    "Features are numbers or strings. Received: dtype=complex128": [{"token_ids": [1j]}],
}


@pytest.mark.parametrize(("message", "rows"), BAD_ROWS.items(), ids=range(len(BAD_ROWS)))
def test_rows_that_do_not_agree_are_not_written(message, rows, tmp_path):
    with pytest.raises(InputError) as error:
        write_tfrecord(tmp_path / "rows.tfrecord", rows)
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


def test_numbers_may_be_whole_in_some_rows(tmp_path):
    rows = [({"token_ids": [1]}, value) for value in (1, 0.5)]
    write_tfrecord(tmp_path / "rows", rows)
    assert [row[1] for row in rows_of(TFRecords(tmp_path / "rows"))] == [1.0, 0.5]


@pytest.fixture
def damaged(tmp_path):
    """Writes a whole file; returns a function that gives it other content."""
    path = tmp_path / "rows.tfrecord"
    write_tfrecord(path, KINDS["classes"] * 10)
    content = path.read_bytes()

    def damage(change):
        path.write_bytes(change(content))
        return path

    return damage


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"", "the file holds no record"),
        (lambda content: b"a text\n" * 9, "not a TFRecord file of examples"),
        (lambda content: content[:40], "not a TFRecord file of examples"),
    ],
)
def test_what_is_no_tfrecord_file_is_refused_at_once(damaged, change, message):
    path = damaged(change)
    with pytest.raises(InputError, match=message) as error:
        TFRecords(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "record"),
    [
        (lambda content: content[:-20], 70),
        (lambda content: content[:-60] + b"\xff" + content[-59:], 69),
    ],
)
def test_damage_is_found_before_training_and_names_the_record(damaged, change, record):
    path = damaged(change)
    with pytest.raises(InputError, match=f"Received: record {record} is damaged") as error:
        length_batches(TFRecords(path), 4)
    assert str(error.value).startswith(f"{path}: a TFRecord file is whole. ")
    assert "\n" not in str(error.value)


def test_records_that_are_no_examples_are_refused(tmp_path):
    path = write_records(tmp_path / "other", [b"not an example"])
    with pytest.raises(InputError, match="not a TFRecord file of examples"):
        TFRecords(path)


def test_a_record_without_a_feature_is_named(tmp_path):
    records = [example(token_ids=[1], labels=[1]), example(token_ids=[1])]
    path = write_records(tmp_path / "own", records)
    with pytest.raises(InputError, match=f"{path}: record 2, .*labels") as error:
        list(rows_of(TFRecords(path)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "At least one TFRecord file is read. Received: paths=[]"),
        ("nowhere.tfrecord", "nowhere.tfrecord: there is no such file. Received: "),
    ],
)
def test_paths_that_lead_nowhere_are_named(paths, message):
    with pytest.raises(InputError) as error:
        TFRecords(paths)
    assert str(error.value).startswith(message)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    write_tfrecord(paths[0], KINDS["classes"])
    write_tfrecord(paths[1], KINDS["inputs"])
    with pytest.raises(InputError, match=f"hold the same features.*Received: {paths[1]} with"):
        TFRecords(paths)


def test_records_without_token_ids_are_refused(tmp_path):
    path = write_records(tmp_path / "images", [example(pixels=[1, 2])])
    with pytest.raises(InputError, match=r"a record has 'token_ids'.*Received: \['pixels'\]"):
        TFRecords(path)


def test_a_schema_of_a_later_version_is_refused(tmp_path):
    content = json.dumps({"version": 99, "features": {}}).encode()
    features = {HEADER: tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))}
    record = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    with pytest.raises(InputError, match=r"version 1 are understood\. Received: version=99"):
        TFRecords(write_records(tmp_path / "later", [record]))
