"""Whether a checkpoint's texts are lower-cased, as far as its name tells."""

import re

_CASED = re.compile(r"(?<![a-z])cased(?![a-z])")
# google-research/bert, tokenization.py, validate_case_matches_checkpoint: folders and their case.
_CHECKPOINT = re.compile(r"([A-Za-z0-9_-]+)/bert_model\.ckpt")
_GOOGLES = {
    "uncased_L-24_H-1024_A-16": True,
    "uncased_L-12_H-768_A-12": True,
    "multilingual_L-12_H-768_A-12": True,
    "chinese_L-12_H-768_A-12": True,
    "cased_L-12_H-768_A-12": False,
    "cased_L-24_H-1024_A-16": False,
    "multi_cased_L-12_H-768_A-12": False,
}


def named_cased(*names: str) -> bool:
    """Whether one of these names of folders or files is called cased, multi_cased, …"""
    return any(_CASED.search(name.lower()) for name in names)


def case_complaint(lower_case: bool, checkpoint: str | None) -> str | None:
    """What Google's programs would say of this choice for this checkpoint, which they refuse.

    Source: google-research/bert, tokenization.py, `validate_case_matches_checkpoint`.

    Args:
        lower_case: Google's `do_lower_case`.
        checkpoint: The checkpoint's prefix, `…/bert_model.ckpt`.
    """
    match = _CHECKPOINT.search(checkpoint or "")
    if match is None or _GOOGLES.get(match[1], lower_case) == lower_case:
        return None
    trained, used = ("lower-cased", "kept") if not lower_case else ("cased", "lower-cased")
    return (
        f"{match[1]} was trained on {trained} text, and the case of this one is {used}; "
        f"lower_case={not lower_case} is what it wants"
    )
