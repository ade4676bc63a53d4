"""Whole trainings of Google's code, reproduced step by step through `train_on_batch`."""

import os
import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from keras_albert.layers import SegmentEmbedding
from keras_albert.optimizers import compiled
from tests.keras_albert.optimizers.trajectory import TRAJECTORIES, train
from tests.paths import ROOT, needs_shared

# Changing the initial weights by 1e-7 moves the final ones by 3.2e-6 (reference README).
WEIGHTS = 2e-5
# One of a kind; the others take the same paths and are slow together.
FEW = (
    "albert_classifier/training",
    "albert_tiny/training_lamb_poly",
    "bert_classifier/training_sparse_norm",
    "bert_tiny/training_sparse_norm",
)
MARKED = [
    pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in TRAJECTORIES
]


def assert_follows_google(trajectory, **how):
    ours, google = train(trajectory, **how)
    if "global_norm" not in ours:
        del google["global_norm"]
    for key, expected in google.items():
        relative = 0.0 if key.startswith("final/") else WEIGHTS * np.abs(expected)
        difference = np.abs(ours[key].astype("float64") - expected)
        assert (difference <= np.maximum(WEIGHTS, relative)).all(), (key, difference.max())
    return ours


@pytest.fixture
def gathered_segments(monkeypatch):
    """The segment table gathered, as Google's ALBERT does where the norm is over rows."""
    monkeypatch.setattr(
        SegmentEmbedding,
        "call",
        lambda layer, ids: ops.take(layer.embeddings, ops.cast(ids, "int32"), axis=0),
    )


@pytest.mark.parametrize("trajectory", MARKED)
def test_five_steps_of_training_are_google_s(trajectory, request):
    if trajectory.startswith("albert") and trajectory.endswith("sparse_norm"):
        request.getfixturevalue("gathered_segments")
    assert_follows_google(trajectory)


@needs_shared
def test_there_are_trainings_of_every_kind():
    assert len(TRAJECTORIES) == 16
    assert set(FEW) < set(TRAJECTORIES)


@pytest.mark.slow
@pytest.mark.parametrize("trajectory", [name for name in TRAJECTORIES if "sparse" not in name])
def test_five_compiled_steps_are_google_s(trajectory, monkeypatch):
    monkeypatch.setattr(compiled, "WORTH_COMPILING", 1)
    assert_follows_google(trajectory, run_eagerly=False)


@pytest.mark.slow
def test_five_steps_on_jax_are_google_s():
    pytest.importorskip("jax")
    program = (
        "import keras\n"
        "from tests.keras_albert.optimizers import test_training as t\n"
        "assert keras.backend.backend() == 'jax'\n"
        "for name in t.TRAJECTORIES:\n"
        "    if 'sparse' not in name: t.assert_follows_google(name, run_eagerly=False)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_DEFAULT_MATMUL_PRECISION": "highest",
        },
    )
