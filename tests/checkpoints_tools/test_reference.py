"""The NumPy reference against every number that Google's own graphs left behind."""

import dataclasses

import numpy as np
import pytest

from checkpoints_tools.reference import forward
from checkpoints_tools.reference.formulas import log_softmax, softmax
from tests.checkpoints_tools.cases import BAR, Checkpoint, case_names, distance, load_case

HUB = "albert_hub"
CASES = case_names()
PLAIN = [name for name in CASES if name != HUB]

pytestmark = pytest.mark.skipif(not CASES, reason="needs the golden model cases")
needs_hub = pytest.mark.skipif(HUB not in CASES, reason=f"needs the golden case {HUB}")


def run(case, key, dtype=np.float64, checkpoint=None, **changed):
    """Our outputs for input case `key`; `changed` replaces arguments of `forward`."""
    checkpoint = checkpoint or case.checkpoint
    task = changed.get("task", case.task)
    arguments = {
        "config": case.config,
        "read": checkpoint.read,
        "names": checkpoint.names,
        "inputs": case.inputs(key, task),
        "task": task,
    }
    return forward(**(arguments | changed), dtype=dtype, **case.options)


def as_google(case, key, ours):
    """Everything expected.npz holds for `key`, from our outputs, under its names there."""
    fed = case.part(f"{key}/in")
    read, names = case.checkpoint.read, case.checkpoint.names
    ids = fed["input_ids"].reshape(-1, fed["input_ids"].shape[-1])
    words = read("bert/embeddings/word_embeddings")[ids]
    google = {k: ours[k] for k in ("embedding_output", "sequence_output", "pooled_output")}
    google |= {f"encoder_layer_{i}": x for i, x in enumerate(ours["encoder_outputs"])}
    google["word_embedding_output"] = words
    if "bert/embeddings/word_embeddings_2" in names:
        google["word_embedding_projected"] = words @ read("bert/embeddings/word_embeddings_2")
    mapping = "bert/encoder/embedding_hidden_mapping_in"
    if f"{mapping}/kernel" in names:
        projected = ours["embedding_output"] @ read(f"{mapping}/kernel") + read(f"{mapping}/bias")
        google["embedding_projection"] = projected
    return google | HEADS_AS_GOOGLE[case.task](case, key, ours, fed)


def pretraining_as_google(case, key, ours, fed):
    logits = ours["mlm_logits"].reshape(-1, case.config.vocab_size)
    log_probs, order_log_probs = log_softmax(logits), log_softmax(ours["sentence_relation_logits"])
    losses = -pick(log_probs, fed["masked_lm_ids"].ravel())
    order_losses = -pick(order_log_probs, fed["next_sentence_labels"].ravel())
    weights = fed["masked_lm_weights"].ravel()
    mlm = (weights * losses).sum() / (weights.sum() + 1e-5)
    return {
        "mlm_logits": logits,
        "mlm_log_probs": log_probs,
        "mlm_per_example_loss": losses,
        "seq_relationship_logits": ours["sentence_relation_logits"],
        "seq_relationship_log_probs": order_log_probs,
        "seq_relationship_per_example_loss": order_losses,
        "loss/mlm": mlm,
        "loss/nsp": order_losses.mean(),
        "loss/sop": order_losses.mean(),
        "loss/total": mlm + order_losses.mean(),
    }


def classification_as_google(case, key, ours, fed):
    losses = -pick(log_softmax(ours["logits"]), fed["label_ids"])
    return {
        "classifier_logits": ours["logits"],
        "classifier_probabilities": softmax(ours["logits"]),
        "classifier_predictions": ours["logits"].argmax(axis=-1),
        "classifier_per_example_loss": losses,
        "loss/total": losses.mean(),
    }


def question_answering_as_google(case, key, ours, fed):
    logits = {k: ours[k] for k in ("start_logits", "end_logits")}
    start = -pick(log_softmax(logits["start_logits"]), fed["start_positions"]).mean()
    end = -pick(log_softmax(logits["end_logits"]), fed["end_positions"]).mean()
    return logits | {"loss/start": start, "loss/end": end, "loss/total": (start + end) / 2}


