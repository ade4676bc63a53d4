"""The public names of keras_albert, and the import that registers every class with Keras."""

from keras_albert import activations, layers, optimizers
from keras_albert.config import EncoderConfig
from keras_albert.encoders import albert_encoder, bert_encoder
from keras_albert.errors import InputError
from keras_albert.pretrained import load_encoder, load_model, save_pretrained

__all__ = [
    "EncoderConfig",
    "InputError",
    "activations",
    "albert_encoder",
    "bert_encoder",
    "layers",
    "load_encoder",
    "load_model",
    "optimizers",
    "save_pretrained",
]
