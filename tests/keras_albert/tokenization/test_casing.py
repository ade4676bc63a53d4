import json

import pytest

from keras_albert.tokenization.casing import case_complaint, named_cased
from tests.paths import REFERENCE

ROWS = json.loads((REFERENCE / "tokenizer_vocab_files" / "validate_case.json").read_text())


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row['init_checkpoint']}-{row['do_lower_case']}"
)
def test_the_complaint_is_googles(row):
    complaint = case_complaint(row["do_lower_case"], row["init_checkpoint"])
    assert (complaint is None) == (row["raises"] is None)
    if complaint:
        assert f"lower_case={not row['do_lower_case']}" in complaint


@pytest.mark.parametrize(
    ("name", "cased"),
    [
        ("cased_L-12_H-768_A-12", True),
        ("multi_cased_L-12_H-768_A-12.zip", True),
        ("wwm_cased_L-24_H-1024_A-16", True),
        ("bert-base-cased", True),
        ("BERT-Base-Cased", True),
        ("uncased_L-12_H-768_A-12", False),
        ("multilingual_L-12_H-768_A-12", False),
        ("encased_showcased", False),
    ],
)
def test_a_folder_that_is_called_cased_is_cased(name, cased):
    assert named_cased("bert_model.ckpt", name) is cased
