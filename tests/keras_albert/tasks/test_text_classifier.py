"""From strings to fit to predict."""

import json
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.data.tfrecords import TFRecords, rows_of, write_tfrecord
from keras_albert.directory import sha256
from keras_albert.errors import InputError
from keras_albert.tasks import TextClassifier, load
from keras_albert.tasks.learning import Learning
from tests.keras_albert.tasks.small import NAMES, reviews, write_source
from tests.paths import ROOT

MINI = ROOT / "keras_albert" / "quickstart_data" / "albert_mini"
TEXTS, LABELS = reviews(400)
NEW_TEXTS, NEW_LABELS = reviews(60, seed=1)
FAST = {"learning_rate": 5e-3}
FEW, FEW_LABELS = TEXTS[:32], LABELS[:32]
EAGER = FAST | {"run_eagerly": True}  # for a few steps, faster than tracing them


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def fresh(source, labels=NAMES, seed=0, **options):
    keras.utils.set_random_seed(seed)
    return TextClassifier.from_pretrained(source, labels, **options)


def fitted(source, *data, epochs=4, compile=FAST, **options):
    classifier = fresh(source)
    classifier.compile(**compile)
    classifier.fit(*data, epochs=epochs, batch_size=16, verbose=0, **options)
    return classifier


def taught(source, *data, **options):
    """One epoch."""
    return fitted(source, *data, epochs=1, compile=EAGER, **options)


@pytest.fixture(scope="module")
def learnt(source):
    """A classifier that has learnt, and the history of that."""
    classifier = fresh(source)
    classifier.compile(**FAST)
    history = classifier.fit(
        TEXTS,
        LABELS,
        epochs=4,
        batch_size=16,
        validation_data=(NEW_TEXTS, NEW_LABELS),
        verbose=0,
    )
    return classifier, history


@pytest.fixture(scope="module")
def classifier(learnt):
    return learnt[0]


def weights_of(classifier):
    return {weight.path: np.asarray(weight) for weight in classifier.model.weights}


def assert_same_weights(one, other):
    for path, weight in weights_of(one).items():
        np.testing.assert_array_equal(weight, weights_of(other)[path], err_msg=path)


def differ(one, other):
    ours, theirs = weights_of(one), weights_of(other)
    return any(not np.array_equal(weight, theirs[path]) for path, weight in ours.items())


def test_it_learns_and_names_the_label(classifier):
    assert classifier.evaluate(NEW_TEXTS, NEW_LABELS)["accuracy"] > 0.95
    answers = classifier.predict(["the film was good", "a poor book"])
    assert [answer["label"] for answer in answers] == ["positive", "negative"]
    for answer in answers:
        assert sum(answer["scores"].values()) == pytest.approx(1)
        assert max(answer["scores"], key=answer["scores"].get) == answer["label"]


def test_the_history_is_keras_own(learnt):
    classifier, history = learnt
    assert isinstance(history, keras.callbacks.History)
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "val_mcc"} <= set(
        history.history
    )
    assert len(history.history["val_loss"]) == 4
    measured = classifier.evaluate(NEW_TEXTS, NEW_LABELS)
    for name in ("accuracy", "macro_f1", "mcc"):
        assert history.history[f"val_{name}"][-1] == pytest.approx(measured[name], abs=1e-5)
    assert history.history["val_loss"][-1] == pytest.approx(measured["log_loss"], abs=1e-5)


def test_answers_keep_the_order_whatever_the_batches(classifier):
    expected = classifier.logits(NEW_TEXTS, batch_size=len(NEW_TEXTS))
    one_by_one = np.concatenate([classifier.logits([text]) for text in NEW_TEXTS])
    np.testing.assert_allclose(one_by_one, expected, atol=1e-5)
    np.testing.assert_allclose(classifier.logits(NEW_TEXTS, batch_size=7), expected, atol=1e-5)
    streamed = list(classifier.predict_iter(iter(NEW_TEXTS), batch_size=7))
    assert [answer["label"] for answer in streamed] == [
        NAMES[int(row.argmax())] for row in expected
    ]


