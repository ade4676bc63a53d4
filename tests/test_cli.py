"""The command line: a light start, exit codes, one line for an error."""

import argparse
import errno
import io
import json
import os
import subprocess
import sys
import time

import keras
import pytest

import keras_albert
from checkpoints_tools import convert
from keras_albert import cli, filling, heads, quickstart
from keras_albert.cli import progress
from keras_albert.cli.convert import TASKS
from keras_albert.errors import InputError
from tests.checkpoints_tools.hugging_face_folders import BERT, MADE
from tests.paths import REFERENCE, ROOT

HEAVY = ("tensorflow", "keras", "numpy", "jax", "h5py", "keras_albert.public")
NAMES = [command.NAME for command in cli.COMMANDS]


def run_process(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, **options
    )


@pytest.fixture
def stand_in(monkeypatch):
    """Puts a function in the place of `export`, whose errors are then the command line's."""

    def place(function):
        monkeypatch.setattr(cli.export, "run", function)
        return ["export", "DIR", "PREFIX"]

    return place


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in NAMES)])
def test_help_imports_neither_keras_nor_tensorflow(words):
    code = (
        "import sys; from checkpoints_tools.launcher import main; status = main(sys.argv[2:]); "
        "print(sorted(set(sys.argv[1].split()) & set(sys.modules)), status)"
    )
    ran = run_process("-c", code, " ".join(HEAVY), *words)
    assert ran.stdout.endswith("[] 0\n"), ran.stdout + ran.stderr
    assert ran.stdout.startswith("usage: keras-albert")


@pytest.mark.parametrize("words", [["--help"], ["convert", "--help"]])
def test_help_answers_in_under_a_second(words):
    seconds = []
    for _ in range(3):  # the quickest: a busy machine is not the program's doing
        start = time.perf_counter()
        run_process("-m", "checkpoints_tools", *words, check=True)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def test_help_lists_every_command_and_shows_defaults(capsys):
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"    {name} " in listed or f"    {name}\n" in listed for name in NAMES)
    assert cli.run(["convert", "--help"]) == 0
    assert "(default: float32)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "flag",
    [
        "--init_checkpoint",
        "--bert_config_file",
        "--albert_config_file",
        "--vocab_file",
        "--spm_model_file",
        "--do_lower_case",
        "--max_seq_length",
    ],
)
@pytest.mark.parametrize("command", ["describe", "convert"])
def test_help_names_googles_flags(capsys, command, flag):
    assert cli.run([command, "--help"]) == 0
    assert flag in capsys.readouterr().out


def test_version_goes_to_standard_output(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"keras-albert {keras_albert.__version__}\n"


def test_the_launcher_reads_the_processs_own_words(capsys, monkeypatch):
    from checkpoints_tools import launcher  # Keras is there: this import defers nothing any more

    monkeypatch.setattr(sys, "argv", ["keras-albert", "--version"])
    assert launcher.main() == 0
    assert capsys.readouterr().out.startswith("keras-albert ")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["convert"],
        ["convert", "SOURCE", "OUT", "--dtype", "float8"],
        ["convert", "SOURCE", "OUT", "--init_checkpoint", "model.ckpt"],
        ["describe"],
        ["describe", "SOURCE", "--published"],
        ["verify", "SOURCE", "--tolerance", "small"],
    ],
)
def test_bad_usage_is_one_line_and_status_2(capsys, words):
    assert cli.run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("keras-albert: error: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InputError("the rule. Received: x=1"), 2, "the rule. Received: x=1"),
        (FileExistsError(errno.EEXIST, "File exists", "out"), 2, "'out'"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 2, "'out'"),
        (OSError(errno.ENOSPC, "No space left on device", "out"), 2, "No space left"),
        (RuntimeError("it\n\n  broke"), 1, "RuntimeError: it broke"),
        (KeyboardInterrupt(), 1, "interrupted"),
    ],
)
def test_bad_input_is_status_2_and_a_failed_run_1_in_one_line(
    capsys, stand_in, error, status, text
):
    def raises(args):
        raise error

    assert cli.run(stand_in(raises)) == status
    captured = capsys.readouterr()
    assert captured.err.startswith("keras-albert: error: ")
    assert text in captured.err
    assert captured.err.count("\n") == 1


def test_the_list_that_an_input_error_carries_keeps_its_lines(capsys, stand_in):
    def raises(args):
        raise InputError("they do not match:\n  - missing [3]\n  + unclaimed [4]")

    assert cli.run(stand_in(raises)) == 2
    assert capsys.readouterr().err == (
        "keras-albert: error: they do not match:\n  - missing [3]\n  + unclaimed [4]\n"
    )


