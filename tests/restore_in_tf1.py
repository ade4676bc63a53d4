"""Restores exported checkpoints with TensorFlow 1 itself; run by a Python that has it.

    python3.7 tests/restore_in_tf1.py REFERENCE_FOLDER EXPORTED_PREFIX [REFERENCE_FOLDER …]

Where the reference's .meta holds Google's graph, the exported weights run in it, and its outputs
must equal those of the original to the last bit; elsewhere Saver restores every variable. Prints
one line a case.
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf

tf.compat.v1.disable_eager_execution()
v1 = tf.compat.v1


def main(arguments):
    for folder, prefix in zip(arguments[::2], arguments[1::2]):  # noqa: B905 (Python 3.7)
        print(json.dumps(check(folder, prefix)))


def check(folder, prefix):
    original = os.path.join(folder, "model.ckpt")
    names = [name for name, _ in tf.train.list_variables(prefix)]
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.import_meta_graph(original + ".meta")
        variables = [v for v in v1.global_variables() if v.op.name in set(names)]
        assert sorted(v.op.name for v in variables) == sorted(names)
        saver = v1.train.Saver(variables)
        values = []
        for checkpoint in (original, prefix):
            session.run(v1.global_variables_initializer())
            saver.restore(session, checkpoint)
            values.append(session.run(variables + outputs(), feed(folder)))
        equal = [np.array_equal(a, b) for a, b in zip(*values)]  # noqa: B905 (Python 3.7)
        return {
            "case": os.path.basename(folder),
            "variables": len(variables),
            "graph_outputs": len(outputs()),
            "equal": bool(all(equal)),
        }


def outputs():
    """Probabilities, activations and norms of the graph, where the .meta holds one."""
    return [
        operation.outputs[0]
        for operation in v1.get_default_graph().get_operations()
        if operation.type in ("Softmax", "LogSoftmax", "Tanh")
        or operation.name.endswith("batchnorm/add_1")
    ]


def feed(folder):
    """Input case a for the graph's placeholders."""
    arrays = np.load(os.path.join(folder, "expected.npz"))
    return {
        operation.outputs[0]: arrays["a/in/" + operation.name]
        for operation in v1.get_default_graph().get_operations()
        if operation.type == "Placeholder"
        and operation.name != "save/filename"
        and "a/in/" + operation.name in arrays
    }


if __name__ == "__main__":
    main(sys.argv[1:])
