"""Text to token ids as Google's programs do it, in TensorFlow graphs and outside of them."""

from keras_albert.tokenization.packing import join_segments, pack, pad, windows
from keras_albert.tokenization.preprocessor import Preprocessor
from keras_albert.tokenization.sentencepiece import SentencePieceTokenizer
from keras_albert.tokenization.tokenizer import Encoding, Tokenizer
from keras_albert.tokenization.vocabulary import load_vocabulary
from keras_albert.tokenization.wordpiece import WordPieceTokenizer

__all__ = [
    "Encoding",
    "Preprocessor",
    "SentencePieceTokenizer",
    "Tokenizer",
    "WordPieceTokenizer",
    "join_segments",
    "load_vocabulary",
    "pack",
    "pad",
    "windows",
]
