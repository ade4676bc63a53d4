"""Every model case of the reference: Google's outputs and gradients, from ka.load_model."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_albert as ka
from keras_albert.encoders import OUTPUTS
from keras_albert.pretrained import open_weights
from tests.checkpoints_tools.cases import BAR, case_names, distance, load_case
from tests.compiled import call_compiled, loss_and_gradients_compiled
from tests.paths import REFERENCE

HUB = "albert_hub"
CASES = [name for name in case_names() if name != HUB]
GRADIENT_CASES = [name for name in CASES if (REFERENCE / name / "gradients.npz").is_file()]
ON_JAX = keras.backend.backend() == "jax"
# JAX sums in another order; the bar there is twice as wide.
FORWARD_BAR = BAR * (2 if ON_JAX else 1)

GOOGLE_OUTPUTS = {
    "classification": {"logits": "classifier_logits"},
    "multiple_choice": {"logits": "classifier_logits"},
    "question_answering": {"start_logits": "start_logits", "end_logits": "end_logits"},
    "question_answering_v2": {
        "start_logits": "start_logits",
        "end_beam_logits": "end_logits",
        "start_top_log_probs": "start_top_log_probs",
        "start_top_index": "start_top_index",
        "end_top_log_probs": "end_top_log_probs",
        "end_top_index": "end_top_index",
        "unanswerable_logits": "cls_logits",
    },
    "pretraining": {
        "mlm_logits": "mlm_logits",
        "sentence_relation_logits": "seq_relationship_logits",
    },
}


def run(model, inputs):
    """The model's outputs; JAX compiles it, for operation by operation it takes minutes."""
    return call_compiled(model, inputs) if ON_JAX else model(inputs)


def numbers(value):
    return ops.convert_to_numpy(value)


@pytest.fixture(scope="module")
def models():
    """Models by (case, task), each loaded once."""
    loaded = {}

    def load(name, task, **options):
        if (name, task) not in loaded:
            loaded[name, task] = ka.load_model(REFERENCE / name, task, **options)
        return loaded[name, task]

    return load


@pytest.mark.parametrize("name", CASES)
def test_encoder_outputs_are_google_s(name, models):
    case = load_case(name)
    encoder = models(name, "encoder", outputs=OUTPUTS)
    for key in case.sets:
        inputs = case.inputs(key, "encoder")
        if case.task == "multiple_choice":
            inputs = {k: v.reshape(-1, v.shape[-1]) for k, v in inputs.items()}
        found = run(encoder, inputs)
        expected = case.part(f"{key}/out")
        layers = found["encoder_outputs"]
        assert f"encoder_layer_{len(layers)}" not in expected
        pairs = {f"encoder_layer_{step}": layer for step, layer in enumerate(layers)}
        pairs |= {k: found[k] for k in ("embedding_output", "sequence_output", "pooled_output")}
        for output, value in pairs.items():
            assert distance(numbers(value), expected[output]) <= FORWARD_BAR, (key, output)
        for scores in found["attention_scores"]:
            np.testing.assert_allclose(numbers(ops.sum(scores, axis=-1)), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_task_outputs_are_google_s(name, models):
    case = load_case(name)
    model = models(name, case.task, **case.options)
    for key in case.sets:
        found = run(model, case.inputs(key, case.task))
        expected = case.part(f"{key}/out")
        for ours, google in GOOGLE_OUTPUTS[case.task].items():
            value = numbers(found[ours]).reshape(expected[google].shape)
            assert distance(value, expected[google]) <= FORWARD_BAR, (key, ours)


@pytest.mark.skipif(not (REFERENCE / "albert_squad_v2").is_dir(), reason="needs that case")
def test_end_logits_stand_for_the_given_start_or_the_best_one(models):
    case = load_case("albert_squad_v2")
    model = models("albert_squad_v2", case.task, **case.options)
    for key in case.sets:
        inputs = case.inputs(key, case.task)
        starts = case.part(f"{key}/in")["start_positions"]
        given = run(model, inputs | {"start_positions": starts})
        expected = case.part(f"{key}/out")
        assert distance(numbers(given["end_logits"]), expected["train_end_logits"]) <= FORWARD_BAR
        free = run(model, inputs)
        assert distance(numbers(free["end_logits"]), expected["end_logits"][:, 0]) <= FORWARD_BAR


@pytest.mark.skipif(not (REFERENCE / HUB).is_dir(), reason="needs that case")
@pytest.mark.parametrize("source", ["module", "model.ckpt-best"])
def test_the_tf_hub_module_and_its_checkpoint_give_google_s_outputs(source):
    case = load_case(HUB)
    encoder = ka.load_encoder(REFERENCE / HUB / source)
    model = ka.load_model(REFERENCE / HUB / source, task="pretraining")
    for key in case.sets:
        expected = case.part(f"{key}/out")
        found = run(encoder, case.inputs(key, "encoder"))
        heads = run(model, case.inputs(key, "pretraining"))
        order = ops.log_softmax(heads["sentence_relation_logits"])
        for value, output in (
            (found["sequence_output"], "sequence_output"),
            (found["pooled_output"], "pooled_output"),
            (heads["mlm_logits"], "mlm_logits"),
            (order, "sop_log_probs"),
        ):
            value = numbers(value).reshape(expected[output].shape)
            assert distance(value, expected[output]) <= FORWARD_BAR, (key, output)


@pytest.mark.skipif(not (REFERENCE / HUB).is_dir(), reason="needs that case")
def test_a_classifier_fine_tuned_from_a_tf_hub_module_keeps_its_prefix_and_slots():
    case = load_case(HUB)
    model = ka.load_model(
        REFERENCE / HUB / "finetuned" / "model.ckpt",
        task="classification",
        config_path=REFERENCE / HUB / "albert_config.json",
    )
    for key in case.sets:
        found = numbers(run(model, case.inputs(key, "classification"))["logits"])
        expected = case.part(f"{key}/out")["finetuned_classifier_logits"]
        assert distance(found, expected) <= FORWARD_BAR


def nll(logits, labels):
    """-log softmax at the labels; logits [..., classes], labels [...]."""
    labels = ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1])
    return -ops.sum(ops.log_softmax(logits) * labels, axis=-1)


