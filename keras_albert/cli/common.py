"""What the commands share: the look of the help, arguments of the same meaning, JSON."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

PROGRAM = "keras-albert"

SOURCE_HELP = (
    "a folder with config, checkpoint and vocabulary, in Google's or Hugging Face's layout; a "
    "checkpoint prefix; a .zip or .tar.gz of such a folder; a TF-Hub module folder; a converted "
    "directory"
)

# Google's scripts and their flags: https://github.com/google-research/bert, run_classifier.py.
GOOGLE_FLAGS = """\
Coming from Google's scripts:
  --init_checkpoint                         SOURCE, the checkpoint prefix
  --bert_config_file, --albert_config_file  {config}
  --vocab_file, --spm_model_file            found beside the checkpoint{vocabulary}
  --do_lower_case                           --[no-]lower-case of tokenize, fit and predict
  --max_seq_length                          --max-length of the same
"""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the defaults that there are, and keeps the epilog's lines as they stand."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.nargs == 0 or action.default in (None, []):  # a switch, or nothing to show
            return action.help
        return super()._get_help_string(action)


def add_source_arguments(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Adds SOURCE and what says how to read it."""
    parser.add_argument(
        "source", metavar="SOURCE", nargs="?" if optional else None, help=SOURCE_HELP
    )
    add_source_options(parser)


def add_source_options(parser: argparse._ActionsContainer, config: str = "--config") -> None:
    """Adds what says how to read SOURCE; `reading` makes arguments of it."""
    parser.add_argument(
        config,
        dest="model_config",
        metavar="FILE",
        help="the JSON configuration, where it does not lie beside the checkpoint",
    )
    parser.add_argument(
        "--ignore-config-key",
        metavar="KEY",
        action="append",
        default=[],
        help="pass over this unknown key of the configuration; may be repeated",
    )
    parser.add_argument(
        "--ln-type",
        choices=("postln", "preln"),
        help="where albert_zh's layer norms stand, if the configuration does not say",
    )
    parser.add_argument(
        "--activation",
        choices=("gelu_tanh", "gelu", "relu", "tanh", "linear"),
        help='instead of the configuration\'s: "gelu" is the exact (erf) one, Google\'s "gelu" is '
        "gelu_tanh",
    )


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """How to read SOURCE, as the arguments of `keras_albert.load_model`."""
    overrides = {"activation": args.activation}
    if args.ln_type is not None:
        overrides["norm_position"] = args.ln_type.removesuffix("ln")
    return {
        "config_path": args.model_config,
        "ignore_keys": args.ignore_config_key,
        "overrides": {field: value for field, value in overrides.items() if value is not None},
    }


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def print_result(result: Any, render: Callable[[Any], str], as_json: bool) -> None:
    """A result on standard output, as one JSON document or as text."""
    print(json.dumps(result, indent=2, ensure_ascii=False) if as_json else render(result))


def print_error(message: str) -> None:
    """One line on standard error."""
    print(f"{PROGRAM}: error: {message}", file=sys.stderr)
