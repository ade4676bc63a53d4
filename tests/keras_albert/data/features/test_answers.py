import numpy as np
import pytest

from keras_albert.data.features import (
    best_threshold,
    decode_answers,
    evaluate_v2,
    question_features,
    score_answers,
    with_null_threshold,
)
from keras_albert.data.features.answer_rules import best_indices
from keras_albert.data.features.answers import softmax
from keras_albert.data.features.word_context import NormalizedWords, final_text
from keras_albert.data.records import Place, QuestionRecord
from keras_albert.errors import InputError
from keras_albert.tokenization import WordPieceTokenizer
from tests.keras_albert.data.features.reference import load, manifest, run_of, tokenizer_of
from tests.paths import REFERENCE, needs_shared

POSTPROCESS = REFERENCE / "squad_postprocess"
MANIFESTS = (
    ("bert", "manifest_bert.json"),
    ("albert", "manifest_albert_lower_len384.json"),
    ("albert", "manifest_albert_lower_len64.json"),
)
RUNS = [(family, run) for family, name in MANIFESTS for run in manifest(POSTPROCESS / name)]
BEAMS = ("start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index")


def model_outputs(family, run):
    """The logits of a run under our names, one dict for each model, and the rules for them."""
    if "beams" in run:
        arrays = np.load(POSTPROCESS / run["beams"])
        return "beams", [
            {name: arrays[name][model] for name in BEAMS}
            | {"unanswerable_logits": arrays["cls_logits"][model]}
            for model in run["accumulated_models"]
        ]
    arrays = np.load(POSTPROCESS / run["logits"])
    if family == "bert":
        rules = "spans_or_null" if run["version_2_with_negative"] else "spans"
        return rules, {name: arrays[name] for name in ("start_logits", "end_logits")}
    return "spans", [
        {"start_logits": arrays[f"start{model}"], "end_logits": arrays[f"end{model}"]}
        for model in run["accumulated_models"]
    ]


def decoded(family, run):
    records, _, features = run_of(run["features"])
    rules, results = model_outputs(family, run)
    predictions = decode_answers(
        records,
        features,
        results,
        rules=rules,
        n_best=run["n_best_size"],
        max_answer_length=run["max_answer_length"],
        null_threshold=run.get("null_score_diff_threshold"),
    )
    return records, rules, predictions


def texts_of(predictions):
    return {prediction.id: prediction.text for prediction in predictions}


def name_of(value):
    return value.get("file", value.get("logits")) if isinstance(value, dict) else value


@needs_shared
@pytest.mark.parametrize(("family", "run"), [r for r in RUNS if "file" in r[1]], ids=name_of)
def test_answers_candidates_and_scores_are_googles_to_the_last_digit(family, run):
    expected = load(POSTPROCESS / run["file"])
    _, rules, predictions = decoded(family, run)
    score = "logit" if family == "bert" else "log_prob"
    fields = ("text", "probability", f"start_{score}", f"end_{score}")
    assert {
        prediction.id: [dict(zip(fields, c, strict=True)) for c in prediction.candidates]
        for prediction in predictions
    } == expected["nbest"]
    if "null_odds" in expected:
        odds = {prediction.id: prediction.null_odds for prediction in predictions}
        assert odds == (expected["null_odds"] or dict.fromkeys(odds))
    if "predictions" in expected:
        assert texts_of(predictions) == expected["predictions"]
    for threshold, texts in expected.get("by_threshold", {}).items():
        value = None if threshold == "None" else float(threshold)
        assert texts_of(with_null_threshold(predictions, value, rules=rules)) == texts


@needs_shared
@pytest.mark.parametrize(("family", "run"), [r for r in RUNS if "raises" in r[1]], ids=name_of)
def test_where_google_dies_one_line_says_why(family, run):
    with pytest.raises(InputError) as error:
        decoded(family, run)
    message = str(error.value)
    assert message.startswith("A question needs a span that may be its answer, to weigh no answer ")
    assert f"input_eval.json:{message.split('.json:')[1].split('.')[0]}. Received: id=" in message


