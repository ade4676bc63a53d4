"""What a classifier learns: one class a text, several labels a text, or a number.

Each kind says how labels become numbers and logits become answers, and which loss, metrics and
probabilities belong to it.
"""

from collections.abc import Sequence

from keras_albert.data.messages import shown
from keras_albert.errors import InputError
from keras_albert.tasks.targets.classes import Classes
from keras_albert.tasks.targets.labels import Labels
from keras_albert.tasks.targets.number import Number
from keras_albert.tasks.targets.protocol import Targets

__all__ = ["KINDS", "Classes", "Labels", "Number", "Targets", "targets_of"]

KINDS = ("classification", "multi_label", "regression")


def targets_of(kind: str, labels: Sequence[str] | None) -> Targets:
    """The targets of a kind.

    Raises:
        InputError: Another kind; labels missing, or given for numbers.
    """
    if kind not in KINDS:
        raise InputError(f"kind is one of {KINDS}. Received: kind={kind!r}")
    if isinstance(labels, str) or (labels is None) is not (kind == "regression"):
        raise InputError(
            "labels lists the names of the classes; a regression has none. "
            f"Received: labels={shown(labels)}, kind={kind!r}"
        )
    if kind == "regression":
        return Number()
    return (Classes if kind == "classification" else Labels)(list(labels or ()))
