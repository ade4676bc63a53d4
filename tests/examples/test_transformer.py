"""The example Transformer: it is causal, it learns, and in a minute it copies and reverses."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from examples import transformer
from tests.paths import ROOT


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return transformer.build_transformer(
        num_layers=1, hidden_dim=32, num_heads=2, intermediate_dim=32
    )


def test_logits_stand_for_every_target_position(model):
    inputs, labels = transformer.make_data("copy", 4, seed=0)
    assert model(inputs).shape == (*labels.shape, transformer.VOCAB_SIZE)


def test_output_and_both_embeddings_share_one_table(model):
    tables = [w.path for w in model.weights if transformer.VOCAB_SIZE in w.shape]
    assert tables == ["token_embedding/embeddings"]


def test_future_tokens_do_not_influence_the_past(model):
    inputs, _ = transformer.make_data("copy", 4, seed=0)
    changed = dict(inputs, target_ids=inputs["target_ids"].copy())
    changed["target_ids"][:, 4:] = transformer.FIRST_SYMBOL
    before, after = (model.predict(x, verbose=0) for x in (inputs, changed))
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert np.abs(before[:, 4:] - after[:, 4:]).max() > 1e-3


def test_padding_of_the_source_has_no_influence(model):
    inputs, _ = transformer.make_data("copy", 4, seed=0)
    wider = dict(inputs, source_ids=np.pad(inputs["source_ids"], ((0, 0), (0, 3))))
    np.testing.assert_allclose(model(inputs), model(wider), atol=1e-5)


@pytest.mark.parametrize("task", ["copy", "reverse"])
def test_data_are_the_tasks(task):
    inputs, labels = transformer.make_data(task, 50, seed=3)
    for source, target, label in zip(*inputs.values(), labels, strict=True):
        source = source[source != transformer.PAD]
        expected = source if task == "copy" else source[::-1]
        length = len(source)
        np.testing.assert_array_equal(label[:length], expected)
        assert label[length] == transformer.END
        assert not label[length + 1 :].any()
        assert target[0] == transformer.START
        np.testing.assert_array_equal(target[1:], label[:-1])


def test_exact_match_counts_whole_sequences():
    class Copies:
        """Predicts the source's own tokens, then END, but 3 for every 4."""

        def predict(self, inputs, **_):
            source = np.pad(inputs["source_ids"], ((0, 0), (0, 1)))
            ids = np.where(source == 0, transformer.END, np.where(source == 4, 3, source))
            return np.eye(transformer.VOCAB_SIZE)[ids]

    source = np.array([[5, 6, 0], [3, 3, 3], [5, 4, 0], [7, 0, 0]], "int32")
    labels = np.array([[5, 6, 2, 0], [3, 3, 3, 2], [5, 4, 2, 0], [7, 2, 0, 0]], "int32")
    assert transformer.exact_match(Copies(), source, labels) == 0.75


def test_loss_falls(model):
    inputs, labels = transformer.make_data("copy", 512, seed=0)
    history = transformer.train(model, inputs, labels, epochs=3, batch_size=32, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["copy", "reverse"])
def test_the_example_learns_its_task(task):
    done = subprocess.run(
        [sys.executable, "examples/transformer.py", "--task", task],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    accuracy = float(done.stdout.rsplit(f"{task}: ", 1)[1].split("%")[0])
    assert accuracy > 95, done.stdout
