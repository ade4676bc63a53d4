"""The main job, end to end: real weights, converted, verified, fine-tuned, judged, reported."""

from keras_albert.quickstart.steps import run

__all__ = ["run"]