def question_answering_v2_as_google(case, key, ours, fed):
    """Google's inference graph takes the beams, its training graph the true start."""
    inputs = case.inputs(key, case.task) | {"start_positions": fed["start_positions"]}
    trained = run(case, key, inputs=inputs)
    allowed = fed["p_mask"] == 0
    start_log_probs = log_softmax(np.where(allowed, ours["start_logits"], -1e30))
    end_log_probs = log_softmax(np.where(allowed, trained["end_logits"], -1e30))
    start = -pick(start_log_probs, fed["start_positions"]).mean()
    end = -pick(end_log_probs, fed["end_positions"]).mean()
    sign = 1 - 2 * fed["is_impossible"]
    answerability = np.log1p(np.exp(sign * ours["unanswerable_logits"])).mean()
    beams = np.where(allowed[:, None], ours["end_beam_logits"], -1e30)
    tops = {k: ours[k] for k in ours if k.startswith(("start_top", "end_top"))}
    return tops | {
        "start_logits": ours["start_logits"],
        "start_log_probs": start_log_probs,
        "end_logits": ours["end_beam_logits"],
        "end_log_probs": log_softmax(beams),
        "cls_logits": ours["unanswerable_logits"],
        "train_cls_logits": trained["unanswerable_logits"],
        "train_start_log_probs": start_log_probs,
        "train_end_logits": trained["end_logits"],
        "train_end_log_probs": end_log_probs,
        "loss/start": start,
        "loss/end": end,
        "loss/answerability": answerability,
        "loss/total": 0.5 * (start + end) + 0.5 * answerability,
    }


HEADS_AS_GOOGLE = {
    "pretraining": pretraining_as_google,
    "classification": classification_as_google,
    "multiple_choice": classification_as_google,
    "question_answering": question_answering_as_google,
    "question_answering_v2": question_answering_v2_as_google,
}


def pick(x, index):
    return np.take_along_axis(x, index[:, None], axis=-1)[:, 0]


@pytest.mark.parametrize("name", PLAIN)
def test_every_output_and_loss_is_google_s(name):
    case = load_case(name)
    for key in case.sets:
        google = as_google(case, key, run(case, key))
        losses = {f"loss/{k}": v for k, v in case.part(f"{key}/loss").items()}
        expected = case.part(f"{key}/out") | losses
        assert "sequence_output" in expected
        for output, array in expected.items():
            assert distance(np.asarray(google[output]), array) <= BAR, (key, output)


@pytest.mark.parametrize("name", PLAIN)
def test_float32_computes_in_float32_and_stays_within_the_bar(name):
    case = load_case(name)
    ours = run(case, case.ragged, np.float32)
    flat = [x for value in ours.values() for x in (value if isinstance(value, list) else [value])]
    assert {x.dtype for x in flat if x.dtype.kind == "f"} == {np.dtype(np.float32)}
    expected = case.part(f"{case.ragged}/out")
    layers = len(ours["encoder_outputs"])
    assert distance(ours["encoder_outputs"][-1], expected[f"encoder_layer_{layers - 1}"]) <= BAR
    assert distance(ours["pooled_output"], expected["pooled_output"]) <= BAR


@needs_hub
@pytest.mark.parametrize("source", ["module/variables/variables", "model.ckpt-best"])
def test_tf_hub_module_and_its_checkpoint_yield_the_module_s_outputs(source):
    case = load_case(HUB)
    checkpoint = Checkpoint(case.folder / source)
    for key in case.sets:
        ours = run(case, key, checkpoint=checkpoint, task="pretraining")
        google = {
            "sequence_output": ours["sequence_output"],
            "pooled_output": ours["pooled_output"],
            "sop_log_probs": log_softmax(ours["sentence_relation_logits"]),
            "mlm_logits": ours["mlm_logits"].reshape(-1, case.config.vocab_size),
        }
        expected = case.part(f"{key}/out")
        for output, array in google.items():
            assert distance(array, expected[output]) <= BAR, (key, output)


@needs_hub
def test_classifier_tuned_from_the_hub_module_yields_google_s_outputs():
    case = load_case(HUB)
    checkpoint = Checkpoint(case.folder / "finetuned/model.ckpt")
    for key in case.sets:
        ours = run(case, key, checkpoint=checkpoint, task="classification")
        google = classification_as_google(case, key, ours, case.part(f"{key}/in"))
        expected = case.part(f"{key}/out/finetuned_classifier", "_")
        assert set(expected) == {"logits", "probabilities", "per_example_loss"}
        for output, array in expected.items():
            assert distance(google[f"classifier_{output}"], array) <= BAR, (key, output)
        total = case.part(f"{key}/loss")["finetuned_total"]
        assert distance(google["loss/total"], total) <= BAR


