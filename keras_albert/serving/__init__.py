"""Models for servers: a SavedModel that answers raw strings, with a second way in for token ids.

TensorFlow Serving, and whatever else loads a SavedModel, needs neither this package nor Keras for
it. The tokenizer in it is made of tensorflow-text's operations, which the process that loads it
must know (`import tensorflow_text` in Python). TensorFlow refuses a graph that has an operation
which it does not know, all of it: where tensorflow-text is missing, only a SavedModel without the
tokenizer is of use (`tokens_only`).
"""

from keras_albert.serving.export import export_saved_model

__all__ = ["export_saved_model"]
