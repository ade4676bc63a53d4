"""Workers that meet, and those that do not."""

import contextlib
import socket
import threading
import time

import pytest

from keras_albert.distribute.processes import free_ports
from keras_albert.distribute.rendezvous import AbsentWorkerError, meet
from keras_albert.distribute.workers import Cluster
from keras_albert.errors import InputError


def addresses(count):
    return tuple(f"127.0.0.1:{port}" for port in free_ports(count))


def start(cluster, seconds, ended, delay=0.0):
    def run():
        time.sleep(delay)
        try:
            meet(cluster, seconds)
            ended[cluster.index] = "met"
        except AbsentWorkerError as error:
            ended[cluster.index] = str(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("late", [0, 1, 2])
def test_all_wait_for_the_one_that_starts_late(late):
    where, ended = addresses(3), {}
    threads = [
        start(Cluster(where, index), 20, ended, delay=0.5 * (index == late)) for index in range(3)
    ]
    time.sleep(0.2)
    assert not ended
    for thread in threads:
        thread.join()
    assert ended == dict.fromkeys(range(3), "met")
    # The port is free again, for TensorFlow.
    socket.create_server(("127.0.0.1", int(where[0].split(":")[1]))).close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_workers_meet_by_ipv6_too():
    ports, ended = free_ports(2), {}
    where = tuple(f"[::1]:{port}" for port in ports)
    for thread in [start(Cluster(where, index), 20, ended) for index in range(2)]:
        thread.join()
    assert ended == {0: "met", 1: "met"}


def test_who_has_not_come_is_named():
    where, ended = addresses(3), {}
    threads = [start(Cluster(where, index), 0.6, ended) for index in (0, 2)]
    for thread in threads:
        thread.join()
    assert ended[0] == (f"All 3 workers come within 0.6 s. Received: none of worker 1 ({where[1]})")
    assert f"the chief, at {where[0]}, has not let worker 2 go" in ended[2]


def test_a_worker_that_was_started_again_calls_again():
    where, ended = addresses(3), {}
    chief = start(Cluster(where, 0), 20, ended)
    host, port = where[0].split(":")
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            with socket.create_connection((host, int(port))) as killed:
                killed.sendall(b"keras-albert worker 1")
            break
    threads = [start(Cluster(where, index), 20, ended, delay=0.2 * index) for index in (1, 2)]
    for thread in [chief, *threads]:
        thread.join()
    assert ended == dict.fromkeys(range(3), "met")


def test_strangers_are_no_workers():
    where, ended = addresses(2), {}
    chief = start(Cluster(where, 0), 20, ended)
    host, port = where[0].split(":")
    for word in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe", b"keras-albert worker 7"):
        while True:
            try:
                with socket.create_connection((host, int(port))) as stranger:
                    stranger.sendall(word)
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
    assert not ended
    meet(Cluster(where, 1), 20)
    chief.join()
    assert ended == {0: "met"}


def test_a_chief_whose_port_is_taken_says_so():
    where = addresses(2)
    with (
        socket.create_server(("", int(where[0].split(":")[1]))),
        pytest.raises(InputError, match="The chief listens at its own address"),
    ):
        meet(Cluster(where, 0), 1)


def test_one_worker_waits_for_nobody():
    meet(Cluster(("nowhere:1",), 0), 0)