def swap(first, second):
    """A mistake: reads `first` where `second` is asked for, and the other way round."""

    def mistake(case):
        def read(name):
            there, back = (first, second) if first in name else (second, first)
            return case.checkpoint.read(name.replace(there, back))

        return {"read": read}

    return mistake


def config(**fields):
    """A mistake in the configuration."""
    return lambda case: {"config": dataclasses.replace(case.config, **fields)}


def segments_forgotten(case):
    inputs = case.inputs(case.ragged, case.task)
    return {"inputs": {k: v for k, v in inputs.items() if k != "segment_ids"}}


def padding_attended(case):
    inputs = case.inputs(case.ragged, case.task)
    return {"inputs": inputs | {"padding_mask": np.ones_like(inputs["padding_mask"])}}


MISTAKES = [
    ("bert_tiny", swap("/query/", "/key/")),
    ("bert_tiny", swap("/key/", "/value/")),
    ("bert_tiny", swap("/attention/output/LayerNorm", "/output/LayerNorm")),
    ("bert_tiny", swap("/gamma", "/beta")),
    ("bert_tiny", config(activation="gelu")),
    ("bert_tiny", config(layer_norm_epsilon=1e-3)),
    ("bert_tiny", config(num_heads=3)),
    ("bert_tiny", segments_forgotten),
    ("bert_tiny", padding_attended),
    ("albert_tiny", swap("group_0/LayerNorm/", "group_0/LayerNorm_1/")),
    ("albert_tiny", config(activation="gelu")),
    ("albert_groups", config(num_groups=1)),
    ("albert_groups", swap("inner_group_0", "inner_group_1")),
    ("albert_zh_preln", config(norm_position="post")),
    ("albert_zh_postln", config(norm_position="pre")),
]


@pytest.mark.parametrize("name,mistake", MISTAKES)
def test_a_wrong_graph_leaves_the_bar_tenfold(name, mistake):
    if name not in CASES:
        pytest.skip(f"needs the golden case {name}")
    case = load_case(name)
    ours = run(case, case.ragged, **mistake(case))
    expected = case.part(f"{case.ragged}/out")
    assert distance(ours["sequence_output"], expected["sequence_output"]) > 10 * BAR


@pytest.mark.skipif("albert_squad_v2" not in CASES, reason="needs the golden case albert_squad_v2")
@pytest.mark.parametrize(
    "variable,output,google",
    [
        ("end_logits/dense_0/kernel", "end_beam_logits", "end_logits"),
        ("answer_class/dense_0/kernel", "unanswerable_logits", "cls_logits"),
    ],
)
def test_features_joined_in_the_other_order_leave_the_bar(variable, output, google):
    case = load_case("albert_squad_v2")

    def read(name):
        array = case.checkpoint.read(name)
        return np.roll(array, len(array) // 2, axis=0) if name == variable else array

    expected = case.part(f"{case.ragged}/out")[google]
    assert distance(run(case, case.ragged, read=read)[output], expected) > 10 * BAR
    assert distance(run(case, case.ragged)[output], expected) <= BAR


@pytest.mark.parametrize("name", PLAIN)
def test_every_variable_but_the_key_biases_shows_in_an_output(name):
    """Softmax takes no notice of a key bias: it shifts all scores of a query alike.

    Unit noise, because albert_groups' tokens are nearly equal after a few blocks: 0.01 on the
    last query and key kernels moves its outputs by 2e-6 only.
    """
    case = load_case(name)
    checkpoint = case.checkpoint
    key = case.ragged
    expected = run(case, key)

    def largest_change(variable):
        def read(name):
            array = checkpoint.read(name)
            noise = np.random.default_rng(0).standard_normal(array.shape)
            return array + noise if name == variable else array

        ours = run(case, key, read=read)
        return max(distance(ours[k], expected[k]) for k in ours if isinstance(ours[k], np.ndarray))

    slots = ("/adam_m", "/adam_v", "/lamb_m", "/lamb_v", "global_step")
    for variable in (name for name in checkpoint.names if not name.endswith(slots)):
        if variable.endswith("key/bias"):
            assert largest_change(variable) < 1e-12, variable
        else:
            assert largest_change(variable) > BAR, variable


def test_golden_cases_cover_all_three_families():
    assert {load_case(name).config.family for name in CASES} == {"bert", "albert", "albert_zh"}
