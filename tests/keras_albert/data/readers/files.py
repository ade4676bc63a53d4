"""Small files for the readers, and the one line of what they refuse."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from keras_albert.data.readers import read_records
from keras_albert.errors import InputError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """A file with the content as it stands; gzip data where the name ends in .gz."""
    data = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def refusal(path: Any, task: str, **options: Any) -> str:
    """The message that refuses the file: a single printable line."""
    with pytest.raises(InputError) as caught:
        list(read_records(path, task, **options))
    message = str(caught.value)
    assert message.isprintable()
    assert "Received: " in message
    return message


def tolerant(path: Any, task: str, **options: Any) -> tuple[list[Any], list[str]]:
    """Records, and the messages of those that were reported instead."""
    errors: list[InputError] = []
    records = list(read_records(path, task, on_error=errors.append, **options))
    return records, [str(error) for error in errors]
