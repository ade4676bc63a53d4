"""TransformerModel: the functional keras.Model that every assembly returns."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_albert.config import EncoderConfig
from keras_albert.replicas import ReplicatedTraining

# What other packages call our inputs: Google, TF-Hub, Hugging Face. Then what else Google's record
# files hold, under the names that `data.tfrecords` gives it.
FOREIGN_NAMES = {
    "input_ids": "token_ids",
    "input_word_ids": "token_ids",
    "input_mask": "padding_mask",
    "attention_mask": "padding_mask",
    "input_type_ids": "segment_ids",
    "token_type_ids": "segment_ids",
    "masked_lm_positions": "masked_positions",
    "mlm_positions": "masked_positions",
    "p_mask": "answer_mask (1 - p_mask)",
    "label_ids": "labels",
    "masked_lm_ids": "labels/mlm_logits",
    "next_sentence_labels": "labels/sentence_relation_logits",
    "end_positions": "labels/end_logits",
    "is_impossible": "labels/unanswerable_logits",
    "masked_lm_weights": "sample_weight/mlm_logits",
    "is_real_example": "sample_weight",
}


def _every_position(inputs: Mapping[str, Any]) -> Any:
    token_ids = inputs["token_ids"]
    return ops.zeros_like(token_ids) + ops.arange(ops.shape(token_ids)[-1], dtype="int32")


# What an input is where it is not given, from those before it. 0 is [PAD] in every published
# vocabulary.
_DEFAULTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "segment_ids": lambda inputs: ops.zeros_like(inputs["token_ids"]),
    "padding_mask": lambda inputs: ops.cast(ops.not_equal(inputs["token_ids"], 0), "int32"),
    "answer_mask": lambda inputs: inputs["padding_mask"],
    "start_positions": lambda inputs: ops.zeros_like(inputs["token_ids"][:, 0]) - 1,
    "masked_positions": _every_position,
}
_WIDE = ("int64", "uint32", "uint64")


@keras.saving.register_keras_serializable(package="keras_albert")
class TransformerModel(ReplicatedTraining, keras.Model):
    """A functional model with named inputs, some of which may be left out.

    Inputs are a dict of integer arrays, `token_ids` [batch, length] at least (a bare array is
    taken for it). Missing ones are filled: `segment_ids` with zeros, `padding_mask` with
    `token_ids != 0`, `answer_mask` with `padding_mask`, `start_positions` with -1 (the best
    start), `masked_positions`, for masked language models, with every position. Unknown ones
    raise a `ValueError` that names them.

    Args:
        inputs: Dict of symbolic inputs.
        outputs: Dict of symbolic outputs.
        name: Name of the model.
        encoder_config: The `EncoderConfig` that the model was assembled from.
        task: What the model does, as `keras_albert.load_model` names tasks.
        task_options: The task's settings, such as `num_labels`.
        dtype: The dtype policy of the layers, which `compile` reads: with mixed_float16 it scales
            the loss.

    Example:
    ```python
    model = keras_albert.bert_encoder(config)
    model({"token_ids": [[2, 7, 9, 3]]})["pooled_output"]
    ```
    """

    def __init__(self, inputs, outputs, name=None, **kwargs):
        # Keras revives a functional model through exactly these arguments.
        encoder_config = kwargs.pop("encoder_config", None)
        task = kwargs.pop("task", None)
        task_options = kwargs.pop("task_options", {})
        dtype = kwargs.pop("dtype", None)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        # A functional model takes no policy, and would keep the global one.
        self.dtype_policy = dtype or keras.config.dtype_policy()
        self.encoder_config: EncoderConfig | None = encoder_config
        self.task: str | None = task
        # JSON, because Keras would wrap and track a dict.
        self._task_options = json.dumps(task_options)

    @property
    def task_options(self) -> dict[str, Any]:
        """The task's settings, such as `num_labels`."""
        return json.loads(self._task_options)

    def __call__(self, inputs, *args, **kwargs):
        # Before Keras' own input check, which knows no defaults.
        return super().__call__(self._complete(inputs), *args, **kwargs)

    def call(self, inputs, training=None, mask=None, **kwargs):
        # Stateless calls (JAX) come here directly.
        return super().call(self._complete(inputs), training=training, mask=mask, **kwargs)

    def _complete(self, inputs: Any) -> dict[str, Any]:
        if not isinstance(inputs, Mapping):
            inputs = {"token_ids": inputs}
        names = [tensor.name for tensor in self.inputs]
        self._check_names(inputs, names)
        complete = {name: _integers(value) for name, value in inputs.items()}
        for name, default in _DEFAULTS.items():
            if name in names and name not in complete:
                complete[name] = default(complete)
        return {name: complete[name] for name in names}

    def _check_names(self, inputs: Mapping[str, Any], names: list[str]) -> None:
        unknown = [name for name in inputs if name not in names]
        if unknown:
            hints = [
                f"{name!r} is called {FOREIGN_NAMES[name]} here"
                for name in unknown
                if name in FOREIGN_NAMES
            ]
            raise ValueError(
                f"{self.name} takes the inputs {names}"
                + "".join(f"; {hint}" for hint in hints)
                + f". Received: {sorted(inputs)}"
            )
        required = {"token_ids"}
        if self.task == "pretraining":
            required.add("masked_positions")
        missing = sorted(required.intersection(names).difference(inputs))
        if missing:
            raise ValueError(f"{self.name} needs the inputs {missing}. Received: {sorted(inputs)}")

    def get_config(self):
        config = super().get_config()
        encoder_config = self.encoder_config and self.encoder_config.get_config()
        return config | {
            "keras_albert": {
                "encoder_config": encoder_config,
                "task": self.task,
                "task_options": self.task_options,
                "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            }
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        ours = config.pop("keras_albert")
        frozen = [
            layer["name"] for layer in config["layers"] if layer["config"].get("trainable") is False
        ]
        model = super().from_config(config, custom_objects=custom_objects)
        for name in frozen:
            layer = model.get_layer(name)
            # Keras has thawed it, or its weights alone. TensorFlow ignores setting an equal value.
            layer.trainable = True
            layer.trainable = False
        if ours["encoder_config"] is not None:
            model.encoder_config = EncoderConfig.from_config(ours["encoder_config"])
        model.task = ours["task"]
        model._task_options = json.dumps(ours["task_options"])
        model.dtype_policy = keras.dtype_policies.deserialize(ours["dtype"])
        return model


def _integers(value: Any) -> Any:
    """Lists, booleans and other integer types, as the int32 that the inputs are."""
    if isinstance(value, keras.KerasTensor):
        return value
    # What int32 cannot hold must not wrap around to an id that exists, as JAX lets arrays do.
    if isinstance(value, np.ndarray) and value.dtype.name in _WIDE:
        least = max(-1, np.iinfo(value.dtype).min)
        value = np.clip(value, least, 2**31 - 1).astype("int32")
    tensor = ops.convert_to_tensor(value)
    if keras.backend.standardize_dtype(tensor.dtype) in _WIDE:
        tensor = ops.clip(tensor, -1, 2**31 - 1)
    return ops.cast(tensor, "int32")
