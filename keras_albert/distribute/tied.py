"""Ends with its parent: `python tied.py PARENT COMMAND …` becomes COMMAND, on Linux.

A process that is killed can end no other any more; the kernel does that for it, where the child has
asked (prctl(2), PR_SET_PDEATHSIG). The child asks here and keeps that through exec. Code of ours
between fork and exec, as `preexec_fn` runs it, may wait for ever on a lock of another thread.
Run by its path, this needs the standard library alone.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def become(command: list[str], parent: int) -> None:
    """Replaces this process by a command that SIGKILL ends when `parent` ends.

    Args:
        command: The words of the command; the first is looked for in PATH.
        parent: The process id of what started this process.

    Raises:
        OSError: There is no such command; the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:  # it ended before it could be watched
        os.kill(os.getpid(), signal.SIGKILL)
    os.execvp(command[0], command)


if __name__ == "__main__":
    become(sys.argv[2:], parent=int(sys.argv[1]))
