"""What surrounds `fit`: metrics, resuming, seeds, early stopping."""

from keras_albert.training.errors import Interrupted, NonFiniteLossError
from keras_albert.training.fitting import fit_model
from keras_albert.training.seeds import set_seed

__all__ = ["Interrupted", "NonFiniteLossError", "fit_model", "set_seed"]
