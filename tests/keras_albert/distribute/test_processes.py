"""launch: places, lines, deaths, restarts, signals; with small scripts for workers."""

import contextlib
import ctypes
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_albert.distribute import attempt, process_output, processes, tied
from keras_albert.distribute.attempt import WorkersError
from keras_albert.errors import InputError
from tests.paths import ROOT

# What a worker knows; a test says what it does with that.
PRELUDE = """\
import json, os, signal, socket, sys
config = json.loads(os.environ["TF_CONFIG"])
index, addresses = config["task"]["index"], config["cluster"]["worker"]
again = "--resume" in sys.argv
def say(*words):
    print(*words, file=sys.stderr, flush=True)
def meet():  # worker 0 comes back when another has called, and the other when 0 is here
    host, port = addresses[0].split(":")
    if index == 0:
        return socket.create_server((host, int(port))).accept()[0]
    while True:
        try:
            return socket.create_connection((host, int(port)))
        except ConnectionRefusedError:
            pass
"""
# Waits for a signal, and names it.
WAITS = """
def handler(number, frame):
    say("saved after", signal.Signals(number).name)
    sys.exit(1)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, handler)
say("ready")
while True:
    signal.pause()
"""


class Sink(io.BytesIO):
    """Keeps what is written; calls back when a line has been seen in it a number of times."""

    def __init__(self, line=b"", times=1, then=lambda: None):
        super().__init__()
        self._line, self._times, self._then = line, times, then

    def write(self, data):
        if self._line and self._line in data:
            self._times -= 1
            if self._times == 0:
                self._then()
        return super().write(data)

    @property
    def lines(self):
        return self.getvalue().decode().splitlines()


def script(code):
    """The words of a worker's command."""
    return [sys.executable, "-S", "-c", PRELUDE + textwrap.dedent(code)]


def launched(code, workers=2, *, stderr=None, **options):
    """What became of a launch: lines by stream, what was said, the error."""
    stdout, stderr, said = Sink(), stderr or Sink(), []
    error = None
    try:
        processes.launch(
            script(code), workers, say=said.append, stdout=stdout, stderr=stderr, **options
        )
    except (WorkersError, OSError) as raised:
        error = raised
    return SimpleNamespace(out=stdout.lines, err=stderr.lines, said=said, error=error)


@pytest.fixture(autouse=True)
def leaves_no_child():
    def children():
        found = set()
        for task in Path("/proc/self/task").glob("*/children"):
            # A thread may end at any time.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.update(task.read_text().split())
        return found

    before = children()
    yield
    assert children() <= before


def test_every_worker_has_its_place_in_tf_config_at_a_port_of_its_own():
    ran = launched("say(os.environ['TF_CONFIG'])", 3)
    assert ran.error is None
    configs = {line[:10]: json.loads(line[11:]) for line in ran.err}
    assert sorted(configs) == [f"[worker {index}]" for index in range(3)]
    (cluster,) = {json.dumps(config["cluster"]) for config in configs.values()}
    addresses = json.loads(cluster)["worker"]
    assert len(set(addresses)) == 3
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", address) for address in addresses)
    for name, config in configs.items():
        assert config["task"] == {"type": "worker", "index": int(name[8])}


def test_the_ports_are_free_and_others_after_a_restart():
    ran = launched(
        """
        host, port = addresses[index].split(":")
        socket.create_server((host, int(port)))
        say(addresses)
        sys.exit(not again)
        """,
        1,
        restart_arguments=lambda: ["--resume"],
    )
    assert ran.error is None
    first, second = ran.err
    assert first != second


def test_a_row_of_ports_can_be_given():
    (first,) = processes.free_ports(1)
    ran = launched("print(addresses)", port=first)
    assert ran.out == [str([f"127.0.0.1:{first}", f"127.0.0.1:{first + 1}"])]


def test_a_port_that_is_taken_is_bad_input():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"ones that are free. Received: port={port}, and at"):
            launched("", 1, port=port)


@pytest.mark.parametrize(
    ("threads", "set_by_the_user", "expected"),
    [(3, {}, "3"), (3, {"OMP_NUM_THREADS": "7"}, "3"), (None, {}, "2")],
)
def test_each_worker_has_its_share_of_the_processors_unless_told(
    monkeypatch, threads, set_by_the_user, expected
):
    monkeypatch.setattr(processes, "_processors", lambda: 5)
    for name in processes.THREADS:
        monkeypatch.delenv(name, raising=False)
    for name, value in set_by_the_user.items():
        monkeypatch.setenv(name, value)
    environment = processes.environment(0, [1, 2], threads)
    assert [environment[name] for name in processes.THREADS] == [expected] * 3


