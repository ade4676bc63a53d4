"""What ends a training early, each as one line."""


class Interrupted(RuntimeError):  # noqa: N818 (nothing went wrong)
    """A training was told to stop, saved a checkpoint and stopped.

    The command line prints the message without a traceback and exits with status 1.
    """


class NonFiniteLossError(RuntimeError):
    """The loss, or a weight, became NaN or infinite; the model has its last good weights again.

    Attributes:
        step: The step of that loss, counted from 1 over all epochs; or the one after which the
            weights were looked at.
        epoch: Its epoch, counted from 1.
        kept_step: After which step the weights were the model's that it has now; 0 for those that
            it began with.
        rows: Where the rows of that step's batch stand in the data; none where the validation
            after it found the loss.
    """

    def __init__(self, message: str, *, step: int, epoch: int, kept_step: int, rows: list[int]):
        super().__init__(message)
        self.step = step
        self.epoch = epoch
        self.kept_step = kept_step
        self.rows = rows
