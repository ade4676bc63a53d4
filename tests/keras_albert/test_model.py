"""TransformerModel: inputs that may be left out, saving, training."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_albert as ka
from keras_albert.heads import build_model
from keras_albert.model import TransformerModel
from tests.keras_albert.tiny import (
    ALBERT,
    ALBERT_ZH,
    ALL_TASKS,
    BERT,
    CHOICES,
    CONFIGS,
    MASK,
    POSITIONS,
    SEGMENTS,
    TOKENS,
    assert_same,
    inputs_of,
    numbers,
    options_of,
    spread,
)
from tests.layer_check import BACKEND, on_tensorflow

FULL = {"token_ids": TOKENS, "segment_ids": 0 * TOKENS, "padding_mask": MASK}
LABELS = np.array([0, 1])
FROM_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def classifier():
    return spread(build_model(BERT, "classification"))


@pytest.fixture(scope="module")
def logits(classifier):
    return numbers(classifier(FULL)["logits"])


@pytest.fixture(scope="module")
def answers():
    options = options_of("question_answering_v2")
    return spread(build_model(ALBERT, "question_answering_v2", **options))


# Inputs that may be left out


@pytest.mark.parametrize(
    "inputs",
    [
        {"token_ids": TOKENS},
        {"token_ids": TOKENS, "segment_ids": 0 * TOKENS},
        {"padding_mask": MASK, "token_ids": TOKENS},
        {"token_ids": TOKENS.tolist()},
        {"token_ids": TOKENS.astype("int64"), "padding_mask": MASK.astype(bool)},
        {"token_ids": TOKENS, "padding_mask": MASK.astype("float32")},
        {"token_ids": ops.convert_to_tensor(TOKENS)},
        TOKENS,
        TOKENS.astype("int64"),
        TOKENS.tolist(),
        ops.convert_to_tensor(TOKENS),
    ],
    ids=lambda inputs: ",".join(inputs) if isinstance(inputs, dict) else type(inputs).__name__,
)
def test_a_call_fills_what_is_missing(classifier, logits, inputs):
    assert_same(classifier(inputs)["logits"], logits)


def test_what_is_given_is_not_filled(classifier, logits):
    for given in ({"segment_ids": SEGMENTS}, {"padding_mask": np.ones_like(MASK)}):
        found = numbers(classifier({"token_ids": TOKENS} | given)["logits"])
        assert np.abs(found - logits).max() > 1e-3, given


def test_predict_fills_what_is_missing(classifier, logits):
    for inputs in (TOKENS, {"token_ids": TOKENS.astype("int64"), "padding_mask": MASK > 0}):
        assert_same(classifier.predict(inputs, verbose=0)["logits"], logits, atol=1e-5)


def test_fit_and_evaluate_fill_what_is_missing_for_bare_arrays_and_both_kinds_of_labels():
    model = spread(build_model(ALBERT, "classification"))
    before = numbers(model(FULL)["logits"])
    model.compile(keras.optimizers.SGD(0.0), FROM_LOGITS, metrics=["accuracy"])
    inputs = {"token_ids": TOKENS}
    expected = float(FROM_LOGITS(LABELS, before))
    for x, y in ((inputs, {"logits": LABELS}), (TOKENS, LABELS)):
        loss, accuracy = model.evaluate(x, y, verbose=0)
        assert loss == pytest.approx(expected, abs=1e-5)
        assert accuracy == pytest.approx(np.mean(before.argmax(-1) == LABELS))
        history = model.fit(x, y, verbose=0).history
        assert np.isfinite(history["loss"]).all()


def test_compile_takes_losses_and_metrics_by_output():
    model = build_model(ALBERT, "question_answering")
    model.compile(
        "sgd",
        {"start_logits": FROM_LOGITS, "end_logits": FROM_LOGITS},
        metrics={"end_logits": ["accuracy"]},
    )
    spans = {"start_logits": np.array([1, 2]), "end_logits": np.array([2, 3])}
    history = model.fit(TOKENS, spans, verbose=0).history
    assert set(history) == {
        "loss",
        "start_logits_loss",
        "end_logits_loss",
        "end_logits_accuracy",
    }


def test_a_model_inside_another_functional_model_fills_what_is_missing(
    classifier, logits, tmp_path
):
    integers = "int64" if BACKEND == "tensorflow" else "int32"  # JAX has no int64 by default
    token_ids = keras.Input((None,), dtype=integers, name="ids")
    mask = keras.Input((None,), dtype="bool", name="mask")
    doubled = 2.0 * classifier({"token_ids": token_ids, "padding_mask": mask})["logits"]
    tripled = 3.0 * classifier(token_ids)["logits"]
    outer = keras.Model([token_ids, mask], [doubled, tripled])
    outer.save(tmp_path / "outer.keras")
    for model in (outer, keras.models.load_model(tmp_path / "outer.keras")):
        found = model([TOKENS.astype(integers), MASK > 0])
        assert_same(found, [2.0 * logits, 3.0 * logits], atol=1e-5)


def test_multiple_choice_fills_what_is_missing_choice_by_choice():
    model = spread(build_model(ALBERT, "multiple_choice"))
    full = {
        "token_ids": CHOICES,
        "segment_ids": 0 * CHOICES,
        "padding_mask": (CHOICES != 0).astype("int32"),
    }
    assert_same(model(CHOICES), model(full))


def test_every_position_is_masked_for_a_masked_lm_unless_positions_are_given():
    model = spread(build_model(BERT, "masked_lm"))
    everywhere = numbers(model(TOKENS)["mlm_logits"])
    assert everywhere.shape == (*TOKENS.shape, BERT.vocab_size)
    there = numbers(model(FULL | {"masked_positions": POSITIONS})["mlm_logits"])
    expected = np.take_along_axis(everywhere, POSITIONS[..., None], axis=1)
    np.testing.assert_allclose(there, expected, atol=1e-5)


@pytest.mark.parametrize("padding_mask", [None, [[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 0, 1]]])
def test_an_answer_may_lie_wherever_the_padding_mask_is_one_unless_a_mask_is_given(
    answers, padding_mask
):
    inputs = {"token_ids": TOKENS}
    if padding_mask is not None:
        inputs["padding_mask"] = np.array(padding_mask)
    shown = MASK if padding_mask is None else np.array(padding_mask)
    assert_same(answers(inputs), answers(inputs | {"answer_mask": shown}))


def test_ends_stand_for_the_best_start_unless_starts_are_given(answers):
    free = answers(TOKENS)
    best = numbers(free["start_top_index"])[:, 0]
    assert_same(free, answers({"token_ids": TOKENS, "start_positions": best}), atol=1e-6)
    assert_same(free, answers({"token_ids": TOKENS, "start_positions": [-1, -1]}))
    other = numbers(answers({"token_ids": TOKENS, "start_positions": (best + 1) % 4}))
    assert np.abs(other["end_logits"] - numbers(free["end_logits"])).max() > 1e-3


# Inputs that are wrong


@pytest.mark.parametrize(
    ("foreign", "hints"),
    [
        (
            ("input_ids", "input_mask", "masked_lm_positions"),
            (
                "'input_ids' is called token_ids here",
                "'input_mask' is called padding_mask here",
                "'masked_lm_positions' is called masked_positions here",
            ),
        ),
        (
            ("input_word_ids", "input_type_ids", "mlm_positions"),
            (
                "'input_word_ids' is called token_ids here",
                "'input_type_ids' is called segment_ids here",
                "'mlm_positions' is called masked_positions here",
            ),
        ),
        (
            ("input_ids", "attention_mask", "token_type_ids", "p_mask"),
            (
                "'attention_mask' is called padding_mask here",
                "'token_type_ids' is called segment_ids here",
                "'p_mask' is called answer_mask (1 - p_mask) here",
            ),
        ),
    ],
    ids=["Google", "TF-Hub", "Hugging Face"],
)
def test_foreign_input_names_are_translated_in_the_error(classifier, foreign, hints):
    with pytest.raises(ValueError, match="classification takes the inputs") as caught:
        classifier(dict.fromkeys(foreign, TOKENS))
    message = str(caught.value)
    assert all(hint in message for hint in hints), message
    assert message.endswith(f"Received: {sorted(foreign)}")
    assert "\n" not in message


def test_an_unknown_input_is_named_in_every_way_to_run(classifier):
    rule = (
        r"^classification takes the inputs \['padding_mask', 'segment_ids', 'token_ids'\]\. "
        r"Received: \['labels', 'token_ids'\]"
    )
    inputs = {"token_ids": TOKENS, "labels": TOKENS}
    with pytest.raises(ValueError, match=rule):
        classifier(inputs)
    # An error in predict costs a Keras model its weights on JAX: not the shared one's.
    with pytest.raises(ValueError, match=rule):
        build_model(BERT, "classification").predict(inputs, verbose=0)
    symbolic = {name: keras.Input((None,), dtype="int32") for name in inputs}
    with pytest.raises(ValueError, match=rule):
        classifier(symbolic)


@pytest.mark.parametrize("inputs", [{}, {"segment_ids": SEGMENTS}])
def test_token_ids_are_required(classifier, inputs):
    rule = r"^classification needs the inputs \['token_ids'\]\. Received: "
    with pytest.raises(ValueError, match=rule):
        classifier(inputs)


def test_masked_positions_are_required_for_pretraining():
    model = build_model(ALBERT, "pretraining")
    rule = (
        r"^pretraining needs the inputs \['masked_positions'\]\. "
        r"Received: \['segment_ids', 'token_ids'\]$"
    )
    with pytest.raises(ValueError, match=rule):
        model({"token_ids": TOKENS, "segment_ids": SEGMENTS})


# Saving


@pytest.mark.parametrize(
    ("family", "task"),
    [
        *(("albert", task) for task in ALL_TASKS),
        ("bert", "pretraining"),
        ("albert_zh", "pretraining"),
    ],
)
def test_a_keras_file_holds_outputs_config_task_and_settings(family, task, tmp_path):
    options = options_of(task)
    model = spread(build_model(CONFIGS[family], task, **options))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is TransformerModel
    assert_same(again(inputs_of(task)), model(inputs_of(task)))
    assert again.encoder_config == CONFIGS[family]
    assert (again.name, again.task, again.task_options) == (
        model.name,
        task,
        model.task_options,
    )
    assert (
        options.items()
        <= {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in again.task_options.items()
        }.items()
    )
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]


@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_weights_file_brings_every_weight_back(task, tmp_path):
    options = options_of(task)
    model = spread(build_model(ALBERT_ZH, task, **options))
    model.save_weights(tmp_path / "model.weights.h5")
    again = build_model(ALBERT_ZH, task, **options)
    again.load_weights(tmp_path / "model.weights.h5")
    assert_same(again(inputs_of(task)), model(inputs_of(task)))


@pytest.mark.parametrize("family", CONFIGS)
def test_a_loaded_masked_lm_is_still_tied_to_the_token_table(family, tmp_path):
    model = spread(build_model(CONFIGS[family], "masked_lm"))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    table = again.get_layer("token_embedding").embeddings
    unused = CONFIGS[family].vocab_size - 1
    assert unused not in TOKENS
    before = numbers(again(TOKENS)["mlm_logits"])
    changed = numbers(table)
    changed[unused] += 1.0
    table.assign(changed)
    difference = np.abs(numbers(again(TOKENS)["mlm_logits"]) - before).max(axis=(0, 1))
    assert difference[unused] > 1e-2
    assert difference[:unused].max() == 0.0


def test_a_loaded_albert_still_runs_one_block_at_every_depth(tmp_path):
    model = spread(ka.albert_encoder(ALBERT, outputs=("encoder_outputs",)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    blocks = [layer for layer in again.layers if "encoder_block" in layer.name]
    assert [block.name for block in blocks] == ["encoder_block_0"]
    before = numbers(again(TOKENS)["encoder_outputs"])
    bias = blocks[0].output_layer_norm.beta
    bias.assign(bias + 1.0)
    after = numbers(again(TOKENS)["encoder_outputs"])
    first = after[0] - before[0]
    np.testing.assert_allclose(first, np.ones_like(first), atol=1e-5)
    # The second run reads the first one's rows, and adds its own 1.
    assert np.abs(after[1] - before[1] - 1.0).max() > 1e-3


def test_a_compiled_model_comes_back_compiled_and_fits_on(tmp_path):
    model = build_model(ALBERT, "classification")
    model.compile(ka.optimizers.AdamW(1e-3), FROM_LOGITS)
    model.fit(TOKENS, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is ka.optimizers.AdamW
    assert_same(again.optimizer.variables, model.optimizer.variables)


@on_tensorflow
@pytest.mark.parametrize("task", ["classification", "question_answering_v2"])
def test_an_exported_saved_model_gives_the_same_outputs_by_name(task, tmp_path):
    import tensorflow as tf

    model = spread(build_model(ALBERT, task, **options_of(task)))
    model.export(tmp_path / "saved", verbose=False)
    serve = tf.saved_model.load(tmp_path / "saved").signatures["serving_default"]
    inputs = FULL | (
        {} if task == "classification" else {"answer_mask": MASK, "start_positions": [-1, -1]}
    )
    found = serve(**{name: tf.constant(value, "int32") for name, value in inputs.items()})
    assert_same(found, model(TOKENS), atol=1e-5)


# What a model is made of


def test_a_plain_keras_model_over_our_tensors_works():
    encoder = spread(ka.bert_encoder(BERT))
    pooled = encoder.output["pooled_output"]
    model = keras.Model(encoder.input, keras.layers.Dense(3, name="mine")(pooled))
    assert not isinstance(model, TransformerModel)
    mine = model.get_layer("mine")
    expected = numbers(encoder(FULL)["pooled_output"]) @ numbers(mine.kernel)
    np.testing.assert_allclose(numbers(model(FULL)), expected, atol=1e-5)


def summary(model):
    lines = []
    model.summary(line_length=120, print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines)


def test_the_summary_names_the_architecture_from_inputs_to_head():
    text = summary(build_model(ALBERT, "classification", num_labels=3))
    parts = [
        'Model: "classification"',
        "token_embedding (TokenEmbedding)",
        "segment_embedding",
        "position_embedding",
        "embedding_layer_norm",
        "embedding_projection (Dense)",
        "encoder_block_0",
        "pool (Pooler)",
        "classifier (Dense)",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places, text
    assert places == sorted(places)
    assert "encoder_block_1" not in text
    assert "encoder_block_1" in summary(ka.bert_encoder(BERT))


def test_frozen_layers_stay_as_they_are_in_fit_and_in_a_keras_file(tmp_path):
    model = spread(build_model(ALBERT, "classification"))
    frozen = ("token_embedding", "encoder_block_0")
    for name in frozen:
        model.get_layer(name).trainable = False
    model.compile(ka.optimizers.AdamW(0.1, weight_decay=0.1), FROM_LOGITS)
    before = {weight.path: numbers(weight) for weight in model.weights}
    model.fit(TOKENS, LABELS, verbose=0)
    for weight in model.weights:
        moved = np.abs(numbers(weight) - before[weight.path]).max() > 0
        assert moved != weight.path.startswith(frozen), weight.path
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert [weight.path for weight in again.trainable_weights] == [
        weight.path for weight in model.trainable_weights
    ]


# Dtype policies


def test_the_loss_is_scaled_for_a_model_of_the_policy_mixed_float16(tmp_path):
    model = build_model(BERT, "classification", dtype="mixed_float16")
    model.save(tmp_path / "model.keras")
    for one in (model, keras.models.load_model(tmp_path / "model.keras")):
        one.compile(ka.optimizers.AdamW(1e-3), FROM_LOGITS)
        assert type(one.optimizer) is keras.optimizers.LossScaleOptimizer
    wide = build_model(BERT, "classification")
    wide.compile(ka.optimizers.AdamW(1e-3), FROM_LOGITS)
    assert type(wide.optimizer) is ka.optimizers.AdamW
