"""The notebooks: what a reader finds in them as committed, and that they run."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest

import keras_albert as ka
from checkpoints_tools.convert import export
from colab.execute import FOLDER, NAMES, REDUCED, parameters_of
from keras_albert.data.readers import read_records
from keras_albert.heads import build_model
from tests.paths import ROOT, SHARED, needs_shared

NOTEBOOKS = {name: nbformat.read(FOLDER / f"{name}.ipynb", as_version=4) for name in NAMES}
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
LONGEST_CELL, LONGEST_INSTALL = 15, 32  # lines that are not blank
LARGEST = 300_000  # bytes
PNG = b"\x89PNG\r\n\x1a\n"

each_notebook = pytest.mark.parametrize("name", NAMES)


def code(name: str) -> list:
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]


def outputs(name: str) -> list:
    return [output for cell in code(name) for output in cell.outputs]


def install_cell(name: str) -> str:
    (source,) = (cell.source for cell in code(name) if "%pip" in cell.source)
    return source


def pictures(name: str) -> list[bytes]:
    data = [output.get("data", {}).get("image/png") for output in outputs(name)]
    return [base64.b64decode(picture) for picture in data if picture]


def test_there_are_five_notebooks_each_with_what_a_test_has_time_for():
    assert NAMES == [
        "build_your_own_model",
        "chinese_albert_zh",
        "convert_verify_export",
        "fine_tune_on_tpu",
        "fine_tune_text_classification",
    ]
    assert sorted(REDUCED) == NAMES


@each_notebook
def test_a_notebook_keeps_to_the_format(name):
    nbformat.validate(NOTEBOOKS[name])
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == nbformat.writes(NOTEBOOKS[name]) + "\n"


@each_notebook
def test_a_notebook_begins_with_a_badge_that_opens_it(name):
    first = NOTEBOOKS[name].cells[0]
    (link,) = re.findall(rf"\[!\[[^]]*\]\({re.escape(BADGE)}\)\]\((.*?)\)", first.source)
    assert re.fullmatch(
        rf"https://colab\.research\.google\.com/github/[\w-]+/[\w-]+/blob/main/colab/{name}\.ipynb",
        link,
    )
    assert re.search(r"^# \w", first.source, re.MULTILINE)


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_has_the_badge_of_each_notebook(readme):
    text = (ROOT / readme).read_text(encoding="utf-8")
    for name in NAMES:
        (badge,) = re.findall(r"^\[!.*$", NOTEBOOKS[name].cells[0].source, re.MULTILINE)
        assert badge in text
        assert f"(colab/{name}.ipynb)" in text


def test_the_package_comes_from_where_the_badges_lead():
    (package,) = re.findall(r'PACKAGE = "git\+https://github\.com/(.*?)"', install_cell(NAMES[0]))
    assert all(f"/github/{package}/blob/" in NOTEBOOKS[name].cells[0].source for name in NAMES)


@each_notebook
def test_all_notebooks_install_in_the_same_cell_of_which_there_is_one(name):
    assert install_cell(name) == install_cell(NAMES[0])


@each_notebook
def test_a_notebook_finds_the_device_before_it_computes(name):
    sources = [cell.source for cell in code(name)]
    (at,) = (i for i, source in enumerate(sources) if 'ka.distribute.strategy("auto")' in source)
    assert not any(word in source for source in sources[:at] for word in (".fit(", "load_"))


def test_accelerators_are_asked_for_where_there_is_training():
    found = {name: NOTEBOOKS[name].metadata.get("accelerator") for name in NAMES}
    assert found == {
        "build_your_own_model": None,
        "chinese_albert_zh": "GPU",
        "convert_verify_export": None,
        "fine_tune_on_tpu": "TPU",
        "fine_tune_text_classification": "GPU",
    }


@each_notebook
def test_a_notebook_is_thin(name):
    for cell in code(name):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= (LONGEST_INSTALL if "%pip" in cell.source else LONGEST_CELL), cell.id


@each_notebook
def test_prose_explains_what_the_code_does(name):
    kinds = [cell.cell_type for cell in NOTEBOOKS[name].cells]
    assert kinds[0] == kinds[-1] == "markdown"
    assert kinds.count("markdown") >= 0.6 * kinds.count("code")


@each_notebook
def test_the_parameters_are_constants_that_a_form_sets(name):
    cell = parameters_of(NOTEBOOKS[name])
    assigned = {}
    for line in cell.source.splitlines():
        parameter, value = re.fullmatch(r"([A-Z_]+) = (.*?)  # @param .*", line).groups()
        assigned[parameter] = type(json.loads(value.replace("T", "t").replace("F", "f")))
    values = REDUCED[name].items()
    assert {parameter: type(value) for parameter, value in values}.items() <= assigned.items()


@each_notebook
def test_a_notebook_was_executed_from_top_to_bottom_without_an_error(name):
    counts = [cell.execution_count for cell in code(name)]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output.output_type for output in outputs(name)}
    assert kinds <= {"stream", "display_data", "execute_result"}
    streams = [output for output in outputs(name) if output.output_type == "stream"]
    assert streams and all(output.name == "stdout" for output in streams)


@each_notebook
def test_a_notebook_keeps_its_pictures_and_stays_small(name):
    assert pictures(name)
    assert all(picture.startswith(PNG) for picture in pictures(name))
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST


@pytest.mark.parametrize(
    "name", ["chinese_albert_zh", "fine_tune_on_tpu", "fine_tune_text_classification"]
)
def test_what_was_fine_tuned_does_far_better_than_always_the_same_answer(name):
    printed = "".join(output.get("text", "") for output in outputs(name))
    right = dict(re.findall(r"^(\S+) +([\d.]+)% right$", printed, re.MULTILINE))
    assert float(right["fine-tuned"]) > float(right["majority"]) + 20


@each_notebook
def test_outputs_tell_no_times_and_no_places_of_the_machine(name):
    texts = [output.get("text") or output.data.get("text/plain", "") for output in outputs(name)]
    found = re.findall(
        r"\d+m?s/step|peak memory|0x[0-9a-f]{6}|(?<![\w~.])/[a-z]+/\S*", "\n".join(texts)
    )
    assert found == []


def test_the_bundled_chinese_reviews_are_160_and_half_of_them_good():
    path = ROOT / "keras_albert" / "quickstart_data" / "chinese_reviews.tsv"
    records = list(read_records(path, "text"))
    assert len({record.text for record in records}) == 160
    assert Counter(record.label for record in records) == {"positive": 80, "negative": 80}


def check(*arguments: str) -> None:
    """The command that a person gives; raises where a notebook fails."""
    command = [sys.executable, str(FOLDER / "execute.py"), "--check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]


EXECUTED = """
import json, sys
from colab.execute import REDUCED, execute

