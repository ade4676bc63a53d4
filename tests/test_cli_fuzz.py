"""Whatever a file holds, `fit` and `predict` end with the right status and one line at most."""

import contextlib
import datetime
import io
import json

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import keras_albert as ka
from keras_albert import cli, tasks
from keras_albert.report import run_folder
from keras_albert.tasks import base, text_classifier
from tests.keras_albert.tasks.small import NAMES, reviews, write_source

pytestmark = pytest.mark.slow

PREDICTIONS, FITS, STEPS = 7000, 3000, 30
FORMATS = st.sampled_from(["tsv", "csv", "jsonl", "text"])
COLUMNS = st.sampled_from([None, "0", "1", "7", "-1", "text", "label", "sentence", ""])
# What files are made of: words, whole rows, and everything that means something to a reader.
PIECES = st.one_of(
    st.sampled_from(
        [
            *("good", "the bad film", "positive", "negative", "0", "1", "-2.5", "nan", "1e999"),
            *("\t", ",", "\n", "\r\n", "\r", '"', '""', "'", "\\", "\0", "\ufeff", "\u2028"),
            *("{", "}", "[", "]", ":", "null", "true", "text", "label", "text_pair", "sentence"),
            '{"text": "good film", "label": "positive"}\n',
            '{"text": "bad", "label": ["positive", "negative"]}\n',
            '{"text": ["good", "bad"], "label": 1.5}\n',
            "label\ttext\n",
            "good film\tpositive\n",
            "poor book\tnegative\n",
            "good film\n",
        ]
    ),
    st.text(max_size=8),
)
CONTENTS = st.one_of(
    st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode("utf-8", "replace")),
    st.binary(max_size=120),
    st.lists(
        st.one_of(PIECES.map(lambda p: p.encode("utf-8", "replace")), st.binary(max_size=6))
    ).map(b"".join),
)


def examples(number):
    return settings(
        max_examples=number,
        deadline=datetime.timedelta(seconds=60),
        suppress_health_check=list(HealthCheck),
    )


