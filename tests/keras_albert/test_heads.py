"""Task models: outputs, settings, beams, compiled calls, training."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_albert as ka
from keras_albert.heads import TASKS, build_model
from tests.compiled import call_compiled
from tests.keras_albert.tiny import (
    ALBERT,
    ALBERT_ZH,
    ALL_TASKS,
    BERT,
    CHOICES,
    HEADS,
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
from tests.layer_check import on_tensorflow

BATCH, LENGTH = TOKENS.shape
# Documented outputs with the settings of `options_of`: three beams of two ends.
SHAPES = {
    "pretraining": {
        "mlm_logits": (BATCH, 2, 50),
        "sentence_relation_logits": (BATCH, 2),
    },
    "masked_lm": {"mlm_logits": (BATCH, LENGTH, 50)},
    "classification": {"logits": (BATCH, 3)},
    "token_classification": {"logits": (BATCH, LENGTH, 4)},
    "question_answering": {"start_logits": (BATCH, LENGTH), "end_logits": (BATCH, LENGTH)},
    "question_answering_v2": {
        "start_logits": (BATCH, LENGTH),
        "end_logits": (BATCH, LENGTH),
        "end_beam_logits": (BATCH, 3, LENGTH),
        "start_top_log_probs": (BATCH, 3),
        "start_top_index": (BATCH, 3),
        "end_top_log_probs": (BATCH, 6),
        "end_top_index": (BATCH, 6),
        "unanswerable_logits": (BATCH,),
    },
    "multiple_choice": {"logits": (BATCH, 3)},
}


@pytest.fixture(scope="module")
def models():
    """A model of each task on ALBERT, with weights that show."""
    return {task: spread(build_model(ALBERT, task, **options_of(task))) for task in HEADS}


@pytest.fixture(scope="module")
def answers(models):
    return models["question_answering_v2"]


# Outputs


@pytest.mark.parametrize("task", HEADS)
def test_outputs_are_the_documented_ones_symbolic_as_eager(models, task):
    model = models[task]
    found = model(inputs_of(task))
    assert {name: tuple(value.shape) for name, value in found.items()} == SHAPES[task]
    dtypes = {name: "int32" if name.endswith("index") else "float32" for name in SHAPES[task]}
    assert {n: keras.backend.standardize_dtype(v.dtype) for n, v in found.items()} == dtypes
    assert {n: keras.backend.standardize_dtype(v.dtype) for n, v in model.output.items()} == dtypes
    for name, symbol in model.output.items():
        sizes = zip(symbol.shape, SHAPES[task][name], strict=True)
        assert all(known in (None, size) for known, size in sizes), (name, symbol.shape)
        assert symbol.shape[0] is None


@pytest.mark.parametrize("task", ["classification", "token_classification"])
@pytest.mark.parametrize("num_labels", [1, 5])
def test_num_labels_is_the_width_of_the_logits(task, num_labels):
    model = build_model(BERT, task, num_labels=num_labels)
    assert model(TOKENS)["logits"].shape[-1] == num_labels
    assert model.task_options["num_labels"] == num_labels


@pytest.mark.parametrize("task", ["classification", "multiple_choice"])
def test_the_head_drops_a_tenth_in_training_unless_told_otherwise(task):
    def rate(**options):
        return build_model(ALBERT, task, **options).get_layer("classifier_dropout").rate

    assert rate() == 0.1
    assert rate(dropout=0.3) == 0.3


def test_every_task_says_what_it_is():
    for task in ALL_TASKS:
        model = build_model(ALBERT, task)
        assert (model.task, model.encoder_config) == (task, ALBERT)
        if task != "encoder":
            assert model.name == task


def test_an_unknown_task_or_setting_is_an_error_in_one_line():
    with pytest.raises(ka.InputError) as caught:
        build_model(BERT, "summarization")
    assert str(caught.value) == (
        f"task must be one of {tuple(TASKS)}. Received: task='summarization'"
    )
    with pytest.raises(ka.InputError, match=r"labels.*task='classification', options=\['labels'\]"):
        build_model(BERT, "classification", labels=3)


def test_pre_ln_classifiers_normalize_the_pooled_output():
    model = spread(build_model(ALBERT_ZH, "classification"))
    everything = {"token_ids": TOKENS, "segment_ids": 0 * TOKENS, "padding_mask": MASK}
    norm = model.get_layer("pooled_layer_norm")
    pooled = numbers(keras.Model(model.input, norm.input)(everything))
    centred = pooled - pooled.mean(-1, keepdims=True)
    normalized = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-12)
    head = model.get_layer("classifier")
    expected = (normalized * numbers(norm.gamma) + numbers(norm.beta)) @ numbers(head.kernel)
    assert_same(model(everything)["logits"], expected + numbers(head.bias), atol=1e-5)


# Multiple choice


@pytest.mark.parametrize("choices", [1, 2, 3])
def test_multiple_choice_scores_each_choice_by_itself(models, choices):
    model = models["multiple_choice"]
    scores = numbers(model(CHOICES[:, :choices])["logits"])
    assert scores.shape == (BATCH, choices)
    assert_same(scores, numbers(model(CHOICES)["logits"])[:, :choices], atol=1e-5)


# Answers with beams


def test_the_end_logits_of_a_beam_are_those_of_its_start(answers):
    found = numbers(answers(TOKENS))
    for beam in range(3):
        starts = found["start_top_index"][:, beam]
        given = numbers(answers({"token_ids": TOKENS, "start_positions": starts}))
        np.testing.assert_allclose(
            given["end_logits"], found["end_beam_logits"][:, beam], atol=1e-5
        )
        for name in SHAPES["question_answering_v2"].keys() - {"end_logits"}:
            assert_same(given[name], found[name])


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_beams_are_the_best_starts_and_each_one_s_best_ends(answers):
    mask = np.array([[0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]])
    found = numbers(answers({"token_ids": TOKENS, "answer_mask": mask}))
    outside = -1e30 * (1 - mask)

    starts = log_softmax(found["start_logits"] + outside)
    best = np.argsort(-starts, axis=-1, kind="stable")[:, :3]
    np.testing.assert_array_equal(found["start_top_index"], best)
    expected = np.take_along_axis(starts, best, -1)
    np.testing.assert_allclose(found["start_top_log_probs"], expected, rtol=1e-5)

    ends = log_softmax(found["end_beam_logits"] + outside[:, None])
    best = np.argsort(-ends, axis=-1, kind="stable")[:, :, :2]
    np.testing.assert_array_equal(found["end_top_index"], best.reshape(BATCH, 6))
    expected = np.take_along_axis(ends, best, -1).reshape(BATCH, 6)
    np.testing.assert_allclose(found["end_top_log_probs"], expected, rtol=1e-5, atol=1e-5)


def test_no_beam_starts_or_ends_outside_the_answer_mask(answers):
    mask = np.array([[0, 0, 1, 1, 0, 1], [0, 0, 0, 1, 1, 1]])
    found = numbers(answers({"token_ids": TOKENS, "answer_mask": mask}))
    for inside, starts, ends in zip(
        mask, found["start_top_index"], found["end_top_index"], strict=True
    ):
        assert inside[starts].all()
        assert inside[ends].all()
    # The logits are those before the mask.
    assert_same(found["start_logits"], answers(TOKENS)["start_logits"])


def test_a_beam_too_many_is_at_minus_infinity(answers):
    mask = np.array([[0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]])  # two starts for three beams
    found = numbers(answers({"token_ids": TOKENS, "answer_mask": mask}))
    assert ((found["start_top_log_probs"] < -1e29) == [[0, 0, 1], [0, 0, 0]]).all()


@pytest.mark.parametrize(("start_n_top", "end_n_top"), [(1, 1), (2, 4), (5, 5)])
def test_start_n_top_and_end_n_top_are_the_numbers_of_beams(start_n_top, end_n_top):
    options = {"start_n_top": start_n_top, "end_n_top": end_n_top}
    model = build_model(BERT, "question_answering_v2", **options)
    found = model(TOKENS)
    assert found["end_beam_logits"].shape == (BATCH, start_n_top, LENGTH)
    for name in ("start_top_log_probs", "start_top_index"):
        assert found[name].shape == (BATCH, start_n_top)
    for name in ("end_top_log_probs", "end_top_index"):
        assert found[name].shape == (BATCH, start_n_top * end_n_top)
    assert options.items() <= model.task_options.items()


# Compiled calls


@pytest.mark.parametrize("task", HEADS)
def test_xla_compiles_the_forward_pass(models, task):
    inputs = {name: ops.convert_to_tensor(value) for name, value in inputs_of(task).items()}
    found = call_compiled(models[task], inputs)
    assert_same(found, models[task](inputs), atol=1e-4)


# Training


def cross_entropy(labels, logits):
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def answerability(labels, logits):
    return ops.softplus((1.0 - 2.0 * ops.cast(labels, "float32")) * logits)


SPANS = {"start_logits": np.array([1, 2]), "end_logits": np.array([2, 4])}
SPAN_LOSSES = {"start_logits": cross_entropy, "end_logits": cross_entropy}
LESSONS = {  # task: (losses, labels)
    "pretraining": (
        {"mlm_logits": cross_entropy, "sentence_relation_logits": cross_entropy},
        {"mlm_logits": np.array([[7, 8], [9, 1]]), "sentence_relation_logits": np.array([0, 1])},
    ),
    "masked_lm": ({"mlm_logits": cross_entropy}, {"mlm_logits": TOKENS}),
    "classification": ({"logits": cross_entropy}, {"logits": np.array([2, 0])}),
    "token_classification": ({"logits": cross_entropy}, {"logits": TOKENS % 4}),
    "question_answering": (SPAN_LOSSES, SPANS),
    "question_answering_v2": (
        SPAN_LOSSES | {"unanswerable_logits": answerability},
        SPANS | {"unanswerable_logits": np.array([1, 0])},
    ),
    "multiple_choice": ({"logits": cross_entropy}, {"logits": np.array([1, 2])}),
}


@pytest.mark.parametrize("task", HEADS)
def test_a_step_of_fit_makes_the_loss_fall(task):
    sizes = ALBERT.get_config() | {"dropout": 0.0, "attention_dropout": 0.0, "num_layers": 1}
    options = {k: v for k, v in options_of(task).items() if k != "dropout"}
    if "dropout" in TASKS[task].__kwdefaults__:
        options["dropout"] = 0.0
    model = build_model(ka.EncoderConfig.from_config(sizes), task, **options)
    losses, labels = LESSONS[task]
    inputs = inputs_of(task)
    if task == "question_answering_v2":
        inputs["start_positions"] = labels["start_logits"]
    model.compile(keras.optimizers.SGD(0.01), losses)
    # Two epochs of one batch: the second's loss is that of the weights after one step.
    before, after = model.fit(inputs, labels, epochs=2, verbose=0).history["loss"]
    assert after < before


@on_tensorflow
def test_gradients_reach_every_weight_of_every_head(models):
    import tensorflow as tf

    for task, model in models.items():
        inputs = inputs_of(task) | {"segment_ids": SEGMENTS}
        if task == "multiple_choice":
            inputs["segment_ids"] = np.stack([SEGMENTS] * 3, axis=1)
        rng = np.random.default_rng(1)
        with tf.GradientTape() as tape:
            outputs = model(inputs)
            loss = sum(
                ops.sum(value * rng.normal(size=value.shape).astype("float32"))
                for name, value in outputs.items()
                if "top" not in name
            )
        weights = model.trainable_weights
        for weight, gradient in zip(
            weights, tape.gradient(loss, [w.value for w in weights]), strict=True
        ):
            assert gradient is not None, (task, weight.path)
            if not weight.path.endswith("key/bias"):  # zero in exact arithmetic
                assert np.abs(tf.convert_to_tensor(gradient)).max() > 1e-6, (task, weight.path)


def test_positions_outside_the_sequence_are_an_error(models):
    rule = r"Masked positions .* length=6\. Received: masked_position=6"
    with pytest.raises(ka.InputError, match=rule):
        models["masked_lm"]({"token_ids": TOKENS, "masked_positions": POSITIONS + 1})
