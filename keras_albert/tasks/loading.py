"""The task that a folder holds."""

from pathlib import Path
from typing import Any

from keras_albert.errors import InputError
from keras_albert.tasks.base import Task
from keras_albert.tasks.settings import read_settings
from keras_albert.tasks.text_classifier import TextClassifier

TASKS: dict[str, Any] = {task.NAME: task for task in (TextClassifier,)}


def load(directory: str | Path, **reading: Any) -> Task:
    """A fine-tuned task, as `save` wrote it.

    Args:
        directory: The folder.
        **reading: Further arguments of `load_model`, such as `dtype`.

    Raises:
        InputError: It is not such a folder, of another schema version, or of a task that this
            version does not know.

    Example:
    ```python
    classifier = keras_albert.tasks.load("sentiment")
    classifier.predict(["a gripping film"])
    ```
    """
    task, content = read_settings(directory)
    if task not in TASKS:
        raise InputError(
            f"{directory}: a folder of one of the tasks {', '.join(TASKS)}. Received: task={task!r}"
        )
    return TASKS[task].from_folder(directory, content, **reading)