@pytest.mark.parametrize("before", [True, False])
def test_debug_shows_the_traceback_wherever_it_stands(capsys, stand_in, before):
    def raises(args):
        raise InputError("the rule")

    words = stand_in(raises)
    assert cli.run(["--debug", *words] if before else [*words, "--debug"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_the_run_without_a_word():
    program = (
        "import sys; import checkpoints_tools.launcher; import keras_albert.cli as cli\n"
        "cli.export.run = lambda args: print('\\n' * 1_000_000)\n"
        "sys.exit(cli.run(['export', 'DIR', 'PREFIX']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (1, "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_renews_one_line_on_a_terminal(monkeypatch):
    clock = iter([0.0, 1.0, 1.01, 2.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = Terminal()
    report = progress.Progress("variables", stream)
    for done in (0, 1, 2, 4):  # the third comes too soon to be shown
        report(done, 4, "reading")
    lines = stream.getvalue().split("\r")[1:]
    assert lines == [
        "reading: 1/4 variables, 1/s, 3 s left\x1b[K",
        "reading: 4/4 variables, 2/s, 0 s left\x1b[K\n",
    ]


def test_progress_logs_now_and_then_where_there_is_no_terminal(monkeypatch):
    clock = iter([0.0, 4.0, 5.0, 6.0, 11.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    logged = []
    monkeypatch.setattr(progress.logging, "info", lambda form, text: logged.append(text))
    report = progress.Progress("variables", io.StringIO())
    for done in (0, 4, 5, 6, 11):
        report(done, 22, "writing")
    assert logged == [
        "writing: 5/22 variables, 1/s, 17 s left",
        "writing: 11/22 variables, 1/s, 11 s left",
    ]


def test_every_command_has_the_four_parts():
    for command in cli.COMMANDS:
        assert command.HELP
        command.add_arguments(argparse.ArgumentParser())
        assert callable(command.run)


def test_the_module_runs_as_the_console_script_does():
    ran = run_process("-m", "checkpoints_tools", "describe", os.devnull)
    assert ran.returncode == 2
    assert ran.stderr.startswith("keras-albert: error: ")
    assert ran.stderr.count("\n") == 1


def test_convert_offers_every_task():
    assert set(heads.TASKS) == set(TASKS)


def test_a_checkpoint_goes_through_every_command_and_back(tmp_path, capsys):
    source, converted, back = REFERENCE / "albert_tiny", tmp_path / "out", tmp_path / "back"
    assert cli.run(["convert", str(source), str(converted)]) == 0
    assert f"{converted}: pretraining, from embeddings" in capsys.readouterr().out

    assert cli.run(["describe", str(converted)]) == 0
    assert "layers 4, width 48, heads 6" in capsys.readouterr().out
    assert cli.run(["describe", str(source), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["family"], described["task"]) == ("albert", "pretraining")

    assert cli.run(["export", str(converted), str(back / "model.ckpt")]) == 0
    assert str(back / "model.ckpt.index") in capsys.readouterr().out
    assert cli.run(["verify", str(back), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


def test_hugging_faces_layout_goes_through_every_command_and_back(tmp_path, capsys):
    source, converted, back = MADE / BERT, tmp_path / "out", tmp_path / "back"
    assert cli.run(["describe", str(source)]) == 0
    assert "activation gelu, post-LN" in capsys.readouterr().out
    assert cli.run(["verify", str(source), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert cli.run(["convert", str(source), str(converted), "--no-verify"]) == 0
    assert f"{converted}: pretraining, from embeddings" in capsys.readouterr().out
    words = ["export", str(converted), str(back), "--format", "hugging_face"]
    assert cli.run(words) == 0
    assert f"{back}: BertForPreTraining, " in capsys.readouterr().out
    assert sorted(path.name for path in back.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert cli.run(words) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.run([*words, "--force", "--lower-case"]) == 0


def test_what_is_there_is_not_written_over(tmp_path, capsys):
    (tmp_path / "mine").write_text("")
    assert cli.run(["convert", str(REFERENCE / "bert_tiny"), str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_model_that_is_not_exact_is_status_1(monkeypatch, capsys):
    exact = filling.assign

    def assign(model, weights, **arguments):
        exact(model, weights, **arguments)
        model.weights[0].assign(1.01 * keras.ops.convert_to_tensor(model.weights[0]))

    monkeypatch.setattr(filling, "assign", assign)
    assert cli.run(["verify", str(REFERENCE / "bert_squad")]) == 1
    assert "NOT EXACT" in capsys.readouterr().out


@pytest.mark.parametrize("name", [[], ["albert-base-v2"]])
def test_published_checkpoints_are_listed_with_addresses_and_parameters(capsys, name):
    assert cli.run(["describe", "--published", *name, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert (len(entries) == 1) is bool(name)
    base = next(entry for entry in entries if entry["name"] == "albert-base-v2")
    assert base["parameters"] == 11_683_584
    assert base["address"].endswith("/albert_base_v2.tar.gz")


def test_convert_takes_what_overrides_the_configuration(monkeypatch, tmp_path):
    received = {}

    def stand_in(source, out, **arguments):
        received.update(arguments)
        return {"notes": [], "parity": None, "fresh": ["classifier"], "task": "x", "parts": []}

    monkeypatch.setattr(convert, "convert", stand_in)
    words = "convert SOURCE OUT --ln-type preln --dropout 0 --activation gelu --no-verify"
    assert cli.run(words.split()) == 0
    assert received["overrides"] == {
        "norm_position": "pre",
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation": "gelu",
    }
    assert received["verify"] is False


@pytest.mark.parametrize(("parity", "status"), [(True, 0), (False, 1)])
def test_quickstart_succeeds_where_the_conversion_is_exact(monkeypatch, parity, status):
    received = []

    def stand_in(output, *, seed, **_):
        received.append((output, seed))
        return {"parity": parity}

    monkeypatch.setattr(quickstart, "run", stand_in)
    assert cli.run(["quickstart", "--output", "DIR", "--seed", "3"]) == status
    assert received == [("DIR", 3)]
