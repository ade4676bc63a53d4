"""What is in a TFRecord file, and the files of Google's programs under our names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_albert.data import tfrecord_schema
from keras_albert.data.in_graph import one_line
from keras_albert.data.tfrecord_schema import Feature, Schema, varies
from keras_albert.errors import InputError
from keras_albert.model import FOREIGN_NAMES

# Names of Google's that are ours for an input, too; in its files these are the answers.
_ANSWERS = {"start_positions": "labels/start_logits"}
_INPUTS = ("token_ids", "segment_ids", "padding_mask", "answer_mask", "masked_positions")
_NEGATED = "(1 - "


def describe(path: str) -> tuple[bool, Schema]:
    """Whether a file has a header, and the schema: that one, or the first record's.

    Raises:
        InputError: if it is missing, empty, or does not begin as a TFRecord file.
    """
    import tensorflow as tf

    try:
        if not Path(path).is_file():
            raise InputError(f"{path}: there is no such file. Received: path={path!r}")
        first = next(iter(tf.data.TFRecordDataset(path, compression(path)).take(1)), None)
        if first is None:
            raise InputError(f"{path}: the file holds no record. Received: path={path!r}")
        # An example or none: the error is one of TensorFlow's.
        tf.io.parse_single_example(first, {"-": tf.io.VarLenFeature(tf.int64)})
        example = tf.train.Example.FromString(first.numpy())
        schema = tfrecord_schema.read_header(example)
    except (tf.errors.OpError, OSError) as error:
        raise InputError(
            f"{path}: not a TFRecord file of examples. Received: {one_line(error)}"
        ) from error
    if schema is not None:
        return True, schema
    stored = {name: example.features.feature[name] for name in sorted(example.features.feature)}
    return False, {name: _stored(name, feature) for name, feature in stored.items()}


def _stored(name: str, feature: Any) -> Feature:
    """What a feature of a file without a schema is, by the first record."""
    kind = feature.WhichOneof("kind") or "int64_list"
    dtype = {"int64_list": "int32", "float_list": "float32", "bytes_list": "string"}[kind]
    count = len(getattr(feature, kind).value)
    if varies(_our_name(name)):
        return Feature(dtype, rank=1)
    return Feature(dtype, rank=0) if count == 1 else Feature(dtype, rank=1, size=count)


def _our_name(name: str) -> str:
    return FOREIGN_NAMES.get(name, _ANSWERS.get(name, name)).partition(" ")[0]


def our_names(stored: Schema) -> dict[str, str]:
    """Stored name -> ours, of the features that our models take."""
    names = {name: _our_name(name) for name in stored}
    return {
        name: ours
        for name, ours in names.items()
        if ours in _INPUTS or ours.partition("/")[0] in ("labels", "sample_weight")
    }


def translated(flat: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Features of a foreign chunk under our names and without padding."""
    import tensorflow as tf

    ours: dict[str, Any] = {}
    for name, value in flat.items():
        negated = _NEGATED in FOREIGN_NAMES.get(name, "")
        ours[names[name]] = tf.cast(1 - value, tf.int32) if negated else value
    mask = ours.pop("padding_mask", None)
    if mask is not None:
        # An example that only fills a batch has no token; one must stay.
        mask = tf.concat([tf.ones_like(mask[:, :1]), mask[:, 1:]], axis=1)
        for name in ("token_ids", "segment_ids", "answer_mask"):
            if name in ours:
                ours[name] = tf.ragged.boolean_mask(ours[name], mask > 0)
    predicted = ours.pop("sample_weight/mlm_logits", None)
    if predicted is not None:
        for name in ("masked_positions", "labels/mlm_logits"):
            ours[name] = tf.ragged.boolean_mask(ours[name], predicted > 0)
    if "sample_weight" in ours:
        ours["sample_weight"] = tf.cast(ours["sample_weight"], tf.float32)
    return ours


def compression(path: str) -> str:
    """As TensorFlow calls it, by the file's first bytes."""
    with open(path, "rb") as file:
        return "GZIP" if file.read(3) == b"\x1f\x8b\x08" else ""
