"""Run by tests/keras_albert/tasks/test_compilations.py: how often XLA compiles each step, as JSON.

Arguments: the folder that `small.write_source` wrote, and an empty one for what XLA dumps.
"""

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

SOURCE, DUMPS = map(Path, sys.argv[1:])
# Read when TensorFlow starts.
os.environ["XLA_FLAGS"] = f"--xla_dump_to={DUMPS} --xla_dump_hlo_module_re=.*one_step_on_data.*"

from keras_albert.tasks import TextClassifier  # noqa: E402
from tests.keras_albert.tasks.small import NAMES, reviews  # noqa: E402


def compilations():
    """By the function that is compiled, of which each kind of step has one a trace."""
    names = (path.name for path in DUMPS.glob("*before_optimizations.txt"))
    return Counter(re.search(r"one_step_on_data_\d+", name)[0] for name in names)


def main():
    """Fits, evaluates and predicts twice each, on texts of all lengths."""
    classifier = TextClassifier.from_pretrained(SOURCE, NAMES)
    texts, labels = reviews(40)
    texts = [text + " and" * (20 * (row % 2)) for row, text in enumerate(texts)]
    classifier.compile(jit_compile=True)
    after = {}
    classifier.fit(texts, labels, epochs=3, batch_size=8, verbose=0)
    after["train"] = compilations()
    validation = classifier._encoded((texts, labels, None)).batches(
        8, lengths=classifier._learning.buckets(32), remainder="fill"
    )
    for _ in range(2):
        classifier.model.evaluate(validation, verbose=0)
    after["test"] = compilations() - after["train"]
    for rows in (40, 3, 40):
        classifier.predict(texts[:rows], batch_size=8)
    after["predict"] = compilations() - after["train"] - after["test"]
    counts = {kind: sum(found.values()) for kind, found in after.items()}
    print(json.dumps({"buckets": classifier._learning.buckets(32), "compilations": counts}))


if __name__ == "__main__":
    main()
