"""Everything that a training needs to go on as if nothing had happened, in and out of a checkpoint.

Keras' own files leave out the states of dropout's random generators, the metrics of the epoch so
far and where the data are.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_albert.data.messages import shown
from keras_albert.errors import InputError
from keras_albert.training.checkpoints import Checkpoint
from keras_albert.training.values import value_of

Named = tuple[str, np.ndarray]


def name_of(group: str, index: int) -> str:
    """The name of a group's array with that number.

    Not its path: what Keras numbers, such as seed generators, has other names in the next process.
    """
    return f"{group}/{index:05d}"


def arrays_of(group: str, variables: Iterable[Any]) -> Iterator[Named]:
    """The values of variables under their names."""
    for index, variable in enumerate(variables):
        yield name_of(group, index), value_of(variable)


def values_in(checkpoint: Checkpoint, group: str) -> list[np.ndarray]:
    """What `arrays_of` gave."""
    names = sorted(name for name in checkpoint.arrays if name.startswith(f"{group}/"))
    return [checkpoint.arrays[name] for name in names]


def assign(checkpoint: Checkpoint, group: str, variables: list[Any]) -> None:
    """Gives variables the values that they had.

    Raises:
        InputError: They are others in number, shape or size.
    """
    values = values_in(checkpoint, group)
    if len(values) != len(variables):
        raise InputError(
            f"{checkpoint.path}: the checkpoint is of another {group}, of {len(values)} variables. "
            f"Received: {len(variables)}"
        )
    pairs = list(zip(variables, values, strict=True))
    for variable, value in pairs:
        dtype = value_of(variable).dtype
        if value.shape != tuple(variable.shape) or value.dtype.itemsize != dtype.itemsize:
            raise InputError(
                f"{checkpoint.path}: the checkpoint is of another {group}: {variable.path} has "
                f"shape {value.shape} and type {value.dtype} there. "
                f"Received: shape {tuple(variable.shape)}, type {dtype}"
            )
    for variable, value in pairs:
        dtype = value_of(variable).dtype
        variable.assign(value if value.dtype == dtype else value.view(dtype))


def check_fingerprint(
    checkpoint: Checkpoint, saved: Mapping[str, Any], current: Mapping[str, Any]
) -> None:
    """Raises InputError that names each entry that differs, at whatever depth."""
    check_same(checkpoint.path, dict(_flat(saved)), dict(_flat(current)))


def check_same(path: Path, saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Raises InputError that names each entry that differs from what `path` holds, and both values.

    An entry that is not there is None.
    """
    differing = [
        f"{name}={shown(current.get(name))} (was {shown(saved.get(name))})"
        for name in sorted(saved.keys() | current.keys())
        if saved.get(name) != current.get(name)
    ]
    if differing:
        raise InputError(
            f"A run is resumed with the settings and data that it began with, which {path} holds. "
            f"Received: {', '.join(differing)}"
        )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
