"""Every real data set at hand, whole: as many records as its raw bytes hold."""

import gzip
import json
from collections import Counter

import pytest

from keras_albert.data.readers import read_records
from keras_albert.data.records import Place
from tests.keras_albert.data.readers.files import refusal
from tests.paths import SHARED, needs_shared

pytestmark = needs_shared

DATA = SHARED / "data"
STS = {"text": 7, "text_pair": 8, "label": -1, "label_type": "number"}
VADER = {"format": "tsv", "text": 2, "label": 1, "label_type": "number"}
TSV = {"format": "tsv"}
PLAIN = {"format": "text"}

# File: options, lines that are no records (headers, a blank last line), records.
TEXTS = {
    "SST-2/train.tsv": ({}, 1, 67_349),
    "SST-2/dev.tsv": ({}, 1, 872),
    "SST-2/test.tsv": ({}, 1, 1_821),
    "MRPC/msr_paraphrase_train.txt": (TSV, 1, 4_076),
    "MRPC/msr_paraphrase_test.txt": (TSV, 1, 1_725),
    "STS-B/train.tsv": (STS, 0, 4_249),
    "STS-B/dev.tsv": (STS, 0, 1_500),
    "STS-B/test.tsv": ({"label_type": "number"}, 1, 1_500),
    "zh_ChnSentiCorp/train.tsv": ({}, 0, 9_600),
    "zh_ChnSentiCorp/dev.tsv": ({}, 0, 1_200),
    "zh_ChnSentiCorp/test.tsv": ({}, 1, 1_200),
    "zh_LCQMC/dev.txt": (TSV, 0, 8_802),
    "zh_LCQMC/test.txt": (TSV, 0, 12_500),
    "sms_spam/SMSSpamCollection": (TSV, 1, 5_574),
    "vader/movieReviewSnippets_GroundTruth.txt": (VADER, 0, 10_605),
    "vader/amazonReviewSnippets_GroundTruth.txt": (VADER, 0, 3_708),
    "vader/nytEditorialSnippets_GroundTruth.txt": (VADER, 0, 5_190),
    "vader/tweets_GroundTruth.txt": (VADER, 0, 4_200),
    "tatoeba_en_zh/cmn.txt": (TSV | {"text": 0, "text_pair": 1}, 1, 29_155),
    "Multi30k/train.en.gz": (PLAIN, 0, 29_000),
    "Multi30k/train.de.gz": (PLAIN, 0, 29_000),
    "Multi30k/val.en.gz": (PLAIN, 0, 1_014),
    "Multi30k/test_2016_flickr.de.gz": (PLAIN, 0, 1_000),
    "WikiText-2/wiki.valid.tokens": (PLAIN, 0, 3_760),
    "WikiText-2/wiki.test.tokens": (PLAIN, 0, 4_358),
}


def raw_lines(name):
    data = (DATA / name).read_bytes()
    data = gzip.decompress(data) if name.endswith(".gz") else data
    return data.removesuffix(b"\n").split(b"\n")


@pytest.mark.parametrize("name", TEXTS)
def test_every_line_of_a_text_file_is_a_record(name):
    options, others, count = TEXTS[name]
    records = list(read_records(DATA / name, "text", **options))
    lines = raw_lines(name)
    assert len(records) == len(lines) - others == count
    for record in records:
        line = lines[record.place.line - 1].decode()
        assert all(text in line for text in record.texts)


def first(name, **options):
    return next(read_records(DATA / name, "text", **options))


