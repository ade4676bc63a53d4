"""Rows, datasets and TFRecords, as what `length_batches` takes, with labels that a loss takes."""

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_albert.data.batching import check_batch_size, length_batches
from keras_albert.data.in_graph import as_written, input_errors
from keras_albert.errors import InputError
from keras_albert.tasks.rows import Rows, as_rows
from keras_albert.tasks.settings import TextSettings

_AT_ONCE = 4096  # texts that are tokenized together
_WINDOW = 100  # batches whose rows are ordered by length together, as `length_batches` does


@dataclass(frozen=True)
class Encoded:
    """Data to learn from, or to measure on.

    Attributes:
        data: What `length_batches` takes.
        preprocess: Likewise; None where the data are token ids already.
        rows: How many there are (of windows, where texts are cut into such).
        place: Where a row came from, for messages.
        sha256: Of texts, labels and weights; None where that would need reading everything.
        in_memory: Whether all texts are.
        segments: Texts of an input, where that is known.
        labels: The rows' labels as numbers, where they are in memory.
        has_shares: Whether a text's weight is shared by several rows.
    """

    data: Any
    preprocess: Any
    rows: int
    place: Callable[[int], str]
    sha256: str | None = None
    in_memory: bool = True
    segments: int | None = None
    labels: np.ndarray | None = None
    has_shares: bool = False

    def batches(self, batch_size: int, **options: Any) -> Any:
        """See `length_batches`; of known cardinality."""
        import tensorflow as tf

        batches = length_batches(self.data, batch_size, preprocess=self.preprocess, **options)
        steps = -(-self.rows // batch_size)
        return batches.apply(tf.data.experimental.assert_cardinality(steps))


def encoded(
    given: tuple[Any, ...],
    targets: Any,
    preprocess: Any,
    settings: TextSettings,
    *,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
) -> Encoded:
    """Data as they are given to `fit`, ready for batches.

    Args:
        given: (texts, labels, sample_weight), or a dataset or `TFRecords` and two None.
        targets: The kind of labels.
        preprocess: The task's `Preprocessor`.
        settings: The task's settings.
        class_weight: A weight by class.
        label_smoothing: As the loss has it.

    Raises:
        InputError: A label or a weight is none, or a text is too long to be taken.
    """
    texts, labels, weights = given
    if brings_labels(texts):
        if labels is not None or weights is not None:
            raise InputError("A dataset brings its labels and weights. Received: labels beside it")
        if class_weight is not None:
            raise InputError(
                "In a dataset, weights of classes are sample weights, a third part of its "
                "elements. Received: class_weight"
            )
        return _of_dataset(texts, _encoder(targets, label_smoothing), preprocess)
    rows = as_rows(texts, labels, weights)
    check_segments(rows, settings)
    numbers = targets.encode(rows)
    found = rows.weights
    if class_weight is not None:
        by_class = targets.class_weights(class_weight, numbers)
        found = by_class if found is None else found * by_class
    for_loss = {"logits": targets.for_loss(numbers, label_smoothing)}
    sha256 = _sha256(rows, for_loss["logits"], found)
    if settings.long_texts == "windows" and len(rows.segments) == 1:
        inputs, owners = windowed(rows, preprocess, settings)
        # A text weighs what it would in one piece, and the mean weight of the windows is 1.
        shares = len(owners) / len(rows) / np.bincount(owners)[owners]
        found = (shares if found is None else shares * found[owners]).astype("float32")
        place = functools.partial(_place_of_window, rows, owners)
        return Encoded(
            (inputs, {"logits": for_loss["logits"][owners]}, found),
            None,
            len(owners),
            place,
            sha256,
            segments=1,
            labels=numbers,
            has_shares=True,
        )
    data: Any = (rows.inputs, for_loss) if found is None else (rows.inputs, for_loss, found)
    segments = len(rows.segments)
    return Encoded(
        data, preprocess, len(rows), rows.place, sha256, segments=segments, labels=numbers
    )


def _place_of_window(rows: Rows, owners: np.ndarray, window: int) -> str:
    return rows.place(int(owners[window]))


def brings_labels(data: Any) -> bool:
    """Whether it is a dataset or `TFRecords`, and not texts."""
    import tensorflow as tf

    return isinstance(data, tf.data.Dataset) or hasattr(data, "windows")


def windowed(rows: Rows, preprocess: Any, settings: TextSettings) -> tuple[Any, np.ndarray]:
    """Overlapping windows of single texts: ragged token ids, and for each the row it is of."""
    import tensorflow as tf

    inputs, owners = [], []
    for start in range(0, len(rows), _AT_ONCE):
        texts = rows.segments[0][start : start + _AT_ONCE]
        found, index = preprocess.windows(texts, stride_of(settings))
        inputs.append(found)
        owners.append(start + index.numpy())
    joined = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *inputs)
    return joined, np.concatenate(owners)


