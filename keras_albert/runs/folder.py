"""A run's folder: how it begins, what may go on in it, what it holds in the end.

Beside the model and the report there are settings.json, with which `fit --config` repeats the run,
data.json, what it learnt from, and while it goes on metrics.jsonl and checkpoints/.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_albert.config_json import read_json, write_json
from keras_albert.directory import PROVENANCE, refuse_to_replace, replaced_files
from keras_albert.errors import InputError
from keras_albert.report.run_folder import PAGE, REPORT
from keras_albert.training.metrics_log import FILE as HISTORY
from keras_albert.training.run import CHECKPOINTS
from keras_albert.training.saved_state import check_same

SETTINGS, DATA = "settings.json", "data.json"
TENSORBOARD = "tensorboard"
# Settings that may change between two sessions of a run: the result stays the same. Whether the
# files are the same, their sha256 says.
_FREE = frozenset({"train", "validation", "test", "labels", "save_every", "tensorboard"})


@contextlib.contextmanager
def begun(
    folder: Path,
    given: Mapping[str, Any],
    data: Mapping[str, Any],
    *,
    resume: bool = False,
    force: bool = False,
) -> Iterator[bool]:
    """Makes a folder ready for a run, and takes that back where the run fails before a first step.

    Args:
        folder: Where.
        given: What settings.json is to hold.
        data: What data.json is to hold.
        resume: Go on with the run there, if there is one.
        force: Take a folder that is not empty; what an earlier run left goes, the earlier model
            only when the new one is there.

    Yields:
        Whether the run is finished already.

    Raises:
        FileExistsError: The folder is not empty.
        InputError: The run there began with other settings or data, or it is none.
    """
    given, data = (json.loads(json.dumps(value)) for value in (given, data))
    is_new = not folder.exists()
    if resume and not is_new and folder.is_dir() and any(folder.iterdir()):
        _check_same(folder / SETTINGS, given, _FREE)
        _check_same(folder / DATA, data)
    else:
        refuse_to_replace(folder, force)
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        with replaced_files(folder) as new:
            write_json(new / SETTINGS, given)
            write_json(new / DATA, data)
    try:
        yield is_finished(folder)
    except BaseException:
        left = {path.name for path in folder.iterdir()}
        history = folder / HISTORY
        if not left & {CHECKPOINTS, REPORT} and not (history.is_file() and history.stat().st_size):
            for name in (SETTINGS, DATA, HISTORY):
                (folder / name).unlink(missing_ok=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()
        raise


def is_finished(folder: Path) -> bool:
    """Whether a run's model and report are there."""
    return (folder / REPORT).is_file()


def _clear(folder: Path) -> None:
    """Removes what an earlier run left that would be taken for this one's."""
    for name in (REPORT, HISTORY):
        (folder / name).unlink(missing_ok=True)
    for name in (CHECKPOINTS, TENSORBOARD):
        shutil.rmtree(folder / name, ignore_errors=True)


@contextlib.contextmanager
def finished(folder: Path) -> Iterator[Path]:
    """A folder to put model and report in, which get into the run's folder together or not at all.

    After that the checkpoints go.
    """
    with replaced_files(folder) as new:
        yield new
        has_page = (new / PAGE).exists()
    if not has_page:  # an earlier one shows other results
        (folder / PAGE).unlink(missing_ok=True)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def results(folder: Path) -> dict[str, Any]:
    """Of a finished run: `output`, `judged_by`, `metrics` by part, `baselines`."""
    provenance, report = read_json(folder / PROVENANCE), read_json(folder / REPORT)
    metrics = provenance["metrics"]
    return {
        "output": str(folder),
        "judged_by": list(metrics)[-1],
        "metrics": metrics,
        "baselines": {
            name: {key: found[key] for key in list(metrics.values())[-1] if key in found}
            for name, found in report["baselines"].items()
        },
    }


def _check_same(path: Path, current: Mapping[str, Any], free: frozenset[str] = frozenset()) -> None:
    if not path.is_file():
        raise InputError(f"{path}: the folder of a run to resume has this file")
    check_same(path, *(_compared(content, free) for content in (read_json(path), current)))


def _compared(content: Mapping[str, Any], free: frozenset[str]) -> dict[str, Any]:
    """What must be the same of it: of a file all but where it is."""
    return {
        name: {key: part for key, part in value.items() if key != "path"}
        if isinstance(value, dict)
        else value
        for name, value in content.items()
        if name not in free
    }
