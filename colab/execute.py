"""Executes the notebooks of this folder, each in a folder of its own that is thrown away.

    python colab/execute.py --check [NAME ...]     at reduced size; nothing is written
    python colab/execute.py --update [NAME ...]    as it stands; the outputs go into the notebook

Needs nbformat, nbclient and ipykernel: pip install -e ".[test]".
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
# What a test has time for: other values for names of the cell that is tagged "parameters".
REDUCED: dict[str, dict[str, Any]] = {
    "build_your_own_model": {"WORDS": 256, "EPOCHS": 1},
    "chinese_albert_zh": {"ROWS": 64, "EPOCHS": 1, "MAX_LENGTH": 32, "LAYERS": 1},
    "convert_verify_export": {"ROWS": 64},
    "fine_tune_on_tpu": {"FETCH": False, "ROWS": 128, "EPOCHS": 1, "BATCH_SIZE": 16},
    "fine_tune_text_classification": {"FETCH": False, "ROWS": 128, "EPOCHS": 1},
}
_LONGEST_CELL = 3600  # seconds
# What differs from run to run, or from machine to machine.
_VARYING = re.compile(
    r" - \d+m?s(/step)?(?=[ \n])|, [\d.]+ s, peak memory \d+ MB| at 0x[0-9a-f]+"
    r"|INFO:tensorflow:.*\n"
)


def execute(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    beside: Sequence[str | Path] = (),
) -> Any:
    """A notebook with the outputs of its execution.

    Args:
        name: Of the notebook, without its suffix.
        parameters: Other values for names of its cell of parameters.
        beside: Files and folders that the notebook finds, by their names, where it runs.

    Raises:
        CellExecutionError: A cell fails; the message holds cell and traceback.
        LookupError: The notebook has no such parameter.
    """
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    _set_parameters(notebook, parameters or {})
    with tempfile.TemporaryDirectory() as folder:
        for path in map(Path, beside):
            Path(folder, path.name).symlink_to(path.resolve())
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=_LONGEST_CELL,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        paths = [str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        client.execute(env=os.environ | quiet)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = _presentable(cell.outputs, folder)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def parameters_of(notebook: Any) -> Any:
    """The cell of parameters."""
    return next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))


def _set_parameters(notebook: Any, values: Mapping[str, Any]) -> None:
    cell = parameters_of(notebook)
    for name, value in values.items():
        if not re.search(rf"^{name} = ", cell.source, re.MULTILINE):
            raise LookupError(f"The cell of parameters assigns no {name}")
        cell.source += f"\n{name} = {value!r}"


def _presentable(outputs: Sequence[Any], folder: str) -> list[Any]:
    """Outputs to commit: no standard error, no times, and of paths what a reader can follow."""
    kept: list[Any] = []
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                continue
            output.text = _neutral(output.text, folder)
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
                continue
        elif "text/plain" in output.get("data", {}):
            output.data["text/plain"] = _neutral(output.data["text/plain"], folder)
        kept.append(output)
    return kept


def _neutral(text: str, folder: str) -> str:
    places = {folder: ".", f"{FOLDER.parent}{os.sep}": "", str(Path.home()): "~"}
    for path, shown in places.items():
        text = text.replace(path, shown)
    return _VARYING.sub("", text)


def main() -> int:
    """Executes what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="at reduced size, nothing is written")
    what.add_argument("--update", action="store_true", help="keep the outputs in the notebooks")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="parameter")
    parser.add_argument("--beside", action="append", default=[], metavar="PATH", help="file there")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    args = parser.parse_args()
    given = {name: json.loads(value) for name, _, value in (one.partition("=") for one in args.set)}
    for name in args.names or NAMES:
        try:
            notebook = execute(name, (REDUCED[name] if args.check else {}) | given, args.beside)
        except CellExecutionError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        if args.update:
            nbformat.write(notebook, FOLDER / f"{name}.ipynb")
        print(f"{name}: executed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
