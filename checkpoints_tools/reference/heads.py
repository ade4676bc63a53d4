"""The heads of Google's training scripts: from encoder outputs to a task's own outputs.

Every function reads its head's variables and returns what computes the outputs of one batch.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from checkpoints_tools.reference.encoder import WORD_PROJECTION, WORD_TABLE
from checkpoints_tools.reference.formulas import (
    ACTIVATIONS,
    dense,
    layer_norm,
    log_softmax,
    softmax,
    top_k,
)
from checkpoints_tools.reference.weights import Weights
from keras_albert.errors import InputError

if TYPE_CHECKING:
    from keras_albert.config import EncoderConfig

Head = Callable[[dict[str, np.ndarray], dict[str, Any]], dict[str, np.ndarray]]

MLM_TRANSFORM = "cls/predictions/transform"
SENTENCE_RELATION = "cls/seq_relationship/"
PRE_LN_CLASSIFIER_NORM = "loss/LayerNorm"  # albert_zh's run_classifier.py adds it for pre-LN
OUTSIDE_ANSWER = -1e30  # score of a position where no answer may lie (squad_utils.py)


def masked_lm(config: "EncoderConfig", weights: Weights) -> Head:
    """`mlm_logits` [batch, predictions, vocab_size], tied to the token table."""
    transform = weights.dense(f"{MLM_TRANSFORM}/dense")
    norm = weights.norm(f"{MLM_TRANSFORM}/LayerNorm")
    bias = weights("cls/predictions/output_bias")
    table = weights(WORD_TABLE)
    # albert_zh transforms at hidden width and goes back through the embedding projection.
    narrow = weights(WORD_PROJECTION).T if config.family == "albert_zh" else None
    activation = ACTIVATIONS[config.activation]

    def head(batch: dict[str, np.ndarray], outputs: dict[str, Any]) -> dict[str, np.ndarray]:
        positions = batch["masked_positions"][..., None]
        x = np.take_along_axis(outputs["sequence_output"], positions, axis=1)
        x = layer_norm(activation(dense(x, *transform)), *norm, config.layer_norm_epsilon)
        if narrow is not None:
            x = x @ narrow
        return {"mlm_logits": dense(x, table.T, bias)}

    return head


def pretraining(config: "EncoderConfig", weights: Weights) -> Head:
    """`masked_lm`, and `sentence_relation_logits` [batch, 2] (NSP or SOP) where it is stored."""
    words = masked_lm(config, weights)
    if f"{SENTENCE_RELATION}output_weights" not in weights.names:
        return words
    relation = weights.projection(SENTENCE_RELATION)

    def head(batch: dict[str, np.ndarray], outputs: dict[str, Any]) -> dict[str, np.ndarray]:
        logits = dense(_pooled(outputs), *relation)
        return words(batch, outputs) | {"sentence_relation_logits": logits}

    return head


def classification(config: "EncoderConfig", weights: Weights) -> Head:
    """`logits` [batch, classes]."""
    logits = _pooled_logits(config, weights)
    return lambda batch, outputs: {"logits": logits(outputs)}


def token_classification(config: "EncoderConfig", weights: Weights) -> Head:
    """`logits` [batch, length, classes]: the classifier's two variables on every token."""
    projection = weights.projection()
    return lambda batch, outputs: {"logits": dense(outputs["sequence_output"], *projection)}


def multiple_choice(config: "EncoderConfig", weights: Weights) -> Head:
    """`logits` [batch, choices]: a classifier with one label (race_utils.py)."""
    logits = _pooled_logits(config, weights)
    return lambda batch, outputs: {"logits": logits(outputs).reshape(-1, int(batch["choices"]))}


def question_answering(config: "EncoderConfig", weights: Weights) -> Head:
    """`start_logits`, `end_logits` [batch, length] (run_squad.py, create_v1_model)."""
    projection = weights.projection("cls/squad/")

    def head(batch: dict[str, np.ndarray], outputs: dict[str, Any]) -> dict[str, np.ndarray]:
        logits = dense(outputs["sequence_output"], *projection)
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}

    return head


