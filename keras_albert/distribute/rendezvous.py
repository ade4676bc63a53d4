"""The workers of a cluster meet before TensorFlow waits for them, which it does without an end.

While it waits, TensorFlow holds Python's lock: no timer could stop it, nor say who is missing. So
the chief listens at its own port first, every worker calls there, and when all have, the chief lets
them go and leaves the port to TensorFlow.
"""

import contextlib
import socket
import time

from keras_albert.distribute.workers import Cluster
from keras_albert.errors import InputError


class AbsentWorkerError(Exception):
    """A worker has not come in time; it may the next time."""


_GREETING, _GO = "keras-albert worker", b"go\n"
_AGAIN = 0.2  # seconds between two calls
_CALL_SECONDS = 5.0  # that one side waits for a word of the other


def meet(cluster: Cluster, seconds: float) -> None:
    """Returns once every worker of a cluster has called this.

    Args:
        cluster: The workers.
        seconds: How long to wait for the last one.

    Raises:
        AbsentWorkerError: Somebody has not come by then.
        InputError: The chief's port is taken.
    """
    deadline = time.monotonic() + seconds
    if len(cluster.addresses) == 1:
        return
    if cluster.index == 0:
        _receive(cluster, seconds, deadline)
    else:
        _call(cluster, seconds, deadline)


def _receive(cluster: Cluster, seconds: float, deadline: float) -> None:
    """The chief's side."""
    port = int(cluster.addresses[0].rpartition(":")[2])
    others = range(1, len(cluster.addresses))
    with contextlib.ExitStack() as held:
        try:
            both = socket.has_dualstack_ipv6()
            server = held.enter_context(
                socket.create_server(
                    ("", port),
                    family=socket.AF_INET6 if both else socket.AF_INET,
                    dualstack_ipv6=both,
                )
            )
        except OSError as error:
            raise InputError(
                f"The chief listens at its own address in TF_CONFIG. "
                f"Received: {cluster.addresses[0]} ({error.strerror})"
            ) from error
        callers: dict[int, socket.socket] = {}
        while len(callers) < len(others):
            server.settimeout(max(0.0, deadline - time.monotonic()) or 0.001)
            try:
                caller = held.enter_context(server.accept()[0])
            except TimeoutError:
                absent = ", ".join(
                    f"{each} ({cluster.addresses[each]})" for each in others if each not in callers
                )
                raise AbsentWorkerError(
                    f"All {len(cluster.addresses)} workers come within {seconds:g} s. "
                    f"Received: none of worker {absent}"
                ) from None
            number = _greeting(caller)
            if number is not None and number in others:
                callers[number] = caller  # one that was started again calls again
        for caller in callers.values():
            with contextlib.suppress(OSError):  # its own process says why
                caller.sendall(_GO)
                caller.recv(1)  # until it hangs up, so that no port of ours stays behind


def _greeting(caller: socket.socket) -> int | None:
    """Which worker calls; None for somebody else."""
    caller.settimeout(_CALL_SECONDS)
    with contextlib.suppress(OSError, ValueError):
        head, _, number = caller.recv(64).decode().rpartition(" ")
        return int(number) if head == _GREETING else None
    return None


def _call(cluster: Cluster, seconds: float, deadline: float) -> None:
    """A worker's side."""
    host, _, port = cluster.addresses[0].rpartition(":")
    host = host.strip("[]")  # around an IPv6 address
    while (left := deadline - time.monotonic()) > 0:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host, int(port)), min(left, _CALL_SECONDS)) as connection,
        ):
            connection.sendall(f"{_GREETING} {cluster.index}".encode())
            connection.settimeout(left)
            if connection.recv(len(_GO)) == _GO:
                return
        time.sleep(_AGAIN)
    raise AbsentWorkerError(
        f"All {len(cluster.addresses)} workers come within {seconds:g} s. "
        f"Received: the chief, at {cluster.addresses[0]}, has not let worker {cluster.index} go"
    )
