"""A model under a strategy is the model of one device, whatever the batches."""

import numpy as np
import pytest

from tests.keras_albert.tasks.small import write_source
from tests.programs import result_of


def run(source, *names):
    return result_of("tests.under_strategies", source, *names)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def found(source):
    return run(source, "copies", "task", "dropout", "stock_dropout")


@pytest.fixture(scope="module")
def more(source):
    return run(
        source,
        *("accumulation", "clipping", "averages", "lamb", "float16"),
        *("stock_clipping", "stock_accumulation"),
    )


def check_equal(result):
    assert result["moved"] > 1e-2
    assert result["difference"] < 1e-5
    assert result["same"], "the replicas have different weights"
    assert result["figures"] < 1e-5
    assert result["logits"] < 1e-4


def test_two_replicas_train_the_model_of_one(found):
    check_equal(found["copies"])


@pytest.mark.slow
@pytest.mark.parametrize("training", ["accumulation", "clipping", "averages", "lamb"])
def test_other_optimizers_train_the_same_model_too(more, training):
    check_equal(more[training])


def test_a_task_learns_and_answers_on_two_replicas(found):
    result = found["task"]
    assert result["difference"] < 1e-5
    assert result["accuracy"] > 0.8
    assert result["val_accuracy"] == pytest.approx(result["accuracy"])


def test_every_replica_drops_units_of_its_own_in_every_step(found):
    result = found["dropout"]
    assert result["values"] == [0.0, 2.0]  # kept ones are divided by the share that is kept
    assert result["share"] == pytest.approx([0.5] * 4, abs=0.05)
    assert np.array(result["alike"])[~np.eye(4, dtype=bool)] == pytest.approx(0.5, abs=0.05)


def test_keras_still_drops_the_same_units_in_every_replica(found):
    """When this fails, layers/dropout.py may go."""
    alike = np.array(found["stock_dropout"]["alike"])
    assert alike[0, 1] == alike[2, 3] == 1.0
    assert alike[0, 2] < 0.6


@pytest.mark.slow
def test_two_replicas_train_in_half_precision_with_one_loss_scale(more):
    result = more["float16"]
    assert result["moved"] > 1e-2
    assert result["difference"] < 1e-2
    assert result["same"]


@pytest.mark.slow
def test_keras_still_clips_each_replica_by_itself(more):
    """When this fails, `BaseOptimizer._backend_apply_gradients` may be left to Keras."""
    assert more["stock_clipping"] > 1e-4


@pytest.mark.slow
def test_keras_still_cannot_accumulate_on_replicas(more):
    """When this fails, keras#20582 is closed, and optimizers/replicated.py may go."""
    assert "merge_call" in more["stock_accumulation"]
