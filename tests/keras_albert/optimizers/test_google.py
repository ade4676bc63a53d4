"""Every step of Google's optimizers, reproduced."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.keras_albert.optimizers.replay import RUNS, replay
from tests.paths import ROOT, needs_shared

# The moments take the same float32 operations in the same order: equal bit for bit. Where XLA
# computes them (JAX), or the norm of the gradients was summed in another order, a few roundings.
EXACT = {"m": 0.0, "v": 0.0, "param": 3e-7, "learning_rate": 5e-7}
ROUNDED = {"m": 3e-6, "v": 1e-6, "param": 2e-6, "learning_rate": 5e-7}


def assert_follows_google(run, tolerance):
    """Compare with the tolerance times the largest number of each array."""
    for step, (ours, google) in enumerate(replay(run)):
        for key, expected in google.items():
            allowed = tolerance[key.split("/")[0]] * np.max(np.abs(expected), initial=0.0)
            difference = np.max(np.abs(ours[key].astype("float64") - expected))
            assert difference <= allowed, f"{run}, step {step}, {key}: {difference} > {allowed}"


@needs_shared
def test_there_are_runs_of_every_kind():
    assert len(RUNS) == 17


@pytest.mark.parametrize("run", RUNS)
def test_every_step_follows_google(run):
    assert_follows_google(run, EXACT)


def test_every_step_follows_google_on_jax():
    pytest.importorskip("jax")
    runs = ["bert_create_optimizer_warmup", "albert_lamb_start_warmup_step"]
    program = (
        "import sys, keras\n"
        "from tests.keras_albert.optimizers import test_google as t\n"
        "assert keras.backend.backend() == 'jax'\n"
        "for run in sys.argv[1:]: t.assert_follows_google(run, t.ROUNDED)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, *runs],
        check=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )
