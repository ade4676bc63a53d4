"""A service as a SavedModel, with what TensorFlow Serving looks for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_albert import __version__
from keras_albert.config_json import write_json
from keras_albert.directory import new_directory, refuse_to_replace
from keras_albert.errors import InputError
from keras_albert.serving.service import Service, service_of

TEXT, TOKENS = "serving_default", "token_ids"  # the two signatures
# Where a SavedModel keeps what its loader passes over; the second name is TensorFlow Serving's.
EXTRA = "assets.extra"
DESCRIPTION, WARM_UP = "keras_albert.json", "tf_serving_warmup_requests"
_MODEL_INPUTS = ("token_ids", "segment_ids", "padding_mask")


def export_saved_model(
    source: Any,
    out: str | Path,
    *,
    max_length: int | None = None,
    tokens_only: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Writes a SavedModel that TensorFlow Serving serves; whole or not at all.

    Its signature `serving_default` takes `text` (and `text_pair`), string [batch]; its signature
    `token_ids` takes `token_ids`, `segment_ids` and `padding_mask`, int32 [batch, length]. Texts
    that are too long are cut, windowed or refused as the task has it, token ids taken as they are.
    Both signatures answer, with the task's temperature and threshold applied:

    - one class a text: `label`, string [batch]; `scores`, float [batch, classes], and `labels`,
      string [batch, classes], to name them;
    - several labels a text: `scores`, `labels`, and `holds`, bool, all [batch, labels];
    - a number: `score`, float [batch].

    Beside the model, in `assets.extra`, lie `keras_albert.json` (labels, signatures, provenance)
    and a request for TensorFlow Serving to warm up with.

    Args:
        source: A fine-tuned folder or its task object, which say everything; or a converted
            directory of the task classification, or a model of that task: then what its provenance
            calls `labels` names the classes, and otherwise their numbers do.
        out: A new or empty folder. TensorFlow Serving wants a number for its name: `MODEL/1`.
        max_length: Most tokens of a text; longer ones are cut. By default what the model has
            positions for.
        tokens_only: Write no tokenizer: the token ids are the only way in, and `serving_default`
            is that one. Such a SavedModel needs no tensorflow-text to load.
        force: Replace what is in `out`.

    Returns:
        What `keras_albert.json` holds.

    Raises:
        InputError: Nothing that can be served, or a length beyond the model's positions; Keras has
            another backend than TensorFlow; `out` holds the source.
        FileExistsError: `out` is not empty.
        ImportError: Without tensorflow-text, unless `tokens_only`.
        OSError: The file system refuses (permission, space).
    """
    refuse_to_replace(out, force)  # before the model is read, not after
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "A SavedModel is written with Keras' TensorFlow backend. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    if isinstance(source, str | Path) and Path(source).resolve().is_relative_to(
        Path(out).resolve()
    ):
        raise InputError(
            "OUT must not hold what is exported, as its content is replaced. "
            f"Received: out={str(out)!r}, source={str(source)!r}"
        )
    service = service_of(source, max_length, tokens_only)
    with new_directory(out, force=force) as folder:
        signatures = _write(service, folder)
        description = _description(service, signatures)
        extra = folder / EXTRA
        extra.mkdir()
        write_json(extra / DESCRIPTION, description)
        _write_warm_up(extra / WARM_UP, service)
    return description


def _write(service: Service, folder: Path) -> dict[str, Any]:
    """The SavedModel; returns its signatures' inputs and outputs."""
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(service.model)

    def answer_tokens(token_ids: Any, segment_ids: Any, padding_mask: Any) -> dict[str, Any]:
        values = (token_ids, segment_ids, padding_mask)
        return service.answer_tokens(dict(zip(_MODEL_INPUTS, values, strict=True)))

    def answer_texts(*texts: Any) -> dict[str, Any]:
        return service.answer_texts(texts)

    tokens = [tf.TensorSpec([None, None], tf.int32, name=name) for name in _MODEL_INPUTS]
    endpoints: dict[str, Any] = {TOKENS: (answer_tokens, tokens)}
    if service.preprocess is not None:
        texts = [tf.TensorSpec([None], tf.string, name=name) for name in _text_inputs(service)]
        endpoints[TEXT] = (answer_texts, texts)
    signatures = {}
    for name, (function, specs) in endpoints.items():
        graph = archive.add_endpoint(name, function, specs).get_concrete_function()
        signatures[name] = {
            "inputs": {spec.name: _shown(spec) for spec in specs},
            "outputs": {key: _shown(spec) for key, spec in graph.structured_outputs.items()},
        }
    try:
        archive.write_out(folder, verbose=False)  # the first endpoint for the default, if need be
    except tf.errors.OpError as error:
        raise OSError(f"{folder}: cannot write the SavedModel: {error.message:.200}") from error
    return {TEXT: signatures[TOKENS]} | signatures


def _text_inputs(service: Service) -> tuple[str, ...]:
    return ("text", "text_pair")[: service.segments]


def _shown(spec: Any) -> str:
    """A tensor's type as text: "float32 [batch, 2]"."""
    sizes = ["batch", *("length" if size is None else str(size) for size in spec.shape[1:])]
    return f"{spec.dtype.name} [{', '.join(sizes)}]"


def _description(service: Service, signatures: Mapping[str, Any]) -> dict[str, Any]:
    description: dict[str, Any] = {
        "keras_albert": __version__,
        "kind": service.kind,
        "labels": list(service.labels),
        "temperature": service.temperature,
    }
    if service.kind == "multi_label":
        description["threshold"] = service.threshold
    if service.preprocess is not None:
        description["max_length"] = service.preprocess.max_length
    return description | {"signatures": signatures, "provenance": dict(service.provenance or {})}


def _write_warm_up(path: Path, service: Service) -> None:
    """A TFRecord of one PredictionLog of TensorFlow Serving's.

    Its messages are in a package of their own, which is not worth a dependency for four fields
    (tensorflow_serving/apis/prediction_log.proto, predict.proto).
    """
    import tensorflow as tf

    if service.preprocess is None:
        inputs = {name: tf.make_tensor_proto([[0]], tf.int32) for name in _MODEL_INPUTS}
    else:
        inputs = {name: tf.make_tensor_proto(["warm up"]) for name in _text_inputs(service)}
    request = b"".join(
        _message(2, _message(1, name.encode()) + _message(2, tensor.SerializeToString()))
        for name, tensor in inputs.items()
    )
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(_message(6, _message(1, request)))


def _message(field: int, content: bytes) -> bytes:
    """A protocol buffer's field of bytes."""
    size, length = bytearray(), len(content)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([field << 3 | 2, *size, length]) + content