name, parameters, *beside = sys.argv[1:]
notebook = execute(name, REDUCED[name] | json.loads(parameters), beside)
print("".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", ())))
"""


def printed(name: str, *beside: Path, **parameters: str) -> str:
    """What a notebook prints at reduced size; raises where it fails."""
    command = [sys.executable, "-c", EXECUTED, name, json.dumps(parameters), *map(str, beside)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_with_what_the_package_brings(name):
    check(name)


@pytest.mark.slow
def test_the_tpu_notebook_runs_on_jax():
    text = printed("fine_tune_on_tpu", BACKEND="jax")
    assert "with Keras on jax\n" in text
    assert re.search(r"^fine-tuned +[\d.]+% right$", text, re.MULTILINE)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize(
    "name", ["convert_verify_export", "fine_tune_on_tpu", "fine_tune_text_classification"]
)
def test_a_notebook_runs_on_a_persons_own_checkpoint(name):
    path = SHARED / "real" / "bert_tiny_tf1"
    check(name, "--set", f'CHECKPOINT="{path.name}"', "--beside", str(path))


@pytest.mark.slow
@needs_shared
def test_the_chinese_notebook_runs_on_real_reviews_and_a_published_index(tmp_path):
    reviews = tmp_path / "ChnSentiCorp"
    reviews.symlink_to(SHARED / "data" / "zh_ChnSentiCorp")
    index = SHARED / "real" / "index_only" / "albert_tiny_zh"
    check("chinese_albert_zh", "--beside", str(index), "--beside", str(reviews))


@pytest.mark.slow
def test_the_chinese_notebook_runs_on_an_archive_with_weights(tmp_path):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"酒店服务很好书写得真"]
    sizes = {"vocab_size": len(tokens), "num_layers": 1, "hidden_dim": 24, "intermediate_dim": 48}
    config = dataclasses.replace(ka.EncoderConfig.published("albert-tiny-zh"), **sizes)
    files = {"vocab.txt": "\n".join(tokens).encode()}
    ka.save_pretrained(build_model(config, "pretraining"), tmp_path / "converted", files=files)
    export(tmp_path / "converted", tmp_path / "albert_tiny" / "albert_model.ckpt")
    archive = shutil.make_archive(str(tmp_path / "albert_tiny"), "zip", tmp_path, "albert_tiny")
    text = printed("chinese_albert_zh", Path(archive), CHECKPOINT="albert_tiny.zip")
    assert "vocabulary 15, positions 512" in text
    assert "stand-in" not in text
