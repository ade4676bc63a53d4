"""The published checkpoints: where they lie and how large they are. Data only.

Sources: the README files of google-research/bert, google-research/albert and
brightmart/albert_zh, and the configurations inside their archives.
"""

from typing import Any, NamedTuple


class Published(NamedTuple):
    """One published checkpoint."""

    sizes: dict[str, Any]  # arguments of EncoderConfig
    address: str
    folder: str
    config_name: str
    vocabulary_name: str
    lower_case: bool


_BERT = "https://storage.googleapis.com/bert_models"
_ALBERT = "https://storage.googleapis.com/albert_models"
_ALBERT_ZH = "https://storage.googleapis.com/albert_zh"
_ENGLISH, _CASED, _CHINESE = 30522, 28996, 21128


def _bert(vocab_size: int, layers: int, width: int, heads: int) -> dict[str, Any]:
    return {
        "family": "bert",
        "vocab_size": vocab_size,
        "hidden_dim": width,
        "num_layers": layers,
        "num_heads": heads,
        "intermediate_dim": 4 * width,
    }


def _bert_archive(date: str, folder: str, vocab_size: int, lower_case: bool) -> Published:
    """The folder's name gives the sizes: L layers, H width, A heads."""
    layers, width, heads = (int(part[2:]) for part in folder.split("_")[-3:])
    return Published(
        _bert(vocab_size, layers, width, heads),
        f"{_BERT}/{date}/{folder}.zip",
        folder,
        "bert_config.json",
        "vocab.txt",
        lower_case,
    )


def _miniature(layers: int, width: int) -> Published:
    folder = f"uncased_L-{layers}_H-{width}_A-{width // 64}"
    return _bert_archive("2020_02_20", folder, _ENGLISH, True)


# name: layers, width, heads, feed-forward width
_ALBERT_SIZES = {
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
    "xlarge": (24, 2048, 16, 8192),
    "xxlarge": (12, 4096, 64, 16384),
}


def _albert(vocab_size: int, size: tuple[int, int, int, int], **fields: Any) -> dict[str, Any]:
    layers, width, heads, intermediate = size
    return {
        "family": "albert",
        "vocab_size": vocab_size,
        "embedding_dim": 128,
        "hidden_dim": width,
        "num_layers": layers,
        "num_heads": heads,
        "intermediate_dim": intermediate,
        "num_groups": 1,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    } | fields


def _albert_english(size: str, version: int) -> Published:
    # Version 1 kept BERT's dropout, but for xxlarge; version 2 has none (google-research/albert).
    rate = 0.1 if version == 1 and size != "xxlarge" else 0.0
    return Published(
        _albert(30000, _ALBERT_SIZES[size], dropout=rate, attention_dropout=rate),
        f"{_ALBERT}/albert_{size}_v{version}.tar.gz",
        f"albert_{size}",
        "albert_config.json",
        "30k-clean.model",
        True,
    )


def _albert_google_zh(size: str) -> Published:
    return Published(
        _albert(_CHINESE, _ALBERT_SIZES[size], activation="relu"),
        f"{_ALBERT}/albert_{size}_zh.tar.gz",
        f"albert_{size}",
        "albert_config.json",
        "vocab_chinese.txt",
        True,
    )


_TINY_ZH = (4, 312, 12, 1248)
_SMALL_ZH = (6, 384, 12, 1536)


def _albert_zh(
    family: str, archive: str, size: tuple[int, int, int, int], config: str
) -> Published:
    return Published(
        _albert(_CHINESE, size, family=family),
        f"{_ALBERT_ZH}/{archive}.zip",
        archive,
        config,
        "vocab.txt",
        True,
    )


PUBLISHED: dict[str, Published] = {
    "bert-base-uncased": _bert_archive("2018_10_18", "uncased_L-12_H-768_A-12", _ENGLISH, True),
    "bert-large-uncased": _bert_archive("2018_10_18", "uncased_L-24_H-1024_A-16", _ENGLISH, True),
    "bert-base-cased": _bert_archive("2018_10_18", "cased_L-12_H-768_A-12", _CASED, False),
    "bert-large-cased": _bert_archive("2018_10_18", "cased_L-24_H-1024_A-16", _CASED, False),
    "bert-base-multilingual-cased": _bert_archive(
        "2018_11_23", "multi_cased_L-12_H-768_A-12", 119547, False
    ),
    "bert-base-multilingual-uncased": _bert_archive(
        "2018_11_03", "multilingual_L-12_H-768_A-12", 105879, True
    ),
    "bert-base-chinese": _bert_archive("2018_11_03", "chinese_L-12_H-768_A-12", _CHINESE, True),
    "bert-large-uncased-whole-word-masking": _bert_archive(
        "2019_05_30", "wwm_uncased_L-24_H-1024_A-16", _ENGLISH, True
    ),
    "bert-large-cased-whole-word-masking": _bert_archive(
        "2019_05_30", "wwm_cased_L-24_H-1024_A-16", _CASED, False
    ),
    **{
        f"bert-uncased-L-{layers}-H-{width}": _miniature(layers, width)
        for layers in (2, 4, 6, 8, 10, 12)
        for width in (128, 256, 512, 768)
    },
    **{
        f"albert-{size}-v{version}": _albert_english(size, version)
        for version in (1, 2)
        for size in _ALBERT_SIZES
    },
    **{f"albert-{size}-zh": _albert_google_zh(size) for size in _ALBERT_SIZES},
    "albert-tiny-zh": _albert_zh(
        "albert_zh", "albert_tiny_489k", _TINY_ZH, "albert_config_tiny.json"
    ),
    "albert-tiny-zh-google": _albert_zh(
        "albert", "albert_tiny_zh_google", _TINY_ZH, "albert_config_tiny_g.json"
    ),
    "albert-small-zh-google": _albert_zh(
        "albert", "albert_small_zh_google", _SMALL_ZH, "albert_config_small_google.json"
    ),
}
# The names that the miniatures' paper (Turc et al. 2019) gives four of them.
PUBLISHED |= {
    f"bert-{name}": PUBLISHED[f"bert-uncased-L-{layers}-H-{width}"]
    for name, layers, width in (
        ("tiny", 2, 128),
        ("mini", 4, 256),
        ("small", 4, 512),
        ("medium", 8, 512),
    )
}
# brightmart/albert_zh published its small model in Google's layout alone.
PUBLISHED |= {"albert-small-zh": PUBLISHED["albert-small-zh-google"]}
