"""Does fine-tuning here reach what it reaches with Transformers?

Every task of _finetuning_tasks.py, five seeds each, on both sides with the same weights, rows,
batch, rate, epochs and schedule; only the head's first weights, dropout and the order of the rows
are each side's own, by seed. One JSON line a run is appended to the results; what is recorded
there is not run again, so that an interrupted comparison goes on where it was.

    python benchmarks/finetuning_quality.py --work DIR --transformers-python PYTHON [--tasks T …]
    python benchmarks/finetuning_quality.py --table     # the results in Markdown

`--transformers-python` names a Python with transformers and torch (the variable
TRANSFORMERS_PYTHON otherwise). The weights get there by our export to Hugging Face's layout. Every
run has a process of its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _finetuning_results import (
    BASELINE,
    OURS,
    SEEDS,
    THEIRS,
    append_result,
    is_recorded,
    read_results,
    table,
)
from _finetuning_tasks import SMALL_CHINESE, TASKS, Row, Task
from _machine import machine, versions

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"
RESULTS = HERE / "results" / "finetuning_quality.jsonl"
SIDES = (OURS, THEIRS)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="a folder for the weights in both layouts")
    parser.add_argument("--transformers-python", default=os.environ.get("TRANSFORMERS_PYTHON"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many, from 0")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--shared", type=Path, default=SHARED, help="data, weights, vocabularies")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print the results and stop")
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def settings_of(task: Task, train: list[Row], evaluation: list[Row]) -> dict[str, Any]:
    """What makes two runs of a task comparable."""
    return {
        "kind": task.kind,
        "weights": task.weights,
        "train_rows": len(train),
        "evaluation_rows": len(evaluation),
        "epochs": task.epochs,
        "batch_size": task.batch_size,
        "learning_rate": task.learning_rate,
        "max_length": task.max_length,
    }


def weights_of(task: Task, options: argparse.Namespace) -> dict[str, Path]:
    """The same weights as each side reads them."""
    from checkpoints_tools.hugging_face_export import export_hugging_face

    ours = options.shared / "real" / task.weights
    if task.weights == SMALL_CHINESE:
        ours = options.work / "small_chinese"
        if not ours.is_dir():
            make_small_chinese(options.shared, ours)
    theirs = options.work / f"{ours.name}_hugging_face"
    if not theirs.is_dir():
        export_hugging_face(ours, theirs)
    return {OURS: ours, THEIRS: theirs}


def make_small_chinese(shared: Path, folder: Path) -> None:
    """A BERT of the size of BERT-tiny with Google's Chinese vocabulary and random weights."""
    import keras

    import keras_albert as ka

    keras.utils.set_random_seed(0)
    config = ka.EncoderConfig(
        vocab_size=21128, hidden_dim=128, num_layers=2, num_heads=2, intermediate_dim=512
    )
    ka.save_pretrained(ka.bert_encoder(config), folder)
    shutil.copy(shared / "real" / "vocab" / "chinese_21128.txt", folder / "vocab.txt")


def fit(job: dict[str, Any]) -> dict[str, Any]:
    """Our side: one fine-tuning and its predictions."""
    import keras
    import numpy as np

    from keras_albert.tasks import TextClassifier

    def columns(rows: list[Any]) -> Any:
        segments = tuple(list(texts) for texts in zip(*(texts for texts, _ in rows), strict=True))
        return segments if len(segments) > 1 else segments[0]

    settings, seed = job["settings"], job["seed"]
    keras.utils.set_random_seed(seed)
    classifier = TextClassifier.from_pretrained(
        job["weights"],
        job["labels"] or None,
        kind=settings["kind"],
        max_length=settings["max_length"],
    )
    batch_size = settings["batch_size"]
    start = time.perf_counter()
    classifier.compile(learning_rate=settings["learning_rate"])
    classifier.fit(
        columns(job["train"]),
        np.array([label for _, label in job["train"]]),
        epochs=settings["epochs"],
        batch_size=batch_size,
        seed=seed,
        verbose=0,
    )
    seconds = time.perf_counter() - start
    predictions = classifier.probabilities(columns(job["evaluation"]), batch_size=batch_size)
    return {
        "predictions": predictions.tolist(),
        "seconds": seconds,
        "evaluation_seconds": time.perf_counter() - start - seconds,
        "versions": versions("keras", "tensorflow", "tensorflow-text"),
    }


