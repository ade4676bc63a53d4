"""`keras-albert launch`: what the workers are told, usage, a cluster that loses a worker."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_albert as ka
from keras_albert import cli
from keras_albert.cli import launch, settings
from keras_albert.runs import folder as run_folder
from tests.paths import ROOT

DATA = ROOT / "keras_albert" / "quickstart_data"
# In place of the program: says its words; the chief ends as STATUS says, the other is told to. In
# the folder RUN the chief's run begins at its second start.
STAND_IN = """\
import json, os, signal, sys
from pathlib import Path
run = Path(os.environ["RUN"])
if not json.loads(os.environ["TF_CONFIG"])["task"]["index"]:
    if run.with_suffix(".died").exists():
        run.mkdir(exist_ok=True)
        run.with_suffix(".new").write_text("{}")
        run.with_suffix(".new").replace(run / "settings.json")
    run.with_suffix(".died").touch()
status = 0 if "--resume" in sys.argv else int(os.environ.get("STATUS", 0))
print(json.dumps(sys.argv[1:]), flush=True)
if status and json.loads(os.environ["TF_CONFIG"])["task"]["index"]:
    signal.pause()
sys.exit(status)
"""


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("RUN", str(tmp_path / "run"))
    monkeypatch.setattr(launch, "_program", lambda: [sys.executable, "-S", "-c", STAND_IN])
    monkeypatch.setattr(cli.importlib, "import_module", None)  # Keras is not asked for


@pytest.fixture
def run(stand_in, capsys):
    """Runs `launch --workers 2` with more words: status, the chief's words by start, the rest."""

    def run(*words):
        status = cli.run(["launch", "--workers", "2", *words])
        captured = capsys.readouterr()
        return status, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def test_fit_trains_with_several_workers_unless_it_says_so_itself(run):
    words = ["fit", "--train", "a b.tsv"]
    multi_worker = ["--strategy", "multi_worker"]
    assert run("--", *words)[:2] == (0, [[*words, *multi_worker]])
    assert run("--", *words, *multi_worker)[1] == [[*words, *multi_worker]]
    one_word = "--strategy=multi_worker"
    assert run("--", *words, one_word)[1] == [[*words, one_word]]


def test_predict_is_given_as_it_is(run):
    words = ["predict", "--model", "DIR", "--input", "in.txt", "--output", "out.jsonl"]
    assert run("--", *words)[:2] == (0, [words])


@pytest.mark.parametrize("is_there", [True, False])
def test_fit_starts_again_and_resumes_its_own_run_but_no_earlier_one(
    run, monkeypatch, caplog, tmp_path, is_there
):
    caplog.set_level("INFO")
    monkeypatch.setenv("STATUS", "1")
    if is_there:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "settings.json").write_text("{}")
    words = ["fit", "--train", "x", "--output", str(tmp_path / "run"), "--force"]
    status, starts, errors = run("--", *words)
    assert (status, len(starts)) == (0, 3)
    assert starts[1] == starts[0]
    assert starts[2] == [*starts[0], "--resume"]
    assert re.search(r"worker 0 ended with status 1: restart 1 of 3\n", caplog.text)
    assert re.search(r"worker 0 ended with status 1: restart 2 of 3 with --resume\n", caplog.text)
    assert "[worker 1] " in errors
    assert run_folder.SETTINGS == settings.OF_A_RUN


def test_a_cluster_that_does_not_come_up_is_status_1_and_one_line(run, monkeypatch):
    monkeypatch.setenv("STATUS", "1")
    status, starts, errors = run("--max-restarts", "0", "--", "fit", "--train", "x")
    assert (status, len(starts)) == (1, 1)
    (line,) = [line for line in errors.splitlines() if "error" in line]
    assert re.fullmatch(
        r"keras-albert: error: worker 0 ended with status 1, after 0 of 0 restarts", line
    )


def test_bad_input_of_a_worker_is_status_2(run, monkeypatch):
    monkeypatch.setenv("STATUS", "2")
    status, starts, errors = run("--", "fit", "--train", "x")
    assert (status, len(starts)) == (2, 1)
    assert "ended with status 2: bad usage or input" in errors


