"""`keras-albert fit`: fine-tune a checkpoint on files of texts."""

import argparse
import dataclasses
from typing import Any

from keras_albert.cli.common import GOOGLE_FLAGS, print_error, print_result, reading
from keras_albert.cli.fit_arguments import add_arguments as add_arguments
from keras_albert.cli.progress import Progress
from keras_albert.cli.reading import read_texts
from keras_albert.cli.settings import given, required
from keras_albert.cli.strategies import strategy_scope
from keras_albert.errors import InputError

NAME = "fit"
HELP = "fine-tune a checkpoint to classify or score texts, and leave a run folder"
EPILOG = f"""\
{GOOGLE_FLAGS.format(config="--model-config", vocabulary=", or --vocabulary")}\
  --data_dir, --output_dir                  --train, --validation and --test; --output
  --train_batch_size, --num_train_epochs    --batch-size, --epochs
  --warmup_proportion                       --warmup
  --save_checkpoints_steps                  --save-every
  --do_train, --do_eval, --do_predict       the commands fit, evaluate, predict
"""

# What belongs to a command line, and not to the run that settings.json repeats.
_NOT_OF_THE_RUN = (
    "output",
    "resume",
    "force",
    "dry_run",
    "json",
    "strategy",
    "devices",
    "wait",
)


def run(args: argparse.Namespace) -> int:
    """Fine-tunes, and prints what came of it; status 1 where it was stopped."""
    required(args, "pretrained", "train", *(() if args.dry_run else ("output",)))
    from keras_albert import runs
    from keras_albert.distribute.workers import is_chief
    from keras_albert.runs.estimate import render
    from keras_albert.training.errors import Interrupted, NonFiniteLossError

    if args.runs < 1:
        raise InputError(f"There is at least one run. Received: runs={args.runs}")
    data = _data(args)
    names = [field.name for field in dataclasses.fields(runs.Settings) if field.name != "reading"]
    values = {name: getattr(args, name) for name in names}
    settings = runs.Settings(
        **values | {"class_weight": _class_weight(args.class_weight)},
        reading=reading(args) | {"vocabulary_path": args.vocabulary},
    )
    if args.dry_run:
        print_result(runs.estimate(args.pretrained, data, settings), render, args.json)
        return 0
    # Of several workers one tells how it goes.
    progress = Progress("steps") if is_chief() else None
    options: dict[str, Any] = {
        "given": given(args, _NOT_OF_THE_RUN),
        "resume": args.resume,
        "force": args.force,
        "progress": progress,
        "say": (lambda line: None) if progress is None else progress.note,
    }
    try:
        with strategy_scope(args):
            if args.runs == 1:
                found = runs.fine_tune(args.pretrained, data, settings, args.output, **options)
            else:
                found = runs.fine_tune_seeds(
                    args.pretrained, data, settings, args.output, runs=args.runs, **options
                )
    except (Interrupted, NonFiniteLossError) as error:
        if args.debug:
            raise
        print_error(str(error))
        return 1
    if is_chief():
        print_result(found, _render, args.json)
    return 0


def _data(args: argparse.Namespace) -> Any:
    from keras_albert.runs import prepare

    if args.task == "regression" and args.label_type is None:
        args.label_type = "number"
    files: dict[str, Any] = {
        name: None if getattr(args, name) is None else read_texts(getattr(args, name), args)
        for name in ("train", "validation", "test")
    }
    labels = None
    if args.labels is not None:
        from keras_albert.data.readers import read_records

        labels = [record.texts[0] for record in read_records(args.labels, "text", format="text")]
    return prepare(**files, kind=args.task, labels=labels)


def _class_weight(words: list[str] | None) -> Any:
    """What the flag's words say: "balanced", or a weight by class."""
    if words is None or words == ["balanced"]:
        return words and words[0]
    weights = {}
    for word in words:
        name, equals, weight = word.rpartition("=")
        try:
            weights[name] = float(weight)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"--class-weight takes NAME=W, or balanced. Received: {word!r}")
    return weights


def _render(found: dict[str, Any]) -> str:
    """The result as a small table."""
    from keras_albert.report.wording import METHODS

    part = found["judged_by"]
    rows = {"This model": found["metrics"][part]}
    rows |= {METHODS.get(name, name): metrics for name, metrics in found["baselines"].items()}
    rows |= {
        name.capitalize(): found[name][part] for name in ("mean", "deviation") if name in found
    }
    names = list(found["metrics"][part])
    table = [("", *names)]
    for method, metrics in rows.items():
        values = (metrics.get(name) for name in names)
        table.append((method, *("" if value is None else f"{value:.4g}" for value in values)))
    lines = [f"{found['output']}: measured on the {part}"]
    lines += [f"{method:30}" + "".join(f"{c:>16}" for c in cells) for method, *cells in table]
    if "runs" in found:
        lines.append(f"the best of {len(found['runs'])} by {found['monitor']}: {found['best']}")
    return "\n".join(lines)
