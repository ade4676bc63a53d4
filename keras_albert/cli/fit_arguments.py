"""The arguments of `keras-albert fit`."""

import argparse
from pathlib import Path
from typing import Any

from keras_albert.cli.common import SOURCE_HELP, add_json_argument, add_source_options
from keras_albert.cli.reading import add_file_arguments, add_text_arguments
from keras_albert.cli.settings import OF_A_RUN, add_settings_argument
from keras_albert.cli.strategies import add_strategy_arguments

# Those of keras_albert.runs, whose import takes Keras; a test compares.
TASKS = ("classification", "text_classification", "multi_label", "regression")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_settings_argument(parser, _settings_file, "; a run's settings.json repeats the run")
    parser.add_argument("--pretrained", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("--train", metavar="FILE", help="rows to learn from")
    parser.add_argument(
        "--validation",
        metavar="FILE",
        help="rows to choose by, measured after every epoch (default: a tenth of the training "
        "rows, at most 2,000, which are held out)",
    )
    parser.add_argument(
        "--test", metavar="FILE", help="rows for the report (default: the validation's)"
    )
    parser.add_argument("--output", metavar="DIR", help="the run's folder")
    parser.add_argument("--force", action="store_true", help="replace the run in DIR")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in DIR, with its settings.json; begin, where there is none",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be done: rows, steps, rate, memory, time; write nothing",
    )
    add_json_argument(parser)
    _add_task_arguments(parser.add_argument_group("task"))
    add_file_arguments(parser.add_argument_group("files"))
    _add_learning_arguments(parser.add_argument_group("learning"))
    _add_run_arguments(parser.add_argument_group("run"))
    add_strategy_arguments(parser.add_argument_group("devices"))
    checkpoint = parser.add_argument_group("checkpoint")
    add_source_options(checkpoint, "--model-config")
    add_text_arguments(checkpoint)


def _add_task_arguments(group: Any) -> None:
    group.add_argument(
        "--task",
        choices=TASKS,
        help="one class a text, several labels, or a number (default: by the labels)",
    )
    group.add_argument(
        "--labels",
        metavar="FILE",
        help="the classes, one a line, in the order of the outputs (default: those of the training "
        "rows, sorted)",
    )
    group.add_argument(
        "--max-length",
        metavar="N",
        type=int,
        help="most tokens of a text, [CLS] and [SEP] included (default: what covers 99 %% of the "
        "training rows, at most 128)",
    )
    group.add_argument(
        "--long-texts",
        choices=("cut", "windows", "refuse"),
        default="cut",
        help="what becomes of longer ones; windows overlap, and their answers are averaged",
    )
    group.add_argument(
        "--stride",
        metavar="N",
        type=int,
        help="tokens from a window to the next (default: half a window)",
    )
    group.add_argument(
        "--threshold",
        metavar="P",
        type=float,
        default=0.5,
        help="probability from which on one of several labels holds",
    )
    group.add_argument(
        "--fresh-head",
        action="store_true",
        help="start the output layer anew where SOURCE is a classifier",
    )


def _add_learning_arguments(group: Any) -> None:
    group.add_argument("--epochs", metavar="N", type=int, default=3, help="how often")
    group.add_argument("--batch-size", metavar="N", type=int, default=32, help="rows of a step")
    group.add_argument(
        "--learning-rate",
        metavar="R",
        type=float,
        help="at its peak (default: by the model's family and size)",
    )
    group.add_argument(
        "--warmup",
        metavar="N",
        type=_steps_or_share,
        help="steps, or share below 1 of all, in which the rate rises (default: 0.1)",
    )
    group.add_argument("--weight-decay", metavar="D", type=float, help="of AdamW (default: 0.01)")
    group.add_argument(
        "--layer-decay",
        metavar="F",
        type=float,
        help="factor of the rate from a layer to the lower",
    )
    group.add_argument(
        "--ema", metavar="M", type=float, help="momentum of a moving average of the weights"
    )
    group.add_argument(
        "--accumulation", metavar="N", type=int, help="batches that make one update (default: 1)"
    )
    group.add_argument(
        "--label-smoothing", metavar="S", type=float, default=0.0, help="of the loss"
    )
    group.add_argument(
        "--freeze",
        metavar="PATTERN",
        nargs="+",
        default=[],
        help="layers that do not learn, such as '*_embedding' 'encoder_block_[0-5]'",
    )
    group.add_argument(
        "--class-weight",
        metavar="NAME=W",
        nargs="+",
        help="weights of classes, or balanced: inverse to how often each occurs",
    )
    group.add_argument(
        "--dtype",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        help="what is computed in (default: float32)",
    )
    group.add_argument("--seed", metavar="N", type=int, default=0, help="of every random choice")
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="take no operation whose result depends on the order of threads, as a GPU has them",
    )


def _add_run_arguments(group: Any) -> None:
    group.add_argument(
        "--save-every",
        metavar="STEPS",
        type=int,
        help="steps between checkpoints (default: one after every epoch)",
    )
    group.add_argument(
        "--monitor",
        metavar="METRIC",
        help="keep the weights of the epoch with the best val_accuracy, val_loss, … (default: the "
        "last epoch's)",
    )
    group.add_argument(
        "--patience", metavar="N", type=int, help="stop after N epochs without a better one"
    )
    group.add_argument(
        "--runs",
        metavar="N",
        type=int,
        default=1,
        help="fine-tune with N seeds: mean and deviation in runs.json, and the best in DIR",
    )
    group.add_argument(
        "--calibration",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fit the probabilities' temperature to the validation",
    )
    group.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure simple methods on the same rows",
    )
    group.add_argument(
        "--tensorboard",
        action="store_true",
        help="write DIR/tensorboard too; needs pip install 'keras-albert[tensorboard]'",
    )


def _steps_or_share(text: str) -> float | int:
    return int(text) if text.isdecimal() else float(text)


def _settings_file(args: argparse.Namespace) -> Path | str | None:
    """--config, or what the run to resume began with."""
    if args.config is None and args.resume and args.output is not None:
        path = Path(args.output, OF_A_RUN)
        return path if path.is_file() else None
    return args.config
