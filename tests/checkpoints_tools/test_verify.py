"""The parity report: what it holds, that it passes for what is exact, and finds what is not."""

import json

import keras
import numpy as np
import pytest

import keras_albert as ka
from checkpoints_tools import verify as verify_module
from checkpoints_tools.convert import convert
from checkpoints_tools.verify import TOLERANCE, render, test_inputs, verify
from keras_albert import filling
from keras_albert.encoders import OUTPUTS
from keras_albert.errors import InputError
from tests.checkpoints_tools.cases import load_case
from tests.checkpoints_tools.folders import CASES, CHECKPOINTS, HUB, make_folder, read_variables
from tests.paths import REFERENCE

test_inputs.__test__ = False  # a function of the module, not a test

TASK_OUTPUTS = {
    "pretraining": {"mlm_logits", "sentence_relation_logits"},
    "masked_lm": {"mlm_logits"},
    "classification": {"logits"},
    "multiple_choice": {"logits"},
    "question_answering": {"start_logits", "end_logits"},
    "question_answering_v2": {
        "start_logits",
        "end_logits",
        "end_beam_logits",
        "start_top_log_probs",
        "start_top_index",
        "end_top_log_probs",
        "end_top_index",
        "unanswerable_logits",
    },
}


@pytest.fixture(scope="module")
def report():
    return verify(REFERENCE / "albert_squad_v2")


# A family or a head each; the others are slow.
QUICK = ("albert_race", "albert_zh_preln", "bert_squad", "bert_tiny")


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES],
)
def test_every_case_is_exact_in_every_output(name):
    found = verify(REFERENCE / name)
    assert found["passed"], render(found)
    assert set(found["outputs"]) == {*OUTPUTS, *TASK_OUTPUTS[found["task"]]}