def test_the_users_threads_stay_where_none_are_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert processes.environment(0, [1, 2], None)["OMP_NUM_THREADS"] == "7"
    assert int(processes.environment(0, range(1000), None)["TF_NUM_INTRAOP_THREADS"]) == 1


def test_a_system_that_cannot_name_this_processs_processors_counts_the_machines(monkeypatch):
    assert processes._processors() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processes._processors() == os.cpu_count()


def test_the_chiefs_standard_output_is_the_result_and_other_lines_say_whose_they_are():
    ran = launched("print('result', index); say('log', index); print('the end', end='')")
    assert ran.out == ["result 0", "the end"]
    assert sorted(ran.err) == [
        "[worker 0] log 0",
        "[worker 1] log 1",
        "[worker 1] result 1",
        "[worker 1] the end",
    ]


def test_bytes_that_are_no_text_come_through():
    sink = Sink()
    command = script(r"os.write(1, b'\xff\n\x00no end')")
    processes.launch(command, 1, stdout=sink, stderr=Sink())
    assert sink.getvalue() == b"\xff\n\x00no end"


def test_lines_stay_whole_and_in_their_order():
    ran = launched("for number in range(2000): say(number, 'x' * 100)")
    for worker in range(2):
        mine = [line for line in ran.err if line.startswith(f"[worker {worker}] ")]
        assert mine == [f"[worker {worker}] {number} {'x' * 100}" for number in range(2000)]
    assert len(ran.err) == 4000


def test_the_last_lines_of_a_worker_come_before_the_word_of_its_death():
    events = []
    stderr = Sink(b"[worker 1] alas", then=lambda: events.append("alas"))
    with pytest.raises(WorkersError):
        processes.launch(
            script("if index: say('alas'); os.kill(os.getpid(), signal.SIGKILL)" + WAITS),
            2,
            max_restarts=0,
            say=events.append,
            stdout=Sink(),
            stderr=stderr,
        )
    assert events[1:] == ["alas", "worker 1 was killed by SIGKILL: stopping worker 0"]


def test_files_keep_what_each_worker_printed_with_a_line_at_every_start(tmp_path):
    code = "print('out', index, again); say('err', again); sys.exit(index == 1 and not again)"
    folder = tmp_path / "new" / "logs"
    ran = launched(code, restart_arguments=lambda: ["--resume"], log_dir=folder)
    assert ran.error is None
    assert sorted(path.name for path in folder.iterdir()) == ["worker_0.log", "worker_1.log"]
    lines = (folder / "worker_1.log").read_text().splitlines()
    starts = [line for line in lines if line.startswith("=== start ")]
    assert [re.match(r"=== start (\d), \d{4}-\d\d-\d\d ", line)[1] for line in starts] == ["1", "2"]
    assert [line.endswith(" --resume") for line in starts] == [False, True]
    assert sum(line in ("out 1 False", "err False") for line in lines) == 2
    assert {"out 1 True", "err True"} == set(lines[-2:])


def test_a_killed_worker_stops_the_others_and_all_start_again_to_resume():
    ran = launched(
        """
        if index == 1 and not again:
            os.kill(os.getpid(), signal.SIGKILL)
        if not again:
            signal.pause()
        print(sys.argv[1:])
        """,
        3,
        restart_arguments=lambda: ["--resume"],
    )
    assert ran.error is None
    assert ran.out == ["['--resume']"]
    start, died, restart, start_again = ran.said
    assert start.startswith("3 workers start, at 127.0.0.1, ports ")
    assert died == "worker 1 was killed by SIGKILL: stopping worker 0, worker 2"
    assert restart == "worker 1 was killed by SIGKILL: restart 1 of 3 with --resume"
    assert start_again != start


def test_a_word_that_the_command_has_is_not_added_twice(tmp_path):
    command = [*script("say(sys.argv[1:]); sys.exit(1)"), "--resume"]
    stderr = Sink()
    with pytest.raises(WorkersError):
        processes.launch(
            command,
            1,
            max_restarts=1,
            restart_arguments=lambda: ["--resume"],
            stdout=Sink(),
            stderr=stderr,
        )
    assert stderr.lines == ["[worker 0] ['--resume']"] * 2


