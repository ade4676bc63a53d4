"""Makes tests/golden/reference from ../shared/reference: `python -m tests.make_golden`.

A compact part, at most 6 MB, so that a fresh clone alone proves itself: model cases of every
family and head with their checkpoints, one or two of the four input cases (b: ragged padding,
which the gradients are for; d: holes in the mask), formulas, some optimizer runs, the synthetic
lines of the tokenizers and the odd vocabulary files. No data-set text.
"""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np

from tests.paths import GOLDEN, SHARED

# case: the input cases to keep, and whether to keep the gradients
CASES = {
    "albert_groups": ("b", True),
    "albert_hub": ("bd", False),
    "albert_race": ("b", True),
    "albert_squad_v2": ("b", True),
    "albert_tiny": ("b", False),
    "albert_zh_postln": ("d", False),
    "albert_zh_preln": ("b", True),
    "bert_classifier": ("d", False),
    "bert_squad": ("b", True),
    "bert_tiny": ("bd", False),
}
# Five steps of training on input case b, as losses, norms and lengths of the changes.
TRAINING = {"albert_tiny": ("training_lamb_poly",), "bert_tiny": ("training_sparse_norm",)}
OPTIMIZERS = (
    "index",
    "adamw_constant",
    "bert_create_optimizer_warmup",
    "lamb_constant",
    "albert_lamb_start_warmup_step",
)
OFFSETS = ("uncased", "cased", "chinese", "multi_cased")
LIMIT = 6 * 1024 * 1024


def main() -> None:
    """Copies, and fails if the copy is over the limit."""
    source, target = SHARED / "reference", GOLDEN / "reference"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source / "formulas", target / "formulas", copy_function=shutil.copyfile)
    (target / "optimizers").mkdir()
    for path in (source / "optimizers").iterdir():
        if path.stem in OPTIMIZERS:
            shutil.copyfile(path, target / "optimizers" / path.name)
    for case, (input_cases, with_gradients) in CASES.items():
        for path in sorted((source / case).rglob("*")):
            if not path.is_file() or path.suffix == ".meta":
                continue
            if path.name.startswith("training") and path.stem not in TRAINING.get(case, ()):
                continue
            if path.name == "gradients.npz" and not with_gradients:
                continue
            copy = target / case / path.relative_to(source / case)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.name == "expected.npz":
                arrays = np.load(path)
                kept = {key: arrays[key] for key in arrays if key[0] in input_cases}
                np.savez_compressed(copy, **kept)
            elif path.name == "saved_model.pb":
                copy.touch()  # only its presence is looked at; the graph is 0.8 MB
            else:
                shutil.copyfile(path, copy)
    _copy_tokenizer_lines(source, target)
    size = sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file())
    print(f"{GOLDEN}: {size / 1024 / 1024:.2f} MB")
    if size > LIMIT:
        raise SystemExit("tests/golden is over its limit of 6 MB")


def _copy_tokenizer_lines(source: Path, target: Path) -> None:
    """The hard lines: with tokens and offsets for BERT, with their clean-up for ALBERT."""
    (target / "ner_chinese").mkdir()
    for kind in OFFSETS:
        name = f"ner_chinese/hard_offsets_{kind}.jsonl.gz"
        shutil.copyfile(source / name, target / name)
    (target / "tokenizer_bert_uncased").mkdir()
    name = "tokenizer_bert_uncased/bytes.jsonl"
    shutil.copyfile(source / name, target / name)
    shutil.copytree(
        source / "tokenizer_vocab_files",
        target / "tokenizer_vocab_files",
        copy_function=shutil.copyfile,
    )
    (target / "tokenizer_albert").mkdir()
    with (
        (source / "tokenizer_albert" / "cases.jsonl").open(encoding="ascii") as lines,
        open(target / "tokenizer_albert" / "hard_clean_up.jsonl.gz", "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
    ):
        for row in map(json.loads, lines):
            if row["kind"] == "hard":
                kept = {key: row[key] for key in row if key.startswith(("text", "keep_space"))}
                kept |= {key: {"text": row[key]["text"]} for key in ("cased", "lower")}
                packed.write(json.dumps(kept).encode("ascii") + b"\n")


if __name__ == "__main__":
    main()