def test_the_report_is_json_and_holds_what_it_says(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["source"] == str(REFERENCE / "albert_squad_v2")
    assert report["task"] == "question_answering_v2"
    assert report["tolerance"] == TOLERANCE == 1e-5
    assert report["passed"]
    assert set(report["outputs"]) == {*OUTPUTS, *TASK_OUTPUTS["question_answering_v2"]}
    assert report["seconds"] > 0
    assert report["peak_memory_mb"] > 50
    assert [one["shape"] for one in report["inputs"]] == [[2, 24], [3, 40], [2, 33], [1, 9]]
    assert [one["padding"] > 0 for one in report["inputs"]] == [False, True, True, False]


def test_each_output_has_its_largest_differences(report):
    for name, output in report["outputs"].items():
        assert output["passed"]
        assert 0 <= output["largest_absolute"] <= output["allowed"]
        assert output["allowed"] >= TOLERANCE * max(1.0, output["magnitude"])
        relative = output["largest_absolute"] / output["magnitude"]
        assert output["largest_relative"] == pytest.approx(relative), name
    assert report["outputs"]["start_top_index"]["largest_absolute"] == 0
    # What lies outside of an answer scores -1e30, and is no measure of the others.
    assert report["outputs"]["end_top_log_probs"]["magnitude"] < 1e4


def test_the_text_has_a_line_for_each_output_and_a_verdict(report):
    lines = render(report).splitlines()
    assert len(lines) == len(report["outputs"]) + 2
    assert lines[-1].startswith("exact: 13 outputs of question_answering_v2 on 4 inputs against")
    assert "EXCEEDED" not in render(report)


def test_a_tolerance_of_nothing_leaves_what_float32_itself_costs():
    found = verify(REFERENCE / "albert_race", tolerance=0.0)
    assert found["tolerance"] == 0.0
    for output in found["outputs"].values():
        assert 0 < output["allowed"] < 1e-4
        assert output["passed"] == (output["largest_absolute"] <= output["allowed"])


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_number(tolerance):
    with pytest.raises(InputError, match=f"Received: tolerance={tolerance}$"):
        verify(REFERENCE / "albert_race", tolerance=tolerance)


@pytest.mark.parametrize("name", ["module", "finetuned/model.ckpt"])
def test_hub_modules_and_what_was_fine_tuned_from_them_are_exact(name):
    found = verify(REFERENCE / HUB / name, config_path=REFERENCE / HUB / "albert_config.json")
    assert found["passed"], render(found)
    assert found["task"] == ("pretraining" if name == "module" else "classification")


def test_multiple_choice_is_verified_where_a_directory_says_so(tmp_path):
    convert(REFERENCE / "albert_race", tmp_path / "out", task="multiple_choice", verify=False)
    found = verify(tmp_path / "out")
    assert found["passed"], render(found)
    assert (found["task"], set(found["outputs"])) == ("multiple_choice", {"logits"})
    assert found["inputs"][0]["shape"] == [2, 3, 24]


@pytest.mark.parametrize(
    ("missing", "task"),
    [
        (("bert/pooler", "cls/seq_relationship"), "masked_lm"),
        (("cls/",), "encoder"),
        (("bert/pooler", "cls/"), "encoder"),
    ],
)
def test_what_a_checkpoint_lacks_is_left_out(tmp_path, missing, task):
    names = read_variables(CHECKPOINTS["albert_tiny"][0])
    gone = {name: None for name in names if name.startswith(missing)}
    found = verify(make_folder(tmp_path / "source", "albert_tiny", gone))
    assert found["passed"]
    assert found["task"] == task
    assert ("pooled_output" in found["outputs"]) == ("bert/pooler" not in missing)


def test_a_task_without_what_it_needs_is_refused_in_one_line(tmp_path):
    gone = dict.fromkeys(("bert/pooler/dense/kernel", "bert/pooler/dense/bias"))
    with pytest.raises(InputError, match="needs the pooler, which the checkpoint does not hold"):
        verify(make_folder(tmp_path / "source", "albert_race", gone))


# A wrong graph


BUILD, ASSIGN = filling.build_model, filling.assign


def other_activation(config, task, **options):
    fields = config.get_config() | {"activation": "gelu"}
    return BUILD(ka.EncoderConfig.from_config(fields), task, **options)


def other_weight(model, weights, **arguments):
    ASSIGN(model, weights, **arguments)
    bias = next(v for v in model.weights if v.path.endswith("output/bias"))
    bias.assign(1.01 * bias)  # not plus a constant, which the LayerNorm after it takes away


def one_nan(model, weights, **arguments):
    ASSIGN(model, weights, **arguments)
    model.weights[0].assign(keras.ops.full(model.weights[0].shape, np.nan))


@pytest.mark.parametrize(
    ("name", "stand_in"),
    [("build_model", other_activation), ("assign", other_weight), ("assign", one_nan)],
)
def test_a_wrong_graph_is_found_and_named(monkeypatch, name, stand_in):
    monkeypatch.setattr(filling, name, stand_in)
    found = verify(REFERENCE / "bert_classifier")
    assert not found["passed"]
    assert not found["outputs"]["sequence_output"]["passed"]
    if name == "build_model":  # nothing before the first feed-forward part is wrong
        assert found["outputs"]["embedding_output"]["passed"]
    lines = {line.split()[0]: line for line in render(found).splitlines()}
    assert lines["sequence_output"].endswith("EXCEEDED")
    assert lines["NOT"].startswith("NOT EXACT: 6 outputs of classification")


def test_an_activation_that_the_checkpoint_was_trained_with_is_verified_too():
    assert verify(REFERENCE / "albert_race", overrides={"activation": "gelu"})["passed"]


def test_not_a_number_is_equal_to_itself_alone():
    nan, inf = np.array([np.nan, 1.0, np.inf]), np.array([np.inf, 1.0, np.nan])
    assert verify_module._largest_difference([nan, inf], [nan, inf]) == 0
    for found, exact in ((nan, inf), (nan, np.ones(3)), (np.ones(3), nan)):
        worst = verify_module._largest_difference([np.ones(3), found], [np.ones(3), exact])
        assert not worst <= 1e9


# Inputs


@pytest.mark.parametrize("task", ["encoder", "pretraining", "question_answering_v2"])
def test_inputs_are_of_several_lengths_and_masks_within_the_limits(task):
    config = load_case("bert_classifier").config
    batches = test_inputs(config, task)
    masks = [batch["padding_mask"] for batch in batches]
    assert [bool(mask.all()) for mask in masks] == [True, False, False, True]
    assert (masks[1][:, :-1] >= masks[1][:, 1:]).all()  # ragged: padding at the end alone
    assert not (masks[2][:, :-1] >= masks[2][:, 1:]).all()  # holes
    assert all(mask[:, 0].all() for mask in masks)
    for batch in batches:
        assert batch["token_ids"].max() < config.vocab_size
        assert set(np.unique(batch["segment_ids"])) <= set(range(config.num_segments))
        assert ("masked_positions" in batch) == (task == "pretraining")
        assert ("answer_mask" in batch) == (task == "question_answering_v2")


def test_inputs_are_no_longer_than_the_positions():
    config = ka.EncoderConfig(
        vocab_size=9, hidden_dim=4, num_heads=1, num_layers=1, intermediate_dim=4,
        max_sequence_length=2,
    )  # fmt: skip
    for batch in test_inputs(config, "multiple_choice"):
        assert batch["token_ids"].shape[1:] == (3, 2)
