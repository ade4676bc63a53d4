"""`keras-albert evaluate`: metrics of a fine-tuned folder on a file of texts."""

import argparse
from typing import Any

from keras_albert.cli.common import add_json_argument, print_result
from keras_albert.cli.reading import add_file_arguments, read_texts
from keras_albert.cli.settings import add_settings_argument, required
from keras_albert.cli.strategies import add_strategy_arguments, strategy_scope
from keras_albert.cli.writing import text_file
from keras_albert.config_json import json_bytes

NAME = "evaluate"
HELP = "measure a fine-tuned folder on a file of texts with their labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_settings_argument(parser)
    parser.add_argument("--model", metavar="DIR", help="a fine-tuned folder")
    parser.add_argument("--data", metavar="FILE", help="rows with labels, or - for standard input")
    parser.add_argument("--output", metavar="FILE", help="write the metrics as JSON there too")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.add_argument("--batch-size", metavar="N", type=int, default=32, help="rows at a time")
    add_json_argument(parser)
    add_file_arguments(parser.add_argument_group("file"))
    add_strategy_arguments(parser.add_argument_group("devices"))


def run(args: argparse.Namespace) -> int:
    """Prints the metrics."""
    required(args, "model", "data")
    from keras_albert.data.batching import check_batch_size
    from keras_albert.tasks import load

    check_batch_size(args.batch_size)
    with strategy_scope(args):
        task = load(args.model)
    if task.settings.kind == "regression" and args.label_type is None:
        args.label_type = "number"
    records = list(read_texts(args.data, args))
    metrics = task.evaluate(records, batch_size=args.batch_size)
    if args.output is not None:
        with text_file(args.output, force=args.force) as file:
            file.write(json_bytes(metrics).decode())
    print_result(metrics, _render, args.json)
    return 0


def _render(metrics: dict[str, Any]) -> str:
    """The metrics, one a line, and those of each label."""
    lines = [
        f"{name:24} {_shown(value)}"
        for name, value in metrics.items()
        if not isinstance(value, dict | list)
    ]
    by_label = metrics.get("per_class") or metrics.get("per_label") or {}
    for name, values in by_label.items():
        figures = ", ".join(f"{key} {_shown(value)}" for key, value in values.items())
        lines.append(f"  {name:22} {figures}")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
