"""What workers exchange of a gradient."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from keras_albert.optimizers import replicated

WORDS, SEGMENTS = 30_522, 2  # entries of BERT's tables


@pytest.mark.parametrize(
    ("entries", "replicas", "are_workers", "by_rows"),
    [
        (WORDS, 2, True, True),
        (WORDS, 14, True, True),
        (WORDS, 15, True, False),  # 15 times 4,096 rows are more than the table, there and back
        (SEGMENTS, 2, True, False),
        (WORDS, 2, False, False),
    ],
)
def test_workers_exchange_the_rows_of_a_table_where_these_are_less_than_the_table(
    monkeypatch, entries, replicas, are_workers, by_rows
):
    monkeypatch.setattr(replicated, "has_workers", lambda strategy: are_workers)
    strategy = SimpleNamespace(num_replicas_in_sync=replicas)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    table = tf.Variable(tf.zeros([entries, 1]))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.gather(table, [1, 0, 1]))
    gradient = tape.gradient(total, table)
    gradients = [tf.convert_to_tensor(gradient), gradient]
    assert replicated.cheaper_in_rows(gradients, [table, table]) == ({1} if by_rows else set())