def test_a_stream_is_read_no_further_than_a_window(classifier):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield "good film"

    answers = classifier.predict_iter(endless(), batch_size=1)
    assert next(answers)["label"] == "positive"
    assert len(taken) <= 100


def test_a_folder_gives_the_same_answers(classifier, tmp_path):
    classifier.save(tmp_path / "saved", provenance={"metrics": {"accuracy": 1.0}})
    loaded = load(tmp_path / "saved")
    assert isinstance(loaded, TextClassifier)
    assert loaded.settings == classifier.settings
    np.testing.assert_array_equal(loaded.logits(NEW_TEXTS), classifier.logits(NEW_TEXTS))
    provenance = json.loads((tmp_path / "saved" / "provenance.json").read_text())
    assert provenance["labels"] == NAMES
    assert provenance["metrics"] == {"accuracy": 1.0}
    assert provenance["settings"]["epochs"] == 4
    assert provenance["data"]["train"]["rows"] == len(TEXTS)
    with pytest.raises(FileExistsError):
        classifier.save(tmp_path / "saved")


def test_a_folder_tells_its_source_to_the_byte_generation_by_generation(source, tmp_path):
    def provenance(folder):
        return json.loads((folder / "provenance.json").read_text())

    sums = {"model.weights.h5": sha256(source / "model.weights.h5")}
    first, second = tmp_path / "first", tmp_path / "second"
    taught(source, FEW, FEW_LABELS).save(first)
    encoder = {"source": str(source), "kind": "keras", "sha256": sums}
    assert provenance(first).items() >= encoder.items()
    again = load(first)
    again.compile(**EAGER)
    again.fit(FEW, FEW_LABELS, epochs=1, batch_size=16, verbose=0)
    again.save(second)
    sums = {"model.weights.h5": provenance(first)["weights_sha256"]}
    own = {"source": str(first), "kind": "keras", "sha256": sums, "origin": encoder}
    assert provenance(second).items() >= own.items()
    fresh(second).save(tmp_path / "third")  # not fitted
    assert provenance(tmp_path / "third")["origin"] == own


def test_a_checkpoint_s_files_are_named_with_their_sums_also_from_an_archive(tmp_path):
    archive = shutil.make_archive(str(tmp_path / "mini"), "zip", MINI)
    for source in (MINI, archive):
        provenance = fresh(source).provenance
        assert (provenance["source"], provenance["kind"]) == (str(source), "tf1")
        assert provenance["sha256"] == {
            path.name: sha256(path) for path in MINI.glob("model.ckpt.*")
        }


def test_case_is_kept_in_the_folder(source, tmp_path):
    fresh(source, lower_case=False).save(tmp_path / "cased")
    loaded = load(tmp_path / "cased")
    assert not loaded.preprocess.tokenizer.lower_case
    assert not ka.load_tokenizer(tmp_path / "cased").lower_case


def test_a_vocabulary_under_another_name_is_found_again_in_the_folder(source, tmp_path):
    vocabulary = tmp_path / "chinese_21128.txt"
    vocabulary.write_bytes((source / "vocab.txt").read_bytes())
    (source / "vocab.txt").rename(tmp_path / "aside")
    try:
        classifier = fresh(source, vocabulary_path=vocabulary)
    finally:
        (tmp_path / "aside").rename(source / "vocab.txt")
    classifier.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.logits(NEW_TEXTS), classifier.logits(NEW_TEXTS))


def test_the_same_seed_gives_the_same_weights(source):
    first = taught(source, FEW, FEW_LABELS)
    assert_same_weights(first, taught(source, FEW, FEW_LABELS))
    assert differ(first, taught(source, FEW, FEW_LABELS, seed=1))