@needs_shared
@pytest.mark.parametrize(("family", "run"), [r for r in RUNS if "beams" in r[1]], ids=name_of)
def test_the_threshold_that_albert_picks_is_googles(family, run):
    expected = load(POSTPROCESS / run["file"])
    records, rules, predictions = decoded(family, run)
    odds = {prediction.id: prediction.null_odds for prediction in predictions}
    scores = score_answers(records, texts_of(predictions))
    _, threshold = best_threshold(records, texts_of(predictions), scores.f1, odds)
    texts = texts_of(with_null_threshold(predictions, threshold, rules=rules))
    assert texts == expected["evaluate_v2_predictions"]
    # The original also holds the odds against its default, 1, which overrules some answers.
    found = evaluate_v2(records, texts, odds) | {"null_score_diff_threshold": threshold}
    assert {name: found[name] for name in expected["evaluate_v2"]} == expected["evaluate_v2"]


@needs_shared
def test_the_final_text_is_googles():
    for case in load(POSTPROCESS / "get_final_text.jsonl"):
        vocab = "uncased_30522.txt" if case["do_lower_case"] else "cased_28996.txt"
        original = case["orig_text"]
        words = NormalizedWords([original], tokenizer_of("bert", vocab, case["do_lower_case"]))
        found = final_text(case["pred_text"], original, words.text([original]))
        assert found == case["expected"], case


@needs_shared
def test_small_helpers_are_googles():
    cases = load(POSTPROCESS / "helpers_bert.json")
    for case in cases["get_best_indexes"]:
        assert best_indices(case["logits"], case["n"]).tolist() == case["out"]
    for case in cases["compute_softmax"]:
        assert softmax(case["in"]) == case["out"]


@needs_shared
def test_a_context_without_tokens_is_answered_as_google_does():
    case = load(POSTPROCESS / "bert_no_features.json")
    [(key, expected)] = case["v1"]["nbest"].items()
    record = QuestionRecord(key, "who?", case["context"], (), False, Place("a.json", 1))
    results = {"start_logits": [], "end_logits": []}
    [prediction] = decode_answers([record], [], results, rules="spans")
    assert [list(candidate) for candidate in prediction.candidates] == [
        list(candidate.values()) for candidate in expected
    ]
    assert prediction.text == case["v1"]["predictions"][key]
    with pytest.raises(InputError, match=r"at a\.json:1"):
        decode_answers([record], [], results, rules="spans_or_null")


# By hand: two windows of "A b's C d", of four and of three tokens, behind [CLS] who [SEP].

TOKENIZER_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "who", "a", "b", "'", "s", "c", "d"]
LENGTH = 9


@pytest.fixture(scope="module")
def records():
    return [QuestionRecord("q", "who", "A b's C d", (), False, Place("dev.json", 5))]


@pytest.fixture(scope="module")
def features(records):
    tokenizer = WordPieceTokenizer(TOKENIZER_TOKENS, lower_case=True)
    features = question_features(records, tokenizer, max_length=8, max_question_length=1, stride=3)
    assert [window.token_ids.tolist() for window in features] == [
        [2, 4, 3, 5, 6, 7, 8, 3],
        [2, 4, 3, 8, 9, 10, 3],
    ]
    assert [window.max_context.tolist() for window in features] == [[True] * 4, [False, True, True]]
    return features


def logits(first, second):
    """Two windows' scores, by position; all others are -9."""
    rows = np.full((2, LENGTH), -9.0, np.float32)
    for row, scores in zip(rows, (first, second), strict=True):
        for position, score in scores.items():
            row[position] = score
    return rows


def outputs(starts, ends):
    return {"start_logits": logits(*starts), "end_logits": logits(*ends)}


def test_the_best_span_of_all_windows_wins_and_equal_ones_keep_their_order(records, features):
    results = outputs(starts=({3: 1, 4: 1}, {4: 2}), ends=({5: 1}, {5: 0}))
    [prediction] = decode_answers(records, features, results, rules="spans", n_best=2)
    best = [(c.text, c.start_score, c.end_score) for c in prediction.candidates]
    # "a b '" 2, "b '" 2, "c d" 2; and the words of the first two are the context's.
    assert best == [("A b'", 1, 1), ("b'", 1, 1)]
    assert prediction.text == "A b'"
    assert [c.probability for c in prediction.candidates] == [0.5, 0.5]
    assert prediction.null_odds is None


