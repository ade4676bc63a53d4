"""Models for servers: a SavedModel that answers raw strings, with a second way in for token ids.

TensorFlow Serving, and whatever else loads a SavedModel, needs neither this package nor Keras for
it. The tokenizer in it is made of tensorflow-text's operations, which the process that loads it
must know (`import tensorflow_text` in Python). TensorFlow refuses a graph that has an operation
which it does not know, all of it: where tensorflow-text is missing, only a SavedModel without the
tokenizer is of use (`tokens_only`).
"""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_albert import __version__
from keras_albert.config_json import read_json
from keras_albert.directory import PROVENANCE, new_directory, refuse_to_replace
from keras_albert.errors import InputError
from keras_albert.pretrained import load_model, save_pretrained
from keras_albert.pretrained_text import load_preprocessor

TEXT, TOKENS = "serving_default", "token_ids"  # the two signatures
# Where a SavedModel keeps what its loader passes over; the second name is TensorFlow Serving's.
EXTRA = "assets.extra"
DESCRIPTION, WARM_UP = "keras_albert.json", "tf_serving_warmup_requests"
_KEPT = ("source", "weights_sha256", "versions", "settings", "data", "metrics")  # of provenance
_MODEL_INPUTS = ("token_ids", "segment_ids", "padding_mask")


@dataclass(frozen=True)
class Service:
    """What is served.

    Attributes:
        model: A model of a task.
        kind: What its logits mean, a key of `ANSWERS`.
        preprocess: The layer from text to the model's inputs; None to take token ids alone.
        labels: The classes' names.
        segments: How many texts one input has: 1, or 2 for pairs.
        temperature: The logits are divided by it.
        threshold: The probability from which on one of several labels holds.
        provenance: Where all that comes from.
    """

    model: Any
    kind: str
    preprocess: Any = None
    labels: tuple[str, ...] = ()
    segments: int = 1
    temperature: float = 1.0
    threshold: float = 0.5
    provenance: Mapping[str, Any] | None = None

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Model inputs to named outputs, in a graph."""
        return ANSWERS[self.kind](self, self.model(inputs, training=False)["logits"])


def _class_answers(service: Service, logits: Any) -> dict[str, Any]:
    """`label` [batch]; `scores` and `labels`, which they belong to, [batch, classes]."""
    import tensorflow as tf

    labels = tf.constant(service.labels)
    best = tf.gather(labels, tf.argmax(logits, axis=-1))
    scores = tf.nn.softmax(logits / service.temperature)
    return {"label": best, "scores": scores, "labels": _names(labels, scores)}


def _multi_label_answers(service: Service, logits: Any) -> dict[str, Any]:
    """`scores`, `labels` and `holds` (whether the label is given), [batch, labels]."""
    import tensorflow as tf

    scores = tf.nn.sigmoid(logits / service.temperature)
    holds = scores >= service.threshold
    return {"scores": scores, "labels": _names(tf.constant(service.labels), scores), "holds": holds}


def _regression_answers(service: Service, logits: Any) -> dict[str, Any]:
    """`score` [batch]."""
    return {"score": logits[:, 0]}


def _names(labels: Any, scores: Any) -> Any:
    """The labels in every row: TensorFlow Serving's row format has no output without a batch."""
    import tensorflow as tf

    return tf.broadcast_to(labels, tf.shape(scores))


# What is made of a task's logits; a further task is a further function.
ANSWERS: dict[str, Callable[[Service, Any], dict[str, Any]]] = {
    "classification": _class_answers,
    "multi_label": _multi_label_answers,
    "regression": _regression_answers,
}


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
    `token_ids` takes `token_ids`, `segment_ids` and `padding_mask`, int32 [batch, length]. Both
    answer, with the temperature and the threshold of the task applied:

    - one class a text: `label`, string [batch]; `scores`, float [batch, classes], and `labels`,
      string [batch, classes], to name them;
    - several labels a text: `scores`, `labels`, and `holds`, bool, all [batch, labels];
    - a number: `score`, float [batch].

    Beside the model, in `assets.extra`, lie `keras_albert.json` (labels, signatures, provenance)
    and a request for TensorFlow Serving to warm up with.

    Args:
        source: A fine-tuned directory of the task classification, or a model of that task. What
            its provenance calls `labels` names the classes; otherwise their numbers do.
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
    service = _service(source, max_length, tokens_only)
    with new_directory(out, force=force) as folder:
        signatures = _write(service, folder)
        description = _description(service, signatures)
        extra = folder / EXTRA
        extra.mkdir()
        text = json.dumps(description, indent=2, ensure_ascii=False)
        (extra / DESCRIPTION).write_text(f"{text}\n", encoding="utf-8")
        _write_warm_up(extra / WARM_UP, service)
    return description


def _write(service: Service, folder: Path) -> dict[str, Any]:
    """The SavedModel; returns its signatures' inputs and outputs."""
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(service.model)

    def answer_tokens(token_ids: Any, segment_ids: Any, padding_mask: Any) -> dict[str, Any]:
        values = (token_ids, segment_ids, padding_mask)
        return service.answer(dict(zip(_MODEL_INPUTS, values, strict=True)))

    def answer_texts(*texts: Any) -> dict[str, Any]:
        return service.answer(service.preprocess(texts))

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


def _service(source: Any, max_length: int | None, tokens_only: bool) -> Service:
    """What to serve of a directory or a model."""
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | Path):
            directory, model = Path(source), load_model(source)
        else:
            directory, model = stack.enter_context(_text_of(source)), source
        if model.task != "classification":
            raise InputError(
                "A model for a server has the task 'classification'. "
                f"Received: {directory} for {model.task!r}"
            )
        preprocess = None if tokens_only else load_preprocessor(directory, max_length)
        recorded = directory / PROVENANCE
        provenance = read_json(recorded) if recorded.is_file() else {}
    classes = model.task_options["num_labels"]
    labels = provenance.get("labels") or [str(index) for index in range(classes)]
    if len(labels) != classes:
        raise InputError(
            f"{recorded}: labels names every class. "
            f"Received: {len(labels)} labels, {classes} classes"
        )
    return Service(
        model=model,
        kind="regression" if classes == 1 else "classification",
        preprocess=preprocess,
        labels=() if classes == 1 else tuple(labels),
        provenance={name: provenance[name] for name in _KEPT if name in provenance},
    )


@contextlib.contextmanager
def _text_of(model: Any) -> Iterator[Path]:
    """A directory with what says how the model's text is tokenized."""
    with tempfile.TemporaryDirectory() as temporary:
        save_pretrained(model, Path(temporary, "model"))
        yield Path(temporary, "model")
