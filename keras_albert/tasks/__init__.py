"""Tasks: tokenizer, features, model, loss, metrics and decoding, as one object each."""

from keras_albert.tasks.loading import load
from keras_albert.tasks.text_classifier import TextClassifier

__all__ = ["TextClassifier", "load"]
