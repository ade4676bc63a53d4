"""Question answering: where the answer starts and ends, and whether there is one."""

from typing import Any

import keras
from keras import layers as keras_layers
from keras import ops

from keras_albert.config import EncoderConfig
from keras_albert.encoders import build_encoder
from keras_albert.heads.classification import HEAD_DROPOUT, output_layer
from keras_albert.layers.dropout import Dropout
from keras_albert.model import TransformerModel

# What a position that may hold no answer scores (google-research/albert squad_utils.py).
_EXCLUDED = -1e30


def question_answering(config: EncoderConfig, *, dtype: Any = None) -> TransformerModel:
    """SQuAD 1's head: `start_logits` and `end_logits` [batch, length], float32.

    References:
        google-research/bert run_squad.py `create_model`; google-research/albert squad_utils.py
        `create_v1_model`.
    """
    encoder = build_encoder(config, outputs=("sequence_output",), dtype=dtype)
    logits = output_layer(config, 2, "span")(encoder.output["sequence_output"])
    return TransformerModel(
        encoder.input,
        {"start_logits": logits[..., 0], "end_logits": logits[..., 1]},
        name="question_answering",
        dtype=dtype,
        encoder_config=config,
        task="question_answering",
    )


def question_answering_v2(
    config: EncoderConfig,
    *,
    start_n_top: int = 5,
    end_n_top: int = 5,
    dropout: float = HEAD_DROPOUT,
    dtype: Any = None,
) -> TransformerModel:
    """ALBERT's SQuAD 2 head, with beams and answerability; outputs as `AnswerSpan`.

    Further inputs, both optional: `answer_mask` [batch, length], 1 where an answer may lie, and
    `start_positions` [batch], the starts that `end_logits` stand for (training); -1 for the best.
    """
    encoder = build_encoder(config, outputs=("sequence_output",), dtype=dtype)
    inputs = encoder.input | {
        "answer_mask": keras.Input((None,), dtype="int32", name="answer_mask"),
        "start_positions": keras.Input((), dtype="int32", name="start_positions"),
    }
    results = AnswerSpan(
        start_n_top=start_n_top,
        end_n_top=end_n_top,
        dropout=dropout,
        layer_norm_epsilon=config.layer_norm_epsilon,
        initializer_range=config.initializer_range,
        dtype=dtype,
        name="answer_span",
    )(
        encoder.output["sequence_output"],
        answer_mask=inputs["answer_mask"],
        start_positions=inputs["start_positions"],
    )
    return TransformerModel(
        inputs,
        results,
        name="question_answering_v2",
        dtype=dtype,
        encoder_config=config,
        task="question_answering_v2",
        task_options={"start_n_top": start_n_top, "end_n_top": end_n_top, "dropout": dropout},
    )


