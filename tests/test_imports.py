"""Importing: what registers with Keras, in which order, and what stays out."""

import ast
import subprocess
import sys

import numpy as np
import pytest

import keras_albert as ka
from keras_albert import public
from tests.paths import ROOT
from tests.test_floors import FILES

CONFIG = ka.EncoderConfig(
    vocab_size=50,
    embedding_dim=6,
    hidden_dim=8,
    num_layers=2,
    num_heads=2,
    intermediate_dim=12,
    max_sequence_length=16,
    num_groups=1,
)
TOKENS = np.array([[2, 7, 9, 3, 0], [2, 11, 3, 0, 0]], dtype="int32")


def run_fresh(code: str, *arguments: object) -> str:
    """Runs code in a fresh process, from the project's root."""
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    "imports",
    [
        "import keras_albert; import keras",
        pytest.param("import keras; import keras_albert", marks=pytest.mark.slow),
        "import keras; model = keras.models; import checkpoints_tools.source; import keras_albert",
    ],
)
def test_load_model_needs_only_the_import_of_keras_albert(tmp_path, imports):
    encoder = ka.albert_encoder(CONFIG, outputs=("pooled_output",))
    encoder.save(tmp_path / "encoder.keras")
    np.save(tmp_path / "tokens.npy", TOKENS)
    code = f"""{imports}
import sys, numpy
model = keras.models.load_model(sys.argv[1] + "/encoder.keras")
tokens = numpy.load(sys.argv[1] + "/tokens.npy")
numpy.save(sys.argv[1] + "/pooled.npy", model({{"token_ids": tokens}})["pooled_output"])
"""
    run_fresh(code, tmp_path)
    expected = np.asarray(encoder({"token_ids": TOKENS})["pooled_output"])
    np.testing.assert_allclose(np.load(tmp_path / "pooled.npy"), expected, atol=1e-6)


def test_the_import_registers_every_class_of_the_package():
    declared = {
        f"keras_albert>{node.name}"
        for module, path in FILES.items()
        if module.startswith("keras_albert")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and any("register_keras_serializable" in ast.unparse(d) for d in node.decorator_list)
    }
    code = "import keras_albert, keras; print(*keras.saving.get_custom_objects())"
    assert "keras_albert>AdamW" in declared
    assert declared == set(run_fresh(code).split())


@pytest.mark.slow
def test_every_module_may_be_the_first_import(tmp_path):
    # One process, the packages forgotten between the imports: a fresh one each takes minutes.
    code = """
import importlib, sys
import keras, numpy
# Bytecode is kept, whatever the environment says: compiling anew is most of the time.
sys.dont_write_bytecode, sys.pycache_prefix = False, sys.argv[1]
for module in sys.argv[2:]:
    for name in [n for n in sys.modules if n.startswith(("keras_albert", "checkpoints_tools"))]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(f"{module}: {error}")
"""
    modules = [module for module in FILES if not module.endswith("__main__")]
    assert run_fresh(code, tmp_path, *modules) == ""


def test_behind_the_launcher_the_names_are_the_same_and_come_when_asked_for():
    code = """
import checkpoints_tools.launcher, keras_albert, sys
assert "keras" not in sys.modules
assert keras_albert.load_model.__module__ == "keras_albert.pretrained"
print(*dir(keras_albert))
"""
    assert set(run_fresh(code).split()) >= set(public.__all__)


def test_an_unknown_name_raises_as_any_module_does():
    with pytest.raises(AttributeError, match="module 'keras_albert' has no attribute 'attic'"):
        ka.attic  # noqa: B018
    assert set(dir(ka)) >= {"EncoderConfig", "InputError", "load_model", "__version__"}
