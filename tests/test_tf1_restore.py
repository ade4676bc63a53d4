"""TensorFlow 1.15 restores what is exported, and computes the same in Google's own graph."""

import json
import os
import subprocess

import pytest

from checkpoints_tools.convert import convert, export
from tests.checkpoints_tools.cases import case_names
from tests.paths import ROOT, SHARED

TF1_PYTHON = os.environ.get("TF1_PYTHON")


@pytest.mark.slow
@pytest.mark.skipif(not TF1_PYTHON, reason="TF1_PYTHON names no Python 3.7 with TensorFlow 1.15")
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the graphs in ../shared/reference/*/*.meta")
def test_tensorflow_1_restores_every_exported_case(tmp_path):
    arguments = []
    names = [name for name in case_names() if name != "albert_hub"]
    for name in names:
        source = SHARED / "reference" / name
        convert(source, tmp_path / name, verify=False)
        prefix = tmp_path / f"{name}_exported" / "model.ckpt"
        export(tmp_path / name, prefix)
        arguments += [str(source), str(prefix)]
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(
        [str(TF1_PYTHON), str(ROOT / "tests" / "restore_in_tf1.py"), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    reports = {report["case"]: report for report in map(json.loads, done.stdout.splitlines())}
    assert sorted(reports) == names
    assert all(report["equal"] for report in reports.values())
    # Two of the .meta files hold the whole graph.
    assert all(reports[name]["graph_outputs"] > 10 for name in ("bert_tiny", "albert_tiny"))
