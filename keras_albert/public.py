"""The public names of keras_albert, and the import that registers every class with Keras."""

from keras_albert import activations, data, distribute, layers, optimizers, tasks, tokenization
from keras_albert.config import EncoderConfig
from keras_albert.encoders import albert_encoder, bert_encoder
from keras_albert.errors import InputError
from keras_albert.pretrained import load_encoder, load_model, save_pretrained
from keras_albert.pretrained_text import load_preprocessor, load_tokenizer

__all__ = [
    "EncoderConfig",
    "InputError",
    "activations",
    "albert_encoder",
    "bert_encoder",
    "data",
    "distribute",
    "layers",
    "load_encoder",
    "load_model",
    "load_preprocessor",
    "load_tokenizer",
    "optimizers",
    "save_pretrained",
    "tasks",
    "tokenization",
]
