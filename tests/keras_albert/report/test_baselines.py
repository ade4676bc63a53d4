import numpy as np
import pytest

from keras_albert.errors import InputError
from keras_albert.report import baseline_metrics
from keras_albert.report.baselines import uses_characters
from tests.paths import SHARED, needs_shared

TEXTS = ["a good film", "good fun", "so good", "a bad film", "bad jokes"]
LABELS = [1, 1, 1, 0, 0]
NAMES = ["negative", "positive"]


def test_majority_always_guesses_what_is_most_frequent_in_training():
    found = baseline_metrics("classification", TEXTS, LABELS, ["good", "bad"], [1, 0], NAMES)
    assert found["majority"]["confusion"] == [[0, 1], [0, 1]]
    # Its probabilities are the shares in training, 3/5 and 2/5.
    assert found["majority"]["log_loss"] == pytest.approx(-np.log(0.6 * 0.4) / 2)


def test_tfidf_learns_what_a_word_tells():
    found = baseline_metrics(
        "classification", TEXTS, LABELS, ["good one", "bad one"], [1, 0], NAMES
    )
    assert found["tfidf_logistic_regression"]["accuracy"] == 1.0


def test_a_class_without_training_rows_has_no_probability():
    found = baseline_metrics("classification", TEXTS, LABELS, ["good"], [1], [*NAMES, "mixed"])
    assert found["tfidf_logistic_regression"]["confusion"] == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert "f1" not in found["majority"]


def test_several_labels_have_one_regression_each_and_constant_ones_none():
    # The second label is in every row of training, the third in none.
    train = [[label, 1, 0] for label in LABELS]
    rows = [[1, 1, 0], [0, 0, 1]]
    names = ["good", "always", "never"]
    found = baseline_metrics("multi_label", TEXTS, train, ["good one", "bad one"], rows, names)
    per_label = found["tfidf_logistic_regression"]["per_label"]
    assert per_label["good"]["f1"] == 1.0
    assert (per_label["always"]["precision"], per_label["always"]["recall"]) == (0.5, 1.0)
    assert per_label["never"]["recall"] == 0.0
    assert found["majority"]["per_label"]["good"]["recall"] == 1.0  # 3/5 of the rows have it


def test_regression_has_the_mean_and_ridge_regression():
    found = baseline_metrics("regression", TEXTS, [5, 4, 4, 1, 1], ["good", "bad"], [4, 2])
    assert found["mean"]["mae"] == 1.0  # the mean is 3
    assert found["mean"]["pearson"] is None
    assert found["tfidf_ridge"]["pearson"] == pytest.approx(1.0)


def test_pairs_are_compared():
    pairs = [("red car", "red car"), ("red car", "old dog"), ("old dog", "old dog")]
    pairs += [("old dog", "red car"), ("big house", "big house"), ("big house", "red car")]
    found = baseline_metrics(
        "regression", pairs, [5, 0, 5, 0, 5, 0], [("big car", "big car"), ("big", "dog")], [5, 0]
    )
    assert found["tfidf_ridge"]["pearson"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("texts", "characters"),
    [
        (["a good film"], False),
        (["这部电影很好"], True),
        (["とても良い"], True),
        (["이 영화는 좋다"], True),
        (["我用 Windows XP 系统"], True),
        (["the word 好 means good"], False),
        ([("good", "很好很好")], True),
        (["!!!", "😀"], True),  # no word there
    ],
)
def test_scripts_without_words_between_spaces_are_cut_into_characters(texts, characters):
    assert uses_characters(texts) is characters


def test_chinese_is_learnt_without_a_word_segmenter():
    texts = ["很好看", "真好", "好极了", "太差了", "很差"]
    found = baseline_metrics("classification", texts, LABELS, ["好书", "差评"], [1, 0], NAMES)
    assert found["tfidf_logistic_regression"]["accuracy"] == 1.0


def test_training_rows_without_two_classes_or_characters_are_refused():
    with pytest.raises(InputError, match=r"two classes\. Received: only 'positive'"):
        baseline_metrics("classification", ["a"], [1], ["a"], [1], NAMES)
    with pytest.raises(InputError, match="a text with characters"):
        baseline_metrics("classification", ["", ""], [0, 1], ["a"], [1], NAMES)


@needs_shared
@pytest.mark.slow
def test_tfidf_is_far_above_the_majority_on_real_reviews():
    def rows(name):
        with (SHARED / "data" / "zh_ChnSentiCorp" / name).open(encoding="utf-8") as file:
            pairs = [line.rstrip("\n").rsplit("\t", 1) for line in file]
        return [text for text, _ in pairs], [int(label == "positive") for _, label in pairs]

    found = baseline_metrics("classification", *rows("train.tsv"), *rows("dev.tsv"), NAMES)
    assert found["majority"]["accuracy"] < 0.55
    assert found["tfidf_logistic_regression"]["accuracy"] > 0.85
