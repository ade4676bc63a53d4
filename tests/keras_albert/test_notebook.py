"""The notebooks' pictures show what they are given; layers are compared one by one."""

import io
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

import keras_albert as ka
from checkpoints_tools.convert import export
from keras_albert import distribute, notebook
from keras_albert.report import write_report
from tests.keras_albert.report.runs import classification
from tests.paths import ROOT

MINI = ROOT / "keras_albert" / "quickstart_data" / "albert_mini"
INPUTS = {
    "token_ids": np.array([[2, 7, 9, 3, 0], [2, 11, 40, 8, 3]]),
    "segment_ids": np.zeros((2, 5), int),
    "padding_mask": np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]),
}


def image_of(picture: notebook.Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture._repr_png_()))


def titles(picture: notebook.Picture) -> list[str]:
    return [axis.get_title() for axis in picture.figure.axes]


def test_a_picture_is_a_png_of_the_asked_for_shape_on_white():
    picture = notebook.encoding_picture(np.zeros((3, 4)))
    image = image_of(picture)
    assert image.format == "PNG"
    assert image.width / image.height == pytest.approx(7 / 3.2, rel=0.02)
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


@pytest.fixture
def run(tmp_path):
    """The folder of a run with two steps, a validation, and a report on four rows."""
    lines = [
        {"step": 1, "loss": 0.7, "accuracy": 0.5, "learning_rate": 1e-4},
        {"step": 2, "loss": 0.6, "accuracy": 0.6, "learning_rate": 5e-5},
        {"step": 2, "loss": 0.65, "accuracy": 0.55, "validation": True},
    ]
    history = tmp_path / "metrics.jsonl"
    history.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    names = {"names": ["negative", "positive"]}
    write_report(tmp_path / "run", **(classification() | names), history=history)
    return tmp_path / "run"


def test_the_picture_of_a_run_has_loss_metric_and_confusion_matrix(run):
    picture = notebook.run_picture(run)
    assert titles(picture) == ["Loss", "Accuracy", "Confusion"]
    loss, _, confusion = picture.figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[1, 0.7], [2, 0.6]])
    # Labels 0, 1, 1, 0 beside predictions 0, 0, 1, 1.
    assert [text.get_text() for text in confusion.texts] == ["1", "1", "1", "1"]
    assert [tick.get_text() for tick in confusion.get_xticklabels()] == ["negative", "positive"]
    image_of(picture)


def test_a_run_without_a_report_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        notebook.run_picture(tmp_path)


def test_attention_has_a_panel_for_each_head_and_leaves_padding_out():
    scores = np.random.default_rng(0).random((3, 5, 6))
    picture = notebook.attention_picture(scores, queries=["a", "b"], keys=["x", "y", "z"])
    assert titles(picture) == ["head 0", "head 1", "head 2"]
    for axis, head in zip(picture.figure.axes, scores, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), head[:2, :3])
    image_of(picture)


def test_lengths_beyond_the_last_bucket_count_as_cut_to_it():
    picture = notebook.lengths_picture(np.array([5, 7, 90]), buckets=[16, 32])
    (axis,) = picture.figure.axes
    assert sum(bar.get_height() for bar in axis.patches) == 3
    assert [line.get_xdata()[0] for line in axis.lines] == [16, 32]


def test_each_layer_of_the_bundled_albert_is_googles_to_1e_5():
    differences = notebook.layer_differences(MINI, INPUTS)
    assert list(differences) == ["embeddings", *(f"block run {index}" for index in range(4))]
    assert max(differences.values()) <= 1e-5
    picture = notebook.differences_picture(differences, allowed=1e-5)
    bars = [bar.get_height() for bar in picture.figure.axes[0].patches]
    np.testing.assert_allclose(bars, list(differences.values()))


def test_an_error_shows_from_the_layer_on_in_which_it_is(tmp_path, monkeypatch):
    config = ka.EncoderConfig(
        vocab_size=50, hidden_dim=8, num_layers=3, num_heads=2, intermediate_dim=16, family="bert"
    )
    ka.save_pretrained(ka.bert_encoder(config), tmp_path / "converted")
    export(tmp_path / "converted", tmp_path / "google" / "bert_model.ckpt")
    load = notebook.load_encoder

    def load_wrongly(*args, **kwargs):
        encoder = load(*args, **kwargs)
        (bias,) = (v for v in encoder.weights if v.path == "encoder_block_1/attention/output/bias")
        bias.assign(bias + np.arange(8) * 0.1)
        return encoder

    monkeypatch.setattr(notebook, "load_encoder", load_wrongly)
    found = list(notebook.layer_differences(tmp_path / "google", INPUTS).values())
    assert max(found[:2]) <= 1e-5 < 1e-2 < min(found[2:])


def test_about_names_devices_backend_and_versions():
    devices, packages = notebook.about(distribute.strategy("cpu")).splitlines()
    assert devices == f"1 CPU, with Keras on {keras.backend.backend()}"
    assert packages.startswith("python 3.") and f"keras-albert {ka.__version__}" in packages


def test_about_counts_the_devices_of_a_kind():
    names = [f"/job:localhost/replica:0/task:0/device:TPU:{index}" for index in range(8)]
    strategy = SimpleNamespace(extended=SimpleNamespace(worker_devices=names))
    assert notebook.about(strategy).startswith("8 TPU, ")
