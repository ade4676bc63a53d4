"""Every example runs: README, docs, docstrings."""

import ast
import doctest
import importlib
import re
import shutil
import textwrap

import keras
import numpy as np
import pytest

import keras_albert
from checkpoints_tools import convert
from keras_albert.tokenization.vocabulary import SPECIAL_TOKENS
from tests.keras_albert.tokenization.rows import SMALL_MODEL
from tests.paths import ROOT
from tests.test_floors import FILES

FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def examples() -> list:
    """(module, docstring) of every docstring with an example."""
    found = []
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            if text and (FENCE.search(text) or ">>> " in text):
                name = getattr(node, "name", "module")
                found.append(pytest.param(module, text, id=f"{module}.{name}"))
    return found


def blocks(page) -> list[str]:
    """The code of a page."""
    return [textwrap.dedent(block) for block in FENCE.findall(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the examples run: it holds a checkpoint in Google's layout, small but for its name.

    Beside it lie a classifier, and a SentencePiece model of a few pieces under ALBERT's name.
    """
    folder = tmp_path_factory.mktemp("docs")
    config = keras_albert.EncoderConfig(
        vocab_size=30522, hidden_dim=8, num_layers=2, num_heads=2, intermediate_dim=16
    )
    keras_albert.save_pretrained(keras_albert.bert_encoder(config), folder / "converted")
    tokens = [*SPECIAL_TOKENS, *(f"token{index}" for index in range(config.vocab_size - 5))]
    (folder / "converted" / "vocab.txt").write_text("\n".join(tokens))
    shutil.copyfile(SMALL_MODEL, folder / "30k-clean.model")
    convert.export(folder / "converted", folder / "uncased_L-12_H-768_A-12" / "bert_model.ckpt")
    labels = ["negative", "positive"]
    sentiment = keras_albert.tasks.TextClassifier.from_pretrained(folder / "converted", labels)
    sentiment.save(folder / "sentiment")
    return folder


@pytest.mark.parametrize(("module", "text"), examples())
def test_a_docstrings_example_runs(module, text, folder, monkeypatch):
    monkeypatch.chdir(folder)
    config = keras_albert.EncoderConfig(
        vocab_size=100, hidden_dim=8, num_layers=1, num_heads=2, intermediate_dim=16
    )
    scope = {"np": np, "keras": keras, "keras_albert": keras_albert, "config": config}
    scope |= {"texts": ["a gripping film", "dull"], "labels": ["positive", "negative"]}
    scope |= vars(importlib.import_module(module))
    for example in FENCE.findall(text):
        exec(textwrap.dedent(example), dict(scope))
    if ">>> " in text:
        test = doctest.DocTestParser().get_doctest(text, scope, module, None, 0)
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, folder, tmp_path, monkeypatch):
    # A reader's folder has no results yet.
    ignored = shutil.ignore_patterns("sentiment")
    shutil.copytree(folder, tmp_path, ignore=ignored, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    if page.name != "README.zh-CN.md":
        exec("\n".join(blocks(page)), {"__name__": "__main__"})
        return
    # What a translation shares with its original, comments apart, runs once for both.
    scope, ran = {"__name__": "__main__"}, set()
    for block in (*blocks(ROOT / "README.md"), *blocks(page)):
        if (code := ast.dump(ast.parse(block))) not in ran:
            exec(block, scope)
        ran.add(code)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_goes_from_texts_to_predictions_in_15_lines(name):
    first = FENCE.search((ROOT / name).read_text(encoding="utf-8"))[1]
    lines = [line for line in first.splitlines() if line.strip()]
    assert len(lines) <= 15
    assert ".fit(" in first and ".predict(" in first


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
