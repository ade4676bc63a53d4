"""Hugging Face's config.json, as tables: which key means which of our fields and settings."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from keras_albert.config import EncoderConfig
from keras_albert.config_json import FAMILY_KEYS, read_json
from keras_albert.errors import InputError

# Their key -> our field; what Google's files also say, they say under the same keys.
KEYS = {
    family: FAMILY_KEYS[family] | {"layer_norm_eps": "layer_norm_epsilon"}
    for family in ("bert", "albert")
}
# The dropout before a classifier; BERT's is null where it is hidden_dropout_prob.
HEAD_DROPOUT = {"bert": "classifier_dropout", "albert": "classifier_dropout_prob"}
# Keys without which a graph would rest on a guess: their defaults differ from class to class.
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
# transformers activations.py; Google's "gelu" is their "gelu_new".
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
    "tanh": "tanh",
    "linear": "linear",
}
# Our task -> the class of transformers, without the family's name before it.
CLASSES = {
    "encoder": "Model",
    "pretraining": "ForPreTraining",
    "masked_lm": "ForMaskedLM",
    "classification": "ForSequenceClassification",
    "token_classification": "ForTokenClassification",
    "question_answering": "ForQuestionAnswering",
    "multiple_choice": "ForMultipleChoice",
}
# Keys that change the graph, and the values that leave it as it is built here.
_ONLY: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}
# Keys that no graph of BERT or ALBERT reads, or that only training, generation and text do; those
# that begin with "_" are private to transformers, and pass as well.
_INERT = frozenset(
    """
    architectures attn_implementation auto_map bad_words_ids begin_suppress_tokens bos_token_id
    cell chunk_size_feed_forward classifier_dropout classifier_dropout_prob
    cross_attention_hidden_size decoder_start_token_id directionality diversity_penalty do_sample
    down_scale_factor dtype early_stopping emb_size encoder_no_repeat_ngram_size eos_token_id
    exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id
    gap_size gradient_checkpointing id2label label2id language layers_to_keep length_penalty
    max_length min_length model_type name name_or_path net_structure_type no_repeat_ngram_size
    num_beam_groups num_beams num_labels num_memory_blocks num_return_sequences output_attentions
    output_hidden_states output_past output_scores pad_token_id pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type pre_trained
    prefix problem_type remove_invalid_values repetition_penalty return_dict
    return_dict_in_generate sentence_transformers sep_token_id structure suppress_tokens
    task_specific_params temperature tf_legacy_loss tie_encoder_decoder tie_word_embeddings
    tokenizer_class top_k top_p torch_dtype torchscript training transformers_version typical_p
    use_bfloat16 use_cache xla_device
    """.split()  # noqa: SIM905 (a word a line would take a page)
)


class Description(NamedTuple):
    """What a config.json says."""

    config: EncoderConfig
    task: str | None  # None where no class that is known here is named
    labels: tuple[str, ...] | None  # None where there are none, or only LABEL_0, LABEL_1, …
    head_dropout: float


def read_description(path: Path, ignore_keys: Iterable[str] = ()) -> Description:
    """Reads a config.json of a BERT or ALBERT.

    Args:
        path: The file.
        ignore_keys: Unknown keys to drop, by name.

    Raises:
        InputError: Not a JSON object, another model, a key missing or unknown, or a value that
            would change the graph beyond what is built.
    """
    dropped = set(ignore_keys)
    try:
        values = {key: value for key, value in read_json(path).items() if key not in dropped}
        return _read(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_description(
    config: EncoderConfig, task: str, labels: Iterable[str] | None, head_dropout: float | None
) -> dict[str, Any]:
    """The content of a config.json.

    Args:
        config: The encoder's configuration.
        task: What the model does.
        labels: Names of the classes, where it has any.
        head_dropout: The rate before the classifier, where there is one.

    Raises:
        InputError: No class of transformers computes this.
    """
    if config.family not in KEYS or config.norm_position != "post" or task not in CLASSES:
        raise InputError(
            "transformers has no class for this; it has post-LN BERT and ALBERT for "
            f"{', '.join(CLASSES)}. Received: family={config.family!r}, "
            f"norm_position={config.norm_position!r}, task={task!r}"
        )
    _check_schedule(config)
    values: dict[str, Any] = {
        "architectures": [f"{config.family.capitalize()}{CLASSES[task]}"],
        "model_type": config.family,
    }
    values |= {key: getattr(config, field) for key, field in KEYS[config.family].items()}
    # The first name of each: "gelu" and "gelu_new".
    values["hidden_act"] = next(k for k, v in ACTIVATIONS.items() if v == config.activation)
    if head_dropout is not None:
        values[HEAD_DROPOUT[config.family]] = head_dropout
    if labels is not None:
        values["id2label"] = {str(index): label for index, label in enumerate(labels)}
        values["label2id"] = {label: index for index, label in enumerate(labels)}
    return values


def _read(values: Mapping[str, Any]) -> Description:
    family = values.get("model_type") or _family_of(values)
    if not isinstance(family, str) or family not in KEYS:
        raise InputError(
            f"of Hugging Face's models, {' and '.join(KEYS)} are read. "
            f"Received: model_type={family!r:.80}"
        )
    keys = KEYS[family]
    _check_keys(values, keys, _REQUIRED + (("embedding_size",) if family == "albert" else ()))
    fields = {field: values[key] for key, field in keys.items() if values.get(key) is not None}
    activation = values["hidden_act"]
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise InputError(
            f"hidden_act must be one of {', '.join(ACTIVATIONS)}. "
            f"Received: hidden_act={activation!r:.80}"
        )
    fields["activation"] = ACTIVATIONS[activation]
    if family == "albert":
        fields.setdefault("num_groups", 1)
    config = EncoderConfig(**fields, family=family)
    _check_schedule(config)
    return Description(config, _task(values, family), _labels(values), _rate(values, config))


def _family_of(values: Mapping[str, Any]) -> str:
    """Whose keys these are, in a file from before model_type."""
    return "albert" if "embedding_size" in values else "bert"


def _check_keys(
    values: Mapping[str, Any], keys: Mapping[str, str], required: tuple[str, ...]
) -> None:
    known = _INERT.union(keys, _ONLY)
    for key, value in values.items():
        if key not in known and not key.startswith("_"):
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else "name it in ignore_keys (--ignore-config-key) to drop it"
            )
            raise InputError(f"unknown key; {hint}. Received: {key!r:.80}={value!r:.80}")
        if key in _ONLY and value not in _ONLY[key]:
            raise InputError(
                f"{key} other than {_ONLY[key][0]!r} is another graph, which is not built here. "
                f"Received: {key}={value!r:.80}"
            )
    if missing := [key for key in required if values.get(key) is None]:
        raise InputError(f"the configuration needs these keys. Received: no {', '.join(missing)}")


def _check_schedule(config: EncoderConfig) -> None:
    """transformers rounds the group of a layer in another order than Google."""
    if config.family != "albert":
        return
    layers_per_group = config.num_layers / config.num_groups
    groups = [int(layer / layers_per_group) for layer in range(config.num_layers)]
    ours = [block // config.inner_layers for block in config.schedule[:: config.inner_layers]]
    if groups != ours:
        raise InputError(
            "transformers and Google's code share other layers here, as they round differently. "
            f"Received: num_hidden_layers={config.num_layers}, "
            f"num_hidden_groups={config.num_groups}"
        )


def _task(values: Mapping[str, Any], family: str) -> str | None:
    classes = values.get("architectures") or [None]
    tasks = {f"{family.capitalize()}{name}": task for task, name in CLASSES.items()}
    first = classes[0] if isinstance(classes, list) else classes
    return tasks.get(first) if isinstance(first, str) else None


def _labels(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    table = values.get("id2label")
    if table is None:
        return None
    by_id = {str(key): label for key, label in table.items()} if isinstance(table, dict) else {}
    labels = tuple(by_id.get(str(index)) for index in range(len(by_id)))
    if not labels or not all(isinstance(label, str) for label in labels):
        raise InputError(
            f"id2label names the classes 0, 1, 2, … with texts. Received: id2label={table!r:.80}"
        )
    # What transformers writes where nobody named the classes.
    nameless = all(label == f"LABEL_{index}" for index, label in enumerate(labels))
    return None if nameless else labels  # type: ignore[return-value]


def _rate(values: Mapping[str, Any], config: EncoderConfig) -> float:
    key = HEAD_DROPOUT[config.family]
    rate = values.get(key, None if config.family == "bert" else 0.1)
    if rate is None:
        return config.dropout
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise InputError(f"{key} must be a rate from 0 to below 1. Received: {key}={rate!r:.80}")
    return float(rate)