@keras.saving.register_keras_serializable(package="keras_albert")
class AnswerSpan(keras.Layer):
    """Starts, ends that depend on their start, and answerability.

    Args:
        start_n_top: K, how many starts to keep.
        end_n_top: M, how many ends to keep for each of them.
        dropout: Rate inside the answerability part.
        layer_norm_epsilon: Of the LayerNorm before the end logits.
        initializer_range: Standard deviation of fresh kernels.

    Call arguments:
        sequence_output: [batch, length, hidden_dim].
        answer_mask: [batch, length], 1 where an answer may lie.
        start_positions: [batch], the starts that `end_logits` stand for; -1 for the best one.

    Returns:
        A dict, float32 but for the indices (int32): `start_logits` and `end_logits`
        [batch, length], both before the mask; `end_beam_logits` [batch, K, length], likewise;
        `start_top_log_probs`, `start_top_index` [batch, K]; `end_top_log_probs`,
        `end_top_index` [batch, K * M], start-major; `unanswerable_logits` [batch].

    References:
        google-research/albert squad_utils.py `create_v2_model`, after XLNet (Yang et al. 2019).
    """

    def __init__(
        self,
        start_n_top=5,
        end_n_top=5,
        dropout=HEAD_DROPOUT,
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.start_n_top = start_n_top
        self.end_n_top = end_n_top
        self.dropout = dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range

        self.start = self._dense(1, "start", dtype="float32")
        self.end_hidden = PairDense(initializer_range, dtype=self.dtype_policy, name="end_hidden")
        self.end_layer_norm = keras_layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="end_layer_norm"
        )
        self.end = self._dense(1, "end", dtype="float32")
        self.answerable_hidden = PairDense(
            initializer_range, dtype=self.dtype_policy, name="answerable_hidden"
        )
        self.answerable_dropout = Dropout(dropout, dtype=self.dtype_policy)
        self.answerable = self._dense(1, "answerable", use_bias=False, dtype="float32")

    def _dense(self, units, name, **kwargs):
        initializer = keras.initializers.TruncatedNormal(stddev=self.initializer_range)
        return keras_layers.Dense(units, kernel_initializer=initializer, name=name, **kwargs)

    def build(self, sequence_shape):
        width = sequence_shape[-1]
        for layer in (self.start, self.end_layer_norm, self.end, self.answerable):
            layer.build((None, None, width))
        self.end_hidden.build((None, None, width))
        self.answerable_hidden.build((None, width))

    def call(self, sequence_output, answer_mask, start_positions, training=None):
        mask = ops.cast(answer_mask, "float32")
        start_logits = ops.squeeze(self.start(sequence_output), -1)
        start_log_probs = _masked_log_softmax(start_logits, mask)
        start_top_log_probs, start_top_index = ops.top_k(start_log_probs, self.start_n_top)

        beam_logits = self._end_logits(sequence_output, start_top_index)
        end_log_probs = _masked_log_softmax(beam_logits, mask[:, None])
        end_top_log_probs, end_top_index = ops.top_k(end_log_probs, self.end_n_top)

        start_positions = ops.cast(start_positions, "int32")
        best_start = ops.cast(start_top_index[:, 0], "int32")
        given = ops.where(start_positions < 0, best_start, start_positions)
        end_logits = self._end_logits(sequence_output, given[:, None])[:, 0]

        pairs = (-1, self.start_n_top * self.end_n_top)
        return {
            "start_logits": start_logits,
            "end_logits": end_logits,
            "end_beam_logits": beam_logits,
            "start_top_log_probs": start_top_log_probs,
            "start_top_index": ops.cast(start_top_index, "int32"),
            "end_top_log_probs": ops.reshape(end_top_log_probs, pairs),
            "end_top_index": ops.cast(ops.reshape(end_top_index, pairs), "int32"),
            "unanswerable_logits": self._unanswerable_logits(
                sequence_output, start_log_probs, training
            ),
        }

    def _end_logits(self, sequence_output, starts):
        """Ends [batch, starts, length] given starts [batch, starts]."""
        features = ops.take_along_axis(sequence_output, starts[:, :, None], axis=1)
        hidden = self.end_hidden(sequence_output[:, None], features[:, :, None])
        return ops.squeeze(self.end(self.end_layer_norm(hidden)), -1)

    def _unanswerable_logits(self, sequence_output, start_log_probs, training):
        """The expected start beside [CLS], as a logit that there is no answer."""
        start_probs = ops.cast(ops.exp(start_log_probs), sequence_output.dtype)
        expected = ops.squeeze(ops.matmul(start_probs[:, None], sequence_output), 1)
        hidden = self.answerable_hidden(expected, sequence_output[:, 0])
        hidden = self.answerable_dropout(hidden, training=training)
        return ops.squeeze(self.answerable(hidden), -1)

    def compute_output_spec(self, sequence_output, answer_mask, start_positions, training=None):
        batch, length = sequence_output.shape[:2]
        starts, pairs = self.start_n_top, self.start_n_top * self.end_n_top
        shapes = {
            "start_logits": (batch, length),
            "end_logits": (batch, length),
            "end_beam_logits": (batch, starts, length),
            "start_top_log_probs": (batch, starts),
            "start_top_index": (batch, starts),
            "end_top_log_probs": (batch, pairs),
            "end_top_index": (batch, pairs),
            "unanswerable_logits": (batch,),
        }
        return {
            name: keras.KerasTensor(shape, dtype="int32" if "index" in name else "float32")
            for name, shape in shapes.items()
        }

    def get_config(self):
        return super().get_config() | {
            "start_n_top": self.start_n_top,
            "end_n_top": self.end_n_top,
            "dropout": self.dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
        }


@keras.saving.register_keras_serializable(package="keras_albert")
class PairDense(keras.Layer):
    """tanh(concat(a, b) @ kernel + bias) without the concatenation, so that a and b broadcast.

    Call arguments: `a` and `b` [..., width] of broadcastable shapes; returns [..., width].
    """

    def __init__(self, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.initializer_range = initializer_range

    def build(self, a_shape, b_shape=None):
        width = a_shape[-1]
        self.kernel = self.add_weight(
            (2 * width, width),
            initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            name="kernel",
        )
        self.bias = self.add_weight((width,), initializer="zeros", name="bias")

    def call(self, a, b):
        width = a.shape[-1]
        first = ops.matmul(a, self.kernel[:width])
        second = ops.matmul(b, self.kernel[width:])
        return ops.tanh(first + second + self.bias)

    def compute_output_spec(self, a, b):
        shape = ops.add(a, b).shape
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return super().get_config() | {"initializer_range": self.initializer_range}


def _masked_log_softmax(logits, mask):
    """Log-probabilities of logits [..., length]; mask broadcasts, 0 excludes a position."""
    return ops.log_softmax(logits * mask + _EXCLUDED * (1.0 - mask), axis=-1)
