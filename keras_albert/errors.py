"""The one exception that means: the input is wrong, not the program."""


class InputError(ValueError):
    """Bad input: one line with the rule, the place and the received value.

    The command line prints the message without a traceback and exits with status 2.
    """

    # Keras adds several lines on the layer and its arguments to an error raised inside `call`,
    # unless it finds that this was done.
    _keras_call_info_injected = True