def test_names_numbers_and_a_dataset_teach_the_same(source):
    first = taught(source, FEW, FEW_LABELS, shuffle=False)
    numbers = [NAMES.index(label) for label in FEW_LABELS]
    assert_same_weights(first, taught(source, FEW, numbers, shuffle=False))
    for labels in (FEW_LABELS, numbers):
        data = tf.data.Dataset.from_tensor_slices((FEW, labels))
        assert_same_weights(first, taught(source, data, shuffle=False))
        batches = data.batch(20)
        assert_same_weights(first, taught(source, batches, shuffle=False))


def test_tfrecords_teach_and_are_measured(source, tmp_path):
    first = taught(source, FEW, FEW_LABELS, shuffle=False)
    write_tfrecord(tmp_path / "t.tfrecord", rows_of((FEW, FEW_LABELS), first.preprocess))
    records = TFRecords(tmp_path / "t.tfrecord")
    assert_same_weights(first, taught(source, records, shuffle=False))
    assert first.evaluate(records)["accuracy"] == first.evaluate(FEW, FEW_LABELS)["accuracy"]


def test_a_dataset_is_measured_as_its_rows_are(classifier):
    data = tf.data.Dataset.from_tensor_slices((NEW_TEXTS, NEW_LABELS))
    assert (
        classifier.evaluate(data.batch(9))["confusion"]
        == (classifier.evaluate(NEW_TEXTS, NEW_LABELS)["confusion"])
    )


def test_pairs_are_two_segments(source):
    adjectives = ["good", "bad", "fine", "poor"]
    pairs = [(f"the {a}", f"{b} film") for a in adjectives for b in adjectives] * 3
    labels = ["same" if a.split()[1] == b.split()[0] else "other" for a, b in pairs]
    classifier = fresh(source, ["other", "same"])
    classifier.compile(**EAGER)
    classifier.fit(pairs, labels, epochs=1, batch_size=16, verbose=0)
    assert classifier.settings.segments == 2
    expected = classifier.preprocess.ragged(pairs[:1])["segment_ids"].to_list()
    assert expected == [[0, 0, 0, 0, 1, 1, 1]]
    by_segment = tuple(map(list, zip(*pairs, strict=True)))
    np.testing.assert_array_equal(classifier.logits(by_segment), classifier.logits(pairs))
    # Through the pipeline, in batches of 32, as by themselves.
    one_by_one = [classifier.logits(pairs[row : row + 1])[0] for row in range(40)]
    np.testing.assert_allclose(classifier.logits(pairs)[:40], one_by_one, atol=1e-5)
    with pytest.raises(InputError, match=r"inputs have 2 texts each. Received: 1"):
        classifier.predict(["one text"])


def test_several_labels_are_found_at_once(source):
    rng = np.random.default_rng(0)
    names = ["good", "bad", "book"]
    texts = [" ".join(rng.choice([*names, "film", "the"], 3)) for _ in range(400)]
    labels = [[name for name in names if name in text.split()] for text in texts]
    classifier = fresh(source, names, kind="multi_label")
    classifier.compile(**FAST)
    history = classifier.fit(
        texts[100:],
        labels[100:],
        epochs=9,
        batch_size=16,
        validation_data=(texts[:100], labels[:100]),
        verbose=0,
    )
    measured = classifier.evaluate(texts[:100], labels[:100])
    assert measured["micro_f1"] > 0.8  # of all labels for every text it would be 0.60
    assert history.history["val_micro_f1"][-1] == pytest.approx(measured["micro_f1"], abs=1e-5)
    (answer,) = classifier.predict(["the good book"])
    assert answer["labels"] == ["good", "book"]
    assert set(answer["scores"]) == set(names)
    indicators = np.array([[name in given for name in names] for given in labels[:100]], int)
    assert classifier.evaluate(texts[:100], indicators) == measured


def test_a_number_is_regressed_to(source):
    numbers = [2.0 if label == "positive" else -1.0 for label in LABELS]
    classifier = fresh(source, None, kind="regression")
    classifier.compile(**FAST)
    classifier.fit(TEXTS, numbers, epochs=5, batch_size=16, verbose=0)
    measured = classifier.evaluate(
        NEW_TEXTS, [2.0 if label == "positive" else -1.0 for label in NEW_LABELS]
    )
    assert measured["pearson"] > 0.95
    good, bad = classifier.predict(["a good film", "a bad film"])
    assert good["score"] > 1 and bad["score"] < 0
    with pytest.raises(InputError, match="Probabilities are calibrated"):
        classifier.calibrate(TEXTS, numbers)