def stride_of(settings: TextSettings) -> int:
    """Tokens between the beginnings of windows: by default half of a window's."""
    return settings.stride or max(1, (settings.max_length - 2) // 2)


def check_segments(rows: Rows, settings: TextSettings) -> None:
    """Raises InputError for rows of other segments than the task has."""
    wanted, found = settings.segments, len(rows.segments)
    if wanted is not None and found != wanted:
        raise InputError(
            f"This task's inputs have {wanted} text{'s' * (wanted > 1)} each. Received: {found}"
        )
    if found > 1 and settings.long_texts == "windows":
        raise InputError(
            f"Windows are cut from single texts. Received: {found} segments, long_texts='windows'"
        )


def _encoder(targets: Any, label_smoothing: float) -> Callable[..., Any]:
    """Encodes the labels of a dataset's elements, in a graph."""

    @as_written
    def encode(inputs: Any, *others: Any) -> Any:
        import tensorflow as tf

        if not others:
            raise InputError(
                "A dataset to learn from has (texts, labels). Received: no labels in its elements"
            )
        labels = others[0]
        if isinstance(labels, dict):
            if len(labels) != 1:
                raise InputError(f"A text has one label. Received: labels={sorted(labels)}")
            (labels,) = labels.values()
        labels = targets.encode_tensor(labels)
        if label_smoothing and labels.dtype == tf.int32:
            labels = tf.one_hot(labels, targets.outputs)
        return (inputs, {"logits": labels}, *others[1:])

    return encode


def _of_dataset(data: Any, encode: Callable[..., Any], preprocess: Any) -> Encoded:
    import tensorflow as tf

    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise InputError("A dataset to learn from ends. Received: one that repeats for ever")
        spec = data.element_spec
        inputs = spec[0] if isinstance(spec, tuple) else spec
        leaves = tf.nest.flatten(inputs)
        has_texts = leaves[0].dtype == tf.string
        is_row = leaves[0].shape.rank == (0 if has_texts else 1)
        encoded = data.map(encode, num_parallel_calls=tf.data.AUTOTUNE)
        return Encoded(
            encoded,
            preprocess if has_texts else None,
            _count(data, is_row),
            lambda row: f"row {row} of the epoch",
            in_memory=False,
            segments=len(leaves) if has_texts else None,
        )
    return Encoded(
        _EncodedSource(data, encode),
        None,
        data.rows,
        lambda row: f"record {row} of the epoch",
        in_memory=False,
    )


def _count(data: Any, is_row: bool) -> int:
    """The rows of a dataset; reads it once, where it does not say."""
    import tensorflow as tf

    if is_row and data.cardinality() >= 0:
        return int(data.cardinality())
    with input_errors():
        if is_row:
            return int(data.reduce(np.int64(0), lambda count, *_: count + 1))

        def rows(count: Any, *element: Any) -> Any:
            first = tf.nest.flatten(element)[0]
            ragged = isinstance(first, tf.RaggedTensor)
            return count + (first.nrows() if ragged else tf.shape(first, tf.int64)[0])

        return int(data.reduce(np.int64(0), as_written(rows)))


class _EncodedSource:
    """A source of `length_batches` whose labels are encoded."""

    def __init__(self, source: Any, encode: Callable[..., Any]):
        self._source, self._encode = source, encode
        self.rows = source.rows

    def windows(self, size: int, seed: int | None, first_epoch: int) -> Any:
        """See `sources.Source`."""

        @as_written
        def encode(indices: Any, chunk: Any, seed: Any) -> Any:
            return indices, self._encode(*chunk), seed

        return self._source.windows(size, seed, first_epoch).map(encode)


def _sha256(rows: Rows, labels: np.ndarray, weights: np.ndarray | None) -> str:
    """Of everything that is learnt from: each text with its length, labels, weights."""
    digest = hashlib.sha256()
    for segment in rows.segments:
        for text in segment:
            data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            digest.update(len(data).to_bytes(8, "little") + data)
    digest.update(np.ascontiguousarray(labels).tobytes())
    if weights is not None:
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()


def chunks_of(texts: Any, batch_size: int) -> Iterator[Rows]:
    """Rows in memory, or from any iterable of texts: those that are ordered by length together."""
    check_batch_size(batch_size)
    size = _WINDOW * batch_size
    if hasattr(texts, "__len__") or isinstance(texts, tuple):
        rows = as_rows(texts)
        for start in range(0, len(rows), size):
            yield rows.part(slice(start, start + size))
        return
    waiting: list[Any] = []
    for text in texts:
        waiting.append(text)
        if len(waiting) == size:
            yield as_rows(waiting)
            waiting = []
    if waiting:
        yield as_rows(waiting)