def run(*arguments):
    """Status and standard error of a command, which must be no traceback."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        status = cli.run([str(argument) for argument in arguments])
    assert "Traceback" not in errors.getvalue()
    assert status in (0, 1, 2)
    lines = [line for line in errors.getvalue().splitlines() if "keras-albert: error:" in line]
    assert len(lines) == (status != 0), errors.getvalue()
    return status, errors.getvalue()


def flags(**values):
    """Those that are given, as a command line has them."""
    found = []
    for name, value in values.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            found.append(flag if value else flag.replace("--", "--no-", 1))
        elif value is not None:
            found.append(f"{flag}={value}")
    return found


OPTIONS = st.fixed_dictionaries(
    {
        "format": FORMATS,
        "text": COLUMNS,
        "text_pair": st.one_of(st.none(), st.none(), COLUMNS),
        "label": COLUMNS,
        "header": st.sampled_from([None, True, False]),
        "errors": st.sampled_from(["strict", "replace", "ignore"]),
    }
)

PLAIN = st.just({"format": "tsv"})
TASK = st.fixed_dictionaries(
    {
        "task": st.sampled_from([None, "classification", "multi_label", "regression"]),
        "label_type": st.sampled_from([None, "class", "number"]),
        "label_separator": st.sampled_from([None, ",", ""]),
        "long_texts": st.sampled_from(["cut", "windows", "refuse"]),
        "max_length": st.sampled_from([None, 8, 2, 0, 1000]),
    }
)

# Label of a row by its number, and what says so, for each kind of task.
LABELS = {
    "classes": (lambda row: NAMES[row % 2], {}),
    "several": (lambda row: ["", "a", "b", "a,b"][row % 4], {"label_separator": ","}),
    "numbers": (lambda row: str(row / 4), {"task": "regression"}),
}
LEARNING = st.fixed_dictionaries(
    {"batch_size": st.sampled_from([8, 16])},
    optional={
        "learning_rate": st.sampled_from([1e-3, 1e30]),  # of which there may be no finite loss
        "warmup": st.sampled_from([0.5, 1]),
        "max_length": st.sampled_from([5, 16]),
        "long_texts": st.sampled_from(["windows", "refuse"]),
        "dtype": st.sampled_from(["mixed_bfloat16", "mixed_float16"]),
        "accumulation": st.sampled_from([1, 2]),
        "ema": st.just(0.9),
        "layer_decay": st.just(0.9),
        "freeze": st.just("*_embedding"),
        "patience": st.just(1),
        "calibration": st.booleans(),
    },
)
# Some cases have one of these, too.
REFUSED = st.sampled_from(
    [
        *({"batch_size": 0}, {"warmup": -1}, {"label_smoothing": 2}, {"max_length": 4096}),
        *({"ema": 1.5}, {"layer_decay": 0}, {"freeze": "none"}, {"class_weight": "none=1"}),
        *({"learning_rate": "nan"}, {"weight_decay": "inf"}, {"accumulation": 99}, {"seed": -1}),
        *({"max_length": 2}, {"monitor": "val_none"}),
    ]
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def classifier(source):
    keras.utils.set_random_seed(0)
    return tasks.TextClassifier.from_pretrained(source, NAMES, long_texts="refuse")


def test_predict_answers_or_says_what_is_wrong(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "load", lambda directory: classifier)
    file, out = tmp_path / "texts", tmp_path / "answers.jsonl"
    seen = set()

    @examples(PREDICTIONS)
    @given(content=CONTENTS, options=OPTIONS, batch_size=st.sampled_from([1, 3, 32]))
    def check(content, options, batch_size):
        file.write_bytes(content)
        out.unlink(missing_ok=True)
        status, errors = run(
            *("predict", "--model", "m", "--input", file, "--output", out),
            *("--batch-size", batch_size, *flags(**options)),
        )
        seen.add(status)
        assert out.exists() == (status != 2), errors
        if status != 2:
            answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
            assert any("error" in answer for answer in answers) == (status == 1)
            for answer in answers:
                assert "error" in answer or sum(answer["scores"].values()) == pytest.approx(1)
                assert "\n" not in answer.get("error", "")

    check()
    assert seen == {0, 1, 2}


def test_fit_trains_or_says_what_is_wrong(source, tmp_path, monkeypatch):
    models = {}

    @contextlib.contextmanager
    def loaded(source, task, num_labels=None, **options):
        """A model for each number of labels, made once."""
        if num_labels not in models:
            models[num_labels] = ka.load_model(source, task, num_labels=num_labels)
        yield models[num_labels], None, None

    def fit_model(model, batches, *, validation_data, folder, **options):
        """Everything of the training but the training."""
        (folder / "metrics.jsonl").touch()
        for data in (batches(first_epoch=0), validation_data):
            for inputs, labels, *_ in data.take(1):
                assert len(inputs["token_ids"]) == len(labels["logits"])
        return keras.callbacks.History()

    monkeypatch.setattr(text_classifier, "loaded", loaded)
    monkeypatch.setattr(text_classifier, "origin", lambda *opened: {})
    monkeypatch.setattr(base, "fit_model", fit_model)
    monkeypatch.setattr(run_folder, "render_html", lambda report: "")
    train, validation = tmp_path / "train", tmp_path / "validation"
    texts, labels = reviews(12)
    rows = "".join(f"{text}\t{label}\n" for text, label in zip(texts, labels, strict=True)).encode()
    seen = []

    @examples(FITS)
    @given(
        content=st.one_of(st.just(rows), CONTENTS.map(rows.__add__), CONTENTS),
        other=st.one_of(st.none(), st.just(rows), CONTENTS),
        options=st.one_of(PLAIN, OPTIONS),
        task=st.one_of(st.just({}), TASK),
    )
    def check(content, other, options, task):
        train.write_bytes(content)
        out = tmp_path / f"run{len(seen)}"
        further = {}
        if other is not None:
            validation.write_bytes(other)
            further["validation"] = validation
        status, errors = run(
            *("fit", "--pretrained", source, "--train", train, "--output", out, "--epochs", 1),
            *flags(**options, **task, **further),
        )
        assert status != 1, errors
        seen.append(status)
        assert (out / "task.json").exists() == (status == 0)

    check()
    assert set(seen) == {0, 2}


def test_fit_takes_a_step_or_says_what_is_wrong(source, tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "render_html", lambda report: "")
    train = tmp_path / "train.tsv"
    texts, _ = reviews(24)
    seen = []

    # Several graphs a case: too slow to look for a smaller one that fails, too.
    @settings(examples(STEPS), deadline=None, phases=[Phase.reuse, Phase.generate])
    @given(
        kind=st.sampled_from(sorted(LABELS)),
        pairs=st.booleans(),
        rows=st.sampled_from([4, 18]),
        learning=LEARNING,
        refused=st.one_of(st.just({}), st.just({}), REFUSED),
    )
    def check(kind, pairs, rows, learning, refused):
        label, reading = LABELS[kind]
        cells = [[text, text][: 1 + pairs] for text in texts[:rows]]
        lines = ["\t".join([*row, label(number)]) + "\n" for number, row in enumerate(cells)]
        train.write_text("".join(lines), encoding="utf-8")
        columns = {"header": False, "text": 0, "text_pair": 1 if pairs else None, "label": -1}
        out = tmp_path / f"run{len(seen)}"
        status, errors = run(
            *("fit", "--pretrained", source, "--train", train, "--output", out, "--epochs", 1),
            *flags(**columns, **reading, **learning | refused),
        )
        keras.backend.clear_session()
        seen.append(status)
        assert (out / "task.json").exists() == (status == 0), errors
        if status == 0:
            lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            steps = [json.loads(line)["step"] for line in lines]
            # 3 or 16 rows, each in one window or more.
            assert max(steps) <= 2 or learning.get("long_texts") == "windows"
            answers = tasks.load(out).predict([row[0] if len(row) == 1 else row for row in cells])
            assert len(answers) == rows
            assert all(np.isfinite(value) for answer in answers for value in numbers_in(answer))
            assert not refused
        elif status == 1:
            assert learning.get("learning_rate") == 1e30
            assert "finite number" in errors
        else:  # which metrics there are shows after an epoch
            assert "monitor" in refused or not out.exists()

    check()
    assert seen.count(0) > STEPS / 3
    assert 2 in seen


def numbers_in(answer):
    """The scores of an answer, or its only one."""
    return answer["scores"].values() if "scores" in answer else [answer["score"]]