def question_answering_v2(
    config: "EncoderConfig", weights: Weights, start_n_top: int = 5, end_n_top: int = 5
) -> Head:
    """Span beams and answerability (create_v2_model; the head is XLNet's, Yang et al. 2019).

    With K = start_n_top and M = end_n_top: `start_logits`, `end_logits` [batch, length] (the
    latter given `start_positions`, or else the best start), `end_beam_logits`
    [batch, K, length], `start_top_log_probs`, `start_top_index` [batch, K],
    `end_top_log_probs`, `end_top_index` [batch, K * M] (start beam major),
    `unanswerable_logits` [batch]. Logits are those before the answer mask.
    """
    start_dense = weights.dense("start_logits/dense")
    kernel, end_bias = weights.dense("end_logits/dense_0")
    end_token, end_start = np.split(kernel, 2)  # for the token, for the start feature beside it
    end_norm = weights.norm("end_logits/LayerNorm")
    end_dense = weights.dense("end_logits/dense_1")
    answer_dense = weights.dense("answer_class/dense_0")
    answer_kernel = weights("answer_class/dense_1/kernel")

    def end_logits(sequence: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """[batch, n, length] for starts [batch, n]."""
        features = np.take_along_axis(sequence, starts[..., None], axis=1)
        tokens = dense(sequence, end_token, end_bias)
        x = np.tanh(tokens[:, None] + np.tensordot(features, end_start, axes=1)[:, :, None])
        return dense(layer_norm(x, *end_norm, config.layer_norm_epsilon), *end_dense)[..., 0]

    def head(batch: dict[str, np.ndarray], outputs: dict[str, Any]) -> dict[str, np.ndarray]:
        sequence, allowed = outputs["sequence_output"], batch["answer_mask"]
        length = sequence.shape[1]
        if min(start_n_top, end_n_top) < 1 or max(start_n_top, end_n_top) > length:
            raise InputError(
                f"start_n_top and end_n_top must be from 1 to the length {length}. "
                f"Received: start_n_top={start_n_top}, end_n_top={end_n_top}"
            )
        start = dense(sequence, *start_dense)[..., 0]
        start_masked = np.where(allowed, start, OUTSIDE_ANSWER)
        start_top, start_index = top_k(log_softmax(start_masked), start_n_top)
        beams = end_logits(sequence, start_index)
        beams_masked = np.where(allowed[:, None], beams, OUTSIDE_ANSWER)
        end_top, end_index = top_k(log_softmax(beams_masked), end_n_top)
        best = start_index[:, 0]
        given = batch.get("start_positions", best)
        given = np.where(given < 0, best, given)
        expected_start = (softmax(start_masked)[:, None] @ sequence)[:, 0]
        answer = np.concatenate([expected_start, sequence[:, 0]], axis=-1)
        answer = np.tanh(dense(answer, *answer_dense))
        return {
            "start_logits": start,
            "end_logits": end_logits(sequence, given[:, None])[:, 0],
            "end_beam_logits": beams,
            "start_top_log_probs": start_top,
            "start_top_index": start_index,
            "end_top_log_probs": end_top.reshape(len(end_top), -1),
            "end_top_index": end_index.reshape(len(end_index), -1),
            "unanswerable_logits": (answer @ answer_kernel)[:, 0],
        }

    return head


def _pooled_logits(
    config: "EncoderConfig", weights: Weights
) -> Callable[[dict[str, Any]], np.ndarray]:
    """What a classifier makes of the outputs: [rows, classes]."""
    projection = weights.projection()
    has_norm = f"{PRE_LN_CLASSIFIER_NORM}/gamma" in weights.names
    norm = weights.norm(PRE_LN_CLASSIFIER_NORM) if has_norm else None

    def logits(outputs: dict[str, Any]) -> np.ndarray:
        x = _pooled(outputs)
        if norm is not None:
            x = layer_norm(x, *norm, config.layer_norm_epsilon)
        return dense(x, *projection)

    return logits


def _pooled(outputs: dict[str, Any]) -> np.ndarray:
    if "pooled_output" not in outputs:
        raise InputError(
            "this task needs the pooler, which the checkpoint does not hold. "
            f"Received: outputs={sorted(outputs)}"
        )
    return outputs["pooled_output"]


HEADS: dict[str, Callable[..., Head]] = {
    "pretraining": pretraining,
    "masked_lm": masked_lm,
    "classification": classification,
    "token_classification": token_classification,
    "multiple_choice": multiple_choice,
    "question_answering": question_answering,
    "question_answering_v2": question_answering_v2,
}
