"""A run that was interrupted and resumed ends as one that nothing disturbed, bit for bit."""

import errno
import json
import random
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_albert.errors import InputError
from keras_albert.training import Interrupted, checkpoints, fit_model
from tests.keras_albert.training.small_run import (
    STEPS,
    batches,
    compiled_model,
    fit,
    lines,
    sha256,
)
from tests.paths import ROOT

PROGRAM = (sys.executable, "-m", "tests.keras_albert.training.small_run")


class Stop(keras.callbacks.Callback):
    """As if the process died: after so many steps, or within a validation."""

    def __init__(self, step=None, validation=None):
        super().__init__()
        self.left, self.validation = step, validation

    def on_train_batch_end(self, batch, logs=None):
        if self.left is not None:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    def on_test_batch_end(self, batch, logs=None):
        if self.validation is not None:
            self.validation -= 1
            if not self.validation:
                raise KeyboardInterrupt


def stopped(folder, stop, model=None, **options):
    with pytest.raises(KeyboardInterrupt):
        fit(folder, model, callbacks=[stop], **options)


def outcome(folder, model, history):
    return sha256(model), history.history, history.epoch, lines(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return outcome(folder, *fit(folder))


@pytest.mark.parametrize(
    "stop",
    [
        {"step": 1},
        pytest.param({"step": 4}, marks=pytest.mark.slow),
        {"step": STEPS},
        pytest.param({"step": 2 * STEPS + 5}, marks=pytest.mark.slow),
        {"validation": 3},
    ],
    ids=str,
)
def test_a_resumed_run_ends_as_one_that_nothing_disturbed(stop, undisturbed, tmp_path):
    stopped(tmp_path, Stop(**stop))
    assert outcome(tmp_path, *fit(tmp_path, resume=True)) == undisturbed


def test_without_a_folder_the_training_is_the_same(undisturbed):
    model, history = fit(None, save_every=None)
    assert (sha256(model), history.history) == undisturbed[:2]


def test_fit_sees_every_epochs_own_order():
    import tensorflow as tf

    orders = [
        [rows.numpy().tolist() for _, rows in batches(first_epoch=epoch, row_index=True)]
        for epoch in range(3)
    ]
    taken = []

    def noting(first_epoch=0):
        def note(batch, rows):
            labels = batch[1]["logits"]
            noted = tf.numpy_function(
                lambda rows, labels: (taken.append(rows.tolist()), labels)[1],
                [rows, labels],
                labels.dtype,
            )
            return batch[0], {"logits": tf.ensure_shape(noted, labels.shape)}

        return batches(first_epoch=first_epoch, row_index=True).map(note)

    fit_model(compiled_model(), noting, epochs=3, verbose=0)
    assert taken == [rows for order in orders for rows in order]
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation_steps": 4},
        {"use_ema": True, "ema_momentum": 0.9},
        pytest.param({"steps_per_execution": 4}, marks=pytest.mark.slow),
        pytest.param({"dtype": "mixed_bfloat16"}, marks=pytest.mark.slow),
        pytest.param({"dtype": "mixed_float16"}, marks=pytest.mark.slow),
        pytest.param({"transformer": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_other_trainings_resume_likewise(options, tmp_path):
    best = {"monitor": "val_loss"}
    expected = outcome(tmp_path / "a", *fit(tmp_path / "a", compiled_model(**options), **best))
    stopped(tmp_path / "b", Stop(3), compiled_model(**options), **best)
    again = fit(tmp_path / "b", compiled_model(**options), resume=True, **best)
    assert outcome(tmp_path / "b", *again) == expected


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras', at the first end
@pytest.mark.parametrize("step", [3, pytest.param(STEPS + 3, marks=pytest.mark.slow)])
def test_an_epoch_of_unknown_length_resumes_too(step, tmp_path):
    def unknown(first_epoch=0):
        return batches(first_epoch=first_epoch).filter(lambda *_: True)

    def trained(folder, **options):
        model, calls = compiled_model(), []
        options["progress"] = lambda *call: calls.append(call)
        history = fit_model(
            model, unknown, epochs=3, verbose=0, folder=folder, save_every=2, **options
        )
        assert calls[-1] == (3 * STEPS, None, "fine-tuning")
        return outcome(folder, model, history)

    expected = trained(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "b", callbacks=[Stop(step)])
    assert trained(tmp_path / "b", resume=True) == expected


def test_a_run_that_is_complete_gives_its_history_and_weights_at_once(undisturbed, tmp_path):
    fit(tmp_path)

    class Never(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError

    again = fit(tmp_path, resume=True, callbacks=[Never()])
    assert outcome(tmp_path, *again) == undisturbed


def test_without_a_checkpoint_a_run_begins(undisturbed, tmp_path):
    assert outcome(tmp_path, *fit(tmp_path, resume=True)) == undisturbed


def test_a_folder_with_checkpoints_is_not_begun_anew(tmp_path):
    stopped(tmp_path, Stop(3))
    with pytest.raises(InputError, match=r"resume=True \(--resume\) goes on"):
        fit(tmp_path)


def test_other_settings_are_named_with_both_values(tmp_path):
    stopped(tmp_path, Stop(3), fingerprint={"optimizer": {"rate": 1e-4}, "data": "ab"})
    with pytest.raises(InputError) as error:
        fit(tmp_path, resume=True, fingerprint={"optimizer": {"rate": 2e-4}, "data": "ab"})
    assert "Received: optimizer.rate=0.0002 (was 0.0001)" in str(error.value)
    assert "data" not in str(error.value).split("Received")[1]


def test_another_model_is_refused(tmp_path):
    stopped(tmp_path, Stop(3))
    model = compiled_model(use_ema=True)
    with pytest.raises(InputError, match="another optimizer"):
        fit(tmp_path, model, resume=True)


@pytest.mark.parametrize("damage", ["truncated", "zeros"])
def test_of_a_damaged_checkpoint_the_earlier_one_is_taken(
    damage, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoints.Path, "unlink", lambda self, missing_ok=False: None)
    stopped(tmp_path, Stop(6))
    monkeypatch.undo()
    (latest,) = (tmp_path / "checkpoints").glob("*4.npz")
    content = bytearray(latest.read_bytes())
    middle = len(content) // 2
    if damage == "zeros":
        content[middle : middle + 512] = bytes(512)
    latest.write_bytes(content[: middle if damage == "truncated" else None])
    assert outcome(tmp_path, *fit(tmp_path, resume=True)) == undisturbed


def test_where_all_are_damaged_one_line_says_so(tmp_path):
    stopped(tmp_path, Stop(3))
    (path,) = (tmp_path / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="the checkpoint is damaged") as error:
        fit(tmp_path, resume=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space"), KeyboardInterrupt()], ids=str)
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    error, undisturbed, tmp_path, monkeypatch
):
    write, count = np.lib.format.write_array, 0

    def failing(file, array, **options):
        nonlocal count
        count += 1
        if count > 25:  # within the second
            file.write(b"half")
            raise error
        write(file, array, **options)

    monkeypatch.setattr(np.lib.format, "write_array", failing)
    with pytest.raises(type(error)):
        fit(tmp_path)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_0000000002.npz"]
    assert outcome(tmp_path, *fit(tmp_path, resume=True)) == undisturbed


def test_half_a_file_of_a_killed_process_is_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    half = tmp_path / "checkpoints" / "step_0000000002.npz.partial"
    half.write_bytes(b"half")
    fit(tmp_path, resume=True)
    assert not half.exists()


class Signal(keras.callbacks.Callback):
    """Sends a signal in a step, or in a validation."""

    def __init__(self, number, step=None):
        super().__init__()
        self.number, self.left = number, step

    def on_train_batch_end(self, batch, logs=None):
        if self.left:
            self.left -= 1
            if not self.left:
                signal.raise_signal(self.number)

    def on_test_batch_begin(self, batch, logs=None):
        if self.left is None:
            signal.raise_signal(self.number)


@pytest.mark.parametrize(
    "step", [3, *(pytest.param(step, marks=pytest.mark.slow) for step in (STEPS, None))]
)
def test_sigterm_saves_after_the_step_and_stops(step, undisturbed, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as error:
        fit(tmp_path, callbacks=[Signal(signal.SIGTERM, step)], save_every=None)
    assert f"stopped after step {step or STEPS} of {3 * STEPS}" in str(error.value)
    assert signal.getsignal(signal.SIGTERM) is before
    assert outcome(tmp_path, *fit(tmp_path, resume=True)) == undisturbed


def test_the_first_ctrl_c_saves_too_and_the_second_stops_at_once(undisturbed, tmp_path):
    with pytest.raises(KeyboardInterrupt, match="stopped after step 3"):
        fit(tmp_path / "a", callbacks=[Signal(signal.SIGINT, 3)], save_every=None)
    twice = [Signal(signal.SIGINT, 3), Signal(signal.SIGINT, 3)]
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit(tmp_path / "b", callbacks=twice, save_every=None)
    assert outcome(tmp_path / "a", *fit(tmp_path / "a", resume=True)) == undisturbed
    assert not (tmp_path / "b" / "checkpoints").exists()


@pytest.mark.slow
def test_sigterm_in_averaged_validation_saves_the_weights_themselves(tmp_path):
    ema = {"use_ema": True, "ema_momentum": 0.9}
    expected = outcome(tmp_path / "a", *fit(tmp_path / "a", compiled_model(**ema)))
    with pytest.raises(Interrupted):
        fit(tmp_path / "b", compiled_model(**ema), callbacks=[Signal(signal.SIGTERM)])
    again = fit(tmp_path / "b", compiled_model(**ema), resume=True)
    assert outcome(tmp_path / "b", *again) == expected


def test_lines_of_the_log_after_the_checkpoint_are_dropped(tmp_path):
    stopped(tmp_path, Stop(5), log_every=1)
    steps = [line["step"] for line in lines(tmp_path)]
    assert steps[-1] > 3
    fit(tmp_path, resume=True, log_every=1)
    assert [line["step"] for line in lines(tmp_path) if "validation" not in line] == list(
        range(1, 3 * STEPS + 1)
    )


@pytest.mark.slow
def test_a_process_that_is_killed_at_random_moments_ends_the_same(undisturbed, tmp_path):
    rng = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            [*PROGRAM, tmp_path, "slow"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(rng.randint(1, 5)):
            process.stdout.readline()
        process.kill()
        process.communicate()
    ran = subprocess.run([*PROGRAM, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["sha256"] == undisturbed[0]
    assert found["history"] == undisturbed[1]
    assert found["log"] == undisturbed[3]


@pytest.mark.slow
def test_jax_resumes_too(tmp_path):
    from tests.test_jax import run_python

    program = f"""
from pathlib import Path
import pytest
from tests.keras_albert.training.small_run import fit
from tests.keras_albert.training.test_resume import Stop, outcome, stopped
root = Path({str(tmp_path)!r})
expected = outcome(root / "a", *fit(root / "a"))
stopped(root / "b", Stop(5))
assert outcome(root / "b", *fit(root / "b", resume=True)) == expected
"""
    run_python("jax", "-c", program)
