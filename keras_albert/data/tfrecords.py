"""TFRecord files of ready inputs: tokenized once, taken by `fit` and `predict` as they are.

They need no tensorflow-text. A file tells its own schema in a first record of its own; Google's
files, fixed in length, are read too and lose their padding.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_albert.data import tfrecord_schema
from keras_albert.data.in_graph import as_written, input_errors, one_line
from keras_albert.data.rows import prepare
from keras_albert.data.sources import Preprocess, as_source, epoch_numbers, numbered
from keras_albert.data.tfrecord_files import (
    compression,
    describe,
    our_names,
    translated,
)
from keras_albert.data.tfrecord_schema import Schema, flatten, unflatten
from keras_albert.errors import InputError
from keras_albert.files import replaced_file

_FIRST_ROWS = 1000  # from which the writer learns what differs in length
_CHUNK = 4096  # rows that are read together where it does not matter
_PARALLEL_FILES = 8
_FILE = 2**40  # more than the records of any file


def write_tfrecord(
    path: str | Path,
    rows: Iterable[Any],
    *,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Writes rows of model inputs without padding; the file appears when it is whole, or not.

    Args:
        path: Where; one that ends in `.gz` is compressed.
        rows: Each a dict of inputs, or a tuple (inputs, labels[, sample_weight]), of numbers,
            strings, lists or arrays: `token_ids` [length], or [choices, length], and others with
            one value a token; `masked_positions` with any number; further values, such as labels
            of several classes, as many in every row. See `rows_of`.
        force: Replace a file that exists.
        progress: Called with the number of rows written so far.

    Returns:
        The number of rows.

    Raises:
        FileExistsError: if there is a file, without `force`.
        InputError: if there are no rows, or they do not agree.
        OSError: if the file cannot be written.
    """
    import tensorflow as tf

    path = Path(path)
    if path.exists() and not force:
        raise FileExistsError(f"{path}: will not be replaced (force, --force)")
    iterator = iter(flatten(row) for row in rows)
    first = list(itertools.islice(iterator, _FIRST_ROWS))
    schema = tfrecord_schema.infer(first)
    compression = "GZIP" if path.suffix == ".gz" else ""
    options = tf.io.TFRecordOptions(compression)
    number = 0
    try:
        with replaced_file(path) as partial, tf.io.TFRecordWriter(str(partial), options) as writer:
            writer.write(tfrecord_schema.header(schema))
            for number, row in enumerate(itertools.chain(first, iterator), start=1):
                writer.write(tfrecord_schema.encode(schema, row, number))
                if progress:
                    progress(number)
    except tf.errors.OpError as error:
        raise OSError(f"{path}: cannot be written ({one_line(error)})") from error
    return number


def rows_of(data: Any, preprocess: Preprocess | None = None) -> Iterator[Any]:
    """The rows of what `length_batches` takes, one by one and in order, for `write_tfrecord`.

    Raises:
        InputError: as `length_batches`.
    """
    with input_errors():
        for _, chunk, _ in as_source(data, preprocess).windows(_CHUNK, None, 0):
            flat = flatten(prepare(chunk))
            for values in zip(*map(_rows_of_tensor, flat.values()), strict=True):
                yield unflatten(dict(zip(flat, values, strict=True)))


def read_tfrecord(paths: str | Path | Sequence[str | Path], rows: int = _CHUNK) -> Any:
    """A `tf.data.Dataset` of the rows in order, many in each element, ragged.

    For training use `TFRecords`, which also shuffles.

    Args:
        paths: As of `TFRecords`.
        rows: Of an element.

    Returns:
        Elements are inputs or tuples (inputs, labels[, sample_weight]).

    Raises:
        InputError: as `TFRecords`.
    """
    windows = TFRecords(paths).windows(rows, None, 0)
    return windows.map(lambda _, chunk, __: chunk if chunk[1:] else chunk[0])