def test_its_flags_reach_the_workers(run, tmp_path, monkeypatch):
    received = {}
    monkeypatch.setattr(launch, "launch", lambda *args, **options: received.update(options))
    flags = "--max-restarts 5 --threads-per-worker 3 --port 2222 --grace 1.5 --log-dir"
    assert run(*flags.split(), str(tmp_path), "--", "fit")[0] == 0
    received.pop("say")
    assert received == {
        "max_restarts": 5,
        "restart_arguments": tuple,
        "log_dir": str(tmp_path),
        "threads_per_worker": 3,
        "port": 2222,
        "grace": 1.5,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "After -- comes a command for workers, fit or predict, with its flags"),
        (["--"], "Received: none"),
        (["--", "describe", "x"], "Received: describe"),
        (["--", "fit", "--no-such-flag"], "unrecognized arguments: --no-such-flag"),
        (["--", "fit", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["--", "fit", "--config", "no-such-file"], "Settings are a readable file"),
        (["--", "fit", "--strategy", "cpu"], "The workers train together"),
        (["--", "predict", "--strategy=mirrored"], "Received: --strategy mirrored"),
        (["--max-restarts", "-1", "--", "fit"], "max_restarts is at least 0"),
    ],
)
def test_bad_usage_is_one_line_before_anything_starts(run, words, message):
    status, starts, errors = run(*words)
    assert (status, starts) == (2, [])
    assert message in errors
    assert errors.count("\n") == 1


def test_help_of_the_command_is_shown_once(stand_in, capsys):
    assert cli.run(["launch", "--workers", "2", "--", "fit", "--help"]) == 0
    assert capsys.readouterr().out.count("usage: keras-albert fit") == 1


@pytest.mark.parametrize("here", [True, False])
def test_the_workers_look_for_modules_where_this_process_does(monkeypatch, here):
    monkeypatch.setattr(sys, "path", [os.getcwd() if here else "/usr/bin", *sys.path])
    assert ("-P" in launch._program()) is not here
    words = [*launch._program(), "--version"]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout == f"keras-albert {ka.__version__}\n"


def command(folder, *words):
    """The words of a fit on a few rows of the bundled reviews."""
    for name, source, rows in (("train", "train", 128), ("dev", "test", 32)):
        lines = (DATA / f"{source}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / f"{name}.tsv").write_text("".join(lines[: rows + 1]), encoding="utf-8")
    files = ("--pretrained", DATA / "albert_mini", "--train", folder / "train.tsv")
    files += ("--validation", folder / "dev.tsv", "--output", folder / "run")
    options = "--epochs 3 --batch-size 16 --save-every 2 --no-baselines --learning-rate 1e-3"
    return list(map(str, ["fit", *files, *options.split(), *words]))


def launched(folder, *words, then=lambda process: None):
    """Runs a fit as two workers: status, standard output and error, the workers left.

    `then` is called with the process when the first of the epochs is over.
    """
    options = ["--workers", "2", "--log-dir", str(folder / "logs"), "--grace", "30"]
    program = [*launch._program(), "launch", *options, "--", *command(folder, *words)]
    result = folder / "result.txt"
    with (
        result.open("w") as stdout,
        subprocess.Popen(program, cwd=ROOT, text=True, stdout=stdout, stderr=subprocess.PIPE) as p,
    ):
        lines = []
        for line in p.stderr:
            lines.append(line)
            if "epoch 1 of 3" in line:
                then(p)
    return p.returncode, result.read_text(), "".join(lines)


def workers(process):
    """The process ids of a launch's workers, in their order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return list(map(int, children.split()))


def assert_same_weights(folder, other):
    weights = [ka.load_model(each / "run").weights for each in (folder, other)]
    for mine, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs), err_msg=mine.path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    status, output, errors = launched(folder)
    assert status == 0, errors
    assert "This model" in output
    assert {path.name for path in (folder / "logs").iterdir()} == {"worker_0.log", "worker_1.log"}
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_after_the_death_of_a_worker_the_weights_are_those_of_an_undisturbed_run(
    undisturbed, tmp_path, victim
):
    killed = []

    def kill(process):
        if not killed:
            killed.extend(workers(process))
            os.kill(killed[victim], signal.SIGKILL)

    status, output, errors = launched(tmp_path, then=kill)
    assert status == 0, errors
    assert f"worker {victim} was killed by SIGKILL: restart 1 of 3 with --resume" in errors
    assert "Goes on after step" in errors
    assert output.count("This model") == 1
    assert (tmp_path / "logs" / "worker_1.log").read_text().count("=== start ") == 2
    assert_same_weights(undisturbed, tmp_path)


@pytest.mark.slow
def test_after_sigterm_all_workers_have_saved_and_the_run_can_go_on(undisturbed, tmp_path):
    status, output, errors = launched(tmp_path, then=lambda process: process.terminate())
    assert (status, output) == (1, "")
    assert "keras-albert: error: SIGTERM: passed on, and all workers have ended" in errors
    (step,) = set(re.findall(r"stopped after step (\d+) of 24", errors))
    checkpoints = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert any(int(re.findall(r"\d+", name)[0]) == int(step) for name in checkpoints)
    status, output, errors = launched(tmp_path, "--resume")
    assert status == 0, errors
    assert f"Goes on after step {step}," in errors
    assert_same_weights(undisturbed, tmp_path)