@pytest.mark.parametrize("most", [0, 2])
def test_too_many_deaths_are_an_error_that_names_the_last(most):
    ran = launched("say('start'); sys.exit(7)", 1, max_restarts=most)
    assert ran.err == ["[worker 0] start"] * (most + 1)
    assert str(ran.error) == f"worker 0 ended with status 7, after {most} of {most} restarts"
    assert ran.error.status == 1


def test_bad_input_ends_everything_at_once():
    ran = launched("if index: sys.exit(2)" + WAITS, 3)
    assert str(ran.error) == "worker 1 ended with status 2: bad usage or input" or (
        "worker 2 ended with status 2" in str(ran.error)
    )
    assert ran.error.status == 2
    assert sum("workers start" in line for line in ran.said) == 1


def test_bad_input_counts_whichever_worker_ends_first():
    ran = launched(
        """
        def handler(number, frame):
            sys.exit(2)
        signal.signal(signal.SIGTERM, handler)
        meet()
        if index == 1:
            sys.exit(1)
        while True:
            signal.pause()
        """
    )
    assert (ran.error.status, str(ran.error)[:30]) == (2, "worker 0 ended with status 2: ")


def test_a_worker_that_starts_late_is_waited_for():
    ran = launched(
        """
        connection = meet()
        if index == 0:
            print(connection.recv(10).decode())
        else:
            connection.sendall(b"hello")
        """
    )
    assert (ran.error, ran.out) == (None, ["hello"])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_is_passed_on_and_the_workers_are_waited_for(name):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stderr = Sink(b"ready", 2, lambda: os.kill(os.getpid(), signal.Signals[name]))
    ran = launched(WAITS, stderr=stderr)
    assert sorted(ran.err)[1::2] == [f"[worker {w}] saved after {name}" for w in range(2)]
    shown = {"SIGTERM": "SIGTERM", "SIGINT": "Ctrl-C"}[name]
    assert re.fullmatch(
        rf"{shown}: passed on, and all workers have ended; worker \d ended with status 1",
        str(ran.error),
    )
    assert ran.error.status == 1
    assert len(ran.said) == 1  # nothing was started again
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_workers_that_end_well_after_a_signal_have_ended_well():
    stderr = Sink(b"ready", 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert launched(WAITS.replace("sys.exit(1)", "sys.exit(0)"), stderr=stderr).error is None


STUBBORN = "signal.signal(signal.SIGTERM, lambda *_: say('no')); say('ready')\n" + (
    "while True: signal.pause()"
)


def test_a_second_signal_kills():
    stderr = Sink(b"ready", 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    second = Sink(b"no", 1, lambda: os.kill(os.getpid(), signal.SIGTERM))

    class Both(Sink):
        def write(self, data):
            second.write(data)
            return stderr.write(data)

    ran = launched(STUBBORN, stderr=Both())
    assert "was killed by SIGKILL" in str(ran.error)


def test_those_that_do_not_end_are_killed_after_the_grace():
    code = """
        if again: sys.exit()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        meet()
        if index: os.kill(os.getpid(), signal.SIGKILL)
        while True: signal.pause()
    """
    ran = launched(code, restart_arguments=lambda: ["--resume"], grace=0.1)
    assert ran.error is None
    assert "still running after 0.1 s, and killed: worker 0" in ran.said


def test_workers_that_do_not_hear_a_signal_are_killed_after_the_grace():
    stderr = Sink(b"ready", 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    ran = launched(STUBBORN, stderr=stderr, grace=0.1)
    assert "still running after 0.1 s, and killed: worker 0, worker 1" in ran.said
    assert "was killed by SIGKILL" in str(ran.error)


def test_ctrl_c_that_somebody_else_listens_to_is_theirs():
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with attempt.noted_signals(None):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, handler)


def test_outside_the_main_thread_signals_are_left_alone():
    ran = []
    thread = threading.Thread(target=lambda: ran.append(launched("print('done')")))
    thread.start()
    thread.join()
    assert (ran[0].error, ran[0].out) == (None, ["done"])


LAUNCHER = """\
import sys
import checkpoints_tools.launcher  # with this, keras_albert imports nothing that is heavy
from keras_albert.distribute.processes import launch
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
launch(sys.argv[1:], 2)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux ends them")
def test_no_worker_outlives_a_launch_that_is_killed_and_tensorflow_is_not_imported():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        code = f"""
            connection = socket.create_connection(("127.0.0.1", {server.getsockname()[1]}))
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            connection.sendall(b"here")
            while True: signal.pause()
        """
        words = [sys.executable, "-c", LAUNCHER, *script(code)]
        with subprocess.Popen(words, cwd=ROOT) as launcher:
            connections = [server.accept()[0] for _ in range(2)]
            try:
                for connection in connections:
                    connection.settimeout(30)
                    assert connection.recv(4) == b"here"
                launcher.send_signal(signal.SIGKILL)
                # The system closes it when the process ends, which alone would not.
                assert [connection.recv(4) for connection in connections] == [b"", b""]
            finally:
                launcher.kill()
                for connection in connections:
                    connection.close()


def test_a_tied_process_asks_the_kernel_then_becomes_the_command(monkeypatch):
    asked, became, killed = [], [], []
    answer = SimpleNamespace(prctl=lambda *words: asked.append(words) or 0)
    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **options: answer)
    monkeypatch.setattr(os, "execvp", lambda *words: became.append(words))
    monkeypatch.setattr(os, "kill", lambda *words: killed.append(words))
    tied.become(["fit", "--train"], parent=os.getppid())
    assert [(option, value.value) for option, value in asked] == [(1, signal.SIGKILL)]
    assert (became, killed) == ([("fit", ["fit", "--train"])], [])
    tied.become(["fit"], parent=-1)  # its parent is gone
    assert killed == [(os.getpid(), signal.SIGKILL)]
    answer.prctl = lambda *words: -1
    with pytest.raises(OSError):
        tied.become(["fit"], parent=os.getppid())


def test_elsewhere_than_on_linux_the_command_is_started_itself(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert attempt._tied(["fit"]) == ["fit"]


class Broken(io.BytesIO):
    def write(self, data):
        raise BrokenPipeError(32, "Broken pipe")


def test_when_nobody_reads_the_lines_any_more_the_workers_end():
    code = "print('x', flush=True)" + WAITS
    with pytest.raises(BrokenPipeError):
        processes.launch(script(code), 2, stdout=Broken(), stderr=Sink())


def test_a_log_folder_that_cannot_be_made_is_an_error_before_the_start(tmp_path):
    (tmp_path / "file").touch()
    assert isinstance(launched("", log_dir=tmp_path / "file").error, FileExistsError)


def test_what_comes_after_the_end_is_dropped():
    sink = Sink()
    with process_output.Output(sink, sink, None, 1, print) as output:
        pass
    output.pass_on(io.BytesIO(b"late\n"), 0, is_result=True)
    assert sink.getvalue() == b""


def test_an_error_of_the_callers_own_ends_the_workers():
    def say(message):
        if "stopping" in message:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        processes.launch(
            script("if index: sys.exit(1)" + WAITS), 2, say=say, stdout=Sink(), stderr=Sink()
        )


def test_a_worker_that_cannot_be_started_ends_those_that_were(monkeypatch):
    popen, started = subprocess.Popen, []

    def second_fails(*args, **options):
        if started:
            raise OSError(12, "Cannot allocate memory")
        started.append(popen(*args, **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", second_fails)
    assert "allocate" in str(launched(WAITS).error)
    assert started[0].returncode == -signal.SIGKILL


def test_an_unnamed_signal_is_named_by_its_number():
    assert str(attempt.Ended(1, -40)) == "worker 1 was killed by signal 40"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"workers": 0}, "workers is at least 1. Received: workers=0"),
        ({"max_restarts": -1}, "max_restarts is at least 0. Received: max_restarts=-1"),
        ({"threads_per_worker": 0}, "threads_per_worker is at least 1"),
        ({"grace": float("nan")}, "grace is from 0 up to 9223372036 seconds. Received: grace=nan"),
        ({"grace": float("inf")}, "Received: grace=inf"),
        ({"port": 0}, "from 1 to 65535. Received: port=0, workers=2"),
        ({"port": 65535}, "from 1 to 65535. Received: port=65535, workers=2"),
        ({"command": []}, "A command is one that is there"),
        ({"command": ["no-such-command"]}, "Received: 'no-such-command'"),
    ],
)
def test_what_cannot_be_launched_is_bad_input(changed, message):
    with pytest.raises(InputError, match=re.escape(message)):
        processes.launch(**({"command": [sys.executable], "workers": 2} | changed))


def test_a_worker_launches_none(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(InputError, match="started already, and run the command itself"):
        launched("")
