"""A fine-tuning run: files in, a folder with model, report and settings out."""

from keras_albert.runs.data import Part, RunData, prepare
from keras_albert.runs.estimate import estimate
from keras_albert.runs.fine_tuning import fine_tune
from keras_albert.runs.seeds import fine_tune_seeds
from keras_albert.runs.settings import Settings

__all__ = [
    "Part",
    "RunData",
    "Settings",
    "estimate",
    "fine_tune",
    "fine_tune_seeds",
    "prepare",
]
