"""The golden model cases: Google's checkpoints with inputs and outputs of Google's graphs."""

import json
from functools import cache, cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from keras_albert.config import EncoderConfig
from tests.paths import REFERENCE

# Google's float32 departs from float64 by up to 6.3e-6 on these cases (reference README).
BAR = 1e-5

OUTSIDE_ANSWER = -1e29  # below this a score is Google's -1e30 for "no answer may lie here"

TASKS = {  # what case.json calls a task, and what we call it
    "pretraining": "pretraining",
    "classifier": "classification",
    "squad": "question_answering",
    "squad_v2": "question_answering_v2",
    "race": "multiple_choice",
}

_INPUTS = {  # Google's name: ours
    "input_ids": "token_ids",
    "segment_ids": "segment_ids",
    "input_mask": "padding_mask",
    "masked_lm_positions": "masked_positions",
    "mlm_positions": "masked_positions",
    "p_mask": "answer_mask",
}


class Checkpoint:
    """A TF1 checkpoint: `names`, and `read` by a name without TF-Hub's `module/`."""

    def __init__(self, prefix):
        self._reader = tf.train.load_checkpoint(str(prefix))
        self._stored = {
            name.removeprefix("module/"): name for name in self._reader.get_variable_to_shape_map()
        }
        self.names = frozenset(self._stored)  # optimizer slots and global_step among them

    def read(self, name):
        return self._reader.get_tensor(self._stored[name])


class Case:
    """One folder of the reference: configuration, checkpoint, task and expected numbers."""

    def __init__(self, name):
        self.name = name
        self.folder = REFERENCE / name
        self.config = EncoderConfig.from_json(next(self.folder.glob("*_config.json")))
        description = json.loads((self.folder / "case.json").read_text())
        self.task = TASKS.get(description["task"])
        options = description.get("options", {})
        self.options = {k: v for k, v in options.items() if k in ("start_n_top", "end_n_top")}
        with np.load(self.folder / "expected.npz") as arrays:
            self._arrays = dict(arrays)

    @property
    def sets(self):
        """The input cases that expected.npz holds, such as ("a", "b", "c", "d")."""
        return tuple(sorted({key.split("/")[0] for key in self._arrays}))

    @property
    def ragged(self):
        """The set for tests of one: with padding, where expected.npz holds it."""
        return "b" if "b" in self.sets else self.sets[-1]

    def part(self, key, separator="/"):
        """The arrays below `key`, such as "b/out", by the rest of their name."""
        key += separator
        return {k.removeprefix(key): v for k, v in self._arrays.items() if k.startswith(key)}

    def inputs(self, key, task) -> dict[str, Any]:
        """Input case `key` under our names, as far as `task` takes them."""
        ours = {_INPUTS[k]: v for k, v in self.part(f"{key}/in").items() if k in _INPUTS}
        if task not in ("pretraining", "masked_lm"):
            ours.pop("masked_positions", None)
        if task != "question_answering_v2":
            ours.pop("answer_mask", None)
        else:
            ours["answer_mask"] = 1 - ours["answer_mask"]
        return ours

    @cached_property
    def checkpoint(self):
        return Checkpoint(self.folder / "model.ckpt")


def case_names():
    """Folders of the reference that hold a model: a configuration, weights and numbers."""
    return sorted(
        path.parent.name
        for path in REFERENCE.glob("*/expected.npz")
        if any(path.parent.glob("*_config.json"))
    )


@cache
def load_case(name):
    return Case(name)


def distance(got, expected):
    """Largest difference over max(1, largest magnitude); infinite where kinds or -1e30 differ."""
    if got.shape != expected.shape:
        return np.inf
    if expected.dtype.kind in "iub":
        return 0.0 if np.array_equal(got, expected) else np.inf
    outside = expected < OUTSIDE_ANSWER
    if not np.array_equal(got < OUTSIDE_ANSWER, outside):
        return np.inf
    if not np.array_equal(*(x[outside].astype(np.float32) for x in (got, expected))):
        return np.inf
    difference = np.abs(got - expected.astype(np.float64))[~outside]
    magnitude = np.abs(expected[~outside])
    return float(difference.max(initial=0.0) / magnitude.max(initial=1.0))
