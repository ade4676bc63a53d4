import collections
import gzip
import json

import numpy as np
import pytest
import tensorflow as tf

from keras_albert.errors import InputError
from keras_albert.tokenization import join_segments, pack, windows
from tests.keras_albert.tokenization.rows import KINDS, tokenizer_of
from tests.paths import REFERENCE, needs_shared

NAMES = {"token_ids": "input_ids", "segment_ids": "segment_ids", "padding_mask": "input_mask"}


def packed(first, second=None, **arguments):
    segments = [part for part in (first, second) if part is not None]
    rows = (tf.ragged.constant(part, tf.int32, ragged_rank=1) for part in segments)
    return pack(*rows, cls_id=1, sep_id=2, pad_id=9, **arguments)


@needs_shared
@KINDS
def test_features_are_googles_at_every_length(kind):
    tokenizer = tokenizer_of(kind)
    batches = collections.defaultdict(list)
    with gzip.open(REFERENCE / "classifier_features" / f"bert_{kind}.jsonl.gz", "rt") as file:
        for row in map(json.loads, file):
            if row["task"] != "padding_example":
                batches[row["max_seq_length"], row["text_b"] is None].append(row)
    assert len(batches) > 10
    for (max_length, single), rows in batches.items():
        ours = pack(
            tokenizer.token_ids([row["text_a"] for row in rows]),
            *([] if single else [tokenizer.token_ids([row["text_b"] for row in rows])]),
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            pad_id=tokenizer.pad_id,
            max_length=max_length,
        )
        for name, google in NAMES.items():
            expected = np.array([row[google] for row in rows])
            length = ours[name].shape[1]
            np.testing.assert_array_equal(ours[name], expected[:, :length])
            assert not expected[:, length:].any()


def test_rows_are_padded_to_the_longest_of_the_batch():
    batch = packed([[5], [5, 6, 7]], max_length=128)
    np.testing.assert_array_equal(batch["token_ids"], [[1, 5, 2, 9, 9], [1, 5, 6, 7, 2]])
    np.testing.assert_array_equal(batch["padding_mask"], [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])


@pytest.mark.parametrize(("multiple_of", "length"), [(1, 5), (4, 8), (5, 5), (8, 8)])
def test_the_length_is_rounded_up_to_a_multiple(multiple_of, length):
    batch = packed([[5], [5, 6, 7]], max_length=128, multiple_of=multiple_of)
    assert {value.shape[1] for value in batch.values()} == {length}


def test_the_longer_part_is_cut_first_and_of_equal_parts_the_second():
    batch = packed([[5] * 9, [5, 5, 5], [5] * 2], [[7], [7, 7, 7], [7] * 9], max_length=8)
    np.testing.assert_array_equal(
        batch["token_ids"],
        [[1, 5, 5, 5, 5, 2, 7, 2], [1, 5, 5, 5, 2, 7, 7, 2], [1, 5, 5, 2, 7, 7, 7, 2]],
    )
    np.testing.assert_array_equal(batch["segment_ids"][0], [0, 0, 0, 0, 0, 0, 1, 1])


def test_an_empty_second_part_leaves_one_separator():
    batch = packed([[5] * 9, [5]], [[], [7]], max_length=6)
    np.testing.assert_array_equal(batch["token_ids"], [[1, 5, 5, 5, 5, 2], [1, 5, 2, 7, 2, 9]])


def test_packing_works_inside_of_a_graph():
    graph = tf.function(lambda rows: pack(rows, cls_id=1, sep_id=2, pad_id=0, max_length=4))
    batch = graph(tf.ragged.constant([[5, 6, 7]], tf.int32))
    np.testing.assert_array_equal(batch["token_ids"], [[1, 5, 6, 2]])


def shortened(lengths, room):
    """Google's loop: the longest loses a token, of equally long ones the last."""
    lengths = list(lengths)
    while sum(lengths) > room:
        longest = max(range(len(lengths)), key=lambda index: (lengths[index], index))
        lengths[longest] -= 1
    return lengths


@pytest.mark.parametrize("segments", [1, 2, 3, 4])
def test_any_number_of_segments_is_cut_as_by_a_loop_over_tokens(segments):
    lengths = np.random.default_rng(3).integers(0, 12, (300, segments))
    for max_length in (segments + 1, 9, 16, 64):
        rows = join_segments(
            *(
                tf.RaggedTensor.from_row_lengths(
                    tf.fill([column.sum()], 10 + index), tf.constant(column)
                )
                for index, column in enumerate(lengths.T)
            ),
            cls_id=1,
            sep_id=2,
            max_length=max_length,
            num_segments=segments,
        )
        for row, tokens, numbers in zip(
            lengths, rows["token_ids"].to_list(), rows["segment_ids"].to_list(), strict=True
        ):
            room = max_length - 2 - sum(int(size > 0) for size in row[1:])
            kept = shortened(row, room)
            expected, expected_numbers = [1], [0]
            for index, size in enumerate(kept):
                part = [10 + index] * size + ([2] if size or index == 0 else [])
                expected += part
                expected_numbers += [index] * len(part)
            assert tokens == expected
            assert numbers == expected_numbers


def test_windows_begin_a_stride_apart_and_the_last_ends_with_the_row():
    rows = tf.ragged.constant([[1, 2, 3, 4, 5, 6, 7], [], [1, 2, 3]], tf.int32, ragged_rank=1)
    assert windows(rows, length=4, stride=2).to_list() == [
        [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7]],
        [[]],
        [[1, 2, 3]],
    ]
    assert windows(rows, length=3, stride=99).to_list()[0] == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(("length", "stride"), [(0, 1), (4, 0)])
def test_windows_are_positive(length, stride):
    with pytest.raises(InputError, match=f"length={length}, stride={stride}"):
        windows(tf.ragged.constant([[1]]), length=length, stride=stride)
