"""DREAM, RACE and JSON Lines of choices."""

import json

import pytest

from keras_albert.data.readers import read_records
from tests.keras_albert.data.readers.files import refusal, tolerant, write

DIALOGUE = [
    ["M: Tea?", "W: No, coffee."],
    [
        {"question": "What?", "choice": ["Tea.", "Coffee.", "Milk."], "answer": "Coffee."},
        {"question": "Who?", "choice": ["M", "W"]},
    ],
    "4-1",
]
ARTICLE = {
    "article": "A long text.",
    "questions": ["What?", "Who?"],
    "options": [["a", "b", "c", "d"], ["e", "f", "g", "h"]],
    "answers": ["D", "A"],
    "id": "high7.txt",
}


def save(tmp_path, document, name="a.json", indent=None):
    return write(tmp_path, name, json.dumps(document, indent=indent))


def read(path, **options):
    return list(read_records(path, "choice", **options))


def test_dream_has_dialogues(tmp_path):
    path = save(tmp_path, [DIALOGUE], indent=1)
    first, second = read(path)
    assert first[:5] == (
        "4-1-0",
        "M: Tea?\nW: No, coffee.",
        "What?",
        ("Tea.", "Coffee.", "Milk."),
        1,
    )
    assert (second.id, second.label) == ("4-1-1", None)
    lines = path.read_text().split("\n")
    assert [lines[record.place.line - 1].strip() for record in (first, second)] == [
        '"question": "What?",',
        '"question": "Who?",',
    ]


def test_race_has_an_article_a_file(tmp_path):
    records = read(save(tmp_path, ARTICLE, indent=1))
    assert [record.label for record in records] == [3, 0]
    assert records[1][:4] == ("high7.txt-1", "A long text.", "Who?", ("e", "f", "g", "h"))
    assert {record.place.line for record in records} == {2}
    assert len(read(save(tmp_path, [ARTICLE, ARTICLE]))) == 4


def test_a_folder_of_race_is_read_in_the_order_of_its_paths(tmp_path):
    for name in ("middle/2.txt", "high/10.txt", "high/2.json"):
        save(tmp_path, ARTICLE | {"id": name}, name)
    write(tmp_path, "high/README.md", "no data")
    names = [record.id for record in read(tmp_path)]
    assert names[::2] == ["high/10.txt-0", "high/2.json-0", "middle/2.txt-0"]
    broken = write(tmp_path, "high/11.txt", '{"article"')
    assert f"at {broken}:1." in refusal(tmp_path, "choice")
    records, errors = tolerant(tmp_path, "choice")
    assert (len(records), len(errors)) == (6, 1)


def test_a_folder_without_articles_is_refused(tmp_path):
    assert "A folder must hold .txt or .json files" in refusal(tmp_path, "choice")


def test_json_lines_hold_articles_or_single_questions(tmp_path):
    single = {"context": "x", "question": "?", "choices": ["a", "b"]}
    rows = [
        ARTICLE,
        single | {"label": 1},
        single | {"id": 9, "answer": "B"},
        single | {"answer": "a"},
        single,
        {"article": "x", "question": "?", "options": ["a", "b"], "answer": "A"},
    ]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    records = read(path)
    assert [record.label for record in records] == [3, 0, 1, 1, 0, None, 0]
    assert [record.id for record in records[2:]] == ["2", "9", "4", "5", "6"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"answer": "E"}, "must have an answer that is one of its 2 choices"),
        ({"answer": "C"}, "one of its 2 choices"),
        ({"answer": ""}, "one of its 2 choices"),
        ({"answer": 1}, "one of its 2 choices"),
        ({"label": 2}, "one of its 2 choices"),
        ({"label": -1}, "one of its 2 choices"),
        ({"label": True}, "one of its 2 choices"),
        ({"choices": ["a"]}, "must have two choices or more"),
        ({"choices": ["a", 1]}, "a list of texts"),
        ({"question": None}, "must have 'question', a text"),
        ({"context": 1}, "must have 'context' or 'article' or 'passage', a text"),
    ],
)
def test_a_question_that_lacks_a_part_is_refused(tmp_path, change, rule):
    row = {"context": "x", "question": "?", "choices": ["a", "b"]}
    path = write(tmp_path, "a.jsonl", f"{json.dumps(row)}\n{json.dumps(row | change)}\n")
    message = refusal(path, "choice")
    assert rule in message
    assert f"at {path}:2." in message
    assert len(tolerant(path, "choice")[0]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"answers": ["A"]},
        {"answers": [1, 2]},
        {"options": [["a", "b"]]},
        {"options": [["a", "b"], "no"]},
        {"questions": "What?"},
        {"article": None},
    ],
)
def test_an_article_that_lacks_a_part_is_refused(tmp_path, change):
    for name in ("a.json", "a.jsonl"):
        path = save(tmp_path, ARTICLE | change, name)
        assert f"at {path}:1." in refusal(path, "choice")


def test_answers_of_an_article_may_be_absent(tmp_path):
    article = {key: value for key, value in ARTICLE.items() if key not in ("answers", "id")}
    records = read(save(tmp_path, article))
    assert [(record.id, record.label) for record in records] == [("1-0", None), ("1-1", None)]


@pytest.mark.parametrize("document", ["text", [1], [[]], [[[1], [], "x"]], [[["a"], [], 1]]])
def test_another_layout_is_refused(tmp_path, document):
    assert " must be " in refusal(save(tmp_path, document), "choice")


def test_a_bad_question_of_a_dialogue_is_passed_over(tmp_path):
    bad = DIALOGUE[1][0] | {"answer": "Water."}
    path = save(tmp_path, [[DIALOGUE[0], [bad, *DIALOGUE[1], "x"], "4-1"], "x", DIALOGUE])
    records, errors = tolerant(path, "choice")
    assert [record.id for record in records] == ["4-1-1", "4-1-2", "4-1-0", "4-1-1"]
    assert len(errors) == 3
