"""The original TensorFlow 1 graphs of BERT and ALBERT in plain NumPy.

An independent second opinion: written from the papers and checked against numbers from the
original code, it addresses variables by Google's own names and shares no code with the Keras
layers it judges. Float64 by default, so what it differs by is the other side's rounding.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from checkpoints_tools.reference.encoder import add_pooled_output, encode
from checkpoints_tools.reference.heads import HEADS
from checkpoints_tools.reference.inputs import check_task, prepare
from checkpoints_tools.reference.weights import Weights

if TYPE_CHECKING:
    from keras_albert.config import EncoderConfig

__all__ = ["forward", "forward_many"]


def forward(
    config: "EncoderConfig",
    read: Callable[[str], np.ndarray],
    names: Collection[str],
    inputs: Mapping[str, Any],
    task: str = "encoder",
    dtype: Any = np.float64,
    progress: Callable[[int, int, str], None] | None = None,
    **options: int,
) -> dict[str, Any]:
    """One set of inputs through Google's graph: `forward_many` with a single set.

    Args, outputs and errors are those of `forward_many`.
    """
    return forward_many(config, read, names, [inputs], task, dtype, progress, **options)[0]


def forward_many(
    config: "EncoderConfig",
    read: Callable[[str], np.ndarray],
    names: Collection[str],
    inputs: Sequence[Mapping[str, Any]],
    task: str = "encoder",
    dtype: Any = np.float64,
    progress: Callable[[int, int, str], None] | None = None,
    **options: int,
) -> list[dict[str, Any]]:
    """Several sets of inputs through Google's graph, holding one block's weights at a time.

    Each block is read once, all sets run through it, and it is let go after its last use in
    `config.schedule`; so a shared block stays, and a deep model is never in memory whole.

    Args:
        config: The encoder's sizes.
        read: Yields a TF1 variable, of any float type, by its name without `module/`.
        names: The names `read` knows. Without a pooler there is no `pooled_output`, without
            `cls/seq_relationship` no `sentence_relation_logits`.
        inputs: The sets, each a mapping from our input names to arrays: `token_ids`
            [batch, length] (multiple choice: [batch, choices, length]), optional `segment_ids`
            (default 0) and `padding_mask` (default token_ids != 0) of the same shape;
            `masked_positions` [batch, predictions] for "pretraining" and for "masked_lm" (there
            every position by default); for "question_answering_v2" optional `answer_mask`
            [batch, length] (Google's p_mask inverted; default: the padding mask) and
            `start_positions` [batch] (-1, the default: the best start).
        task: "encoder", "pretraining", "masked_lm", "classification", "token_classification",
            "question_answering", "question_answering_v2" or "multiple_choice".
        dtype: The float type to compute in.
        progress: Called with (steps done, all steps, what was done) after the embeddings,
            every block run and the heads.
        **options: `start_n_top` and `end_n_top` of "question_answering_v2", both 5 by default.

    Returns:
        For each set a dict: `embedding_output` (after its layer norm), `encoder_outputs` and
        `attention_scores` (lists, an entry for every block run; scores are probabilities
        [batch, heads, from, to]), `sequence_output` [batch, length, hidden_dim],
        `pooled_output` [batch, hidden_dim], and the task's own outputs, named in `heads.py`.
        In multiple choice the encoder's outputs have batch * choices rows.

    Raises:
        InputError: An input breaks a rule, the task is unknown, or a variable that the task
            needs is not among `names`.
    """
    check_task(task, ("encoder", *HEADS))
    weights = Weights(read, names, dtype)
    batches = [prepare(config, task, one) for one in inputs]
    total = len(config.schedule) + 2
    done = 0

    def tick(name: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total, name)

    outputs = encode(config, weights, batches, tick)
    add_pooled_output(weights, outputs)
    if task in HEADS:
        head = HEADS[task](config, weights, **options)
        for batch, output in zip(batches, outputs, strict=True):
            output.update(head(batch, output))
    tick(task)
    return outputs
