"""What a TPU needs: fixed shapes, each of which is compiled once."""

import json
import os
import subprocess
import sys

import pytest

from tests.keras_albert.tasks.small import write_source
from tests.paths import ROOT


@pytest.mark.slow
def test_each_step_is_compiled_once_a_bucket(tmp_path):
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.count_compilations", write_source(tmp_path), dumps],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["buckets"] == [16, 32]
    assert found["compilations"] == {"train": 2, "test": 2, "predict": 2}
