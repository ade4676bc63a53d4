"""The tasks of finetuning_quality.py: which rows, how much training, which metrics."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from keras_albert.data.readers import read_records

SMALL_CHINESE = "small random Chinese BERT"
ENTITIES = ("LOC", "MISC", "ORG", "PER")
SENTIMENT = ("negative", "positive")


class Row(NamedTuple):
    """A text or a pair of texts, and its class index, number, or 0 and 1 for every label."""

    texts: tuple[str, ...]
    label: int | float | list[int]


@dataclass(frozen=True)
class Task:
    """One fine-tuning, the same for both sides.

    Attributes:
        title: As the table shows it.
        kind: "classification", "multi_label" or "regression".
        labels: Names of the classes; none for a regression.
        read: Maps the folder of the data to the rows to learn from and those to measure on.
        metrics: What is compared, the first of them with the majority baseline; names of
            `keras_albert.training.metrics`.
        split: In words, which rows they are.
        weights: A folder of Google's layout, or `SMALL_CHINESE`.
        epochs, max_length, learning_rate, batch_size: Of the training.
    """

    title: str
    kind: str
    labels: tuple[str, ...]
    read: Callable[[Path], tuple[list[Row], list[Row]]]
    metrics: tuple[str, ...]
    split: str
    weights: str = "minilm_l6_tf1"
    epochs: int = 1
    max_length: int = 128
    learning_rate: float = 5e-5
    batch_size: int = 32

    def rows(self, data: Path) -> tuple[list[Row], list[Row]]:
        """Rows to learn from, without those whose texts are measured on, and rows to measure on."""
        train, evaluation = self.read(data)
        measured = {row.texts for row in evaluation}
        return [row for row in train if row.texts not in measured], evaluation


def texts_of(path: Path, labels: Sequence[str] = (), **options: Any) -> list[Row]:
    """The rows of a table; with no labels, numbers to regress to."""
    if not labels:
        options["label_type"] = "number"
    records = read_records(path, "text", format="tsv", **options)
    return [Row(r.texts, labels.index(r.label) if labels else r.label) for r in records]


def every(rows: Sequence[Row], step: int) -> tuple[list[Row], list[Row]]:
    """Rows to learn from, and every `step`-th row to measure on."""
    return [row for i, row in enumerate(rows) if i % step], list(rows[::step])


def sst2(data: Path) -> tuple[list[Row], list[Row]]:
    """The sample that Google's own code was measured on."""
    train, dev = (texts_of(data / "SST-2" / f"{name}.tsv", "01") for name in ("train", "dev"))
    return train[:60_000:6], dev


def mrpc(data: Path) -> tuple[list[Row], list[Row]]:
    train, test = (
        texts_of(data / "MRPC" / f"msr_paraphrase_{name}.txt", "01") for name in ("train", "test")
    )
    return train, test


def sts_b(data: Path) -> tuple[list[Row], list[Row]]:
    columns = {"text": -3, "text_pair": -2, "label": -1}
    train = texts_of(data / "STS-B" / "train.tsv", header=False, **columns)
    return train, texts_of(data / "STS-B" / "test.tsv", header=True, **columns)


def sms_spam(data: Path) -> tuple[list[Row], list[Row]]:
    return every(texts_of(data / "sms_spam" / "SMSSpamCollection", ("ham", "spam")), 5)


def products(data: Path) -> tuple[list[Row], list[Row]]:
    """Sentences of 309 reviews; no review is on both sides."""
    path = data / "vader" / "amazonReviewSnippets_GroundTruth.txt"
    rows = texts_of(path, text=2, label=1, header=False)
    reviews = [line.split("_")[0] for line in path.read_text("utf-8").splitlines()]
    numbers = {review: i for i, review in enumerate(dict.fromkeys(reviews))}
    held_out = [numbers[review] % 5 == 0 for review in reviews]
    return (
        list(itertools.compress(rows, (not out for out in held_out))),
        list(itertools.compress(rows, held_out)),
    )


def entity_types(data: Path) -> tuple[list[Row], list[Row]]:
    """Sentences with the types of entities that occur in them, none to four."""

    def read(name: str) -> Iterator[Row]:
        for record in read_records(data / "CoNLL2003" / f"{name}.txt", "words"):
            types = {tag[2:] for tag in record.tags or ()}
            yield Row((" ".join(record.words),), [int(entity in types) for entity in ENTITIES])

    return list(read("train"))[::4], list(read("valid"))[::2]


def chnsenticorp(data: Path) -> tuple[list[Row], list[Row]]:
    folder = data / "zh_ChnSentiCorp"
    train, dev = (
        texts_of(folder / f"{name}.tsv", SENTIMENT, text=0, label=1, header=False)
        for name in ("train", "dev")
    )
    return train[::2], dev


def lcqmc(data: Path) -> tuple[list[Row], list[Row]]:
    dev, test = (
        texts_of(
            data / "zh_LCQMC" / f"{name}.txt", "01", text=0, text_pair=1, label=2, header=False
        )
        for name in ("dev", "test")
    )
    return dev, test[::5]


# In the order of their training time.
TASKS = {
    "sst2": Task(
        "SST-2",
        "classification",
        ("negative", "positive"),
        sst2,
        ("accuracy",),
        "train.tsv, rows 0, 6, 12, …, 10,000 of them; dev.tsv",
        max_length=64,
    ),
    "chnsenticorp": Task(
        "ChnSentiCorp",
        "classification",
        SENTIMENT,
        chnsenticorp,
        ("accuracy",),
        "every second row of train.tsv; dev.tsv",
        weights=SMALL_CHINESE,
        epochs=3,
        max_length=64,
        learning_rate=2e-4,
    ),
    "lcqmc": Task(
        "LCQMC",
        "classification",
        ("0", "1"),
        lcqmc,
        ("accuracy",),
        "dev.txt, since there is no train.txt; every fifth row of test.txt",
        weights=SMALL_CHINESE,
        epochs=3,
        max_length=64,
        learning_rate=2e-4,
    ),
    "sms_spam": Task(
        "SMS spam",
        "classification",
        ("ham", "spam"),
        sms_spam,
        ("f1", "accuracy"),
        "four of five rows; every fifth",
    ),
    "products": Task(
        "VADER product reviews",
        "regression",
        (),
        products,
        ("pearson", "spearman"),
        "the sentences of four of five reviews; of every fifth",
        epochs=2,
    ),
    "entity_types": Task(
        "CoNLL-2003, types of entities in a sentence",
        "multi_label",
        ENTITIES,
        entity_types,
        ("micro_f1", "macro_f1"),
        "every fourth sentence of train.txt; every second of valid.txt",
        epochs=2,
    ),
    "sts_b": Task(
        "STS-B",
        "regression",
        (),
        sts_b,
        ("pearson", "spearman"),
        "train.tsv; test.tsv, which is GLUE's dev set",
        epochs=3,
    ),
    "mrpc": Task(
        "MRPC",
        "classification",
        ("0", "1"),
        mrpc,
        ("f1", "accuracy"),
        "msr_paraphrase_train.txt; msr_paraphrase_test.txt",
        epochs=3,
    ),
}
