"""The one exception that means: the input is wrong, not the program; and what raises it often."""

import threading


class InputError(ValueError):
    """Bad input: one line with the rule, the place and the received value.

    The command line prints the message without a traceback and exits with status 2.
    """

    # Keras adds several lines on the layer and its arguments to an error raised inside `call`,
    # unless it finds that this was done.
    _keras_call_info_injected = True


def check_least(least: int, **values: float | None) -> None:
    """Raises InputError for the first value below the least that there may be; None is no value."""
    for name, value in values.items():
        if value is not None and not value >= least:
            raise InputError(f"{name} is at least {least}. Received: {name}={value}")


def check_seconds(**values: float) -> None:
    """Raises InputError for the first value that nothing can wait for so long."""
    for name, value in values.items():
        if not 0 <= value <= threading.TIMEOUT_MAX:
            raise InputError(
                f"{name} is from 0 up to {threading.TIMEOUT_MAX:.0f} seconds. "
                f"Received: {name}={value}"
            )
