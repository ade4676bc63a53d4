"""SQuAD, CMRC and JSON Lines of questions."""

import json

import pytest

from keras_albert.data.readers import read_records
from keras_albert.data.records import Answer
from tests.keras_albert.data.readers.files import refusal, tolerant, write

CONTEXT = "Rome is in Italy. Italy is in Europe."


def squad(*questions, context=CONTEXT):
    return {"version": "x", "data": [{"paragraphs": [{"qas": questions, "context": context}]}]}


def cmrc(*questions):
    return [{"context_id": "C", "context_text": CONTEXT, "title": "", "qas": questions}]


def asked(id="1", **parts):
    return {"question": "Where is Rome?", "id": id} | parts


def answer(text, start):
    return {"text": text, "answer_start": start}


def save(tmp_path, document, indent=None):
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    return write(tmp_path, "a.json", text)


def read(path, **options):
    return list(read_records(path, "question", **options))


def test_squad_1_has_answers_and_squad_2_questions_without(tmp_path):
    path = save(
        tmp_path,
        squad(
            asked("1", answers=[answer("Italy", 18), answer("in Italy", 8)]),
            asked("2", answers=[], is_impossible=True, plausible_answers=[answer("Italy", 0)]),
            asked("3", answers=[]),
            asked("4"),
        ),
    )
    records = read(path)
    assert records[0][:5] == (
        "1",
        "Where is Rome?",
        CONTEXT,
        (Answer("Italy", 18), Answer("in Italy", 8)),
        False,
    )
    assert [record.answers for record in records[1:]] == [(), (), ()]
    assert [record.is_impossible for record in records] == [False, True, True, False]


def test_cmrc_names_no_starts(tmp_path):
    question = {"query_id": 7, "query_text": "?", "answers": ["Italy", "in italy", 4.5]}
    record = read(save(tmp_path, cmrc(question)))[0]
    assert record.id == "7"
    assert record.answers == (Answer("Italy", 11), Answer("in italy", -1), Answer("4.5", -1))


def test_an_answer_start_of_minus_one_is_unknown(tmp_path):
    record = read(save(tmp_path, squad(asked(answers=[answer("Italy", -1)]))))[0]
    assert record.answers == (Answer("Italy", 11),)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_record_has_the_line_of_its_question(tmp_path, indent):
    tricky = 'a "question": "Where is Rome?", \\'
    document = squad(
        asked("1", answers=[], note=tricky, more={"question": "another"}),
        asked("2", question=tricky),
        asked("3"),
        context=f'"question" : "Where is Rome?" {CONTEXT}',
    )
    path = save(tmp_path, document, indent)
    text = path.read_text()
    ends = [text.index(f'"id": "{number}"') for number in (1, 2, 3)]
    expected = [text.count("\n", 0, text.rindex('"question": ', 0, end)) + 1 for end in ends]
    assert [record.place.line for record in read(path)] == expected
    assert len(set(expected)) == (3 if indent else 1)


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        (
            asked(answers=[answer("Italy", 0)]),
            "An answer must stand in its context at answer_start, 0",
        ),
        (asked(answers=[answer("Italy", 99)]), "at answer_start, 99"),
        (asked(answers=[answer("Italy", -5)]), "at answer_start, -5"),
        (asked(answers=[answer("Spain", -1)]), "An answer must be in its question's context"),
        (asked(answers=["Spain", "France"]), "An answer must be in its question's context"),
    ],
)
def test_an_answer_must_be_in_its_place(tmp_path, question, rule):
    path = save(tmp_path, squad(question), indent=1)
    message = refusal(path, "question")
    assert rule in message
    assert f"at {path}:9. Received: id='1', answer" in message
    record = read(path, check_answers=False)[0]
    assert {item.start for item in record.answers} == {-1}


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ({"question": "?"}, "must have 'id' or 'query_id'"),
        ({"id": "1"}, "must have 'question' or 'query_text', a text"),
        (asked(id=True), "must have 'id' or 'query_id'"),
        (asked(answers="Italy"), "must have 'answers', a list"),
        (asked(answers=[None]), "must have answers that are texts"),
        (asked(answers=[answer("", 0)]), "must have answers that are texts"),
        (asked(answers=[answer("Italy", "11")]), "answer_start is a number"),
        (asked(answers=[answer("Italy", 11)], is_impossible=True), "must be impossible or have"),
        (asked(is_impossible="no"), "must be impossible or have"),
        ("Where?", "must be a JSON object"),
    ],
)
def test_a_question_that_lacks_a_part_is_refused_and_can_be_passed_over(tmp_path, question, rule):
    path = save(tmp_path, squad(asked("good"), question), indent=1)
    assert rule in refusal(path, "question")
    records, errors = tolerant(path, "question")
    assert [record.id for record in records] == ["good"]
    assert len(errors) == 1


def test_an_id_stands_for_one_question(tmp_path):
    path = save(tmp_path, squad(asked("1"), asked("1")))
    assert "An id must stand for one question" in refusal(path, "question")


@pytest.mark.parametrize(
    "document", [{}, "text", {"data": {}}, {"data": [1]}, {"data": [{}]}, [1], [{"qas": 1}]]
)
def test_another_layout_is_refused(tmp_path, document):
    assert " must " in refusal(save(tmp_path, document), "question")


def test_malformed_json_is_named_by_line_and_column(tmp_path):
    path = write(tmp_path, "a.json", '{"data":\n [\n  {"paragraphs": []},,\n]}')
    message = refusal(path, "question")
    assert "JSON must be well-formed (Expecting value, column 22)" in message
    assert f"at {path}:3." in message
    broken = write(tmp_path, "b.json", b'{"data":\n"\xff"}')
    assert f"at {broken}:2." in refusal(broken, "question", on_error=print)


def test_json_lines_hold_a_question_each(tmp_path):
    rows = [
        asked(None, context=CONTEXT),
        asked(5, context=CONTEXT, answers={"text": ["Italy"], "answer_start": [11]}),
        asked("x", context=CONTEXT, answers=["Italy"]),
        asked("y", context=CONTEXT, answers={"text": ["Italy"], "answer_start": []}),
        asked("z", answers=[]),
    ]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    records, errors = tolerant(path, "question")
    assert [(record.id, record.place.line) for record in records] == [("1", 1), ("5", 2), ("x", 3)]
    assert records[1].answers == records[2].answers == (Answer("Italy", 11),)
    assert "as many answer_start as texts" in errors[0]
    assert "must have 'context' or 'context_text'" in errors[1]
