"""The example in every public docstring runs."""

import inspect
import re
import textwrap

import keras
import numpy as np
import pytest

import keras_albert
from keras_albert import activations, layers

DOCUMENTED = [getattr(layers, name) for name in layers.__all__] + [
    activations.gelu,
    activations.gelu_tanh,
    activations.get,
]


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda item: item.__name__)
def test_the_docstrings_example_runs(documented):
    examples = re.findall(r"```python\n(.*?)```", inspect.getdoc(documented), re.DOTALL)
    assert examples, f"{documented.__name__} has no example"
    for example in examples:
        scope = {"np": np, "keras": keras, "keras_albert": keras_albert}
        exec(textwrap.dedent(example), scope)
        _check_shapes(example, scope)


def _check_shapes(example, scope):
    """A comment behind an assignment gives the result's shape: `y = layer(x)  # [1, 3, 8]`."""
    for name, shape in re.findall(r"^(\w+) = .*?# \[([\d, ]+)\]", example, re.MULTILINE):
        assert list(scope[name].shape) == [int(size) for size in shape.split(",")], example


@pytest.mark.parametrize("name", layers.__all__)
def test_every_layer_is_registered_with_keras(name):
    layer = getattr(layers, name)
    assert keras.saving.get_registered_name(layer) == f"keras_albert>{name}"
