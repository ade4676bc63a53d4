"""What a training does beside training: its log, its best weights, what ends it."""

import threading

import keras
import numpy as np
import pytest
from absl import logging

from keras_albert.errors import InputError
from keras_albert.training import NonFiniteLossError, fit_model
from keras_albert.training.best_weights import BestWeights, direction
from keras_albert.training.flat_loss import FlatLoss
from tests.keras_albert.training.small_run import (
    STEPS,
    batches,
    compiled_model,
    fit,
    lines,
    validation,
)


class Record(keras.callbacks.Callback):
    """What Keras itself tells its callbacks."""

    def __init__(self):
        super().__init__()
        self.rates, self.means, self.weights = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.means.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


class Overflow(keras.callbacks.Callback):
    """Makes the weights NaN before a step."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            self.weights = self.model.get_weights()
            bias = self.model.trainable_variables[-1]
            bias.assign(np.full(bias.shape, np.nan))


def test_the_log_has_the_mean_loss_and_the_rate_every_few_steps(tmp_path):
    record = Record()
    fit(tmp_path, callbacks=[record])
    log = [line for line in lines(tmp_path) if "validation" not in line]
    assert [(line["step"], line["epoch"]) for line in log] == [
        *[(4, 1), (6, 1)],
        *[(8, 2), (12, 2)],
        *[(16, 3), (18, 3)],
    ]
    np.testing.assert_allclose(
        [line["learning_rate"] for line in log],
        [record.rates[line["step"] - 1] for line in log],
        rtol=1e-6,
    )
    # The means over rows together are Keras' running mean over the epoch's 44 rows.
    assert log[0]["loss"] == pytest.approx(record.means[3], rel=1e-6)
    sizes = [len(rows) for _, rows in batches(row_index=True)]
    together = log[0]["loss"] * sum(sizes[:4]) + log[1]["loss"] * sum(sizes[4:])
    assert together / 44 == pytest.approx(record.means[5], rel=1e-5)


def test_the_log_has_a_line_for_each_validation(tmp_path):
    _, history = fit(tmp_path)
    found = [line for line in lines(tmp_path) if line.get("validation")]
    assert [line["step"] for line in found] == [STEPS, 2 * STEPS, 3 * STEPS]
    assert [line["loss"] for line in found] == history.history["val_loss"]
    assert [line["accuracy"] for line in found] == history.history["val_accuracy"]


def test_progress_counts_the_steps_of_all_epochs():
    calls = []
    fit(None, save_every=None, epochs=2, progress=lambda *call: calls.append(call))
    assert calls == [(step, 2 * STEPS, "fine-tuning") for step in range(1, 2 * STEPS + 1)]


def test_a_loss_that_is_no_number_ends_the_training_with_the_last_good_weights():
    overflow = Overflow(STEPS + 3)
    model = compiled_model()
    before = model.get_weights()
    with pytest.raises(NonFiniteLossError) as error:
        fit(
            None,
            model,
            save_every=None,
            callbacks=[overflow],
            describe_rows=lambda rows: [f"train.tsv:{row + 2}" for row in rows],
        )
    rows = [rows.numpy().tolist() for _, rows in batches(first_epoch=1, row_index=True)][2]
    found = error.value
    assert (found.step, found.epoch, found.kept_step, found.rows) == (STEPS + 3, 2, 0, rows)
    message = str(found)
    assert f"in step {STEPS + 3} (epoch 2)" in message
    assert f"train.tsv:{rows[0] + 2}, " in message
    assert f" and {len(rows) - 5} more" in message
    assert "lower learning rate" in message and "\n" not in message
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


class Ruin(keras.callbacks.Callback):
    """Makes weights NaN after a step of each epoch, as its update may."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step - 1:
            bias = self.model.trainable_variables[-1]
            bias.assign(np.full(bias.shape, np.nan))


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = compiled_model()
    with pytest.raises(NonFiniteLossError) as error:
        fit(tmp_path, model, save_every=1, callbacks=[Ruin(3)])
    rows = [rows.numpy().tolist() for _, rows in batches(row_index=True)][2]
    assert (error.value.step, error.value.epoch, error.value.rows) == (3, 1, rows)
    message = str(error.value)
    assert message.startswith("Weights are finite numbers; after step 3 (epoch 1) some were not. ")
    assert f"the batch: row {rows[0]}" in message
    assert message.endswith(f"Received: {model.trainable_variables[-1].path}")
    assert [path.name for path in tmp_path.glob("checkpoints/*")] == ["step_0000000002.npz"]
    resumed, history = fit(tmp_path, resume=True)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(weight).all() for weight in resumed.get_weights())


