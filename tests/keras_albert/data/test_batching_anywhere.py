"""Ready inputs where something is missing: tensorflow-text, or TensorFlow as the backend."""

import importlib.util
import os
import subprocess
import sys

import keras
import pytest

from keras_albert.data.tfrecords import write_tfrecord
from tests.paths import ROOT


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_ready_inputs_need_no_tensorflow_text(backend, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("starts the other backends from TensorFlow's")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    rows = [({"token_ids": list(range(1, 3 + n % 5))}, {"logits": n % 2}) for n in range(10)]
    write_tfrecord(tmp_path / "ready.tfrecord", rows)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.without_tensorflow_text", tmp_path / "ready.tfrecord"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