def test_windows_average_the_logits_of_their_parts(source):
    classifier = fresh(source, max_length=6, long_texts="windows", stride=2)
    text = "the good film was bad a book"  # 7 tokens; windows of 4 begin at 0, 2 and 4
    words = text.split()
    parts = [" ".join(words[start : start + 4]) for start in (0, 2, 4)]
    (found,) = classifier.logits([text])
    expected = fresh(source, max_length=6).logits(parts).mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_what_comes_late_in_a_text_is_learnt_from_windows(source):
    texts = [f"{'the film was a ' * 5}{text}" for text in TEXTS]
    classifier = fresh(source, seed=1, max_length=12, long_texts="windows")
    classifier.compile(**FAST)
    classifier.fit(texts, LABELS, epochs=4, batch_size=32, verbose=0)
    late = [f"{'the film was a ' * 5}{text}" for text in NEW_TEXTS]
    assert classifier.evaluate(late, NEW_LABELS)["accuracy"] > 0.9
    cut = fresh(source, max_length=12)
    np.testing.assert_allclose(*cut.logits([late[0], "the film was a " * 5])[:, 0], atol=1e-6)


def test_long_texts_are_refused_where_they_are_not_to_be_cut(source):
    classifier = fresh(source, max_length=4, long_texts="refuse")
    with pytest.raises(InputError, match="A text has at most max_length tokens"):
        classifier.predict(["good", "the good film"])
    with pytest.raises(InputError, match="A text has at most max_length tokens"):
        classifier.fit(["good", "the bad film"], LABELS[:2], verbose=0)


def test_calibration_mends_probabilities_and_keeps_labels(source):
    classifier = taught(source, TEXTS[:128], LABELS[:128])
    wrong = [NAMES[1 - NAMES.index(label)] for label in NEW_LABELS[:12]] + NEW_LABELS[12:]
    before = classifier.evaluate(NEW_TEXTS, wrong)
    labels = [answer["label"] for answer in classifier.predict(NEW_TEXTS)]
    temperature = classifier.calibrate(NEW_TEXTS, wrong)
    after = classifier.evaluate(NEW_TEXTS, wrong)
    assert temperature == classifier.settings.temperature != 1
    assert after["log_loss"] < before["log_loss"]
    assert after["accuracy"] == before["accuracy"]
    assert [answer["label"] for answer in classifier.predict(NEW_TEXTS)] == labels


def test_class_weights_are_sample_weights(source):
    weights = [3.0 if label == "positive" else 1.0 for label in FEW_LABELS]
    first = taught(source, FEW, FEW_LABELS, sample_weight=weights)
    assert_same_weights(first, taught(source, FEW, FEW_LABELS, class_weight={"positive": 3}))
    assert differ(first, taught(source, FEW, FEW_LABELS))
    both = taught(source, FEW, FEW_LABELS, class_weight={0: 2, 1: 2}, sample_weight=[0.5] * 32)
    equal = taught(source, FEW, FEW_LABELS, sample_weight=[1.0] * 32)
    assert_same_weights(both, equal)


def test_smoothed_labels_have_keras_loss(source):
    classifier = fresh(source)
    classifier.compile(label_smoothing=0.2, learning_rate=0.0, run_eagerly=True)
    history = classifier.fit(
        FEW, FEW_LABELS, epochs=1, validation_data=(NEW_TEXTS, NEW_LABELS), verbose=0
    )
    probabilities = np.log(classifier.probabilities(NEW_TEXTS))
    smoothed = np.eye(2)[[NAMES.index(label) for label in NEW_LABELS]] * 0.8 + 0.1
    expected = -(smoothed * probabilities).sum(axis=-1).mean()
    assert history.history["val_loss"][0] == pytest.approx(expected, abs=1e-5)
    assert "val_accuracy" in history.history