def metrics_of(task: Task, labels: list[Any], predictions: Any) -> dict[str, Any]:
    """All metrics that are one number."""
    from keras_albert.training import metrics

    if task.kind == "regression":
        found = metrics.regression_metrics(labels, predictions)
    elif task.kind == "multi_label":
        found = metrics.multi_label_metrics(labels, predictions, task.labels)
    else:
        found = metrics.classification_metrics(labels, predictions, task.labels)
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def baselines(task: Task, train: list[Row], evaluation: list[Row]) -> dict[str, Any]:
    """The metrics of what learns nothing, and of a linear model on TF-IDF."""
    from keras_albert.report.baselines import baseline_metrics

    sides = []
    for rows in (train, evaluation):
        sides += [[row.texts for row in rows], [row.label for row in rows]]
    majority, linear = baseline_metrics(task.kind, *sides, task.labels).values()
    return {
        which: {name: found[name] for name in task.metrics}
        for which, found in (("majority", majority), ("tf_idf", linear))
    }


def run(side: str, job: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """A job in a process of its own."""
    commands = {
        OURS: [sys.executable, __file__, "--job"],
        THEIRS: [options.transformers_python, HERE / "finetuning_quality_transformers.py", "--job"],
    }
    threads = str(options.threads)
    limits = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = os.environ | dict.fromkeys(limits, threads) | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        commands[side],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, options: argparse.Namespace) -> None:
    """The missing runs of a task, the sides in turn, each seed beginning with the other one."""
    task = TASKS[name]
    train, evaluation = task.rows(options.shared / "data")
    settings = settings_of(task, train, evaluation)

    def record(side: str, seed: int, outcome: dict[str, Any]) -> None:
        line = {"task": name, "side": side, "seed": seed, "settings": settings} | outcome
        append_result(options.results, line)
        print(json.dumps(line), flush=True)

    if not is_recorded(read_results(options.results), name, BASELINE, 0, settings):
        record(BASELINE, 0, {"metrics": baselines(task, train, evaluation)})
    weights = weights_of(task, options)
    for seed in range(options.seeds):
        for side in options.sides if seed % 2 else options.sides[::-1]:
            if is_recorded(read_results(options.results), name, side, seed, settings):
                continue
            job = {
                "settings": settings,
                "weights": str(weights[side]),
                "labels": task.labels,
                "seed": seed,
                "threads": options.threads,
                "train": train,
                "evaluation": evaluation,
            }
            outcome = run(side, job, options)
            labels = [row.label for row in evaluation]
            seconds = outcome["seconds"]
            found = {
                "metrics": metrics_of(task, labels, outcome["predictions"]),
                "seconds": round(seconds, 1),
                "rows_per_second": round(len(train) * task.epochs / seconds, 1),
                "evaluation_seconds": round(outcome["evaluation_seconds"], 1),
                "machine": machine() | {"threads": options.threads},
                "versions": outcome["versions"],
            }
            record(side, seed, found)


def main() -> None:
    options = parse()
    if options.job:
        print(json.dumps(fit(json.load(sys.stdin))))
    elif options.table:
        print(table(read_results(options.results), TASKS), end="")
    elif not (options.work and options.transformers_python and options.shared.is_dir()):
        why = "takes hours, --work DIR, and --transformers-python; --table prints what is there"
        print(json.dumps({"benchmark": "finetuning_quality", "skipped": why}))
    else:
        for name in options.tasks:
            compare(name, options)


if __name__ == "__main__":
    main()
