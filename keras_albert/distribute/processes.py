"""launch: the workers of a cluster as processes of this machine, started again when one dies.

The collectives of TensorFlow cannot lose a worker: when one dies, the others wait for it or fail.
So the cluster is started again as a whole, and goes on from its last checkpoint.
"""

import contextlib
import json
import os
import queue
import shutil
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from keras_albert.distribute.attempt import Attempt, Events, WorkersError, noted_signals
from keras_albert.distribute.process_output import Output
from keras_albert.errors import InputError, check_least, check_seconds

HOST = "127.0.0.1"
# TensorFlow reads the first two when it makes its thread pools; NumPy's libraries the third.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def launch(
    command: Sequence[str],
    workers: int,
    *,
    max_restarts: int = 3,
    restart_arguments: Callable[[], Sequence[str]] = tuple,
    log_dir: str | Path | None = None,
    threads_per_worker: int | None = None,
    port: int | None = None,
    grace: float = 30.0,
    say: Callable[[str], None] = lambda message: None,
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
) -> None:
    """Runs a command as the workers of a cluster on this machine, until all have ended well.

    Every process has its place in TF_CONFIG, which `tf.distribute.MultiWorkerMirroredStrategy`
    reads, with ports that are free, others at every start. Their lines are told apart (`Output`).

    When one dies, by a signal or with a status that is neither 0 nor 2, the others get SIGTERM, and
    SIGKILL `grace` seconds later; then all start again. SIGTERM and the first Ctrl-C are passed on,
    and the workers waited for as long; a second signal kills them. On Linux none outlives this
    process, even one that SIGKILL ends.

    Args:
        command: The words of the command.
        workers: How many processes there are.
        max_restarts: How often, at most, they start again.
        restart_arguments: Called when it starts again, for words to add, those that it lacks.
        log_dir: For worker_0.log, worker_1.log, …, to which is added; None writes none.
        threads_per_worker: Of TensorFlow's pools. None gives each worker its share of the
            processors, and leaves what the environment says.
        port: Worker i listens at `port` + i; None takes free ones.
        grace: Seconds between SIGTERM and SIGKILL.
        say: Called with a line on every start and death.
        stdout: Where the standard output of worker 0 goes; None is this process's.
        stderr: Where all other lines go; None is this process's.

    Raises:
        InputError: An argument is out of range; a port is taken; there is no such command.
        WorkersError: They died too often, were stopped, or one ended with status 2.
        OSError: A line cannot be passed on, or written to its file.
    """
    _check(command, workers, max_restarts, threads_per_worker, port, grace)
    events: Events = queue.SimpleQueue()
    streams = (stdout or sys.stdout.buffer, stderr or sys.stderr.buffer)
    words = list(command)
    with Output(*streams, log_dir, workers, events.put) as output, noted_signals(events):
        for restart in range(max_restarts + 1):
            ports = free_ports(workers, port)
            say(f"{workers} workers start, at {HOST}, ports {', '.join(map(str, ports))}")
            output.begin(words, restart + 1)
            attempt = Attempt(events, output, grace, say)
            places = [environment(worker, ports, threads_per_worker) for worker in range(workers)]
            attempt.start(words, places)
            if attempt.ended_well():
                return
            if restart < max_restarts:
                added = restart_arguments()
                words = [*command, *(word for word in added if word not in command)]
                more = f" with {' '.join(added)}" if added else ""
                say(f"{attempt.died}: restart {restart + 1} of {max_restarts}{more}")
    raise WorkersError(f"{attempt.died}, after {max_restarts} of {max_restarts} restarts")


def environment(worker: int, ports: Sequence[int], threads: int | None) -> dict[str, str]:
    """This process's environment with what makes a process the given worker.

    Args:
        worker: Its index, from 0, the chief.
        ports: Of all workers.
        threads: Of TensorFlow's pools; None for a share of the processors, unless this process's
            environment says.
    """
    config = {
        "cluster": {"worker": [f"{HOST}:{port}" for port in ports]},
        "task": {"type": "worker", "index": worker},
    }
    share = max(1, _processors() // len(ports))
    defaults = dict.fromkeys(THREADS, str(share)) | os.environ
    given = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    return defaults | given | {"TF_CONFIG": json.dumps(config)}


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Ports of this machine at which nobody listens.

    Args:
        count: How many.
        first: The first of a row of them; None leaves the choice to the system.

    Raises:
        InputError: One of the row is taken.
    """
    with contextlib.ExitStack() as held:  # all at once, so that none comes twice
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for index, each in enumerate(sockets):
            # As the workers bind: one that has just ended is not in the way.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wanted = 0 if first is None else first + index
            try:
                each.bind((HOST, wanted))
            except OSError as error:
                raise InputError(
                    "The workers' ports are ones that are free. "
                    f"Received: port={first}, and at {wanted}: {error.strerror}"
                ) from error
        return [each.getsockname()[1] for each in sockets]


def _check(
    command: Sequence[str],
    workers: int,
    max_restarts: int,
    threads_per_worker: int | None,
    port: int | None,
    grace: float,
) -> None:
    """Raises InputError for what cannot be launched."""
    check_least(1, workers=workers, threads_per_worker=threads_per_worker)
    check_least(0, max_restarts=max_restarts)
    check_seconds(grace=grace)
    if port is not None and not 1 <= port <= 65536 - workers:
        raise InputError(
            f"A port of each worker is from 1 to 65535. Received: port={port}, workers={workers}"
        )
    if not command or shutil.which(command[0]) is None:
        raise InputError(f"A command is one that is there. Received: {' '.join(command)!r}")
    if "TF_CONFIG" in os.environ:
        raise InputError(
            "Where TF_CONFIG is set, the workers have been started already, and run the command "
            f"itself. Received: TF_CONFIG={os.environ['TF_CONFIG']!r:.80}"
        )


def _processors() -> int:
    """Those that this process may use; macOS cannot say which."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
