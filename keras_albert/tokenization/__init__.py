"""Text to token ids as Google's programs do it, in TensorFlow graphs and outside of them."""

from keras_albert.tokenization.packing import pack
from keras_albert.tokenization.vocabulary import load_vocabulary
from keras_albert.tokenization.wordpiece import WordPieceTokenizer

__all__ = ["WordPieceTokenizer", "load_vocabulary", "pack"]
