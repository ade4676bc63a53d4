"""This process among those that train together (TF_CONFIG, the format of TensorFlow's clusters)."""

import json
import os
from dataclasses import dataclass
from typing import Any

from keras_albert.errors import InputError

VARIABLE = "TF_CONFIG"


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, the first of which is the chief.

    Attributes:
        addresses: "host:port" of every worker.
        index: Of this one.
    """

    addresses: tuple[str, ...]
    index: int


def cluster() -> Cluster | None:
    """What TF_CONFIG says; None where it is not set.

    Raises:
        InputError: It is no JSON, or names no workers or not this one.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    rule = (
        f"{VARIABLE} is JSON such as "
        '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        content: Any = json.loads(text)
        jobs = dict(content["cluster"])
        task, index = content["task"]["type"], int(content["task"]["index"])
        # A chief of its own is the first of the workers.
        addresses = [*jobs.pop("chief", []), *jobs.pop("worker", [])]
        index += task == "worker" and "chief" in content["cluster"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{rule}. Received: {text[:200]!r}") from error
    if "ps" in jobs:
        raise InputError(
            "Keras 3 trains without parameter servers: multi_worker, where every worker holds the "
            "weights, takes their place. Received: a job 'ps' in TF_CONFIG"
        )
    if task not in ("worker", "chief") or not 0 <= index < len(addresses):
        raise InputError(f"{rule}, with a task among its workers. Received: {text[:200]!r}")
    return Cluster(tuple(map(str, addresses)), index)


def worker_index() -> int:
    """The number of this process; 0 where it is alone."""
    found = cluster()
    return 0 if found is None else found.index


def worker_count() -> int:
    """How many processes train together; 1 where this is alone."""
    found = cluster()
    return 1 if found is None else len(found.addresses)


def is_chief() -> bool:
    """Whether this process writes the files that all have in common."""
    return worker_index() == 0


def anywhere(strategy: Any, flag: bool) -> bool:
    """Whether the flag holds in any worker; every worker of the strategy asks at the same time."""
    import tensorflow as tf

    flags = strategy.experimental_distribute_values_from_function(
        lambda _: tf.constant(float(flag))
    )
    return bool(strategy.reduce(tf.distribute.ReduceOp.SUM, flags, axis=None) > 0)


def barrier(strategy: Any) -> None:
    """Waits until every worker of a strategy has come here."""
    if worker_count() > 1:
        anywhere(strategy, False)