class TFRecords:
    """Files of ready inputs, as data for `length_batches`, `fit` and `predict`.

    They are written by `write_tfrecord`, or by Google's `run_classifier.py`, `run_squad.py` and
    `create_pretraining_data.py`, whose features come under our names: padding goes by their
    masks, an example that only fills a batch has weight 0, masked tokens and the relation of the
    sentences are labels by output, answers are labels `start_logits` and `end_logits`. Their
    files of multiple choice do not tell the number of choices.

    Args:
        paths: One or several files; compressed ones are recognised.
        shuffle_rows: Records that are held and shuffled together; files are shuffled and mixed
            before.

    Attributes:
        schema: The features, as they are stored.
        ignored: Names of stored features that are nothing to our models.

    Raises:
        InputError: if a file is missing, empty, not a TFRecord file, or unlike the first one.
    """

    def __init__(
        self, paths: str | Path | Sequence[str | Path], *, shuffle_rows: int = 100_000
    ) -> None:
        self.paths = [str(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        if not self.paths:
            raise InputError("At least one TFRecord file is read. Received: paths=[]")
        self._shuffle_rows = shuffle_rows
        found = [describe(path) for path in self.paths]
        self._has_header = found[0][0]
        self.schema: Schema = found[0][1]
        for path, other in zip(self.paths, found, strict=True):
            if other != found[0]:
                raise InputError(
                    f"Files that are read together hold the same features, {sorted(self.schema)}. "
                    f"Received: {path} with {sorted(other[1])}"
                )
        self._names = {} if self._has_header else our_names(self.schema)
        if not self._has_header and "token_ids" not in self._names.values():
            raise InputError(
                f"{self.paths[0]}: a record has 'token_ids', or 'input_ids' as Google's. "
                f"Received: {sorted(self.schema)}"
            )
        self.ignored = tuple(sorted(set(self.schema).difference(self._names or self.schema)))

    @cached_property
    def rows(self) -> int:
        """How many rows all files hold; reads, and so verifies, each of them once.

        Raises:
            InputError: if a file is damaged; names the first bad record.
        """
        return sum(self._count(path) for path in self.paths)

    def windows(self, size: int, seed: int | None, first_epoch: int) -> Any:
        """See `sources.Source`."""
        import tensorflow as tf

        files = tf.range(len(self.paths), dtype=tf.int64)

        @as_written
        def epoch(number: Any) -> Any:
            order = tf.random.experimental.stateless_shuffle(files, [number, 0])
            mixed = tf.data.Dataset.from_tensor_slices(order).interleave(
                self._records, cycle_length=min(_PARALLEL_FILES, len(self.paths))
            )
            # Not Dataset.shuffle, whose position an iterator made within a function cannot save.
            return mixed.batch(self._shuffle_rows).map(
                lambda *rows: _shuffled(rows, number, rows[1][0])
            )

        if seed is None:
            records = (
                tf.data.Dataset.from_tensor_slices(files)
                .flat_map(as_written(self._records))
                .batch(size)
            )
        else:
            records = epoch_numbers(seed, first_epoch).take(1).flat_map(epoch).rebatch(size)
        chunks = records.map(as_written(self._parsed), num_parallel_calls=tf.data.AUTOTUNE)
        return numbered(chunks, size, epoch_numbers(seed or 0, first_epoch))

    def _records(self, file: Any) -> Any:
        """The serialised rows of one file and their places: record + _FILE * file, from 1."""
        import tensorflow as tf

        compressions = tf.constant([compression(path) for path in self.paths])
        records = tf.data.TFRecordDataset(tf.constant(self.paths)[file], compressions[file])
        places = tf.data.Dataset.range(file * _FILE + 1, (file + 1) * _FILE)
        return tf.data.Dataset.zip(records.skip(int(self._has_header)), places)

    def _parsed(self, serialised: Any, places: Any) -> tuple[Any, ...]:
        import tensorflow as tf

        paths = tf.gather(tf.constant(self.paths), places // _FILE)
        numbers = tf.strings.as_string(places % _FILE)
        names = tf.strings.join([paths, numbers], separator=": record ")
        schema = {name: self.schema[name] for name in self._names or self.schema}
        parsed = tf.io.parse_example(
            serialised, tfrecord_schema.parsing(schema), example_names=names
        )
        flat = {
            name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value
            for name, value in parsed.items()
        }
        return unflatten(flat if self._has_header else translated(flat, self._names))

    def _count(self, path: str) -> int:
        import tensorflow as tf

        records = tf.data.TFRecordDataset(path, compression(path))
        size = 4096
        try:
            count = records.batch(size).reduce(
                np.int64(0), lambda total, batch: total + tf.size(batch, tf.int64)
            )
            return int(count) - self._has_header
        except tf.errors.OpError as error:
            damage = one_line(error)
        number = 0
        with contextlib.suppress(tf.errors.OpError):  # which was caught before
            for _ in records:
                number += 1
        raise InputError(
            f"{path}: a TFRecord file is whole. "
            f"Received: record {number + 1 - self._has_header} is damaged ({damage})"
        )


def _shuffled(rows: tuple[Any, ...], *seed: Any) -> tuple[Any, ...]:
    import tensorflow as tf

    order = tf.random.experimental.stateless_shuffle(tf.range(tf.size(rows[0])), seed)
    return tuple(tf.gather(values, order) for values in rows)


def _rows_of_tensor(tensor: Any) -> Iterator[Any]:
    import tensorflow as tf

    if not isinstance(tensor, tf.RaggedTensor):
        return iter(tensor.numpy())
    if tensor.ragged_rank == 1:
        return iter(np.split(tensor.flat_values.numpy(), tensor.row_splits.numpy()[1:-1]))
    return (list(_rows_of_tensor(row)) for row in tensor)