def test_known_records_of_text_files():
    assert first("SST-2/train.tsv") == (
        ("hide new secretions from the parental units",),
        "0",
        Place(str(DATA / "SST-2/train.tsv"), 2),
    )
    quoted = first("MRPC/msr_paraphrase_train.txt", **TSV)
    assert quoted.texts[0].startswith('Amrozi accused his brother, whom he called "the witness",')
    assert quoted.label == "1"
    cello = (("A man is playing the cello.", "A man seated is playing the cello."), 4.25)
    assert first("STS-B/dev.tsv", **STS)[:2] == cello
    hat = ("A man with a hard hat is dancing.", "A man wearing a hard hat is dancing.")
    assert first("STS-B/test.tsv", label_type="number")[:2] == (hat, 5.0)
    pair = ("谁有狂三这张高清的", "这张高清图\uff0c谁有")
    assert first("zh_LCQMC/test.txt", **TSV)[:2] == (pair, "0")
    assert first("zh_ChnSentiCorp/train.tsv").label == "positive"
    assert first("zh_ChnSentiCorp/test.tsv").label is None
    assert first("sms_spam/SMSSpamCollection", **TSV).label == "ham"
    assert first("vader/tweets_GroundTruth.txt", **VADER).label == 2.726315789
    assert first("tatoeba_en_zh/cmn.txt", **TSV, text=0, text_pair=1).texts == ("Hi.", "嗨。")


@pytest.mark.parametrize("name", [name for name in TEXTS if TEXTS[name][0] is TSV])
def test_a_table_in_a_text_file_is_not_taken_for_text(name):
    message = refusal(DATA / name, "text")
    assert "--format" in message


@pytest.mark.parametrize(
    "name",
    ["STS-B/train.tsv", "vader/tweets_GroundTruth.txt", "tatoeba_en_zh/cmn.txt"],
)
def test_columns_that_could_be_mistaken_are_not_guessed(name):
    assert "--text" in refusal(DATA / name, "text", format="tsv")


def test_conll_has_its_words_and_tags():
    for name, sentences in (("train", 14_041), ("valid", 3_250), ("test", 3_453)):
        path = f"CoNLL2003/{name}.txt"
        records = list(read_records(DATA / path, "words"))
        words = [tuple(line.decode().split(" ")) for line in raw_lines(path) if line]
        assert len(records) == sentences
        assert [word for record in records for word in record.words] == [word[0] for word in words]
        assert [tag for record in records for tag in record.tags] == [word[1] for word in words]
        assert records[1].place.line == len(records[0].words) + 2


def test_squad_has_its_questions_where_they_ask():
    path = DATA / "SQuAD2/dev-v2.0-16articles.json"
    records = list(read_records(path, "question"))
    raw = path.read_bytes()
    assert len(records) == raw.count(b'"is_impossible"') == 6_078
    assert sum(record.is_impossible for record in records) == raw.count(b'"is_impossible":true')
    for record in records:
        assert bool(record.answers) is not record.is_impossible
        for text, start in record.answers:
            assert record.context[start : start + len(text)] == text


@pytest.mark.parametrize(("name", "count"), [("dev", 3_219), ("trial", 1_002)])
def test_cmrc_has_an_answer_in_every_context(name, count):
    path = DATA / f"CMRC2018/cmrc2018_{name}.json"
    records = list(read_records(path, "question"))
    lines = raw_lines(f"CMRC2018/cmrc2018_{name}.json")
    assert len(records) == count
    for record in records:
        question = lines[record.place.line - 1].decode().split('"query_text": ', 1)[1]
        assert json.loads(question.strip().rstrip(",")) == record.question
        assert any(start >= 0 for _, start in record.answers)


@pytest.mark.parametrize(("name", "count"), [("train", 6_116), ("dev", 2_040), ("test", 2_041)])
def test_dream_has_three_choices(name, count):
    records = list(read_records(DATA / f"DREAM/{name}.json", "choice"))
    lines = raw_lines(f"DREAM/{name}.json")
    assert len(records) == sum(b'"question": ' in line for line in lines) == count
    assert {len(record.choices) for record in records} == {3}
    assert set(Counter(record.label for record in records)) == {0, 1, 2}
    for record in records:
        question = lines[record.place.line - 1].decode().split('"question": ', 1)[1]
        assert json.loads(question.strip().rstrip(",")) == record.question
