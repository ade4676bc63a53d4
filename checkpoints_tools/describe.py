"""What a source holds: architecture, sizes, work per token, every variable and its claimant."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_albert.config import EncoderConfig
from keras_albert.filling import default_task
from keras_albert.pretrained import open_weights
from keras_albert.published import PUBLISHED

# What a pre-trained checkpoint may be expected to hold, by the first name of our paths.
_EXPECTED = {"pool": "pooler", "masked_lm": "masked_lm", "sentence_relation": "sentence_relation"}


def describe(source: str | Path, **reading: Any) -> dict[str, Any]:
    """Describes any source; an index without its data is enough.

    Args:
        source: As `keras_albert.load_model` takes it.
        **reading: `config_path`, `vocabulary_path`, `overrides`, `ignore_keys`.

    Returns:
        A dict for JSON: `source`, `kind`, `family`, `task`, `config` (fields of EncoderConfig),
        `parameters` (`encoder` counts embeddings, blocks and pooler; `total` everything),
        `flops_per_token`, `variables` (name, shape, claimed_by), `absent_parts`, `files`,
        `notes`.

    Raises:
        InputError: The source is not whole, or a variable is missing, unclaimed or misshapen.
    """
    with open_weights(source, **reading) as (weights, located):
        config = weights.config
        checkpoint = located.prefix or located.safetensors_path
        return {
            "source": str(source),
            "kind": located.kind,
            "family": config.family,
            "task": default_task(weights),
            "config": config.get_config(),
            "parameters": _parameters(weights.shapes),
            "flops_per_token": flops_per_token(config),
            "variables": list(_variables(weights)),
            "absent_parts": [
                name for first, name in _EXPECTED.items() if f"{first}/bias" not in weights.shapes
            ],
            "files": {
                "config": located.config_path.name,
                "checkpoint": None if checkpoint is None else Path(checkpoint).name,
                "vocabulary": located.vocabulary_path and located.vocabulary_path.name,
                "data_missing": list(located.data_missing),
            },
            "notes": [*weights.warnings, *weights.notes],
        }


def flops_per_token(config: EncoderConfig) -> dict[str, int]:
    """Floating-point operations that the encoder spends on one token of a full sequence.

    Matrix products only, a multiply-add counted as two: a block's four attention products and
    two feed-forward products, and scores and context against every token of the sequence, for
    each block run (sharing saves parameters, not operations), and the embedding projection.

    Returns:
        Sequence length -> operations per token, for 128 tokens and for the longest sequence.
    """
    width, runs = config.hidden_dim, len(config.schedule)
    block = 2 * (4 * width * width + 2 * width * config.intermediate_dim)
    projects = config.embedding_dim != width or config.family == "albert_zh"
    projection = 2 * config.embedding_dim * width if projects else 0
    lengths = sorted({min(128, config.max_sequence_length), config.max_sequence_length})
    return {str(length): projection + runs * (block + 2 * 2 * length * width) for length in lengths}


def published(name: str | None = None) -> list[dict[str, Any]]:
    """The published checkpoints, or one of them: where it lies and how large it is."""
    if name is not None:
        EncoderConfig.published(name)  # raises with near names
    return [
        {
            "name": key,
            "address": entry.address,
            "folder": entry.folder,
            "config": entry.config_name,
            "vocabulary": entry.vocabulary_name,
            "lower_case": entry.lower_case,
            "parameters": parameter_count(EncoderConfig(**entry.sizes)),
        }
        for key, entry in PUBLISHED.items()
        if name in (None, key)
    ]


def parameter_count(config: EncoderConfig) -> int:
    """Parameters of the encoder with its pooler, from the name table's shapes."""
    from checkpoints_tools.tables import TABLES

    return sum(
        int(np.prod([size or 0 for size in entry.shape]))
        for entry in TABLES[config.family].entries(config)
        if entry.part in ("embeddings", "embedding_projection", "blocks", "pooler")
    )


def render(description: Mapping[str, Any]) -> str:
    """The description as text."""
    config, parameters = description["config"], description["parameters"]
    work = description["flops_per_token"]
    files = description["files"]
    lines = [
        f"{description['source']}: {description['family']}, for {description['task']}",
        f"  layers {config['num_layers']}, width {config['hidden_dim']}, heads "
        f"{config['num_heads']}, feed-forward {config['intermediate_dim']}, embedding "
        f"{config['embedding_dim']}, groups {config['num_groups']} x {config['inner_layers']}",
        f"  vocabulary {config['vocab_size']}, positions {config['max_sequence_length']}, "
        f"segments {config['num_segments']}, activation {config['activation']}, "
        f"{config['norm_position']}-LN, dropout {config['dropout']}",
        f"  parameters {parameters['encoder']:,} in the encoder, {parameters['total']:,} in all",
        "  operations per token "
        + ", ".join(f"{value / 1e6:,.1f} million at length {key}" for key, value in work.items()),
        f"  files: config {files['config']}, checkpoint {files['checkpoint']}, "
        f"vocabulary {files['vocabulary']}",
        *(f"  missing data: {name}" for name in files["data_missing"]),
        *(f"  not in it: {part}" for part in description["absent_parts"]),
        *(f"  note: {note}" for note in description["notes"]),
        "",
    ]
    width = max(len(variable["name"]) for variable in description["variables"])
    lines += [
        f"  {variable['name']:{width}}  {variable['shape']!s:16}  {variable['claimed_by']}"
        for variable in description["variables"]
    ]
    return "\n".join(lines)


def render_published(entries: list[dict[str, Any]]) -> str:
    """The published checkpoints as text, one block each."""
    return "\n".join(
        f"{entry['name']}\n"
        f"  {entry['address']}\n"
        f"  folder {entry['folder']}, config {entry['config']}, vocabulary "
        f"{entry['vocabulary']}, {'lower-cased' if entry['lower_case'] else 'cased'}, "
        f"{entry['parameters']:,} parameters"
        for entry in entries
    )


def _parameters(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    sizes = {path: int(np.prod(shape)) for path, shape in shapes.items()}
    encoder = sum(size for path, size in sizes.items() if is_encoder(path))
    return {"encoder": encoder, "total": sum(sizes.values())}


def is_encoder(path: str) -> bool:
    """Whether a variable belongs to the encoder or its pooler, not to a head."""
    first = path.partition("/")[0]
    return (
        first == "pool"
        or first.startswith("encoder_block_")
        or "embedding" in first
        or (first == "token_projection")
    )


def _variables(weights: Any) -> Any:
    if weights.kind == "keras":
        for path, shape in weights.shapes.items():
            yield {"name": path, "shape": list(shape), "claimed_by": path}
        return
    claimants = weights.plan.claimants()
    for name, shape in weights.checkpoint.shapes.items():
        yield {"name": name, "shape": list(shape), "claimed_by": claimants[name]}