def test_a_last_step_that_ruins_the_weights_is_found_without_a_validation():
    model = compiled_model()
    before = model.get_weights()
    with pytest.raises(NonFiniteLossError, match=f"; after step {STEPS} \\(epoch 1\\)") as error:
        fit(None, model, epochs=1, save_every=None, validation_data=None, callbacks=[Ruin(STEPS)])
    assert error.value.rows
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_last_step_that_ruins_the_weights_is_found_by_the_validation(tmp_path):
    model = compiled_model()
    before = model.get_weights()
    with pytest.raises(NonFiniteLossError) as error:
        fit(tmp_path, model, epochs=1, save_every=None, callbacks=[Ruin(STEPS)])
    assert (error.value.step, error.value.kept_step, error.value.rows) == (STEPS, 0, [])
    assert f"in the validation after step {STEPS} (epoch 1)" in str(error.value)
    assert str(error.value).endswith("Try a lower learning rate. Received: val_loss=nan")
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert not list(tmp_path.glob("checkpoints/*"))  # none to resume from


def test_the_weights_kept_are_a_copy_every_so_many_steps(monkeypatch):
    from keras_albert.training import non_finite

    monkeypatch.setattr(non_finite, "_INTERVAL", 2)
    overflow = Overflow(5)  # after the copy at step 4
    model = compiled_model()
    with pytest.raises(NonFiniteLossError, match="weights that it had after step 4") as error:
        fit(None, model, save_every=None, callbacks=[overflow])
    assert error.value.kept_step == 4
    for weight, value in zip(model.get_weights(), overflow.weights, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_among_several_steps_of_an_execution_the_rows_of_all_are_named():
    model = compiled_model(steps_per_execution=3)
    with pytest.raises(NonFiniteLossError, match="in one of the steps 4 to 6") as error:
        fit(None, model, save_every=None, callbacks=[Overflow(2)])
    orders = [rows.numpy().tolist() for _, rows in batches(row_index=True)]
    assert error.value.rows == [*orders[3], *orders[4], *orders[5]]


def test_gradients_that_overflow_in_half_precision_end_nothing():
    model = compiled_model(dtype="mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**40
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, {"logits": loss}, jit_compile=False)
    _, history = fit(None, model, save_every=None)
    assert np.isfinite(history.history["loss"]).all()
    assert float(optimizer.dynamic_scale) < 2.0**40


def test_the_model_has_the_best_epochs_weights_at_the_end():
    record = Record()
    model, history = fit(None, save_every=None, callbacks=[record], monitor="val_loss", mode="max")
    best = int(np.argmax(history.history["val_loss"]))
    assert best != 2
    for weight, value in zip(model.get_weights(), record.weights[best], strict=True):
        np.testing.assert_array_equal(weight, value)


def test_it_stops_after_so_many_validations_that_are_no_better(tmp_path):
    options = {"monitor": "val_loss", "mode": "max", "patience": 2, "epochs": 9}
    _, history = fit(tmp_path, **options)
    best = int(np.argmax(history.history["val_loss"]))
    assert len(history.epoch) == best + 3 < 9


def test_patience_is_counted_across_a_resume(tmp_path):
    options = {"monitor": "val_loss", "mode": "max", "patience": 2, "epochs": 9}
    _, expected = fit(tmp_path / "a", **options)
    last = len(expected.epoch)

    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == last - 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "b", callbacks=[Killed()], **options)
    model, found = fit(tmp_path / "b", resume=True, **options)
    assert found.history == expected.history
    again, _ = fit(tmp_path / "a", resume=True, **options)
    for weight, value in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value)