def test_what_cannot_be_an_answer_is_none(records, features):
    starts = ({1: 9, 5: 3, 8: 8}, {3: 5, 4: 1})  # the question, padding, less context than before
    ends = ({4: 9, 5: 2, 6: 1}, {5: 1, 8: 9})  # before the start, behind the window
    results = outputs(starts, ends)
    [prediction] = decode_answers(
        records, features, results, rules="spans", n_best=4, max_answer_length=1
    )
    assert prediction.text == "'"  # alone: with the next token it is too long
    assert ("C", "d") not in [c.text for c in prediction.candidates]


def test_a_text_counts_once_with_its_best_scores(records, features):
    results = outputs(starts=({4: 3, 5: 1}, {}), ends=({6: 2}, {}))
    record = records[0]._replace(context="a a a")
    tokenizer = WordPieceTokenizer(TOKENIZER_TOKENS, lower_case=True)
    again = question_features([record], tokenizer, max_length=8, max_question_length=1, stride=3)
    results = {name: rows[:1] for name, rows in results.items()}
    results["end_logits"][0, 3:6] = [1, 2, 3]
    results["start_logits"][0, 3:6] = [0, 0, 3]
    [prediction] = decode_answers(
        [record], again, results, rules="spans", n_best=3, max_answer_length=1
    )
    assert [(c.text, c.start_score) for c in prediction.candidates] == [("a", 3.0)]


def test_no_answer_is_a_candidate_and_is_weighed_against_the_best(records, features):
    results = outputs(starts=({0: 5, 3: 2}, {0: 1, 4: 1}), ends=({0: 0, 3: 1}, {0: 1, 5: 2}))
    settings = {"rules": "spans_or_null", "n_best": 3}
    [prediction] = decode_answers(records, features, results, **settings)
    # [CLS] has 5 in the first window and 2 in the second; the best span has 3.
    assert prediction.null_odds == 2 - 3
    assert [c.text for c in prediction.candidates] == ["A", "C d", ""]
    assert prediction.text == "A"
    for threshold, text in ((-1.5, ""), (-1.0, "A"), (0.0, "A"), (None, "A")):
        [chosen] = decode_answers(records, features, results, null_threshold=threshold, **settings)
        assert chosen.text == text


def test_no_answer_is_added_where_it_is_not_among_the_best(records, features):
    results = outputs(starts=({3: 2}, {}), ends=({3: 1, 4: 1}, {}))
    [prediction] = decode_answers(records, features, results, rules="spans_or_null", n_best=1)
    assert [c.text for c in prediction.candidates] == ["A", ""]
    assert prediction.candidates[1].start_score == -9


def test_a_question_without_any_span_cannot_be_weighed(records, features):
    results = outputs(starts=({0: 1}, {0: 1}), ends=({0: 1}, {0: 1}))
    with pytest.raises(InputError) as error:
        decode_answers(records, features, results, rules="spans_or_null", n_best=1)
    assert str(error.value) == (
        "A question needs a span that may be its answer, to weigh no answer against, "
        "at dev.json:5. Received: id='q', n_best=1, max_answer_length=30"
    )
    [prediction] = decode_answers(records, features, results, rules="spans", n_best=1)
    assert prediction == ("q", "empty", (("empty", 1.0, 0.0, 0.0),), None)


def test_of_several_models_those_that_propose_a_span_are_averaged(records, features):
    first = outputs(starts=({3: 4}, {}), ends=({3: 2}, {}))
    second = outputs(starts=({3: 2, 4: 3}, {}), ends=({3: 0, 4: 1}, {}))
    [prediction] = decode_answers(
        records, features, [first, second], rules="spans", n_best=2, max_answer_length=2
    )
    found = {c.text: (c.start_score, c.end_score) for c in prediction.candidates}
    assert found == {"A": (3.0, 1.0), "b": (3.0, 1.0)}


def beams(starts, ends, unanswerable):
    """Two windows with K starts and M ends each: lists of (position, log probability)."""
    pair = {"start_top": np.array(starts, float), "end_top": np.array(ends, float)}
    results = {}
    for name, values in pair.items():
        results[f"{name}_index"] = values[..., 0].astype(int)
        results[f"{name}_log_probs"] = values[..., 1]
    return results | {"unanswerable_logits": np.array(unanswerable)}


