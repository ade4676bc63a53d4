"""The one exception that means: the input is wrong, not the program."""


class InputError(ValueError):
    """Bad input: one line with the rule, the place and the received value.

    The command line prints the message without a traceback and exits with status 2.
    """
