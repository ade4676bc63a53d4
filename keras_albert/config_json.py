"""Google's JSON configuration files, as tables: which key means which of our fields."""

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_albert.errors import InputError

# Google's key -> our field, for every family (bert/modeling.py BertConfig).
_BERT_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_dim",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_dim",
    "hidden_act": "activation",
    "max_position_embeddings": "max_sequence_length",
    "type_vocab_size": "num_segments",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initializer_range",
}
# albert/modeling.py AlbertConfig, and brightmart/albert_zh modeling.py.
FAMILY_KEYS = {
    "bert": _BERT_KEYS,
    "albert": _BERT_KEYS
    | {
        "embedding_size": "embedding_dim",
        "num_hidden_groups": "num_groups",
        "inner_group_num": "inner_layers",
    },
    "albert_zh": _BERT_KEYS | {"embedding_size": "embedding_dim", "ln_type": "norm_position"},
}
# Keys without which a graph would rest on a guess; the others fall back on Google's own defaults.
_REQUIRED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
)
# Published keys that no graph reads. A value: the only one that leaves the graph as it is built
# here; None: any value.
_INERT: dict[str, Any] = {
    "directionality": "bidi",
    "pooler_type": "first_token_transform",
    "pooler_fc_size": None,
    "pooler_num_attention_heads": None,
    "pooler_num_fc_layers": None,
    "pooler_size_per_head": None,
    "net_structure_type": 0,
    "gap_size": 0,
    "num_memory_blocks": 0,
    "down_scale_factor": 1,
    "layers_to_keep": [],
}
# hidden_act, lower-cased, as get_activation of both modeling.py files reads it.
_ACTIVATIONS = {
    "gelu": "gelu_tanh",
    "relu": "relu",
    "tanh": "tanh",
    "linear": "linear",
    "": "linear",
    "none": "linear",
}
_GOOGLE_ACTIVATIONS = {"gelu_tanh": "gelu", "relu": "relu", "tanh": "tanh", "linear": "linear"}
_NORM_POSITIONS = {"postln": "post", "preln": "pre"}


def read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file, every key once.

    Raises:
        InputError: Not JSON, not an object, or a key that stands twice.
    """
    try:
        values = json.loads(
            Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_unique_keys
        )
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"a config is JSON. Received: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"a config is a JSON object. Received: {type(values).__name__}")
    return values


def json_bytes(content: Any) -> bytes:
    """Indented JSON, as all our files hold it: UTF-8, with letters of any script as they are."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # The bytes of a path that are no text become JSON's own escapes, \\udc80 to \\udcff.
    return text.encode("utf-8", "backslashreplace")


def write_json(path: str | Path, content: Any) -> None:
    """Writes what `read_json` reads."""
    Path(path).write_bytes(json_bytes(content))


def to_fields(
    values: Mapping[str, Any], family: str | None = None, ignore_keys: Iterable[str] = ()
) -> dict[str, Any]:
    """Google's keys to the fields of `EncoderConfig`; see `EncoderConfig.from_json`."""
    dropped = set(ignore_keys)
    values = {key: value for key, value in values.items() if key not in dropped}
    family = family or _family_of(values)
    keys = FAMILY_KEYS[family]
    _check_keys(values, keys, family)
    fields: dict[str, Any] = {field: values[key] for key, field in keys.items() if key in values}
    fields["activation"] = _read_activation(values["hidden_act"])
    if family == "albert":
        fields.setdefault("num_groups", 1)
    if family == "albert_zh":
        fields["num_groups"] = 1
        # albert_zh's modeling.py takes a null ln_type for post-LN as well.
        ln_type = values.get("ln_type") or "postln"
        one_of("ln_type", ln_type, tuple(_NORM_POSITIONS))
        fields["norm_position"] = _NORM_POSITIONS[ln_type]
    inert = tuple((key, values[key]) for key in _INERT if key in values)
    return fields | {"family": family, "inert": inert}


def to_keys(config: Any) -> dict[str, Any]:
    """The fields of an `EncoderConfig` to Google's keys; see `EncoderConfig.to_dict`."""
    if config.activation not in _GOOGLE_ACTIVATIONS:
        _no_key("activation", config.activation, "has no name in Google's files")
    if config.layer_norm_epsilon != 1e-12:
        _no_key("layer_norm_epsilon", config.layer_norm_epsilon, "is 1e-12 in Google's graphs")
    if config.family != "albert_zh" and config.norm_position != "post":
        _no_key("norm_position", config.norm_position, "is 'post' in Google's graphs")
    values = {key: getattr(config, field) for key, field in FAMILY_KEYS[config.family].items()}
    values["hidden_act"] = _GOOGLE_ACTIVATIONS[config.activation]
    if config.family == "albert_zh":
        values["ln_type"] = config.norm_position + "ln"
    return values


def _no_key(field: str, value: Any, rule: str) -> None:
    raise InputError(f"{field} {rule}. Received: {field}={value!r}")


def _family_of(values: Mapping[str, Any]) -> str:
    """Whose keys these are. Only albert_zh's folders have an embedding width without groups."""
    if "ln_type" in values:
        return "albert_zh"
    if "num_hidden_groups" in values or "inner_group_num" in values:
        return "albert"
    if "embedding_size" in values:
        return "albert_zh" if "directionality" in values else "albert"
    return "bert"


def _check_keys(values: Mapping[str, Any], keys: Mapping[str, str], family: str) -> None:
    known = set(keys) | set(_INERT)
    for key in values:
        if key not in known:
            elsewhere = [name for name, other in FAMILY_KEYS.items() if key in other]
            near = difflib.get_close_matches(key, known, n=1)
            hint = (
                f"it contradicts a config of the {family} family"
                if elsewhere
                else f"did you mean {near[0]!r}?"
                if near
                else "name it in ignore_keys (--ignore-config-key) to drop it"
            )
            raise InputError(f"unknown key; {hint}. Received: {key!r}={values[key]!r}")
    required = _REQUIRED + (("embedding_size",) if family != "bert" else ())
    missing = [key for key in required if key not in values]
    if missing:
        raise InputError(f"a {family} config needs the keys {missing}. Received: {sorted(values)}")
    for key, only in _INERT.items():
        if only is not None and key in values and values[key] != only:
            raise InputError(
                f"{key} other than {only!r} is another graph than the published one, which is not "
                f"built here. Received: {key}={values[key]!r}"
            )


def _read_activation(name: Any) -> str:
    lowered = "" if name is None else name.lower() if isinstance(name, str) else name
    if lowered not in _ACTIVATIONS:
        raise InputError(
            f"hidden_act must be one of gelu, relu, tanh, linear. Received: hidden_act={name!r}"
        )
    return _ACTIVATIONS[lowered]


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise InputError(f"each key may stand once. Received: {twice} more than once")
    return values


def one_of(field: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raises `InputError` unless the value is among the allowed ones."""
    if value not in allowed:
        raise InputError(f"{field} must be one of {allowed}. Received: {field}={value!r}")
