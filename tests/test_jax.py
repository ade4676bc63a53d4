"""The other backends, each in a process of its own: exact on JAX, and there without TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_albert as ka
from tests.checkpoints_tools.cases import load_case
from tests.paths import REFERENCE, ROOT

EXACTNESS = "tests/test_exactness.py"
FEW = (
    f"{EXACTNESS}::test_encoder_outputs_are_google_s[albert_tiny]",
    f"{EXACTNESS}::test_task_outputs_are_google_s[bert_classifier]",
    f"{EXACTNESS}::test_gradients_are_google_s[albert_squad_v2]",
)
ASSEMBLIES = tuple(
    f"tests/keras_albert/{name}"
    for name in ("layers", "test_model.py", "test_encoders.py", "test_heads.py", "tasks")
)
# Compiling is most of the time, and half of that is optimization.
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b")

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="starts the other backends from TensorFlow's"
)


def run_python(backend, *arguments, **environment):
    """Runs Python on a backend, from the project's root; returns what it printed."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    environment |= {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "JAX_DEFAULT_MATMUL_PRECISION": "highest",  # of float32, which is less by default
    }
    ran = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def run_tests(backend, *selection, **environment):
    """Runs default tests on a backend; returns pytest's last line."""
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *selection)
    return run_python(backend, *arguments, **environment).splitlines()[-1]


def test_jax_gives_google_s_outputs_and_gradients():
    passed = run_tests("jax", *FEW, **QUICK)
    assert passed.startswith(f"{len(FEW)} passed")


@pytest.mark.slow
def test_jax_gives_google_s_outputs_and_gradients_for_every_case():
    assert " passed" in run_tests("jax", EXACTNESS)


@pytest.mark.slow
@pytest.mark.parametrize("tests", ASSEMBLIES)
def test_layers_encoders_heads_and_tasks_pass_their_tests_on_jax(tests):
    assert " passed" in run_tests("jax", tests)


def test_torch_gives_google_s_outputs():
    assert run_tests("torch", *FEW[:2]).startswith("2 passed")


def test_jax_needs_no_tensorflow_for_a_converted_directory(tmp_path):
    case = load_case("albert_tiny")
    inputs = case.inputs(case.ragged, "encoder")
    encoder = ka.load_encoder(case.folder)
    ka.save_pretrained(encoder, tmp_path / "converted")
    arrays = {f"in/{name}": value for name, value in inputs.items()}
    arrays |= {f"out/{name}": np.asarray(value) for name, value in encoder(inputs).items()}
    np.savez(tmp_path / "arrays.npz", **arrays)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    program = ("-m", "tests.jax_without_tensorflow", tmp_path, REFERENCE / "albert_tiny")
    run_python("jax", *program, **QUICK)
