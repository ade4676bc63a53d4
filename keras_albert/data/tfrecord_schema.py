"""What the records of a file hold: names, types and shapes of a row's features.

A row is inputs, or a tuple (inputs, labels[, sample_weight]); its features have flat names:
`token_ids`, `labels` or `labels/OUTPUT`, `sample_weight` or `sample_weight/OUTPUT`.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_albert.data.padding import PREDICTIONS
from keras_albert.data.rows import PARTS, PER_TOKEN, as_chunk
from keras_albert.errors import InputError

# The feature of a file's first record that holds the schema; its value is the schema's version.
HEADER = "keras_albert_tfrecord"
VERSION = 1
ROW_LENGTHS = "/row_lengths"  # of a feature of rank 2, beside its values
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Feature:
    """One feature of every row.

    Args:
        dtype: "int32", "float32" or "string".
        rank: 0 for a single value, 1 for several, 2 for multiple choice [choices, (length)].
        size: How many values, where they are always as many; None where rows differ.
    """

    dtype: str
    rank: int
    size: int | None = None


Schema = Mapping[str, Feature]


def flatten(row: Any) -> dict[str, Any]:
    """Flat names and values of a row or of a chunk."""
    flat: dict[str, Any] = {}
    for part, values in zip(PARTS, as_chunk(row), strict=False):
        if part == "inputs":
            flat |= values if isinstance(values, Mapping) else {"token_ids": values}
        elif isinstance(values, Mapping):
            flat |= {f"{part}/{name}": value for name, value in values.items()}
        else:
            flat[part] = values
    return flat


def unflatten(flat: Mapping[str, Any]) -> tuple[Any, ...]:
    """The chunk that `flatten` made flat."""
    parts: dict[str, Any] = {"inputs": {}}
    for name, value in flat.items():
        part, _, output = name.partition("/")
        if part not in PARTS:
            parts["inputs"][name] = value
        elif output:
            parts.setdefault(part, {})[output] = value
        else:
            parts[part] = value
    if "labels" not in parts:
        parts.pop("sample_weight", None)  # there is nothing to weigh
    return tuple(parts[part] for part in PARTS if part in parts)


def infer(rows: Sequence[Mapping[str, Any]]) -> Schema:
    """The schema of flat rows, of which there should be enough to tell sizes that vary.

    Raises:
        InputError: if rows have different features, or one that is not understood.
    """
    if not rows:
        raise InputError("A TFRecord file holds at least one row. Received: no rows")
    if "token_ids" not in rows[0]:
        raise InputError(f"A row has 'token_ids'. Received: {sorted(rows[0])}")
    if "padding_mask" in rows[0]:
        raise InputError(
            "Rows are written without padding, and so without a padding_mask. "
            f"Received: {sorted(rows[0])}"
        )
    for number, row in enumerate(rows, start=1):
        check_names(rows[0], row, number)
    return {name: _infer(name, rows) for name in rows[0]}


def check_names(names: Mapping[str, Any], row: Mapping[str, Any], number: int) -> None:
    """Raises an InputError where a row does not have the features of the others."""
    if row.keys() != names.keys():
        raise InputError(
            f"All rows have the same features, {sorted(names)}. "
            f"Received: row {number} with {sorted(row)}"
        )


def encode(schema: Schema, row: Mapping[str, Any], number: int) -> bytes:
    """A flat row as a serialised `tf.train.Example`.

    Raises:
        InputError: if a value does not agree with the schema; `number` is the row's in the message.
    """
    features: dict[str, Any] = {}
    check_names(schema, row, number)
    for name, feature in schema.items():
        value = row[name]
        if _rank(value) != feature.rank:
            raise _wrong(name, number, f"has rank {feature.rank}", f"rank {_rank(value)}")
        if feature.rank == 2:
            features[name + ROW_LENGTHS] = _feature("int32", [len(each) for each in value])
            value = list(itertools.chain.from_iterable(value))
        values = np.ravel(value)
        _check_count(name, feature, values.size, _count(row["token_ids"]), number)
        if values.size:
            _check_type(name, feature, values, number)
        features[name] = _feature(feature.dtype, values.tolist())
    return _example(features)


def header(schema: Schema) -> bytes:
    """The first record of a file: its schema."""
    content = {"version": VERSION, "features": {name: asdict(f) for name, f in schema.items()}}
    return _example({HEADER: _feature("string", [json.dumps(content)])})


def read_header(example: Any) -> Schema | None:
    """The schema in a parsed first record; None if it is a row and not one of ours.

    Raises:
        InputError: if it is of a newer version.
    """
    if HEADER not in example.features.feature:
        return None
    content = json.loads(example.features.feature[HEADER].bytes_list.value[0])
    if content["version"] != VERSION:
        raise InputError(
            f"TFRecord files of version {VERSION} are understood. "
            f"Received: version={content['version']}"
        )
    return {name: Feature(**feature) for name, feature in content["features"].items()}


def parsing(schema: Schema) -> dict[str, Any]:
    """What `tf.io.parse_example` takes."""
    import tensorflow as tf

    stored = {"int32": tf.int64, "float32": tf.float32, "string": tf.string}
    features: dict[str, Any] = {}
    for name, feature in schema.items():
        dtype = stored[feature.dtype]
        if feature.rank == 0:
            features[name] = tf.io.FixedLenFeature([], dtype)
        elif feature.size is not None and feature.rank == 1:
            features[name] = tf.io.FixedLenFeature([feature.size], dtype)
        else:
            inner = [tf.io.RaggedFeature.RowLengths(name + ROW_LENGTHS)] * (feature.rank - 1)
            features[name] = tf.io.RaggedFeature(dtype, name, inner, row_splits_dtype=tf.int64)
    return features


def varies(name: str) -> bool:
    """Whether it is known of a feature of rank 1 that rows differ in length."""
    return name in (*PER_TOKEN, "padding_mask") or _is_prediction(name)


def _is_prediction(name: str) -> bool:
    return name.rpartition("/")[2] in PREDICTIONS


def _check_count(name: str, feature: Feature, count: int, tokens: int, number: int) -> None:
    if name == "token_ids" and not tokens:
        raise _wrong(name, number, "has a value", "0")
    if feature.rank == 0 or _is_prediction(name):
        return
    if feature.size is None and count != tokens:
        raise _wrong(name, number, "has one value a token", f"{count}, not {tokens}")
    if feature.size not in (None, count):
        raise _wrong(name, number, f"has {feature.size} values", str(count))


def _check_type(name: str, feature: Feature, values: Any, number: int) -> None:
    dtype = _dtype(values)
    if dtype != feature.dtype and (dtype, feature.dtype) != ("int32", "float32"):
        raise _wrong(name, number, f"is {feature.dtype}", str(values.dtype))
    if dtype == "int32" and not _INT32.min <= values.min() <= values.max() <= _INT32.max:
        raise _wrong(name, number, "has 32 bits", f"{values.min()} to {values.max()}")


def _infer(name: str, rows: Sequence[Mapping[str, Any]]) -> Feature:
    ranks = {_rank(row[name]) for row in rows}
    if len(ranks) > 1 or max(ranks) > 2:
        raise InputError(
            f"{name} is a value, a list, or a list of lists in every row. "
            f"Received: ranks={sorted(ranks)}"
        )
    counts = [_count(row[name]) for row in rows]
    values = (row[name] for row in rows)
    flat = itertools.chain.from_iterable(values) if ranks == {2} else values
    dtypes = {_dtype(np.asarray(value)) for value in flat if np.size(value)}
    dtype = "float32" if dtypes == {"int32", "float32"} else min(dtypes, default="int32")
    tokens = [_count(row["token_ids"]) for row in rows]
    rank = ranks.pop()
    if rank == 0 or varies(name) or counts == tokens or len(set(counts)) > 1:
        return Feature(dtype, rank)
    return Feature(dtype, rank, counts[0])


def _rank(value: Any) -> int:
    if isinstance(value, list | tuple):
        return 1 + _rank(value[0]) if value else 1
    return np.ndim(value)


def _count(value: Any) -> int:
    rank = _rank(value)
    return sum(len(each) for each in value) if rank == 2 else len(value) if rank else 1


def _dtype(values: Any) -> str:
    kind = values.dtype.kind
    if kind == "O":  # bytes or strings in an array of objects
        kind = np.asarray(values.ravel().tolist()).dtype.kind
    dtypes = {
        "b": "int32",
        "i": "int32",
        "u": "int32",
        "f": "float32",
        "U": "string",
        "S": "string",
    }
    if kind not in dtypes:
        raise InputError(f"Features are numbers or strings. Received: dtype={values.dtype}")
    return dtypes[kind]


def _feature(dtype: str, values: list[Any]) -> Any:
    from tensorflow.train import BytesList, Feature, FloatList, Int64List

    if dtype == "string":
        encoded = [each.encode("utf-8") if isinstance(each, str) else each for each in values]
        return Feature(bytes_list=BytesList(value=encoded))
    if dtype == "float32":
        return Feature(float_list=FloatList(value=values))
    return Feature(int64_list=Int64List(value=[int(each) for each in values]))


def _example(features: dict[str, Any]) -> bytes:
    from tensorflow.train import Example, Features

    return Example(features=Features(feature=features)).SerializeToString()


def _wrong(name: str, number: int, rule: str, received: str) -> InputError:
    return InputError(f"{name} {rule} in every row. Received: {received} in row {number}")
