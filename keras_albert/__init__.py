"""BERT and ALBERT for Keras 3, exact from Google's original checkpoints.

The public names are those of keras_albert/public.py.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from keras_albert.public import *  # noqa: F403

# `from keras_albert import layers` imports these itself, once `__getattr__` has said no.
_SUBMODULES = ("activations", "data", "distribute", "layers", "optimizers", "tasks", "tokenization")

# The import registers every layer and model with Keras, so that `keras.models.load_model` knows
# them. The command line alone comes here before Keras is there: it answers --help without it.
if "checkpoints_tools.launcher" not in sys.modules:
    importlib.import_module("keras_albert.public")


def __getattr__(name: str) -> Any:
    # Dunder names are asked for by the import system, before there is a public name to give.
    if not name.startswith("_") and name not in _SUBMODULES:
        public = importlib.import_module("keras_albert.public")
        if name in public.__all__:
            return getattr(public, name)
    raise AttributeError(f"module 'keras_albert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *importlib.import_module("keras_albert.public").__all__]