def pretraining_loss(outputs, fed):
    weights = ops.cast(fed["masked_lm_weights"], "float32")
    losses = nll(outputs["mlm_logits"], fed["masked_lm_ids"])
    masked = ops.sum(weights * losses) / (ops.sum(weights) + 1e-5)
    labels = fed["next_sentence_labels"][:, 0]
    return masked + ops.mean(nll(outputs["sentence_relation_logits"], labels))


def classification_loss(outputs, fed):
    return ops.mean(nll(outputs["logits"], fed["label_ids"]))


def span_loss(outputs, fed):
    starts = ops.mean(nll(outputs["start_logits"], fed["start_positions"]))
    ends = ops.mean(nll(outputs["end_logits"], fed["end_positions"]))
    return (starts + ends) / 2


def answerable_span_loss(outputs, fed):
    excluded = ops.cast(fed["p_mask"], "float32")
    masked = {
        name: outputs[name] * (1 - excluded) - 1e30 * excluded
        for name in ("start_logits", "end_logits")
    }
    signs = 1.0 - 2.0 * ops.cast(fed["is_impossible"], "float32")
    answerability = ops.mean(ops.softplus(signs * outputs["unanswerable_logits"]))
    return span_loss(masked, fed) + 0.5 * answerability


LOSSES = {
    "pretraining": pretraining_loss,
    "classification": classification_loss,
    "multiple_choice": classification_loss,
    "question_answering": span_loss,
    "question_answering_v2": answerable_span_loss,
}


def loss_and_gradients(model, inputs, loss):
    """The loss, and variable path -> dense gradient, on either backend."""
    if ON_JAX:
        value, gradients = loss_and_gradients_compiled(model, inputs, loss)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(model(inputs))
        gradients = tape.gradient(value, [v.value for v in model.trainable_variables])
        gradients = [
            None if gradient is None else tf.convert_to_tensor(gradient).numpy()
            for gradient in gradients
        ]
    paths = [variable.path for variable in model.trainable_variables]
    return float(value), dict(zip(paths, gradients, strict=True))


@pytest.mark.filterwarnings("ignore:Converting sparse IndexedSlices:UserWarning")
@pytest.mark.parametrize("name", GRADIENT_CASES)
def test_gradients_are_google_s(name, models):
    case = load_case(name)
    model = models(name, case.task, **case.options)
    fed = case.part("b/in")
    inputs = case.inputs("b", case.task)
    if case.task == "question_answering_v2":
        inputs["start_positions"] = fed["start_positions"]
    with np.load(case.folder / "gradients.npz") as arrays:
        expected = dict(arrays)
    loss, found = loss_and_gradients(model, inputs, lambda out: LOSSES[case.task](out, fed))
    assert abs(loss - expected["loss/total"]) <= 1e-5 * max(1.0, abs(expected["loss/total"]))
    with open_weights(REFERENCE / name) as (weights, _):
        claims = {claim.name: claim for claim in weights.plan.claims}
    floor = 1e-3 * expected["global_norm"]
    checked = set()
    for key, gradient in expected.items():
        if not key.startswith("grad/"):
            continue
        claim = claims[key.removeprefix("grad/")]
        ours = found[claim.path].T if claim.transposed else found[claim.path]
        allowed = 1e-4 * max(np.abs(gradient).max(), floor)
        assert np.abs(ours - gradient).max() <= allowed, key
        checked.add(claim.path)
    assert checked == set(found)
