"""Where the command line starts.

It lies outside keras_albert, whose import brings Keras: with this module loaded that import waits
until a command needs it, so that `--help` answers at once (see keras_albert/__init__.py).
"""

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: The words after the program's name; the process's own where it is None.

    Returns:
        The exit status: 0 on success, 1 on a failed run, 2 on bad usage or bad input.
    """
    # Errors and our own log, not TensorFlow's notes on the processor.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_albert.cli import run

    return run(sys.argv[1:] if argv is None else argv)
