"""Small tokenizers, which a bare clone has, too."""

import functools

from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from tests.paths import REFERENCE

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@functools.cache
def wordpiece_of(*tokens):
    return WordPieceTokenizer([*SPECIAL, *tokens], lower_case=True)


@functools.cache
def sentencepiece(clean_up=True):
    path = REFERENCE / "albert_hub/module/assets/30k-clean.model"
    return SentencePieceTokenizer(path, lower_case=True, clean_up=clean_up)
