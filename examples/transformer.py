"""The Transformer of "Attention Is All You Need", built from keras_albert's layers.

It learns to copy or to reverse random sequences by teacher forcing, then decodes greedily and
prints how many held-out sequences come out exactly. About a minute on two CPU cores:

    python examples/transformer.py --task reverse
"""

import argparse

import keras
import numpy as np
from keras import ops

from keras_albert import layers

PAD, START, END = 0, 1, 2
FIRST_SYMBOL = 3
NUM_SYMBOLS = 10
VOCAB_SIZE = FIRST_SYMBOL + NUM_SYMBOLS
MAX_LENGTH = 8


def build_transformer(
    vocab_size: int = VOCAB_SIZE,
    num_layers: int = 2,
    hidden_dim: int = 64,
    num_heads: int = 4,
    intermediate_dim: int = 128,
    dropout: float = 0.0,
) -> keras.Model:
    """The whole model: Vaswani et al. 2017, figure 1.

    Returns:
        A functional model. Inputs: `source_ids` [batch, source_length] and `target_ids`
        [batch, target_length], the target shifted right, 0 where there is padding. Output:
        `logits` [batch, target_length, vocab_size] of each next target token.
    """
    source_ids = keras.Input((None,), dtype="int32", name="source_ids")
    target_ids = keras.Input((None,), dtype="int32", name="target_ids")
    # Section 3.4: one table for source, target and output.
    embedding = layers.TokenEmbedding(
        vocab_size,
        hidden_dim,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=hidden_dim**-0.5),
        name="token_embedding",
    )
    positions = layers.SinusoidalPositionEncoding(name="positions")

    def embed(ids):
        x = embedding(ids) * hidden_dim**0.5
        return keras.layers.Dropout(dropout)(x + positions(x))

    def block(kind, name):
        return kind(
            num_heads=num_heads,
            intermediate_dim=intermediate_dim,
            activation="relu",
            dropout=dropout,
            attention_dropout=0.0,
            layer_norm_epsilon=1e-6,
            kernel_initializer="glorot_uniform",
            name=name,
        )

    source_mask = ops.not_equal(source_ids, PAD)
    encoded = embed(source_ids)
    for i in range(num_layers):
        encoded = block(layers.TransformerEncoderBlock, f"encoder_block_{i}")(
            encoded, mask=source_mask
        )

    # Padding stands at the end of a target: causality hides it from every token before it.
    y = embed(target_ids)
    for i in range(num_layers):
        y = block(layers.TransformerDecoderBlock, f"decoder_block_{i}")(
            y, encoded, encoder_mask=source_mask
        )
    logits = ops.matmul(y, ops.transpose(embedding(target_ids, table_only=True)))
    return keras.Model({"source_ids": source_ids, "target_ids": target_ids}, logits)


def make_data(
    task: str, size: int, seed: int, max_length: int = MAX_LENGTH
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Random sequences of 1 to `max_length` symbols, and what they are to become.

    Args:
        task: `"copy"` or `"reverse"`.
        size: Number of sequences.
        seed: Of the random numbers.
        max_length: Of a source; targets have one more place, for START or END.

    Returns:
        Model inputs (`source_ids` [size, max_length], `target_ids` [size, max_length + 1]) and
        labels [size, max_length + 1], all int32.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, max_length + 1, size)
    source = np.full((size, max_length), PAD, "int32")
    labels = np.full((size, max_length + 1), PAD, "int32")
    for row, length in enumerate(lengths):
        sequence = rng.integers(FIRST_SYMBOL, VOCAB_SIZE, length)
        source[row, :length] = sequence
        labels[row, :length] = sequence if task == "copy" else sequence[::-1]
        labels[row, length] = END
    target = np.concatenate([np.full((size, 1), START, "int32"), labels[:, :-1]], axis=1)
    return {"source_ids": source, "target_ids": target}, labels


def train(
    model: keras.Model,
    inputs: dict[str, np.ndarray],
    labels: np.ndarray,
    *,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    verbose: int = 2,
) -> keras.callbacks.History:
    """Teacher forcing: every next token from the true ones before it."""
    steps = epochs * -(-len(labels) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=learning_rate, warmup_steps=steps // 10
    )
    model.compile(
        # Section 5.3, with a schedule for a minute instead of twelve hours.
        optimizer=keras.optimizers.Adam(schedule, beta_2=0.98, epsilon=1e-9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    weights = (labels != PAD).astype("float32")
    return model.fit(
        inputs, labels, sample_weight=weights, batch_size=batch_size, epochs=epochs, verbose=verbose
    )


def decode(model: keras.Model, source_ids: np.ndarray) -> np.ndarray:
    """The most probable next token, again and again: [batch, source_length + 1], up to END."""
    size, length = source_ids.shape
    target = np.full((size, length + 1), PAD, "int32")
    target[:, 0] = START
    output = np.full_like(target, PAD)
    for step in range(length + 1):
        inputs = {"source_ids": source_ids, "target_ids": target}
        logits = model.predict(inputs, batch_size=256, verbose=0)
        running = (output != END).all(axis=1)
        output[running, step] = logits[running, step].argmax(axis=-1)
        if step < length:
            target[:, step + 1] = output[:, step]
    return output


def exact_match(model: keras.Model, source_ids: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of sequences that greedy decoding gets right from first symbol to END."""
    return float((decode(model, source_ids) == labels).all(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--task", choices=("copy", "reverse"), default="reverse")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    keras.utils.set_random_seed(arguments.seed)
    model = build_transformer()
    inputs, labels = make_data(arguments.task, 8192, arguments.seed)
    train(model, inputs, labels, epochs=arguments.epochs)

    inputs, labels = make_data(arguments.task, 512, arguments.seed + 1)
    accuracy = exact_match(model, inputs["source_ids"], labels)
    print(f"{arguments.task}: {accuracy:.1%} of {len(labels)} held-out sequences exact")


if __name__ == "__main__":
    main()
