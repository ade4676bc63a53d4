"""`colab/execute.py`: parameters are replaced by name, outputs made fit to commit."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from colab import execute
from colab.execute import _presentable, _set_parameters, parameters_of


def parameters() -> nbformat.NotebookNode:
    cell = new_code_cell("ROWS = 4000  # @param", metadata={"tags": ["parameters"]})
    return new_notebook(cells=[new_code_cell("pass"), cell])


def test_a_parameter_gets_its_value_after_the_one_that_it_has():
    notebook = parameters()
    _set_parameters(notebook, {"ROWS": 64})
    scope: dict[str, int] = {}
    exec(parameters_of(notebook).source, scope)
    assert scope["ROWS"] == 64


def test_a_parameter_that_no_cell_assigns_is_refused():
    with pytest.raises(LookupError, match="assigns no ROW"):
        _set_parameters(parameters(), {"ROW": 64})


def test_standard_error_goes_and_the_pieces_of_a_text_become_one():
    outputs = [
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stderr", text="a warning\n"),
        new_output("stream", name="stdout", text="b\n"),
    ]
    (kept,) = _presentable(outputs, "/somewhere")
    assert (kept.name, kept.text) == ("stdout", "a\nb\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("63/63 - 12s - 190ms/step - loss: 0.69\n", "63/63 - loss: 0.69\n"),
        ("63/63 - 0s - 2s/step\n", "63/63\n"),
        ("on 4 inputs, 1.23 s, peak memory 800 MB\n", "on 4 inputs\n"),
        ("INFO:tensorflow:Assets written to: 1/.x7\n3 signatures", "3 signatures"),
        ("<Picture at 0x7f12ab>", "<Picture>"),
        ("/somewhere/run/report.json", "./run/report.json"),
        (f"{execute.FOLDER.parent}/keras_albert", "keras_albert"),
        (f"{Path.home()}/.cache/keras_albert", "~/.cache/keras_albert"),
    ],
)
def test_what_differs_from_machine_to_machine_is_left_out(text, shown):
    (kept,) = _presentable([new_output("stream", name="stdout", text=text)], "/somewhere")
    assert kept.text == shown


def test_a_notebook_that_fails_gives_status_1_and_its_error(tmp_path):
    script = tmp_path / "execute.py"
    script.write_bytes((execute.FOLDER / "execute.py").read_bytes())
    notebook = parameters()
    notebook.cells.append(new_code_cell("1 / 0"))
    nbformat.write(notebook, tmp_path / "fine_tune_on_tpu.ipynb")
    command = [sys.executable, script, "--update", "fine_tune_on_tpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    again = nbformat.read(tmp_path / "fine_tune_on_tpu.ipynb", as_version=4)
    assert [cell.execution_count for cell in again.cells] == [None] * 3


def test_update_keeps_the_outputs_and_what_lies_beside_is_found(tmp_path):
    script = tmp_path / "execute.py"
    script.write_bytes((execute.FOLDER / "execute.py").read_bytes())
    (tmp_path / "rows.txt").write_text("three rows")
    notebook = parameters()
    notebook.cells.append(new_code_cell("print(open('rows.txt').read(), ROWS)"))
    nbformat.write(notebook, tmp_path / "own.ipynb")
    beside = ["--beside", str(tmp_path / "rows.txt"), "--set", "ROWS=3"]
    command = [sys.executable, script, "--update", *beside, "own"]
    subprocess.run(command, check=True, capture_output=True)
    again = nbformat.read(tmp_path / "own.ipynb", as_version=4)
    assert again.cells[-1].outputs[0].text == "three rows 3\n"
