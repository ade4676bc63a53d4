"""The optimizers and the learning-rate schedule of Google's BERT and ALBERT, as Keras objects."""

from keras_albert.optimizers.adamw import AdamW
from keras_albert.optimizers.defaults import default_learning_rate, default_optimizer
from keras_albert.optimizers.lamb import LAMB
from keras_albert.optimizers.layer_rates import layer_wise_rates
from keras_albert.optimizers.schedules import PolynomialDecayWithWarmup

__all__ = [
    "LAMB",
    "AdamW",
    "PolynomialDecayWithWarmup",
    "default_learning_rate",
    "default_optimizer",
    "layer_wise_rates",
]