def test_frozen_layers_stay_as_they_are(source):
    before = weights_of(fresh(source))
    classifier = fitted(
        source,
        FEW,
        FEW_LABELS,
        epochs=1,
        compile=EAGER | {"freeze": ["*_embedding", "embedding_*"]},
    )
    after = weights_of(classifier)
    changed = {
        path.split("/")[0] for path in after if not np.array_equal(after[path], before[path])
    }
    assert changed == {"encoder_block_0", "pool", "classifier"}
    with pytest.raises(InputError, match="freeze names layers of the model: token_embedding"):
        fitted(source, TEXTS, LABELS, compile={"freeze": "encoder_block_9"})


def test_an_optimizer_of_ones_own_is_taken(source):
    classifier = fresh(source)
    classifier.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"], run_eagerly=True)
    before = weights_of(classifier)
    history = classifier.fit(FEW, FEW_LABELS, epochs=1, verbose=0)
    assert set(history.history) == {"loss", "accuracy"}
    assert all(
        np.array_equal(value, before[path]) for path, value in weights_of(classifier).items()
    )


def test_keras_callbacks_are_called(source):
    epochs = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(logs))
    fitted(source, FEW, FEW_LABELS, epochs=2, compile=EAGER, callbacks=[callback])
    assert [set(logs) for logs in epochs] == [{"loss", "accuracy", "macro_f1", "mcc"}] * 2


def test_windows_weigh_as_much_as_their_text(source):
    texts = ["the good film", "the film was a bad book and a poor film !"]
    classifier = fresh(source, max_length=6, long_texts="windows")
    classifier.compile(learning_rate=0.0, run_eagerly=True)
    validation = (texts, NAMES[::-1])
    history = classifier.fit(*validation, epochs=1, validation_data=validation, verbose=0).history
    parts = [texts[0]] + [" ".join(texts[1].split()[i : i + 4]) for i in (0, 2, 4, 6, 8)]
    probabilities = fresh(source, max_length=6).probabilities(parts)
    losses = -np.log([probabilities[0, 1], *probabilities[1:, 0]])
    assert history["val_loss"][0] == pytest.approx((losses[0] + losses[1:].mean()) / 2, abs=1e-5)
    right = np.array([probabilities[0, 1] > 0.5, *(probabilities[1:, 0] > 0.5)])
    assert history["val_accuracy"][0] == pytest.approx((right[0] + right[1:].mean()) / 2)


@pytest.mark.slow
def test_xla_compiles_for_few_lengths(source):
    classifier = fresh(source)
    classifier.compile(jit_compile=True, **FAST)
    validation = (NEW_TEXTS, NEW_LABELS)  # which do not fill their last batch
    history = classifier.fit(
        TEXTS, LABELS, epochs=4, batch_size=16, validation_data=validation, verbose=0
    ).history
    measured = classifier.evaluate(*validation)
    assert measured["accuracy"] > 0.95
    assert history["val_accuracy"][-1] == pytest.approx(measured["accuracy"])
    assert history["val_mcc"][-1] == pytest.approx(measured["mcc"], abs=1e-5)