def test_beams_combine_a_start_with_its_own_ends_only(records, features):
    results = beams(
        starts=[[(3, -1.0), (4, -2.0)], [(0, -0.5), (4, -3.0)]],
        ends=[[(4, -1.0), (2, 0.0), (4, -0.5), (6, -4.0)], [(5, 0.0)] * 2 + [(5, -1.0), (9, 0.0)]],
        unanswerable=[1.5, 0.5],
    )
    [prediction] = decode_answers(records, features, results, rules="beams")
    assert [(c.text, c.start_score + c.end_score) for c in prediction.candidates] == [
        ("A b", -2.0),
        ("b", -2.5),
        ("C d", -4.0),
        ("b's", -6.0),
    ]
    assert (prediction.text, prediction.null_odds) == ("A b", 0.5)
    for threshold, text in ((0.4, ""), (0.5, ""), (0.6, "A b"), (None, "A b")):
        [chosen] = with_null_threshold([prediction], threshold, rules="beams")
        assert chosen.text == text
    again = results | {"unanswerable_logits": np.array([2.5, 3.5])}
    [prediction] = decode_answers(records, features, [results, again], rules="beams")
    assert prediction.null_odds == (0.5 + 2.5) / 2


def test_without_a_window_beams_are_certain_that_there_is_no_answer(records):
    results = {name: [] for name in (*BEAMS, "unanswerable_logits")}
    [prediction] = decode_answers(records, [], results, rules="beams", null_threshold=0.0)
    assert prediction == ("q", "", (("", 1.0, -1e6, -1e6),), 1000000)


def test_words_are_parted_as_the_tokenizer_parts_them():
    tokenizer = WordPieceTokenizer(TOKENIZER_TOKENS, lower_case=True)
    words = NormalizedWords(["U.S.'s", "\u200b", "在Caf\u00c9", "カ\u2014$"], tokenizer)
    assert words.text(["U.S.'s", "\u200b", "在Caf\u00c9"]) == "u . s . ' s 在 cafe"
    assert words.text(["カ\u2014$"]) == "カ \u2014 $"


@pytest.mark.parametrize(
    ("predicted", "original", "normalized", "expected"),
    [
        ("steve smith", "Steve Smith's", "steve smith ' s", "Steve Smith"),
        ("1895", "(1895-1943).", "( 1895 - 1943 ) .", "1895"),
        ("smith steve", "Steve Smith's", "steve smith ' s", "Steve Smith's"),  # not in there
        ("", "Steve", "steve", "Steve"),
        (" smith", "Steve Smith", "steve smith", "Steve Smith"),
        ("x", "X\u200b", "x", "X\u200b"),  # they differ in more than spaces
    ],
)
def test_a_prediction_is_cut_out_of_the_original(predicted, original, normalized, expected):
    assert final_text(predicted, original, normalized) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rules": "v1"}, "rules must be one of ('spans', 'spans_or_null', 'beams'). "
                          "Received: rules='v1'"),
        ({"n_best": 0}, "n_best must be at least 1. Received: n_best=0"),
        ({"max_answer_length": 0}, "max_answer_length must be at least 1. "
                                   "Received: max_answer_length=0"),
        ({"rules": "beams"}, "results must have ['start_top_log_probs', 'start_top_index', "
                             "'end_top_log_probs', 'end_top_index', 'unanswerable_logits']. "
                             "Received: no start_top_log_probs"),
        ({"results": {"start_logits": np.zeros((3, 9)), "end_logits": np.zeros((2, 9))}},
         "results must have one row for each window. Received: 3 rows of start_logits, 2 windows"),
        ({"records": []}, "features must come from these records. "
                          "Received: a window of record 0, 0 records"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(records, features, changes, message):
    given = {"records": records, "results": outputs(({}, {}), ({}, {})), "rules": "spans"} | changes
    with pytest.raises(InputError) as error:
        decode_answers(features=features, **given)
    assert str(error.value) == message


def test_rows_that_are_shorter_than_their_windows_are_refused(records, features):
    results = {name: np.zeros((2, 7)) for name in ("start_logits", "end_logits")}
    with pytest.raises(InputError, match="Received: 7 positions of start_logits, 8 tokens"):
        decode_answers(records, features, results, rules="spans")
