"""Strategies by name."""

import json

import pytest
import tensorflow as tf

import keras_albert as ka
from keras_albert.cli import strategies as flags
from keras_albert.distribute import workers
from keras_albert.distribute.strategies import NAMES
from keras_albert.errors import InputError

ADDRESSES = ["127.0.0.1:2222", "127.0.0.1:2223"]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def config(index=0, task="worker", **jobs):
    return json.dumps(
        {"cluster": jobs or {"worker": ADDRESSES}, "task": {"type": task, "index": index}}
    )


def test_the_flags_know_every_strategy():
    assert flags.NAMES == NAMES


def test_auto_is_the_cpu_where_there_is_nothing_else(caplog):
    with caplog.at_level("INFO"):
        strategy = ka.distribute.strategy("auto")
    assert strategy.num_replicas_in_sync == 1
    assert strategy is tf.distribute.get_strategy()
    assert "Strategy auto: the CPU" in caplog.text


def test_a_mirrored_cpu_is_one_replica():
    strategy = ka.distribute.strategy("mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 1


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("gpu",), "TensorFlow sees no GPU"),
        (("tpu",), "A TPU is on this host"),
        (("multi_worker",), "multi_worker needs TF_CONFIG"),
        (("parameter_server",), "Keras 3 trains without parameter servers; 'multi_worker'"),
        (("horovod",), "A strategy is one of auto, cpu"),
        (("mirrored", 0), "There is one device at least"),
        (("cpu", 2), "'cpu' is one device; 'mirrored' is several"),
        # The tests have computed on one CPU.
        (("mirrored", 3), "before TensorFlow has computed anything"),
    ],
)
def test_what_is_not_there_is_one_line(arguments, rule):
    with pytest.raises(InputError, match=rule) as raised:
        ka.distribute.strategy(*arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("wait", [-1.0, float("nan"), float("inf")])
def test_a_wait_has_an_end(wait):
    with pytest.raises(InputError, match=f"wait is from 0 up to .* Received: wait={wait}$"):
        ka.distribute.strategy("cpu", wait=wait)


def test_a_process_alone_is_the_chief():
    assert workers.cluster() is None
    assert (workers.worker_index(), workers.worker_count(), workers.is_chief()) == (0, 1, True)


def test_tf_config_says_which_worker_this_is(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(1))
    assert workers.cluster() == workers.Cluster(tuple(ADDRESSES), 1)
    assert not workers.is_chief()
    monkeypatch.setenv("TF_CONFIG", config(0, chief=ADDRESSES[:1], worker=ADDRESSES[1:]))
    assert (workers.worker_index(), workers.worker_count()) == (1, 2)
    monkeypatch.setenv("TF_CONFIG", config(0, "chief", chief=ADDRESSES[:1], worker=ADDRESSES[1:]))
    assert workers.is_chief()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "TF_CONFIG is JSON such as"),
        ("[]", "TF_CONFIG is JSON such as"),
        (config(2), "with a task among its workers"),
        (config(0, "evaluator"), "with a task among its workers"),
        (config(0, ps=ADDRESSES, worker=ADDRESSES), "without parameter servers"),
    ],
)
def test_a_wrong_tf_config_is_one_line(monkeypatch, text, rule):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=rule):
        workers.cluster()
