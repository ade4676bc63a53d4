"""Makes keras_albert/quickstart_data: a small ALBERT in Google's layout, and movie reviews.

    python examples/make_quickstart_data.py VADER_FOLDER VOCABULARY [--epochs 10]

VADER_FOLDER holds the ground-truth files of VADER (MIT). The vocabulary is the part of Google's
uncased `vocab.txt` that those texts use. The model is pre-trained on them with masked tokens and
sentence order (Lan et al. 2019), then exported as a TensorFlow 1 checkpoint. It is small and has
read little: an example, not a model for work.
"""

import argparse
import collections
import csv
import random
import tempfile
from pathlib import Path

import keras
import numpy as np

import keras_albert as ka
from checkpoints_tools.convert import export
from keras_albert.data.readers import read_records
from keras_albert.heads import build_model
from keras_albert.tokenization import WordPieceTokenizer, pack

OUT = Path(ka.__file__).parent / "quickstart_data"
FILES = ("movieReview", "amazonReview", "nytEditorial", "tweets")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCAB_SIZE = 4000
TRAIN_ROWS, TEST_ROWS = 4000, 1000
LENGTH, PREDICTIONS, IGNORED = 48, 7, -1


def read(folder: Path, name: str) -> list[tuple[float, str]]:
    """(rating, text) of one of VADER's files."""
    (path,) = folder.glob(f"{name}*_GroundTruth.txt")
    columns = {"label": 1, "label_type": "number", "text": 2}
    records = read_records(path, "text", format="tsv", **columns)
    return [(record.label, " ".join(record.texts[0].split())) for record in records]


def write_reviews(rows: list[tuple[float, str]]) -> None:
    """Movie reviews with a clear opinion, as label and text, in a fixed random split."""
    clear = [(int(rating > 0), text) for rating, text in rows if abs(rating) >= 1.0]
    random.Random(0).shuffle(clear)
    for name, part in (
        ("train.tsv", clear[:TRAIN_ROWS]),
        ("test.tsv", clear[TRAIN_ROWS : TRAIN_ROWS + TEST_ROWS]),
    ):
        with (OUT / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
            writer.writerow(("label", "text"))
            writer.writerows(part)


def part_of_vocabulary(full: Path, texts: list[str]) -> list[str]:
    """Special tokens, every single character in use, and the most frequent pieces."""
    tokenizer = WordPieceTokenizer(full, lower_case=True)
    counts = collections.Counter(tokenizer.token_ids(texts).flat_values.numpy().tolist())
    used = tokenizer.tokens_of(index for index, _ in counts.most_common())
    used = [token for token in used if token not in SPECIAL]
    characters = sorted({character for token in used for character in token if character != "#"})
    single = [*characters, *(f"##{character}" for character in characters)]
    single = [token for token in single if token in tokenizer.vocabulary]
    return list(dict.fromkeys([*SPECIAL, *single, *used]))[:VOCAB_SIZE]


def pretraining_rows(texts: list[str], tokenizer: WordPieceTokenizer, seed: int):
    """Inputs and labels: texts in two halves, half of them swapped; 15 % of the tokens masked."""
    numbers = np.random.default_rng(seed)
    ids = tokenizer.token_ids(texts).to_list()
    halves = [(row[: len(row) // 2], row[len(row) // 2 :]) for row in ids if len(row) >= 4]
    numbers.shuffle(halves)
    swapped = numbers.random(len(halves)) < 0.5
    pairs = [(b, a) if swap else (a, b) for (a, b), swap in zip(halves, swapped, strict=True)]
    import tensorflow as tf

    inputs = pack(
        tf.ragged.constant([a for a, _ in pairs], tf.int32),
        tf.ragged.constant([b for _, b in pairs], tf.int32),
        cls_id=tokenizer.cls_id,
        sep_id=tokenizer.sep_id,
        pad_id=tokenizer.pad_id,
        max_length=LENGTH,
    )
    inputs = {name: value.numpy() for name, value in inputs.items()}
    token_ids = inputs["token_ids"]
    chosen = np.zeros((len(pairs), PREDICTIONS), np.int32)
    labels = np.full((len(pairs), PREDICTIONS), IGNORED, np.int32)
    for row, tokens in enumerate(token_ids):
        places = np.flatnonzero(~np.isin(tokens, (tokenizer.cls_id, tokenizer.sep_id, 0)))
        count = min(PREDICTIONS, max(1, round(0.15 * len(places))), len(places))
        places = numbers.choice(places, count, replace=False)
        chosen[row, :count] = places
        labels[row, :count] = tokens[places]
        fate = numbers.random(count)
        tokens[places[fate < 0.8]] = tokenizer.mask_id
        odd = places[fate >= 0.9]
        tokens[odd] = numbers.integers(len(SPECIAL), len(tokenizer.vocabulary), len(odd))
    inputs["masked_positions"] = chosen
    return inputs, {"mlm_logits": labels, "sentence_relation_logits": swapped.astype(np.int32)}


def main() -> None:
    """Writes reviews, vocabulary and checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vader", type=Path)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    keras.utils.set_random_seed(0)
    OUT.mkdir(exist_ok=True)
    (OUT / "VADER_LICENSE.txt").write_bytes((args.vader / "LICENSE.txt").read_bytes())
    rows = {name: read(args.vader, name) for name in FILES}
    write_reviews(rows["movieReview"])
    held_out = {line.split("\t")[1] for line in (OUT / "test.tsv").read_text().splitlines()}
    texts = [text for part in rows.values() for _, text in part if text not in held_out]

    vocabulary = part_of_vocabulary(args.vocabulary, texts)
    config = ka.EncoderConfig(
        family="albert",
        vocab_size=len(vocabulary),
        embedding_dim=64,
        hidden_dim=128,
        num_layers=4,
        num_heads=4,
        intermediate_dim=512,
        num_groups=1,
        max_sequence_length=128,
        dropout=0.0,
        attention_dropout=0.0,
    )
    model = build_model(config, "pretraining")
    tokenizer = WordPieceTokenizer(vocabulary, lower_case=True)
    steps = args.epochs * len(texts) // 64
    model.compile(
        ka.optimizers.AdamW(
            ka.optimizers.PolynomialDecayWithWarmup(
                1e-3, total_steps=steps, warmup_steps=steps // 10
            ),
            global_clipnorm=1.0,
        ),
        loss={
            name: keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignored)
            for name, ignored in (("mlm_logits", IGNORED), ("sentence_relation_logits", None))
        },
        metrics={"sentence_relation_logits": "accuracy"},
    )
    for epoch in range(args.epochs):  # masks are drawn anew
        inputs, labels = pretraining_rows(texts, tokenizer, seed=epoch)
        model.fit(inputs, labels, batch_size=64, verbose=2)

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "vocab.txt")
        path.write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
        ka.save_pretrained(model, Path(temporary, "model"), tokenizer=path)
        export(Path(temporary, "model"), OUT / "albert_mini" / "model.ckpt", force=True)


if __name__ == "__main__":
    main()
