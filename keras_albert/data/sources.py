"""Where rows come from: memory, a dataset, files; in their order or shuffled, chunk by chunk.

A shuffled source has another order every epoch, and the same orders again for the same seed. All
of an epoch's randomness is drawn from one number, so that an iterator that was saved and restored
goes on where it was.
"""

from collections.abc import Callable
from typing import Any, Protocol

from keras_albert.data.in_graph import as_written, input_errors
from keras_albert.data.rows import as_chunk, as_tensors, row_count, take

Preprocess = Callable[[Any], Any]


class Source(Protocol):
    """Anything that `length_batches` takes rows from.

    Attributes:
        rows: How many there are, or None where only reading everything would tell.
    """

    @property
    def rows(self) -> int | None: ...

    def windows(self, size: int, seed: int | None, first_epoch: int) -> Any:
        """All rows in chunks of `size`, the last one smaller.

        Args:
            size: Rows of a chunk.
            seed: Of the shuffling; None keeps the order.
            first_epoch: The epoch, from 0, whose order the first iteration has.

        Returns:
            `tf.data.Dataset` of (indices int64 [rows], chunk, seed int64 [2]): where each row
            stands in the source (in this epoch's order, if that cannot be told), and a number for
            what else is random of this chunk.
        """
        ...


def as_source(data: Any, preprocess: Preprocess | None = None, cache: bool = False) -> Source:
    """The source for what a user has; see `length_batches`."""
    import tensorflow as tf

    preprocess = getattr(preprocess, "ragged", preprocess)
    if isinstance(data, tf.data.Dataset):
        source: Source = DatasetSource(data, preprocess)
    elif hasattr(data, "windows"):
        source = data
    else:
        source = ArraySource(data, preprocess)
        if preprocess is None:
            return source
    return ArraySource(_load(source), None) if cache else source


class ArraySource:
    """Rows in memory, shuffled altogether.

    Args:
        data: Inputs, or (inputs, labels[, sample_weight]): lists, arrays or tensors.
        preprocess: Makes model inputs of a chunk of the inputs, in TensorFlow's graph.

    Raises:
        InputError: if the parts do not have equally many rows, or none.
    """

    def __init__(self, data: Any, preprocess: Preprocess | None):
        self.chunk = as_tensors(as_chunk(data))
        self.preprocess = preprocess
        self.rows: int = row_count(self.chunk)

    def windows(self, size: int, seed: int | None, first_epoch: int) -> Any:
        import tensorflow as tf

        starts = tf.data.Dataset.range(0, self.rows, size)
        indices = tf.range(self.rows, dtype=tf.int64)

        @as_written
        def epoch(number: Any) -> Any:
            order = tf.random.experimental.stateless_shuffle(indices, [number, 0])
            return starts.map(lambda start: (order[start : start + size], [number, start + 1]))

        @as_written
        def chunk(indices: Any, seed: Any) -> Any:
            return indices, take(self.chunk, indices), seed

        if seed is None:
            orders = starts.map(lambda start: (indices[start : start + size], [start, start]))
        else:
            orders = epoch_numbers(seed, first_epoch).take(1).flat_map(epoch)
        windows = orders.map(chunk, num_parallel_calls=tf.data.AUTOTUNE)
        if self.preprocess is None:
            return windows
        return windows.map(
            lambda indices, chunk, seed: (indices, _inputs_by(self.preprocess, chunk), seed),
            num_parallel_calls=tf.data.AUTOTUNE,
        )


class DatasetSource:
    """A `tf.data.Dataset` of chunks, or of single rows: token ids of rank 1, or single texts.

    Rows are shuffled within a window alone: shuffle the dataset itself where they are small, which
    is before texts are batched.

    Args:
        dataset: Its elements are as `rows` describes chunks.
        preprocess: As of `ArraySource`.
    """

    rows: int | None = None

    def __init__(self, dataset: Any, preprocess: Preprocess | None):
        self._dataset = dataset
        self._preprocess = preprocess

    def windows(self, size: int, seed: int | None, first_epoch: int) -> Any:
        import tensorflow as tf

        rows = self._dataset.map(
            as_written(lambda *element: as_chunk(element if element[1:] else element[0]))
        )
        inputs = rows.element_spec[0]
        inputs = inputs.get("token_ids") if isinstance(inputs, dict) else inputs
        first = tf.nest.flatten(inputs)[0]
        is_row = first.shape.rank == (0 if first.dtype == tf.string else 1)
        chunks = rows.ragged_batch(size) if is_row else rows.rebatch(size)
        if self._preprocess is not None:
            chunks = chunks.map(
                lambda *chunk: _inputs_by(self._preprocess, chunk),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        return numbered(chunks, size, epoch_numbers(seed or 0, first_epoch))


def epoch_numbers(seed: int, first_epoch: int = 0) -> Any:
    """A dataset of random numbers: others in every iteration, and the same for the same seed."""
    import tensorflow as tf

    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    for _ in range(first_epoch):
        next(iter(numbers))
    return numbers


def numbered(chunks: Any, size: int, numbers: Any) -> Any:
    """Chunks of `size` rows with the indices and the seeds that `Source.windows` gives."""
    import tensorflow as tf

    @as_written
    def with_indices(index: Any, element: Any) -> Any:
        chunk, number = element
        rows = _rows(chunk)
        return index * size + tf.range(rows), chunk, [number, index]

    return tf.data.Dataset.zip(chunks, numbers).enumerate().map(with_indices)


def _rows(chunk: Any) -> Any:
    import tensorflow as tf

    first = tf.nest.flatten(chunk)[0]
    if isinstance(first, tf.RaggedTensor):
        return first.nrows(out_type=tf.int64)
    return tf.shape(first, out_type=tf.int64)[0]


def _inputs_by(preprocess: Preprocess, chunk: tuple[Any, ...]) -> tuple[Any, ...]:
    return preprocess(chunk[0]), *chunk[1:]


def _load(source: Source) -> Any:
    """All of a source as one chunk in memory, prepared once."""
    import tensorflow as tf

    size = 4096  # rows prepared together
    with input_errors():
        chunks = [chunk for _, chunk, _ in source.windows(size, None, 0)]
    return tf.nest.map_structure(lambda *leaves: tf.concat(leaves, axis=0), *chunks)
