"""Task models: an encoder and what is on top of it."""

from collections.abc import Callable
from typing import Any

from keras_albert.config import EncoderConfig
from keras_albert.encoders import build_encoder
from keras_albert.errors import InputError
from keras_albert.heads.choice import multiple_choice
from keras_albert.heads.classification import classification, token_classification
from keras_albert.heads.pretraining import masked_lm, pretraining
from keras_albert.heads.span import question_answering, question_answering_v2
from keras_albert.model import TransformerModel

TASKS: dict[str, Callable[..., TransformerModel]] = {
    "encoder": build_encoder,
    "pretraining": pretraining,
    "masked_lm": masked_lm,
    "classification": classification,
    "token_classification": token_classification,
    "question_answering": question_answering,
    "question_answering_v2": question_answering_v2,
    "multiple_choice": multiple_choice,
}


def build_model(config: EncoderConfig, task: str, **options: Any) -> TransformerModel:
    """The model of a task with fresh weights.

    Args:
        config: The encoder's configuration.
        task: One of `TASKS`.
        **options: The task's settings (`num_labels`, `outputs`, `start_n_top`, …) and `dtype`.

    Raises:
        InputError: An unknown task, or a setting that the task does not have.
    """
    if task not in TASKS:
        raise InputError(f"task must be one of {tuple(TASKS)}. Received: task={task!r}")
    try:
        return TASKS[task](config, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise InputError(f"{error}. Received: task={task!r}, options={sorted(options)}") from error
