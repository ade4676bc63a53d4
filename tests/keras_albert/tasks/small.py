"""A BERT so small that it learns a rule of two words in seconds, as a folder with a vocabulary."""

import keras
import numpy as np

import keras_albert as ka
from keras_albert import runs

ADJECTIVES = ["good", "fine", "bad", "poor"]
WORDS = [*ADJECTIVES, "film", "book", "the", "a", "was", "and", "not", "!", ".", "long"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *"中文好坏"]
CONFIG = ka.EncoderConfig(
    vocab_size=len(VOCABULARY),
    hidden_dim=16,
    num_layers=1,
    num_heads=2,
    intermediate_dim=32,
    max_sequence_length=32,
    initializer_range=0.2,
)
POSITIVE = ("good", "fine")


def write_source(folder):
    """An encoder with fresh weights and its vocabulary."""
    keras.utils.set_random_seed(1)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    ka.save_pretrained(ka.bert_encoder(CONFIG), folder / "encoder", tokenizer=vocabulary)
    return folder / "encoder"


def run_eagerly(monkeypatch):
    """The steps of runs are eager: of a few, faster than tracing one."""
    given = runs.Settings.compile_arguments
    monkeypatch.setattr(
        runs.Settings, "compile_arguments", lambda self: given(self) | {"run_eagerly": True}
    )


def reviews(rows, seed=0):
    """Texts of some words around an adjective, and whether that is a good one."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(rows):
        adjective = rng.choice(ADJECTIVES)
        before, after = rng.choice(WORDS[4:11], 2 + rng.integers(4)), rng.choice(WORDS[11:], 1)
        texts.append(" ".join([*before, adjective, *after]))
        labels.append("positive" if adjective in POSITIVE else "negative")
    return texts, labels


NAMES = ["negative", "positive"]
