"""Features of tasks as Google's programs make them, and what their outputs mean.

Questions on a context: `question_features` → model → `decode_answers` → `evaluate_v1`,
`evaluate_v2` or `evaluate_cmrc`. Tagged words: `word_features` → model → `word_scores`. Choices:
`choice_features` → model.
"""

from keras_albert.data.features.answers import (
    Candidate,
    Prediction,
    decode_answers,
    with_null_threshold,
)
from keras_albert.data.features.arrays import padded_batch
from keras_albert.data.features.choices import (
    ChoiceFeatures,
    choice_features,
    choice_inputs,
    choice_labels,
    choice_rows,
)
from keras_albert.data.features.cmrc_metrics import evaluate_cmrc
from keras_albert.data.features.questions import (
    QuestionFeatures,
    question_features,
    question_inputs,
    question_rows,
    question_targets,
)
from keras_albert.data.features.spans import tokens_between
from keras_albert.data.features.squad_metrics import (
    best_threshold,
    evaluate_v1,
    evaluate_v2,
    score_answers,
)
from keras_albert.data.features.words import WordFeatures, word_features, word_rows, word_scores

__all__ = [
    "Candidate",
    "ChoiceFeatures",
    "Prediction",
    "QuestionFeatures",
    "WordFeatures",
    "best_threshold",
    "choice_features",
    "choice_inputs",
    "choice_labels",
    "choice_rows",
    "decode_answers",
    "evaluate_cmrc",
    "evaluate_v1",
    "evaluate_v2",
    "padded_batch",
    "question_features",
    "question_inputs",
    "question_rows",
    "question_targets",
    "score_answers",
    "tokens_between",
    "with_null_threshold",
    "word_features",
    "word_rows",
    "word_scores",
]