def test_epochs_without_a_validation_do_not_count(recwarn):
    _, history = fit(
        None,
        save_every=None,
        epochs=4,
        validation_freq=2,
        monitor="val_loss",
        mode="max",
        patience=1,
    )
    assert len(history.history["val_loss"]) == 2
    assert not [warning for warning in recwarn if warning.category is UserWarning]


def test_a_validation_measures_the_averaged_weights():
    model = compiled_model(use_ema=True, ema_momentum=0.9)
    _, history = fit(None, model, save_every=None)
    measured = model.evaluate(validation(), verbose=0, return_dict=True)
    assert measured["loss"] == history.history["val_loss"][-1]


def test_the_best_weights_are_averaged_ones_where_those_were_measured():
    model = compiled_model(use_ema=True, ema_momentum=0.5)
    _, history = fit(None, model, save_every=None, monitor="val_loss", mode="max")
    measured = model.evaluate(validation(), verbose=0, return_dict=True)
    assert measured["loss"] == max(history.history["val_loss"])


@pytest.mark.parametrize(
    ("monitor", "wanted"),
    [
        ("val_loss", "min"),
        ("val_logits_loss", "min"),
        ("val_mae", "min"),
        ("val_mean_squared_error", "min"),
        ("val_kl_divergence", "min"),
        ("val_accuracy", "max"),
        ("val_macro_f1", "max"),
        ("val_pearson", "max"),
    ],
)
def test_losses_and_errors_are_to_be_small(monitor, wanted):
    assert direction(monitor) == wanted
    assert direction(monitor, "max") == "max"


def test_a_metric_that_the_validation_lacks_is_named_with_those_it_has():
    best = BestWeights("val_f1")
    with pytest.raises(InputError, match=r"'val_loss'.* Received: monitor='val_f1'"):
        best.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})


def test_a_loss_that_does_not_fall_is_warned_about_once(monkeypatch):
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda message, *args: warnings.append(message % args))
    flat, falling, short = FlatLoss(90), FlatLoss(90), FlatLoss(12)
    for step in range(1, 91):
        flat.after_line(step, 0.69 + 0.01 * (step % 2))
        falling.after_line(step, 0.69 - 0.002 * step)
        short.after_line(step, 0.69)
    assert len(warnings) == 1
    assert "learning rate is too high" in warnings[0]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_bad_data_is_one_line():
    from keras_albert.data.batching import length_batches

    def bad(first_epoch=0, row_index=False):
        import tensorflow as tf

        data = tf.data.Dataset.from_tensors(
            (tf.ragged.constant([[2, 99, 3]]), {"logits": tf.constant([0])})
        )
        return length_batches(
            data.map(lambda ids, labels: ({"token_ids": ids}, labels)), 1, vocab_size=50
        )

    with pytest.raises(InputError, match=r"less than vocab_size=50\. Received: token_ids=99$"):
        fit_model(compiled_model(), bad, epochs=1, verbose=0)


def test_in_another_thread_signals_are_left_alone(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(tmp_path, epochs=1)))
    thread.start()
    thread.join()
    assert found[0][1].epoch == [0]


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"monitor": "val_loss", "validation_data": None}, "validation_data=None"),
        ({"patience": 1}, "patience=1, monitor=None"),
        ({"monitor": "val_loss", "patience": -1}, "patience=-1"),
        ({"monitor": "val_loss", "mode": "best"}, "mode='best'"),
        ({"folder": None, "save_every": None, "resume": True}, "resume=True"),
        ({"folder": None}, "save_every=2"),
        ({"save_every": 0}, "save_every=0"),
        ({"log_every": 0}, "log_every=0"),
    ],
    ids=str,
)
def test_arguments_that_contradict_are_refused(arguments, received, tmp_path):
    with pytest.raises(InputError) as error:
        fit(**({"folder": tmp_path} | arguments))
    assert f"Received: {received}" in str(error.value) or f", {received}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_that_is_not_compiled_is_refused():
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(InputError, match="compiled before"):
        fit_model(model, batches, epochs=1)


def test_batches_that_never_end_are_refused():
    with pytest.raises(InputError, match="An epoch ends"):
        fit_model(compiled_model(), lambda first_epoch: batches().repeat(), epochs=1)
