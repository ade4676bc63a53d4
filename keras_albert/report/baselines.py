"""What simple methods reach on the same rows: a model that does no better has learnt little.

Always guessing the most frequent label (or the mean), and TF-IDF with a linear model. Their
settings are fixed, so that figures of different runs compare:

- TF-IDF of words and word pairs, or where the training texts are Chinese, Japanese or Korean, or
  hold no words at all, of single characters and pairs; logarithmic counts (`sublinear_tf`), lower
  case, everything else as scikit-learn has it.
- A row of several segments has the TF-IDF of each, and the cosine of the first two.
- Logistic regression with C = 1, for several labels one a label; ridge regression with alpha = 1.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_albert.data.messages import shown
from keras_albert.errors import InputError
from keras_albert.training.metrics import (
    classification_metrics,
    multi_label_metrics,
    regression_metrics,
)

_WORD = re.compile(r"\w")
# Han, kana, Hangul: scripts where what stands between spaces is no word, or is many.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_UNSPACED_SHARE = 0.3  # of the letters, from which on texts are cut into characters
_DETECTION_TEXTS = 1000

Text = str | Sequence[str]


def baseline_metrics(
    task_kind: str,
    train_texts: Sequence[Text],
    train_labels: Any,
    texts: Sequence[Text],
    labels: Any,
    names: Sequence[str] = (),
    threshold: float = 0.5,
) -> dict[str, dict[str, Any]]:
    """Metrics of both baselines, trained on some rows and measured on others.

    Args:
        task_kind: "classification", "multi_label" or "regression".
        train_texts: Texts, or equally many segments of text in every row.
        train_labels: Class indices [rows], 0 and 1 [rows, labels], or numbers [rows].
        texts: Of the rows to measure on.
        labels: Of those.
        names: The labels' names; none for regression.
        threshold: As of `multi_label_metrics`.

    Returns:
        The task's metrics under "majority" and "tfidf_logistic_regression"; for regression under
        "mean" and "tfidf_ridge".

    Raises:
        InputError: The training rows have one class only, or no characters; a row is bad.
    """
    train_labels = np.asarray(train_labels)
    rows = len(texts)
    if task_kind == "regression":
        mean = np.full(rows, train_labels.mean())
        ridge = _linear(_ridge, train_texts, train_labels, texts)
        return {
            "mean": regression_metrics(labels, mean),
            "tfidf_ridge": regression_metrics(labels, ridge),
        }
    if task_kind == "multi_label":
        frequency = np.tile(train_labels.mean(axis=0), (rows, 1))
        regression = _linear(_logistic_of_each, train_texts, train_labels, texts)
        return {
            "majority": multi_label_metrics(labels, frequency, names, threshold),
            "tfidf_logistic_regression": multi_label_metrics(labels, regression, names, threshold),
        }
    counts = np.bincount(train_labels, minlength=len(names))
    if (counts > 0).sum() < 2:
        raise InputError(
            "A baseline needs training rows of two classes. "
            f"Received: only {shown(names[int(counts.argmax())])}"
        )
    frequency = np.tile(counts / counts.sum(), (rows, 1))
    probabilities = np.zeros((rows, len(names)))
    probabilities[:, counts > 0] = _linear(_logistic, train_texts, train_labels, texts)
    return {
        "majority": classification_metrics(labels, frequency, names),
        "tfidf_logistic_regression": classification_metrics(labels, probabilities, names),
    }


def uses_characters(texts: Sequence[Text]) -> bool:
    """Whether texts are cut into characters, and not into words; the first thousand decide."""
    sample = "".join("".join(_segments(text)) for text in texts[:_DETECTION_TEXTS])
    letters = len(_WORD.findall(sample))
    return len(_UNSPACED.findall(sample)) >= _UNSPACED_SHARE * letters


def _linear(
    predict: Callable[[Any, np.ndarray, Any], np.ndarray],
    train_texts: Sequence[Text],
    train_labels: np.ndarray,
    texts: Sequence[Text],
) -> np.ndarray:
    """The predictions of a linear model on TF-IDF features."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    settings: dict[str, Any] = {"ngram_range": (1, 2), "sublinear_tf": True}
    if uses_characters(train_texts):
        settings["analyzer"] = "char"
    else:
        settings["token_pattern"] = r"(?u)\b\w+\b"
    vectorizer = TfidfVectorizer(**settings)
    try:
        vectorizer.fit([segment for text in train_texts for segment in _segments(text)])
    except ValueError as error:
        raise InputError(f"TF-IDF needs a text with characters. Received: {error}") from error

    def features(rows: Sequence[Text]) -> Any:
        columns = zip(*map(_segments, rows), strict=True)
        blocks = [vectorizer.transform(column) for column in columns]
        if len(blocks) > 1:  # of unit length, each
            blocks.append(csr_matrix(blocks[0].multiply(blocks[1]).sum(axis=1)))
        return hstack(blocks, format="csr")

    return predict(features(train_texts), train_labels, features(texts))


def _segments(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def _logistic(features: Any, labels: np.ndarray, others: Any) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000).fit(features, labels).predict_proba(others)


def _logistic_of_each(features: Any, labels: np.ndarray, others: Any) -> np.ndarray:
    """A probability a label; of a label that all training rows have, or none has, that one."""
    probabilities = np.tile(labels.mean(axis=0), (others.shape[0], 1))
    for column in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
        probabilities[:, column] = _logistic(features, labels[:, column], others)[:, 1]
    return probabilities


def _ridge(features: Any, labels: np.ndarray, others: Any) -> np.ndarray:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1.0).fit(features, labels).predict(others)
