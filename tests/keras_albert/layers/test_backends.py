"""The same layers on JAX: these tests again, in a process of their own."""

import os
import subprocess
import sys

import pytest

from tests.layer_check import on_tensorflow
from tests.paths import ROOT

HERE = "tests/keras_albert/layers"


@pytest.mark.slow
@on_tensorflow
def test_attention_and_embeddings_work_on_jax():
    _pytest_on_jax(f"{HERE}/test_multi_head_attention.py", "-k", "googles or overflow or shape")


@on_tensorflow
@pytest.mark.slow
def test_every_layer_works_on_jax():
    _pytest_on_jax(HERE, "tests/keras_albert/test_activations.py")


def _pytest_on_jax(*arguments):
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
