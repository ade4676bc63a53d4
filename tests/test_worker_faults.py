"""A training that loses workers, at any moment, ends with the weights of one that does not."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_albert.distribute.processes import free_ports
from keras_albert.tasks import load
from tests.keras_albert.tasks.small import reviews, write_source
from tests.paths import ROOT

pytestmark = pytest.mark.slow

SECONDS = 300  # that a training may take on a slow machine
STEPS = 102
TRIALS = range(int(os.environ.get("KERAS_ALBERT_TRIALS", "1")))  # of every fault


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A folder with a checkpoint and rows to learn from."""
    folder = tmp_path_factory.mktemp("rows")
    write_source(folder)
    for name, count in (("train", 400), ("validation", 50)):
        lines = [f"{text}\t{label}" for text, label in zip(*reviews(count), strict=True)]
        (folder / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    return folder


def fit_words(rows, output):
    return [
        *("fit", "--pretrained", rows / "encoder", "--train", rows / "train.tsv"),
        *("--validation", rows / "validation.tsv", "--output", output, "--epochs", 3),
        *("--batch-size", 12, "--learning-rate", 0.01, "--save-every", 5, "--seed", 1),
        *("--no-baselines", "--no-calibration"),
    ]


@contextlib.contextmanager
def program(*words, **environment):
    """A process of the command line, both of whose streams are one."""
    alone = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    process = subprocess.Popen(
        [sys.executable, "-m", "checkpoints_tools", *map(str, words)],
        cwd=ROOT,
        env=alone | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def launched(rows, output, *more):
    return program("launch", "--workers", 2, "--grace", 30, "--", *fit_words(rows, output), *more)


def by_hand(rows, output, index, addresses, wait=SECONDS):
    """One worker that nobody launches."""
    task = {"type": "worker", "index": index}
    config = json.dumps({"cluster": {"worker": addresses}, "task": task})
    words = [*fit_words(rows, output), "--strategy", "multi_worker", "--wait", wait]
    return program(*words, TF_CONFIG=config)


def addresses(count):
    return [f"127.0.0.1:{port}" for port in free_ports(count)]


def ended(process, status=0):
    printed, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == status, printed[-3000:]
    return printed


def workers_of(process):
    """The process ids of the workers that run, the chief first."""
    listed = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return sorted(map(int, listed.stdout.split()))


def wait_for_checkpoint(process, output):
    deadline = time.monotonic() + SECONDS
    while not list((output / "checkpoints").glob("step_*.npz")):
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def weights_of(output):
    return [keras.ops.convert_to_numpy(weight) for weight in load(output).model.weights]


def log_of(output):
    """The lines of metrics.jsonl, but for times."""
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "rows_per_second")}
        for line in lines
    ]


def check_same(output, undisturbed):
    """Weights bit for bit; the sums of which metrics are made are of parts that differ."""
    weights, lines = undisturbed
    for one, other in zip(weights_of(output), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(log_of(output), lines, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


@pytest.fixture(scope="module")
def undisturbed(rows, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    with launched(rows, output) as process:
        ended(process)
    lines = log_of(output)
    assert max(line["step"] for line in lines) == STEPS
    return weights_of(output), lines


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize("victim", [0, 1], ids=["chief", "worker"])
def test_a_killed_worker_changes_nothing(rows, undisturbed, tmp_path, victim, trial):
    output = tmp_path / "run"
    with launched(rows, output) as process:
        wait_for_checkpoint(process, output)
        time.sleep(random.Random(f"{victim} {trial}").random() * 2)
        os.kill(workers_of(process)[victim], signal.SIGKILL)
        printed = ended(process)
    assert f"worker {victim} was killed by SIGKILL: restart 1 of 3 with --resume" in printed
    check_same(output, undisturbed)


@pytest.mark.parametrize("trial", TRIALS)
def test_sigterm_saves_on_all_after_the_same_step(rows, undisturbed, tmp_path, trial):
    output = tmp_path / "run"
    with launched(rows, output) as process:
        wait_for_checkpoint(process, output)
        time.sleep(random.Random(trial).random())
        process.send_signal(signal.SIGTERM)
        printed = ended(process, 1)
    steps = re.findall(rf"stopped after step (\d+) of {STEPS}", printed)
    assert len(steps) == 2, printed[-3000:]
    (checkpoint,) = (output / "checkpoints").glob("step_*.npz")
    assert {int(step) for step in steps} == {int(checkpoint.stem.removeprefix("step_"))}
    with launched(rows, output, "--resume") as process:
        ended(process)
    check_same(output, undisturbed)


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize("late", [0, 1], ids=["chief", "worker"])
def test_who_starts_late_is_waited_for(rows, undisturbed, tmp_path, late, trial):
    output, where = tmp_path / "run", addresses(2)
    with by_hand(rows, output, 1 - late, where) as first:
        time.sleep(12)
        with by_hand(rows, output, late, where) as second:
            ended(second)
            ended(first)
    check_same(output, undisturbed)


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize(
    ("index", "rule"),
    [(0, r"none of worker 1 \(127"), (1, "has not let worker 1 go")],
    ids=["worker", "chief"],
)
def test_who_never_comes_is_named_in_one_line(rows, tmp_path, index, rule, trial):
    with by_hand(rows, tmp_path / "run", index, addresses(2), wait=3) as alone:
        printed = ended(alone, 1)
    (line,) = [line for line in printed.splitlines() if "error: " in line]
    assert re.search(f"All 2 workers come within 3 s.*{rule}", line)


def test_keras_still_cannot_fit_with_several_workers():
    """When this fails, keras#20585 is closed, and a part of keras_albert/replicas.py may go."""
    where = addresses(2)
    processes = []
    for index in range(2):
        cluster = {"cluster": {"worker": where}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.stock_worker"],
                cwd=ROOT,
                env=os.environ | {"TF_CONFIG": json.dumps(cluster), "KERAS_BACKEND": "tensorflow"},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
    for process in processes:
        printed, _ = process.communicate(timeout=SECONDS)
        assert re.search(r"stock fit: \w*Error", printed), printed
