"""Programs of the tests, run in processes of their own."""

import json
import os
import subprocess
import sys

from tests.paths import ROOT


def result_of(module, *arguments):
    """The JSON that a program prints last, run on TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