def test_lengths_are_few_where_each_is_compiled_for():
    assert Learning(options={"jit_compile": True}).buckets(100) == [16, 32, 64, 100]
    assert Learning(options={"jit_compile": True}).buckets(16) == [16]
    assert Learning(options={"jit_compile": False}).buckets(100) is None
    assert Learning(options={"run_eagerly": True}).buckets(100) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"texts": TEXTS, "labels": ["positive"] * 400},
            "What is learnt from has two labels or more. "
            "Received: 'positive' for each of 400 texts",
        ),
        (
            {
                "texts": TEXTS,
                "labels": LABELS,
                "validation_data": (["good", "bad"], ["positive", "mixed"]),
            },
            "A label is one of 'negative', 'positive', or its number from 0, at row 1. "
            "Received: label='mixed'",
        ),
        ({"texts": TEXTS}, "Every text needs a label here. Received: labels=None"),
        (
            {"texts": TEXTS, "labels": LABELS, "epochs": 0},
            "There is at least one epoch. Received: epochs=0",
        ),
        (
            {"texts": TEXTS, "labels": LABELS, "batch_size": 2**31},
            "A batch has at least one row, and fewer than 2**31. Received: batch_size=2147483648",
        ),
        (
            {"texts": TEXTS, "labels": LABELS, "patience": 1},
            "The best epoch is found by validation_data. "
            "Received: monitor=None, patience=1, validation_data=None",
        ),
        (
            {"texts": tf.data.Dataset.from_tensors("a").repeat()},
            "A dataset to learn from ends. Received: one that repeats for ever",
        ),
        (
            {"texts": tf.data.Dataset.from_tensors((["a"], ["b"])), "labels": ["b"]},
            "A dataset brings its labels and weights. Received: labels beside it",
        ),
    ],
)
def test_bad_arguments_of_fit_are_one_line(source, arguments, message):
    classifier = fresh(source)
    before = weights_of(classifier)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        classifier.fit(**arguments, verbose=0)
    assert all(
        np.array_equal(value, before[path]) for path, value in weights_of(classifier).items()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_smoothing": 1.0}, "Label smoothing is at least 0 and below 1"),
        ({"optimizer": "sgd", "learning_rate": 0.1}, "an optimizer of one's own has them already"),
        ({"loss": "mse", "label_smoothing": 0.1}, "Label smoothing is the default loss's"),
        ({"accumulation": 0}, r"at least one batch\. Received: accumulation=0"),
        ({"ema": 1.5}, r"at least 0 and below 1\. Received: ema=1\.5"),
        ({"layer_decay": 2.0}, r"at most 1\. Received: decay=2\.0"),
    ],
)
def test_bad_arguments_of_compile_are_one_line(classifier, arguments, message):
    with pytest.raises(InputError, match=message):
        classifier.compile(**arguments)


def test_a_training_has_the_batches_of_an_update(source):
    classifier = fresh(source)
    classifier.compile(accumulation=3)
    with pytest.raises(InputError, match=r"Received: accumulation=3, batches=2$"):
        classifier.fit(FEW, FEW_LABELS, epochs=1, batch_size=-(-len(FEW) // 2), verbose=0)


@pytest.mark.parametrize("ask", ["predict", "logits"])
def test_a_batch_has_a_row(classifier, ask):
    with pytest.raises(InputError, match=r"Received: batch_size=0$"):
        getattr(classifier, ask)(TEXTS, batch_size=0)


@pytest.mark.parametrize(
    ("length", "rule"), [(0, r"has at least \[CLS\]"), (2, r"more tokens than \[CLS\]")]
)
def test_a_row_has_a_token_of_its_text(source, length, rule):
    with pytest.raises(InputError, match=rf"{rule}.*\. Received: max_length={length}$"):
        fresh(source, max_length=length)


def test_numbers_are_not_smoothed(source):
    with pytest.raises(InputError, match="Numbers are not smoothed"):
        fresh(source, None, kind="regression").compile(label_smoothing=0.1)


def test_a_model_of_other_outputs_or_another_task_is_refused(source, classifier):
    three = ka.load_model(source, "classification", num_labels=3)
    with pytest.raises(InputError, match=r"Received: 3 outputs, 2 labels"):
        TextClassifier(three, classifier.preprocess, classifier.settings)
    with pytest.raises(InputError, match=r"'classification'\. Received: 'encoder'"):
        TextClassifier(ka.load_encoder(source), classifier.preprocess, classifier.settings)


def test_another_length_limit_is_taken(source):
    classifier = fresh(source)
    classifier.set_max_length(5)
    assert classifier.settings.max_length == classifier.preprocess.max_length == 5
    assert classifier.preprocess(["the good film was bad"])["token_ids"].shape == (1, 5)
    with pytest.raises(InputError, match=r"positions for 32 tokens\. Received: max_length=33"):
        classifier.set_max_length(33)
